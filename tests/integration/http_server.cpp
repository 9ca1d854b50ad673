#include "http_server.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace taskhost::test {
namespace {

bool send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

// Whether the other side has closed the connection, for which it waits so long.
bool closed_within(int connection, int milliseconds) {
  pollfd entry{.fd = connection, .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, milliseconds) <= 0) return false;
  char byte = 0;
  return ::recv(connection, &byte, 1, 0) <= 0;
}

int bound_to_loopback(unsigned& port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error(std::string("no port on the loopback: ") + std::strerror(errno));
  }
  port = ntohs(address.sin_port);
  return fd;
}

int bound_to_path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long for a socket: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("no socket " + path + ": " + std::strerror(errno));
  }
  return fd;
}

}  // namespace

Answer answer(const std::string& status, const std::string& body, const std::string& headers) {
  return {{"HTTP/1.1 " + status + " As Told\r\n" + headers + "Content-Length: " + std::to_string(body.size()) +
           "\r\nConnection: close\r\n\r\n" + body}};
}

HttpServer::HttpServer(Handler handler, const std::string& unix_socket)
    : handler_(std::move(handler)),
      listener_(unix_socket.empty() ? bound_to_loopback(port_) : bound_to_path(unix_socket)) {
  if (::listen(listener_, 64) != 0) throw std::runtime_error("can't listen");
  acceptor_ = std::thread([this] { accept_all(); });
}

HttpServer::~HttpServer() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    ::shutdown(listener_, SHUT_RDWR);  // ends accept
    for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
  }
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

void HttpServer::accept_all() {
  for (;;) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (closing_ || connection < 0) {
      if (connection >= 0) ::close(connection);
      if (closing_) return;
      continue;
    }
    connections_.push_back(connection);
    threads_.emplace_back([this, connection] { serve(connection); });
  }
}

void HttpServer::serve(int connection) {
  std::string request;
  char buffer[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t size = ::recv(connection, buffer, sizeof buffer, 0);
    if (size <= 0) break;
    request.append(buffer, static_cast<std::size_t>(size));
  }
  if (request.find("\r\n\r\n") != std::string::npos) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const Answer answer = handler_(request);
    bool open = true;
    for (const std::string& part : answer.parts) open = open && send_all(connection, part);
    switch (answer.after) {
      case Answer::close:
        break;
      case Answer::hold:
        while (open && !closed_within(connection, -1)) continue;
        break;
      case Answer::drip:
        while (open && !closed_within(connection, 5)) open = send_all(connection, ".");
        break;
      case Answer::flood:
        while (open) open = send_all(connection, std::string(65536, '.'));
        break;
    }
  }
  const std::lock_guard lock(mutex_);
  connections_.remove(connection);
  ::close(connection);
}

std::string HttpServer::url(const std::string& path, const std::string& user) const {
  return "http://" + (user.empty() ? "" : user + "@") + "127.0.0.1:" + std::to_string(port_) + path;
}

std::vector<std::string> HttpServer::requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::string HttpServer::first_request() {
  const std::lock_guard lock(mutex_);
  return requests_.empty() ? "" : requests_.front();
}

std::size_t HttpServer::open_connections() {
  const std::lock_guard lock(mutex_);
  return connections_.size();
}

ClosedPort::ClosedPort() : socket_(bound_to_loopback(port_)) {}
ClosedPort::~ClosedPort() { ::close(socket_); }

}  // namespace taskhost::test
