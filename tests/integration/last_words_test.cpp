// Which task is named when the process dies; and what still runs when it ends well.
#include <chrono>
#include <csignal>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/pipe.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

ProcessEnd end_of(Scene& scene, std::string_view plugin) {
  scene.add(task("culprit", test_plugin_path(plugin).string(), "mandatory"));
  Command command = scene.command();
  command.limits.emplace_back(RLIMIT_CORE, 0);
  return Process(command).wait();
}

// Two tasks of the plugin, and a log that nobody reads until both have acted: the first one's message waits for it.
std::pair<ProcessEnd, std::string> end_of_two(std::string_view plugin) {
  Scene scene;
  for (const char* name : {"first", "second"}) scene.add(task(name, test_plugin_path(plugin).string(), "mandatory"));
  Pipe err;
  err.fill();
  Command command = scene.command();
  command.err_descriptor = err.write_end();
  Running running = scene.start(command);
  err.close_write_end();
  running.wait_for("task_started", "", 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  std::string log = err.read_all();
  return {running.process().wait(), std::move(log)};
}

void stop_once_started(Running& running) {
  running.wait_for("task_started");
  running.send(SIGTERM);
}

}  // namespace

TEST_CASE("who calls exit is named before anything is destroyed that other tasks use") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("poll_exits").string(), "mandatory"));
  scene.add(task("victim", test_plugin_path("exit_hangs").string(), "mandatory"));
  const ProcessEnd end = Process(scene.command()).wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(has_line(end.err, {"'culprit' called exit()", "rule 3.8"}));
  CHECK(end.lifetime < std::chrono::seconds(5));
}

TEST_CASE("a child that is forked at the end has a status of its own") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("global_forks").string(), "mandatory"));
  Running running = scene.start();
  stop_once_started(running);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"the child's status: 3"}));
}

TEST_CASE("a plugin's destructors that call exit do not change the status") {
  const char* plugin = GENERATE("global_exits", "destructor_quick_exits");
  Scene scene;
  scene.add(task("culprit", test_plugin_path(plugin).string(), "mandatory"));
  CHECK(scene.run().status() == 1);

  scene.manifest["no_such_field"] = 1;  // a fault found after everything is loaded
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 2);
}

TEST_CASE("a crash in a task's call names the task and the call, after what was logged, and ends by the signal") {
  const auto [plugin, signal, name] = GENERATE(table<std::string, int, std::string>({
      {"poll_crashes", SIGSEGV, "SIGSEGV"},
      {"limits_descriptors_and_crashes", SIGSEGV, "SIGSEGV"},
      {"stack_overflows", SIGSEGV, "SIGSEGV"},
      {"poll_aborts", SIGABRT, "SIGABRT"},
      {"poll_leaves_thread", SIGABRT, "SIGABRT"},
  }));
  if (sanitized) return;  // sanitizers print their own report
  Scene scene;
  const ProcessEnd end = end_of(scene, plugin);
  INFO(end.summary());
  CHECK(end.signal == signal);
  CHECK(has_line(end.err, {name, "in the poll of task 'culprit', execution 1"}));
  if (plugin == "poll_crashes") CHECK(has_line(end.err, {"the last line before"}));
}

TEST_CASE("a crash in a task's start or drop is told with the call") {
  const std::string call = GENERATE("start", "drop");
  if (sanitized) return;
  Scene scene;
  scene.add(task("culprit", test_plugin_path(call + "_crashes").string(), "mandatory"));
  Process process(scene.command());
  if (call == "drop") {
    REQUIRE(process.wait_for_err("[culprit] started"));
    process.send(SIGTERM);
  }
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.signal == SIGSEGV);
  CHECK(has_line(end.err, {"SIGSEGV in the " + call + " of task 'culprit', execution 1"}));
}

TEST_CASE("a signal that ends the process is told and ends it, raised or not") {
  const auto [signal, name] = GENERATE(
      table<int, std::string>({{SIGTRAP, "SIGTRAP"}, {SIGSYS, "SIGSYS"}, {SIGXCPU, "SIGXCPU"}, {SIGSEGV, "SIGSEGV"}}));
  if (sanitized) return;
  Scene scene;
  scene.add(task("culprit", test_plugin_path("poll_raises").string(), "mandatory", signal));
  const ProcessEnd end = Process(scene.command()).wait();
  INFO(end.summary());
  CHECK(end.signal == signal);
  CHECK(has_line(end.err, {name, "in the poll of task 'culprit', execution 1"}));
}

TEST_CASE("a signal of a crash that another process has sent is told with its sender, and blames nobody") {
  const auto [signal, words] = GENERATE(table<int, std::string>(
      {{SIGABRT, "as systemd sends it when WatchdogSec= is over"}, {SIGSEGV, "and is no crash"}}));
  if (sanitized) return;
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Process process(scene.command());
  REQUIRE(process.wait_for_err("[reader] started"));
  process.send(signal);
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.signal == signal);
  CHECK(has_line(end.err, {"came from process " + std::to_string(::getpid()), words}));
  CHECK_FALSE(has_line(end.err, {"thread"}));
  CHECK(has_line(end.err, {"shows where"}) == (signal == SIGABRT));
}

TEST_CASE("a crash is told though the host was started with its signal blocked") {
  if (sanitized) return;
  Command blocked;
  blocked.program = "/usr/bin/env";
  blocked.arguments = {"--block-signal", "true"};
  if (Process(blocked).wait().status != 0) {
    WARN("skipped: env --block-signal is not there");
    return;
  }
  Scene scene;
  scene.add(task("culprit", test_plugin_path("poll_crashes").string(), "mandatory"));
  Command command = scene.command();
  command.arguments.insert(command.arguments.begin(), {"--block-signal", command.program.string()});
  command.program = blocked.program;
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.signal == SIGSEGV);
  CHECK(has_line(end.err, {"SIGSEGV", "in the poll of task 'culprit'"}));
}

TEST_CASE("of two tasks that crash together one is named") {
  if (sanitized) return;
  const auto [end, log] = end_of_two("crashes_together");
  INFO(log);
  CHECK(end.signal == SIGSEGV);
  CHECK(lines_with(log, {"SIGSEGV in", "of task '"}).size() == 1);
}

TEST_CASE("of two tasks that call exit together one is named, and the status is that of a failure") {
  const auto [end, log] = end_of_two("exits_together");
  INFO(log);
  CHECK(end.status == 1);
  CHECK(lines_with(log, {"called exit()"}).size() == 1);
}

TEST_CASE("a crash in a thread that a plugin has made is not put down to the host's, whose name it inherits") {
  if (sanitized) return;
  Scene scene;
  const ProcessEnd end = end_of(scene, "thread_crashes");
  INFO(end.summary());
  CHECK(end.signal == SIGSEGV);
  CHECK(has_line(end.err, {"SIGSEGV in a thread that a plugin or a library created", "address 0x0"}));
}

TEST_CASE("last words beside a log in JSON are JSON") {
  if (sanitized) return;
  Scene scene;
  scene.add(task("cul\"prit", test_plugin_path("poll_crashes").string(), "mandatory"));
  Command command = scene.command({"--log-format", "json"});
  command.limits.emplace_back(RLIMIT_CORE, 0);
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  std::istringstream lines(end.err);
  std::string last;
  for (std::string line; std::getline(lines, line); last = line) CHECK(Json::accept(line));
  const Json words = Json::parse(last);
  CHECK(words["level"] == "error");
  CHECK(words["time"].get<std::string>().starts_with("2"));
  CHECK(words["message"].get<std::string>().starts_with("SIGSEGV in the poll of task 'cul\"prit', execution 1"));
}

TEST_CASE("a task that calls quick_exit is named, and the status is that of a failure") {
  Scene scene;
  const ProcessEnd end = end_of(scene, "poll_quick_exits");
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(has_line(end.err, {"task 'culprit' called exit()"}));
}

TEST_CASE("a library whose constructor throws or crashes is named") {
  const auto [plugin, signal] =
      GENERATE(table<std::string, int>({{"load_throws", SIGABRT}, {"load_crashes", SIGSEGV}}));
  if (sanitized) return;
  Scene scene;
  const ProcessEnd end = end_of(scene, plugin);
  INFO(end.summary());
  CHECK(end.signal == signal);
  CHECK(has_line(end.err, {"while loading", plugin + ".so"}));
  const std::string checked = scene.manifest_path().string();
  const std::string inspected = test_plugin_path(plugin).string();
  for (const auto& [verb, path] : {std::pair("check", checked), std::pair("inspect", inspected)}) {
    Command command;
    command.program = program_path();
    command.arguments = {verb, path};
    command.limits.emplace_back(RLIMIT_CORE, 0);
    CHECK(has_line(Process(command).wait().err, {"while loading", plugin + ".so"}));
  }
}

TEST_CASE("a check that crashes, exits or forks is named with its task") {
  struct Row {
    const char* plugin;
    std::optional<int> status;
    const char* words;
  };
  for (const auto& [plugin, status, words] :
       {Row{"check_crashes", std::nullopt, "SIGSEGV in the check of task 'culprit'"},
        Row{"check_exits", 3, "the check of task 'culprit' called exit() (rule 3.8)"},
        Row{"check_forks", 0, "that the check of task 'culprit' forked returned into the host"},
        Row{"check_forks_and_throws", 0, "that the check of task 'culprit' forked returned into the host"}}) {
    if (sanitized && !status) continue;
    Scene scene;
    scene.add(task("culprit", test_plugin_path(plugin).string(), "mandatory"));
    Command command = scene.command();
    command.arguments = {"check", scene.manifest_path().string()};
    command.limits.emplace_back(RLIMIT_CORE, 0);
    const ProcessEnd end = Process(command).wait();
    INFO(plugin << "\n" << end.summary());
    CHECK(end.status == status);
    CHECK(has_line(end.err, {words}));
    CHECK(end.err.find("in the child") == std::string::npos);
  }
}

TEST_CASE("a check that never returns is named after five seconds, and by the second signal") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("check_hangs").string(), "mandatory"));
  Running running = scene.start();
  REQUIRE(running.process().wait_for_err("checking slowly"));
  CHECK(running.process().wait_for_err("a plugin has been busy for 5 s in the check of task 'culprit'"));
  running.send(SIGTERM);
  wait_out_one_request();
  running.send(SIGTERM);
  const ProcessEnd end = running.process().wait();
  INFO(end.summary());
  CHECK(end.status == 4);
  CHECK(has_line(end.err, {"ended by a second signal", "in the check of task 'culprit'"}));
}

TEST_CASE("offloaded work that crashes or exits is named with its task") {
  for (const auto& [plugin, words] : {std::pair("work_crashes", "SIGSEGV in the offloaded work of task 'culprit'"),
                                      std::pair("work_exits", "the offloaded work of task 'culprit' called exit()")}) {
    if (sanitized && plugin == std::string("work_crashes")) continue;
    Scene scene;
    const ProcessEnd end = end_of(scene, plugin);
    INFO(plugin << "\n" << end.summary());
    CHECK(end.status.value_or(1) == 1);
    CHECK(has_line(end.err, {words}));
  }
}

TEST_CASE("a child that leaves offloaded work ends there, and its task is named") {
  const char* plugin = GENERATE("work_forks", "work_forks_and_throws");
  Scene scene;
  scene.add(task("culprit", test_plugin_path(plugin).string(), "mandatory"));
  Running running = scene.start();
  CHECK(running.process().wait_for_err("the child's status: 127"));
  CHECK(has_line(running.process().err(), {"the offloaded work of task 'culprit' forked", "rule 3.14"}));
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("globals are not destroyed beside offloaded work that is left behind") {
  Scene scene;
  scene.add(task("loader", test_plugin_path("global_in_work").string(), "mandatory"));
  Running running = scene.start();
  REQUIRE(running.process().wait_for_err("the work has begun"));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"loader", "is left behind"}));
  CHECK(run.log().find("the global is destroyed") == std::string::npos);
}

TEST_CASE("globals of plugins are destroyed at the end") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("global_destroyed").string(), "mandatory"));
  Running running = scene.start();
  stop_once_started(running);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"the global is destroyed"}));
}

TEST_CASE("globals of plugins are left alone where an abandoned task may still use them") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("global_destroyed").string(), "mandatory"));
  Json deaf = task("deaf", test_plugin_path("deaf_blocking").string(), "detachable");
  deaf["stop_timeout"] = "100ms";
  scene.add(deaf);
  Running running = scene.start();
  running.wait_for("task_started", "deaf");
  stop_once_started(running);
  const Run run = running.finish();
  CHECK(run.status() == 4);
  CHECK_FALSE(has_line(run.log(), {"the global is destroyed"}));
}

TEST_CASE("a destructor that hangs holds up the end for a while only, which is told, and the status is the host's") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("exit_hangs").string(), "mandatory"));
  Running running = scene.start();
  stop_once_started(running);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"rule 5.4"}));
  const ProcessEnd checked = run_program({"check", scene.manifest_path().string()});
  INFO(checked.summary());
  CHECK(checked.status == 0);
  CHECK(has_line(checked.err, {"rule 5.4"}));
}

TEST_CASE("a destructor that hangs is cut short whatever it does to signals, and where there are no timers") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("exit_hangs_deaf").string(), "mandatory"));
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  Process deaf(command);
  command.limits.emplace_back(RLIMIT_SIGPENDING, 0);
  Process without_timers(command);
  for (Process* process : {&deaf, &without_timers}) {
    const ProcessEnd end = process->wait();
    INFO(end.summary());
    CHECK(end.status == 0);
    CHECK(has_line(end.err, {"rule 5.4"}));
  }
}

TEST_CASE("a pause of the process while globals are destroyed does not count") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("exit_takes_a_second").string(), "mandatory"));
  Running running = scene.start();
  stop_once_started(running);
  REQUIRE(running.process().wait_for_err("destroying the global"));
  running.send(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(5500));  // a little longer than all of it may take
  running.send(SIGCONT);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"the global is destroyed"}));
}
