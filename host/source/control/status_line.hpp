// What a host is doing, in one short line for a service manager. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "control/status.hpp"

namespace taskhost {

// "12 tasks run, 1 waits to restart: flaky (no route)". `tasks` may be empty: then none is named. What tasks say is
// made harmless, and the line is at most some 500 bytes long.
std::string status_line(const HostStatus& host, const std::vector<TaskStatus>& tasks);

// Whether there are tasks that it would name.
bool has_remarkable_tasks(const HostStatus& host);

}  // namespace taskhost
