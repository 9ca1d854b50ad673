// Signals: who gets them, when, and what nobody can take from the host.
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/pipe.hpp"
#include "support/sanitizers.hpp"
#include "terminal.hpp"

using namespace taskhost::test;

namespace {

Json edge(std::string_view name) { return task(name, test_plugin_path(name).string(), "mandatory"); }

// The program, started by a shell that does something first.
Command through_shell(Scene& scene, const std::string& before) {
  Command command = scene.command();
  command.arguments.insert(command.arguments.begin(),
                           {"-c", before + "; exec \"$0\" \"$@\"", command.program.string()});
  command.program = "/bin/sh";
  return command;
}

// A task that needs two seconds to stop.
void add_slow_task(Scene& scene) {
  Json slow = probe_that_ends("ok", "2s");
  slow["deaf"] = true;
  scene.add(task("slow", "probe", "mandatory", slow));
}

// False if that is impossible here.
bool with_signals_blocked(Command& command) {
  Command probe;
  probe.program = "/usr/bin/env";
  probe.arguments = {"--block-signal=TERM,INT,HUP", "true"};
  if (Process(probe).wait().status != 0) {
    WARN("skipped: env has no --block-signal");
    return false;
  }
  command.arguments.insert(command.arguments.begin(), {probe.arguments.front(), command.program.string()});
  command.program = probe.program;
  return true;
}

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

TEST_CASE("SIGHUP of a process is kept for reloading: it neither stops the host nor hastens its stop") {
  const Terminal terminal;
  const bool has_terminal = GENERATE(false, true);
  if (has_terminal && terminal.is_missing()) return;
  Scene scene;
  scene.add(task("slow", "probe", "mandatory", {{"end", "ok"}, {"run_for", "6s"}, {"deaf", true}}));
  Running running = scene.start(has_terminal ? terminal.around(scene.command()) : scene.command());
  running.wait_for("task_started", "slow");
  running.send(SIGHUP);
  REQUIRE(running.process().wait_for_err("SIGHUP, from process " + std::to_string(::getpid()) +
                                         ", is kept for reloading, which this version can't do"));
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  CHECK(running.events().read().count("host_stopping") == 0);
  running.send(SIGTERM);
  running.wait_for("host_stopping");
  wait_out_one_request();
  running.send(SIGHUP);
  CHECK(running.process().wait_for_err("is ignored: the host is stopping"));
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("slow") == "task_started task_stopping task_stopped");
}

TEST_CASE("a terminal that is closed stops the host in order, also in a shell's background") {
  const bool in_background = GENERATE(false, true);
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Command command = scene.command();
  auto terminal = std::make_unique<Terminal>();
  if (terminal->is_missing()) return;
  if (in_background) {
    // Like a shell that tells its jobs of the hangup; it ends when they do.
    command.arguments.insert(
        command.arguments.begin(),
        {"-c", "\"$0\" \"$@\" & trap 'kill -HUP $!' HUP; wait $!; wait $!; exit $?", command.program.string()});
    command.program = "/bin/sh";
  }
  Running running = scene.start(terminal->around(command));
  running.wait_for("task_started", "reader");
  terminal.reset();
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"stopping: SIGHUP: its terminal was closed"}));
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
}

TEST_CASE("SIGHUP that comes while a library is loaded does not end the host") {
  Scene scene;
  scene.add(edge("load_takes_long"));
  Running running = scene.start();
  REQUIRE(running.process().wait_for_err("loading slowly"));
  running.send(SIGHUP);
  running.wait_for("task_started", "load_takes_long");
  CHECK(running.process().wait_for_err("is kept for reloading"));
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("SIGHUP that comes while the program waits for its manifest does not end it") {
  Scene scene;
  Pipe in;
  Command command = scene.command();
  command.arguments = {"run", "-"};
  command.in_descriptor = in.read_end();
  Process process(command);
  const std::string id = std::to_string(process.id());
  REQUIRE(eventually([&] {
    return read_file("/proc/" + id + "/wchan").find("pipe") != std::string::npos ||
           read_file("/proc/" + id + "/syscall").starts_with("0 ");
  }));
  process.send(SIGHUP);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(process.running());
  process.send(SIGTERM);
  CHECK(process.wait().signal == SIGTERM);
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

TEST_CASE("a signal of a crash that was ignored, and that somebody sends, stays ignored") {
  if (sanitized) return;  // they handle it themselves
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start(through_shell(scene, "trap '' SEGV"));
  running.wait_for("task_started", "reader");
  running.send(SIGSEGV);
  wait_out_one_request();
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK_FALSE(has_line(run.log(), {"SIGSEGV"}));
}

TEST_CASE("a signal that was blocked when the host was started stops it all the same") {
  const int signal = GENERATE(SIGTERM, SIGINT);
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Command command = scene.command();
  if (!with_signals_blocked(command)) return;
  Running running = scene.start(command);
  running.wait_for("task_started", "reader");
  running.send(signal);
  const Run run = running.finish(std::chrono::seconds(60));
  CHECK(run.status() == 0);
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
}

TEST_CASE("a signal that was blocked ends the program also while it waits for its manifest") {
  Scene scene;
  const Pipe in;  // nobody writes to it
  Command command = scene.command();
  command.arguments = {"run", "-"};
  command.in_descriptor = in.read_end();
  if (!with_signals_blocked(command)) return;
  Process process(command);
  const std::string name = "/proc/" + std::to_string(process.id()) + "/comm";
  REQUIRE(eventually([&] { return read_file(name) == "taskhost\n"; }));  // and is no longer env
  process.send(SIGTERM);
  CHECK(process.wait().signal == SIGTERM);
}

TEST_CASE("a host that plain timeout(1) ends stops in order, each time") {
  const auto [option, status] =
      GENERATE(table<std::string, int>({{"--kill-after=60", 124}, {"--kill-after=60", 124}, {"--preserve-status", 0}}));
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Command command = scene.command();
  command.arguments.insert(command.arguments.begin(), {option, "1", command.program.string()});
  command.program = "/usr/bin/timeout";
  Process process(command);
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == status);
  CHECK(has_line(end.err, {"stopped well (status 0)"}));
}

TEST_CASE("a signal that was subscribed to is harmless between two executions, ignored from the start or not") {
  const char* before = GENERATE("true", "trap '' HUP");
  Scene scene;
  Json entry = edge("hangup_once");
  entry["restarts"] = "unlimited";
  entry["backoff"] = {{"initial", "1h"}};
  scene.add(entry);
  Running running = scene.start(through_shell(scene, before));
  running.wait_for("task_started", "hangup_once");
  REQUIRE(eventually([&] {
    running.send(SIGHUP);
    return running.events().read().count("task_restarting") == 1;
  }));
  running.send(SIGHUP);
  CHECK(running.process().wait_for_err("from process " + std::to_string(::getpid()) +
                                       ", is ignored: no task wants it any more"));
  CHECK(running.process().running());
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("two signals within a second are one request, whoever sends them, and the log names the first sender") {
  const char* second = GENERATE("TERM", "INT");
  Scene scene;
  add_slow_task(scene);
  Running running = scene.start();
  running.wait_for("task_started", "slow");
  running.send(SIGTERM);
  running.wait_for("host_stopping");
  Command other;
  other.program = "/bin/sh";
  other.arguments = {"-c", std::string("kill -") + second + " " + std::to_string(running.process().id())};
  CHECK(Process(other).wait().status == 0);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("slow") == "task_started task_stopping task_stopped");
  CHECK(has_line(run.log(), {"stopping: signal SIGTERM, from process " + std::to_string(::getpid())}));
}

TEST_CASE("a terminal's Ctrl-C, and the signal of a wrapper that has heard it too, are one request") {
  const int forwarded = GENERATE(SIGINT, SIGTERM);
  const Terminal terminal;
  if (terminal.is_missing()) return;
  Scene scene;
  add_slow_task(scene);
  Running running = scene.start(terminal.around(scene.command()));
  running.wait_for("task_started", "slow");
  terminal.press_ctrl_c();
  running.wait_for("host_stopping");
  running.send(forwarded);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("slow") == "task_started task_stopping task_stopped");
}

TEST_CASE("two Ctrl-C of a terminal are two requests, however soon the second one comes") {
  const Terminal terminal;
  if (terminal.is_missing()) return;
  Scene scene;
  add_slow_task(scene);
  Running running = scene.start(terminal.around(scene.command()));
  running.expect_cut_short();
  running.wait_for("task_started", "slow");
  terminal.press_ctrl_c();
  running.wait_for("host_stopping");
  terminal.press_ctrl_c();
  CHECK(running.finish().status() == 4);
}

TEST_CASE("a host in the background of a terminal with `stty tostop` logs and tells events there, and is not stopped") {
  const Terminal terminal;
  if (terminal.is_missing()) return;
  Scene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  Command command = scene.command();
  command.arguments[2] = "-";
  const ProcessEnd end = Process(terminal.behind(command)).wait(std::chrono::seconds(60));
  INFO(end.summary());
  CHECK(end.status == 0);
  const std::string seen = terminal.read();
  CHECK(has_line(seen, {"info", "[job] started"}));
  CHECK(has_line(seen, {"\"event\":\"host_stopped\""}));
}

TEST_CASE("a second signal ends the program when all tasks have stopped, too") {
  Scene scene;
  SECTION("destructors take for ever") {
    scene.add(edge("exit_hangs"));
    Process process(scene.command());
    REQUIRE(process.wait_for_err("[exit_hangs] started"));
    process.send(SIGTERM);
    REQUIRE(process.wait_for_err("stopped well"));
    wait_out_one_request();
    process.send(SIGINT);
    const ProcessEnd end = process.wait();
    INFO(end.summary());
    CHECK(end.status == 4);
    CHECK(has_line(end.err, {"ended by a second signal"}));
  }
  SECTION("the reader of the events is slow") {
    scene.add(task("storm", "probe", "mandatory", probe_that_ends("error"), 1'000'000'000));
    Pipe out;
    Command command = scene.command();
    command.arguments[2] = "-";
    command.out_descriptor = out.write_end();
    Process process(command);
    REQUIRE(process.wait_for_err("not logged one by one"));  // by now many events wait
    process.send(SIGTERM);
    const auto sent = std::chrono::steady_clock::now();
    const auto since = [sent] { return std::chrono::steady_clock::now() - sent; };
    bool twice = false;
    while (process.running() && since() < patience) {
      out.read_some(1000);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (!twice && since() > std::chrono::milliseconds(1500)) {
        process.send(SIGTERM);
        twice = true;
      }
    }
    const ProcessEnd end = process.wait();
    INFO(end.summary());
    CHECK(end.status == 4);
    CHECK(has_line(end.err, {"ended by a second signal"}));
  }
}

TEST_CASE("an ignored signal that a task once wanted, and nobody wants now, is not the first of two requests") {
  Scene scene;
  scene.add(task("once", "ctrl_c", "detachable"));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start(through_shell(scene, "trap '' INT"));
  running.wait_for("task_ready", "once");
  running.send(SIGINT);
  running.wait_for("task_exited", "once");
  wait_out_one_request();
  running.send(SIGINT);
  wait_out_one_request();
  CHECK(running.events().read().count("host_stopping") == 0);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("reader") == "task_started task_stopping task_stopped");
}

// Without an events file: what is opened later may get the number of a closed descriptor. The host notices as soon as
// it waits anew; one that is waiting already hears no signal.
TEST_CASE("a second signal ends the program though a task has closed the host's descriptors, so that it hears none") {
  if (address_sanitizer) return;  // it ends the process when a descriptor of its own is closed while it uses it
  Scene scene;
  scene.add(edge("closes_descriptors_blocking"));
  Command command = scene.command();
  command.arguments = {scene.manifest_path().string()};
  Process process(command);
  REQUIRE(process.wait_for_err("closed them"));
  process.send(SIGTERM);
  wait_out_one_request();
  CHECK(process.running());
  process.send(SIGTERM);
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 4);
  CHECK(end.err.find("ended by a second signal") != std::string::npos);
}

TEST_CASE("a host whose descriptors a plugin has closed ends with 1 when it notices, and says so") {
  if (address_sanitizer) return;  // it ends the process when a descriptor of its own is closed while it uses it
  Scene scene;
  scene.add(edge("closes_descriptors"));
  scene.add(task("job", "probe_blocking", "shutdown_on_exit", probe_that_ends("ok", "300ms")));
  Command command = scene.command();
  command.arguments = {scene.manifest_path().string()};
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(has_line(end.err, {"a plugin has closed descriptors that are not its own", "rule 5.1"}));
}

TEST_CASE("children that are forked beside a busy log, all at once, log and end as ever") {
  constexpr std::size_t children = 40;
  Scene scene;
  for (int i = 0; i < 3; ++i) {
    scene.add(task("busy " + std::to_string(i), "heartbeat", "detachable", {{"interval", "1ms"}}));
  }
  for (std::size_t i = 0; i < children; ++i) {
    scene.add(task("forks " + std::to_string(i), test_plugin_path("child_calls").string(), "detachable"));
  }
  Running running = scene.start();
  std::size_t ended = 0;
  for (std::size_t i = 0; i < children; ++i) {
    if (running.process().wait_for_err("[forks " + std::to_string(i) + "] child: status 0")) ++ended;
  }
  CHECK(ended == children);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(lines_with(run.log(), {"said by a child"}).size() == children);
}

TEST_CASE("a library that takes a signal away is named, and the signal is the host's again") {
  const auto [plugin, words, number] = GENERATE(
      table<std::string, std::string, int>({{"takes_terminate", "takes_terminate.so has taken over SIGTERM", SIGTERM},
                                            {"ignores_interrupt", "a plugin has set SIGINT to be ignored", SIGINT}}));
  Scene scene;
  scene.add(edge(plugin));
  Running running = scene.start();
  REQUIRE(running.process().wait_for_err(words));
  running.send(number);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a second signal ends the program though the system gives it no further thread") {
  Scene scene;
  scene.add(task("deaf", test_plugin_path("deaf_blocking").string(), "mandatory"));
  scene.manifest["shutdown_timeout"] = "1h";
  std::filesystem::permissions(scene.directory().path(), std::filesystem::perms::all);
  Command command = scene.command();
  command.arguments = {"run", "--events", "/dev/null", scene.manifest_path().string()};
  if (!run_as_stranger(command)) return;
  for (rlim_t threads = 2; threads < 40; ++threads) {  // the smallest number with which it and the task start
    command.limits = {{RLIMIT_NPROC, threads}};
    Process process(command);
    if (!process.wait_for_err("[deaf] started")) continue;
    wait_out_one_request();
    if (!process.running()) continue;  // it got no thread for the task
    process.send(SIGTERM);
    wait_out_one_request();
    process.send(SIGTERM);
    const ProcessEnd end = process.wait();
    INFO(end.summary());
    CHECK(end.status == 4);
    CHECK(has_line(end.err, {"a second signal, SIGTERM"}));
    CHECK_FALSE(has_line(end.err, {"ran out of time"}));
    CHECK_FALSE(has_line(end.err, {"another reason to stop"}));
    return;
  }
  FAIL("it does not start with 40 threads either");
}

TEST_CASE("a child that a task forked ends as if there were no host, and the host lives on") {
  const auto [plugin, end] =
      GENERATE(table<std::string, std::string>({{"child_exits", "child: status 77"},
                                                {"child_gets_terminate", "child: signal 15"},
                                                {"child_writes_to_nobody", "child: signal 13"}}));
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

TEST_CASE("a child that a library's constructor forks ends there, with a line that names the library") {
  Command command;
  command.program = program_path();
  command.arguments = {"inspect", "--json", test_plugin_path("load_forks").string()};
  Process process(command);
  CHECK(process.wait().status == 0);
  CHECK(eventually([&] {
    return has_line(process.err(), {"plugin", "load_forks.so' forked returned into the host"});
  }));
  CHECK(Json::accept(process.out()));  // one object, reported once
}

TEST_CASE("in a child that a task forked the services return at once and do nothing, and its log lines are marked") {
  const auto* const plugin = GENERATE("child_calls", "child_calls_blocking");
  Scene scene;
  scene.add(edge(plugin));
  Running running = scene.start();
  CHECK(running.process().wait_for_err("child: status 0"));
  CHECK(running.events().read().count("task_ready") == 0);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(lines_with(run.log(),
                   {"taskhost: child process ", std::string("of task '") + plugin + "': info: said by a child"})
            .size() == 1);
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
