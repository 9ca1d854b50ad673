// Says who it was when the process crashes: the task and its call, or the library that is being loaded. Then the
// default action follows, or the handler that was there before.
#pragma once

namespace taskhost {

class CrashHandler {
 public:
  // Takes SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGXCPU and SIGABRT, and gives the calling thread a stack
  // for handlers, so that an overflow of its own can be told: the signals until the end of the last of these objects,
  // the stack until the thread's.
  CrashHandler();
  ~CrashHandler();
  CrashHandler(const CrashHandler&) = delete;
  CrashHandler& operator=(const CrashHandler&) = delete;
};

}  // namespace taskhost
