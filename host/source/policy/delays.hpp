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

struct RestartDelays {
  std::vector<DelayRange> first;   // those that differ from the previous one, up to max_listed
  std::optional<DelayRange> rest;  // the delay of all later ones, if they are the same
  std::uint64_t left_out = 0;      // how many come after these, each longer than the previous one
  // Time from the first failure if every execution fails at once: the sum of the delays. Absent if it never gives up.
  std::optional<std::chrono::nanoseconds> gives_up_after;
};

RestartDelays restart_delays(const TaskOptions& options);

// The delay before a repeat.
DelayRange repeat_delay(const Backoff& backoff);

}  // namespace taskhost
