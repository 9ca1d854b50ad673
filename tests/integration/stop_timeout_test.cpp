// Tasks that don't stop when asked: wait, then drop (polled), or abandon and name (blocking).
#include <csignal>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Json with_timeout(Json entry, const char* stop_timeout) {
  entry["stop_timeout"] = stop_timeout;
  return entry;
}

// Starts all tasks, sends SIGTERM, waits for the end.
Run stop_all(Scene& scene) {
  Running running = scene.start();
  running.wait_for("task_started", {}, scene.manifest["tasks"].size());
  running.send(SIGTERM);
  return running.finish();
}

}  // namespace

TEST_CASE("a deaf polled task is dropped at its stop_timeout, named in the log, and the host ends well") {
  const char* timeout = GENERATE("0s", "50ms");
  Scene scene;
  scene.add(with_timeout(task("stubborn", "probe", "mandatory", deaf_probe()), timeout));
  scene.add(with_timeout(task("reader", "probe", "mandatory", idle_probe()), no_timeout));
  const Run run = stop_all(scene);
  CHECK(run.status() == 0);
  CHECK(run.events.story("stubborn") == "task_started task_stopping task_stopped");
  CHECK(has_line(run.log(), {"stubborn", "drop"}));
}

TEST_CASE("a deaf blocking task is abandoned at its stop_timeout, named in the log, and the exit status is 4") {
  const char* timeout = GENERATE("0s", "50ms");
  Scene scene;
  scene.add(with_timeout(task("stubborn", "probe_blocking", "mandatory", deaf_probe()), timeout));
  scene.add(with_timeout(task("reader", "probe_blocking", "mandatory", idle_probe()), no_timeout));
  const Run run = stop_all(scene);
  CHECK(run.status() == 4);
  CHECK(run.stopping_reason() == "signal");
  CHECK(run.events.story("stubborn") == "task_started task_stopping task_abandoned");
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
  CHECK(has_line(run.log(), {"stubborn", "abandon"}));
}

TEST_CASE("each of several deaf blocking tasks is named, and their timeouts run side by side") {
  Scene scene;
  scene.manifest["defaults"] = {{"stop_timeout", "200ms"}};
  for (int number = 0; number < 30; ++number) {
    scene.add(task("deaf-" + std::to_string(number) + "-", "probe_blocking", "detachable", deaf_probe()));
  }
  const Run run = stop_all(scene);
  CHECK(run.status() == 4);
  CHECK(run.events.count("task_abandoned") == 30);
  for (int number = 0; number < 30; ++number) {
    CHECK(has_line(run.log(), {"deaf-" + std::to_string(number) + "-", "abandon"}));
  }
  CHECK(run.end.lifetime < std::chrono::seconds(30));
}

TEST_CASE("a stop_timeout of a task's own counts before the default, and ten seconds are the default of all") {
  Scene scene;
  scene.manifest["defaults"] = {{"stop_timeout", no_timeout}};
  scene.add(with_timeout(task("own", "probe", "mandatory", deaf_probe()), "20ms"));
  Json brief = probe_that_ends("ok", "800ms");
  brief["deaf"] = true;
  scene.add(task("by default", "probe", "mandatory", brief));
  Run run = stop_all(scene);
  CHECK(run.status() == 0);
  CHECK_FALSE(has_line(run.log(), {"by default", "drop"}));
  CHECK(has_line(run.log(), {"own", "drop"}));

  Scene plain;
  plain.add(task("by default", "probe", "mandatory", brief));
  run = stop_all(plain);
  CHECK(run.status() == 0);
  CHECK_FALSE(has_line(run.log(), {"by default", "drop"}));
}

TEST_CASE("a task that ends within its stop_timeout, deaf as it is, is neither dropped nor abandoned") {
  const char* plugin = GENERATE("probe", "probe_blocking");
  Scene scene;
  Json brief = probe_that_ends("error", "700ms");
  brief["deaf"] = true;
  brief["message"] = "too late to matter";
  scene.add(with_timeout(task("slow", plugin, "mandatory", brief, 3), no_timeout));
  const Run run = stop_all(scene);
  CHECK(run.status() == 0);
  CHECK(run.events.story("slow") == "task_started task_stopping task_stopped");
  CHECK(run.first("task_stopped").message.find("too late to matter") != std::string::npos);
}

TEST_CASE("running out of time counts more than the failure that began the stop") {
  Scene scene;
  scene.add(with_timeout(task("stubborn", "probe_blocking", "mandatory", deaf_probe()), "50ms"));
  scene.add(task("feed", "probe", "mandatory", probe_that_ends("error", "100ms")));
  const Run run = scene.run();
  CHECK(run.status() == 4);
  CHECK(run.stopping_reason() == "budget_exhausted");
}

TEST_CASE("shutdown_timeout ends a stop that takes longer with 4, whatever the tasks' own timeouts") {
  const std::string plugin = GENERATE("probe", "probe_blocking");
  Scene scene;
  scene.manifest["shutdown_timeout"] = "100ms";
  scene.add(with_timeout(task("stubborn", plugin, "mandatory", deaf_probe()), no_timeout));
  scene.add(with_timeout(task("reader", "probe", "mandatory", idle_probe()), no_timeout));
  const Run run = stop_all(scene);
  CHECK(run.status() == 4);
  CHECK(run.events.count(plugin == "probe" ? "task_stopped" : "task_abandoned", "stubborn") == 1);
  CHECK(run.events.count("task_stopped", "reader") == 1);
  CHECK(has_line(run.log(), {"stubborn"}));
}

TEST_CASE("shutdown_timeout does nothing to a stop that is quicker") {
  Scene scene;
  scene.manifest["shutdown_timeout"] = no_timeout;
  scene.add(with_timeout(task("stubborn", "probe", "mandatory", deaf_probe()), "30ms"));
  scene.add(task("reader", "probe_blocking", "mandatory", idle_probe()));
  CHECK(stop_all(scene).status() == 0);
}

TEST_CASE("a poll that blocks past the deadline of its task is abandoned and named, and the exit status is 4") {
  Scene scene;
  scene.manifest["shards"] = GENERATE(1, 2);
  scene.manifest["defaults"] = {{"stop_timeout", "50ms"}};
  scene.add(task("stuck", "probe", "mandatory", probe_that_ends("busy", "1h")));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start();
  running.wait_for("task_started", "stuck");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 4);
  CHECK(run.events.story("stuck") == "task_started task_stopping task_abandoned");
  CHECK(has_line(run.log(), {"stuck", "abandon"}));
}

TEST_CASE("the deadline of a task whose poll blocks is its own, however long others may take") {
  Scene scene;
  scene.manifest["shards"] = 2;
  scene.add(with_timeout(task("stuck", "probe", "mandatory", probe_that_ends("busy", "1h")), "50ms"));
  scene.add(with_timeout(task("reader", "probe_blocking", "mandatory", idle_probe()), no_timeout));
  Running running = scene.start();
  running.wait_for("task_started", "stuck");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 4);
  CHECK(run.events.story("stuck") == "task_started task_stopping task_abandoned");
}

TEST_CASE("a poll that blocks, but ends before the deadline of its task, does no harm to a stop") {
  Scene scene;
  scene.manifest["shards"] = 1;
  scene.manifest["defaults"] = {{"stop_timeout", no_timeout}};
  scene.add(task("busy", "probe", "mandatory", probe_that_ends("busy", "700ms"), 5));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  CHECK(stop_all(scene).status() == 0);
}
