// taskhost_task_options of the C interface as values. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "taskhost/core/task_type.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

// How a task of the program's own stands to others, by names.
struct OwnRelation {
  std::vector<std::string> after;
  std::optional<std::string> group{};
  std::optional<Strategy> strategy{};  // of the group; absent: as it has it already
};

struct OwnTask {
  TaskOptions options;
  OwnRelation relation;
  std::string problem;  // what is wrong; empty: nothing
};

// `given` is complete: what the caller's struct lacks is zero.
OwnTask read_own_task(const taskhost_task_options& given);

}  // namespace taskhost
