#include "control/api.hpp"

#include <utility>

#include "control/metrics.hpp"
#include "control/process_figures.hpp"
#include "control/status_json.hpp"
#include "events/event_json.hpp"
#include "taskhost/taskhost.h"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::chrono::milliseconds fresh_for{100};

std::shared_ptr<const std::string> shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

Operation operation_of(ApiCall call) noexcept {
  if (call == ApiCall::start_task) return Operation::start;
  return call == ApiCall::stop_task ? Operation::stop : Operation::restart;
}

// Whether what the operator wants has come true, or can't any more.
bool is_done(const ApiWait& wait, const TaskReport& report) noexcept {
  if (report.state == TaskState::ended) return true;
  const bool is_ready = report.ready && !report.purpose;  // and is not about to be stopped
  switch (wait.call) {
    case ApiCall::stop_task:
      return report.state == TaskState::stopped;
    case ApiCall::restart_task:
      return is_ready && report.execution > wait.execution;
    default:
      return is_ready;
  }
}

// Whether it has come true.
bool is_well(const ApiWait& wait, const TaskReport& report) noexcept {
  if (!is_done(wait, report)) return false;
  if (report.state != TaskState::ended) return true;
  return wait.call == ApiCall::stop_task || report.last_outcome == Outcome::ok;
}

}  // namespace

Api::Api(ControlledHost& host, std::string name, std::size_t metrics_tasks)
    : host_(host),
      name_(std::move(name)),
      metrics_tasks_(metrics_tasks),
      clock_zero_us_(now_us() - static_cast<std::int64_t>(SteadyClock::read() / 1'000)) {}

std::int64_t Api::wall_us(const TaskStatus& task) const noexcept {
  return clock_zero_us_ + static_cast<std::int64_t>(task.report.at / 1'000);
}

ApiAnswer Api::problem(unsigned status, std::string_view message, std::string_view allow) {
  std::string json = "{\"message\":";
  append_json_string(json, message);
  json += "}\n";
  return {.status = status, .body = shared(std::move(json)), .allow = allow};
}

void Api::refresh() {
  const Clock::time_point now = Clock::now();
  if (has_read_ && now - read_ < fresh_for) return;
  std::vector<TaskStatus> tasks;
  (void)host_.describe(std::nullopt, tasks);
  tasks_ = std::move(tasks);
  status_ = host_status();
  read_ = now;
  has_read_ = true;
  tasks_json_ = nullptr;
  metrics_ = nullptr;
}

HostStatus Api::host_status() {
  HostStatus status = host_.describe();
  status.name = name_;
  return status;
}

ApiAnswer Api::answer(const Route& route, const std::string& who, std::optional<ApiWait>& wait) {
  switch (route.call) {
    case ApiCall::host: {
      std::string json;
      append_host_json(json, host_status());
      return {.body = shared(json + "\n")};
    }
    case ApiCall::tasks: {
      refresh();
      if (tasks_json_ == nullptr) {
        std::string json = "{\"host\":";
        append_json_string(json, name_);
        json += ",\"tasks\":[";
        for (const TaskStatus& task : tasks_) {
          if (json.back() != '[') json += ',';
          append_task_json(json, task, wall_us(task));
        }
        json += "]}\n";
        tasks_json_ = shared(std::move(json));
      }
      return {.body = tasks_json_};
    }
    case ApiCall::task: {
      std::vector<TaskStatus> tasks;
      const int code = host_.describe(route.task, tasks);
      if (code != TASKHOST_RESULT_OK) return of_code(code, route.task);
      std::string json;
      append_task_json(json, tasks.front(), wall_us(tasks.front()));
      return {.body = shared(json + "\n")};
    }
    case ApiCall::start_task:
    case ApiCall::stop_task:
    case ApiCall::restart_task:
      return operated(route, who, wait);
    case ApiCall::stop_host:
      host_.tell(who + " stops the host");
      host_.stop(who);
      return {.status = 202, .body = shared("{\"message\":\"the host stops\"}\n")};
    case ApiCall::metrics:
      refresh();
      if (metrics_ == nullptr) {
        metrics_ = shared(metrics_text(status_, tasks_, metrics_tasks_, process_figures(), clock_zero_us_));
      }
      return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_};
    case ApiCall::livez:
      return health(false);
    case ApiCall::readyz:
      return health(true);
  }
  return problem(500, "a bug in taskhost: a call without an answer");
}

ApiAnswer Api::operated(const Route& route, const std::string& who, std::optional<ApiWait>& wait) {
  std::vector<TaskStatus> before;
  int code = host_.describe(route.task, before);
  if (code == TASKHOST_RESULT_OK) code = host_.operate(route.task, operation_of(route.call));
  if (code != TASKHOST_RESULT_OK) return of_code(code, route.task);
  has_read_ = false;  // whoever looks next sees what came of it
  host_.tell(who + " wants task " + quoted_text(route.task) + " to " +
             std::string(to_string(operation_of(route.call))));
  const ApiWait waits{.task = route.task, .call = route.call, .execution = before.front().report.execution};
  if (route.wait) wait = waits;
  return *look(waits, true);
}

std::optional<ApiAnswer> Api::look(const ApiWait& wait, bool is_last) {
  std::vector<TaskStatus> tasks;
  const int code = host_.describe(wait.task, tasks);
  if (code != TASKHOST_RESULT_OK) return of_code(code, wait.task);
  const TaskReport& report = tasks.front().report;
  const bool done = is_done(wait, report);
  if (!done && !is_last) return std::nullopt;
  std::string json = "{\"done\":";
  json += done ? "true" : "false";
  json += ",\"ok\":";
  json += is_well(wait, report) ? "true" : "false";
  json += ",\"task\":";
  append_task_json(json, tasks.front(), wall_us(tasks.front()));
  json += "}\n";
  return ApiAnswer{.status = done ? 200u : 202u, .body = shared(std::move(json))};
}

ApiAnswer Api::of_code(int code, std::string_view task) {
  switch (code) {
    case TASKHOST_RESULT_UNKNOWN_TASK:
      return unknown_task(task);
    case TASKHOST_RESULT_WRONG_STATE:
      return problem(409, "the host is stopping: nothing can be changed any more");
    case TASKHOST_RESULT_NO_MEMORY:
      return problem(503, "no memory is left");
    default:
      return problem(500, "a bug in taskhost: code " + std::to_string(code));
  }
}

ApiAnswer Api::unknown_task(std::string_view name) {
  refresh();
  std::vector<std::string_view> names;
  names.reserve(tasks_.size());
  constexpr std::size_t max_names = 10'000;  // among which a similar one is looked for
  for (const TaskStatus& task : tasks_) {
    if (names.size() < max_names) names.emplace_back(task.report.name);
  }
  const std::string_view nearest = nearest_word(name, names);
  return problem(404,
                 "there is no task " + quoted_text(name) +
                     (nearest.empty() ? "; GET /v1/tasks lists all" : "; did you mean " + quoted_text(nearest) + "?"));
}

// Live is a host whose shards and control thread turn. A failed task belongs to readiness: a restart of the host would
// not cure it.
ApiAnswer Api::health(bool ready) {
  refresh();
  const TaskCounts& counts = status_.counts;
  std::string reason;
  if (counts.unanswered != 0) {
    reason = std::to_string(counts.unanswered) + " tasks are on shards that have not answered for a second";
  } else if (ready && status_.state != "running") {
    reason = "the host is " + std::string(status_.state);
  } else if (ready && counts.needed_unready != 0) {
    reason = std::to_string(counts.needed_unready) + " of the tasks that the host needs are not ready";
    constexpr std::size_t max_named = 5;
    std::size_t named = 0;
    for (const TaskStatus& task : tasks_) {
      const TaskReport& report = task.report;
      const bool is_well = report.ready || (report.state == TaskState::ended && !report.is_lost);
      if (report.type == TaskType::detachable || is_well || named == max_named) continue;
      reason += (named++ == 0 ? ": " : ", ") + quoted_text(report.name);
    }
  }
  if (reason.empty()) return {.body = shared(ready ? "{\"ready\":true}\n" : "{\"live\":true}\n")};
  std::string json = ready ? "{\"ready\":false,\"message\":" : "{\"live\":false,\"message\":";
  append_json_string(json, reason);
  return {.status = 503, .body = shared(json + "}\n")};
}

}  // namespace taskhost
