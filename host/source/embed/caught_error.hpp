// What an exception means to who calls the C interface. Exceptions mean exhaustion or a fault of ours; any thread.
#pragma once

#include <string>

namespace taskhost {

struct CaughtError {
  int code;  // TASKHOST_RESULT_SYSTEM, NO_MEMORY or INTERNAL
  std::string text;
};

// Of the exception that is being handled.
CaughtError caught_error() noexcept;

}  // namespace taskhost
