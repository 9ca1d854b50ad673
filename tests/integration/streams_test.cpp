// Where the program's standard streams and its events lead.
#include <fcntl.h>

#include <csignal>
#include <fstream>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

void add_two_tasks(Scene& scene) {
  scene.add(task("feed", "probe", "mandatory", probe_that_ends("error", "1ms"), 5));
  scene.add(task("ticker", "probe_blocking", "detachable", probe_that_ends("throw"), 5));
}

// Its events go to stdout, whatever that is.
Command command_with_events_on_stdout(Scene& scene) {
  Command command = scene.command();
  command.arguments[2] = "-";
  return command;
}

}  // namespace

TEST_CASE("with --events - stdout has the lines of the events and nothing else") {
  Scene scene;
  add_two_tasks(scene);
  const ProcessEnd end = Process(command_with_events_on_stdout(scene)).wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  EventStream stream;
  stream.append(end.out);
  CHECK(broken_event_rules(stream, {.status = 1, .budgets = {{"feed", 5}, {"ticker", 5}}}) == "");
}

TEST_CASE("without --events stdout stays empty") {
  Scene scene;
  add_two_tasks(scene);
  scene.command();
  const ProcessEnd end = run_program({scene.manifest_path().string()});
  CHECK(end.status == 1);
  CHECK(end.out.empty());
}

TEST_CASE("events that can't be written to where they were told to go are a usage error, and nothing is started") {
  Scene scene;
  add_two_tasks(scene);
  Command command = scene.command();
  SECTION("a folder that is not there") {
    command.arguments[2] = (scene.directory() / "no/such/folder/events.jsonl").string();
  }
  SECTION("a closed stdout") {
    command.arguments[2] = "-";
    command.out = Wiring::closed;
    const ProcessEnd end = Process(command).wait();
    INFO(end.summary());
    CHECK(end.status == 2);
    CHECK(has_line(end.err, {"stdout", "can't write events there"}));
    return;
  }
  SECTION("a directory") { command.arguments[2] = scene.directory().path().string(); }
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 2);
  CHECK(run.log().find(command.arguments[2]) != std::string::npos);
}

TEST_CASE("a full disk under the events does not end the tasks") {
  Scene scene;
  add_two_tasks(scene);
  Command command = scene.command();
  command.arguments[2] = "/dev/full";
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(has_line(end.err, {"/dev/full"}));
}

TEST_CASE("a closed stdin, stdout or stderr changes nothing") {
  Scene scene;
  add_two_tasks(scene);
  Command command = scene.command();
  SECTION("stdin") { command.in = Wiring::closed; }
  SECTION("stdout") { command.out = Wiring::closed; }
  SECTION("stderr") { command.err = Wiring::closed; }
  SECTION("all three") { command.in = command.out = command.err = Wiring::closed; }
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 1);
  CHECK(run.events.count("task_started", "ticker") >= 1);
}

TEST_CASE("a log that nobody reads does not end the program") {
  Scene scene;
  add_two_tasks(scene);
  scene.add(task("reader", "probe", "detachable", probe_that_ends("ok", "20ms")));
  Command command = scene.command({"--log-level", "debug"});
  command.err = Wiring::broken_pipe;
  CHECK(scene.start(command).finish().status() == 1);
}

TEST_CASE("events that nobody reads do not end the program") {
  Scene scene;
  add_two_tasks(scene);
  Command command = command_with_events_on_stdout(scene);
  command.out = Wiring::broken_pipe;
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 1);
}

TEST_CASE("programs that a task starts do not inherit the descriptor that events go to") {
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Command command = scene.command();
  command.arguments[2] = "/dev/fd/3";
  command.arguments.insert(command.arguments.begin(),
                           {"-c", "exec \"$0\" \"$@\" 3>" + scene.events_path().string(), command.program.string()});
  command.program = "/bin/sh";
  Running running = scene.start(command);
  running.wait_for("task_started", "reader");
  std::ifstream file("/proc/" + std::to_string(running.process().id()) + "/fdinfo/3");
  std::string word;
  while (file >> word && word != "flags:") continue;
  REQUIRE(file >> word);
  CHECK((std::stoul(word, nullptr, 8) & O_CLOEXEC) != 0);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("few descriptors are enough for a few tasks") {
  Scene scene;
  add_two_tasks(scene);
  Command command = scene.command();
  command.limits.emplace_back(RLIMIT_NOFILE, 64);
  CHECK(scene.start(command).finish().status() == 1);
}

TEST_CASE("events are there for others to read while the host runs") {
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start();
  running.wait_for("task_started", "reader");
  CHECK(running.process().running());
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}
