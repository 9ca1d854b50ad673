// The rules for the fields of one task's policy, alone and in combination, whether they come from a manifest or the C
// interface. A pure function; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "taskhost/core/limits.hpp"
#include "taskhost/core/policy_check.hpp"

namespace taskhost {

inline constexpr std::uint32_t max_restarts = 4'294'967'294;

// Empty if there are none. Includes check_policy's, and combinations that make no sense.
std::vector<PolicyProblem> policy_problems(const TaskOptions& options);

}  // namespace taskhost
