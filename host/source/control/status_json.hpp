// Status as JSON, for the control socket and for embedders; host/README.md lists the fields. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "control/status.hpp"

namespace taskhost {

// Appends one object, on one line. `now_us`: the wall clock, microseconds since 1970, at report.at.
void append_task_json(std::string& json, const TaskStatus& task, std::int64_t now_us);
void append_host_json(std::string& json, const HostStatus& host);

}  // namespace taskhost
