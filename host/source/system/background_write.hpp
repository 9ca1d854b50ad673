// A write(2) that also succeeds if the process is in the background of a terminal with `stty tostop`. There a write
// stops the whole process, and a host that only logs must not wait until somebody brings it to the foreground.
#pragma once

#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string_view>

namespace taskhost {

// Async-signal-safe.
inline ssize_t write_in_background(int descriptor, std::string_view text) noexcept {
  if (::isatty(descriptor) != 1) return ::write(descriptor, text.data(), text.size());
  sigset_t stop;
  sigset_t mask;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTTOU);
  ::pthread_sigmask(SIG_BLOCK, &stop, &mask);  // while it is blocked, the terminal lets the write through
  const ssize_t written = ::write(descriptor, text.data(), text.size());
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  errno = error;
  return written;
}

}  // namespace taskhost
