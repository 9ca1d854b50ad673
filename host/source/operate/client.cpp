#include "operate/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <utility>

#include "operate/process_watch.hpp"
#include "system/socket_address.hpp"

namespace taskhost {

namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t max_answer_bytes = std::uint64_t{1} << 30;  // a hundred thousand tasks are a tenth of it
constexpr std::size_t max_line_bytes = std::size_t{1} << 22;        // of a record, or a whole refusal
constexpr std::size_t max_unparsed_bytes = 1 << 20;                 // far more than a head may have
constexpr auto room_interval = std::chrono::milliseconds(20);
constexpr int silences_in_all = 10;

// Whether the descriptor can be read by then, and before `interrupt` can.
bool is_ready_by(int descriptor, int interrupt, Clock::time_point end) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    std::array<pollfd, 2> waited{{{descriptor, POLLIN, 0}, {interrupt, POLLIN, 0}}};  // poll leaves negative ones out
    const int result = ::poll(waited.data(), 2, static_cast<int>(std::clamp<long long>(left, 0, 1'000'000)));
    if (result > 0) return waited[1].revents == 0;
    if (result == 0 && left <= 0) return false;
    if (result < 0 && errno != EINTR) return false;
  }
}

enum class Silence : std::uint8_t { over, nobody_reads, process_gone };

// Waits for as long as it takes. `process`: a pidfd of the other side, or -1. A child of it may hold its end of the
// connection open when it is gone.
Silence wait_for_reader(int descriptor, int process) {
  std::array<pollfd, 3> waited = {{{.fd = descriptor, .events = POLLIN, .revents = 0},
                                   {.fd = STDOUT_FILENO, .events = 0, .revents = 0},
                                   {.fd = process, .events = POLLIN, .revents = 0}}};
  while (::poll(waited.data(), waited.size(), -1) < 0 && errno == EINTR) continue;
  if ((waited[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return Silence::nobody_reads;
  return waited[0].revents != 0 ? Silence::over : Silence::process_gone;
}

// Hands over the whole lines, and with `is_all` the rest as well. False if no more are wanted.
bool hand_over_lines(std::string& body, bool is_all, const ControlClient::TakeLine& take) {
  std::size_t begin = 0;
  while (begin < body.size()) {
    const std::size_t end = body.find('\n', begin);
    if (end == std::string::npos && !is_all) break;
    const std::string_view line = std::string_view(body).substr(begin, end - begin);
    begin = end == std::string::npos ? body.size() : end + 1;
    if (!line.empty() && !take(line)) return false;
  }
  body.erase(0, begin);
  return true;
}

ControlClient::Trouble trouble_of(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return ControlClient::Trouble::absent;
    case ECONNREFUSED:
      return ControlClient::Trouble::unanswered;
    case EACCES:
    case EPERM:
      return ControlClient::Trouble::forbidden;
    default:
      return ControlClient::Trouble::system;
  }
}

}  // namespace

ControlClient::ControlClient(const std::string& path, std::chrono::nanoseconds patience, int interrupt)
    : interrupt_(interrupt) {
  const SocketAddress address(path);
  if (!address.fits()) {
    fail(Trouble::long_path);
    return;
  }
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor_ < 0) {
    fail(Trouble::system, errno);
    return;
  }
  const Clock::time_point end = Clock::now() + patience;
  while (address.connect(descriptor_) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EAGAIN) {
      fail(trouble_of(error), error);
      return;
    }
    // More clients wait than the host has room for.
    if (Clock::now() >= end || is_ready_by(interrupt_, -1, Clock::now() + room_interval)) {
      fail(Trouble::slow);
      return;
    }
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(descriptor_, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) peer_ = peer.pid;
}

ControlClient::~ControlClient() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

ControlClient::ControlClient(ControlClient&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      interrupt_(other.interrupt_),
      trouble_(other.trouble_),
      error_(other.error_),
      peer_(other.peer_),
      has_asked_(other.has_asked_),
      unread_(std::move(other.unread_)) {}

std::nullopt_t ControlClient::fail(Trouble trouble, int error) {
  trouble_ = trouble;
  error_ = error;
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  return std::nullopt;
}

bool ControlClient::send(std::string_view method, std::string_view target) {
  if (trouble_ != Trouble::none) return false;
  std::string request;
  request.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\nAccept: application/json");
  if (method != "GET") request += "\r\nContent-Type: application/json\r\nContent-Length: 0";
  request += "\r\n\r\n";
  has_asked_ = true;
  // So short a request always has room in the socket, unless what is there is no host.
  const ssize_t sent = ::send(descriptor_, request.data(), request.size(), MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(request.size())) return true;
  if (sent < 0 && errno != EAGAIN) {
    fail(errno == EPIPE || errno == ECONNRESET ? Trouble::gone : Trouble::system, errno);
  } else {
    fail(Trouble::slow);
  }
  return false;
}

std::optional<ControlClient::Answer> ControlClient::receive(std::chrono::nanoseconds patience) {
  return receive(patience, nullptr);
}
std::optional<ControlClient::Answer> ControlClient::receive_lines(std::optional<std::chrono::nanoseconds> patience,
                                                                  const TakeLine& take) {
  return receive(patience, take);
}

std::optional<ControlClient::Answer> ControlClient::receive(std::optional<std::chrono::nanoseconds> patience,
                                                            const TakeLine& take) {
  if (trouble_ != Trouble::none) return std::nullopt;
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  if (take) {
    parser.body_limit(boost::none);
  } else {
    parser.body_limit(max_answer_bytes);
  }
  const Clock::time_point last = Clock::now() + silences_in_all * patience.value_or(std::chrono::nanoseconds(0));
  const auto hand_over = [&](bool is_all) {
    if (!take || !parser.is_header_done() || parser.get().result() != http::status::ok) return true;
    return hand_over_lines(parser.get().body(), is_all, take);
  };
  std::array<char, 65'536> piece{};
  std::optional<ProcessWatch> process;
  if (!patience && peer_ > 0) process.emplace(peer_);
  while (true) {
    boost::system::error_code error;
    const std::size_t used = unread_.empty() ? 0 : parser.put(boost::asio::buffer(unread_), error);
    unread_.erase(0, used);
    if (error == http::error::body_limit) return fail(Trouble::too_large);
    if (error && error != http::error::need_more) return fail(Trouble::not_http);
    if (!hand_over(parser.is_done())) return fail(Trouble::none);
    if (take && parser.is_header_done() && parser.get().body().size() > max_line_bytes) return fail(Trouble::too_large);
    if (parser.is_done()) break;
    if (used != 0 && !error && !unread_.empty()) continue;
    if (unread_.size() > max_unparsed_bytes) return fail(Trouble::not_http);

    if (patience) {
      // What comes piece by piece may take as long as it does.
      const Clock::time_point end = Clock::now() + *patience;
      if (!is_ready_by(descriptor_, interrupt_, take ? end : std::min(end, last))) return fail(Trouble::slow);
    } else if (const Silence silence = wait_for_reader(descriptor_, process ? process->descriptor() : -1);
               silence != Silence::over) {
      return fail(silence == Silence::nobody_reads ? Trouble::none : Trouble::gone);
    }
    const ssize_t size = ::recv(descriptor_, piece.data(), piece.size(), 0);
    if (size > 0) {
      unread_.append(piece.data(), static_cast<std::size_t>(size));
    } else if (size == 0) {
      if (parser.got_some()) parser.put_eof(error);
      if (!parser.is_done()) return fail(Trouble::gone);
      break;
    } else if (errno == ECONNRESET) {
      return fail(Trouble::gone);
    } else if (errno != EAGAIN && errno != EINTR) {
      return fail(Trouble::system, errno);
    }
  }
  hand_over(true);
  auto response = parser.release();
  const auto server = response[http::field::server];
  return Answer{.status = response.result_int(),
                .body = std::move(response.body()),
                .server = std::string(server.data(), server.size())};
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '.' || c == '_' || c == '~';
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain) {
      encoded += c;
    } else {
      encoded.append("%").append(1, digits[byte >> 4U]).append(1, digits[byte & 0xFU]);
    }
  }
  return encoded;
}

}  // namespace taskhost
