// Tasks in processes of their own behave as in the host's.
#include <sys/resource.h>

#include <csignal>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "isolation_scene.hpp"
#include "operated_host.hpp"

using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

Json isolated_entry(Json entry) {
  entry["isolation"] = "process";
  return entry;
}

Run run_config(const Json& config, const std::string& level = "info", std::string_view plugin = "dies") {
  Scene scene;
  scene.add(victim(config, 0, plugin));
  scene.add(bystander());
  return scene.run({"--log-level", level});
}

// What the log says of the victim, without dates, times and levels.
std::vector<std::string> lines_of_victim(const Run& run) {
  std::vector<std::string> lines;
  for (const std::string& line : lines_with(run.log(), {" [victim] "})) {
    lines.push_back(line.substr(line.find("[victim] ") + 9));
  }
  return lines;
}

}  // namespace

TEST_CASE("an isolated task runs in a process of its own, one for each execution") {
  Scene scene;
  scene.add(victim({{"how", "none"}, {"after", "200ms"}, {"end", "error"}}, 1));
  Running running = scene.start();
  running.wait_for("task_started", "victim");
  pid_t first = 0;
  CHECK(eventually([&] {
    const auto children = children_of(running.process().id());
    if (children.size() == 1) first = children[0].id;
    return first != 0;
  }));
  CHECK(first != 0);
  const Run run = running.finish();
  CHECK(run.status() == 1);
  CHECK(run.events.story("victim") == "task_started task_exited task_restarting task_started task_exited task_gave_up");
  CHECK(run.first("task_exited").outcome == "error");
  CHECK(run.first("task_exited").message == "it survived");
  CHECK_FALSE(is_alive(first));
}

TEST_CASE("an isolated task that goes on is stopped as any other, and so is one that ends well") {
  Scene scene;
  scene.add(victim(way("none")));
  scene.add(isolated_entry(task("job", "dies", "detachable", {{"how", "none"}, {"end", "ok"}})));
  scene.manifest["tasks"][1]["task"] = "dies";
  Running running = scene.start();
  running.wait_for("task_exited", "job");
  running.wait_for("task_started", "victim");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("victim") == "task_started task_stopping task_stopped");
  CHECK(run.first("task_exited", "job").outcome == "ok");
  CHECK(run.first("task_exited", "job").message.empty());
}

TEST_CASE("an isolated task logs at all levels") {
  Json config = way("log levels");
  config["end"] = "error";
  for (const char* const plugin : {"dies", "dies_blocking"}) {
    const Run run = run_config(config, "trace", plugin);
    CHECK(has_line(run.log(), {" trace ", "[victim] level 0"}));
    CHECK(has_line(run.log(), {" debug ", "[victim] level 1"}));
    CHECK(has_line(run.log(), {" info ", "[victim] level 2"}));
    CHECK(has_line(run.log(), {" warning ", "[victim] level 3"}));
    CHECK(has_line(run.log(), {" error ", "[victim] level 4"}));
  }
  const Run run = run_config(config, "warning");
  CHECK_FALSE(has_line(run.log(), {"level 2"}));
  CHECK(has_line(run.log(), {"level 3"}));
}

TEST_CASE("what an isolated task prints is in the log line by line, also what has no end") {
  Json config = way("part of a line");
  config["end"] = "error";
  const Run parts = run_config(config);
  for (const char* const line : {"one", "two", "three"})
    CHECK(has_line(parts.log(), {std::string("[victim] ") + line}));
  CHECK(has_line(run_config(way("buffered line at exit")).log(), {"[victim] still in the buffer"}));

  config = way("binary");
  config["end"] = "error";
  CHECK(has_line(run_config(config).log(), {R"([victim] a\xff\u0000b\u001b[31m\xc3)"}));
  config = way("long line");
  config["end"] = "error";
  const std::vector<std::string> cut = lines_with(run_config(config).log(), {"xxxxxxxxxx (cut)"});
  REQUIRE(cut.size() == 1);
  CHECK(cut[0].size() < 4200);
}

TEST_CASE("of a hundred thousand lines that an isolated task prints or logs each is in the log, or counted") {
  const char* const how = GENERATE("flood", "log flood");
  INFO(how);
  Json config = way(how);
  config["end"] = "error";
  const Run run = run_config(config);
  std::size_t count = 0;
  std::uint64_t dropped = 0;
  std::uint64_t last = 0;
  bool are_in_order = true;
  for (const std::string& line : lines_of_victim(run)) {
    if (!line.starts_with("line ")) continue;
    const std::uint64_t number = std::stoull(line.substr(5));
    are_in_order = are_in_order && number > last;
    last = number;
    ++count;
  }
  for (const std::string& line : lines_with(run.log(), {" dropped here: "})) {
    const std::size_t end = line.find(" line");
    dropped += std::stoull(line.substr(line.rfind(' ', end - 1) + 1));
  }
  CHECK(are_in_order);
  CHECK(count + dropped == 100'000);
  CHECK(run.first("task_exited", "victim").message == "it survived");
  check_bystander(run);
}

TEST_CASE("what an isolated task changes in its process concerns nobody, and it is stopped all the same") {
  const char* const how = GENERATE("signals", "setsid", "threads", "close stdout", "only a child in a session");
  INFO(how);
  Scene scene;
  scene.add(victim(way(how)));
  scene.add(bystander());
  Running running = scene.start();
  running.wait_for("task_started", "victim");
  std::this_thread::sleep_for(200ms);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("victim") == "task_started task_stopping task_stopped");
  check_bystander(run);
  end_its_children(run);
}

TEST_CASE("a task that is after an isolated one waits until that has started, or is ready") {
  Scene scene;
  scene.add(victim(way("sleep", "start")));
  scene.manifest["tasks"][0]["stop_timeout"] = "100ms";
  Json late = task("late", "probe", "detachable", idle_probe());
  late["after"] = {"victim"};
  scene.add(late);
  Json next = isolated_entry(late);
  next["name"] = "next";
  next["after"] = {"notifies"};
  Json notifies = isolated_entry(task("notifies", "probe", "mandatory", {{"run_for", "1h"}, {"ready_after", "300ms"}}));
  notifies["ready"] = "notify";
  Json napping = victim(way("nap", "start"));
  napping["name"] = "napping";
  scene.add(napping);
  Json third = late;
  third["name"] = "third";
  third["after"] = {"napping"};
  scene.add(third);
  scene.add(notifies);
  scene.add(next);
  Running running = scene.start();
  running.wait_for("task_started", "next");
  running.wait_for("task_started", "third");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_started", "late") == 0);
  CHECK(seq_of(run, "task_ready", "notifies") < seq_of(run, "task_started", "next"));
}

TEST_CASE("the watchdog of an isolated task hears its heartbeats, and its silence") {
  for (const char* const plugin : {"probe", "probe_blocking"}) {
    INFO(plugin);
    Scene scene;
    Json entry = isolated_entry(task("victim", plugin, "mandatory", {{"heartbeat", "20ms"}, {"silent_after", "1s"}}));
    entry["watchdog"] = {{"interval", "500ms"}, {"action", "restart"}};
    scene.add(entry);
    const Run run = scene.run();
    CHECK(run.status() == 1);
    const Event exit = run.first("task_exited", "victim");
    CHECK(exit.outcome == "error");
    CHECK(exit.message.find("heartbeat") != std::string::npos);
    CHECK(exit.uptime_ms.value_or(0) >= 1000);
  }
}

TEST_CASE("what an isolated task has said last is heard, whatever it has not yet heard itself") {
  Scene scene;
  Json entry = isolated_entry(task("victim", "probe", "detachable", {{"heartbeat", "1ms"}, {"run_for", "5ms"}}, 200));
  entry["config"]["end"] = "error";
  entry["config"]["message"] = "the last word";
  entry["watchdog"] = {{"interval", "20s"}};
  scene.add(entry);
  scene.add(isolated_entry(bystander("mandatory")));
  Running running = scene.start();
  running.wait_for("task_discarded", "victim");
  running.send(SIGTERM);
  const Run run = running.finish();
  std::size_t count = 0;
  for (const Event& event : run.events.events()) {
    if (event.name == "task_exited" && event.outcome == "error" && event.message == "the last word") ++count;
  }
  CHECK(count == 201);
}

TEST_CASE("a start_timeout ends an isolated task that does not become ready, and one that is stuck in its start") {
  Scene scene;
  Json stuck = victim(way("spin", "start"));
  const Json unready = isolated_entry(task("victim", "probe", "mandatory", idle_probe()));
  Json entry = GENERATE_COPY(stuck, unready);
  entry["ready"] = "notify";
  entry["start_timeout"] = "300ms";
  entry["stop_timeout"] = "200ms";
  scene.add(entry);
  scene.add(bystander());
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.events.story("victim") == "task_started task_stopping task_exited task_gave_up");
  check_bystander(run);
}

TEST_CASE("a write to a closed pipe fails in a worker as it does in the host's process") {
  Scene scene;
  Json config = way("closed pipe");
  config["end"] = "ok";
  scene.add(victim(config));
  scene.manifest["tasks"][0]["type"] = "detachable";
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"[victim] a write to a closed pipe returned -1"}));
}

TEST_CASE("limits hold in a worker and in what it starts, and neither gets new rights") {
  if (sanitized) return;  // they need more memory
  Scene scene;
  const char* const code = "ulimit -n; ulimit -d; grep -e NoNewPrivs /proc/self/status; grep core /proc/self/limits";
  Json entry = isolated_entry(task("job", "exec", "detachable", {{"argv", {"sh", "-c", code}}}));
  entry["limits"] = {{"memory", "256MiB"}, {"open_files", 100}, {"core_dump", false}};
  scene.add(entry);
  const Run run = scene.run();
  CHECK(run.status() == 0);
  for (const char* const line : {"[job] 100", "[job] 262144", "[job] NoNewPrivs: 1"}) {
    CHECK(has_line(run.log(), {line}));
  }
  // 0 would not keep a core_pattern that is a program from dumping.
  const std::vector<std::string> core = lines_with(run.log(), {"[job] Max core file size"});
  REQUIRE(core.size() == 1);
  std::istringstream words(core[0].substr(core[0].find("size") + 4));
  std::string soft;
  std::string hard;
  words >> soft >> hard;
  rlimit own{};
  ::getrlimit(RLIMIT_CORE, &own);
  CHECK(soft == (own.rlim_max == 0 ? "0" : "1"));
  CHECK(hard == soft);
}

TEST_CASE("an isolated task hears signals") {
  Scene scene;
  scene.add(isolated_entry(task("ctrl_c", "ctrl_c", "shutdown_on_exit")));
  scene.add(bystander());
  Running running = scene.start();
  running.wait_for("task_ready", "ctrl_c");
  running.send(SIGINT);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "task_exit");
  CHECK(run.stopping_task() == "ctrl_c");
  check_bystander(run);
}

TEST_CASE("an isolated task knows the manifest's directory, and its number") {
  if (sanitized) return;  // sanitizers print their own report
  Scene scene;
  scene.add(victim(way("segv"), 1));
  scene.add(victim({{"how", "directory"}, {"end", "ok"}}));
  scene.manifest["tasks"][1]["name"] = "elsewhere";
  for (Json& entry : scene.manifest["tasks"]) entry["type"] = "detachable";
  scene.add(bystander("mandatory"));
  Running running = scene.start(without_core_dumps(scene.command()));
  running.wait_for("task_discarded", "victim");
  running.wait_for("task_exited", "elsewhere");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(has_line(run.log(), {"[elsewhere] " + scene.directory().path().string()}));
  CHECK(has_line(run.log(), {"in the poll of task 'victim', execution 1"}));
  CHECK(has_line(run.log(), {"in the poll of task 'victim', execution 2"}));
}

TEST_CASE("the status of an isolated task shows what it says that it is doing") {
  OperatedHost host(Json::array({victim(way("status"))}));
  CHECK(eventually([&] { return host.json_of({"status"}).dump().find("half way") != std::string::npos; }));
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a host that is stopped for a while goes on with its isolated tasks") {
  Scene scene;
  scene.add(victim(way("threads")));
  Json pulse = isolated_entry(bystander());
  pulse["name"] = "pulse";
  scene.add(pulse);
  scene.add(bystander());
  Running running = scene.start();
  running.wait_for("task_started", "victim");
  std::this_thread::sleep_for(200ms);
  running.send(SIGSTOP);
  std::this_thread::sleep_for(1500ms);
  running.send(SIGCONT);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited") == 0);
  CHECK(run.events.story("pulse") == "task_started task_stopping task_stopped");
}
