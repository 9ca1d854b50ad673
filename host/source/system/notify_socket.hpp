// The socket of a service manager such as systemd, as sd_notify(3) describes it, and what it says in the environment.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace taskhost {

struct NotifyEnvironment {
  std::string address;                    // NOTIFY_SOCKET; empty: there is no service manager
  std::chrono::microseconds watchdog{0};  // within this time it wants to hear of us; 0: it does not
  std::vector<std::string> problems;      // wrong values, which are ignored
};

// Removes the variables from the environment, so that no program which a plugin executes speaks for the host. While no
// other thread uses the environment.
NotifyEnvironment take_notify_environment();

// [owner]
class NotifySocket {
 public:
  enum class Sent { yes, full, gone };

  // Throws std::runtime_error with what to do.
  explicit NotifySocket(std::string_view address);
  ~NotifySocket();
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // One datagram. Never waits: `full` if its reader is busy, `gone` if there is none, or it can't be reached: error.
  Sent send(std::string_view message) noexcept;
  int error() const noexcept { return error_; }

 private:
  bool connect() noexcept;

  int descriptor_ = -1;
  int error_ = 0;
  sockaddr_un address_{};
  socklen_t size_ = 0;
};

}  // namespace taskhost
