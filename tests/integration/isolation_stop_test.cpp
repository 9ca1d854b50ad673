// The end of isolated tasks that do not listen: at the stop, at operators' orders, and with their host.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "isolation_scene.hpp"
#include "operated_host.hpp"

using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

bool are_gone(const std::vector<ProcessFacts>& processes, std::chrono::nanoseconds limit = patience) {
  return eventually(
      [&] {
        return std::none_of(processes.begin(), processes.end(),
                            [](const ProcessFacts& one) { return is_alive(one.id); });
      },
      limit);
}

// What belongs to the workers of a host: they and their groups.
std::vector<ProcessFacts> workers_of(pid_t host) {
  std::vector<ProcessFacts> all;
  const std::vector<ProcessFacts> workers = children_of(host);
  for (const ProcessFacts& one : all_processes()) {
    if (std::any_of(workers.begin(), workers.end(),
                    [&](const ProcessFacts& worker) { return one.group == worker.id; })) {
      all.push_back(one);
    }
  }
  return all;
}

// Its worker has started, and does what it does.
std::vector<ProcessFacts> wait_for_workers(Process& host, std::size_t count = 1) {
  REQUIRE(eventually([&] { return workers_of(host.id()).size() >= count || !host.running(); }));
  std::this_thread::sleep_for(200ms);
  return workers_of(host.id());
}

// The second time, its library does not load any more: the first execution fails, and then there is the file.
Json loads_once() {
  Json entry = victim({{"how", "none"}, {"end", "error"}}, 1);
  entry["backoff"] = {{"initial", "300ms"}, {"max", "300ms"}};
  return entry;
}

}  // namespace

TEST_CASE("an isolated task that is deaf to the stop is killed when its time is over, with what it has started") {
  const char* const plugin = GENERATE("dies", "dies_blocking");
  const char* const how =
      GENERATE("spin", "lock", "sleep", "sleep without signals", "close all and sleep", "sigstop", "endless flood");
  const char* const where = GENERATE("start", "poll");
  INFO(plugin << ": " << how << " in " << where);
  Scene scene;
  Json entry = victim(way(how, where), 0, plugin);
  entry["stop_timeout"] = "200ms";
  scene.add(entry);
  scene.add(bystander());
  Running running = scene.start();
  running.wait_for("task_started", "victim");
  const auto workers = wait_for_workers(running.process());
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("victim") == "task_started task_stopping task_stopped");
  CHECK_FALSE(has_line(run.log(), {"abandoned"}));
  CHECK(are_gone(workers));
  check_bystander(run);
}

TEST_CASE("a drop that never returns is killed when its time is over") {
  for (const char* const how : {"spin", "sleep without signals", "sigstop"}) {
    INFO(how);
    Scene scene;
    Json entry = victim(way(how, "drop"));
    entry["stop_timeout"] = "200ms";
    scene.add(entry);
    Running running = scene.start();
    running.wait_for("task_started", "victim");
    const auto workers = wait_for_workers(running.process());
    running.send(SIGTERM);
    const Run run = running.finish();
    CHECK(run.status() == 0);
    CHECK(run.events.story("victim") == "task_started task_stopping task_stopped");
    CHECK(are_gone(workers));
  }
}

TEST_CASE("the group of an isolated task dies with it, but not what has left it for a session of its own") {
  const bool is_in_session = GENERATE(false, true);
  Scene scene;
  scene.add(victim(way(is_in_session ? "child in a session" : "child")));
  scene.add(bystander());
  const Run run = scene.run();
  CHECK(run.first("task_exited", "victim").outcome == "crashed");
  const std::vector<std::string> told = lines_with(run.log(), {"[victim] the child is "});
  REQUIRE(told.size() == 1);
  const pid_t child = std::stoi(told[0].substr(told[0].rfind(' ') + 1));
  if (is_in_session) {
    CHECK(is_alive(child));
    ::kill(child, SIGKILL);
  } else {
    CHECK(eventually([&] { return !is_alive(child); }));
  }
  check_bystander(run);
}

TEST_CASE("a host that is killed leaves no worker behind, whatever that is doing") {
  const char* const how =
      GENERATE("none", "spin", "lock", "sleep", "sleep without signals", "sigstop", "setsid", "endless flood",
               "close others", "close all", "threads", "log flood", "only a child");
  INFO(how);
  Scene scene;
  Json entry = victim(way(how), 1000);
  scene.add(entry);
  Json blocking = victim(way(how), 1000, "dies_blocking");
  blocking["name"] = "blocking";
  scene.add(blocking);
  Process host(scene.command());
  const auto workers = wait_for_workers(host, 2);
  if (how == std::string("only a child")) CHECK(workers.size() == 4);
  host.send(SIGKILL);
  CHECK(host.wait().signal == SIGKILL);
  CHECK(are_gone(workers, 2s));
}

TEST_CASE("a host that is killed leaves no program of an isolated exec behind") {
  Scene scene;
  scene.add(task("victim", "exec", "mandatory", {{"argv", {"sh", "-c", "echo $$; timeout 1000 sleep 1000 & wait"}}}));
  scene.manifest["tasks"][0]["isolation"] = "process";
  Process host(scene.command());
  pid_t program = 0;
  REQUIRE(eventually([&] {
    for (const ProcessFacts& one : all_processes()) {
      const std::vector<ProcessFacts> workers = children_of(host.id());
      if (!workers.empty() && one.parent == workers[0].id) program = one.id;
    }
    return program != 0 && children_of(program).size() == 1;
  }));
  const pid_t its_child = children_of(program)[0].id;
  host.send(SIGKILL);
  CHECK(host.wait().signal == SIGKILL);
  CHECK(eventually([&] { return !is_alive(program) && !is_alive(its_child); }));
}

TEST_CASE("a host that is killed with its group by a task of its own leaves no worker behind") {
  Scene scene;
  scene.add(victim({{"how", "kill the host's group"}, {"after", "500ms"}}));
  scene.add(victim(way("sigstop")));
  scene.manifest["tasks"][1]["name"] = "stopped";
  Command command = scene.command();
  command.arguments.insert(command.arguments.begin(), command.program.string());
  command.program = "setsid";
  Process host(command);
  const auto workers = wait_for_workers(host, 2);
  CHECK(host.wait().signal == SIGKILL);
  CHECK(are_gone(workers, 2s));
}

TEST_CASE("a worker that is stuck while it loads ends with the stop, and with its host") {
  const bool is_killed = GENERATE(false, true);
  const char* const how = GENERATE("sleep without signals", "spin", "sigstop");
  INFO(how << (is_killed ? ", killed" : ", stopped"));
  Scene scene;
  Json entry = loads_once();
  entry["stop_timeout"] = "200ms";
  scene.add(entry);
  const std::filesystem::path file = scene.directory() / "loaded";
  Command command = scene.command();
  command.environment.insert(command.environment.end(),
                             {std::string("DIES_WHEN_LOADED=") + how, "DIES_IF_EXISTS=" + file.string()});
  Running running = scene.start(command);
  running.wait_for("task_exited", "victim");
  scene.directory().write("loaded", "");
  running.wait_for("task_started", "victim", 2);
  const auto workers = wait_for_workers(running.process());
  if (is_killed) {
    running.send(SIGKILL);
    CHECK(are_gone(workers, 2s));
    return;
  }
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("victim") ==
        "task_started task_exited task_restarting task_started task_stopping task_stopped");
  CHECK(are_gone(workers));
}

TEST_CASE("operators restart and stop isolated tasks, deaf ones as well") {
  Json deaf = victim(way("spin"), 3);
  deaf["stop_timeout"] = "200ms";
  Json calm = victim(way("none"), 3);
  calm["name"] = "calm";
  OperatedHost host(Json::array({deaf, calm, bystander()}));
  host.running().wait_for("task_started", "victim");
  const auto workers = wait_for_workers(host.running().process(), 2);
  const auto order = [&](const char* verb, const char* name) {
    const ProcessEnd end = host.operate({verb, name});
    INFO(end.summary());
    CHECK(end.status == 0);
  };
  for (const char* const name : {"victim", "calm"}) {
    order("restart", name);
    host.running().wait_for("task_started", name, 2);
  }
  CHECK(are_gone(workers));
  const auto others = wait_for_workers(host.running().process(), 2);
  for (const char* const name : {"victim", "calm"}) {
    order("stop", name);
    host.running().wait_for("task_stopped", name, 2);
  }
  CHECK(are_gone(others));
  order("start", "calm");
  host.running().wait_for("task_started", "calm", 3);
  const Run run = host.stop();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited") == 0);
  check_bystander(run);
}
