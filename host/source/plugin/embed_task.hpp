// Reads taskhost_task_options of the C interface. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "taskhost/core/task_type.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

// The relations of a task that the program adds, by name.
struct OwnRelation {
  std::vector<std::string> after;
  std::optional<std::string> group{};
  std::optional<Strategy> strategy{};  // of the group; absent if the group keeps the one it has
};

struct OwnTask {
  TaskOptions options;
  OwnRelation relation;
  std::string problem;  // what is wrong; empty if nothing is
};

// `given` is complete: fields that the caller's struct lacks are zero.
OwnTask read_own_task(const taskhost_task_options& given);

}  // namespace taskhost
