// A program in a session and process group of its own.
#pragma once

#include <sys/types.h>

#include <string>

#include "descriptor.hpp"
#include "settings.hpp"

namespace exec {

// How a program ended.
struct End {
  int status = 0;               // if it exited
  int signal = 0;               // that killed it; 0 if it exited
  bool has_core = false;        // it left a core dump
  bool is_status_lost = false;  // something in this process ignores SIGCHLD, or has waited for it

  std::string words() const;  // "ended with status 3", "killed by SIGSEGV (core dumped)"
};

class Process {
 public:
  // Starts it: stdin is /dev/null, these are its stdout and stderr, and it inherits no other descriptors. Signals are
  // as by default. Throws a Failure.
  Process(const Settings& settings, const Descriptor& output, const Descriptor& errors);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  // Kills it, if it still runs, with its group.
  ~Process();

  pid_t id() const noexcept { return id_; }
  int descriptor() const noexcept { return descriptor_.get(); }  // readable once it has ended

  // To the program alone. Returns 0, or the number of the error.
  int send(int signal) const noexcept;

  // Whether it has ended. What its group has left running is then killed. To be called until it says so, then no more.
  bool take_end(End& end);

  // Whether it has ended, as take_end found last, but a debugger has yet to let go of it. The descriptor is readable
  // then.
  bool is_held() const noexcept { return is_held_; }

 private:
  pid_t id_ = -1;
  Descriptor descriptor_;
  bool is_held_ = false;
  bool is_over_ = false;
};

}  // namespace exec
