// Translates exceptions for callers of the C interface. They mean exhaustion or a fault of ours. Any thread.
#pragma once

#include <string>

namespace taskhost {

struct CaughtError {
  int code;  // TASKHOST_RESULT_SYSTEM, NO_MEMORY or INTERNAL
  std::string text;
};

// For the exception that is being handled.
CaughtError caught_error() noexcept;

}  // namespace taskhost
