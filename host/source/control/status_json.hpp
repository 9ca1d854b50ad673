// Status as JSON, for the control socket and for embedders; host/README.md lists the fields. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "control/status.hpp"

namespace taskhost {

// Appends one object, on one line; it always has the same fields, in the same order. `wall_us`: the wall clock,
// microseconds since 1970, at report.at. For times that do not change from call to call, take it from one reading of
// both clocks for the whole life of the host.
//
// Null: `plugin` and `factory` of the program's own tasks, `restarts` and `remaining` if they are unlimited (a
// shutdown_on_exit task has 0 of both, since its exits are never answered with a restart), times that are unknown,
// `started` and `uptime_ms` without a live execution, `next_start` and `next_start_ms` unless it is delayed, and texts
// and words where there are none. `purpose` may be set before the task is asked to stop. `next_start_ms` is rounded up,
// ages are rounded down.
//
// A task whose shard did not answer has `"state":"unknown"`, and besides that only name, id, plugin, factory, shard and
// situation.
void append_task_json(std::string& json, const TaskStatus& task, std::int64_t wall_us);

// `tasks` has the total, and how many are in each state; `unanswered` ones are in none. Their shards' `starts` and
// `restarts` are not counted then. Before the start, `instance` and `since` are null.
void append_host_json(std::string& json, const HostStatus& host);

}  // namespace taskhost
