// Marks the kit's own threads, so that those of the plugin can be told apart in a crash.
#pragma once

#include <atomic>

namespace taskhost::verify {

// On the kit's thread while it exists. Read by a signal handler.
class KitThread {
 public:
  KitThread() noexcept {
    is_here = true;
    ++count;
  }
  ~KitThread() {
    --count;
    is_here = false;
  }
  KitThread(const KitThread&) = delete;
  KitThread& operator=(const KitThread&) = delete;

  inline static std::atomic<int> count{0};
  inline static thread_local bool is_here = false;
};

}  // namespace taskhost::verify
