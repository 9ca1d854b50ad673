// When a task with `repeat` is due again; SUPERVISION.md defines it. Plain values and pure functions; any thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "taskhost/core/clock.hpp"

namespace taskhost {

// Times by the wall clock. Implemented by whoever knows calendars and time zones; any thread.
class Schedule {
 public:
  virtual ~Schedule() = default;
  // The wall clock's time, in nanoseconds since 1970 (UTC), when the supervisor's clock says `now`.
  virtual Nanoseconds wall_time(Nanoseconds now) const noexcept = 0;
  // The first of its times after this one, by the wall clock.
  virtual Nanoseconds next(Nanoseconds after) const noexcept = 0;
  // For people: all of it, and one of its times.
  virtual std::string text() const = 0;
  virtual std::string time_text(Nanoseconds wall) const = 0;
};

struct Repetition {
  std::chrono::nanoseconds every{0};              // by the supervisor's clock, counted from the first execution
  std::shared_ptr<const Schedule> schedule = {};  // instead of `every`

  bool operator==(const Repetition&) const = default;
};

// Nobody tells when the wall clock is set or the machine wakes up: a task that waits for it looks so often.
inline constexpr Nanoseconds schedule_look = 60'000'000'000;
// A wall clock that is set back by more than this was wrong before.
inline constexpr Nanoseconds schedule_correction = 3 * 3600 * Nanoseconds{1'000'000'000};

// The times up to `covered`, by the clock that they are measured by, have had their execution; `never`: none has begun.
// What is covered once another execution has begun at `now`, by the supervisor's clock.
Nanoseconds cover(const Repetition& repetition, Nanoseconds covered, Nanoseconds now) noexcept;
// How long it is from `now` until the next is due; 0: it is due. Moves `covered` back if the wall clock was corrected.
Nanoseconds time_until_due(const Repetition& repetition, Nanoseconds& covered, Nanoseconds now) noexcept;

}  // namespace taskhost
