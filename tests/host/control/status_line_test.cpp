// A host in one line, and whether it is live and ready.
#include "control/status_line.hpp"

#include <string>

#include "control/health.hpp"
#include "support/catch.hpp"

using namespace taskhost;

namespace {

HostStatus host_of(std::initializer_list<std::pair<TaskState, std::size_t>> counts) {
  HostStatus host;
  host.state = "running";
  host.shards = 4;
  for (const auto& [state, count] : counts) host.counts.by_state[static_cast<std::size_t>(state)] = count;
  return host;
}

TaskStatus reported(const char* name, TaskState state, const char* message = "") {
  TaskStatus task;
  task.report.name = name;
  task.report.state = state;
  task.report.last_message = message;
  return task;
}

}  // namespace

TEST_CASE("a host is told in one line, with the tasks that wait") {
  CHECK(status_line(host_of({{TaskState::running, 12}}), {}) == "12 tasks run");
  CHECK(status_line(host_of({{TaskState::running, 12}, {TaskState::delayed, 1}}),
                    {reported("flaky", TaskState::delayed, "no route")}) ==
        "12 tasks run, 1 waits to start again: flaky (no route)");
  CHECK(status_line(host_of({{TaskState::delayed, 5}}),
                    {reported("a", TaskState::delayed), reported("b", TaskState::delayed),
                     reported("c", TaskState::delayed), reported("d", TaskState::delayed)}) ==
        "5 tasks wait to start again: a, b, c and more");
  HostStatus stopping = host_of({{TaskState::stopping, 1}, {TaskState::ended, 2}});
  stopping.state = "stopping";
  CHECK(status_line(stopping, {reported("slow", TaskState::stopping)}) ==
        "stopping: 1 task is stopping: slow, 2 are over");
  CHECK(status_line(host_of({}), {}) == "no task has answered");
}

TEST_CASE("a line stays one line of limited length, whatever tasks are called and say") {
  const std::string name(5000, 'n');
  const std::string line = status_line(host_of({{TaskState::delayed, 3}}),
                                       {reported("a\nREADY=1", TaskState::delayed, "b\r\n\x1b\xff"),
                                        reported(name.c_str(), TaskState::delayed, name.c_str()),
                                        reported("\xe2\x80\xae", TaskState::delayed, "\xc3\xa9\xc3\xa9")});
  CHECK(line.size() <= 500);
  CHECK(line.find_first_of("\n\r\x1b\xff") == std::string::npos);
  CHECK(line.find("a\\u000aREADY=1 (b\\u000d\\u000a\\u001b\\xff)") != std::string::npos);
}

TEST_CASE("a host is live if its shards and its control thread answer") {
  HostStatus host = host_of({{TaskState::running, 2}});
  CHECK(live_problem(host).empty());
  CHECK(ready_problem(host, {}).empty());
  host.counts.silent_shards = 1;
  CHECK(live_problem(host) == "1 of 4 shards has not answered for a second");
  host.counts.silent_control = true;
  CHECK(live_problem(host) == "the control thread and 1 of 4 shards have not answered for a second");
  host.counts.silent_shards = 0;
  CHECK(ready_problem(host, {}) == "the control thread has not answered for a second");
}

TEST_CASE("a host is ready if all tasks are that it needs") {
  HostStatus host = host_of({{TaskState::starting, 2}});
  host.counts.needed_unready = 2;
  TaskStatus needed = reported("feed", TaskState::starting);
  needed.report.type = TaskType::mandatory;
  CHECK(ready_problem(host, {reported("side", TaskState::starting), needed}) ==
        "2 of the tasks that the host needs are not ready: \"feed\"");
  needed.report.state = TaskState::delayed;
  CHECK(ready_problem(host, {needed}) == "2 of the tasks that the host needs are not ready: \"feed\"");
  needed.report.waits_for_time = true;
  CHECK(ready_problem(host, {needed}) == "2 of the tasks that the host needs are not ready");
  host.counts.needed_unready = 0;
  host.state = "stopping";
  CHECK(ready_problem(host, {}) == "the host is stopping");
}

TEST_CASE("a start is limited if all tasks are that the host needs, and those that they wait for") {
  HostStatus host = host_of({{TaskState::starting, 1}});
  host.counts.needed_unready = 1;
  TaskStatus needed = reported("feed", TaskState::starting);
  needed.report.type = TaskType::mandatory;
  needed.report.remaining = 3;
  TaskStatus side = reported("side", TaskState::starting);
  side.report.task = 1;
  const auto is_limited = [&] {
    host.tasks = 2;
    return start_is_limited(host, {needed, side});
  };
  CHECK_FALSE(is_limited());
  needed.start_timeout = 1;
  CHECK(is_limited());
  needed.report.remaining.reset();
  CHECK_FALSE(is_limited());
  needed.report.state = TaskState::delayed;
  CHECK_FALSE(is_limited());
  needed.report.waits_for_time = true;
  CHECK(is_limited());
  needed.report.waits_for_time = false;
  needed.report.remaining = 3;
  CHECK(is_limited());
  needed.report.state = TaskState::waiting;
  needed.report.waits_for = {1};
  CHECK_FALSE(is_limited());
  side.start_timeout = 1;
  side.report.remaining = 0;
  CHECK(is_limited());
  needed.report.state = TaskState::stopped;
  CHECK_FALSE(is_limited());
  needed.report.state = TaskState::running;
  host.counts.needed_unready = 0;
  CHECK_FALSE(is_limited());
  CHECK_FALSE(start_is_limited(host, {}));
}
