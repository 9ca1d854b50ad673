// A task: a named, supervised use of a recipe. A value; the supervisor takes it in.
#pragma once

#include <string>

#include "taskhost/core/task_fn.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

struct Task {
  std::string name;  // unique within a supervisor; what people see
  TaskFn function;
  TaskOptions options;
};

}  // namespace taskhost
