// Clients that each GET a path of a control socket ten times a second, in a process of their own. One that has no
// answer yet when its next request is due goes without that one; one whose connection is closed makes another.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <stdexcept>

#include "bench.hpp"

namespace bench {

namespace {

constexpr std::uint64_t interval_ns = 100'000'000;

volatile std::sig_atomic_t ended = 0;

int connected(const std::string& socket) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return descriptor;
  ::close(descriptor);
  return -1;
}

struct Client {
  std::uint64_t due = 0;
  std::uint64_t sent_at = 0;  // 0: no answer is awaited
  int descriptor = -1;
  std::string head;
  std::uint64_t left = 0;  // of the body, once the head is complete
  bool in_body = false;
};

struct Counts {
  std::uint64_t answers = 0, missed = 0, broken = 0, bytes = 0;
  std::vector<double> times_ms;
};

void hang_up(Client& client, Counts& counts) {
  if (client.descriptor >= 0) ::close(client.descriptor);
  client.descriptor = -1;
  if (client.sent_at != 0) ++counts.broken;
  client.sent_at = 0;
}

void ask(Client& client, Counts& counts, const std::string& socket, const std::string& request) {
  if (client.descriptor < 0) client.descriptor = connected(socket);
  const auto size = static_cast<ssize_t>(request.size());
  client.head.clear();
  client.in_body = false;
  client.sent_at = now_ns();
  if (client.descriptor < 0 || ::send(client.descriptor, request.data(), request.size(), MSG_NOSIGNAL) != size) {
    hang_up(client, counts);
  }
}

void take(Client& client, Counts& counts, std::string_view bytes) {
  counts.bytes += bytes.size();
  if (!client.in_body) {
    client.head += bytes;
    const std::size_t end = client.head.find("\r\n\r\n");
    if (end == std::string::npos) return;
    constexpr std::string_view field = "Content-Length: ";
    const std::size_t at = client.head.find(field);
    if (!client.head.starts_with("HTTP/1.1 200") || at > end) return hang_up(client, counts);
    const char* const digits = client.head.data() + at + field.size();
    std::from_chars(digits, client.head.data() + end, client.left);
    client.in_body = true;
    bytes = std::string_view(client.head).substr(end + 4);
  }
  if (bytes.size() > client.left) return hang_up(client, counts);
  client.left -= bytes.size();
  if (client.left != 0) return;
  ++counts.answers;
  counts.times_ms.push_back(static_cast<double>(now_ns() - client.sent_at) / 1e6);
  client.sent_at = 0;
}

}  // namespace

Answer ask_once(const std::string& socket, const std::string& path) {
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const std::uint64_t begin = now_ns();
  const int descriptor = connected(socket);
  std::string head;
  std::uint64_t bytes = 0;
  if (descriptor >= 0 && ::send(descriptor, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    std::vector<char> room(1 << 18);
    pollfd polled{.fd = descriptor, .events = POLLIN, .revents = 0};
    while (::poll(&polled, 1, 60'000) > 0) {
      const ssize_t size = ::recv(descriptor, room.data(), room.size(), 0);
      if (size <= 0) break;
      if (bytes == 0) head.assign(room.data(), std::min<std::size_t>(static_cast<std::size_t>(size), 12));
      bytes += static_cast<std::uint64_t>(size);
    }
  }
  ::close(descriptor);
  if (head != "HTTP/1.1 200") throw std::runtime_error(path + " is not answered");
  return {static_cast<double>(now_ns() - begin) / 1e6, bytes};
}

int run_pollers(const std::string& socket, const std::string& path, unsigned count) {
  std::signal(SIGTERM, [](int) { ended = 1; });
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::vector<Client> clients(count);
  std::vector<pollfd> polled(count);
  std::vector<char> room(1 << 18);
  Counts counts;
  const std::uint64_t begin = now_ns();
  for (unsigned i = 0; i < count; ++i) clients[i].due = begin + i * interval_ns / count;
  while (ended == 0) {
    const std::uint64_t time = now_ns();
    std::uint64_t next = time + interval_ns;
    for (unsigned i = 0; i < count; ++i) {
      Client& client = clients[i];
      if (client.due <= time) {
        client.sent_at == 0 ? ask(client, counts, socket, request) : void(++counts.missed);
        client.due = std::max(client.due + interval_ns, time);
      }
      next = std::min(next, client.due);
      polled[i] = {.fd = client.descriptor, .events = POLLIN, .revents = 0};
    }
    const auto wait_ns = static_cast<long>(next - std::min(next, now_ns()));
    const timespec wait{0, wait_ns};
    if (::ppoll(polled.data(), count, &wait, nullptr) <= 0) continue;
    for (unsigned i = 0; i < count; ++i) {
      if (polled[i].revents == 0) continue;
      const ssize_t size = ::recv(clients[i].descriptor, room.data(), room.size(), 0);
      size > 0 ? take(clients[i], counts, {room.data(), static_cast<std::size_t>(size)}) : hang_up(clients[i], counts);
    }
  }
  const double seconds = static_cast<double>(now_ns() - begin) * 1e-9;
  for (Client& client : clients) {
    client.sent_at = 0;
    hang_up(client, counts);
  }
  if (counts.times_ms.empty()) throw std::runtime_error("no client got an answer");
  std::printf(
      "{\"clients\":%u,\"secs\":%.3f,\"answers_per_s\":%.1f,\"missed_per_s\":%.1f,\"broken\":%lu,"
      "\"bytes_per_s\":%.0f,\"answer_p50_ms\":%.2f,\"answer_p99_ms\":%.2f,\"cpu_s\":%.3f}\n",
      count, seconds, static_cast<double>(counts.answers) / seconds, static_cast<double>(counts.missed) / seconds,
      counts.broken, static_cast<double>(counts.bytes) / seconds, percentile(counts.times_ms, .5),
      percentile(counts.times_ms, .99), cpu());
  return 0;
}

}  // namespace bench
