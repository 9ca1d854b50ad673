// Small threads: for an emergency beforehand, because later the system may not provide one, and to watch something.
#pragma once

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

namespace taskhost {

// Creates a thread with a small stack and these signals blocked. Returns an errno, or 0.
inline int make_small_thread(pthread_t& thread, void* (*function)(void*), void* argument,
                             const sigset_t& blocked) noexcept {
  constexpr std::size_t min_stack = std::size_t{64} << 10;
  constexpr std::size_t max_stack = std::size_t{8} << 20;
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, &blocked, &mask);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  int error = EINVAL;  // while the stack is too small for all libraries' thread-local data
  for (std::size_t size = min_stack; error == EINVAL && size <= max_stack; size *= 2) {
    ::pthread_attr_setstacksize(&attributes, size);
    error = ::pthread_create(&thread, &attributes, function, argument);
  }
  ::pthread_attr_destroy(&attributes);
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  return error;
}

// The same, detached.
inline int make_emergency_thread(void* (*function)(void*), const sigset_t& blocked) noexcept {
  pthread_t thread{};
  const int error = make_small_thread(thread, function, nullptr, blocked);
  if (error == 0) ::pthread_detach(thread);
  return error;
}

}  // namespace taskhost
