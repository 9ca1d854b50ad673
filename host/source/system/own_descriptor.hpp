// Descriptors of ours, out of the reach of code that closes or replaces those it can count to; and waiting for one.
#pragma once

#include <fcntl.h>
#include <poll.h>
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

// A descriptor of ours in the place of a closed 0, 1 or 2 would be read and written by whoever means those. What is
// written to a closed one fails, as it would have.
inline void open_standard_streams() noexcept {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) == -1 && errno == EBADF) (void)::open("/dev/null", O_RDONLY);  // the lowest free
  }
}

// Whether it is ready for these events of poll(2) within so many milliseconds (-1: waits). Where that can't be asked,
// as once a task has set RLIMIT_NOFILE to 0, it is taken for ready after a moment, and the call on it shows.
// Async-signal-safe.
inline bool is_ready(int descriptor, short events, int milliseconds) noexcept {
  constexpr int moment_ms = 10;
  pollfd polled{.fd = descriptor, .events = events, .revents = 0};
  const int count = ::poll(&polled, 1, milliseconds);
  if (count >= 0 || errno == EINTR) return count > 0;
  ::poll(nullptr, 0, moment_ms);
  return true;
}

}  // namespace taskhost
