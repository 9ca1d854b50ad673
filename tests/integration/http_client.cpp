#include "http_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <sstream>

#include "support/catch.hpp"

namespace taskhost::test {

HttpConnection::HttpConnection(const std::filesystem::path& socket) {
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket.string();
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  // The host makes the socket when it starts; the caller waits for an event of a task, which comes later.
  REQUIRE(::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

HttpConnection::HttpConnection(int port) {
  descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

HttpConnection::~HttpConnection() { ::close(descriptor_); }

bool HttpConnection::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string HttpConnection::read_all(int milliseconds) const {
  std::string all;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd ready{.fd = descriptor_, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) return all;
    std::array<char, 16'384> bytes;
    const ssize_t size = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (size <= 0) return all;
    all.append(bytes.data(), static_cast<std::size_t>(size));
  }
}

std::string HttpConnection::read_some(int milliseconds) const {
  pollfd ready{.fd = descriptor_, .events = POLLIN, .revents = 0};
  std::string bytes(65'536, '\0');
  if (::poll(&ready, 1, milliseconds) <= 0) return {};
  const ssize_t size = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
  bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return bytes;
}

namespace {

// As far as it has come.
std::string without_chunks(std::string_view coded) {
  std::string body;
  while (true) {
    const std::size_t line = coded.find("\r\n");
    if (line == std::string_view::npos) return body;
    const std::size_t size = std::strtoul(std::string(coded.substr(0, line)).c_str(), nullptr, 16);
    coded.remove_prefix(line + 2);
    if (size == 0) return body;
    body.append(coded.substr(0, size));
    if (coded.size() < size + 2) return body;
    coded.remove_prefix(size + 2);
  }
}

}  // namespace

HttpAnswer parse_answer(const std::string& bytes) {
  HttpAnswer answer;
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos || !bytes.starts_with("HTTP/1.")) return answer;
  answer.status = std::atoi(bytes.c_str() + 9);
  answer.head = bytes.substr(0, end + 2);
  answer.body = bytes.substr(end + 4);
  if (answer.head.find("Transfer-Encoding: chunked\r\n") != std::string::npos)
    answer.body = without_chunks(answer.body);
  return answer;
}

std::vector<nlohmann::json> records_of(const HttpAnswer& answer) {
  std::vector<nlohmann::json> records;
  std::istringstream lines(answer.body);
  for (std::string line; std::getline(lines, line);) {
    records.push_back(nlohmann::json::parse(line, nullptr, false));
    CHECK(records.back().is_object());
  }
  return records;
}

namespace {

HttpAnswer ask_on(const HttpConnection& connection, std::string_view method, std::string_view target,
                  std::string_view head) {
  std::string request(method);
  request.append(" ").append(target).append(" HTTP/1.1\r\nConnection: close\r\n");
  if (head.find("Host:") == std::string_view::npos) request += "Host: localhost\r\n";
  request.append(head).append("\r\n");
  REQUIRE(connection.send(request));
  return parse_answer(connection.read_all());
}

}  // namespace

HttpAnswer ask(const std::filesystem::path& socket, std::string_view method, std::string_view target,
               std::string_view head) {
  return ask_on(HttpConnection(socket), method, target, head);
}
HttpAnswer ask(int port, std::string_view method, std::string_view target, std::string_view head) {
  return ask_on(HttpConnection(port), method, target, head);
}

int port_of(const std::string& log) {
  constexpr std::string_view before = "the API is at http://127.0.0.1:";
  const std::size_t place = log.find(before);
  return place == std::string::npos ? 0 : std::atoi(log.c_str() + place + before.size());
}

}  // namespace taskhost::test
