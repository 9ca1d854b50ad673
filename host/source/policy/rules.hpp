// What the fields of one task's policy must keep to, alone and beside each other, wherever they come from: a manifest
// or the C interface. A pure function; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "taskhost/core/limits.hpp"
#include "taskhost/core/policy_check.hpp"

namespace taskhost {

inline constexpr std::uint32_t max_restarts = 4'294'967'294;

// Empty if all is well. check_policy's, and what would be of no use.
std::vector<PolicyProblem> policy_problems(const TaskOptions& options);

}  // namespace taskhost
