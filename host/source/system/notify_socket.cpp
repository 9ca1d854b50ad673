#include "system/notify_socket.hpp"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "system/own_descriptor.hpp"

namespace taskhost {

namespace {

std::optional<std::string> take_variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string taken = value;
  ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe): the caller sees to that
  return taken;
}

// Above 0.
std::optional<std::uint64_t> positive_number_in(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number == 0) return std::nullopt;
  return number;
}

[[noreturn]] void throw_problem(const std::string& why) { throw std::runtime_error(why); }

}  // namespace

NotifyEnvironment take_notify_environment() {
  NotifyEnvironment environment;
  environment.address = take_variable("NOTIFY_SOCKET").value_or("");
  const std::optional<std::string> time = take_variable("WATCHDOG_USEC");
  const std::optional<std::string> process = take_variable("WATCHDOG_PID");
  if (environment.address.empty() || !time) return environment;
  const auto problem = [&](const char* what, const std::string& value) {
    environment.problems.push_back(std::string(what) +
                                   " is not a number above 0, so systemd hears no WATCHDOG=1: " + value);
  };
  if (process) {
    const std::optional<std::uint64_t> id = positive_number_in(*process);
    if (!id) problem("WATCHDOG_PID", *process);
    if (!id || *id != static_cast<std::uint64_t>(::getpid())) return environment;
  }
  constexpr std::uint64_t longest = 1'000'000ull * 3600 * 24 * 365;
  const std::optional<std::uint64_t> microseconds = positive_number_in(*time);
  if (!microseconds) {
    problem("WATCHDOG_USEC", *time);
  } else if (*microseconds <= longest) {  // beyond that it means "never"
    environment.watchdog = std::chrono::microseconds(*microseconds);
  }
  return environment;
}

NotifySocket::NotifySocket(std::string_view address) {
  if (!address.starts_with('/') && !address.starts_with('@')) {
    throw_problem("it is neither a path nor an abstract name (@…)");
  }
  if (address.size() < 2 || address.size() >= sizeof address_.sun_path) {
    throw_problem("a name of 2 to 107 bytes is needed");
  }
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, address.data(), address.size());
  size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  if (address.starts_with('@')) {
    address_.sun_path[0] = '\0';
  } else {
    ++size_;  // the NUL
  }
  const int low = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (low < 0) {
    const int error = errno;
    throw_problem("socket: " + std::generic_category().message(error) +
                  (error == EAFNOSUPPORT || error == EACCES || error == EPERM
                       ? "; RestrictAddressFamilies= must allow AF_UNIX"
                       : ""));
  }
  descriptor_ = duplicate_out_of_reach(low);
  if (descriptor_ < 0) {
    descriptor_ = low;
  } else {
    ::close(low);
  }
  (void)connect();  // if there is no reader yet, when there is something to say
}

NotifySocket::~NotifySocket() { ::close(descriptor_); }

// Connected, so that it does not matter if a plugin calls chroot or changes mounts.
bool NotifySocket::connect() noexcept {
  return ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address_), size_) == 0;
}

NotifySocket::Sent NotifySocket::send(std::string_view message) noexcept {
  bool is_again = false;
  while (::send(descriptor_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    error_ = errno;
    if (error_ == EINTR) continue;
    if (error_ == EAGAIN || error_ == ENOBUFS || error_ == ENOMEM) return Sent::full;
    // A service manager that was started anew listens at the same name.
    if (is_again) return Sent::gone;
    is_again = true;
    if (!connect()) {
      error_ = errno;
      return Sent::gone;
    }
  }
  return Sent::yes;
}

}  // namespace taskhost
