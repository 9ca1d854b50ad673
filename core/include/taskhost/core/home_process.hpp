// The process in which an object was made. A forked child has a copy of the object, but none of the threads that serve
// it: its locks may be held for ever, and its descriptors are shared with the parent.
#pragma once

#include <atomic>

namespace taskhost {

class HomeProcess {
 public:
  HomeProcess() noexcept;

  // [any thread, async-signal-safe] False in a child. Children made by direct system calls instead of `fork` are not
  // noticed.
  bool is_here() const noexcept { return forks_at_start_ == forks.load(std::memory_order_relaxed); }

 private:
  friend void mark_child() noexcept;
  static std::atomic<unsigned> forks;  // between the first process and this one

  unsigned forks_at_start_;
};

// [any thread, async-signal-safe] Called in a child that has returned into its parent's host: reports on stderr who
// forked it, such as "task 't'", and ends it.
[[noreturn]] void end_forked_child(const char* what, const char* name) noexcept;

// Around foreign code: a child that it forks goes no further, whether that code returns or throws.
class ChildGuard {
 public:
  // The texts must outlive it.
  ChildGuard(const char* what, const char* name) noexcept : what_(what), name_(name) {}
  ~ChildGuard() {
    if (!home_.is_here()) end_forked_child(what_, name_);
  }
  ChildGuard(const ChildGuard&) = delete;
  ChildGuard& operator=(const ChildGuard&) = delete;

 private:
  const char* const what_;
  const char* const name_;
  const HomeProcess home_{};
};

}  // namespace taskhost
