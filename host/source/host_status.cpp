// What a host tells about itself and its tasks.
#include <unistd.h>

#include <boost/uuid/uuid_io.hpp>
#include <chrono>

#include "host.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

constexpr std::chrono::seconds patience{1};  // with shards that do not answer

std::string_view word_of_state(int state) noexcept {
  switch (state) {
    case TASKHOST_STATE_RUNNING:
      return "running";
    case TASKHOST_STATE_STOPPING:
      return "stopping";
    case TASKHOST_STATE_STOPPED:
      return "stopped";
    default:
      return "created";
  }
}

}  // namespace

int Host::describe(std::optional<std::string_view> name, std::vector<TaskStatus>& tasks, bool with_shares) {
  if (state() == TASKHOST_STATE_CREATED) return TASKHOST_RESULT_WRONG_STATE;
  std::optional<std::size_t> task;
  if (name) {
    task = index_.find(*name, *supervisor_);
    if (!task) return TASKHOST_RESULT_UNKNOWN_TASK;
  }
  std::vector<TaskReport> reports = supervisor_->report(task, patience, with_shares);
  tasks.reserve(reports.size());
  for (TaskReport& report : reports) tasks.push_back(status_of(std::move(report)));
  return TASKHOST_RESULT_OK;
}

TaskStatus Host::status_of(TaskReport&& report) const {
  TaskStatus status;
  status.id = boost::uuids::to_string(supervisor_->id(report.task));
  const TaskOrigin origin = origins_.of(report.task);
  status.plugin = origin.plugin;
  status.factory = origin.factory;
  if (origin.process != nullptr) status.process = origin.process->load(std::memory_order_relaxed);
  if (report.group) status.group = group_names_[*report.group];
  for (const std::uint32_t other : report.after) status.after.emplace_back(supervisor_->name(other));
  for (const std::uint32_t other : report.waits_for) status.waits_for.emplace_back(supervisor_->name(other));
  if (report.options != nullptr) {
    const SupervisionOptions& optional = report.options->supervision();
    status.stop_timeout = to_nanoseconds(report.options->stop_timeout);
    if (optional.start_timeout) status.start_timeout = to_nanoseconds(*optional.start_timeout);
    status.notifies = optional.notify;
  }
  status.report = std::move(report);
  return status;
}

HostStatus Host::describe() {
  const int now = state();
  HostStatus status;
  status.pid = ::getpid();
  status.state = word_of_state(now);
  if (now == TASKHOST_STATE_CREATED) {
    status.tasks = tasks_admitted_;
    status.counts.by_state[static_cast<std::size_t>(TaskState::waiting)] = tasks_admitted_;
    return status;
  }
  status.instance = instance_;
  status.since_us = started_us_;
  status.age = clock_.now() - started_at_;
  status.manifest = manifest_path_;
  status.shards = shard_count_;
  status.tasks = supervisor_->task_count();
  status.counts = supervisor_->count(patience);
  status.shard_samples = supervisor_->shard_samples();
  const EventLog::Totals totals = events_->totals();
  status.events = totals.published;
  status.events_lost = totals.lost;
  status.log_lines_lost = log_->lines_lost();
  return status;
}

}  // namespace taskhost
