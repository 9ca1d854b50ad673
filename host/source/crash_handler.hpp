// Says who it was when the process crashes: the task and its call, or the library that is being loaded. Then the
// default action follows, or the handler that was there before.
#pragma once

#include <array>
#include <cstddef>

namespace taskhost {

class CrashHandler {
 public:
  // Takes SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGXCPU and SIGABRT, and gives the calling thread a stack
  // for handlers, so that an overflow of its own can be told; both until the end of the last of these objects, on the
  // same thread.
  CrashHandler();
  ~CrashHandler();
  CrashHandler(const CrashHandler&) = delete;
  CrashHandler& operator=(const CrashHandler&) = delete;

 private:
  alignas(16) std::array<std::byte, std::size_t{32} << 10> stack_;
};

}  // namespace taskhost
