// A task: a named, supervised use of a recipe. A value, to be given to the supervisor.
#pragma once

#include <string>

#include "taskhost/core/task_fn.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

struct Task {
  std::string name;  // unique within a supervisor; shown to users
  TaskFn function;
  TaskOptions options;
};

}  // namespace taskhost
