// Lists of tasks, and what `taskhost check --explain` prints of them.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/explanation.hpp"

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
  return explanation_text({.tasks = tasks, .group_names = std::move(groups), .shutdown_timeout = shutdown_timeout});
}

inline std::string explain_one(const TaskOptions& options) {
  TaskList tasks;
  add(tasks, "pump", options);
  return explain(tasks);
}

inline bool has(const std::string& text, const std::string& lines) { return text.find(lines) != std::string::npos; }

}  // namespace taskhost::test
