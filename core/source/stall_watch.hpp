// How the stall monitor interprets what it sees, check by check. Pure: time is passed in. For the control thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "tenure.hpp"

namespace taskhost {

// The monitor's own clock, which advances with its checks: one that comes far too late counts as one that comes a
// little late. So while nothing could run (SIGSTOP, a debugger, a suspended machine, a starved container), calls don't
// age, and none is blamed for the pause.
class WatchTime {
 public:
  using Real = std::chrono::steady_clock::time_point;
  using Time = std::chrono::nanoseconds;

  WatchTime(Time limit, Real now) noexcept : limit_(limit), last_(now) {}

  Time now() const noexcept { return now_; }
  // To be called at each check.
  void advance(Real real) noexcept {
    const Time passed = real - last_;
    last_ = real;
    now_ += due_in_ ? std::min(passed, *due_in_ + std::min(*due_in_, limit_ / 8)) : passed;
  }
  // The next check is due after this time; absent: as soon as a shard wakes up.
  void next_look_in(std::optional<Time> time) noexcept { due_in_ = time; }

 private:
  const Time limit_;
  Real last_;
  Time now_{0};
  std::optional<Time> due_in_;
};

// What one shard's thread was last seen doing, and since when.
class StallWatch {
 public:
  using Time = WatchTime::Time;
  // Where one call has stalled, more will probably follow: for a period of ten limits, calls get only a sixteenth of
  // the limit before they lose the shard. Calls that return within the whole limit do not extend that period.
  static constexpr int hurry = 16;
  static constexpr int limits_of_hurry = 10;

  explicit StallWatch(Time limit) noexcept : limit_(limit) {}

  // True if it is still in the same call or handler as at the last check.
  bool look(const Sight& sight, Time now) noexcept {
    if (sight_ == sight) return true;
    sight_ = sight;
    since_ = now;
    return false;
  }
  // The shard was taken over: whatever is seen next is new.
  void forget() noexcept { sight_.reset(); }
  // A call has outlived the whole limit.
  void note_stall(Time now) noexcept { stalled_ = now; }

  const Sight& sight() const noexcept { return *sight_; }  // only after look
  Time since() const noexcept { return since_; }
  bool hurries(Time now) const noexcept { return stalled_ && now - *stalled_ < limits_of_hurry * limit_; }
  // How long a call may take before the shard is taken over.
  Time patience(Time now) const noexcept { return hurries(now) ? limit_ / hurry : limit_; }

 private:
  const Time limit_;
  std::optional<Sight> sight_;
  Time since_{0};
  std::optional<Time> stalled_;  // when note_stall was last called
};

// The host's stop, as far as it matters for stuck threads.
class StopWatch {
 public:
  using Time = WatchTime::Time;
  // A call counts as stuck if its task's stop_timeout is over and it has been seen for at least this long.
  static constexpr Time stuck_after = std::chrono::milliseconds(200);
  // No other thread can take over from a handler that a C++ task posted itself. When the stop has run out of time and
  // the handler does not return for this much longer, its shard is given up.
  static constexpr Time give_up_after = std::chrono::seconds(5);

  void begin(Time now) noexcept { began_ = now; }
  void expire(Time now) noexcept { expired_ = now; }
  bool begun() const noexcept { return began_.has_value(); }

  // Whether a task with this stop_timeout has used it up.
  bool is_over(std::chrono::nanoseconds stop_timeout, Time now) const noexcept {
    return expired_ || (began_ && now - *began_ >= stop_timeout);
  }
  // For a call, or a handler, that has been seen since `since`.
  bool is_stuck(Time since, Time now) const noexcept { return began_ && now - since >= stuck_after; }
  bool is_hopeless(Time since, Time now) const noexcept {
    return expired_ && now - std::max(since, *expired_) >= give_up_after;
  }

 private:
  std::optional<Time> began_;
  std::optional<Time> expired_;
};

}  // namespace taskhost
