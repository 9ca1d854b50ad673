// A service manager's end of NOTIFY_SOCKET, which reads only when the test does so. One thread.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/process.hpp"

namespace taskhost::test {

class NotifyReceiver {
 public:
  // At a path, or with an abstract name: "@…".
  explicit NotifyReceiver(std::string address) : address_(std::move(address)), socket_(listening()) {}
  ~NotifyReceiver() { close(); }
  NotifyReceiver(const NotifyReceiver&) = delete;
  NotifyReceiver& operator=(const NotifyReceiver&) = delete;

  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
    if (address_.starts_with('/')) std::filesystem::remove(address_);
  }
  void open_again() { socket_ = listening(); }
  std::string variable() const { return "NOTIFY_SOCKET=" + address_; }

  // What others say fills its buffer, until it is read.
  void fill() const {
    const int other = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const auto [name, size] = named();
    while (::sendto(other, "X=1\n", 4, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&name), size) == 4) continue;
    ::close(other);
  }

  // Reads one datagram; absent if none comes.
  std::optional<std::string> next(std::chrono::milliseconds limit) {
    pollfd polled{.fd = socket_, .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
    std::array<char, 8192> text;
    const ssize_t size = ::recv(socket_, text.data(), text.size(), 0);
    if (size < 0) return std::nullopt;
    datagrams_.emplace_back(text.data(), static_cast<std::size_t>(size));
    return datagrams_.back();
  }
  // Reads until a line begins with this, and returns the line; empty if it does not come.
  std::string wait_for(std::string_view begin, std::chrono::nanoseconds limit = patience) {
    std::string found;
    eventually(
        [&] {
          const std::optional<std::string> datagram = next(std::chrono::milliseconds(50));
          if (datagram) found = line_of(*datagram, begin);
          return !found.empty();
        },
        limit);
    return found;
  }
  // Reads what comes within this time, and returns how many lines begin with this.
  std::size_t count(std::string_view begin, std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    std::size_t count = 0;
    for (auto now = end - time; now < end; now = std::chrono::steady_clock::now()) {
      const auto datagram = next(std::chrono::ceil<std::chrono::milliseconds>(end - now));
      if (datagram && !line_of(*datagram, begin).empty()) ++count;
    }
    return count;
  }
  const std::string& last() const { return datagrams_.back(); }
  // All datagrams that were read, with those that wait.
  const std::vector<std::string>& all() {
    while (next(std::chrono::milliseconds(0))) continue;
    return datagrams_;
  }
  std::string text() {
    std::string text;
    for (const std::string& datagram : all()) text += datagram;
    return text;
  }

  // The line of the datagram that begins with this; empty if there is none.
  static std::string line_of(std::string_view datagram, std::string_view begin) {
    while (!datagram.empty()) {
      const std::string_view line = datagram.substr(0, datagram.find('\n'));
      if (line.starts_with(begin)) return std::string(line);
      datagram.remove_prefix(std::min(datagram.size(), line.size() + 1));
    }
    return {};
  }

 private:
  std::pair<sockaddr_un, socklen_t> named() const {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address_.data(), address_.size());
    if (address_.starts_with('@')) name.sun_path[0] = '\0';
    return {name, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size())};
  }
  int listening() const {
    const int listening = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const auto [name, size] = named();
    if (::bind(listening, reinterpret_cast<const sockaddr*>(&name), size) != 0) throw std::runtime_error("no socket");
    return listening;
  }

  const std::string address_;
  int socket_ = -1;
  std::vector<std::string> datagrams_;
};

}  // namespace taskhost::test
