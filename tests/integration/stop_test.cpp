// Stops by signal, at any moment, with tasks in any state, as host/README.md promises.
#include <csignal>
#include <string>
#include <thread>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Json storming(std::string_view name, std::string_view plugin) {
  return task(name, plugin, "detachable", probe_that_ends("error"), 4'000'000'000U);
}

}  // namespace

TEST_CASE("SIGINT and SIGTERM stop running tasks of every kind, well and long before any timeout") {
  const int signal = GENERATE(SIGINT, SIGTERM);
  const int shards = GENERATE(1, 3);
  Scene scene;
  scene.manifest["shards"] = shards;
  scene.manifest["defaults"] = {{"stop_timeout", no_timeout}};
  scene.add(task("polled", "probe", "mandatory", idle_probe(), 3));
  scene.add(task("blocking", "probe_blocking", "mandatory", idle_probe(), 3));
  scene.add(task("last", "probe", "shutdown_on_exit", idle_probe()));
  scene.add(task("cache", "probe_blocking", "detachable", idle_probe(), 3));
  Running running = scene.start();
  running.wait_for("task_started", {}, 4);
  running.send(signal);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "signal");
  CHECK(run.events.count("task_stopped") == 4);
  CHECK(run.events.count("task_exited") == 0);
}

TEST_CASE("a signal stops tasks in the midst of their restarts, and nothing is started any more") {
  const char* plugin = GENERATE("probe", "probe_blocking");
  const int shards = GENERATE(1, 2);
  Scene scene;
  scene.manifest["shards"] = shards;
  for (int number = 0; number < 5; ++number) {
    scene.add(storming("storm " + std::to_string(number), plugin));
  }
  scene.add(task("steady", "probe", "mandatory", idle_probe(), 3));
  Running running = scene.start();
  running.wait_for("task_restarting", {}, 200);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "signal");
  CHECK(run.events.story("steady") == "task_started task_stopping task_stopped");
}

TEST_CASE("a task that stops the host ends others in the midst of their restarts") {
  Scene scene;
  scene.manifest["shards"] = GENERATE(1, 2);
  for (int number = 0; number < 5; ++number) {
    scene.add(storming("storm " + std::to_string(number), "probe"));
  }
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok", "20ms")));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.stopping_task() == "job");
}

TEST_CASE("a signal during the start stops what was started, and starts no more") {
  const int signal = GENERATE(SIGINT, SIGTERM);
  Scene scene;
  scene.manifest["shards"] = GENERATE(1, 2);
  for (int number = 0; number < 500; ++number) {
    scene.add(task("polled " + std::to_string(number), "probe", "mandatory", idle_probe()));
    if (number % 25 == 0) {
      scene.add(task("blocking " + std::to_string(number), "probe_blocking", "mandatory", idle_probe()));
    }
  }
  for (int repetition = 0; repetition < 5; ++repetition) {
    Running running = scene.start();
    running.wait_for("host_started");
    running.send(signal);
    const Run run = running.finish();
    CHECK(run.status() == 0);
    CHECK(run.stopping_reason() == "signal");
    CHECK(run.events.count("task_started") == run.events.count("task_stopped"));
  }
}

TEST_CASE("with ctrl_c in the manifest the first signal is that task's: the host stops because it ended") {
  const int signal = GENERATE(SIGINT, SIGTERM);
  Scene scene;
  scene.add(task("ctrl_c", "ctrl_c", "shutdown_on_exit"));
  scene.add(task("reader", "probe", "mandatory", idle_probe(), 3));
  scene.add(task("ticker", "probe_blocking", "mandatory", idle_probe(), 3));
  Running running = scene.start();
  running.wait_for("task_ready", "ctrl_c");
  running.wait_for("task_started", {}, 3);
  running.send(signal);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "task_exit");
  CHECK(run.stopping_task() == "ctrl_c");
  CHECK(run.events.story("ctrl_c") == "task_started task_exited");
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
  CHECK(run.events.story("ticker") == "task_started task_stopping task_stopped");
}

TEST_CASE("a signal that a detachable ctrl_c took is not the first of two: the next one stops the host in order") {
  Scene scene;
  scene.add(task("ctrl_c", "ctrl_c", "detachable"));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start();
  running.wait_for("task_ready", "ctrl_c");
  running.send(SIGINT);
  running.wait_for("task_discarded", "ctrl_c");
  CHECK(running.events().read().count("host_stopping") == 0);
  wait_out_one_request();
  running.send(SIGINT);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
}

TEST_CASE("a signal that comes after the host has begun to stop by itself changes nothing about the reason") {
  Scene scene;
  Json late = probe_that_ends("ok", "1s");
  late["deaf"] = true;
  scene.add(task("late", "probe", "mandatory", late));
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("error", "10ms")));
  Running running = scene.start();
  running.wait_for("host_stopping");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 1);
  CHECK(run.stopping_reason() == "task_exit");
}

TEST_CASE("a second signal ends the program at once with 4, long before the tasks' timeout") {
  const int first = GENERATE(SIGINT, SIGTERM);
  const int second = GENERATE(SIGINT, SIGTERM);
  const char* plugin = GENERATE("probe", "probe_blocking");
  Scene scene;
  scene.manifest["defaults"] = {{"stop_timeout", no_timeout}};
  scene.add(task("deaf", plugin, "mandatory", deaf_probe()));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start();
  running.wait_for("task_started", "deaf");
  running.send(first);
  running.wait_for("host_stopping");
  CHECK(running.process().running());
  running.expect_cut_short();
  wait_out_one_request();
  running.send(second);
  CHECK(running.finish().status() == 4);
}

TEST_CASE("a second signal ends the program also when the first was ctrl_c's") {
  Scene scene;
  scene.manifest["defaults"] = {{"stop_timeout", no_timeout}};
  scene.add(task("ctrl_c", "ctrl_c", "shutdown_on_exit"));
  scene.add(task("deaf", "probe_blocking", "mandatory", deaf_probe()));
  Running running = scene.start();
  running.wait_for("task_ready", "ctrl_c");
  running.wait_for("task_started", "deaf");
  running.send(SIGTERM);
  running.wait_for("host_stopping");
  running.expect_cut_short();
  wait_out_one_request();
  running.send(SIGTERM);
  CHECK(running.finish().status() == 4);
}

TEST_CASE("a second signal ends the program even while a poll blocks") {
  Scene scene;
  scene.manifest["shards"] = 1;
  scene.manifest["defaults"] = {{"stop_timeout", no_timeout}};
  scene.add(task("busy", "probe", "mandatory", probe_that_ends("busy", "1h")));
  Running running = scene.start();
  running.wait_for("task_started", "busy");
  running.send(SIGTERM);
  running.wait_for("host_stopping");
  running.expect_cut_short();
  wait_out_one_request();
  running.send(SIGTERM);
  CHECK(running.finish().status() == 4);
}

TEST_CASE("a stream of signals can't make the program crash") {
  Scene scene;
  for (int number = 0; number < 50; ++number) {
    scene.add(task("polled " + std::to_string(number), "probe", "mandatory", idle_probe()));
  }
  Running running = scene.start();
  running.wait_for("task_started");
  running.expect_cut_short();
  while (running.process().running()) {
    running.send(SIGTERM);
    running.send(SIGINT);
  }
  const int status = running.finish().status();
  CHECK((status == 0 || status == 4));
}

TEST_CASE("offloaded work that never ends is named at the end, and holds nothing up") {
  Scene scene;
  scene.add(task("loader", test_plugin_path("offloads_for_ever").string(), "mandatory"));
  Running running = scene.start();
  REQUIRE(running.process().wait_for_err("the work has begun"));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"loader", "work that it offloaded still runs"}));
}
