// What an exit means, by task type and budget. Pure: a table as a function, no state, no time. Any thread.
#pragma once

#include <cstdint>

#include "taskhost/core/outcome.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

enum class Verdict : std::uint8_t {
  restart,            // and charge the budget
  discard,            // it is done; the others go on
  discard_exhausted,  // its budget is used up; the others go on
  stop_host_success,
  stop_host_failure,
  stop_host_exhausted,  // its budget is used up, and the host can't do without it
};

// `restarts_used` of `options.restarts` were charged before this exit. Not for Outcome::cancelled, which is no exit.
constexpr Verdict judge(const TaskOptions& options, std::uint32_t restarts_used, Outcome outcome) noexcept {
  const bool budget_left = restarts_used < options.restarts;
  switch (options.type) {
    case TaskType::shutdown_on_exit:
      return outcome == Outcome::ok ? Verdict::stop_host_success : Verdict::stop_host_failure;
    case TaskType::mandatory:
      return budget_left ? Verdict::restart : Verdict::stop_host_exhausted;
    case TaskType::detachable:
      if (outcome == Outcome::ok) return Verdict::discard;
      return budget_left ? Verdict::restart : Verdict::discard_exhausted;
  }
  return Verdict::stop_host_failure;  // not a TaskType
}

}  // namespace taskhost
