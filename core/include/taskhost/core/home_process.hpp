// The process that an object was made in. A child that is forked from it has a copy of the object, but none of the
// threads that serve it: its locks may be held for ever, and its descriptors are its parent's.
#pragma once

#include <atomic>

namespace taskhost {

class HomeProcess {
 public:
  HomeProcess() noexcept;

  // [any thread, async-signal-safe] False: in a child. Of children that system calls make past `fork` nothing is known.
  bool is_here() const noexcept { return forks_at_start_ == forks.load(std::memory_order_relaxed); }

 private:
  friend void mark_child() noexcept;
  static std::atomic<unsigned> forks;  // that lie between the first process of all and this one

  unsigned forks_at_start_;
};

// [any thread, async-signal-safe] For a child that has returned into what is its parent's: says on stderr whose it is,
// such as "task 't'", and ends it.
[[noreturn]] void end_forked_child(const char* what, const char* name) noexcept;

}  // namespace taskhost
