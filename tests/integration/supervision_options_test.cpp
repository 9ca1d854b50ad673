// core/SUPERVISION.md in the real program with real plugins: restarts, delays, readiness, watchdogs and exit rules.
#include <csignal>
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// A task that always fails at once, with these additional fields.
Json failing(std::string_view name, std::string_view type, const Json& fields) {
  Json entry{{"name", name},
             {"plugin", "probe"},
             {"type", type},
             {"config", {{"end", "error"}, {"message", "the pump is dry"}}}};
  entry.update(fields);
  return entry;
}

// One that runs until it is stopped.
Json idle(std::string_view name, const Json& fields = Json::object()) {
  Json entry{{"name", name}, {"plugin", "probe"}, {"type", "detachable"}, {"config", idle_probe()}};
  entry.update(fields);
  return entry;
}

std::vector<double> delays_of(const Run& run, std::string_view task) {
  std::vector<double> delays;
  for (const Event& event : run.events.events()) {
    if (event.name == "task_restarting" && event.task == task) delays.push_back(event.delay_ms.value_or(-1));
  }
  return delays;
}

}  // namespace

TEST_CASE("restarts are delayed by the backoff, up to its longest") {
  Scene scene;
  scene.add(failing("pump", "detachable",
                    {{"restarts", 4}, {"backoff", {{"initial", "2ms"}, {"factor", 2}, {"max", "10ms"}}}}));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(delays_of(run, "pump") == std::vector<double>{2, 4, 8, 10});
  CHECK(run.events.count("task_gave_up", "pump") == 1);
  CHECK(has_line(run.log(), {"[pump]", "restarting in 2ms; 3 restarts left"}));
}

TEST_CASE("the same seed makes the same jitter") {
  std::vector<std::vector<double>> delays;
  for (const int seed : {7, 7, 8}) {
    Scene scene;
    scene.manifest["seed"] = seed;
    scene.add(failing("pump", "detachable",
                      {{"restarts", 4}, {"backoff", {{"initial", "40ms"}, {"factor", 1}, {"jitter", 1}}}}));
    delays.push_back(delays_of(scene.run(), "pump"));
    for (const double delay : delays.back()) {
      CHECK(delay >= 40);
      CHECK(delay <= 80);
    }
  }
  CHECK(delays[0] == delays[1]);
  CHECK(delays[0] != delays[2]);
}

TEST_CASE("restarts without end go on until the host stops, with null for what remains") {
  Scene scene;
  scene.add(
      failing("pump", "mandatory", {{"restarts", "unlimited"}, {"backoff", {{"initial", "1ms"}, {"factor", 1}}}}));
  Running running = scene.start();
  running.wait_for("task_restarting", "pump", 20);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_gave_up") == 0);
  CHECK(run.first("task_exited", "pump").unlimited);
}

TEST_CASE("within a window that is over, restarts do not count") {
  Scene scene;
  // An execution lives longer than the window, which therefore never contains more than one restart.
  Json entry = failing("pump", "detachable", {{"restarts", 2}, {"window", "100ms"}});
  entry["config"]["run_for"] = "110ms";
  scene.add(entry);
  Running running = scene.start();
  running.wait_for("task_restarting", "pump", 5);
  running.send(SIGTERM);
  CHECK(running.finish().events.count("task_gave_up") == 0);
}

TEST_CASE("within a window that is long, they do") {
  Scene scene;
  scene.add(failing("pump", "detachable", {{"restarts", 2}, {"window", "1h"}}));
  const Run run = scene.run();
  CHECK(run.events.count("task_started", "pump") == 3);
  CHECK(run.events.count("task_gave_up", "pump") == 1);
}

TEST_CASE("an execution that lived long enough gives its restarts back") {
  Scene scene;
  Json entry = failing("pump", "mandatory", {{"restarts", 1}, {"reset_after", "5ms"}});
  entry["config"]["run_for"] = "6ms";
  scene.add(entry);
  Running running = scene.start();
  running.wait_for("task_restarting", "pump", 4);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_gave_up") == 0);
}

TEST_CASE("giving up means what the manifest says") {
  SECTION("a detachable task stops the host") {
    Scene scene;
    scene.add(idle("steady"));
    scene.add(failing("pump", "detachable", {{"on_give_up", "stop_host"}}));
    const Run run = scene.run();
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "budget_exhausted");
    CHECK(run.stopping_task() == "pump");
    CHECK(has_line(run.log(), {"stopping: task 'pump' gave up", "can't do without it", "the pump is dry"}));
  }
  SECTION("a mandatory task is discarded") {
    Scene scene;
    scene.add(failing("pump", "mandatory", {{"restarts", 1}, {"on_give_up", "discard"}}));
    const Run run = scene.run();
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "all_done");
    CHECK(run.events.story("pump") ==
          "task_started task_exited task_restarting task_started task_exited task_gave_up task_discarded");
  }
  SECTION("a task begins anew after a cooldown, with all its restarts") {
    Scene scene;
    scene.add(failing("pump", "mandatory", {{"restarts", 1}, {"on_give_up", {{"cooldown", "5ms"}}}}));
    Running running = scene.start();
    running.wait_for("task_gave_up", "pump", 3);
    running.send(SIGTERM);
    const Run run = running.finish();
    CHECK(run.status() == 0);
    CHECK(run.events.count("task_exited", "pump") >= 6);
    CHECK(has_line(run.log(), {"[pump]", "gave up: its restarts are used up", "the pump is dry"}));
    CHECK(has_line(run.log(), {"[pump]", "starting over in 5ms; 1 restart left"}));
  }
}

TEST_CASE("exit rules decide before the type does, the first that matches") {
  const Json rules = {{{"match", {{"message", "once more"}}}, {"action", "restart"}},
                      {{"match", {{"outcome", "panic"}}}, {"action", "stop_host"}},
                      {{"match", {{"outcome", {"error", "crashed"}}, {"message", "dry"}}}, {"action", "discard"}},
                      {{"match", {{"outcome", "error"}}}, {"action", "fail_host"}},
                      {{"match", Json::object()}, {"action", "give_up"}}};
  Scene scene;
  scene.add(idle("steady", {{"type", "mandatory"}}));
  Json entry = failing("pump", "mandatory", {{"exit_rules", rules}, {"restarts", 5}});
  SECTION("an error with these words discards a mandatory task") {
    entry["type"] = "mandatory";
    scene.add(entry);
    Running running = scene.start();
    running.wait_for("task_discarded", "pump");
    running.send(SIGTERM);
    const Run run = running.finish();
    CHECK(run.first("task_discarded", "pump").reason == "ended");
    CHECK(has_line(run.log(), {"[pump]", "discarded because of an exit rule"}));
  }
  SECTION("another error stops the host with failure") {
    entry["config"]["message"] = "the pump burns";
    scene.add(entry);
    const Run run = scene.run();
    CHECK(run.status() == 1);
    CHECK(run.stopping_task() == "pump");
    CHECK(run.events.count("task_restarting") == 0);
  }
  SECTION("an exception stops the host with success") {
    entry["config"]["end"] = "throw";
    scene.add(entry);
    const Run run = scene.run();
    CHECK(run.status() == 0);
    CHECK(run.stopping_reason() == "task_exit");
  }
  SECTION("a good end gives up, with restarts left") {
    entry["config"] = {{"end", "ok"}};
    scene.add(entry);
    const Run run = scene.run();
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "budget_exhausted");
    CHECK(has_line(run.log(), {"[pump]", "gave up because of an exit rule"}));
  }
}

TEST_CASE("a detachable task that ends well is restarted if a rule says so") {
  Scene scene;
  Json entry = failing("pump", "detachable",
                       {{"restarts", 2}, {"exit_rules", {{{"match", {{"outcome", "ok"}}}, {"action", "restart"}}}}});
  entry["config"] = {{"end", "ok"}};
  scene.add(entry);
  const Run run = scene.run();
  CHECK(run.events.count("task_started", "pump") == 3);
  CHECK(run.events.count("task_gave_up", "pump") == 1);
}

TEST_CASE("a mandatory task without restarts begins again as long as it ends well") {
  Scene scene;
  const Json rules = {{{"match", {{"outcome", "ok"}}}, {"action", "repeat"}}};
  Json entry = failing("job", "mandatory", {{"backoff", {{"initial", "2ms"}}}, {"exit_rules", rules}});
  entry["config"] = {{"end", "ok"}};
  scene.add(entry);
  Running running = scene.start();
  running.wait_for("task_restarting", "job", 4);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_started", "job") >= 4);
  for (const double delay : delays_of(run, "job")) CHECK(delay == 2);
  CHECK(run.first("task_restarting", "job").message == "repeat");
  CHECK(run.first("task_restarting", "job").remaining == 0u);
  CHECK(has_line(run.log(), {"[job]", "repeating in 2ms"}));
}

TEST_CASE("a task that repeats without a backoff is refused with what to do") {
  Scene scene;
  const Json rules = {{{"match", {{"outcome", "ok"}}}, {"action", "repeat"}}};
  scene.add(failing("job", "mandatory", {{"exit_rules", rules}}));
  scene.command();
  const ProcessEnd end = run_program({"check", scene.manifest_path().string()});
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"/tasks/0/exit_rules/0/action", "\"repeat\" needs a \"backoff\"", "{\"initial\": \"1s\"}"}));
}

TEST_CASE("a task that is not ready in time is stopped, and that is a failure") {
  const char* plugin = GENERATE("probe", "probe_blocking");
  Scene scene;
  scene.add({{"name", "slow"},
             {"plugin", plugin},
             {"type", "detachable"},
             {"restarts", 1},
             {"ready", "notify"},
             {"start_timeout", "10ms"},
             {"config", {{"ready_after", "1h"}}}});
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.events.story("slow") ==
        "task_started task_stopping task_exited task_restarting task_started task_stopping task_exited task_gave_up "
        "task_discarded");
  CHECK(run.first("task_exited", "slow").outcome == "error");
  CHECK(run.first("task_exited", "slow").message == "was not ready within 10ms");
  CHECK(run.events.count("task_ready") == 0);
}

TEST_CASE("a task that is ready in time goes on") {
  Scene scene;
  scene.add(idle("quick", {{"ready", "notify"},
                           {"start_timeout", "1m"},
                           {"config", {{"ready_after", "5ms"}, {"run_for", "20ms"}, {"end", "ok"}}}}));
  const Run run = scene.run();
  CHECK(run.events.story("quick") == "task_started task_exited task_discarded");
  CHECK(run.events.count("task_ready", "quick") == 1);
}

TEST_CASE("a watchdog that logs says so once for each silence, and the task goes on") {
  const char* plugin = GENERATE("probe", "probe_blocking");
  Scene scene;
  scene.add(idle("silent", {{"plugin", plugin}, {"watchdog", {{"interval", "20ms"}}}}));
  scene.add(idle("timer", {{"type", "shutdown_on_exit"}, {"config", probe_that_ends("ok", "500ms")}}));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stalled", "silent") == 1);
  CHECK(run.first("task_stalled", "silent").message == "no heartbeat for 20ms");
  CHECK(run.events.story("silent") == "task_started task_stopping task_stopped");
  CHECK(has_line(run.log(), {"[silent]", "stalled: no heartbeat for 20ms"}));
}

TEST_CASE("a watchdog that restarts ends a task that has fallen silent") {
  const char* plugin = GENERATE("probe", "probe_blocking");
  Scene scene;
  scene.add(idle("silent", {{"plugin", plugin},
                            {"type", "mandatory"},
                            {"restarts", 1},
                            {"watchdog", {{"interval", "300ms"}, {"action", "restart"}}},
                            {"config", {{"heartbeat", "5ms"}, {"silent_after", "400ms"}}}}));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.stopping_reason() == "budget_exhausted");
  CHECK(run.events.count("task_exited", "silent") == 2);
  CHECK(run.first("task_exited", "silent").message == "no heartbeat for 300ms");
  // It was not ended as long as it gave heartbeats.
  CHECK(run.first("task_exited", "silent").uptime_ms.value_or(0) >= 500);
}

TEST_CASE("defaults concern every task that can have them") {
  Scene scene;
  scene.manifest["defaults"] = {{"backoff", {{"initial", "3ms"}, {"factor", 1}}}, {"on_give_up", "stop_host"}};
  scene.add(idle("end", {{"type", "shutdown_on_exit"}}));
  scene.add(failing("pump", "detachable", {{"restarts", 2}}));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(delays_of(run, "pump") == std::vector<double>{3, 3});
}

TEST_CASE("check explains what the supervision comes to, and starts nothing") {
  Scene scene;
  scene.add(failing("pump", "detachable", {{"restarts", 2}, {"backoff", {{"initial", "1s"}}}}));
  scene.add(idle("api", {{"after", {"pump"}}}));
  (void)scene.command();  // writes the manifest
  const ProcessEnd text = run_program({"check", "--explain", scene.manifest_path().string()});
  CHECK(text.status == 0);
  CHECK(has_line(text.out, {"delays before the restarts: 1s, 2s"}));
  CHECK(has_line(text.out, {"it gives up 3s after the first failure"}));
  CHECK(has_line(text.out, {"a stop takes 20s at worst"}));
  const ProcessEnd json = run_program({"check", "--explain", "--json", scene.manifest_path().string()});
  CHECK(json.status == 0);
  CHECK(Json::parse(json.out)["longest_stop_ms"] == 20'000);
  CHECK(run_program({"check", "--json", scene.manifest_path().string()}).status == 2);
}
