// Checks a task's policy: each value by itself, and the combinations. They ensure that no timer spins, and that each
// kind of failure that leads to a restart can use up the budget. Pure functions; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "taskhost/core/task_type.hpp"

namespace taskhost {

// Hardly any execution can start, fail and be judged in less than this, so a shorter time is taken for a typing error.
inline constexpr std::chrono::nanoseconds min_execution_time = std::chrono::microseconds(1);

// Restarts without end have at least this delay, and no execution gives restarts back before it was ready for so long:
// a task that fails at once would keep a processor busy.
inline constexpr std::chrono::nanoseconds min_time_per_endless_restart = std::chrono::milliseconds(1);

struct PolicyProblem {
  std::string_view field;  // the wrong field, by its name in a manifest
  std::string_view other;  // the field that it conflicts with; empty: it is wrong by itself
  std::string step;        // the path within the field, if the problem is inside it: "/0/action"
  std::string message;     // what is wrong, and what to do
};

// The message for an exit rule that has no meaning for this type.
inline constexpr const char* never_restarted_problem =
    "a \"shutdown_on_exit\" task is never restarted; choose \"stop_host\", \"fail_host\" or \"discard\", or another "
    "type";

// Empty if there is no problem. The supervisor refuses a task that has one.
std::vector<PolicyProblem> check_policy(const TaskOptions& options);

// The message for a "max" that is shorter than "initial".
std::string backoff_order_problem(const Backoff& backoff);

// The sum of the delays before this many restarts in a row, without jitter: the shortest time that they can take.
// Saturates. It is exact if no more than this many delays differ from each other.
inline constexpr std::uint64_t max_added_delays = 1'000'000;
std::chrono::nanoseconds shortest_delays(const Backoff& backoff, std::uint64_t restarts);

}  // namespace taskhost
