// Finds out when a program is ready.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "descriptor.hpp"
#include "settings.hpp"

namespace exec {

// What a program says as services tell systemd (sd_notify(3)).
class NotifySocket {
 public:
  NotifySocket();  // throws a Failure

  int descriptor() const noexcept { return socket_.get(); }
  const std::string& name() const noexcept { return name_; }  // for $NOTIFY_SOCKET

  // Tells the host what has come: READY=1, STATUS=…, WATCHDOG=1. Heeds what is sent in the program's session, or by a
  // process of the host's user, since the one that sent it may be gone.
  void take(taskhost::sdk::Context context, pid_t program) const;

 private:
  Descriptor socket_;
  std::string name_;
};

// Whether somebody accepts connections at an address.
class ConnectionTest {
 public:
  explicit ConnectionTest(const Connected& address) : address_(address) {}

  // Goes on with the attempt, or begins one. After true there is nothing more to do.
  bool has_succeeded();
  int descriptor() const noexcept { return socket_.get(); }  // of an attempt that goes on, to be written; else -1
  void give_up() noexcept { socket_.close(); }

 private:
  Connected address_;
  Descriptor socket_;
};

}  // namespace exec
