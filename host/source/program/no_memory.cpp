#include "program/no_memory.hpp"

#include <unistd.h>

#include <exception>
#include <new>

#include "system/last_words.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

std::terminate_handler others = nullptr;

// For a failed allocation that nobody could catch: in a global's constructor, in a thread of the host, or in a noexcept
// function. It is not a fault of the program for which a core dump would help.
[[noreturn]] void end() noexcept {
  if (const std::exception_ptr reason = std::current_exception()) {
    try {
      std::rethrow_exception(reason);
    } catch (const std::bad_alloc&) {
      ::_exit(say_no_memory());
    } catch (...) {
      // Any other exception is left to the previous handler.
    }
  }
  others();
  ::_exit(TASKHOST_RESULT_INTERNAL);
}

// Before the constructors of other globals of the program, which allocate.
[[gnu::constructor(101)]] void prepare() { others = std::set_terminate(end); }

}  // namespace

int say_no_memory() noexcept {
  last_words("out of memory: raise the limit (ulimit -v, the cgroup's memory.max), or provide more memory");
  return TASKHOST_RESULT_SYSTEM;
}

}  // namespace taskhost
