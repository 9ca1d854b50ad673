#include "control/api.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "control/health.hpp"
#include "control/metrics.hpp"
#include "control/page.hpp"
#include "control/process_figures.hpp"
#include "control/status_json.hpp"
#include "events/event_json.hpp"
#include "taskhost/taskhost.h"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

// What was read is kept for a moment, and for longer if it took long to read: so the API's thread has time for others.
constexpr std::chrono::milliseconds shortest_fresh{100};
constexpr std::chrono::seconds longest_fresh{2};
constexpr int fresh_times = 4;  // as long as the reading took

Api::Clock::time_point stale_after(Api::Clock::time_point begin) {
  const Api::Clock::time_point end = Api::Clock::now();
  return end + std::clamp<Api::Clock::duration>(fresh_times * (end - begin), shortest_fresh, longest_fresh);
}

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
  const bool is_new = report.execution > wait.execution;
  const bool has_done_its_work = report.waits_for_time && is_new;
  switch (wait.call) {
    case ApiCall::stop_task:
      return report.state == TaskState::stopped;
    case ApiCall::restart_task:
      return (is_ready && is_new) || has_done_its_work;
    default:
      return is_ready || has_done_its_work;
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

// The wall clock may be set, and stands for the time in which a machine is suspended.
void Api::look_at_clock() noexcept {
  constexpr std::int64_t step = 100'000;
  const std::int64_t zero = now_us() - static_cast<std::int64_t>(SteadyClock::read() / 1'000);
  if (std::abs(zero - clock_zero_us_) > step) clock_zero_us_ = zero;
}

void Api::refresh_status() {
  const Clock::time_point begin = Clock::now();
  if (begin < status_stale_) return;
  status_ = host_status();
  status_stale_ = stale_after(begin);
}

void Api::refresh(bool with_shares) {
  const Clock::time_point begin = Clock::now();
  if ((has_shares_ || !with_shares) && begin < stale_) return;
  std::vector<TaskStatus> tasks;
  (void)host_.describe(std::nullopt, tasks, with_shares);
  tasks_ = std::move(tasks);
  status_ = host_status();
  stale_ = status_stale_ = stale_after(begin);
  has_shares_ = with_shares;
  tasks_json_ = nullptr;
  metrics_ = nullptr;
}

void Api::outdate(const TaskReport& seen) noexcept {
  if (!seen.is_answered || seen.task >= tasks_.size()) return;
  const TaskReport& kept = tasks_[seen.task].report;
  if (kept.state != seen.state || kept.execution != seen.execution) stale_ = status_stale_ = {};
}

HostStatus Api::host_status() {
  HostStatus status = host_.describe();
  status.name = name_;
  return status;
}

ApiAnswer Api::answer(const Route& route, const std::string& who, std::string_view orders,
                      std::optional<ApiWait>& wait) {
  look_at_clock();
  switch (route.call) {
    case ApiCall::host: {
      HostStatus status = host_status();
      status.orders = orders;
      std::string json;
      append_host_json(json, status);
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
      outdate(tasks.front().report);
      std::string json;
      append_task_json(json, tasks.front(), wall_us(tasks.front()));
      return {.body = shared(json + "\n")};
    }
    case ApiCall::start_task:
    case ApiCall::stop_task:
    case ApiCall::restart_task:
      return operated(route, who, wait);
    case ApiCall::stop_host:
      host_.tell(who + ", stops the host");
      host_.stop(who);
      return {.status = 202, .body = shared("{\"message\":\"the host stops\"}\n")};
    case ApiCall::metrics:
      refresh();
      if (metrics_ == nullptr) {
        metrics_ = shared(metrics_text(status_, tasks_, metrics_tasks_, process_figures(), clock_zero_us_));
      }
      return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_};
    case ApiCall::events:
    case ApiCall::log:
      break;  // see records
    case ApiCall::livez:
      return health(false);
    case ApiCall::readyz:
      return health(true);
    case ApiCall::page:
      return {.type = "text/html; charset=utf-8", .body = shared(std::string(page.html)), .is_page = true};
  }
  return problem(500, "a bug in taskhost: a call without an answer");
}

ApiAnswer Api::records(const Route& route, const RecordHeaders& headers) {
  const std::string& task = route.records.task;
  if (!task.empty() && !host_.has_task(task)) return unknown_task(task);
  const bool is_log = route.call == ApiCall::log;
  History& history = is_log ? host_.kept_log() : host_.kept_events();
  ApiAnswer answer;
  answer.type = RecordStream::content_type(headers.format);
  answer.format = headers.format;
  answer.records = std::make_unique<RecordStream>(
      RecordStream::Source{
          .history = history, .is_log = is_log, .instance = host_.instance(), .now_us = taskhost::now_us()},
      route.records, headers.format, headers.last_event_id);
  if (route.follow) answer.followed = &history;
  return answer;
}

ApiAnswer Api::operated(const Route& route, const std::string& who, std::optional<ApiWait>& wait) {
  std::vector<TaskStatus> before;
  int code = host_.describe(route.task, before);
  if (code != TASKHOST_RESULT_OK) return of_code(code, route.task);
  const Operation operation = operation_of(route.call);
  host_.tell(who + ", wants it to " + std::string(to_string(operation)), route.task.c_str());  // before its effects
  code = host_.operate(route.task, operation);
  if (code != TASKHOST_RESULT_OK) return of_code(code, route.task);
  stale_ = status_stale_ = {};  // whoever looks next sees what came of it
  const ApiWait waits{.task = route.task, .call = route.call, .execution = before.front().report.execution};
  if (route.wait) wait = waits;
  return *look(waits, true);
}

std::optional<ApiAnswer> Api::look(const ApiWait& wait, bool is_last) {
  look_at_clock();
  std::vector<TaskStatus> tasks;
  const int code = host_.describe(wait.task, tasks);
  if (code != TASKHOST_RESULT_OK) return of_code(code, wait.task);
  const TaskReport& report = tasks.front().report;
  outdate(report);
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
  refresh(false);
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

ApiAnswer Api::health(bool ready) {
  refresh_status();  // probes come again and again: only the numbers, if they tell enough
  std::string reason = ready ? ready_problem(status_, {}) : live_problem(status_);
  if (ready && !reason.empty()) {
    refresh(false);
    reason = ready_problem(status_, tasks_);
  }
  if (reason.empty()) return {.body = shared(ready ? "{\"ready\":true}\n" : "{\"live\":true}\n")};
  std::string json = ready ? "{\"ready\":false,\"message\":" : "{\"live\":false,\"message\":";
  append_json_string(json, reason);
  return {.status = 503, .body = shared(json + "}\n")};
}

}  // namespace taskhost
