// What a shard reports about its tasks: every state, how it came about, and what was before; and how questions reach
// it.
#include <algorithm>
#include <future>
#include <thread>

#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

constexpr TaskType detachable = TaskType::detachable;
constexpr TaskType mandatory = TaskType::mandatory;
constexpr TaskType shutdown_on_exit = TaskType::shutdown_on_exit;

constexpr Nanoseconds second = 1'000'000'000;

std::shared_ptr<const ScriptRecipe> deaf() {
  return stepping([](Execution&) { return Status::pending; });
}
std::shared_ptr<const ScriptRecipe> ending(Status status) {
  return stepping([status](Execution& execution) {
    execution.fail("no route to host");
    return status;
  });
}

TaskOptions with(TaskOptions options, SupervisionOptions optional) {
  options.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
  return options;
}
// For a task that has optional fields, none of which matters.
TaskOptions supervised(TaskOptions options) {
  SupervisionOptions optional;
  optional.reset_after = 1h;
  return with(std::move(options), std::move(optional));
}

std::vector<TaskReport> all_of(Shard& shard) {
  std::vector<TaskReport> reports;
  CHECK_FALSE(shard.report(0, shard.size(), reports));
  CHECK(reports.size() == shard.size());
  return reports;
}

// Holds for each report, however the task came there.
void check(const TaskReport& report) {
  INFO(report.name << ' ' << to_string(report.state));
  const bool live = is_live(report.state);
  const bool is_over = report.state == TaskState::ended;
  CHECK(report.is_answered);
  CHECK(report.options != nullptr);
  CHECK((report.started_at != 0) == live);
  CHECK(report.started_at <= report.at);
  CHECK(report.since <= report.at);
  CHECK((report.since != 0 || report.state == TaskState::waiting));
  CHECK((report.next_start != 0) == (report.state == TaskState::delayed));
  CHECK(report.purpose.has_value() == (report.state == TaskState::stopping));
  CHECK(report.ready == (report.state == TaskState::running));
  CHECK((live || (!report.stalled && report.status.empty())));
  CHECK((is_over || (!report.over_for && !report.is_lost && !report.abandoned)));
  CHECK((report.execution != 0 || (!live && !report.last_outcome)));
  CHECK((report.last_outcome || report.last_message.empty()));
  CHECK((report.last_outcome != Outcome::ok || report.last_message.empty()));
  CHECK((!report.remaining || *report.remaining <= report.restarts));
}

TaskReport report_of(ShardScene& scene, std::size_t place = 0) {
  std::vector<TaskReport> reports;
  scene.shard.report(place, 1, reports);
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].task == place);
  CHECK(reports[0].at == scene.clock.now());
  check(reports[0]);
  return reports[0];
}

TaskCounts counts_of(Shard& shard) {
  TaskCounts counts;
  CHECK_FALSE(shard.count(0, shard.size(), counts));
  return counts;
}

// How an execution of the one task ended, after which it is over.
TaskReport after(TaskType type, std::uint32_t restarts, Status end) {
  ShardScene scene;
  scene.add("t", ending(end), options_of(type, restarts));
  scene.run();
  return report_of(scene);
}

}  // namespace

// --- states ----------------------------------------------------------------------------------------------------------

TEST_CASE("a task waits until its turn, and then runs since its start") {
  ShardScene scene;
  Script script;
  script.state_size = 40;
  scene.add("t", recipe_of(script), options_of(mandatory, 2));
  TaskReport report = report_of(scene);
  CHECK(report.name == std::string("t"));
  CHECK(report.type == mandatory);
  CHECK(report.state == TaskState::waiting);
  CHECK(report.execution == 0);
  CHECK(report.state_size == 40);
  CHECK_FALSE(report.blocking);
  CHECK_FALSE(report.last_outcome);
  CHECK((report.restarts == 2 && report.remaining == 2u));
  const Nanoseconds began = scene.clock.now();
  scene.run();
  scene.advance(5s);
  report = report_of(scene);
  CHECK(report.state == TaskState::running);
  CHECK(report.execution == 1);
  CHECK((report.started_at == began && report.since == began && report.at == began + 5 * second));
  CHECK_FALSE(report.group);
}

TEST_CASE("a task that fails is delayed until its next start, and says how its last execution ended") {
  ShardScene scene;
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 4s, .jitter = 0};
  scene.add("t", stepping([first = true](Execution& execution) mutable {
              return std::exchange(first, false) ? fail(execution, "no route to host") : Status::pending;
            }),
            with(options_of(detachable, 2), optional));
  scene.run();
  const Nanoseconds failed = scene.clock.now();
  scene.advance(1s);
  TaskReport report = report_of(scene);
  CHECK(report.state == TaskState::delayed);
  CHECK((report.since == failed && report.next_start == failed + 4 * second));
  CHECK(report.last_outcome == Outcome::error);
  CHECK(report.last_message == "no route to host");
  CHECK((report.restarts == 2 && report.remaining == 1u));
  scene.sleep(4s);
  report = report_of(scene);
  CHECK((report.state == TaskState::running && report.execution == 2));
  CHECK(report.last_message == "no route to host");
}

TEST_CASE("a task with notify is starting until it says that it is ready, and is ready since then") {
  ShardScene scene;
  bool says_so = false;
  SupervisionOptions optional;
  optional.notify = true;
  scene.add("t", stepping([&says_so](Execution& execution) {
              if (says_so) execution.ready();
              execution.wake_after(second);
              return Status::pending;
            }),
            with(options_of(detachable), optional));
  scene.run();
  const Nanoseconds began = scene.clock.now();
  scene.advance(500ms);
  TaskReport report = report_of(scene);
  CHECK(report.state == TaskState::starting);
  CHECK((report.since == began && report.started_at == began));
  says_so = true;
  scene.sleep(1s);
  report = report_of(scene);
  CHECK(report.state == TaskState::running);
  CHECK((report.since > began + second / 2 && report.started_at == began));
}

TEST_CASE("a task that an operator stops says so and since when, is stopped, and starts again with its whole budget") {
  for (const bool plain : {true, false}) {
    ShardScene scene;
    bool obeys = false;
    const TaskOptions options = options_of(mandatory, 3, 60s);
    scene.add("t", stepping([&, fails = 2](Execution& execution) mutable {
                if (fails-- > 0) return Status::error;
                execution.wake_after(second / 10);
                return obeys && execution.stop_requested() ? Status::ok : Status::pending;
              }),
              plain ? options : supervised(options));
    scene.run();
    CHECK(report_of(scene).remaining == 1u);
    scene.advance(1s);
    const Nanoseconds asked = scene.clock.now();
    scene.shard.operate(0, Operation::stop);
    scene.sleep(2s);
    TaskReport report = report_of(scene);
    CHECK(report.state == TaskState::stopping);
    CHECK(report.purpose == StopPurpose::operator_stop);
    CHECK(report.since == asked);
    scene.shard.operate(0, Operation::start);
    CHECK(report_of(scene).purpose == StopPurpose::again);
    scene.shard.operate(0, Operation::stop);
    CHECK(report_of(scene).purpose == StopPurpose::operator_stop);
    CHECK(report_of(scene).since == asked);
    obeys = true;
    scene.sleep(1s);
    const Nanoseconds over = scene.clock.now();
    scene.advance(1s);
    report = report_of(scene);
    CHECK(report.state == TaskState::stopped);
    CHECK((report.since > asked && report.since <= over));
    CHECK(report.last_outcome == Outcome::cancelled);
    CHECK((report.execution == 3 && report.remaining == 1u));
    scene.shard.operate(0, Operation::start);
    scene.run();
    report = report_of(scene);
    CHECK((report.state == TaskState::running && report.execution == 4 && report.remaining == 3u));
    CHECK(report.last_outcome == Outcome::cancelled);
    CHECK((report.since == scene.clock.now() && report.started_at == report.since));
  }
}

TEST_CASE(
    "a task to be replaced is stopping with that purpose, and the time at which it is asked is the next one's own") {
  ShardScene scene;
  int executions = 0;
  Script script;
  script.start = [&](void*, Execution&) { return ++executions, Status::ok; };
  script.step = [&](void*, Execution& execution) {
    execution.wake_after(second);
    return executions == 1 && execution.stop_requested() ? Status::ok : Status::pending;
  };
  scene.add("t", recipe_of(script), options_of(mandatory, 0, 60s));
  scene.run();
  scene.shard.operate(0, Operation::restart);
  CHECK(report_of(scene).purpose == StopPurpose::again);
  scene.run();
  CHECK((report_of(scene).state == TaskState::running && report_of(scene).execution == 2));
  scene.advance(7s);
  scene.shard.operate(0, Operation::restart);
  CHECK(report_of(scene).since == scene.clock.now());
  // The host's stop is a better reason, but it was asked before.
  const Nanoseconds asked = scene.clock.now();
  scene.advance(7s);
  scene.begin_stop();
  scene.run();
  CHECK(report_of(scene).purpose == StopPurpose::host);
  CHECK(report_of(scene).since == asked);
}

TEST_CASE("a task that is too slow to be ready is stopping for failure, and that is the message of its end") {
  ShardScene scene;
  SupervisionOptions optional;
  optional.notify = true;
  optional.start_timeout = 2s;
  scene.add("t", deaf(), with(options_of(detachable, 0, 3s), optional));
  scene.run();
  const Nanoseconds began = scene.clock.now();
  scene.sleep(3s);
  TaskReport report = report_of(scene);
  CHECK(report.state == TaskState::stopping);
  CHECK(report.purpose == StopPurpose::failure);
  CHECK((report.since >= began + 2 * second && report.since < began + 3 * second));
  scene.sleep(3s);
  report = report_of(scene);
  CHECK(report.state == TaskState::ended);
  CHECK(report.last_outcome == Outcome::error);
  CHECK(report.last_message == "was not ready within 2s");
  CHECK((report.over_for == StopReason::budget_exhausted && report.is_lost));
}

TEST_CASE("tasks are stopping since the host's stop, and what it ends is not lost") {
  ShardScene scene;
  bool obeys = false;
  const auto recipe = stepping([&](Execution& execution) {
    execution.wake_after(second);
    return obeys && execution.stop_requested() ? Status::ok : Status::pending;
  });
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 1h};
  scene.add("plain", recipe, options_of(mandatory, 0, 60s));
  scene.add("supervised", recipe, supervised(options_of(mandatory, 0, 60s)));
  scene.add("delayed", ending(Status::error), with(options_of(mandatory, 1), optional));
  scene.add("stopped", recipe, options_of(mandatory, 1));
  scene.shard.operate(3, Operation::stop);
  scene.run();
  CHECK(report_of(scene, 2).state == TaskState::delayed);
  CHECK(report_of(scene, 3).state == TaskState::stopped);
  scene.advance(1s);
  const Nanoseconds began = scene.clock.now();
  scene.begin_stop();
  scene.run();
  scene.advance(1s);
  for (const std::size_t place : {0, 1}) {
    const TaskReport report = report_of(scene, place);
    CHECK(report.state == TaskState::stopping);
    CHECK(report.purpose == StopPurpose::host);
    CHECK(report.since == began);
  }
  obeys = true;
  scene.sleep(2s);
  for (const TaskReport& report : all_of(scene.shard)) {
    check(report);
    CHECK(report.state == TaskState::ended);
    CHECK_FALSE(report.over_for);
    CHECK_FALSE(report.is_lost);
  }
  CHECK(report_of(scene, 0).last_outcome == Outcome::cancelled);
  CHECK(report_of(scene, 2).last_outcome == Outcome::error);
  CHECK_FALSE(report_of(scene, 3).last_outcome);
  CHECK(report_of(scene, 2).since == began);
}

TEST_CASE("a task that is over says why, and whether it is lost") {
  struct Row {
    TaskType type;
    std::uint32_t restarts;
    Status end;
    Outcome outcome;
    std::optional<StopReason> over_for;
    bool is_lost;
  };
  const Row rows[] = {
      {detachable, 3, Status::ok, Outcome::ok, StopReason::task_exit, false},
      {detachable, 0, Status::error, Outcome::error, StopReason::budget_exhausted, true},
      {detachable, 2, Status::panic, Outcome::panic, StopReason::budget_exhausted, true},
      {mandatory, 0, Status::ok, Outcome::ok, std::nullopt, true},  // it has given up
      {mandatory, 0, Status::error, Outcome::error, std::nullopt, true},
      {shutdown_on_exit, 0, Status::ok, Outcome::ok, std::nullopt, false},
      {shutdown_on_exit, 0, Status::error, Outcome::error, std::nullopt, true},
  };
  for (const Row& row : rows) {
    INFO(to_string(row.type) << ' ' << to_string(row.outcome));
    const TaskReport report = after(row.type, row.restarts, row.end);
    CHECK(report.state == TaskState::ended);
    CHECK(report.last_outcome == row.outcome);
    CHECK(report.last_message == (row.end == Status::ok ? "" : "no route to host"));
    CHECK(report.over_for == row.over_for);
    CHECK(report.is_lost == row.is_lost);
    CHECK(report.remaining == 0u + (row.end == Status::ok ? row.restarts : 0));
    CHECK(report.execution == 1 + (row.end == Status::ok ? 0 : row.restarts));
  }
}

TEST_CASE("a task that is over and starts again forgets why, but not how it ended") {
  ShardScene scene;
  scene.add("t", stepping([first = true](Execution& execution) mutable {
              return std::exchange(first, false) ? fail(execution, "no route to host") : Status::pending;
            }),
            options_of(detachable));
  scene.run();
  CHECK(report_of(scene).is_lost);
  scene.shard.operate(0, Operation::start);
  TaskReport report = report_of(scene);
  CHECK((report.state == TaskState::waiting && !report.over_for));
  scene.run();
  report = report_of(scene);
  CHECK((report.state == TaskState::running && !report.over_for && !report.is_lost));
  CHECK(report.last_message == "no route to host");
}

TEST_CASE("a task that cools down is delayed and not lost, nor if the host stops meanwhile") {
  ShardScene scene;
  SupervisionOptions optional;
  optional.on_give_up = GiveUp::cooldown;
  optional.cooldown = 5s;
  scene.add("t", ending(Status::error), with(options_of(mandatory, 1), optional));
  scene.run();
  const TaskReport report = report_of(scene);
  CHECK(report.state == TaskState::delayed);
  CHECK(report.next_start == scene.clock.now() + 5 * second);
  CHECK((report.execution == 2 && report.remaining == 1u));
  scene.begin_stop();
  scene.run();
  CHECK_FALSE(report_of(scene).is_lost);
}

TEST_CASE("an execution that was abandoned makes its task lost, and says where it is stuck") {
  for (const bool host : {false, true}) {
    ShardScene scene;
    Script script;
    script.blocking = true;
    script.step = [](void*, Execution&) { return Status::ok; };
    scene.add("t", recipe_of(script), options_of(detachable, 3, 2s));
    scene.run();
    CHECK(report_of(scene).blocking);
    host ? scene.begin_stop() : scene.shard.operate(0, Operation::stop);
    scene.run();
    scene.sleep(3s);
    const TaskReport report = report_of(scene);
    CHECK(report.state == TaskState::ended);
    CHECK((report.abandoned && report.is_lost));
    CHECK(report.over_for == (host ? std::nullopt : std::optional(StopReason::not_stopped)));
    CHECK(report.last_outcome == Outcome::cancelled);
    CHECK(report.last_message == "its blocking function did not return");
    scene.owner.calls.clear();
  }
}

TEST_CASE("what an execution says that it is doing is reported while it lives") {
  ShardScene scene;
  int executions = 0;
  scene.add("t", stepping([&](Execution& execution) {
              if (executions++ == 0) execution.set_status("counting\nto three");
              execution.wake_after(second);
              return executions == 3 ? Status::error : Status::pending;
            }),
            options_of(mandatory, 3));
  scene.run();
  CHECK(report_of(scene).status == "counting to three");
  scene.sleep(5s);
  CHECK((report_of(scene).execution == 2 && report_of(scene).status.empty()));
}

// --- how the last execution ended ------------------------------------------------------------------------------------

TEST_CASE("outcome and message of the last execution are kept across restarts, even of those to which nobody listens") {
  constexpr int failures = 20'000;
  for (const bool complete_events : {true, false}) {
    ShardScene scene(complete_events);
    int executions = 0;
    int rest_at = failures;
    Status end = Status::error;
    scene.add("t", stepping([&](Execution& execution) {
                if (executions == rest_at) {
                  execution.wake_after(second);
                  return Status::pending;
                }
                if (end == Status::error) execution.fail("attempt " + std::to_string(executions));
                ++executions;
                return end;
              }),
              options_of(mandatory, 9 * failures));
    scene.run();
    if (!complete_events) CHECK(scene.sink.records().size() < 500);  // the others took the short way
    TaskReport report = report_of(scene);
    CHECK((report.state == TaskState::running && report.execution == failures + 1));
    CHECK(report.remaining == 8u * failures);
    CHECK(report.last_outcome == Outcome::error);
    CHECK(report.last_message == "attempt " + std::to_string(failures - 1));
    // One that fails without a reason, or does not fail, has no message.
    for (const Status next : {Status::panic, Status::error, Status::ok}) {
      end = next;
      rest_at += failures;
      scene.sleep(1s + 1ms);
      report = report_of(scene);
      CHECK(report.last_outcome == (next == Status::ok      ? Outcome::ok
                                    : next == Status::error ? Outcome::error
                                                            : Outcome::panic));
      CHECK(report.last_message == (next == Status::error ? "attempt " + std::to_string(rest_at - 1) : ""));
    }
    CHECK(counts_of(scene.shard).restarts == 4u * failures);
    CHECK(counts_of(scene.shard).starts == 4u * failures + 1);
  }
}

// --- stalls ----------------------------------------------------------------------------------------------------------

TEST_CASE(
    "a task in which a thread is stuck is reported as stalled, its stalls are counted, and what was before is kept") {
  for (const bool plain : {true, false}) {
    ShardScene scene;
    int steps = 0;
    const auto recipe = stepping([&](Execution& execution) {
      if (steps++ == 0) return fail(execution, "no route to host");
      execution.set_status("stuck");
      scene.take_over();
      scene.run();
      const TaskReport report = report_of(scene);
      CHECK((report.state == TaskState::running && report.stalled));
      CHECK(report.stalls == static_cast<std::uint32_t>(steps) - 1);
      CHECK(report.status == "stuck");
      CHECK(report.last_outcome == Outcome::error);
      if (!plain) CHECK(report.last_message == "no route to host");
      execution.wake_after(second);
      return Status::pending;
    });
    scene.add("t", recipe, plain ? options_of(mandatory, 3) : supervised(options_of(mandatory, 3)));
    for (std::uint32_t stalls = 1; stalls <= 3; ++stalls) {
      scene.sleep(1s + 1ms);  // with the turn that loses the shard
      scene.turn();
      const TaskReport report = report_of(scene);
      CHECK((report.state == TaskState::running && !report.stalled && report.stalls == stalls));
      CHECK(report.last_message == "no route to host");
    }
  }
}

TEST_CASE("a stalled task that is abandoned says in which call a thread is stuck") {
  ShardScene scene;
  scene.add("t", stepping([&](Execution&) {
              scene.take_over();
              scene.shard.operate(0, Operation::stop);
              CHECK(report_of(scene).state == TaskState::stopping);
              scene.run();
              scene.sleep(3s);
              const TaskReport report = report_of(scene);
              CHECK((report.state == TaskState::ended && report.abandoned && !report.stalled));
              CHECK(report.stalls == 1);
              CHECK(report.over_for == StopReason::not_stopped);
              CHECK(report.last_message == "its poll did not return");
              return Status::pending;
            }),
            options_of(detachable, 3, 2s));
  scene.turn();
  scene.run();
  CHECK(report_of(scene).last_message == "its poll did not return");
}

// The thread sanitizer is the judge here.
TEST_CASE("a report touches nothing that belongs to a thread that is stuck in the task") {
  for (const bool given_up : {false, true}) {
    ShardScene scene;
    std::promise<void> is_in_it;
    std::promise<void> goes_on;
    std::promise<void> has_failed;
    std::promise<void> ends;
    scene.add("t", stepping([&](Execution& execution) {
                is_in_it.set_value();
                goes_on.get_future().wait();
                execution.fail("makes what only few tasks need");
                execution.wake_after(second);
                has_failed.set_value();
                ends.get_future().wait();
                return Status::pending;
              }),
              options_of(mandatory, 3));
    std::thread stuck([&scene] { CHECK(scene.shard.turn().lost); });
    is_in_it.get_future().wait();
    if (given_up) {
      Tenure& tenure = scene.shard.tenure();
      REQUIRE(tenure.pin(tenure.look()));
      scene.shard.give_up();
      tenure.give_up();
    } else {
      scene.take_over();
    }
    goes_on.set_value();
    CHECK(report_of(scene).last_outcome.has_value() == given_up);
    has_failed.get_future().wait();
    const TaskReport report = report_of(scene);
    CHECK(report.state == (given_up ? TaskState::ended : TaskState::running));
    CHECK(report.last_message == (given_up ? "its shard was given up" : ""));
    counts_of(scene.shard);
    ends.set_value();
    stuck.join();
  }
}
