// Metrics in Prometheus's text format 0.0.4. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "control/status.hpp"

namespace taskhost {

struct ProcessFigures {  // of this process, as Prometheus's standard process_ metrics; negative: unknown
  double cpu_seconds = -1;
  double resident_bytes = -1;
  double virtual_bytes = -1;
  double open_fds = -1;
  double max_fds = -1;
  double start_time_seconds = -1;
};

// Tasks have series of their own up to `max_tasks`; beyond that only sums over all are given, and
// taskhost_metrics_tasks_omitted says how many have none. `clock_zero_us`: the wall clock when the supervisor's clock
// was 0, in microseconds since 1970; to be read once, since the moment of a start must not change from scrape to
// scrape.
//
// What is not known has no series: most of those of a task whose shard did not answer, and then also the sums of starts
// and restarts, since a counter without the share of one shard would look like one that was reset.
std::string metrics_text(const HostStatus& host, const std::vector<TaskStatus>& tasks, std::size_t max_tasks,
                         const ProcessFigures& process, std::int64_t clock_zero_us);

}  // namespace taskhost
