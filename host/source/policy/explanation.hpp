// `taskhost check --explain`: the combined effect of the supervision settings, in plain words and exact numbers. Pure
// functions; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "taskhost/core/task_list.hpp"

namespace taskhost {

struct ExplainedTasks {
  const TaskList& tasks;                 // its relations have no cycles
  std::vector<std::string> group_names;  // by index in the list's groups
  std::optional<std::chrono::nanoseconds> shutdown_timeout{};
  std::chrono::nanoseconds default_stop_timeout = std::chrono::seconds(10);  // for tasks whose own is negative
  std::optional<unsigned> blocking_threads{};
  Nanoseconds now = 0;  // by the supervisor's clock: schedules are told from here on
};

std::string explanation_text(const ExplainedTasks& explained);
std::string explanation_json(const ExplainedTasks& explained);

}  // namespace taskhost
