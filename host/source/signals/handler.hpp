// The process's handlers of the signals that taskhost.signals knows: what has to be right in the handler itself,
// whatever else of the process hangs. The one place here that is process-wide, as signals are.
//
// In a child that a plugin forked, which shares handlers and descriptors until it execs, a signal does what it would
// have done without the host.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace taskhost {

class SignalHandler {
 public:
  // Takes SIGINT, SIGTERM and SIGHUP, but none that is ignored: nohup, or a shell's background job, wants it so.
  // SIGPIPE does nothing from now on where it would have ended the process; a program that is executed finds its
  // default. One thread is made, which receives the signals even if all others block them. Throws std::system_error.
  SignalHandler();
  // Gives the signals their former actions back, when the last of these objects goes.
  ~SignalHandler();
  SignalHandler(const SignalHandler&) = delete;
  SignalHandler& operator=(const SignalHandler&) = delete;

  // A task wants it: taken, ignored or not, and kept until the end.
  void watch(int number);

  // Readable once a signal has come.
  int descriptor() const noexcept;

  struct Arrival {
    int number = 0;
    bool second = false;  // of two requests to stop: a second from now on the process ends with status 4
    pid_t sender = 0;     // 0: unknown, or a terminal
  };
  // What has come, each number once.
  std::vector<Arrival> take();

  // The first of two ended no host: this one counts as the first, and does not end the process.
  void begin_again() noexcept;
  // From now on signals are told nobody, and nothing but the second of two requests to end does anything.
  void close() noexcept;

  // Puts handlers back that others have replaced, and says so, a text each, with the library if that is known.
  static std::vector<std::string> put_back();

  // Was the signal ignored when the host came?
  static bool was_ignored(int number) noexcept;
};

// "SIGTERM"
const char* signal_name(int number) noexcept;

}  // namespace taskhost
