// Where a host may listen on TCP, and which requests may be meant for it. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace taskhost {

struct TcpAddress {
  std::string address;  // a literal IPv4 or IPv6 address, without brackets
  std::uint16_t port = 0;
};

// "127.0.0.1:8080", "[::1]:8080"; port 0: one that the system chooses.
std::optional<TcpAddress> tcp_address(std::string_view text);

// Whether a request with this Host header may be meant for us. A browser that was lured to a foreign name which
// resolves to this machine (DNS rebinding) sends that name: so only localhost and literal addresses are ours.
bool is_own_host(std::string_view host);

// Whether a request that a browser sent for a page of this origin may come from our own page. `host` is its Host
// header.
bool is_own_origin(std::string_view origin, std::string_view host);

// Compares without telling, by the time it takes, how much is right.
bool is_same_secret(std::string_view given, std::string_view secret) noexcept;

}  // namespace taskhost
