// Waits for the end of a process that is no child of this one. One thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>

namespace taskhost {

class ProcessWatch {
 public:
  explicit ProcessWatch(pid_t process);
  ~ProcessWatch();
  ProcessWatch(const ProcessWatch&) = delete;
  ProcessWatch& operator=(const ProcessWatch&) = delete;

  bool can_wait() const noexcept { return descriptor_ >= 0; }
  // A pidfd, which poll(2) finds readable once it has ended; -1: there is none.
  int descriptor() const noexcept { return descriptor_; }
  // Whether it has ended by then.
  bool wait(std::chrono::milliseconds limit) const;
  // How it ended, as waitpid tells it, if the system says so; to be called when it has ended.
  std::optional<int> wait_status() const;

 private:
  const pid_t process_;
  int descriptor_ = -1;
};

}  // namespace taskhost
