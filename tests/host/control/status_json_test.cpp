#include "control/status_json.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "control/situation.hpp"
#include "support/catch.hpp"
#include "taskhost_version.hpp"

using namespace taskhost;
using Json = nlohmann::json;

namespace {

constexpr Nanoseconds second = 1'000'000'000;
constexpr std::int64_t wall_us = 1'700'000'000'000'000;  // 2023-11-14T22:13:20Z

std::string line_of(const TaskStatus& task) {
  std::string line;
  append_task_json(line, task, wall_us);
  return line;
}

Json json_of(const TaskStatus& task) { return Json::parse(line_of(task)); }

TaskStatus running_task() {
  TaskStatus task;
  task.report.name = "feed";
  task.report.type = TaskType::mandatory;
  task.report.shard = 1;
  task.report.state_size = 64;
  task.report.state = TaskState::running;
  task.report.at = 100 * second;
  task.report.since = 90 * second;
  task.report.execution = 3;
  task.report.started_at = 89 * second + 500'000'000;
  task.report.ready = true;
  task.report.restarts = 5;
  task.report.remaining = 3;
  task.report.last_outcome = Outcome::error;
  task.report.last_message = "no route to host";
  task.report.status = "3 clients";
  task.id = "9b2e1a58-7a4a-4f0e-9d2e-0d6b8f3f5a11";
  task.plugin = "/usr/lib/feed.so";
  task.factory = "feed";
  return task;
}

std::vector<std::string> keys_of(const std::string& line) {
  std::vector<std::string> keys;
  const nlohmann::ordered_json json = nlohmann::ordered_json::parse(line);
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

}  // namespace

TEST_CASE("a running task as JSON") {
  const TaskStatus task = running_task();
  CHECK(json_of(task) == Json::parse(R"({
    "name": "feed", "id": "9b2e1a58-7a4a-4f0e-9d2e-0d6b8f3f5a11", "type": "mandatory", "plugin": "/usr/lib/feed.so",
    "factory": "feed", "pid": null, "shard": 1, "state": "running", "purpose": null,
    "since": "2023-11-14T22:13:10.000000Z", "since_ms": 10000, "ready": true, "blocking": false, "execution": 3,
    "started": "2023-11-14T22:13:09.500000Z", "uptime_ms": 10500, "restarts": 5, "remaining": 3,
    "next_start": null, "next_start_ms": null, "last_outcome": "error", "last_message": "no route to host",
    "status": "3 clients", "stalled": false, "stalls": 0, "share": null, "abandoned": false, "group": null, "after": [],
    "waits_for": [], "waits_for_group": false, "waits_for_time": false, "over_for": null, "state_bytes": 64,
    "situation": "it has been ready for 10s; execution 3, after one that failed (no route to host); it says \"3 clients\"; 3 of 5 restarts are left"
  })"));
  CHECK(line_of(task).find('\n') == std::string::npos);
}

TEST_CASE("a task that is delayed until its repeat is due says so") {
  TaskStatus task = running_task();
  task.report.state = TaskState::delayed;
  task.report.waits_for_time = true;
  CHECK(json_of(task)["waits_for_time"] == true);
}

TEST_CASE("a delayed task has the time of its next start") {
  TaskStatus task = running_task();
  task.report.state = TaskState::delayed;
  task.report.next_start = 103 * second + 200'000'000;
  const Json json = json_of(task);
  CHECK(json["next_start"] == "2023-11-14T22:13:23.200000Z");
  CHECK(json["next_start_ms"] == 3200);
  CHECK(json["started"] == nullptr);
  CHECK(json["uptime_ms"] == nullptr);

  task.report.next_start = 100 * second + 1;
  CHECK(json_of(task)["next_start_ms"] == 1);
  task.report.next_start = 99 * second;
  CHECK(json_of(task)["next_start"] == "2023-11-14T22:13:19.000000Z");
  CHECK(json_of(task)["next_start_ms"] == 0);
  task.report.next_start = never;
  CHECK(json_of(task)["next_start"] == nullptr);
}

TEST_CASE("a task that waits names those for which it does") {
  TaskStatus task = running_task();
  task.report.state = TaskState::waiting;
  task.report.waits_for_group = true;
  task.group = "net";
  task.after = {"db", "a \"b\"", "up"};
  task.waits_for = {"db", "a \"b\""};
  const Json json = json_of(task);
  CHECK(json["after"] == Json({"db", "a \"b\"", "up"}));
  CHECK(json["waits_for"] == Json({"db", "a \"b\""}));
  CHECK(json["waits_for_group"] == true);
  CHECK(json["group"] == "net");
}

TEST_CASE("what is not known of a task, or does not exist, is null") {
  TaskStatus task;
  task.report.name = "feed";
  task.report.state = TaskState::starting;
  task.report.remaining = 0;
  const Json json = json_of(task);
  for (const char* key :
       {"plugin", "factory", "pid", "purpose", "since", "since_ms", "started", "uptime_ms", "next_start",
        "next_start_ms", "last_outcome", "last_message", "status", "group", "over_for"}) {
    INFO(key);
    CHECK(json.at(key).is_null());
  }
  CHECK(keys_of(line_of(task)) == keys_of(line_of(running_task())));
}

TEST_CASE("restarts and what is left of them are null if unlimited, and 0 if the task's end stops the host") {
  TaskStatus task = running_task();
  task.report.remaining.reset();
  CHECK(json_of(task)["restarts"] == nullptr);
  CHECK(json_of(task)["remaining"] == nullptr);
  task.report.type = TaskType::shutdown_on_exit;
  CHECK(json_of(task)["restarts"] == 0);
  CHECK(json_of(task)["remaining"] == 0);
}

TEST_CASE("states, purposes and reasons have the words of supervision and events") {
  TaskStatus task = running_task();
  for (const Word<TaskState>& state : words_of<TaskState>) {
    task.report.state = state.value;
    CHECK(json_of(task)["state"] == state.text);
  }
  for (const Word<StopPurpose>& purpose : words_of<StopPurpose>) {
    task.report.purpose = purpose.value;
    CHECK(json_of(task)["purpose"] == purpose.text);
  }
  task.report.over_for = StopReason::task_exit;
  CHECK(json_of(task)["over_for"] == "ended");
  task.report.over_for = StopReason::budget_exhausted;
  CHECK(json_of(task)["over_for"] == "budget_exhausted");
}

TEST_CASE("of a task whose shard did not answer, only what never changes is told") {
  TaskStatus task = running_task();
  task.report.is_answered = false;
  CHECK(keys_of(line_of(task)) ==
        std::vector<std::string>{"name", "id", "plugin", "factory", "pid", "shard", "state", "situation"});
  CHECK(json_of(task)["state"] == "unknown");
  CHECK(json_of(task)["situation"] == situation(task));
}

TEST_CASE("whatever tasks say, it is JSON on one line") {
  TaskStatus task = running_task();
  const std::string hostile = "\x1b[2J\n\r\t\"\\\xff\xc3 \xed\xa0\x80 \x7f \xe2\x80\xa8 </script>";
  task.report.last_message = hostile;
  task.report.status = hostile;
  task.plugin = hostile;
  task.factory = hostile;
  task.group = hostile;
  task.waits_for = {hostile, hostile};
  const std::string line = line_of(task);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(Json::accept(line));
  const std::string status = json_of(task)["status"];
  CHECK(status.starts_with("\x1b[2J\n\r\t\"\\\xef\xbf\xbd"));
}

TEST_CASE("tasks are appended") {
  std::string json = "[";
  append_task_json(json, running_task(), wall_us);
  json += ',';
  append_task_json(json, running_task(), wall_us);
  json += ']';
  CHECK(Json::parse(json).size() == 2);
}

TEST_CASE("a host as JSON") {
  HostStatus host;
  host.name = "feeds";
  host.instance = "9b2e1a58-7a4a-4f0e-9d2e-0d6b8f3f5a11";
  host.pid = 4321;
  host.state = "running";
  host.since_us = wall_us;
  host.age = 61'500'000'000;
  host.manifest = "/etc/feeds.json";
  host.shards = 2;
  host.tasks = 5;
  for (const TaskState state : {TaskState::running, TaskState::running, TaskState::delayed, TaskState::ended}) {
    host.counts.add(TaskType::mandatory, state, true, false);
  }
  host.counts.unanswered = 1;
  host.counts.stalled = 1;
  host.counts.starts = 18;
  host.counts.restarts = 7;
  host.events = 100;
  host.events_lost = 1;
  host.log_lines_lost = 2;
  std::string json;
  append_host_json(json, host);
  Json expected = Json::parse(R"({
    "name": "feeds", "instance": "9b2e1a58-7a4a-4f0e-9d2e-0d6b8f3f5a11", "pid": 4321, "state": "running",
    "since": "2023-11-14T22:13:20.000000Z", "since_ms": 61500, "manifest": "/etc/feeds.json", "shards": 2,
    "tasks": {"total": 5, "ready": 2, "needed_unready": 2, "waits_for_time": 0, "lost": 1, "stalled": 1, "unanswered": 1, "waiting": 0, "delayed": 1, "starting": 0,
              "running": 2, "stopping": 0, "stopped": 0, "ended": 1},
    "starts": 18, "restarts": 7, "events": 100, "events_lost": 1, "log_lines_lost": 2
  })");
  expected["version"] = TASKHOST_VERSION;
  CHECK(Json::parse(json) == expected);
}

TEST_CASE("a host that has not been started has neither time nor manifest") {
  HostStatus host;
  host.name = "\xff";
  host.state = "created";
  std::string json;
  append_host_json(json, host);
  const Json parsed = Json::parse(json);
  CHECK(parsed["since"] == nullptr);
  CHECK(parsed["since_ms"] == nullptr);
  CHECK(parsed["manifest"] == nullptr);
  CHECK(parsed["instance"] == nullptr);
}
