#include "control/health.hpp"

#include <algorithm>

#include "text/counted.hpp"
#include "text/printable.hpp"

namespace taskhost {

std::string live_problem(const HostStatus& host) {
  const TaskCounts& counts = host.counts;
  std::string who;
  if (counts.silent_control) who = "the control thread";
  if (counts.silent_shards != 0) {
    who += (who.empty() ? "" : " and ") + std::to_string(counts.silent_shards) + " of " + counted(host.shards, "shard");
  }
  if (who.empty()) return who;
  const bool is_one = !counts.silent_control ? counts.silent_shards == 1 : counts.silent_shards == 0;
  return who + (is_one ? " has" : " have") + " not answered for a second";
}

std::string ready_problem(const HostStatus& host, const std::vector<TaskStatus>& tasks) {
  if (std::string problem = live_problem(host); !problem.empty()) return problem;
  if (host.state != "running") return "the host is " + std::string(host.state);
  if (host.counts.needed_unready == 0) return {};
  std::string problem = std::to_string(host.counts.needed_unready) + " of the tasks that the host needs are not ready";
  constexpr std::size_t max_named = 5;
  std::size_t named = 0;
  for (const TaskStatus& task : tasks) {
    const TaskReport& report = task.report;
    const bool is_well = report.ready || report.waits_for_time || (report.state == TaskState::ended && !report.is_lost);
    if (report.type == TaskType::detachable || is_well || named == max_named) continue;
    problem += (named++ == 0 ? ": " : ", ") + quoted_text(report.name);
  }
  return problem;
}

namespace {

bool is_limited(const TaskStatus& task) {
  const TaskReport& report = task.report;
  if (!report.is_answered) return false;
  switch (report.state) {
    case TaskState::running:
    case TaskState::waiting:  // for others, which are looked at
    case TaskState::stopping:
      return true;
    case TaskState::starting:
      return report.remaining && task.start_timeout != 0;
    case TaskState::delayed:
      return report.waits_for_time || report.remaining.has_value();
    case TaskState::stopped:
      return false;
    case TaskState::ended:
      return !report.is_lost;
  }
  return false;
}

}  // namespace

bool start_is_limited(const HostStatus& host, const std::vector<TaskStatus>& tasks) {
  if (host.state != "running" || host.counts.needed_unready == 0 || tasks.size() != host.tasks) return false;
  std::vector<std::uint32_t> awaited;
  for (const TaskStatus& task : tasks) {
    awaited.insert(awaited.end(), task.report.waits_for.begin(), task.report.waits_for.end());
  }
  std::sort(awaited.begin(), awaited.end());
  return std::all_of(tasks.begin(), tasks.end(), [&](const TaskStatus& task) {
    const bool matters = task.report.type != TaskType::detachable ||
                         std::binary_search(awaited.begin(), awaited.end(), task.report.task);
    return !matters || is_limited(task);
  });
}

}  // namespace taskhost
