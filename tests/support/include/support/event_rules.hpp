// What PRODUCT 3 and 6 promise of every event stream, checked on one that is over.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "support/event_stream.hpp"

namespace taskhost::test {

// What the test knows about the run besides its events.
struct RunFacts {
  int status = 0;                                  // exit status
  std::map<std::string, std::uint32_t> budgets{};  // by task; absent: not known
  bool cut_short = false;  // ended by a second signal or by exit(): the last events may be missing
};

// Empty if all is well, else what is wrong, one fault a line.
std::string broken_event_rules(const EventStream& stream, const RunFacts& facts);

}  // namespace taskhost::test
