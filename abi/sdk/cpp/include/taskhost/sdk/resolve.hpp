// taskhost/sdk/resolve.hpp: the addresses of a host, for coroutines. POSIX; include it beside coroutine.hpp.
//
//   const auto addresses = co_await sdk::resolve("example.org", "https");
//   for (const sdk::Address& address : addresses) … ::connect(descriptor, address.data(), address.size());
#ifndef TASKHOST_SDK_RESOLVE_HPP
#define TASKHOST_SDK_RESOLVE_HPP

#include <netdb.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "taskhost/sdk/coroutine.hpp"

namespace taskhost::sdk {

// Where to connect, or to listen: what socket and connect, or bind, need. A value that owns all it consists of.
class Address {
 public:
  explicit Address(const addrinfo& info) noexcept
      : family_(info.ai_family), type_(info.ai_socktype), protocol_(info.ai_protocol), size_(info.ai_addrlen) {
    std::memcpy(&bytes_, info.ai_addr, size_ < sizeof bytes_ ? size_ : sizeof bytes_);
  }

  int family() const noexcept { return family_; }
  int type() const noexcept { return type_; }
  int protocol() const noexcept { return protocol_; }
  const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&bytes_); }
  socklen_t size() const noexcept { return size_; }

  // In numbers: "192.0.2.1:80" or "[2001:db8::1]:80".
  std::string text() const {
    char host[NI_MAXHOST] = "?";
    char service[NI_MAXSERV] = "?";
    ::getnameinfo(data(), size(), host, sizeof host, service, sizeof service, NI_NUMERICHOST | NI_NUMERICSERV);
    return family_ == AF_INET6 ? "[" + std::string(host) + "]:" + service : std::string(host) + ":" + service;
  }

 private:
  int family_;
  int type_;
  int protocol_;
  socklen_t size_;
  sockaddr_storage bytes_{};
};

namespace detail {

// Owns what it uses, since it goes on if nobody waits for it any more.
class Resolving {
 public:
  Resolving(std::string_view host, std::string_view service, int type) : host_(host), service_(service), type_(type) {}

  std::vector<Address> operator()() const {
    // The system's function would take a part for the whole.
    if (host_.find('\0') != std::string::npos || service_.find('\0') != std::string::npos) {
      throw Failure(what_failed() + "a name contains no NUL");
    }
    addrinfo wanted{};
    wanted.ai_socktype = type_;
    addrinfo* list = nullptr;
    const int problem = ::getaddrinfo(host_.c_str(), service_.empty() ? nullptr : service_.c_str(), &wanted, &list);
    const int system_problem = errno;
    if (problem != 0) {
      throw Failure(what_failed() + (problem == EAI_SYSTEM ? std::generic_category().message(system_problem)
                                                           : std::string(::gai_strerror(problem))));
    }
    struct Release {
      void operator()(addrinfo* all) const noexcept { ::freeaddrinfo(all); }
    };
    const std::unique_ptr<addrinfo, Release> all(list);
    std::vector<Address> addresses;
    for (const addrinfo* one = all.get(); one != nullptr; one = one->ai_next) addresses.emplace_back(*one);
    return addresses;
  }

 private:
  std::string what_failed() const {
    return "can't resolve \"" + std::string(host_.c_str()) + "\"" +
           (service_.empty() ? "" : " (service \"" + std::string(service_.c_str()) + "\")") + ": ";
  }

  std::string host_;
  std::string service_;
  int type_;
};

}  // namespace detail

// Asks the system for the addresses of a host, in the order in which they should be tried: a name or an address in
// numbers; the service is a name or a port, or empty for port 0. It is offloaded work, and gives a
// std::vector<Address>, at least one. Throws a Failure with the name and the reason if there is none, or if the host
// has no thread for it. It can take as long as the system's resolver waits for an answer, often many seconds; see
// with_timeout, after which it still occupies its thread until then.
inline detail::Offloaded<detail::Resolving> resolve(std::string_view host, std::string_view service,
                                                    int type = SOCK_STREAM) {
  return detail::Offloaded<detail::Resolving>(detail::Resolving(host, service, type));
}

}  // namespace taskhost::sdk

#endif
