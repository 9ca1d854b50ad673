// The process's handlers for the signals of the extension taskhost.signals: what the handler itself must get right even
// if the rest of the process hangs. The only process-wide part, as signals are process-wide.
//
// In a child that a plugin forked, which shares handlers and descriptors until it execs, a signal has the effect that
// it would have had without the host.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace taskhost {

class SignalHandler {
 public:
  // Takes SIGINT, SIGTERM and SIGHUP, but none that is ignored, since nohup or a shell's background job wants it so.
  // From now on SIGPIPE does nothing where it would have ended the process; executed programs get its default. Starts
  // one thread, which receives the signals even if all others block them. Throws std::system_error.
  SignalHandler();
  // Restores the signals' former actions when the last of these objects is destroyed.
  ~SignalHandler();
  SignalHandler(const SignalHandler&) = delete;
  SignalHandler& operator=(const SignalHandler&) = delete;

  // A task wants the signal: it is taken, even if it was ignored, and kept until the end.
  void watch(int number);

  // Readable once a signal has come.
  int descriptor() const noexcept;

  struct Arrival {
    int number = 0;
    bool second = false;  // the second of two requests to stop: within a second the process ends with status 4
    pid_t sender = 0;     // 0 if unknown, or a terminal
    bool hangup = false;  // of SIGHUP: the terminal was closed; false: a process has sent it
  };
  // The signals that have come, each number once.
  std::vector<Arrival> take();

  // The first of two requests did not end the host, so this one counts as the first and does not end the process.
  void begin_again() noexcept;
  // From now on signals are not reported, and nothing but the second of two requests to end has an effect.
  void close() noexcept;

  // Restores handlers that others have replaced, and returns a text about each, with the library if it is known.
  static std::vector<std::string> put_back();

  // Whether the process has lost the controlling terminal that it had when the first of these objects was made.
  static bool has_lost_terminal() noexcept;

  // Whether the signal was ignored when the host was created.
  static bool was_ignored(int number) noexcept;
};

// "SIGTERM"
const char* signal_name(int number) noexcept;

}  // namespace taskhost
