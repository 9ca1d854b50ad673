// What the fields of one task's policy must keep to, alone and beside each other, wherever they come from: a manifest
// or the C interface. A pure function; any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "taskhost/core/task_type.hpp"

namespace taskhost {

inline constexpr std::uint32_t most_restarts = 4'294'967'294;
inline constexpr std::uint32_t most_restarts_in_window = 65'536;  // the time of each is kept

struct PolicyProblem {
  std::string_view field;  // that is wrong, by its name in a manifest
  std::string_view other;  // with which it does not go; empty: it is wrong by itself
  std::string step;        // behind the field, if what is wrong lies in it: "/0/action"
  std::string message;
};

// Empty if all is well.
std::vector<PolicyProblem> policy_problems(const TaskOptions& options);

// That "max" is shorter than "initial", in words.
std::string backoff_order_problem(const Backoff& backoff);

// The shortest time that this many restarts in a row take by their delays alone, without jitter.
std::chrono::nanoseconds shortest_delays(const Backoff& backoff, std::uint64_t restarts);

}  // namespace taskhost
