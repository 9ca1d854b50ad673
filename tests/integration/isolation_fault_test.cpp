// Faults around isolated tasks: libraries and configs that are wrong, workers that can't be started, resources that
// end.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

#include "isolation_scene.hpp"

using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

Json isolated_plugin(std::string_view plugin, Json config = nullptr) {
  Json entry = task("victim", plugin, "mandatory", std::move(config));
  entry["isolation"] = "process";
  return entry;
}

}  // namespace

TEST_CASE("a library that dies while it is loaded is a fault of the plugin that check tells, with its file") {
  for (const auto& [how, words] :
       {std::pair{"segv", "killed by SIGSEGV"}, std::pair{"abort", "killed by SIGABRT"},
        std::pair{"exit 0", "ended the process with status 0"}, std::pair{"_exit 3", "ended the process with status 3"},
        std::pair{"close all", "ended the process with status 1"}, std::pair{"kill group", "killed by SIGKILL"},
        std::pair{"throw", "thrown"}, std::pair{"child", "ended the process with status 3"},
        std::pair{"memory", "killed by SIGABRT"}}) {
    INFO(how);
    Scene scene;
    scene.add(victim(way("none")));
    const ProcessEnd end = check_manifest(scene, {std::string("DIES_WHEN_LOADED=") + how});
    INFO(end.summary());
    CHECK(end.status == 3);
    CHECK(has_line(end.err, {test_plugin_path("dies").string(), words}));
    CHECK_FALSE(has_line(end.err, {"internal"}));
  }
}

TEST_CASE("a check that dies is a fault of the plugin, and a wrong config one of the manifest") {
  Scene crashes;
  crashes.add(isolated_plugin("check_crashes"));
  ProcessEnd end = check_manifest(crashes);
  INFO(end.summary());
  CHECK(end.status == 3);
  CHECK(has_line(end.err, {test_plugin_path("check_crashes").string(), "task \"victim\"", "killed by SIGSEGV"}));
  // The next one of that library is judged by another worker.
  crashes.add(isolated_plugin("check_crashes", {{"another", 1}}));
  crashes.manifest["tasks"][1]["name"] = "next";
  end = check_manifest(crashes);
  INFO(end.summary());
  CHECK(has_line(end.err, {test_plugin_path("check_crashes").string(), "task \"next\"", "killed by SIGSEGV"}));
  Scene exits;
  exits.add(isolated_plugin("check_exits"));
  end = check_manifest(exits);
  INFO(end.summary());
  CHECK(end.status == 3);
  CHECK(has_line(end.err,
                 {test_plugin_path("check_exits").string(), "task \"victim\"", "ended the process with status 0"}));
  for (const char* const plugin : {"heartbeat", "ticker", "flaky", "watcher", "line_server", "probe"}) {
    INFO(plugin);
    Scene wrong;
    wrong.add(isolated_plugin(plugin, {{"no_such_field", 7}}));
    end = check_manifest(wrong);
    INFO(end.summary());
    CHECK(end.status == 2);
    CHECK(has_line(end.err, {"/tasks/0/config", "unknown key \"no_such_field\""}));
  }
}

TEST_CASE("what is wrong with an isolated library is told as of one in process") {
  for (const char* const plugin : {"no_entry", "entry_v2", "entry_throws", "entry_exits", "state_huge", "poll_and_run",
                                   "duplicate_names", "name_control", "unresolved"}) {
    INFO(plugin);
    Scene scene;
    scene.add(isolated_plugin(plugin));
    const ProcessEnd end = check_manifest(scene);
    INFO(end.summary());
    CHECK(end.status == 3);
    CHECK(has_line(end.err, {test_plugin_path(plugin).string()}));
    if (std::string_view(plugin) == "entry_exits") continue;  // which is told by its process
    scene.manifest["tasks"][0]["isolation"] = "none";
    const ProcessEnd in_process = check_manifest(scene);
    const auto without_time = [](const std::string& line) { return line.substr(line.find(" error ")); };
    CHECK(without_time(in_process.err) == without_time(end.err));
  }
}

TEST_CASE(
    "a library that hangs while it is loaded is named after five seconds, and ends with its host by a second signal") {
  Scene scene;
  scene.add(victim(way("none")));
  Command command = scene.command();
  command.environment.emplace_back("DIES_WHEN_LOADED=sleep without signals");
  Process host(command);
  REQUIRE(eventually([&] { return children_of(host.id()).size() == 1 || !host.running(); }));
  CHECK(host.wait_for_err("a plugin has been busy for 5 s while loading " + test_plugin_path("dies").string()));
  const auto workers = children_of(host.id());
  host.send(SIGTERM);
  wait_out_one_request();
  host.send(SIGTERM);
  const ProcessEnd end = host.wait();
  INFO(end.summary());
  CHECK(end.status == 4);
  for (const ProcessFacts& worker : workers) CHECK(eventually([&] { return !is_alive(worker.id); }, 2s));
}

TEST_CASE("a library that hangs while it is loaded is a fault after a minute", "[.slow]") {
  Scene scene;
  scene.add(victim(way("none")));
  const ProcessEnd end = check_manifest(scene, {"DIES_WHEN_LOADED=sleep without signals"});
  INFO(end.summary());
  CHECK(end.status == 3);
  CHECK(has_line(end.err, {test_plugin_path("dies").string(), "within a minute"}));
}

TEST_CASE("a worker that can't be started, or is another program, is told with its path and what to do") {
  const auto run_with = [](const std::string& worker) {
    Scene scene;
    scene.add(victim(way("none"), 1));
    Command command = scene.command();
    command.environment.push_back("TASKHOST_WORKER=" + worker);
    return Process(command).wait();
  };
  ProcessEnd end = run_with("/nonexistent/worker");
  INFO(end.summary());
  CHECK(end.status == 3);
  CHECK(has_line(end.err, {"can't start the worker \"/nonexistent/worker\"", "No such file", "TASKHOST_WORKER"}));
  end = run_with("/etc/passwd");
  INFO(end.summary());
  CHECK(end.status == 3);
  CHECK(has_line(end.err, {"can't start the worker \"/etc/passwd\"", "Permission denied"}));
  end = run_with("/bin/false");
  INFO(end.summary());
  CHECK(end.status == 3);
  CHECK(has_line(end.err, {"ended the process with status 1"}));
}

TEST_CASE("without descriptors left no worker starts, which is told and tried again, and harms no other") {
  Scene scene;
  Json many = victim({{"how", "none"}});
  many["type"] = "detachable";
  many["restarts"] = 3;
  many["backoff"] = {{"initial", "50ms"}, {"max", "50ms"}};
  for (int number = 0; number < 30; ++number) {
    many["name"] = "victim " + std::to_string(number);
    scene.add(many);
  }
  scene.add(bystander());
  Command command = scene.command();
  command.limits.emplace_back(RLIMIT_NOFILE, 100);
  Running running = scene.start(command);
  running.wait_for("task_discarded");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  const Event exit = run.first("task_exited");
  CHECK(exit.outcome == "error");
  INFO(exit.message);
  CHECK(exit.message.find("can't start a worker: ") != std::string::npos);
  CHECK(exit.message.find("Too many open files") != std::string::npos);
  check_bystander(run);
}

TEST_CASE("without processes left no worker starts, which is told and tried again, and harms no other") {
  Scene scene;
  Json entry = victim(way("none"), 2);
  entry["type"] = "detachable";
  entry["backoff"] = {{"initial", "50ms"}, {"max", "50ms"}};
  for (int number = 0; number < 30; ++number) {
    entry["name"] = "victim " + std::to_string(number);
    scene.add(entry);
  }
  scene.add(bystander());
  std::filesystem::permissions(scene.directory().path(), std::filesystem::perms::all);
  Command command = scene.command();
  if (!run_as_stranger(command)) return;
  command.limits.emplace_back(RLIMIT_NPROC, 30);
  Running running = scene.start(command);
  running.wait_for("task_discarded");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  // It may be the process for which there is no room, or a thread of it.
  for (const Event& event : run.events.events()) {
    if (event.name != "task_exited") continue;
    INFO(event.message);
    CHECK(event.outcome == "error");
    CHECK((event.message.find("limit of processes") != std::string::npos ||
           event.message.find("RLIMIT_NPROC is 30") != std::string::npos));
  }
  check_bystander(run);
}

TEST_CASE("a parent that ignores the ends of its children does not keep the host from hearing how its workers end") {
  Scene scene;
  scene.add(victim(way("_exit 3")));
  Command command = scene.command();
  command.arguments.insert(command.arguments.begin(), {"-c", "trap '' CHLD; exec \"$@\"", "sh", command.program});
  command.program = "/bin/sh";
  const Run run = scene.start(command).finish();
  CHECK(run.first("task_exited").message == "ended the process with status 3");
}

TEST_CASE("a thousand restarts of isolated tasks leave neither descriptors nor zombies") {
  Scene scene;
  for (const char* const how : {"_exit 3", "none", "close others", "child", "garbage"}) {
    Json entry = victim({{"how", how}, {"end", "error"}}, 200);
    entry["name"] = how;
    entry["type"] = "detachable";
    scene.add(entry);
  }
  scene.add(bystander());
  Running running = scene.start();
  running.wait_for("task_started", "none", 3);
  const std::size_t before = count_descriptors(running.process().id());
  running.wait_for("task_discarded", {}, 5);
  CHECK(eventually([&] { return children_of(running.process().id()).empty(); }, 5s));
  CHECK(count_descriptors(running.process().id()) <= before);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_started") == 1006);
  check_bystander(run);
}
