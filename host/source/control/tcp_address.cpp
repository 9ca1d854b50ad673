#include "control/tcp_address.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/string.hpp>
#include <charconv>

namespace taskhost {

namespace {

bool is_literal(std::string_view text) {
  boost::system::error_code error;
  (void)boost::asio::ip::make_address(std::string(text), error);
  return !error;
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

struct HostPort {
  std::string_view host;  // without brackets
  std::string_view port;  // without its colon; null data: none
};

// Splits "host:port", "host", "[address]:port" and "[address]".
std::optional<HostPort> split(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (host.find(':') == std::string_view::npos || (!rest.empty() && rest.front() != ':')) return std::nullopt;
    return HostPort{host, rest.empty() ? std::string_view() : rest.substr(1)};
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return HostPort{text, {}};
  return HostPort{text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace

std::optional<TcpAddress> tcp_address(std::string_view text) {
  const auto parts = split(text);
  if (!parts || !is_literal(parts->host)) return std::nullopt;
  const auto port = port_of(parts->port);
  if (!port) return std::nullopt;
  return TcpAddress{std::string(parts->host), *port};
}

bool is_own_host(std::string_view host) {
  const auto parts = split(host);
  if (!parts || (parts->port.data() != nullptr && !port_of(parts->port))) return false;
  return boost::beast::iequals(boost::beast::string_view(parts->host.data(), parts->host.size()), "localhost") ||
         is_literal(parts->host);
}

bool is_own_origin(std::string_view origin, std::string_view host) {
  constexpr std::string_view scheme = "http://";
  return origin.starts_with(scheme) && origin.substr(scheme.size()) == host;
}

bool is_same_secret(std::string_view given, std::string_view secret) noexcept {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; !secret.empty() && i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(secret[i % secret.size()]);
  }
  return difference == 0 && !secret.empty();
}

}  // namespace taskhost
