// Stopping a host in which tasks are stuck, and the limit of threads that take over.
#include <csignal>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/process_threads.hpp"

using namespace taskhost::test;

namespace {

struct StallScene : Scene {
  StallScene(unsigned shards, const char* stop_timeout) {
    manifest["shards"] = shards;
    manifest["stall_limit"] = "50ms";
    manifest["defaults"] = {{"stop_timeout", stop_timeout}};
  }
};

Json with_timeout(Json entry, const char* stop_timeout) {
  entry["stop_timeout"] = stop_timeout;
  return entry;
}

void add_mules(Scene& scene, int count, const Json& config) {
  for (int number = 0; number < count; ++number) {
    scene.add(task("mule-" + std::to_string(number) + "-", "staller", "detachable", config));
  }
}

// Sends SIGTERM once this many tasks are known to be stuck.
Run stop_while_stalled(Scene& scene, std::size_t stalled = 1) {
  Running running = scene.start();
  running.wait_for("task_started", {}, scene.manifest["tasks"].size());
  running.wait_for("task_stalled", {}, stalled);
  running.send(SIGTERM);
  return running.finish();
}

}  // namespace

TEST_CASE("a stalled task whose call returns before its stop_timeout is stopped, whatever it returns") {
  const char* end = GENERATE("ok", "error", "throw", "stay");
  StallScene scene(1, no_timeout);
  scene.add(task("mule", "staller", "mandatory", {{"poll", "700ms"}, {"end", end}}, 3));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  scene.add(task("worker", "probe_blocking", "mandatory", idle_probe()));
  const Run run = stop_while_stalled(scene);
  INFO(end << "\n" << run.log());
  CHECK(run.status() == 0);
  CHECK(run.events.story("mule") == "task_started task_stopping task_stopped");
  CHECK(run.events.count("task_stalled", "mule") == 1);
  CHECK(seq_of(run, "task_stopped", "reader") < seq_of(run, "task_stopped", "mule"));
  CHECK(seq_of(run, "task_stopped", "worker") < seq_of(run, "task_stopped", "mule"));
}

TEST_CASE("a call that blocks sees the request to stop") {
  StallScene scene(1, no_timeout);
  scene.add(task("mule", "staller", "mandatory", {{"poll", "1h"}, {"heeds_stop", true}}));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  const Run run = stop_while_stalled(scene);
  CHECK(run.status() == 0);
  CHECK(run.events.story("mule") == "task_started task_stopping task_stopped");
}

TEST_CASE("a stalled task is abandoned at its stop_timeout, the others are stopped in time, and the status is 4") {
  const char* call = GENERATE("start", "poll");
  StallScene scene(GENERATE(1, 2), no_timeout);
  scene.add(with_timeout(task("mule", "staller", "mandatory", {{call, "1h"}}), "300ms"));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  scene.add(task("writer", "probe", "mandatory", idle_probe()));
  const Run run = stop_while_stalled(scene);
  INFO(call << "\n" << run.log());
  CHECK(run.status() == 4);
  CHECK(run.events.story("mule") == "task_started task_stopping task_abandoned");
  CHECK_FALSE(run.first("task_abandoned", "mule").message.empty());
  CHECK(has_line(run.log(), {"mule", "abandon"}));
  for (const char* other : {"reader", "writer"}) {
    CHECK(run.events.story(other) == "task_started task_stopping task_stopped");
    CHECK(seq_of(run, "task_stopped", other) < seq_of(run, "task_abandoned", "mule"));
  }
}

TEST_CASE("a drop that never returns is a task that did not stop") {
  StallScene scene(1, no_timeout);
  scene.add(with_timeout(task("mule", "staller", "mandatory", {{"drop", "1h"}, {"end", "stay"}}), "500ms"));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start();
  running.wait_for("task_started", {}, 2);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 4);
  CHECK(run.events.story("mule") == "task_started task_stopping task_abandoned");
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
}

TEST_CASE("a drop that never returns after the end of its execution holds up no neighbour, and costs a stop the 4") {
  StallScene scene(1, no_timeout);
  scene.add(with_timeout(task("mule", "staller", "detachable", {{"drop", "1h"}}), "500ms"));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  const Run run = stop_while_stalled(scene);
  CHECK(run.status() == 4);
  CHECK(run.events.story("mule") == "task_started task_stopping task_abandoned");
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
}

TEST_CASE("the neighbour of a stuck task can end the host") {
  StallScene scene(1, no_timeout);
  scene.add(task("mule", "staller", "mandatory", {{"poll", "900ms"}, {"end", "stay"}}));
  scene.add(task("clock", "probe", "shutdown_on_exit", probe_that_ends("ok", "200ms")));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "task_exit");
  CHECK(run.stopping_task() == "clock");
  CHECK(run.events.story("mule") == "task_started task_stopping task_stopped");
}

TEST_CASE("many stuck tasks are each abandoned by name, side by side") {
  constexpr int herd = 20;
  StallScene scene(2, "300ms");
  add_mules(scene, herd, {{"poll", "1h"}});
  const Run run = stop_while_stalled(scene, herd);
  CHECK(run.status() == 4);
  CHECK(run.events.count("task_abandoned") == herd);
  for (int number = 0; number < herd; ++number) {
    CHECK(has_line(run.log(), {"mule-" + std::to_string(number) + "-", "abandon"}));
  }
  CHECK(run.end.lifetime < std::chrono::seconds(30));
}

TEST_CASE("past stall_threads stuck calls a shard waits, one line of the log says so, and it goes on afterwards") {
  StallScene scene(1, no_timeout);
  scene.manifest["stall_threads"] = 0;
  scene.add(task("mule", "staller", "detachable", {{"poll", "500ms"}}));
  scene.add(task("other", "probe", "detachable", probe_that_ends("ok", "1ms")));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stalled", "mule") == 1);
  CHECK(seq_of(run, "task_exited", "mule") < seq_of(run, "task_exited", "other"));
  CHECK(lines_with(run.log(), {"stall_threads"}).size() == 1);
}

TEST_CASE("past stall_threads stuck calls a stop still ends in time, with 4") {
  const int threads = GENERATE(0, 2);
  StallScene scene(GENERATE(1, 2), "300ms");
  scene.manifest["stall_threads"] = threads;
  add_mules(scene, threads + 4, {{"poll", "1h"}});
  Running running = scene.start();
  REQUIRE(running.process().wait_for_err("stall_threads"));
  const auto asked = std::chrono::steady_clock::now();
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(std::chrono::steady_clock::now() - asked < std::chrono::seconds(20));
  CHECK(run.status() == 4);
  CHECK(run.events.count("task_abandoned") >= static_cast<std::size_t>(threads) + 1);
}

TEST_CASE("the threads that help out are used again") {
  StallScene scene(1, no_timeout);
  scene.manifest["stall_limit"] = "10ms";
  scene.add(
      task("mule", "staller", "mandatory", {{"poll", "60ms"}, {"stalls", 1000}, {"next", "timer"}, {"end", "stay"}}));
  Running running = scene.start();
  running.wait_for("task_stalled", "mule", 2);
  const std::size_t at_first = sleeps_of(running.process().id()).size();
  running.wait_for("task_stalled", "mule", 20);
  CHECK(sleeps_of(running.process().id()).size() <= at_first + 2);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}
