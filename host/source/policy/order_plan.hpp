// In which order tasks start and stop by what they come after, and how long a stop may take. A pure function; any
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "taskhost/core/task_list.hpp"

namespace taskhost {

struct OrderPlan {
  // By task, from 0: a task starts behind those of lower levels that it comes after, and is asked to stop behind those
  // of lower levels that come after it.
  std::vector<std::uint32_t> start_level;
  std::vector<std::uint32_t> stop_level;
  // The tasks whose stop_timeouts make the longest stop, the first to be asked first; and the sum of these.
  std::vector<std::uint32_t> longest_stop;
  std::chrono::nanoseconds longest_stop_time{0};
};

// The relations have no cycles.
OrderPlan plan_order(const TaskList& tasks, std::chrono::nanoseconds default_stop_timeout);

// A task's own, or if that is negative the default.
std::chrono::nanoseconds stop_timeout_of(const TaskOptions& options, std::chrono::nanoseconds default_stop_timeout);

}  // namespace taskhost
