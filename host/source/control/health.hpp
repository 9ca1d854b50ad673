// Whether a host is live, and whether it is ready. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "control/status.hpp"

namespace taskhost {

// Live is a host whose shards and control thread turn. A failed task belongs to readiness: a restart of the host would
// not cure it. Empty: it is live.
std::string live_problem(const HostStatus& host);

// Empty: all tasks that the host needs are ready. `tasks` may lack some, which are then not named.
std::string ready_problem(const HostStatus& host, const std::vector<TaskStatus>& tasks);

// Whether the tasks that are still to get ready, and the host needs, have limits of their own for that: their starts
// have a start_timeout, and their restarts are used up some day. So does what they wait for.
bool start_is_limited(const HostStatus& host, const std::vector<TaskStatus>& tasks);

}  // namespace taskhost
