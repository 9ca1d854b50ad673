// Descriptors of ours, with numbers high enough that code which closes or replaces low ones does not hit them; and
// waiting for one.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace taskhost {

// A duplicate above 100, or above 2 if the limit is lower than that, which programs started by tasks do not inherit. -1
// on error, with errno. Async-signal-safe.
inline int duplicate_out_of_reach(int descriptor) noexcept {
  constexpr int lowest = 100;
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, lowest);
  if (copy >= 0 || errno != EINVAL) return copy;
  return ::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

// Opens descriptors 0, 1 and 2 if they are closed: a descriptor of ours in that place would be used by code that means
// the standard streams. Writing to a closed one fails, as it would have.
inline void open_standard_streams() noexcept {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) == -1 && errno == EBADF) (void)::open("/dev/null", O_RDONLY);  // the lowest free
  }
}

// Whether it becomes ready for these events of poll(2) within this many milliseconds (-1: no limit). If that can't be
// determined, as once a task has set RLIMIT_NOFILE to 0, it counts as ready after a moment, and the call on it shows.
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
