// Checks a complete event stream against what host/README.md and core/SUPERVISION.md promise of all of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/event_stream.hpp"

namespace taskhost::test {

// What the manifest says about a task with optional fields.
struct SpecialTask {
  std::optional<std::uint32_t> restarts = 0;  // absent: unlimited
  bool window = false;
  std::optional<double> reset_after_ms{};
  bool notify = false;
  bool may_fail_to_stop = false;      // start_timeout, or a watchdog that restarts, may stop it, which is an exit
  bool exit_rules = false;            // it has some
  bool repeat = false;                // it is due again when it has ended well
  std::string on_give_up{"default"};  // "cooldown", …
  std::vector<std::string> after{};
  bool in_group = false;  // in a group that restarts more than the member that failed
};

// What the test knows about the run apart from its events.
struct RunFacts {
  int status = 0;                                  // exit status
  std::map<std::string, std::uint32_t> budgets{};  // by task; absent: unknown
  std::map<std::string, SpecialTask> special{};    // by task
  bool operated = false;                           // operators stop, start and restart tasks
  bool cut_short = false;   // ended by a second signal or by exit(): the last events may be missing
  bool wild_clock = false;  // the wall clock is set back
};

// Empty if there is no fault, else one fault per line.
std::string broken_event_rules(const EventStream& stream, const RunFacts& facts);

}  // namespace taskhost::test
