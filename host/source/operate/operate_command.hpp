// The commands that operate running hosts: ps, status, top, explain, start, stop, restart, logs, events, shutdown,
// completion. Turns options into calls of a host's API, and answers into text. Of our own headers, uses taskhost.h,
// text/ and control/place.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): not ours
class App;
}

namespace taskhost {

struct OperateArguments {
  std::string host;                // a name or a path; empty: the only one
  std::vector<std::string> tasks;  // names and patterns
  bool json = false;
  bool all = false;  // hosts
  bool no_wait = false;
  bool wait = false;
  bool follow = false;
  std::optional<std::uint64_t> last;   // of records, only so many
  std::string since;                   // a duration or a local time; empty: from the beginning
  std::optional<std::uint64_t> after;  // a record's number
  std::string level;                   // of the log; empty: all
  std::string timeout;                 // a duration; empty: the command's own
  std::string word;                    // of completion: a shell; of complete: what
};

void add_operate_commands(CLI::App& app, OperateArguments& arguments);

// What stands below a command's options in its help: examples, a line each, then its exit statuses.
std::string help_footer(std::string_view examples, std::string_view statuses);

// The exit status; nothing if the command that was called is another one. `print` writes to stdout, at once;
// false if that can't be written to any more.
std::optional<int> operate(const CLI::App& app, const OperateArguments& arguments, bool (*print)(std::string_view));

}  // namespace taskhost
