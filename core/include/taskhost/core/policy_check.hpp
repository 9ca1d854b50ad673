// What the values of one task's policy must keep to, alone and beside each other, so that no timer spins and each kind
// of failure that is restarted can use the budget up. Pure functions; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "taskhost/core/task_type.hpp"

namespace taskhost {

// No execution is started, fails and is judged in less, or hardly one: a time that is shorter was mistyped.
inline constexpr std::chrono::nanoseconds min_execution_time = std::chrono::microseconds(1);

struct PolicyProblem {
  std::string_view field;  // that is wrong, by its name in a manifest
  std::string_view other;  // with which it does not go; empty: it is wrong by itself
  std::string step;        // behind the field, if what is wrong lies in it: "/0/action"
  std::string message;     // what is wrong, and what to do
};

// Of an exit rule that has no meaning for this type.
inline constexpr const char* never_restarted_problem =
    "a \"shutdown_on_exit\" task is never restarted; choose \"stop_host\", \"fail_host\" or \"discard\", or another "
    "type";

// Empty if all is well. The supervisor refuses a task with a problem.
std::vector<PolicyProblem> check_policy(const TaskOptions& options);

// That "max" is shorter than "initial", in words.
std::string backoff_order_problem(const Backoff& backoff);

// The shortest time that this many restarts in a row take by their delays alone, without jitter.
std::chrono::nanoseconds shortest_delays(const Backoff& backoff, std::uint64_t restarts);

}  // namespace taskhost
