// What the coordinator reports about its tasks: states and since when, and for which others they wait.
#include <random>

#include "coordinator_scene.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace taskhost;
using taskhost::test::CoordinatorScene;
using taskhost::test::PlannedTask;

namespace {

constexpr TaskType mandatory = TaskType::mandatory;
constexpr TaskType detachable = TaskType::detachable;
constexpr TaskType shutdown_on_exit = TaskType::shutdown_on_exit;
constexpr Outcome ok = Outcome::ok;
constexpr Outcome error = Outcome::error;
constexpr Nanoseconds second = CoordinatorScene::second;
const End abandoned{Ending::abandoned, Outcome::cancelled, "its poll did not return", 0, 0};
const End refused{Ending::refused, Outcome::ok, {}, 0, 0};
using Tasks = std::vector<std::uint32_t>;

SupervisionOptions with_backoff(std::chrono::nanoseconds delay) {
  SupervisionOptions optional;
  optional.backoff.emplace() = {delay, 1, delay, 0};
  return optional;
}

TaskReport report_of(CoordinatorScene& scene, Place task) {
  TaskReport report{.task = task};
  scene.coordinator.report(task, scene.now, report);
  CHECK(report.since <= scene.now);
  CHECK(report.at == scene.now);
  CHECK((report.started_at == 0 || is_live(report.state)));
  CHECK((report.started_at <= report.at));
  CHECK((report.next_start != 0) == (report.state == TaskState::delayed));
  CHECK(report.ready == (report.state == TaskState::running));
  return report;
}
TaskState state_of(CoordinatorScene& scene, Place task) { return report_of(scene, task).state; }

TaskCounts counts_of(const CoordinatorScene& scene) {
  TaskCounts counts;
  scene.coordinator.count(counts);
  return counts;
}

}  // namespace

TEST_CASE("a coordinated task says since when it is in its state, and when its execution began") {
  CoordinatorScene scene({PlannedTask(mandatory, 2).with(with_backoff(4s))});
  const Nanoseconds began = scene.now;
  scene.begin();
  scene.seconds_pass(1);
  TaskReport report = report_of(scene, 0);
  CHECK(report.state == TaskState::starting);
  CHECK((report.since == began && report.started_at == 0 && report.execution == 0));  // it is only ordered
  CHECK((report.remaining == 2u && !report.last_outcome));
  scene.coordinator.begun(0, scene.now);
  scene.seconds_pass(1);
  report = report_of(scene, 0);
  CHECK(report.state == TaskState::starting);
  CHECK((report.since == began && report.started_at == began + second && report.execution == 1));
  scene.coordinator.started(0, scene.now);
  scene.seconds_pass(1);
  report = report_of(scene, 0);
  CHECK(report.state == TaskState::running);
  CHECK((report.since == began + 2 * second && report.started_at == began + second));
  scene.ends(0, error, "no route to host");
  scene.seconds_pass(1);
  report = report_of(scene, 0);
  CHECK(report.state == TaskState::delayed);
  CHECK((report.since == began + 3 * second && report.next_start == began + 7 * second));
  CHECK((report.execution == 1 && report.remaining == 1u));
  CHECK((report.last_outcome == error && report.last_message == "no route to host"));
  scene.seconds_pass(4);
  report = report_of(scene, 0);
  CHECK(report.state == TaskState::starting);
  CHECK((report.since == began + 7 * second && report.started_at == 0 && report.execution == 1));
  scene.runs(0);
  CHECK(report_of(scene, 0).execution == 2);
  scene.ends(0, ok);
  report = report_of(scene, 0);
  CHECK((report.state == TaskState::delayed && report.last_outcome == ok && report.last_message.empty()));
}

TEST_CASE("a task waits for those that it comes after and that are not ready, and for its group") {
  CoordinatorScene scene({PlannedTask(), PlannedTask(), PlannedTask().comes_after({0, 1})});
  scene.begin();
  CHECK(report_of(scene, 2).waits_for == Tasks{0, 1});
  scene.runs(0);
  const TaskReport report = report_of(scene, 2);
  CHECK((report.state == TaskState::waiting && report.waits_for == Tasks{1}));
  CHECK_FALSE(report.waits_for_group);
  scene.runs(1);
  CHECK((state_of(scene, 2) == TaskState::starting && report_of(scene, 2).waits_for.empty()));
  // One that runs does not wait for them any more.
  scene.runs(2);
  scene.operate(0, Operation::stop);
  CHECK(report_of(scene, 2).waits_for.empty());
  CHECK(report_of(scene, 2).after == Tasks{0, 1});
}

TEST_CASE("a task that is delayed says for which it will have to wait after that") {
  CoordinatorScene scene({PlannedTask(), PlannedTask(mandatory, 3).with(with_backoff(9s)).comes_after({0})});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.ends(1, error);
  CHECK((state_of(scene, 1) == TaskState::delayed && report_of(scene, 1).waits_for.empty()));
  scene.operate(0, Operation::stop);
  CHECK((state_of(scene, 1) == TaskState::delayed && report_of(scene, 1).waits_for == Tasks{0}));
  CHECK(report_of(scene, 0).purpose == StopPurpose::operator_stop);
  scene.seconds_pass(10);
  CHECK((state_of(scene, 1) == TaskState::waiting && report_of(scene, 1).waits_for == Tasks{0}));
}

TEST_CASE("a task that was skipped names the ones that are over, and forgets them when it is started again") {
  CoordinatorScene scene({PlannedTask(), PlannedTask(), PlannedTask().comes_after({0, 1}), PlannedTask()});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.runs(2);
  scene.operate(2, Operation::stop);
  scene.ends(2, ok);
  CHECK((state_of(scene, 2) == TaskState::stopped && report_of(scene, 2).waits_for.empty()));
  scene.ends(1, error);
  scene.operate(2, Operation::start);
  TaskReport report = report_of(scene, 2);
  CHECK(report.state == TaskState::ended);
  CHECK((report.over_for == StopReason::skipped && report.is_lost));
  CHECK(report.waits_for == Tasks{1});
  CHECK((report.last_outcome == Outcome::cancelled && report.execution == 1));
  report = report_of(scene, 1);
  CHECK((report.over_for == StopReason::budget_exhausted && report.is_lost));
  scene.operate(1, Operation::restart);
  report = report_of(scene, 1);
  CHECK((report.state == TaskState::starting && !report.over_for && !report.is_lost));
  scene.runs(1);
  scene.operate(2, Operation::start);
  report = report_of(scene, 2);
  CHECK((report.state == TaskState::starting && !report.over_for && !report.is_lost && report.waits_for.empty()));
}

TEST_CASE("a coordinated task that is over says why, and whether it is lost") {
  struct Row {
    PlannedTask task;
    End end;
    std::optional<StopReason> over_for;
    bool is_lost;
  };
  const auto returned = [](Outcome outcome) { return End{Ending::returned, outcome, "why", 0, 0}; };
  const Row rows[] = {
      {PlannedTask(detachable), returned(ok), StopReason::task_exit, false},
      {PlannedTask(detachable), returned(error), StopReason::budget_exhausted, true},
      {PlannedTask(mandatory), returned(ok), std::nullopt, true},
      {PlannedTask(mandatory), returned(error), std::nullopt, true},
      {PlannedTask(shutdown_on_exit), returned(ok), std::nullopt, false},
      {PlannedTask(shutdown_on_exit), returned(error), std::nullopt, true},
      {PlannedTask(detachable), abandoned, StopReason::not_stopped, true},
      {PlannedTask(mandatory), abandoned, std::nullopt, true},
  };
  for (const Row& row : rows) {
    INFO(to_string(row.task.options.type) << ' ' << to_string(row.end.outcome));
    CoordinatorScene scene({row.task});
    scene.begin();
    scene.runs(0);
    scene.ends(0, row.end);
    const TaskReport report = report_of(scene, 0);
    CHECK(report.state == TaskState::ended);
    CHECK(report.last_outcome == row.end.outcome);
    CHECK(report.last_message == row.end.message);
    CHECK(report.over_for == row.over_for);
    CHECK(report.is_lost == row.is_lost);
    CHECK(report.abandoned == (row.end.ending == Ending::abandoned));
    CHECK(counts_of(scene).needed_unready == (row.task.options.type != detachable && row.is_lost ? 1 : 0));
  }
}

TEST_CASE("what the host's stop ends is not lost, nor what it does not start") {
  CoordinatorScene scene({PlannedTask(mandatory), PlannedTask(mandatory).comes_after({0}), PlannedTask(mandatory),
                          PlannedTask(mandatory, 1).with(with_backoff(9s)), PlannedTask(mandatory)});
  scene.begin();
  scene.runs(2);
  scene.operate(2, Operation::stop);
  scene.ends(2, ok);
  scene.runs(3);
  scene.ends(3, error);
  scene.runs(4);
  scene.host_stops();
  scene.ends(0, refused);
  scene.ends(4, ok);
  for (Place task = 0; task < 5; ++task) {
    const TaskReport report = report_of(scene, task);
    CHECK((report.state == TaskState::ended && !report.over_for && !report.is_lost));
    CHECK(report.execution == (task < 2 ? 0 : 1));
  }
  CHECK(report_of(scene, 4).last_outcome == Outcome::cancelled);
  CHECK(counts_of(scene).needed_unready == 0);
}

TEST_CASE("a task that is to be asked to end waits for those that come after it and live, and has its purpose") {
  CoordinatorScene scene({PlannedTask(mandatory), PlannedTask(mandatory).comes_after({0}),
                          PlannedTask(mandatory).comes_after({0}), PlannedTask(mandatory).comes_after({1})});
  scene.begin();
  for (const Place task : {0, 1, 2, 3}) scene.runs(task);
  scene.seconds_pass(3);
  scene.host_stops();
  TaskReport report = report_of(scene, 0);
  CHECK((report.state == TaskState::running && report.ready));
  CHECK(report.purpose == StopPurpose::host);
  CHECK(report.waits_for == Tasks{1, 2});
  CHECK(report_of(scene, 1).waits_for == Tasks{3});
  report = report_of(scene, 3);
  CHECK((report.state == TaskState::stopping && report.since == scene.now && report.waits_for.empty()));
  scene.ends(2, ok);
  CHECK(report_of(scene, 0).waits_for == Tasks{1});
  // Once the time is up, all are asked, and nobody waits.
  scene.seconds_pass(3);
  scene.stop_expires();
  report = report_of(scene, 0);
  CHECK((report.state == TaskState::stopping && report.since == scene.now && report.waits_for.empty()));
}

TEST_CASE("a task that has not begun is to be asked as soon as it has, and waits for nobody") {
  CoordinatorScene scene({PlannedTask(mandatory)});
  scene.begin();
  scene.operate(0, Operation::stop);
  TaskReport report = report_of(scene, 0);
  CHECK((report.state == TaskState::starting && report.purpose == StopPurpose::operator_stop));
  CHECK(report.waits_for.empty());
  scene.begun(0);
  CHECK(state_of(scene, 0) == TaskState::stopping);
  CHECK(report_of(scene, 0).execution == 1);
}

TEST_CASE("members of a group wait for it, and are asked after those that come after them and are to stop, too") {
  // 3 comes after 0 as well, but is no member: a restart of the group does not concern it.
  CoordinatorScene scene(
      {PlannedTask(mandatory, 3).in_group(), PlannedTask(mandatory, 3).in_group().comes_after({0}),
       PlannedTask(mandatory, 3).with(with_backoff(5s)).in_group(), PlannedTask(mandatory, 3).comes_after({0})},
      {Strategy::one_for_all});
  scene.begin();
  for (const Place task : {0, 1, 2, 3}) scene.runs(task);
  CHECK(report_of(scene, 0).group == 0u);
  CHECK_FALSE(report_of(scene, 3).group);
  scene.ends(2, error);
  TaskReport report = report_of(scene, 0);
  CHECK((report.state == TaskState::running && report.purpose == StopPurpose::again));
  CHECK(report.waits_for == Tasks{1});
  CHECK(report_of(scene, 1).purpose == StopPurpose::again);
  report = report_of(scene, 2);
  CHECK((report.state == TaskState::delayed && report.waits_for_group && report.waits_for.empty()));
  scene.ends(1, ok);
  report = report_of(scene, 1);
  CHECK((report.state == TaskState::waiting && report.waits_for_group && report.waits_for == Tasks{0}));
  scene.ends(0, ok);
  report = report_of(scene, 1);
  CHECK((report.waits_for_group && report.waits_for == Tasks{0}));
  scene.seconds_pass(6);
  CHECK(state_of(scene, 0) == TaskState::starting);
  report = report_of(scene, 1);
  CHECK((report.state == TaskState::waiting && !report.waits_for_group && report.waits_for == Tasks{0}));
}

TEST_CASE("a member that goes with its group is lost for it") {
  CoordinatorScene scene({PlannedTask(detachable).in_group(), PlannedTask(detachable).in_group()},
                         {Strategy::one_for_all});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.ends(0, error, "no route to host");
  TaskReport report = report_of(scene, 1);
  CHECK((report.state == TaskState::stopping && report.purpose == StopPurpose::discard));
  scene.ends(1, ok);
  report = report_of(scene, 1);
  CHECK((report.over_for == StopReason::group && report.is_lost && report.last_outcome == Outcome::cancelled));
}

TEST_CASE("wherever a walk at random leads, the coordinator's counts are what its reports add up to") {
  constexpr Place tasks = 8;
  for (unsigned seed = 0; seed < 400; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto any = [&random](unsigned below) { return static_cast<unsigned>(random() % below); };
    std::vector<PlannedTask> plan;
    for (Place task = 0; task < tasks; ++task) {
      constexpr TaskType types[] = {detachable, detachable, mandatory};
      PlannedTask planned(types[any(3)], any(4) * 5);
      SupervisionOptions optional;
      if (any(2) == 0) optional = with_backoff(std::chrono::seconds(1 + any(4)));
      optional.notify = any(3) == 0;
      if (any(3) == 0) optional.start_timeout = 2s;
      planned.with(optional);
      std::vector<Place> after;
      for (Place other = 0; other < task; ++other) {
        if (any(4) == 0) after.push_back(other);
      }
      planned.comes_after(after);
      if (any(2) == 0) planned.in_group(any(2));
      plan.push_back(planned);
    }
    constexpr Strategy strategies[] = {Strategy::one_for_one, Strategy::one_for_all, Strategy::rest_for_one};
    CoordinatorScene scene(plan, {strategies[any(3)], strategies[any(3)]});
    scene.begin();
    std::uint64_t restarts = 0;
    for (unsigned step = 0; step < 100; ++step) {
      const Place task = any(tasks);
      switch (any(9)) {
        case 0:
        case 1:
        case 2:
          scene.coordinator.begun(task, scene.now);
          break;
        case 3:
        case 4:
          scene.coordinator.started(task, scene.now);
          break;
        case 5:
          scene.coordinator.said_ready(task, scene.now);
          break;
        case 6:
          scene.coordinator.ended(task, {Ending::returned, any(2) == 0 ? ok : error, "why", 0, 0}, scene.now);
          break;
        case 7:
          scene.coordinator.operate(task, static_cast<Operation>(any(3)), scene.now);
          break;
        default:
          scene.seconds_pass(any(3));
          break;
      }
      if (any(200) == 0) scene.coordinator.begin_stop(scene.now);
      const std::string words = scene.takes();
      for (auto at = words.find("restarting"); at != std::string::npos; at = words.find("restarting", at + 1))
        ++restarts;
      const bool goes_on =
          !scene.coordinator.host_stops() && scene.stop_message.empty() && words.find("stop host") == std::string::npos;
      if (!goes_on) scene.stop_message = "it stops";
      TaskCounts sum;
      for (Place one = 0; one < tasks; ++one) {
        TaskReport report = report_of(scene, one);
        sum.add(plan[one].options.type, report.state, report.is_lost, report.waits_for_time);
        const bool asked = report.state == TaskState::stopping;
        CHECK((!asked || (report.purpose && report.waits_for.empty())));
        CHECK((report.purpose.has_value() <= is_live(report.state)));
        // Whoever has nobody to wait for does not wait.
        const bool is_held = report.waits_for_group || !report.waits_for.empty();
        if (report.state == TaskState::waiting && goes_on) CHECK(is_held);
        const bool has_begun = report.started_at != 0;
        if (report.purpose && !asked && has_begun) CHECK_FALSE(report.waits_for.empty());
        if (report.state == TaskState::running) CHECK(has_begun);
        for (const Place other : report.waits_for) {
          const TaskState its = scene.coordinator.state(other);
          if (report.purpose) CHECK(is_live(its));
          if (report.state == TaskState::waiting) CHECK(its != TaskState::running);
        }
      }
      sum.restarts = restarts;
      const TaskCounts counts = counts_of(scene);
      sum.exits = counts.exits;  // reports don't tell these
      sum.gave_up = counts.gave_up;
      CHECK(counts == sum);
    }
  }
}
