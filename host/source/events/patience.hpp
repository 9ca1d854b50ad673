// How long to wait for somebody: a limit without any progress, and one in all. Time in which this process itself stood
// still (SIGSTOP, a suspended machine) does not count. One thread.
#pragma once

#include <chrono>

namespace taskhost {

class Patience {
 public:
  using Clock = std::chrono::steady_clock;

  Patience(Clock::duration step, Clock::duration all) : step_(step), end_(Clock::now() + all) {}

  // When the wait for the next progress ends.
  Clock::time_point next() {
    until_ = Clock::now() + step_;
    return until_;
  }
  // After a wait without progress: whether it does not count, because we woke up far too late.
  bool stood_still() {
    const Clock::duration late = Clock::now() - until_;
    if (late < std::chrono::milliseconds(100)) return false;
    end_ += late;
    return true;
  }
  bool is_over() const { return Clock::now() >= end_; }

 private:
  const Clock::duration step_;
  Clock::time_point end_;
  Clock::time_point until_;
};

}  // namespace taskhost
