// Tasks that are due every so often, in the real program.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

Json every(std::string_view name, std::string_view type, const char* time, Json config = {{"end", "ok"}}) {
  return {{"name", name}, {"plugin", "probe"}, {"type", type}, {"repeat", {{"every", time}}}, {"config", config}};
}

std::vector<double> waits_of(const Run& run, std::string_view task) {
  std::vector<double> waits;
  for (const Event& event : run.events.events()) {
    if (event.name == "task_restarting" && event.task == task) waits.push_back(event.delay_ms.value_or(-1));
  }
  return waits;
}

}  // namespace

TEST_CASE("tasks of all types that end well are due again, and the host goes on until it is stopped") {
  Scene scene;
  for (const char* type : {"mandatory", "detachable", "shutdown_on_exit"}) {
    scene.add(every(type, type, "20ms"));
    Json blocking = every(std::string("blocking ") + type, type, "20ms");
    blocking["plugin"] = "probe_blocking";
    scene.add(blocking);
  }
  Running running = scene.start();
  running.wait_for("task_restarting", "shutdown_on_exit", 5);
  running.wait_for("task_restarting", "blocking detachable", 5);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "signal");
  CHECK(run.first("task_restarting", "mandatory").message == "repeat");
  CHECK(run.first("task_restarting", "mandatory").remaining == 0u);
  for (const double wait : waits_of(run, "mandatory")) CHECK((wait >= 0 && wait <= 20));
  CHECK(has_line(run.log(), {"[mandatory]", "repeating in "}));
}

TEST_CASE("a repeated task that fails stops the host as its type says") {
  Scene scene;
  scene.add(every("job", "shutdown_on_exit", "1h", {{"end", "error"}, {"message", "the disk is full"}}));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.stopping_task() == "job");
}

TEST_CASE("an execution that takes longer than its interval is followed by one at once, and not by a burst") {
  Scene scene;
  scene.add(every("slow", "mandatory", "20ms", {{"run_for", "70ms"}, {"end", "ok"}}));
  Running running = scene.start();
  running.wait_for("task_restarting", "slow", 4);
  running.send(SIGTERM);
  const Run run = running.finish();
  for (const double wait : waits_of(run, "slow")) CHECK(wait == 0);
}

TEST_CASE("times that pass while the process is stopped by SIGSTOP have one execution together") {
  Scene scene;
  scene.add(every("job", "mandatory", "500ms"));
  Running running = scene.start();
  running.wait_for("task_restarting", "job", 1);
  running.send(SIGSTOP);
  std::this_thread::sleep_for(2200ms);
  running.send(SIGCONT);
  running.wait_for("task_restarting", "job", 3);
  running.send(SIGTERM);
  const Run run = running.finish();
  const std::vector<double> waits = waits_of(run, "job");
  REQUIRE(waits.size() >= 3);
  // Four were missed. (One may end in the same millisecond as the next is due.)
  CHECK(std::count(waits.begin(), waits.end(), 0) <= 1);
}

TEST_CASE("a task that is not due for long can be run at once, stopped, and explained by an operator") {
  Scene scene;
  scene.add(every("job", "mandatory", "1h"));
  const std::string socket = (scene.directory() / "host.sock").string();
  const Command host = scene.command({"--control", socket});
  Running running = scene.start(host);
  running.expect_operators();
  running.wait_for("task_restarting", "job");
  const auto told = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--host", socket});
    Command command;
    command.program = host.program;
    command.arguments = std::move(arguments);
    return Process(command).wait();
  };
  const ProcessEnd explained = told({"explain", "job"});
  CHECK(has_line(explained.out, {"ended well", "and is due again in ", "to run it now: taskhost start"}));
  CHECK(told({"status"}).status == 0);
  CHECK(has_line(told({"status", "--json"}).out, {"\"needed_unready\":0"}));
  CHECK(told({"start", "job"}).status == 0);
  running.wait_for("task_started", "job", 2);
  running.wait_for("task_restarting", "job", 2);
  CHECK(told({"stop", "job"}).status == 0);
  CHECK(has_line(told({"explain", "job"}).out, {"an operator stopped it"}));
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("check --explain prints the next five times of a schedule") {
  Scene scene;
  scene.add({{"name", "nightly"},
             {"plugin", "probe"},
             {"type", "mandatory"},
             {"repeat", {{"schedule", "30 3 * * *"}, {"time_zone", "Asia/Kolkata"}}}});
  scene.command();
  const ProcessEnd end =
      run_program({"check", "--explain", "--plugin-dir", plugin_directory().string(), scene.manifest_path().string()});
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(has_line(end.out, {"when it ends well: it runs again when it is due, which is not charged"}));
  CHECK(has_line(end.out, {"it is due by \"30 3 * * *\" in Asia/Kolkata"}));
  const std::string time = " 03:30:00 +05:30";
  std::size_t count = 0;
  for (auto at = end.out.find(time); at != std::string::npos; at = end.out.find(time, at + 1)) ++count;
  CHECK(count == 5);
}
