// The program as PID 1 of a pid namespace, as in a container.
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "notify_receiver.hpp"
#include "scene.hpp"
#include "support/catch.hpp"
#include "support/pipe.hpp"
#include "support/sanitizers.hpp"
#include "terminal.hpp"

using namespace taskhost::test;

namespace {

// Explains why a test is skipped.
bool no_namespaces() {
  Command command;
  command.program = "/usr/bin/unshare";
  command.arguments = {"--pid", "--fork", "--mount-proc", "true"};
  try {
    if (Process(command).wait().status == 0) return false;
  } catch (const std::exception&) {
    // unshare is not installed.
  }
  WARN("skipped: unshare --pid gives no pid namespace here");
  return true;
}

Command as_first_process(Scene& scene, std::string_view plugin) {
  scene.add(task(plugin, test_plugin_path(plugin).string(), "mandatory"));
  Command command = scene.command();
  command.arguments.insert(command.arguments.begin(),
                           {"--pid", "--fork", "--mount-proc", "--kill-child", command.program.string()});
  command.program = "/usr/bin/unshare";
  return command;
}

pid_t child_of(pid_t parent) {
  const std::string id = std::to_string(parent);
  std::ifstream children("/proc/" + id + "/task/" + id + "/children");
  pid_t child = 0;
  children >> child;
  return child;
}

}  // namespace

TEST_CASE("as PID 1 the program reaps orphans, hears signals, and ends with the host's status") {
  if (no_namespaces()) return;
  Scene scene;
  Running running = scene.start(as_first_process(scene, "leaves_orphan"));
  REQUIRE(running.process().wait_for_err("the orphan is"));
  const pid_t first = child_of(running.process().id());
  REQUIRE(first > 0);
  REQUIRE(::kill(first, SIGTERM) == 0);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "signal");
  CHECK(has_line(run.log(), {"the orphan is reaped"}));
}

TEST_CASE("as PID 1 the program hears a signal that comes while a library is loaded") {
  if (no_namespaces()) return;
  Scene scene;
  Running running = scene.start(as_first_process(scene, "load_takes_long"));
  REQUIRE(running.process().wait_for_err("loading slowly"));
  const pid_t first = child_of(running.process().id());
  REQUIRE(first > 0);
  REQUIRE(::kill(first, SIGTERM) == 0);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_started") == 0);
}

TEST_CASE("as PID 1 the program tells a crash by its last words and 128 and the signal") {
  if (no_namespaces() || sanitized) return;
  Scene scene;
  const ProcessEnd end = Process(as_first_process(scene, "poll_crashes")).wait();
  INFO(end.summary());
  CHECK(end.status == 128 + SIGSEGV);
  CHECK(has_line(end.err, {"SIGSEGV in the poll of task 'poll_crashes'"}));
  CHECK(has_line(end.err, {"the host was ended by signal 11", "status 139"}));
}

TEST_CASE("as PID 1 the program tells that the host was killed, and what may have done it") {
  if (no_namespaces()) return;
  Scene scene;
  const bool is_read = GENERATE(true, false);
  Pipe unread;
  Command command = as_first_process(scene, "leaves_orphan");
  if (!is_read) command.err_descriptor = unread.write_end();
  Process process(command);
  REQUIRE(eventually([&] {
    return is_read ? process.err().find("the orphan is") != std::string::npos : child_of(child_of(process.id())) > 0;
  }));
  if (!is_read) unread.fill();
  const pid_t host = child_of(child_of(process.id()));
  REQUIRE(host > 0);
  REQUIRE(::kill(host, SIGKILL) == 0);
  const ProcessEnd end = process.wait();
  CHECK(end.status == 128 + SIGKILL);
  if (!is_read) return;
  CHECK(has_line(end.err, {"the host was ended by signal 9", "status 137", "memory was short"}));
}

TEST_CASE("as PID 1 the program says which limit refuses it its further process") {
  if (no_namespaces()) return;
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Command command = scene.command();
  const std::string program = command.program.string();
  // The limit does not apply to root.
  command.arguments = {"--pid",
                       "--fork",
                       "--mount-proc",
                       "--kill-child",
                       "/usr/bin/setpriv",
                       "--reuid=1987654321",
                       "--clear-groups",
                       "prlimit",
                       "--nproc=1",
                       program,
                       "run",
                       scene.manifest_path().string()};
  command.program = "/usr/bin/unshare";
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  if (end.status == 126 || end.status == 127) {
    WARN("skipped: no setpriv or prlimit, or another user does not reach the program");
    return;
  }
  CHECK(end.status == 5);
  CHECK(has_line(end.err, {"as PID 1 it needs a second process: fork", "ulimit -u"}));
}

TEST_CASE("as PID 1 the program stops once at a terminal's Ctrl-C") {
  if (no_namespaces()) return;
  const Terminal terminal;
  if (terminal.is_missing()) return;
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Command command = scene.command();
  command.arguments.insert(command.arguments.begin(), {"--pid", "--fork", "--mount-proc", command.program.string()});
  command.program = "/usr/bin/unshare";
  Running running = scene.start(terminal.around(command));
  running.wait_for("task_started", "reader");
  terminal.press_ctrl_c();
  const Run run = running.finish(std::chrono::seconds(60));
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "signal");
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
}

TEST_CASE("as PID 1 without standard streams the program runs and stops as with them") {
  if (no_namespaces()) return;
  Scene scene;
  Command command = as_first_process(scene, "leaves_orphan");
  command.in = Wiring::closed;
  command.out = Wiring::closed;
  command.err = Wiring::closed;
  Running running = scene.start(command);
  running.wait_for("task_started", "leaves_orphan");
  const pid_t first = child_of(running.process().id());
  REQUIRE(first > 0);
  REQUIRE(::kill(first, SIGTERM) == 0);
  const Run run = running.finish(std::chrono::seconds(60));
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "signal");
}

TEST_CASE("as PID 1 the program passes SIGHUP on as what it is") {
  if (no_namespaces()) return;
  Scene scene;
  Running running = scene.start(as_first_process(scene, "load_takes_long"));
  running.wait_for("task_started", "load_takes_long");
  const pid_t first = child_of(running.process().id());
  REQUIRE(::kill(first, SIGHUP) == 0);
  CHECK(running.process().wait_for_err("is kept for reloading"));
  REQUIRE(::kill(first, SIGTERM) == 0);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("as PID 1 of a terminal that is closed the program stops in order") {
  if (no_namespaces()) return;
  auto terminal = std::make_unique<Terminal>();
  if (terminal->is_missing()) return;
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Command command = scene.command();
  // The session's leader, which does not end of the hangup, is outside.
  command.arguments.insert(
      command.arguments.begin(),
      {"-c", "trap : HUP; unshare --pid --fork --mount-proc \"$0\" \"$@\" & wait; wait $!", command.program.string()});
  command.program = "/bin/sh";
  Running running = scene.start(terminal->around(command));
  running.wait_for("task_started", "reader");
  const pid_t first = child_of(child_of(running.process().id()));
  REQUIRE(first > 0);
  terminal.reset();
  ::kill(first, SIGHUP);  // as a shell does
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"its terminal was closed"}));
}

TEST_CASE("as PID 1 the program's child speaks for it to a service manager") {
  if (no_namespaces()) return;
  Scene scene;
  NotifyReceiver receiver((scene.directory() / "notify").string());
  Command command = as_first_process(scene, "leaves_orphan");
  command.environment = {receiver.variable(), "WATCHDOG_USEC=200000", "WATCHDOG_PID=1"};
  Running running = scene.start(command);
  REQUIRE(receiver.wait_for("READY=1") == "READY=1");
  CHECK(receiver.wait_for("WATCHDOG=1") == "WATCHDOG=1");
  ::kill(child_of(running.process().id()), SIGTERM);
  CHECK(running.finish().status() == 0);
  CHECK(receiver.text().find("STOPPING=1\n") != std::string::npos);
}

TEST_CASE("as PID 1 the program reaps a thousand orphans, all at once, and still ends with the host's status") {
  if (no_namespaces()) return;
  Scene scene;
  Running running = scene.start(as_first_process(scene, "leaves_orphan"));
  REQUIRE(running.process().wait_for_err("the orphan is"));
  const pid_t first = child_of(running.process().id());
  Command crowd;
  crowd.program = "/usr/bin/nsenter";
  crowd.arguments = {"--target", std::to_string(first),
                     "--pid",    "sh",
                     "-c",       "i=0; while [ $i -lt 1000 ]; do (sleep 0.5 &); i=$((i+1)); done"};
  if (Process(crowd).wait().status != 0) {
    WARN("skipped: nsenter does not work here");
  }
  const auto children = [first] {
    const std::string id = std::to_string(first);
    std::ifstream file("/proc/" + id + "/task/" + id + "/children");
    return std::distance(std::istream_iterator<pid_t>(file), std::istream_iterator<pid_t>());
  };
  CHECK(eventually([&] { return children() == 1; }));
  REQUIRE(::kill(first, SIGTERM) == 0);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("as PID 1 a signal to the whole process group is one request") {
  if (no_namespaces()) return;
  Scene scene;
  Running running = scene.start(as_first_process(scene, "load_takes_long"));
  REQUIRE(running.process().wait_for_err("loading slowly"));
  const pid_t first = child_of(running.process().id());
  const pid_t host = child_of(first);
  REQUIRE(host > 0);
  ::kill(host, SIGTERM);  // one by one, since the test is in the same group
  ::kill(first, SIGTERM);
  CHECK(running.finish().status() == 0);
}
