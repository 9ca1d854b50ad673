// The whole process stands still for longer than any limit of its tasks (SIGSTOP; like a debugger, a suspended machine
// or a starved container), and goes on: no task is charged, and none loses what it was about to do.
#include <csignal>
#include <thread>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

// Longer than the limits below, by much more than what counts as a standstill.
void pause(Running& running) {
  running.send(SIGSTOP);
  std::this_thread::sleep_for(1500ms);
  running.send(SIGCONT);
}

Json with(Json entry, const Json& fields) {
  entry.update(fields);
  return entry;
}

}  // namespace

TEST_CASE("a pause of the process fails neither a watchdog nor a start_timeout") {
  Scene scene;
  scene.add(with(task("watched", "probe", "mandatory", {{"heartbeat", "100ms"}}),
                 {{"watchdog", {{"interval", "500ms"}, {"action", "restart"}}}}));
  scene.add(with(task("blocks", "probe_blocking", "mandatory", {{"heartbeat", "100ms"}}),
                 {{"watchdog", {{"interval", "500ms"}, {"action", "restart"}}}}));
  scene.add(
      with(task("logged", "probe", "detachable", {{"heartbeat", "100ms"}}), {{"watchdog", {{"interval", "500ms"}}}}));
  scene.add(with(task("starts", "probe", "mandatory", {{"ready_after", "600ms"}}),
                 {{"ready", "notify"}, {"start_timeout", "900ms"}}));
  Running running = scene.start();
  running.wait_for("task_started", {}, 4);
  pause(running);
  running.wait_for("task_ready", "starts");
  std::this_thread::sleep_for(300ms);  // a limit is armed anew once for each sign of life
  pause(running);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("watched") == "task_started task_stopping task_stopped");
  CHECK(run.events.story("blocks") == "task_started task_stopping task_stopped");
  CHECK(run.events.story("logged") == "task_started task_stopping task_stopped");
  CHECK(run.events.story("starts") == "task_started task_stopping task_stopped");
}

TEST_CASE("a pause of the process in the midst of a stop is no reason to drop or abandon a task") {
  Scene scene;
  scene.manifest["shutdown_timeout"] = "1s";
  scene.manifest["defaults"] = {{"stop_timeout", "300ms"}};
  scene.add(task("deaf", "probe", "mandatory", deaf_probe()));
  Running running = scene.start();
  running.wait_for("task_started");
  running.send(SIGTERM);
  running.wait_for("task_stopping", "deaf");
  pause(running);
  const Run run = running.finish();
  CHECK(run.status() == 0);  // dropped at its own stop_timeout, counted afresh, before the host's
  CHECK(run.events.story("deaf") == "task_started task_stopping task_stopped");
  CHECK_FALSE(has_line(run.log(), {"ran out of time"}));
}

TEST_CASE("a pause of the process in the midst of a stop leaves a blocking task the time to end by itself") {
  Scene scene;
  scene.add(with(task("saver", "probe_blocking", "mandatory", {{"deaf", true}, {"run_for", "1s"}, {"end", "ok"}}),
                 {{"stop_timeout", "1200ms"}}));
  Running running = scene.start();
  running.wait_for("task_started");
  running.send(SIGTERM);
  running.wait_for("task_stopping", "saver");
  pause(running);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("saver") == "task_started task_stopping task_stopped");
}
