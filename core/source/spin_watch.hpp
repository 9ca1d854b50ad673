// Notices an execution that is polled again and again at once, and so keeps a processor busy: at each turn of a shard
// it sees who comes first, and once in half a second counts. Polls themselves pay nothing for it.
#pragma once

#include <cstdint>

#include "taskhost/core/clock.hpp"

namespace taskhost {

struct TaskCell;

class SpinWatch {
 public:
  static constexpr Nanoseconds window = 500'000'000;
  static constexpr std::uint64_t many = 100'000;

  // `first` comes first in a turn; `polls`: of the whole shard so far. Returns how many polls there were since the last
  // count, if they were many and this execution came first in at least three turns of four; otherwise 0.
  std::uint64_t look(const TaskCell* first, std::uint64_t execution, Nanoseconds now, std::uint64_t polls) noexcept {
    if (first == cell_ && execution == execution_) {
      ++votes_;
    } else if (votes_ != 0) {
      --votes_;
    } else {
      cell_ = first;
      execution_ = execution;
      votes_ = 1;
    }
    ++turns_;
    return now - began_ < window ? 0 : count(first, execution, now, polls);
  }

 private:
  std::uint64_t count(const TaskCell* first, std::uint64_t execution, Nanoseconds now, std::uint64_t polls) noexcept {
    const std::uint64_t polled = polls - polls_;
    const bool spins = polled >= many && first == cell_ && execution == execution_ && 2 * votes_ >= turns_;
    began_ = now;
    polls_ = polls;
    votes_ = turns_ = 0;
    return spins ? polled : 0;
  }

  const TaskCell* cell_ = nullptr;
  std::uint64_t execution_ = 0;
  std::uint64_t votes_ = 0;
  std::uint64_t turns_ = 0;
  std::uint64_t polls_ = 0;
  Nanoseconds began_ = 0;
};

}  // namespace taskhost
