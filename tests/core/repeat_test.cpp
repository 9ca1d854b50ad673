// Tasks that repeat: when they are due, and what the wait for that means to others.
#include "coordinator_scene.hpp"
#include "support/catch.hpp"
#include "taskhost/core/policy_check.hpp"

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
constexpr Nanoseconds hour = 3600 * second;
const End abandoned{Ending::abandoned, Outcome::cancelled, {}, 0, 0};

SupervisionOptions every(std::chrono::nanoseconds time) {
  SupervisionOptions optional;
  optional.repeat = {.every = time};
  return optional;
}

// Due at each full hour, by a wall clock that a test sets.
class Hourly final : public Schedule {
 public:
  Nanoseconds wall_time(Nanoseconds now) const noexcept override { return now + ahead; }
  Nanoseconds next(Nanoseconds after) const noexcept override { return (after / hour + 1) * hour; }
  std::string text() const override { return "hourly"; }
  std::string time_text(Nanoseconds wall) const override { return std::to_string(wall / hour); }

  Nanoseconds ahead = 100'000 * hour;  // of the supervisor's clock, which begins at 1000 s
};

// One task that is due at each full hour.
struct HourlyScene {
  explicit HourlyScene(const std::vector<PlannedTask>& others = {}) : scene(with(others)) { scene.begin(); }

  std::vector<PlannedTask> with(const std::vector<PlannedTask>& others) const {
    SupervisionOptions optional;
    optional.repeat = {.schedule = clock};
    std::vector<PlannedTask> all{PlannedTask(mandatory, 1).with(optional)};
    all.insert(all.end(), others.begin(), others.end());
    return all;
  }
  void set_by(std::int64_t seconds) { clock->ahead += static_cast<Nanoseconds>(seconds) * second; }

  std::shared_ptr<Hourly> clock = std::make_shared<Hourly>();
  CoordinatorScene scene;
};

TaskReport report_of(CoordinatorScene& scene, Place task) {
  TaskReport report{};
  scene.coordinator.report(task, scene.now, report);
  return report;
}

}  // namespace

// --- every -----------------------------------------------------------------------------------------------------------

TEST_CASE("a task with every is due at multiples of it after its first start, however long it takes") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s))});
  scene.begin();
  scene.runs(0);
  scene.seconds_pass(3);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 7");
  CHECK(scene.state(0) == "delayed");
  CHECK(scene.seconds_pass(6).empty());
  CHECK(scene.seconds_pass(1) == "start 0");
  scene.runs(0);
  scene.seconds_pass(8);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 2");
}

TEST_CASE("times that an execution takes too long for have one execution together, at once, and then the times go on") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s))});
  scene.begin();
  scene.runs(0);
  scene.seconds_pass(35);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 0, start 0");
  scene.runs(0);
  scene.seconds_pass(1);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 4");
}

TEST_CASE("an execution that ends just when the next is due is followed by it at once, and by no second one") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s))});
  scene.begin();
  scene.runs(0);
  scene.seconds_pass(10);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 0, start 0");
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 10");
}

TEST_CASE("times that pass while the process stands still have one execution together") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s))});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 10");
  CHECK(scene.stands_still_until(scene.now + 57 * second) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 3");
}

TEST_CASE("a repeat charges nothing and gives nothing back, and a failure is judged as ever") {
  SupervisionOptions optional = every(10s);
  optional.backoff.emplace() = {4s, 2, 1min, 0};
  CoordinatorScene scene({PlannedTask(mandatory, 2).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 4");
  CHECK(scene.last_news.remaining == 1u);
  CHECK(scene.seconds_pass(4) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 6");
  CHECK(scene.last_news.remaining == 1u);
  CHECK(scene.seconds_pass(6) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 8");
  CHECK(scene.seconds_pass(8) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, gave up 0, stop host for 0 budget_exhausted failure");
}

TEST_CASE("the restart of one that failed stands for the times that passed meanwhile") {
  SupervisionOptions optional = every(10s);
  optional.backoff.emplace() = {25s, 1, 25s, 0};
  CoordinatorScene scene({PlannedTask(mandatory, 2).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 25");
  CHECK(scene.seconds_pass(25) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 5");
}

TEST_CASE("reset_after gives restarts back at an end that is repeated, too") {
  SupervisionOptions optional = every(10s);
  optional.reset_after = 5s;
  CoordinatorScene scene({PlannedTask(mandatory, 2).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 0, start 0");
  scene.runs(0);
  CHECK(scene.ends(0, ok, {}, 5) == "exited 0 ok, repeat 0 in 10");
  CHECK(scene.last_news.remaining == 2u);
}

// --- types and rules -------------------------------------------------------------------------------------------------

TEST_CASE("whatever its type, a task with repeat that ends well waits for its time, and the host goes on") {
  for (const TaskType type : {mandatory, detachable, shutdown_on_exit}) {
    INFO(to_string(type));
    CoordinatorScene scene({PlannedTask(type).with(every(10s))});
    scene.begin();
    scene.runs(0);
    CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 10");
    CHECK_FALSE(scene.coordinator.idle());
  }
}

TEST_CASE("a shutdown_on_exit task with repeat that fails stops the host") {
  CoordinatorScene scene({PlannedTask(shutdown_on_exit).with(every(10s))});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, stop host for 0 task_exit failure");
}

TEST_CASE("an exit rule for ok comes before repeat") {
  SupervisionOptions optional = every(10s);
  optional.exit_rules = {{{ok}, {}, ExitAction::stop_host}};
  CoordinatorScene scene({PlannedTask(mandatory, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, stop host for 0 task_exit success");
}

TEST_CASE("an exit rule that repeats waits for the task's time, whatever its backoff, and needs none") {
  SupervisionOptions optional = every(10s);
  optional.exit_rules = {{{error}, "nothing to do", ExitAction::repeat}};
  for (const bool has_backoff : {false, true}) {
    if (has_backoff) optional.backoff.emplace() = {2s, 1, 2s, 0};
    CoordinatorScene scene({PlannedTask(mandatory, has_backoff ? 1 : 0).with(optional)});
    CHECK(check_policy(PlannedTask(mandatory, has_backoff ? 1 : 0).with(optional).options).empty());
    scene.begin();
    scene.runs(0);
    CHECK(scene.ends(0, error, "nothing to do") == "exited 0 error, repeat 0 in 10");
  }
}

TEST_CASE("every is at least a millisecond") {
  for (const auto time : {-5s, 0s}) {
    const auto problems = check_policy(PlannedTask(mandatory).with(every(time)).options);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].field == "repeat");
    CHECK(problems[0].step == "/every");
  }
  CHECK(check_policy(PlannedTask(mandatory).with(every(999999ns)).options).size() == 1);
  CHECK(check_policy(PlannedTask(mandatory).with(every(1ms)).options).empty());
}

TEST_CASE("an every of centuries is waited for, and does not overflow") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(std::chrono::nanoseconds::max()))});
  scene.begin();
  scene.runs(0);
  scene.ends(0, ok);
  CHECK(scene.seconds_pass(1'000'000).empty());
  CHECK(scene.state(0) == "delayed");
}

TEST_CASE("in which state an ok end is repeated") {
  SupervisionOptions optional = every(10s);
  optional.notify = true;
  optional.start_timeout = 2s;
  enum class Way { starting, running, asked_to_stop, asked_to_restart, too_late, host_stops };
  const auto ends_well = [&](Way way) {
    CoordinatorScene scene({PlannedTask(detachable).with(optional)});
    scene.begin();
    scene.runs(0);
    if (way == Way::running) scene.said_ready(0);
    if (way == Way::asked_to_stop) scene.operate(0, Operation::stop);
    if (way == Way::asked_to_restart) scene.operate(0, Operation::restart);
    if (way == Way::too_late) scene.seconds_pass(2);
    if (way == Way::host_stops) scene.host_stops();
    const std::string what = scene.ends(0, ok);
    CHECK(scene.ends(0, ok).empty());  // it has ended
    return what + "; " + scene.state(0);
  };
  CHECK(ends_well(Way::starting) == "exited 0 ok, repeat 0 in 10; delayed");
  CHECK(ends_well(Way::running) == "exited 0 ok, repeat 0 in 10; delayed");
  CHECK(ends_well(Way::asked_to_stop) == "stopped 0; stopped");
  CHECK(ends_well(Way::asked_to_restart) == "stopped 0, start 0; starting");
  CHECK(ends_well(Way::too_late) == "exited 0 error, gave up 0, discarded 0 budget_exhausted; ended");
  CHECK(ends_well(Way::host_stops) == "stopped 0; ended");
}

TEST_CASE("an ok end is not repeated once a task has stopped the host") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s)), PlannedTask(shutdown_on_exit)});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.ends(1, ok);
  CHECK(scene.ends(0, ok) == "exited 0 ok");
  CHECK(scene.state(0) == "ended");
}

// --- others ----------------------------------------------------------------------------------------------------------

TEST_CASE("dependants may start while a task waits for its time, and go on when it starts again") {
  SupervisionOptions optional = every(10s);
  optional.notify = true;
  CoordinatorScene scene({PlannedTask(mandatory).with(optional), PlannedTask(mandatory, 3).comes_after({0})});
  CHECK(scene.begin() == "start 0");
  CHECK(scene.runs(0).empty());
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 10, start 1");
  scene.runs(1);
  CHECK(scene.seconds_pass(10) == "start 0");
  CHECK(scene.state(1) == "running");
  scene.runs(0);
  CHECK(scene.ends(1, error) == "exited 1 error, restarting 1 in 0");
  CHECK(scene.state(1) == "waiting");
  CHECK(scene.said_ready(0) == "ready 0, start 1");
}

TEST_CASE("dependants wait while an operator has a task stopped that waited for its time") {
  SupervisionOptions optional = every(10s);
  CoordinatorScene scene({PlannedTask(mandatory).with(optional), PlannedTask(mandatory, 3).comes_after({0})});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.ends(0, ok);
  CHECK(scene.operate(0, Operation::stop).empty());
  CHECK(scene.state(0) == "stopped");
  CHECK(scene.ends(1, error) == "exited 1 error, restarting 1 in 0");
  CHECK(scene.seconds_pass(30).empty());
}

TEST_CASE("a restart of its group leaves a task that waits for its time waiting, and does not wait for it") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(100s)).in_group(), PlannedTask(mandatory, 3).in_group()},
                         {Strategy::one_for_all});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 100");
  CHECK(scene.ends(1, error) == "exited 1 error, restarting 1 in 0, start 1");
  CHECK(scene.state(0) == "delayed");
  CHECK(scene.seconds_pass(100) == "start 0");
}

TEST_CASE("one that is due while its group restarts starts when the group is at rest") {
  SupervisionOptions slow;
  slow.backoff.emplace() = {20s, 1, 20s, 0};
  CoordinatorScene scene(
      {PlannedTask(mandatory).with(every(10s)).in_group(), PlannedTask(mandatory, 3).with(slow).in_group()},
      {Strategy::one_for_all});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.ends(0, ok);
  CHECK(scene.ends(1, error) == "exited 1 error, restarting 1 in 20");
  CHECK(scene.seconds_pass(19).empty());
  CHECK(scene.state(0) == "waiting");
  CHECK(scene.seconds_pass(1) == "start 0, start 1");
}

TEST_CASE("a repeat concerns the member of a group alone") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s)).in_group(), PlannedTask(mandatory).in_group()},
                         {Strategy::one_for_all});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 10");
  CHECK(scene.state(1) == "running");
}

TEST_CASE("a task that waits for its time is skipped when what it comes after is gone") {
  CoordinatorScene scene({PlannedTask(detachable), PlannedTask(detachable).with(every(10s)).comes_after({0})});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.ends(1, ok);
  CHECK(scene.ends(0, error) == "exited 0 error, gave up 0, discarded 0 budget_exhausted, discarded 1 skipped 0");
}

TEST_CASE("a needed task that waits for its time does not count as unready") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s))});
  const auto unready = [&scene] {
    TaskCounts counts;
    scene.coordinator.count(counts);
    return counts.needed_unready;
  };
  scene.begin();
  CHECK(unready() == 1);
  scene.runs(0);
  CHECK(unready() == 0);
  scene.ends(0, ok);
  CHECK(unready() == 0);
  CHECK(report_of(scene, 0).waits_for_time);
  CHECK(report_of(scene, 0).next_start == scene.now + 10 * second);
  scene.seconds_pass(10);
  CHECK(unready() == 1);
  CHECK_FALSE(report_of(scene, 0).waits_for_time);
}

// --- operators, and the end ------------------------------------------------------------------------------------------

TEST_CASE("an operator's start or restart runs a task that waits for its time now, and the times stay as they are") {
  for (const Operation operation : {Operation::start, Operation::restart}) {
    CoordinatorScene scene({PlannedTask(mandatory).with(every(10s))});
    scene.begin();
    scene.runs(0);
    scene.ends(0, ok);
    scene.seconds_pass(4);
    CHECK(scene.operate(0, operation) == "start 0");
    scene.runs(0);
    scene.seconds_pass(1);
    CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 5");
  }
}

TEST_CASE("a task that an operator stops while it waits for its time is not due any more, until it is started") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s))});
  scene.begin();
  scene.runs(0);
  scene.ends(0, ok);
  CHECK(scene.operate(0, Operation::stop).empty());
  CHECK(scene.seconds_pass(25).empty());
  CHECK(scene.operate(0, Operation::start) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 5");
}

TEST_CASE("an ok end that was asked for is no exit, so it is not repeated") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s))});
  scene.begin();
  scene.runs(0);
  CHECK(scene.operate(0, Operation::stop) == "ask 0");
  CHECK(scene.ends(0, ok) == "stopped 0");
  CHECK(scene.seconds_pass(20).empty());
}

TEST_CASE("the host's stop ends the wait for a time at once") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(10s))});
  scene.begin();
  scene.runs(0);
  scene.ends(0, ok);
  CHECK(scene.host_stops().empty());
  CHECK(scene.state(0) == "ended");
  CHECK(scene.coordinator.idle());
}

TEST_CASE("an execution that is abandoned is not repeated") {
  CoordinatorScene scene({PlannedTask(detachable).with(every(10s))});
  scene.begin();
  scene.runs(0);
  scene.operate(0, Operation::restart);
  CHECK(scene.ends(0, abandoned) == "abandoned 0, discarded 0 not_stopped");
  CHECK(scene.seconds_pass(20).empty());
}

// --- a schedule ------------------------------------------------------------------------------------------------------

TEST_CASE("a task with a schedule starts at once, and is then due by the wall clock") {
  HourlyScene hourly;  // it is 1000 s past the hour
  CoordinatorScene& scene = hourly.scene;
  CHECK(scene.state(0) == "starting");
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 2600");
  CHECK(scene.seconds_pass(2599).empty());
  CHECK(scene.seconds_pass(1) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 3600");
}

TEST_CASE("scheduled times that were missed have one execution together, at once") {
  HourlyScene hourly;
  CoordinatorScene& scene = hourly.scene;
  scene.runs(0);
  scene.ends(0, ok);
  CHECK(scene.stands_still_until(scene.now + 5 * hour) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 2600");
}

TEST_CASE("within a minute a task notices that the wall clock was set forward past its time") {
  HourlyScene hourly;
  CoordinatorScene& scene = hourly.scene;
  scene.runs(0);
  scene.ends(0, ok);
  hourly.set_by(2600);
  CHECK(scene.seconds_pass(59).empty());
  CHECK(scene.seconds_pass(1) == "start 0");
}

TEST_CASE("a report says when a task is due, as the wall clock is now") {
  HourlyScene hourly;
  CoordinatorScene& scene = hourly.scene;
  scene.runs(0);
  scene.ends(0, ok);
  CHECK(report_of(scene, 0).next_start == scene.now + 2600 * second);
  hourly.set_by(-100);
  CHECK(report_of(scene, 0).next_start == scene.now + 2700 * second);
}

TEST_CASE("a clock that is set back a little repeats no time") {
  HourlyScene hourly;
  CoordinatorScene& scene = hourly.scene;
  scene.runs(0);
  scene.ends(0, ok);
  CHECK(scene.seconds_pass(2600) == "start 0");
  scene.runs(0);
  hourly.set_by(-600);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 4200");
  CHECK(scene.seconds_pass(4199).empty());
  CHECK(scene.seconds_pass(1) == "start 0");
}

TEST_CASE("a clock that is set back by more than three hours was wrong, and times count from then on") {
  HourlyScene hourly;
  CoordinatorScene& scene = hourly.scene;
  scene.runs(0);
  hourly.set_by(-24 * 3600);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 2600");
  CHECK(scene.seconds_pass(2600) == "start 0");
}

TEST_CASE("a clock that is set back while a task waits is noticed when it looks") {
  HourlyScene hourly;
  CoordinatorScene& scene = hourly.scene;
  scene.runs(0);
  scene.ends(0, ok);
  scene.seconds_pass(2000);
  hourly.set_by(-1000);
  CHECK(scene.seconds_pass(1599).empty());
  CHECK(scene.seconds_pass(1) == "start 0");
}

TEST_CASE("a task without a schedule has no timer but that of its next start") {
  CoordinatorScene scene({PlannedTask(mandatory).with(every(24h))});
  scene.begin();
  scene.runs(0);
  CHECK(scene.coordinator.next_deadline() == never);
  scene.ends(0, ok);
  CHECK(scene.coordinator.next_deadline() == scene.now + 24 * hour);
}
