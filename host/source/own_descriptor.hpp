// Descriptors of ours, out of the reach of code that closes or replaces those it can count to.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace taskhost {

// A duplicate above 100 that no program started by a task inherits, or where the limit is lower than that, above 2.
// -1: errno says why. Async-signal-safe.
inline int duplicate_out_of_reach(int descriptor) noexcept {
  constexpr int lowest = 100;
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, lowest);
  if (copy >= 0 || errno != EINVAL) return copy;
  return ::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

}  // namespace taskhost
