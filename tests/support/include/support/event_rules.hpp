// What host/README.md and core/SUPERVISION.md promise of every event stream, checked on one that is over.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/event_stream.hpp"

namespace taskhost::test {

// What the manifest says of a task with optional fields.
struct SpecialTask {
  std::optional<std::uint32_t> restarts = 0;  // absent: unlimited
  bool window = false;
  std::optional<double> reset_after_ms{};
  bool notify = false;
  bool may_fail_to_stop = false;      // start_timeout, or a watchdog that restarts: it is stopped, and that is an exit
  bool exit_rules = false;            // some
  std::string on_give_up{"default"};  // "cooldown", …
  std::vector<std::string> after{};
  bool in_group = false;  // that restarts more than the member that failed
};

// What the test knows about the run besides its events.
struct RunFacts {
  int status = 0;                                  // exit status
  std::map<std::string, std::uint32_t> budgets{};  // by task; absent: not known
  std::map<std::string, SpecialTask> special{};    // by task
  bool operated = false;                           // operators stop, start and restart tasks
  bool cut_short = false;   // ended by a second signal or by exit(): the last events may be missing
  bool wild_clock = false;  // the wall clock goes back
};

// Empty if all is well, else what is wrong, one fault a line.
std::string broken_event_rules(const EventStream& stream, const RunFacts& facts);

}  // namespace taskhost::test
