// Timers that come far too late because the process stood still; what counts as living; and tasks that are taken over
// from a shard.
#include "coordinator_scene.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace taskhost;
using taskhost::test::CoordinatorScene;
using taskhost::test::PlannedTask;

namespace {

constexpr TaskType mandatory = TaskType::mandatory;
constexpr TaskType detachable = TaskType::detachable;
constexpr Outcome error = Outcome::error;

SupervisionOptions with_backoff(std::chrono::nanoseconds delay) {
  SupervisionOptions optional;
  optional.backoff.emplace() = {delay, 1, delay, 0};
  return optional;
}

}  // namespace

TEST_CASE("a watchdog that comes far too late is armed anew, once for each sign of life") {
  SupervisionOptions optional;
  optional.watchdog = {5s, WatchdogAction::restart};
  CoordinatorScene scene({PlannedTask(mandatory, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.stands_still_until(scene.now + 60 * CoordinatorScene::second).empty());
  scene.heartbeats[0] = scene.now + CoordinatorScene::second;
  CHECK(scene.seconds_pass(5).empty());
  CHECK(scene.stands_still_until(scene.now + 60 * CoordinatorScene::second).empty());  // after that heartbeat
  CHECK(scene.seconds_pass(4).empty());
  CHECK(scene.stands_still_until(scene.now + 60 * CoordinatorScene::second) == "ask 0");
}

TEST_CASE("an execution whose step has ended is not watched any more") {
  SupervisionOptions optional;
  optional.watchdog = {5s, WatchdogAction::restart};
  CoordinatorScene scene({PlannedTask(mandatory, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.seconds_pass(4).empty());
  scene.coordinator.step_ended(0);
  CHECK(scene.seconds_pass(60).empty());
}

TEST_CASE("a watchdog that only logs is armed anew like one that restarts") {
  SupervisionOptions optional;
  optional.watchdog = {5s, WatchdogAction::log};
  CoordinatorScene scene({PlannedTask(mandatory, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.stands_still_until(scene.now + 60 * CoordinatorScene::second).empty());
  CHECK(scene.seconds_pass(5) == "stalled 0 65");
}

TEST_CASE("a start_timeout that comes far too late is armed anew, once") {
  SupervisionOptions optional;
  optional.notify = true;
  optional.start_timeout = 5s;
  CoordinatorScene scene({PlannedTask(mandatory, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.stands_still_until(scene.now + 60 * CoordinatorScene::second).empty());
  CHECK(scene.seconds_pass(4).empty());
  CHECK(scene.stands_still_until(scene.now + 60 * CoordinatorScene::second) == "ask 0");
}

TEST_CASE("a timer that is late by no more than a tenth of a second counts as in time") {
  SupervisionOptions optional;
  optional.watchdog = {5s, WatchdogAction::restart};
  CoordinatorScene scene({PlannedTask(mandatory, 1).with(optional)});
  scene.begin();
  scene.runs(0);
  CHECK(scene.stands_still_until(scene.now + 5 * CoordinatorScene::second + standstill) == "ask 0");
}

TEST_CASE("the end of a delay is never put off") {
  CoordinatorScene scene({PlannedTask(detachable, 3).with(with_backoff(4s))});
  scene.begin();
  scene.runs(0);
  scene.ends(0, error);
  CHECK(scene.stands_still_until(scene.now + 60 * CoordinatorScene::second) == "start 0");
}

TEST_CASE("reset_after counts what the execution lived, not how long it was up") {
  SupervisionOptions optional;
  optional.reset_after = 10s;
  for (const bool lived : {true, false}) {
    CoordinatorScene scene({PlannedTask(detachable, 1).with(optional)});
    scene.begin();
    scene.runs(0);
    scene.ends(0, error);  // one restart is used up
    scene.runs(0);
    End end{Ending::returned, error, {}, 20 * CoordinatorScene::second, 0};
    end.lived = lived ? 10 * CoordinatorScene::second : 10 * CoordinatorScene::second - 1;
    CHECK(scene.ends(0, end) == (lived ? "exited 0 error, restarting 0 in 0, start 0"
                                       : "exited 0 error, gave up 0, discarded 0 budget_exhausted"));
  }
}
