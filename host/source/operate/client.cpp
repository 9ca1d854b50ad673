#include "operate/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <thread>
#include <utility>

namespace taskhost {

namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t max_answer_bytes = std::uint64_t{1} << 30;  // a hundred thousand tasks are a tenth of it
constexpr std::size_t max_unparsed_bytes = 1 << 20;                 // far more than a head may have
constexpr auto room_interval = std::chrono::milliseconds(20);
constexpr int silences_in_all = 10;

// Whether the descriptor is ready by then.
bool is_ready_by(int descriptor, short events, Clock::time_point end) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd waited{.fd = descriptor, .events = events, .revents = 0};
    const int result = ::poll(&waited, 1, static_cast<int>(std::clamp<long long>(left, 0, 1'000'000)));
    if (result > 0) return true;
    if (result == 0 && left <= 0) return false;
    if (result < 0 && errno != EINTR) return false;
  }
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

ControlClient::ControlClient(const std::string& path, std::chrono::nanoseconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    fail(Trouble::long_path);
    return;
  }
  path.copy(address.sun_path, path.size());
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor_ < 0) {
    fail(Trouble::system, errno);
    return;
  }
  const Clock::time_point end = Clock::now() + patience;
  while (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EAGAIN) {
      fail(trouble_of(error), error);
      return;
    }
    if (Clock::now() >= end) {  // more clients wait than the host has room for
      fail(Trouble::slow);
      return;
    }
    std::this_thread::sleep_for(room_interval);
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
  if (trouble_ != Trouble::none) return std::nullopt;
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.body_limit(max_answer_bytes);
  const Clock::time_point last = Clock::now() + silences_in_all * patience;
  std::array<char, 65'536> piece{};
  while (true) {
    boost::system::error_code error;
    const std::size_t used = unread_.empty() ? 0 : parser.put(boost::asio::buffer(unread_), error);
    unread_.erase(0, used);
    if (error == http::error::body_limit) return fail(Trouble::too_large);
    if (error && error != http::error::need_more) return fail(Trouble::not_http);
    if (parser.is_done()) break;
    if (used != 0 && !error && !unread_.empty()) continue;
    if (unread_.size() > max_unparsed_bytes) return fail(Trouble::not_http);

    if (!is_ready_by(descriptor_, POLLIN, std::min(Clock::now() + patience, last))) return fail(Trouble::slow);
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
