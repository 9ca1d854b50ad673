// Signals: who hears them, when, and what nobody can take from the host.
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Json edge(std::string_view name) { return task(name, test_plugin_path(name).string(), "mandatory"); }

// The program, started by a shell that does something before.
Command through_shell(Scene& scene, const std::string& before) {
  Command command = scene.command();
  command.arguments.insert(command.arguments.begin(),
                           {"-c", before + "; exec \"$0\" \"$@\"", command.program.string()});
  command.program = "/bin/sh";
  return command;
}

void wait_out_one_request() { std::this_thread::sleep_for(std::chrono::milliseconds(1100)); }

}  // namespace

TEST_CASE("a signal that comes while a library is loaded ends the host well, and nothing is started") {
  Scene scene;
  scene.add(edge("load_takes_long"));
  Running running = scene.start();
  REQUIRE(running.process().wait_for_err("loading slowly"));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "signal");
  CHECK(run.events.count("task_started") == 0);
}

TEST_CASE("SIGHUP without a subscriber is a stop in order") {
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start();
  running.wait_for("task_started", "reader");
  running.send(SIGHUP);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
}

TEST_CASE("a signal that was ignored when the host was started stays ignored") {
  const int signal = GENERATE(SIGHUP, SIGINT);
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start(through_shell(scene, "trap '' HUP INT"));
  running.wait_for("task_started", "reader");
  running.send(signal);
  wait_out_one_request();
  CHECK(running.events().read().count("host_stopping") == 0);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a signal that was subscribed to is harmless between two executions") {
  Scene scene;
  Json entry = edge("hangup_once");
  entry["restarts"] = "unlimited";
  entry["backoff"] = {{"initial", "1h"}};
  scene.add(entry);
  Running running = scene.start();
  running.wait_for("task_started", "hangup_once");
  REQUIRE(eventually([&] {
    running.send(SIGHUP);
    return running.events().read().count("task_restarting") == 1;
  }));
  running.send(SIGHUP);
  CHECK(running.process().wait_for_err("no task wants it now"));
  CHECK(running.process().running());
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("two signals of one sender within a second are one request") {
  Scene scene;
  Json slow = probe_that_ends("ok", "2s");
  slow["deaf"] = true;
  scene.add(task("slow", "probe", "mandatory", slow));
  Running running = scene.start();
  running.wait_for("task_started", "slow");
  running.send(SIGTERM);
  running.wait_for("host_stopping");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("slow") == "task_started task_stopping task_stopped");
}

// Without an events file: what is opened later may get the number of one that was closed.
TEST_CASE("a second signal ends the program though a task has closed the host's descriptors, so that it hears none") {
  Scene scene;
  scene.add(edge("closes_descriptors"));
  Command command = scene.command();
  command.arguments = {scene.manifest_path().string()};
  Process process(command);
  REQUIRE(process.wait_for_err("closed them"));
  process.send(SIGTERM);
  wait_out_one_request();
  CHECK(process.running());
  process.send(SIGTERM);
  CHECK(process.wait().status == 4);
}

TEST_CASE("a library that takes SIGTERM away is named, and the signal is the host's again") {
  Scene scene;
  scene.add(edge("takes_terminate"));
  Running running = scene.start();
  REQUIRE(running.process().wait_for_err("takes_terminate.so has taken SIGTERM"));
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a child that a task forked ends as if there were no host, and the host lives on") {
  const auto [plugin, end] = GENERATE(table<std::string, std::string>(
      {{"child_exits", "child: status 77"}, {"child_gets_terminate", "child: signal 15"}}));
  Scene scene;
  scene.add(edge(plugin));
  Running running = scene.start();
  CHECK(running.process().wait_for_err(end));
  CHECK(running.events().read().count("host_stopping") == 0);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a child that returns from a task's call ends there, with a line that names the task") {
  Scene scene;
  scene.add(edge("child_returns"));
  Running running = scene.start();
  CHECK(running.process().wait_for_err("child: status 127"));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(lines_with(run.log(), {"a child process that task 'child_returns' forked returned into the host"}).size() == 1);
}

TEST_CASE("what a task executes ignores and blocks no signal because of the host") {
  Scene scene;
  scene.add(edge("child_executes"));
  Running running = scene.start(through_shell(scene, "grep -E 'Sig(Ign|Blk)' /proc/self/status >&2"));
  REQUIRE(running.process().wait_for_err("child: status 0"));
  running.send(SIGTERM);
  const Run run = running.finish();
  for (const char* what : {"SigBlk", "SigIgn"}) {
    const std::vector<std::string> lines = lines_with(run.log(), {what});
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == lines[1]);
  }
}
