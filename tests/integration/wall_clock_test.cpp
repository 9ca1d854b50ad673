// The wall clock is only for people: it may jump in any way without changing a decision.
#include <csignal>
#include <set>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Run run_with_wild_clock(Scene& scene) {
  Command command = scene.command();
  command.environment = {"LD_PRELOAD=" TASKHOST_TEST_WALL_CLOCK};
  Running running = scene.start(command);
  running.expect_wild_clock();
  running.wait_for("task_gave_up", "fails");
  running.wait_for("task_exited", "slow");
  running.send(SIGTERM);
  return running.finish();
}

}  // namespace

TEST_CASE(
    "delays, windows, timeouts, watchdogs and the stop are as ever while the wall clock jumps by days and years") {
  Scene scene;
  Json fails = task("fails", "probe", "detachable", probe_that_ends("error"), 3);
  fails["backoff"] = {{"initial", "10ms"}, {"factor", 2}};
  fails["window"] = "1h";
  Json slow = task("slow", "probe", "detachable", {{"run_for", "1h"}, {"ready_after", "1h"}}, 1'000'000);
  slow["ready"] = "notify";
  slow["start_timeout"] = "20ms";
  slow["backoff"] = {{"initial", "1h"}};
  Json healthy = task("healthy", "probe", "mandatory", {{"run_for", "1h"}, {"heartbeat", "5ms"}}, 0);
  healthy["watchdog"] = {{"interval", "30s"}, {"action", "restart"}};
  for (const Json& entry : {fails, slow, healthy}) scene.add(entry);
  const Run run = run_with_wild_clock(scene);

  CHECK(run.status() == 0);
  std::vector<double> delays;
  std::set<std::string> days;
  for (const Event& event : run.events.events()) {
    days.insert(event.time.substr(0, 10));
    if (event.name == "task_restarting" && event.task == "fails") delays.push_back(event.delay_ms.value_or(-1));
    if (event.uptime_ms) CHECK(*event.uptime_ms < 3'600'000);
  }
  CHECK(days.size() > 3);  // the clock did jump
  CHECK(delays == std::vector<double>{10, 20, 40});
  CHECK(run.events.count("task_started", "fails") == 4);
  CHECK(run.events.count("task_started", "slow") == 1);
  CHECK(run.first("task_exited", "slow").message == "was not ready within 20ms");
  CHECK(run.events.story("healthy") == "task_started task_stopping task_stopped");
}

TEST_CASE("operators are told how long a host has run, however its wall clock jumps") {
  Scene scene;
  scene.add(task("job", "probe", "mandatory", {{"run_for", "1h"}}, 0));
  const std::string socket = (scene.directory() / "host.sock").string();
  Command command = scene.command({"--control", socket});
  command.environment = {"LD_PRELOAD=" TASKHOST_TEST_WALL_CLOCK};
  Running running = scene.start(command);
  running.expect_wild_clock();
  running.expect_operators();
  running.wait_for("task_started", "job");

  Command status;
  status.program = command.program;
  status.arguments = {"status", "--host", socket};
  const ProcessEnd told = Process(status).wait();
  INFO(told.summary());
  CHECK(told.status == 0);
  CHECK(has_line(told.out, {"manifest: running for ", "s, process "}));  // not days
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}
