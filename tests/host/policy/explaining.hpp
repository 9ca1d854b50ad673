// Lists of tasks, and what `taskhost check --explain` prints of them.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/explanation.hpp"
#include "support/catch.hpp"

namespace taskhost::test {

using namespace std::chrono_literals;

inline TaskOptions options_with(TaskType type, std::uint32_t restarts, SupervisionOptions optional) {
  return {type, restarts, 10s, std::make_shared<const SupervisionOptions>(std::move(optional))};
}

// The recipe does not matter here.
inline std::size_t add(TaskList& tasks, const char* name, const TaskOptions& options) {
  static const TaskFn function = TaskFn::from_blocking([] {});
  return tasks.add(name, function, options);
}

inline std::string explain(const TaskList& tasks, std::optional<std::chrono::nanoseconds> shutdown_timeout = {},
                           std::vector<std::string> groups = {}) {
  std::string text =
      explanation_text({.tasks = tasks, .group_names = std::move(groups), .shutdown_timeout = shutdown_timeout});
  // The last line ends with what is not in it, always the same.
  constexpr std::string_view beyond =
      "; slow readers of the log and events, and exit handlers of plugins, add up to 15s\n";
  if (tasks.size() == 0) return text;
  REQUIRE(text.ends_with(beyond));
  return text.replace(text.size() - beyond.size(), beyond.size(), "\n");
}

inline std::string explain_one(const TaskOptions& options) {
  TaskList tasks;
  add(tasks, "pump", options);
  return explain(tasks);
}

inline bool has(const std::string& text, const std::string& lines) { return text.find(lines) != std::string::npos; }

}  // namespace taskhost::test
