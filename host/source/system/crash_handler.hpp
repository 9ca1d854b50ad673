// When the process crashes, reports where: the task and its call, or the library being loaded. After that, the default
// action follows, or the handler that was there before.
#pragma once

namespace taskhost {

class CrashHandler {
 public:
  // `flush` is called in the handler, before it says anything; it may be null. Takes SIGSEGV, SIGBUS, SIGFPE, SIGILL,
  // SIGTRAP, SIGSYS, SIGXCPU and SIGABRT until the last of these objects is destroyed, and gives the calling thread a
  // stack for handlers until it ends, so that its own stack overflow can be reported.
  explicit CrashHandler(void (*flush)() noexcept);
  ~CrashHandler();
  CrashHandler(const CrashHandler&) = delete;
  CrashHandler& operator=(const CrashHandler&) = delete;
};

}  // namespace taskhost
