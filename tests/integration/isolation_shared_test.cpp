// Tasks that share a process: each lives and ends as it would alone, and the process ends them all.
#include <algorithm>
#include <csignal>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "isolation_scene.hpp"
#include "operated_host.hpp"

using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

// In the process "p".
Json sharer(const std::string& name, const Json& config, unsigned restarts = 0, std::string_view plugin = "dies") {
  Json entry = victim(config, restarts, plugin);
  entry["name"] = name;
  entry["process"] = "p";
  return entry;
}

Json after(Json config, const char* time) {
  config["after"] = time;
  return config;
}

// It runs in a loop: some of its time is counted.
bool has_run(pid_t process) {
  const std::string text = stat_of(process);
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  for (int i = 3; i <= 14 && fields >> field; ++i) continue;  // its time in user mode
  return fields && std::stol(field) >= 5;
}

// The process of all these, once it is there, and not the one before: an answer may be a tenth of a second old.
pid_t worker_of(OperatedHost& host, const std::vector<std::string>& tasks, pid_t before = 0) {
  pid_t id = 0;
  CHECK(eventually([&] {
    std::set<pid_t> all;
    const Json status = host.json_of({"status"});
    for (const Json& one : status["tasks"]) {
      if (std::find(tasks.begin(), tasks.end(), one["name"]) == tasks.end()) continue;
      all.insert(one.contains("pid") && one["pid"].is_number() ? one["pid"].get<pid_t>() : 0);
    }
    id = all.empty() ? 0 : *all.begin();
    return all.size() == 1 && id != 0 && id != before;
  }));
  return id;
}

void order(OperatedHost& host, const char* verb, const char* name) {
  const ProcessEnd end = host.operate({verb, name});
  INFO(end.summary());
  CHECK(end.status == 0);
}

}  // namespace

TEST_CASE("tasks that share a process are in one, and each is stopped, started and restarted alone") {
  OperatedHost host(Json::array({sharer("a", way("none"), 3), sharer("b", way("none"), 3, "dies_blocking"),
                                 sharer("probe", {{"run_for", "1h"}}, 0, "probe"), bystander()}));
  for (const char* const name : {"a", "b", "probe"}) host.running().wait_for("task_started", name);
  const pid_t worker = worker_of(host, {"a", "b", "probe"});
  order(host, "restart", "a");
  host.running().wait_for("task_started", "a", 2);
  order(host, "stop", "b");
  host.running().wait_for("task_stopped", "b");
  order(host, "start", "b");
  host.running().wait_for("task_started", "b", 2);
  order(host, "stop", "probe");
  host.running().wait_for("task_stopped", "probe");
  CHECK(worker_of(host, {"a", "b"}) == worker);
  const Run run = host.stop();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited") == 0);
  CHECK(eventually([&] { return !is_alive(worker); }));  // it was killed, which takes a moment
  check_bystander(run);
}

TEST_CASE("a task that shares a process may end well or badly, and the others go on") {
  Scene scene;
  scene.add(sharer("done", {{"how", "none"}, {"end", "ok"}}));
  scene.manifest["tasks"][0]["type"] = "detachable";
  scene.add(sharer("failing", {{"how", "none"}, {"end", "error"}}, 2));
  scene.manifest["tasks"][1]["type"] = "detachable";
  scene.add(sharer("staying", way("none")));
  Running running = scene.start();
  running.wait_for("task_started", "staying");
  running.wait_for("task_exited", "done");
  running.wait_for("task_discarded", "failing");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.first("task_exited", "done").outcome == "ok");
  CHECK(run.first("task_exited", "failing").outcome == "error");
  CHECK(run.first("task_exited", "failing").message == "it survived");
  CHECK(run.events.count("task_exited", "failing") == 3);
  CHECK(run.events.story("staying") == "task_started task_stopping task_stopped");
}

TEST_CASE("the end of a shared process is a crash of each task in it, and they start again in one") {
  if (sanitized) return;  // sanitizers print their own report
  Scene scene;
  scene.add(sharer("culprit", after(way("segv"), "100ms"), 1));
  scene.add(sharer("other", way("none"), 5));
  scene.add(bystander());
  Running running(scene.start(without_core_dumps(scene.command())));
  running.wait_for("task_gave_up", "culprit");
  const Run run = running.finish();
  CHECK(run.status() == 1);
  for (const char* const name : {"culprit", "other"}) {
    const Event exit = run.first("task_exited", name);
    INFO(name << ": " << exit.message);
    CHECK(exit.outcome == "crashed");
    CHECK(exit.message.find("killed by SIGSEGV") != std::string::npos);
    CHECK(exit.message.find("task 'culprit'") != std::string::npos);
  }
  CHECK(run.events.count("task_exited", "other") >= 1);
  CHECK(run.events.count("task_exited", "culprit") == 2);
  check_bystander(run);
}

TEST_CASE("a task that does not stop in time takes its shared process along, and the others hear for whom") {
  Json deaf = sharer("deaf", way("spin"), 3);
  deaf["stop_timeout"] = "200ms";
  OperatedHost host(Json::array({deaf, sharer("other", way("none"), 3), bystander()}));
  host.running().wait_for("task_started", "deaf");
  host.running().wait_for("task_started", "other");
  const pid_t worker = worker_of(host, {"deaf", "other"});
  REQUIRE(eventually([&] { return has_run(worker); }));
  order(host, "restart", "deaf");
  host.running().wait_for("task_started", "deaf", 2);
  host.running().wait_for("task_started", "other", 2);
  worker_of(host, {"deaf", "other"}, worker);
  CHECK_FALSE(is_alive(worker));
  const Run run = host.stop();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited", "deaf") == 0);
  const Event exit = run.first("task_exited", "other");
  CHECK(exit.outcome == "crashed");
  CHECK(exit.message == "its process was killed because of task 'deaf', which shares it and did not end in time");
  check_bystander(run);
}

TEST_CASE("a shared process ends with the last task in it, and the next one begins another") {
  OperatedHost host(Json::array({sharer("a", way("none")), sharer("b", way("none")), bystander()}));
  host.running().wait_for("task_started", "a");
  host.running().wait_for("task_started", "b");
  const pid_t worker = worker_of(host, {"a", "b"});
  order(host, "stop", "a");
  CHECK(is_alive(worker));
  order(host, "stop", "b");
  CHECK(eventually([&] { return !is_alive(worker); }));
  order(host, "start", "b");
  host.running().wait_for("task_started", "b", 2);
  worker_of(host, {"b"}, worker);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("what a shared process prints is in the log, whoever of its tasks ends") {
  Scene scene;
  scene.add(sharer("first", {{"how", "none"}, {"after", "50ms"}, {"end", "ok"}}));
  scene.manifest["tasks"][0]["type"] = "detachable";
  Json config = after(way("flood"), "300ms");
  config["end"] = "error";
  scene.add(sharer("second", config));
  const Run run = scene.run();
  const std::size_t count = lines_with(run.log(), {"] line "}).size();
  std::uint64_t dropped = 0;
  for (const std::string& line : lines_with(run.log(), {" dropped here: "})) {
    const std::size_t end = line.find(" line");
    dropped += std::stoull(line.substr(line.rfind(' ', end - 1) + 1));
  }
  CHECK(count + dropped == 100'000);
  CHECK(run.first("task_exited", "second").message == "it survived");
}

TEST_CASE("fifty tasks that share a process start, crash and stop together") {
  constexpr unsigned many = 50;
  std::vector<std::string> names;
  Json tasks = Json::array({bystander()});
  for (unsigned i = 0; i < many; ++i) {
    names.push_back("task " + std::to_string(i));
    tasks.push_back(sharer(names.back(), way("none"), 1));
  }
  OperatedHost host(tasks);
  const pid_t worker = worker_of(host, names);
  ::kill(worker, SIGABRT);
  for (const std::string& name : names) host.running().wait_for("task_started", name, 2);
  const pid_t second = worker_of(host, names, worker);
  const Run run = host.stop();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited") == many);
  CHECK(eventually([&] { return !is_alive(second); }));  // it was killed, which takes a moment
  check_bystander(run);
}

TEST_CASE("a task that joins a process without a free descriptor fails alone, and is told why") {
  if (sanitized) return;  // they need a descriptor to look at an exception
  Json holder = sharer("holder", after(way("hold descriptors"), "500ms"), 0, "dies_blocking");
  holder["stop_timeout"] = "100ms";
  Json late = sharer("late", way("none"));
  late["type"] = "detachable";
  OperatedHost host(Json::array({holder, late, bystander()}));
  const pid_t worker = worker_of(host, {"holder", "late"});
  order(host, "stop", "late");
  REQUIRE(eventually([&] {
    return !lines_with(host.operate({"logs", "holder"}).out, {"has all descriptors"}).empty();
  }));
  CHECK(host.operate({"start", "late"}).status == 1);
  CHECK(worker_of(host, {"holder"}) == worker);
  const Run run = host.stop();
  const Event exit = run.first("task_exited", "late");
  CHECK(exit.outcome == "error");
  INFO(exit.message);
  CHECK(exit.message.find("Too many open files") != std::string::npos);
  check_bystander(run);
}

TEST_CASE("none of those that share a process gets new rights") {
  Scene scene;
  for (const char* const name : {"a", "b", "c"}) {
    Json entry = task(name, "exec", "detachable", {{"argv", {"grep", "NoNewPrivs", "/proc/self/status"}}});
    entry["isolation"] = "process";
    entry["process"] = "p";
    scene.add(entry);
  }
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(lines_with(run.log(), {"NoNewPrivs:"}).size() == 3);
  for (const char* const name : {"[a] ", "[b] ", "[c] "}) CHECK(has_line(run.log(), {name, "NoNewPrivs: 1"}));
}

TEST_CASE("the programs of exec in a shared process end with it, however that ends, and start again in the next one") {
  const char* const how =
      GENERATE("segv", "abort", "exit 3", "quick_exit 0", "stack", "_exit 3", "sigterm", "sigkill", "spin");
  INFO(how);
  if (sanitized && (how == std::string("segv") || how == std::string("stack"))) return;  // which sanitizers report
  const bool is_deaf = how == std::string("spin");
  Json culprit = sharer("culprit", after(way(how), "500ms"), 1);
  culprit["type"] = "detachable";
  culprit["stop_timeout"] = "100ms";
  Json program =
      task("program", "exec", "mandatory", {{"argv", {"sh", "-c", "echo I am $$; timeout 1000 sleep 1000 & wait"}}});
  program["restarts"] = 9;
  for (const auto& [field, value] : {std::pair("isolation", "process"), std::pair("process", "p")}) {
    program[field] = value;
  }
  OperatedHost host(Json::array({culprit, program, bystander()}));
  host.running().wait_for("task_started", "program");
  const pid_t worker = worker_of(host, {"culprit", "program"});
  pid_t first = 0;
  pid_t its_child = 0;
  REQUIRE(eventually([&] {
    const std::vector<ProcessFacts> programs = children_of(worker);
    if (programs.size() != 1) return false;
    first = programs[0].id;
    const std::vector<ProcessFacts> children = children_of(first);
    if (!children.empty()) its_child = children[0].id;
    return its_child != 0;
  }));
  if (is_deaf) {
    REQUIRE(eventually([&] { return has_run(worker); }));
    order(host, "stop", "culprit");
  }
  host.running().wait_for("task_started", "program", 2);
  CHECK(eventually([&] { return !is_alive(first) && !is_alive(its_child); }));
  const Run run = host.stop();
  CHECK(run.status() == 0);
  CHECK(run.first("task_exited", "program").outcome == "crashed");
  check_bystander(run);
}

TEST_CASE("a host that is killed leaves no shared process behind") {
  OperatedHost host(Json::array({sharer("a", way("spin")), sharer("b", way("none"))}));
  const pid_t worker = worker_of(host, {"a", "b"});
  host.running().send(SIGKILL);
  CHECK(eventually([&] { return !is_alive(worker); }));
}

TEST_CASE("a signal that the host gets comes to each task of a shared process that asks for it") {
  Scene scene;
  for (const char* const name : {"a", "b"}) {
    Json entry = task(name, "ctrl_c", "detachable");
    entry["isolation"] = "process";
    entry["process"] = "p";
    scene.add(entry);
  }
  Running running = scene.start();
  for (const char* const name : {"a", "b"}) running.wait_for("task_ready", name);
  running.send(SIGINT);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  for (const char* const name : {"a", "b"}) CHECK(run.events.story(name) == "task_started task_exited task_discarded");
}

TEST_CASE("tasks that share a process must have the same limits and the same user") {
  Scene scene;
  Json small = sharer("small", way("none"));
  small["limits"] = {{"memory", "128MiB"}};
  scene.add(sharer("large", way("none")));
  scene.add(small);
  const ProcessEnd end = check_manifest(scene);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"/tasks/1/process", R"(than task "large", which shares the process; give both the same)"}));
}

TEST_CASE("at most two hundred tasks share a process") {
  Scene scene;
  for (int number = 0; number < 202; ++number) scene.add(sharer("task " + std::to_string(number), way("none")));
  const ProcessEnd end = check_manifest(scene);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"/tasks/200/process", "200 tasks share this process already"}));
  CHECK_FALSE(has_line(end.err, {"/tasks/201/process"}));
}

TEST_CASE(
    "a stream that a neighbour holds, and work that goes on, do not hold up the end of a task in a shared process") {
  const char* const how = GENERATE("holds a stream", "works on");
  INFO(how);
  Scene scene;
  Json quick = sharer("quick", {{"how", how}, {"end", "ok"}});
  quick["type"] = "detachable";
  scene.add(quick);
  scene.add(sharer("other", way("none")));
  Running running = scene.start();
  running.wait_for("task_started", "other");
  running.wait_for("task_exited", "quick");
  std::this_thread::sleep_for(1500ms);  // longer than the patience with a worker whose execution is over
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.first("task_exited", "quick").outcome == "ok");
  CHECK(run.events.story("other") == "task_started task_stopping task_stopped");
}
