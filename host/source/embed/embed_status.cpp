// taskhost_describe_tasks and taskhost_describe_host of the C interface: translate status; no exception leaves them.
#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "embed/taskhost_host.hpp"
#include "taskhost/taskhost.h"

namespace {

using taskhost::TaskReport;
using taskhost::TaskState;
using taskhost::TaskStatus;

static_assert(TASKHOST_TASK_WAITING == static_cast<int>(TaskState::waiting) + 1 &&
              TASKHOST_TASK_ENDED == static_cast<int>(TaskState::ended) + 1);
static_assert(TASKHOST_ON_CRASHED == 1u << static_cast<unsigned>(taskhost::Outcome::crashed));

uint64_t age(const TaskReport& report, taskhost::Nanoseconds since) {
  return since != 0 && since <= report.at ? report.at - since : 0;
}

uint32_t facts_of(const TaskReport& report) {
  return (report.ready ? TASKHOST_TASK_IS_READY : 0) | (report.stalled ? TASKHOST_TASK_IS_STALLED : 0) |
         (report.abandoned ? TASKHOST_TASK_IS_ABANDONED : 0) | (report.is_lost ? TASKHOST_TASK_IS_LOST : 0) |
         (report.waits_for_time ? TASKHOST_TASK_IS_REPEATED : 0);
}

uint32_t last_end_of(const TaskReport& report) {
  if (!report.last_outcome || *report.last_outcome == taskhost::Outcome::cancelled) return 0;
  return 1u << static_cast<unsigned>(*report.last_outcome);
}

// A view of a whole text, which ends with NUL.
const char* text_or_null(std::string_view text) { return text.empty() ? nullptr : text.data(); }

// Hands out a task in the caller's form. The texts live as long as the task's status.
class Description {
 public:
  explicit Description(const TaskStatus& task) {
    const TaskReport& report = task.report;
    for (const std::string_view name : task.waits_for) waits_for_.push_back(name.data());
    status_.struct_size = sizeof status_;
    status_.name = report.name;
    status_.plugin = text_or_null(task.plugin);
    status_.factory = task.factory.data();
    status_.last_message = status_.doing = "";
    if (!report.is_answered) return;
    status_.state = static_cast<int32_t>(report.state) + 1;
    status_.type = static_cast<int32_t>(report.type) + 1;
    status_.facts = facts_of(report);
    status_.execution = report.execution;
    status_.state_age = age(report, report.since);
    status_.uptime = age(report, report.started_at);
    status_.start_in = report.next_start > report.at ? report.next_start - report.at : 0;
    const bool unlimited = !report.remaining;
    status_.restarts = unlimited ? TASKHOST_UNLIMITED : report.restarts;
    status_.remaining = report.remaining.value_or(TASKHOST_UNLIMITED);
    status_.last_end = last_end_of(report);
    status_.stalls = report.stalls;
    status_.last_message = report.last_message.c_str();
    status_.doing = report.status.c_str();
    status_.group = text_or_null(task.group);
    status_.waits_for = waits_for_.data();
    status_.waits_for_count = waits_for_.size();
    status_.process = task.process;
  }

  const taskhost_task_status* get() const { return &status_; }

 private:
  std::vector<const char*> waits_for_;
  taskhost_task_status status_{};
};

template <class Body>
int32_t any_thread(taskhost_host* host, Body&& body) noexcept {
  if (host == nullptr || host->host.is_elsewhere()) return TASKHOST_RESULT_WRONG_STATE;
  try {
    return body(host->host);
  } catch (const std::bad_alloc&) {
    return TASKHOST_RESULT_NO_MEMORY;
  } catch (...) {
    return TASKHOST_RESULT_INTERNAL;
  }
}

}  // namespace

extern "C" {

int32_t taskhost_describe_tasks(taskhost_host* host, const char* name,
                                void (*callback)(void* user, const taskhost_task_status* status), void* user) {
  return any_thread(host, [&](taskhost::Host& its_host) -> int32_t {
    if (callback == nullptr) return TASKHOST_RESULT_BAD_MANIFEST;
    std::vector<TaskStatus> tasks;
    const auto wanted = name != nullptr ? std::optional<std::string_view>(name) : std::nullopt;
    const int code = its_host.describe(wanted, tasks);
    for (const TaskStatus& task : tasks) callback(user, Description(task).get());
    return code;
  });
}

int32_t taskhost_describe_host(taskhost_host* host, taskhost_host_status* status) {
  return any_thread(host, [&](taskhost::Host& its_host) -> int32_t {
    if (status == nullptr) return TASKHOST_RESULT_BAD_MANIFEST;
    const taskhost::HostStatus is = its_host.describe();
    const auto in = [&is](TaskState state) { return is.counts.by_state[static_cast<std::size_t>(state)]; };
    const taskhost_host_status full = {
        .struct_size = status->struct_size,
        .state = its_host.state(),
        .tasks = is.tasks,
        .unknown = is.counts.unanswered,
        .waiting = in(TaskState::waiting),
        .delayed = in(TaskState::delayed),
        .starting = in(TaskState::starting),
        .running = in(TaskState::running),
        .stopping = in(TaskState::stopping),
        .stopped = in(TaskState::stopped),
        .ended = in(TaskState::ended),
        .not_ready = is.counts.needed_unready,
        .starts = is.counts.starts,
        .restarts = is.counts.restarts,
        .events_lost = is.events_lost,
        .log_lines_lost = is.log_lines_lost,
    };
    std::memcpy(status, &full, std::min<std::size_t>(status->struct_size, sizeof full));
    return TASKHOST_RESULT_OK;
  });
}

}  // extern "C"
