// What the stall monitor makes of what it sees, look by look. Pure: time is passed in. The control thread's.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "tenure.hpp"

namespace taskhost {

// The monitor's own time. It goes on with its looks: one that comes far too late counts as little more than one in
// time. So while nobody could run (SIGSTOP, a debugger, a suspended machine, a starved container), nothing grows older,
// and no call is blamed for a pause.
class WatchTime {
 public:
  using Real = std::chrono::steady_clock::time_point;
  using Time = std::chrono::nanoseconds;

  WatchTime(Time limit, Real now) noexcept : limit_(limit), last_(now) {}

  Time now() const noexcept { return now_; }
  // A look.
  void advance(Real real) noexcept {
    const Time passed = real - last_;
    last_ = real;
    now_ += due_in_ ? std::min(passed, *due_in_ + std::min(*due_in_, limit_ / 8)) : passed;
  }
  // The next look is due after this time; absent: as soon as somebody does anything at all.
  void next_look_in(std::optional<Time> time) noexcept { due_in_ = time; }

 private:
  const Time limit_;
  Real last_;
  Time now_{0};
  std::optional<Time> due_in_;
};

// Of one shard: what its thread is at, and since when that was seen.
class StallWatch {
 public:
  using Time = WatchTime::Time;
  // Where a call has stalled, there are probably more of them: for ten limits' time, calls get a sixteenth of the limit
  // before the shard is taken off them. Those that return after less than the whole limit do not renew that.
  static constexpr int hurry = 16;
  static constexpr int limits_of_hurry = 10;

  explicit StallWatch(Time limit) noexcept : limit_(limit) {}

  // True: it is at the very same thing as at the last look.
  bool look(const Sight& sight, Time now) noexcept {
    if (sight_ == sight) return true;
    sight_ = sight;
    since_ = now;
    return false;
  }
  // It was taken over: whatever is seen next is something else.
  void forget() noexcept { sight_.reset(); }
  // A call has outlived the whole limit.
  void note_stall(Time now) noexcept { stalled_ = now; }

  const Sight& sight() const noexcept { return *sight_; }  // after a look
  Time since() const noexcept { return since_; }
  bool hurries(Time now) const noexcept { return stalled_ && now - *stalled_ < limits_of_hurry * limit_; }
  // How long a call may take before the shard is taken over.
  Time patience(Time now) const noexcept { return hurries(now) ? limit_ / hurry : limit_; }

 private:
  const Time limit_;
  std::optional<Sight> sight_;
  Time since_{0};
  std::optional<Time> stalled_;  // the last time
};

// The stop of the host, as far as stuck threads are concerned.
class StopWatch {
 public:
  using Time = WatchTime::Time;
  // How long the very same call must have been seen, beyond its task's stop_timeout, before it counts as stuck.
  static constexpr Time stuck_after = std::chrono::milliseconds(200);
  // Nobody can go on in the place of a handler that a C++ task posted by itself. When the stop has run out of time, and
  // the handler for so much more, its shard is given up.
  static constexpr Time give_up_after = std::chrono::seconds(5);

  void begin(Time now) noexcept { began_ = now; }
  void expire(Time now) noexcept { expired_ = now; }
  bool begun() const noexcept { return began_.has_value(); }

  // Whether who has this much time for stopping has used it up.
  bool is_over(std::chrono::nanoseconds stop_timeout, Time now) const noexcept {
    return expired_ || (began_ && now - *began_ >= stop_timeout);
  }
  // A call, or a handler, that is seen since then.
  bool is_stuck(Time since, Time now) const noexcept { return began_ && now - since >= stuck_after; }
  bool is_hopeless(Time since, Time now) const noexcept {
    return expired_ && now - std::max(since, *expired_) >= give_up_after;
  }

 private:
  std::optional<Time> began_;
  std::optional<Time> expired_;
};

}  // namespace taskhost
