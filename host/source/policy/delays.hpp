// The delays before a task's restarts, as numbers for an explanation. Pure functions; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "taskhost/core/task_type.hpp"

namespace taskhost {

struct DelayRange {
  std::chrono::nanoseconds least{0};
  std::chrono::nanoseconds most{0};  // the same without jitter
  bool operator==(const DelayRange&) const = default;
};

// The delay before one restart, by its number from 1.
struct NumberedDelay {
  std::uint64_t restart = 0;
  DelayRange range;
};

struct RestartDelays {
  std::vector<DelayRange> first;  // with a window as if restarts had no end: all up to `rest`, or as many as are listed
  std::optional<NumberedDelay> rest;  // from this restart on all delays are the same
  std::optional<NumberedDelay> last;  // that of the last restart, if it is in neither of these
  bool saturates = false;             // `rest` is the backoff's longest delay, which others are below
  // From the first failure, if every execution fails at once: the sum of the delays, without jitter; the longest
  // duration if that is too long for one. Absent if the restarts are never used up.
  std::optional<std::chrono::nanoseconds> used_up_after;
  bool is_about = false;   // the sum is not exact
  bool may_never = false;  // with jitter, or a finish that takes its time, they may not fit into the window
  // With a window, restarts that no longer count go on lengthening the delays: after more than so many, as many delays
  // in a row as there are restarts no longer fit into it, until they are reset. Absent if they always do.
  std::optional<std::uint64_t> most_restarts;
  std::optional<std::chrono::nanoseconds> fitting_max;  // a longest delay with which they always would
};

// `finish`: how long that of an execution may take.
RestartDelays restart_delays(const TaskOptions& options, std::chrono::nanoseconds finish);

// The delay before a repeat.
DelayRange repeat_delay(const Backoff& backoff);

// The next five times from `now` on, by the supervisor's clock; fewer if there are no more.
std::vector<Nanoseconds> next_times(const Schedule& schedule, Nanoseconds now);

// If each execution lasts longer than this, from its start to its end, the window never holds enough restarts to use
// them up. `full_delays`: nothing ends a delay early. Absent without a window.
std::optional<std::chrono::nanoseconds> longest_counted_execution(const TaskOptions& options, bool full_delays);

}  // namespace taskhost
