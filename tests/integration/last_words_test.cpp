// Who it was, when the process dies; and what still runs when it ends well.
#include <csignal>
#include <string>
#include <utility>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

ProcessEnd end_of(Scene& scene, std::string_view plugin) {
  scene.add(task("culprit", test_plugin_path(plugin).string(), "mandatory"));
  Command command = scene.command();
  command.limits.emplace_back(RLIMIT_CORE, 0);
  return Process(command).wait();
}

}  // namespace

TEST_CASE("a crash in a task's call names the task and the call, after what was logged, and ends by the signal") {
  const auto [plugin, signal, name] = GENERATE(table<std::string, int, std::string>({
      {"poll_crashes", SIGSEGV, "SIGSEGV"},
      {"stack_overflows", SIGSEGV, "SIGSEGV"},
      {"poll_aborts", SIGABRT, "SIGABRT"},
      {"poll_leaves_thread", SIGABRT, "SIGABRT"},
  }));
  if (sanitized) return;  // sanitizers have words of their own
  Scene scene;
  const ProcessEnd end = end_of(scene, plugin);
  INFO(end.summary());
  CHECK(end.signal == signal);
  CHECK(has_line(end.err, {name, "in the poll of task 'culprit', execution 1"}));
  if (plugin == "poll_crashes") CHECK(has_line(end.err, {"the last line before"}));
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

TEST_CASE("globals of plugins are destroyed at the end") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("global_destroyed").string(), "mandatory"));
  Running running = scene.start();
  running.wait_for("task_started");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"the global is destroyed"}));
}

TEST_CASE("a destructor that hangs holds up the end for a while only, and the status is the host's") {
  Scene scene;
  scene.add(task("culprit", test_plugin_path("exit_hangs").string(), "mandatory"));
  Running running = scene.start();
  running.wait_for("task_started");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"rule 5.4"}));
}
