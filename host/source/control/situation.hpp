// Says why a task is in its state and what comes next, in one sentence or two: what `taskhost explain TASK` prints.
// Pure; any thread.
#pragma once

#include <string>

#include "control/status.hpp"

namespace taskhost {

// "it failed (no route to host) and starts again in 3.2 s; 2 of 5 restarts are left"
std::string situation(const TaskStatus& task);

}  // namespace taskhost
