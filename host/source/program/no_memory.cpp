#include "program/no_memory.hpp"

#include <unistd.h>

#include <exception>
#include <new>

#include "system/last_words.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

std::terminate_handler others = nullptr;

// A failed allocation that nobody could catch: in a constructor of a global, in a thread of the host's, or in what must
// not throw. It is no fault of the program's that a core dump would help to find.
[[noreturn]] void end() noexcept {
  if (const std::exception_ptr reason = std::current_exception()) {
    try {
      std::rethrow_exception(reason);
    } catch (const std::bad_alloc&) {
      ::_exit(say_no_memory());
    } catch (...) {
      // Somebody else's to tell.
    }
  }
  others();
  ::_exit(TASKHOST_RESULT_INTERNAL);
}

// Before the constructors of other globals in the program, which allocate.
[[gnu::constructor(101)]] void prepare() { others = std::set_terminate(end); }

}  // namespace

int say_no_memory() noexcept {
  last_words(
      "out of memory: the system gives the host no more; raise its limit (ulimit -v, the cgroup's memory.max), or give "
      "it more");
  return TASKHOST_RESULT_SYSTEM;
}

}  // namespace taskhost
