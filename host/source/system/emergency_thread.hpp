// Creates a thread for an emergency beforehand, because later the system may not provide one.
#pragma once

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

namespace taskhost {

// Detached, with a small stack and these signals blocked. Returns an errno, or 0.
inline int make_emergency_thread(void* (*function)(void*), const sigset_t& blocked) noexcept {
  constexpr std::size_t min_stack = std::size_t{64} << 10;
  constexpr std::size_t max_stack = std::size_t{8} << 20;
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, &blocked, &mask);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread{};
  int error = EINVAL;  // while the stack is too small for all libraries' thread-local data
  for (std::size_t size = min_stack; error == EINVAL && size <= max_stack; size *= 2) {
    ::pthread_attr_setstacksize(&attributes, size);
    error = ::pthread_create(&thread, &attributes, function, nullptr);
  }
  ::pthread_attr_destroy(&attributes);
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  return error;
}

}  // namespace taskhost
