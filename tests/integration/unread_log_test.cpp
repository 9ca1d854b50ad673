// A log that nobody reads: a pager, a stopped terminal, a driver that hangs. Nothing waits for it.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/pipe.hpp"

using namespace taskhost::test;

namespace {

Command with_log_to(Scene& scene, const Pipe& pipe) {
  Command command = scene.command({"--log-level", "debug"});
  command.err_descriptor = pipe.write_end();
  return command;
}

Json bad_task(const std::string& name) {
  Json entry = task(name, name, "mandatory");
  entry["plugin"] = test_plugin_path(name).string();
  return entry;
}

}  // namespace

TEST_CASE("a signal ends a host whose log nobody reads") {
  Scene scene;
  scene.add(task("pump", "probe", "mandatory", idle_probe()));
  const Pipe err;
  err.fill();
  Running running = scene.start(with_log_to(scene, err));
  running.wait_for("task_started");
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a task ends a host whose log nobody reads, with its status") {
  Scene scene;
  scene.add(task("pump", "probe", "mandatory", probe_that_ends("error")));
  const Pipe err;
  err.fill();
  CHECK(scene.start(with_log_to(scene, err)).finish().status() == 1);
}

TEST_CASE("a task that calls exit ends a host whose log nobody reads") {
  Scene scene;
  scene.add(bad_task("poll_exits"));
  const Pipe err;
  err.fill();
  Running running = scene.start(with_log_to(scene, err));
  running.expect_cut_short();
  CHECK(running.finish().status() == 1);
}

TEST_CASE("a second signal ends a host whose log nobody reads") {
  Scene scene;
  Json deaf = bad_task("deaf_blocking");
  deaf["stop_timeout"] = "1h";
  scene.add(deaf);
  scene.manifest["shutdown_timeout"] = "1h";
  const Pipe err;
  err.fill();
  Running running = scene.start(with_log_to(scene, err));
  running.expect_cut_short();
  running.wait_for("task_started");
  running.send(SIGTERM);
  running.wait_for("host_stopping");
  ::usleep(1'100'000);  // two within a second may be one that came twice
  running.send(SIGTERM);
  CHECK(running.finish().status() == 4);
}

TEST_CASE("a log that is read late comes whole") {
  Scene scene;
  scene.add(task("pump", "probe", "mandatory", idle_probe()));
  Pipe err;
  err.fill();
  Running running = scene.start(with_log_to(scene, err));
  err.close_write_end();
  running.wait_for("task_started");
  running.send(SIGTERM);
  const std::string log = err.read_all();
  CHECK(running.process().wait().status == 0);
  CHECK(has_line(log, {"started", "1 task"}));
  CHECK(has_line(log, {"stopped well"}));
}

TEST_CASE("a task that is stuck printing to a stdout that nobody reads is abandoned, and the program ends") {
  Scene scene;
  Json printer = bad_task("prints_for_ever");
  printer["stop_timeout"] = "100ms";
  scene.add(printer);
  const Pipe out;
  out.fill();
  Command command = scene.command();
  command.out_descriptor = out.write_end();
  Running running = scene.start(command);
  running.wait_for("task_stalled");
  running.send(SIGTERM);
  const Run run = running.finish(std::chrono::seconds(60));
  CHECK(run.status() == 4);
  CHECK(has_line(run.log(), {"stdout"}));
}
