// The commands that operate running hosts: ps, status, start, stop, restart, explain, shutdown, completion. Turns
// options into calls of a host's API, and answers into text. Of our own headers, uses taskhost.h, text/ and
// control/place.hpp.
#pragma once

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
  bool no_wait = false;
  bool wait = false;
  std::string timeout;  // a duration; empty: the command's own
  std::string word;     // of completion: a shell; of complete: what
};

void add_operate_commands(CLI::App& app, OperateArguments& arguments);

// The exit status; nothing if the command that was called is another one. `print` writes to stdout, at once.
std::optional<int> operate(const CLI::App& app, const OperateArguments& arguments, void (*print)(std::string_view));

}  // namespace taskhost
