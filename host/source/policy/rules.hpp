// The rules for the fields of one task's policy, alone and in combination, whether they come from a manifest or the C
// interface. A pure function; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "taskhost/core/limits.hpp"
#include "taskhost/core/policy_check.hpp"

namespace taskhost {

inline constexpr std::uint32_t max_restarts = 4'294'967'294;

// Whether all exits with this outcome are taken by rules, the first `count` of them.
bool is_taken(const std::vector<ExitRule>& rules, Outcome outcome, std::size_t count);
inline bool is_taken(const std::vector<ExitRule>& rules, Outcome outcome) {
  return is_taken(rules, outcome, rules.size());
}
// Whether some failure is taken by none of them.
bool is_failure_left(const SupervisionOptions& optional);
// Whether no exit can come to this rule, or match it.
bool is_dead(const SupervisionOptions& optional, std::size_t rule);

// What exits of the task can lead to.
struct ExitChances {
  bool restart = false;  // if the budget allows it
  bool give_up = false;  // by a rule, or since the budget is used up
  bool discard_after_failure = false;
};
ExitChances chances_of(TaskType type, const SupervisionOptions& optional);
ExitChances chances_of(const TaskOptions& options);
// Whether its group may be restarted because of it. (A cooldown is a restart to the others.)
bool may_restart(const TaskOptions& options);
// Whether a time limit may ask it to end.
bool is_timed(const TaskOptions& options);
// Which exits are charged, if restarts are left.
enum class ChargedExits : std::uint8_t {
  failures,       // all of them
  some_failures,  // exit rules take others
  good_ends,      // and no failure
};
ChargedExits charged_exits(const TaskOptions& options);
// Whether it is discarded when it ends well, and the host goes on.
bool is_discarded_well(const TaskOptions& options);

// Why reset_after would change nothing for a task that is restarted; empty if it may.
std::string vain_reset(const SupervisionOptions& optional);

// Empty if there are none. Includes check_policy's, and combinations that make no sense.
std::vector<PolicyProblem> policy_problems(const TaskOptions& options);

}  // namespace taskhost
