// Tasks in Go, in the program: the table task type × outcome, the stop, restarts, signals, and two Go runtimes.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Json go_task(std::string_view factory, std::string_view type, unsigned restarts = 0, Json config = nullptr) {
  Json entry = task(factory, TASKHOST_TEST_GO_PROBE, type, std::move(config), restarts);
  entry["task"] = factory;
  return entry;
}

Json end_with(std::string_view end) { return {{"end", end}, {"message", "the pump is dry"}}; }

struct Ending {
  std::string end;
  std::string outcome;
  std::string message;  // the beginning of its message
};
const std::vector<Ending> endings{
    {"ok", "ok", ""},
    {"error", "error", "the pump is dry"},
    {"panic", "panic", "the pump is dry (probe.go:"},
    {"nil", "panic", "followed nil (probe.go:"},
    {"goexit", "error", "its goroutine was ended by runtime.Goexit"},
};

Run run_one(const Ending& ending, std::string_view type, unsigned restarts) {
  Scene scene;
  scene.add(go_task("probe", type, restarts, end_with(ending.end)));
  const Run run = scene.run();
  for (const Event& event : run.events.events()) {
    if (event.name != "task_exited") continue;
    CHECK(event.outcome == ending.outcome);
    CHECK(event.message.find(ending.message) == 0);
  }
  return run;
}

std::string story_of_exhaustion(unsigned restarts) {
  std::string story;
  for (unsigned restart = 0; restart < restarts; ++restart) story += "task_started task_exited task_restarting ";
  return story + "task_started task_exited task_gave_up";
}

// The number after these words in the log.
long logged_number(const Run& run, const std::string& words) {
  const std::size_t at = run.log().find(words);
  REQUIRE(at != std::string::npos);
  return std::strtol(run.log().c_str() + at + words.size(), nullptr, 10);
}

}  // namespace

TEST_CASE("a shutdown_on_exit task in Go stops the host, with success if it ended well") {
  for (const Ending& ending : endings) {
    INFO(ending.end);
    const Run run = run_one(ending, "shutdown_on_exit", 0);
    CHECK(run.status() == (ending.end == "ok" ? 0 : 1));
    CHECK(run.stopping_reason() == "task_exit");
    CHECK(run.events.story("probe") == "task_started task_exited");
  }
}

TEST_CASE("a mandatory task in Go is started 1 + budget times, however it ends") {
  for (const Ending& ending : endings) {
    INFO(ending.end);
    const Run run = run_one(ending, "mandatory", 2);
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "budget_exhausted");
    CHECK(run.events.story("probe") == story_of_exhaustion(2));
  }
}

TEST_CASE("a detachable task in Go is started 1 + budget times unless it ends well") {
  for (const Ending& ending : endings) {
    INFO(ending.end);
    const Run run = run_one(ending, "detachable", 2);
    CHECK(run.status() == (ending.end == "ok" ? 0 : 1));
    CHECK(run.stopping_reason() == "all_done");
    const std::string story = ending.end == "ok" ? "task_started task_exited" : story_of_exhaustion(2);
    CHECK(run.events.story("probe") == story + " task_discarded");
  }
}

TEST_CASE("a Go task's config is checked before anything starts, in the host's words") {
  Scene scene;
  const std::vector<std::pair<Json, std::string>> wrong{
      {{{"ned", "ok"}}, "unknown key \"ned\"; did you mean \"end\"?"},
      {{{"after", 5}}, "must be a duration such as \"250ms\", \"10s\" or \"1.5h\""},
      {{{"message", true}}, "must be a string"}};
  for (std::size_t index = 0; index < wrong.size(); ++index) {
    Json entry = go_task("probe", "detachable", 0, wrong[index].first);
    entry["name"] = "probe" + std::to_string(index);
    scene.add(entry);
  }
  Json storm = go_task("storm", "detachable");
  scene.add(storm);
  const Run run = scene.run();
  for (std::size_t index = 0; index < wrong.size(); ++index) {
    CHECK(has_line(run.log(), {"/tasks/" + std::to_string(index) + "/config", wrong[index].second}));
  }
  CHECK(has_line(run.log(), {"/tasks/3/config", "is missing"}));
  CHECK(run.status() == 2);
  CHECK(run.events.count("task_started") == 0);
}

TEST_CASE("a Go task knows its name, its number and its config") {
  Scene scene;
  Json entry = go_task("echo", "mandatory", 1, {{"pins", {1, 2}}});
  entry["name"] = "gruß";
  scene.add(entry);
  const Run run = scene.run();
  CHECK(has_line(run.log(), {"gruß, execution 1, has {\"pins\":[1,2]}"}));
  CHECK(has_line(run.log(), {"gruß, execution 2, has {\"pins\":[1,2]}"}));
}

TEST_CASE("the error of a Go task is cut at 4096 bytes") {
  Scene scene;
  scene.add(go_task("probe", "detachable", 0, end_with("long")));
  const Run run = scene.run();
  CHECK(run.first("task_exited").message.size() <= 4096);
  CHECK(run.first("task_exited").message.size() > 4000);
}

TEST_CASE("a signal stops the host with Go tasks in it, and their contexts are cancelled in time") {
  for (const int signal : {SIGTERM, SIGINT}) {
    Scene scene;
    scene.add(go_task("idle", "mandatory"));
    Running running = scene.start();
    running.wait_for("task_ready", "idle");
    running.send(signal);
    const Run run = running.finish();
    CHECK(run.status() == 0);
    CHECK(run.stopping_reason() == "signal");
    CHECK(run.events.count("task_stopped") == 1);
    CHECK(has_line(run.log(), {"idle was cancelled"}));
  }
}

TEST_CASE("a second signal ends the program at once, with a Go task that does not mind the first") {
  Scene scene;
  scene.add(go_task("deaf", "mandatory"));
  Running running = scene.start();
  running.wait_for("task_ready", "deaf");
  running.expect_cut_short();
  running.send(SIGTERM);
  running.wait_for("host_stopping");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // earlier, it could count as the same one
  running.send(SIGINT);
  CHECK(running.finish().status() == 4);
}

TEST_CASE("signals as a service work beside a Go task, and SIGHUP does not end the host") {
  Scene scene;
  scene.add(go_task("idle", "mandatory"));
  SECTION("a task that subscribes to SIGINT gets it") {
    scene.add(task("ctrl_c", "ctrl_c", "shutdown_on_exit"));
    Running running = scene.start();
    running.wait_for("task_ready", "idle");
    running.wait_for("task_ready", "ctrl_c");
    running.send(SIGINT);
    const Run run = running.finish();
    CHECK(run.status() == 0);
    CHECK(run.stopping_reason() == "task_exit");
    CHECK(run.stopping_task() == "ctrl_c");
  }
  SECTION("SIGHUP is kept for reloading") {
    Running running = scene.start();
    running.wait_for("task_ready", "idle");
    running.send(SIGHUP);
    CHECK(running.process().wait_for_err("is kept for reloading"));
    running.send(SIGTERM);
    CHECK(running.finish().status() == 0);
  }
}

TEST_CASE("a Go task that does not end is dropped after its stop_timeout, and what it calls then does nothing") {
  Scene scene;
  scene.add(go_task("deaf", "mandatory"));
  scene.manifest["tasks"][0]["stop_timeout"] = "50ms";
  scene.add(go_task("late", "mandatory"));
  Running running = scene.start();
  running.wait_for("task_ready", "deaf");
  running.wait_for("task_ready", "late");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"warning", "deaf"}));
  CHECK(run.end.out.find("deaf was told: taskhost: the execution has ended") != std::string::npos);
  CHECK(run.log().find("nobody hears that") == std::string::npos);
}

TEST_CASE("a thousand Go executions at once need no thousand threads, and stop in time") {
  Scene scene;
  for (int number = 0; number < 1'000; ++number) {
    Json entry = go_task("idle", "detachable");
    entry["name"] = "task" + std::to_string(number);
    scene.add(entry);
  }
  Running running = scene.start();
  running.wait_for("task_ready", "", 1'000);
  const auto threads = std::filesystem::directory_iterator("/proc/" + std::to_string(running.process().id()) + "/task");
  CHECK(std::distance(begin(threads), end(threads)) < 50);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stopped") == 1'000);
}

TEST_CASE("a storm of restarts leaves no goroutines behind, and no memory") {
  constexpr unsigned restarts = 20'000;
  Scene scene;
  scene.add(go_task("storm", "detachable", restarts, {{"last", restarts + 1}}));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_restarting") == restarts);
  CHECK(logged_number(run, "goroutines: ") < 10);
  CHECK(logged_number(run, "megabytes: ") < 10);
}

TEST_CASE("busy goroutines hold up no thread of the host, whatever else starts and stops") {
  Scene scene;
  for (int number = 0; number < 8; ++number) {
    Json entry = go_task("busy", "mandatory");
    entry["name"] = "busy" + std::to_string(number);
    scene.add(entry);
  }
  scene.add(go_task("probe", "detachable", 5, {{"end", "error"}, {"after", "50ms"}}));
  Running running = scene.start();
  running.wait_for("task_ready", "", 8);
  running.wait_for("task_restarting", "probe", 5);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stalled") == 0);
}

TEST_CASE("a Go task that prints to a pipe that nobody reads gets an error, and the host goes on") {
  Scene scene;
  scene.add(go_task("prints", "shutdown_on_exit"));
  Command command = scene.command();
  command.out = Wiring::broken_pipe;
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"printing gave", "broken pipe"}));
}

// The SDK lets Go ignore SIGPIPE; without it the host's handler is called on the threads that run goroutines.
TEST_CASE("goroutines that write to a pipe that nobody reads leave the host alive, without the SDK too") {
  Scene scene;
  scene.add(task("plain", TASKHOST_TEST_GO_PLAIN, "shutdown_on_exit"));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.story("plain") == "task_started task_exited");
}

TEST_CASE("two Go libraries in one process work beside each other, panics and busy goroutines included") {
  Scene scene;
  const std::string second = scene.directory() / "second.so";
  std::filesystem::copy_file(TASKHOST_TEST_GO_PROBE, second);
  for (int number = 0; number < 8; ++number) {
    for (const char* factory : {"probe", "busy", "idle"}) {
      Json config = {{"end", "nil"}, {"after", "1ms"}};
      Json entry = go_task(factory, "detachable", 20, factory == std::string_view("probe") ? config : Json(nullptr));
      entry["name"] = factory + std::to_string(number);
      if (number % 2 != 0) entry["plugin"] = second;
      scene.add(entry);
    }
  }
  Running running = scene.start();
  running.wait_for("task_ready", "", 16);
  running.wait_for("task_gave_up", "", 8);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited") == 8 * 21);
  CHECK(run.events.count("task_stopped") == 16);
  for (const Event& event : run.events.events()) {
    if (event.name == "task_exited") CHECK(event.message.find("followed nil (probe.go:") != std::string::npos);
  }
}

TEST_CASE("inspect lists the tasks of a Go library, and says that it stays loaded") {
  const ProcessEnd end = run_program({"inspect", TASKHOST_TEST_GO_PROBE});
  CHECK(end.status == 0);
  CHECK(has_line(end.out, {"8 factories"}));
  CHECK(has_line(end.out, {"stays loaded: marked NODELETE"}));
  CHECK(has_line(end.out, {"probe 1.0: ends as its config says"}));
}
