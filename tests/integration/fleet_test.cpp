// Many tasks, and many restarts.
#include <csignal>
#include <map>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

TEST_CASE("10,000 tasks of one plugin are started, stopped by a signal, and all told in the events") {
  constexpr std::size_t fleet = 10'000;
  Scene scene;
  scene.manifest["shards"] = GENERATE(1, 2);
  for (std::size_t number = 0; number < fleet; ++number) {
    scene.add(task("task " + std::to_string(number), "probe", "mandatory", idle_probe(), 3));
  }
  Running running = scene.start();
  running.wait_for("task_started", {}, fleet);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("plugin_loaded") == 1);
  CHECK(run.events.count("task_started") == fleet);
  CHECK(run.events.count("task_stopping") == fleet);
  CHECK(run.events.count("task_stopped") == fleet);
}

TEST_CASE("1,000 tasks that fail at once use up exactly their budgets of 10") {
  Scene scene;
  scene.manifest["shards"] = GENERATE(1, 2);
  for (int number = 0; number < 1'000; ++number) {
    scene.add(task("task " + std::to_string(number), "probe", "detachable", probe_that_ends("error"), 10));
  }
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.stopping_reason() == "all_done");
  CHECK(run.events.count("task_started") == 11'000);
  CHECK(run.events.count("task_restarting") == 10'000);
  CHECK(run.events.count("task_discarded") == 1'000);
}

TEST_CASE("500 blocking tasks run at the same time, each with a thread of its own") {
  Scene scene;
  for (int number = 0; number < 500; ++number) {
    scene.add(task("task " + std::to_string(number), "probe_blocking", "mandatory", idle_probe()));
  }
  Running running = scene.start();
  running.wait_for("task_started", {}, 500);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stopped") == 500);
}

TEST_CASE("of a storm of 100,000 restarts the events tell each one, and the log less than 500 lines") {
  Scene scene;
  scene.add(task("storm", "probe", "mandatory", probe_that_ends("error"), 100'000));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.stopping_reason() == "budget_exhausted");
  CHECK(run.events.count("task_started") == 100'001);
  CHECK(run.events.count("task_restarting") == 100'000);
  CHECK(run.events.count("task_gave_up") == 1);
  CHECK(count_lines(run.log()) < 500);
  CHECK(has_line(run.log(), {"storm"}));
}

TEST_CASE("of a storm of 2,000 restarts of a blocking task the events tell each one") {
  Scene scene;
  scene.add(task("storm", "probe_blocking", "detachable", probe_that_ends("throw"), 2'000));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.events.count("task_started") == 2'001);
  CHECK(count_lines(run.log()) < 500);
}
