// What SUPERVISION.md says, section by section, as short scenes.
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
const End dropped{Ending::dropped, Outcome::cancelled, {}, 0, 0};
const End abandoned{Ending::abandoned, Outcome::cancelled, {}, 0, 0};
const End refused{Ending::refused, Outcome::ok, {}, 0, 0};

SupervisionOptions with_backoff(std::chrono::nanoseconds delay) {
  SupervisionOptions optional;
  optional.backoff.emplace() = {delay, 1, delay, 0};
  return optional;
}

}  // namespace

// --- exits -----------------------------------------------------------------------------------------------------------

TEST_CASE("a restart without backoff is ordered at once, and is told before") {
  CoordinatorScene scene({PlannedTask(mandatory, 1)});
  CHECK(scene.begin() == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 0, start 0");
  CHECK(scene.state(0) == "starting");
}

TEST_CASE("a mandatory task that has used up its budget gives up and stops the host with failure") {
  CoordinatorScene scene({PlannedTask(mandatory, 0)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, ok, {}) == "exited 0 ok, gave up 0, stop host for 0 budget_exhausted failure");
}

TEST_CASE("a detachable task that ends well is discarded, and when nothing is left the host is idle") {
  CoordinatorScene scene({PlannedTask(detachable, 3)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, discarded 0 task_exit");
  CHECK(scene.coordinator.idle());
}

TEST_CASE("the end of a shutdown_on_exit task stops the host as it ended") {
  CoordinatorScene scene({PlannedTask(shutdown_on_exit), PlannedTask(shutdown_on_exit)});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  CHECK(scene.ends(0, error, "the disk is full") == "exited 0 error, stop host for 0 task_exit failure");
  CHECK(scene.stop_message == "the disk is full");
  CHECK(scene.ends(1, ok) == "exited 1 ok, stop host for 1 task_exit success");
}

TEST_CASE("the first rule that matches says what an exit means") {
  SupervisionOptions optional;
  optional.exit_rules = {{{error}, "fatal", ExitAction::give_up}, {{}, {}, ExitAction::restart}};
  CoordinatorScene scene({PlannedTask(detachable, 5).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, ok) == "exited 0 ok, restarting 0 in 0, start 0");
  scene.runs(0);
  CHECK(scene.ends(0, error, "a fatal error") == "exited 0 error, gave up 0, discarded 0 budget_exhausted");
}

TEST_CASE("a restart waits for its backoff, and what is left of the budget is told with it") {
  CoordinatorScene scene({PlannedTask(detachable, 3).with(with_backoff(4s))});
  scene.begin();
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 4");
  CHECK(scene.last_news.remaining == 2u);
  CHECK(scene.coordinator.next_deadline() == scene.now + 4 * CoordinatorScene::second);
  CHECK(scene.seconds_pass(3).empty());
  CHECK(scene.seconds_pass(1) == "start 0");
}

TEST_CASE("an execution that lived long enough gives the budget back before its exit is judged") {
  SupervisionOptions optional;
  optional.reset_after = 10s;
  CoordinatorScene scene({PlannedTask(mandatory, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  scene.ends(0, error, {}, 9);
  scene.runs(0);
  CHECK(scene.ends(0, error, {}, 10) == "exited 0 error, restarting 0 in 0, start 0");
  scene.runs(0);
  CHECK(scene.ends(0, error, {}, 9) == "exited 0 error, gave up 0, stop host for 0 budget_exhausted failure");
}

TEST_CASE("a start that fails is an exit with an uptime of nothing, however long it took") {
  SupervisionOptions optional;
  optional.reset_after = 10s;
  CoordinatorScene scene({PlannedTask(detachable, 1).with(optional)});
  const End failed{Ending::returned, error, {}, 60 * CoordinatorScene::second, 0};
  scene.begin();
  scene.begun(0);
  CHECK(scene.ends(0, failed) == "exited 0 error, restarting 0 in 0, start 0");
  scene.begun(0);
  CHECK(scene.ends(0, failed) == "exited 0 error, gave up 0, discarded 0 budget_exhausted");
}

TEST_CASE("a cooldown gives the budget back and begins anew after a while") {
  SupervisionOptions optional;
  optional.on_give_up = GiveUp::cooldown;
  optional.cooldown = 60s;
  CoordinatorScene scene({PlannedTask(mandatory, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  scene.ends(0, error);
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, gave up 0, cooldown 0 in 60");
  CHECK(scene.last_news.remaining == 1u);
  CHECK(scene.seconds_pass(60) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 0, start 0");
}

// --- time ------------------------------------------------------------------------------------------------------------

TEST_CASE("an execution that is not ready in time is asked to end, and its end is an exit") {
  SupervisionOptions optional;
  optional.notify = true;
  optional.start_timeout = 1500ms;
  CoordinatorScene scene({PlannedTask(detachable, 1).with(optional)});
  scene.begin();
  CHECK(scene.seconds_pass(60).empty());  // it has not begun
  scene.runs(0);
  CHECK(scene.seconds_pass(1).empty());
  CHECK(scene.seconds_pass(1) == "ask 0");
  scene.takes();
  CHECK(scene.ends(0, ok) == "exited 0 error, restarting 0 in 0, start 0");
}

TEST_CASE("what start_timeout and the watchdog say is in the exit, in whole units") {
  SupervisionOptions optional;
  optional.notify = true;
  optional.start_timeout = 1500ms;
  optional.watchdog = {2s, WatchdogAction::restart};
  CoordinatorScene scene({PlannedTask(detachable, 0).with(optional), PlannedTask(detachable, 0).with(optional)});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.said_ready(1);
  scene.seconds_pass(2);
  scene.ends(0, ok);
  CHECK(scene.last_news.message == "was not ready within 1.5s");
  scene.ends(1, dropped);
  CHECK(scene.last_news.message == "no heartbeat for 2s");
}

TEST_CASE("the watchdog counts from readiness and from each heartbeat") {
  SupervisionOptions optional;
  optional.watchdog = {5s, WatchdogAction::restart};
  CoordinatorScene scene({PlannedTask(detachable, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  scene.heartbeats[0] = scene.now + 3 * CoordinatorScene::second;
  CHECK(scene.seconds_pass(5).empty());
  CHECK(scene.seconds_pass(2).empty());
  CHECK(scene.seconds_pass(1) == "ask 0");
}

TEST_CASE("a watchdog that only logs warns once, and once more only after another heartbeat") {
  SupervisionOptions optional;
  optional.watchdog = {5s, WatchdogAction::log};
  CoordinatorScene scene({PlannedTask(detachable, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.seconds_pass(5) == "stalled 0 5");
  CHECK(scene.seconds_pass(60).empty());
  scene.heartbeats[0] = scene.now;
  CHECK(scene.seconds_pass(4).empty());
  CHECK(scene.seconds_pass(1) == "stalled 0 5");
}

TEST_CASE("timers that are late count in the order of their times, those of one time in the order of the tasks") {
  const auto recipe = [](std::chrono::nanoseconds delay) {
    return PlannedTask(detachable, 1).with(with_backoff(delay));
  };
  CoordinatorScene scene({recipe(3s), recipe(2s), recipe(1s), recipe(2s)});
  scene.begin();
  for (const Place task : {0, 1, 2, 3}) {
    scene.runs(task);
    scene.ends(task, error);
  }
  scene.takes();
  CHECK(scene.stands_still_until(scene.now + 10 * CoordinatorScene::second) == "start 2, start 1, start 3, start 0");
}

// --- what can't be stopped -------------------------------------------------------------------------------------------

TEST_CASE("a task with an abandoned execution in it is given up by its type, and never started again") {
  CoordinatorScene scene({PlannedTask(detachable, 3), PlannedTask(mandatory, 3)});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.operate(0, Operation::restart);
  CHECK(scene.ends(0, abandoned) == "abandoned 0, discarded 0 not_stopped");
  CHECK(scene.operate(0, Operation::start).empty());
  scene.operate(1, Operation::restart);
  CHECK(scene.ends(1, abandoned) == "abandoned 1, stop host for 1 not_stopped failure");
}

TEST_CASE("a polled execution that was dropped has ended like any other") {
  CoordinatorScene scene({PlannedTask(detachable, 3)});
  scene.begin();
  scene.runs(0);
  scene.operate(0, Operation::restart);
  CHECK(scene.ends(0, dropped) == "stopped 0, start 0");
}

// --- dependencies ----------------------------------------------------------------------------------------------------

TEST_CASE("a task starts when all that it comes after are ready, the one that says so itself included") {
  SupervisionOptions notify;
  notify.notify = true;
  CoordinatorScene scene({PlannedTask().comes_after({1, 2}), PlannedTask(), PlannedTask().with(notify)});
  CHECK(scene.begin() == "start 1, start 2");
  CHECK(scene.runs(1).empty());
  CHECK(scene.said_ready(2).empty());  // from one that has not begun
  CHECK(scene.runs(2).empty());
  CHECK(scene.said_ready(2) == "ready 2, start 0");
}

TEST_CASE("dependants wait while what they come after is restarted, and those that run go on") {
  CoordinatorScene scene(
      {PlannedTask(detachable, 5).with(with_backoff(5s)), PlannedTask(detachable, 5).comes_after({0})});
  scene.begin();
  CHECK(scene.runs(0) == "start 1");
  scene.runs(1);
  scene.ends(0, error);
  CHECK(scene.state(1) == "running");
  CHECK(scene.ends(1, error) == "exited 1 error, restarting 1 in 0");
  CHECK(scene.seconds_pass(5) == "start 0");
  CHECK(scene.runs(0) == "start 1");
}

TEST_CASE("one that has ended well for good satisfies, and one that gave up does not") {
  SupervisionOptions discarded;
  discarded.on_give_up = GiveUp::discard;
  CoordinatorScene scene({PlannedTask(), PlannedTask(mandatory, 0).with(discarded), PlannedTask().comes_after({0}),
                          PlannedTask(detachable, 1).comes_after({1})});
  scene.begin();
  scene.runs(0);
  scene.runs(2);
  scene.ends(0, ok);
  scene.ends(2, ok);
  CHECK(scene.operate(2, Operation::start) == "start 2");
  scene.runs(1);
  scene.runs(3);
  scene.ends(1, ok);
  CHECK(scene.ends(3, error) == "exited 3 error, restarting 3 in 0, discarded 3 skipped 1");
}

TEST_CASE("what is skipped skips those that come after it, and stops the host if it is needed") {
  CoordinatorScene scene({PlannedTask(mandatory, 1).comes_after({1}), PlannedTask().comes_after({2}), PlannedTask()});
  scene.begin();
  scene.begun(2);
  CHECK(scene.ends(2, error) ==
        "exited 2 error, gave up 2, discarded 2 budget_exhausted, discarded 1 skipped 2, discarded 0 skipped 1, "
        "stop host for 0 skipped failure");
}

TEST_CASE("the host's stop asks a task only when all that come after it have ended") {
  CoordinatorScene scene(
      {PlannedTask(), PlannedTask().comes_after({0}), PlannedTask().comes_after({0, 1}), PlannedTask()});
  scene.begin();
  for (const Place task : {0, 1, 2, 3}) scene.runs(task);
  scene.takes();
  CHECK(scene.host_stops() == "ask 3, ask 2");
  CHECK(scene.coordinator.held_up_by(2) == std::vector<Place>{0, 1});
  CHECK(scene.ends(2, ok) == "stopped 2, ask 1");
  CHECK(scene.ends(1, ok) == "stopped 1, ask 0");
  CHECK(scene.ends(0, ok) == "stopped 0");
  CHECK_FALSE(scene.coordinator.idle());
  CHECK(scene.ends(3, ok) == "stopped 3");
  CHECK(scene.coordinator.idle());
}

TEST_CASE("when the stop runs out of time, the rest is asked, whoever is live") {
  CoordinatorScene scene({PlannedTask(), PlannedTask().comes_after({0}), PlannedTask().comes_after({1})});
  scene.begin();
  for (const Place task : {0, 1, 2}) scene.runs(task);
  CHECK(scene.host_stops() == "ask 2");
  CHECK(scene.stop_expires() == "ask 1, ask 0");
}

TEST_CASE("who was held up by whom is what was true when the stop ran out of time, the nearest first") {
  CoordinatorScene scene(
      {PlannedTask(), PlannedTask().comes_after({0}), PlannedTask().comes_after({1}), PlannedTask()});
  scene.begin();
  for (const Place task : {0, 1, 2, 3}) scene.runs(task);
  scene.host_stops();
  scene.stop_expires();
  scene.ends(0, {Ending::dropped});
  CHECK(scene.coordinator.held_up_by(2) == std::vector<Place>{1, 0});
  CHECK(scene.coordinator.held_up_by(2, 1) == std::vector<Place>{1});
  CHECK(scene.coordinator.held_up_by(3).empty());
  CHECK(scene.coordinator.was_held_up(0));
  CHECK_FALSE(scene.coordinator.was_held_up(2));
  CHECK_FALSE(scene.coordinator.was_held_up(3));
}

// --- groups ----------------------------------------------------------------------------------------------------------

TEST_CASE("one_for_all starts all members again when all have ended and the delay is over; one is charged") {
  CoordinatorScene scene(
      {PlannedTask(detachable, 3).in_group(), PlannedTask(detachable, 3).with(with_backoff(5s)).in_group(),
       PlannedTask(detachable, 3).in_group(), PlannedTask(detachable, 3)},
      {Strategy::one_for_all});
  scene.begin();
  for (const Place task : {0, 1, 2, 3}) scene.runs(task);
  CHECK(scene.ends(1, error) == "exited 1 error, restarting 1 in 5, ask 2, ask 0");
  CHECK(scene.ends(0, error) == "stopped 0");
  CHECK(scene.seconds_pass(5).empty());
  CHECK(scene.ends(2, ok) == "stopped 2, start 0, start 1, start 2");
  scene.runs(0);
  scene.ends(0, error);
  CHECK(scene.last_news.remaining == 2u);  // of 3, since only this exit counts
}

TEST_CASE("a member of a group repeats alone, and what comes after it goes on") {
  const Strategy strategy = GENERATE(Strategy::one_for_all, Strategy::rest_for_one);
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 5s};
  optional.exit_rules = {{{Outcome::ok}, {}, ExitAction::repeat}};
  CoordinatorScene scene({PlannedTask(mandatory, 1).with(optional).in_group(), PlannedTask(mandatory, 1).in_group(),
                          PlannedTask(mandatory, 1).comes_after({0})},
                         {strategy});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  scene.runs(2);
  CHECK(scene.ends(0, ok) == "exited 0 ok, repeat 0 in 5");
  CHECK(scene.last_news.remaining == 1u);
  CHECK(scene.ends(2, error) == "exited 2 error, restarting 2 in 0");  // started once 0 is ready again
  CHECK(scene.seconds_pass(5) == "start 0");
  CHECK(scene.runs(0) == "start 2");
  // Another member's restart replaces the delay.
  scene.ends(0, ok);
  CHECK(scene.ends(1, error) ==
        "exited 1 error, restarting 1 in 0" +
            std::string(strategy == Strategy::one_for_all ? ", start 0, start 1" : ", start 1"));
}

TEST_CASE("once the host stops, nothing repeats") {
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 5s};
  optional.exit_rules = {{{}, {}, ExitAction::repeat}};
  CoordinatorScene scene(
      {PlannedTask(mandatory, 1).with(optional), PlannedTask(shutdown_on_exit), PlannedTask(mandatory, 1)});
  scene.begin();
  for (const Place task : {0u, 1u, 2u}) scene.runs(task);
  scene.ends(1, ok);
  CHECK(scene.ends(0, ok) == "exited 0 ok");
  CHECK(scene.state(0) == "ended");
}

TEST_CASE("rest_for_one concerns the member and those that stand after it") {
  CoordinatorScene scene(
      {PlannedTask(detachable, 3).in_group(), PlannedTask(detachable, 3).in_group(), PlannedTask().in_group()},
      {Strategy::rest_for_one});
  scene.begin();
  for (const Place task : {0, 1, 2}) scene.runs(task);
  CHECK(scene.ends(1, error) == "exited 1 error, restarting 1 in 0, ask 2");
  CHECK(scene.ends(2, error) == "stopped 2, start 1, start 2");
}

TEST_CASE("one_for_one restarts the member alone") {
  CoordinatorScene scene({PlannedTask(detachable, 3).in_group(), PlannedTask().in_group()}, {Strategy::one_for_one});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 0, start 0");
}

TEST_CASE("a group stops its members in the order that after demands, and an end that comes before is no exit") {
  CoordinatorScene scene({PlannedTask(detachable, 3).in_group(), PlannedTask(detachable, 3).in_group(),
                          PlannedTask(detachable, 3).comes_after({1}).in_group()},
                         {Strategy::one_for_all});
  scene.begin();
  for (const Place task : {0, 1, 2}) scene.runs(task);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 0, ask 2");
  CHECK(scene.ends(1, error) == "stopped 1");
  CHECK(scene.ends(2, ok) == "stopped 2, start 0, start 1");
}

TEST_CASE("an operator can't start a member before its group is at rest") {
  CoordinatorScene scene({PlannedTask(detachable, 3).in_group(), PlannedTask().in_group(), PlannedTask().in_group()},
                         {Strategy::one_for_all});
  scene.begin();
  for (const Place task : {0, 1, 2}) scene.runs(task);
  scene.ends(1, ok);
  scene.ends(0, error);
  CHECK(scene.operate(1, Operation::start).empty());
  CHECK(scene.ends(2, ok) == "stopped 2, start 0, start 1, start 2");
}

TEST_CASE("the others are discarded with a member that gives up, and each says for whom") {
  CoordinatorScene scene({PlannedTask(detachable, 0).in_group(), PlannedTask().in_group(),
                          PlannedTask().comes_after({3}).in_group(), PlannedTask()},
                         {Strategy::one_for_all});
  scene.begin();
  scene.runs(0);
  scene.runs(1);
  CHECK(scene.ends(0, error) == "exited 0 error, gave up 0, discarded 0 budget_exhausted, discarded 2 group 0, ask 1");
  CHECK(scene.ends(1, ok) == "stopped 1, discarded 1 group 0");
}

TEST_CASE("the host stops instead if it can't do without one of the others, unless an operator stops that one") {
  CoordinatorScene scene({PlannedTask().in_group(), PlannedTask(mandatory, 3).in_group()}, {Strategy::one_for_all});
  SECTION("needed") {
    scene.begin();
    scene.runs(0);
    scene.runs(1);
    CHECK(scene.ends(0, error) ==
          "exited 0 error, gave up 0, discarded 0 budget_exhausted, stop host for 1 group failure");
  }
  SECTION("stopped by an operator") {
    scene.begin();
    scene.runs(0);
    scene.runs(1);
    CHECK(scene.operate(1, Operation::stop) == "ask 1");
    CHECK(scene.ends(0, error) == "exited 0 error, gave up 0, discarded 0 budget_exhausted");
    CHECK(scene.ends(1, ok) == "stopped 1");
    CHECK(scene.state(1) == "stopped");
  }
}

// --- operators -------------------------------------------------------------------------------------------------------

TEST_CASE("what follows a stop is what was wanted last, but a host's stop is final") {
  struct Row {
    std::vector<Operation> operations;
    const char* end;
  };
  const Row rows[] = {
      {{Operation::stop}, "stopped 0"},
      {{Operation::stop, Operation::start}, "stopped 0, start 0"},
      {{Operation::stop, Operation::restart}, "stopped 0, start 0"},
      {{Operation::restart}, "stopped 0, start 0"},
      {{Operation::restart, Operation::stop}, "stopped 0"},
      {{Operation::restart, Operation::start}, "stopped 0, start 0"},
      {{Operation::stop, Operation::start, Operation::stop}, "stopped 0"},
      {{Operation::start}, "exited 0 ok, discarded 0 task_exit"},
  };
  for (const bool begun : {false, true}) {
    for (const Row& row : rows) {
      CoordinatorScene scene({PlannedTask()});
      scene.begin();
      if (begun) scene.runs(0);
      for (const Operation operation : row.operations) scene.operate(0, operation);
      if (!begun) scene.runs(0);
      CHECK(scene.ends(0, ok) == row.end);

      CoordinatorScene stopping({PlannedTask()});
      stopping.begin();
      stopping.runs(0);
      for (const Operation operation : row.operations) stopping.operate(0, operation);
      stopping.host_stops();
      CHECK(stopping.ends(0, ok) == "stopped 0");
      CHECK(stopping.state(0) == "ended");
    }
  }
}

TEST_CASE("an operator's start gives the budget back, and a restart charges nothing") {
  CoordinatorScene scene({PlannedTask(detachable, 1)});
  scene.begin();
  scene.runs(0);
  scene.ends(0, error);
  scene.runs(0);
  scene.operate(0, Operation::restart);
  CHECK(scene.ends(0, ok) == "stopped 0, start 0");
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, gave up 0, discarded 0 budget_exhausted");
  CHECK(scene.operate(0, Operation::start) == "start 0");
  scene.runs(0);
  CHECK(scene.ends(0, error) == "exited 0 error, restarting 0 in 0, start 0");
}

TEST_CASE("a task that an operator stopped keeps the host running, and makes others wait") {
  CoordinatorScene scene({PlannedTask(), PlannedTask(detachable, 1).comes_after({0})});
  scene.begin();
  scene.operate(0, Operation::stop);
  CHECK(scene.runs(0) == "ask 0");
  CHECK(scene.ends(0, ok) == "stopped 0");
  CHECK(scene.state(1) == "waiting");
  CHECK_FALSE(scene.coordinator.idle());
  CHECK(scene.operate(0, Operation::start) == "start 0");
}

// --- the end ---------------------------------------------------------------------------------------------------------

TEST_CASE("once a task has stopped the host, nothing is started, restarted or skipped, and all else is told") {
  CoordinatorScene scene({PlannedTask(shutdown_on_exit), PlannedTask(detachable, 3), PlannedTask(),
                          PlannedTask().comes_after({2}), PlannedTask(detachable, 3).with(with_backoff(1s))});
  scene.begin();
  for (const Place task : {0, 1, 2, 4}) scene.runs(task);
  scene.ends(4, error);
  scene.ends(0, ok);
  CHECK(scene.ends(1, error) == "exited 1 error");
  CHECK(scene.seconds_pass(1).empty());
  CHECK(scene.operate(1, Operation::start).empty());
  CHECK(scene.ends(2, error) == "exited 2 error, gave up 2, discarded 2 budget_exhausted");
  CHECK(scene.host_stops().empty());
  CHECK(scene.runs(3) == "ask 3");  // its order was already on the way
  CHECK(scene.ends(3, error) == "stopped 3");
  CHECK(scene.coordinator.idle());
}

TEST_CASE("a start that is refused since the host stops starts and skips nobody else") {
  CoordinatorScene scene({PlannedTask(), PlannedTask().comes_after({0}), PlannedTask(detachable, 1)});
  scene.begin();
  scene.runs(2);
  CHECK(scene.ends(0, refused).empty());
  CHECK(scene.ends(2, error) == "exited 2 error");
  CHECK(scene.host_stops().empty());
  CHECK(scene.coordinator.idle());
}

// --- the cost --------------------------------------------------------------------------------------------------------

TEST_CASE("a group is restarted, and a fleet is stopped, with calls in proportion to its size") {
  const auto calls = [](std::size_t count) {
    CoordinatorScene scene(std::vector<PlannedTask>(count, PlannedTask(detachable, 3).in_group()),
                           {Strategy::one_for_all});
    scene.takes_notes = false;
    const auto size = static_cast<Place>(count);
    scene.begin();
    for (Place task = 0; task < size; ++task) scene.runs(task);
    scene.calls = 0;
    for (Place task = 0; task < size; ++task) scene.ends(task, error);  // the first is an exit, the others end as asked
    const std::size_t restart = scene.calls;
    for (Place task = 0; task < size; ++task) scene.runs(task);
    scene.calls = 0;
    scene.host_stops();
    for (Place task = 0; task < size; ++task) scene.ends(task, ok);
    CHECK(scene.coordinator.idle());
    return std::pair(restart, scene.calls);
  };
  const auto [restart, stop] = calls(1'000);
  const auto [restart_of_many, stop_of_many] = calls(10'000);
  CHECK(restart == 4 * 1'000 - 1);  // four calls for each, and three for the one that exited
  CHECK(restart_of_many == 4 * 10'000 - 1);
  CHECK(stop == 3 * 1'000);
  CHECK(stop_of_many == 3 * 10'000);
}
