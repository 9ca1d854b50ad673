// The order in which tasks start and stop, as given by `after`, and how long a stop may take. A pure function; any
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "taskhost/core/task_list.hpp"

namespace taskhost {

struct OrderPlan {
  // By task, from 0: a task starts after those of lower levels that it comes after, and is asked to stop after those of
  // lower levels that come after it.
  std::vector<std::uint32_t> start_level;
  std::vector<std::uint32_t> stop_level;
  // The tasks whose stop_timeouts add up to the longest stop, in the order in which they are asked, and that sum.
  std::vector<std::uint32_t> longest_stop;
  std::chrono::nanoseconds longest_stop_time{0};
};

// The relations must have no cycles.
OrderPlan plan_order(const TaskList& tasks, std::chrono::nanoseconds default_stop_timeout);

// What readers of the log and of events, and exit handlers of plugins, may add to a stop.
inline constexpr std::chrono::seconds longest_afterwards{15};

// Whether the longest stop fits into the shutdown_timeout. `barely`: each step is a little longer than its
// stop_timeout, so it need not.
enum class StopFits : std::uint8_t { no, barely, yes };
StopFits longest_stop_fits(const OrderPlan& plan, std::chrono::nanoseconds shutdown_timeout);

// The task's own, or the default if that is negative.
std::chrono::nanoseconds stop_timeout_of(const TaskOptions& options, std::chrono::nanoseconds default_stop_timeout);

}  // namespace taskhost
