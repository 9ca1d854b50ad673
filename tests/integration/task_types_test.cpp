// The table "Task types" of README.md: task type × how an execution ends × budget, with the program and real plugins.
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// One way for an execution to end.
struct Ending {
  std::string plugin;
  std::string config;   // JSON
  std::string outcome;  // as reported by task_exited
};

const std::string error = R"({"end": "error", "run_for": "0ms", "message": "the pump is dry"})";
const std::string exception = R"({"end": "throw", "run_for": "0ms", "message": "the pump is dry"})";
const std::string refusal = R"({"file": "/dev/null", "refuse": true})";

const std::vector<Ending> bad_endings{{"probe", error, "error"},
                                      {"probe", exception, "panic"},
                                      {"probe_blocking", error, "error"},
                                      {"probe_blocking", exception, "panic"},
                                      {"counting", refusal, "error"},  // these fail to start
                                      {"counting_blocking", refusal, "error"},
                                      {"start_fails", "{}", "error"},
                                      {"start_throws", "{}", "panic"},
                                      {"start_panics", "{}", "panic"}};

const std::vector<Ending> good_endings{{"probe", R"({"end": "ok", "run_for": "0ms"})", "ok"},
                                       {"probe_blocking", R"({"end": "ok", "run_for": "0ms"})", "ok"}};

std::vector<Ending> all_endings() {
  std::vector<Ending> endings = good_endings;
  endings.insert(endings.end(), bad_endings.begin(), bad_endings.end());
  return endings;
}

Run run_one(const Ending& ending, const char* type, unsigned budget) {
  Scene scene;
  scene.add(task("pump", ending.plugin, type, Json::parse(ending.config), budget));
  return scene.run();
}

// What happens to a task that is started 1 + budget times without success.
std::string story_of_exhaustion(unsigned budget) {
  std::string story;
  for (unsigned restart = 0; restart < budget; ++restart) {
    story += "task_started task_exited task_restarting ";
  }
  return story + "task_started task_exited task_gave_up";
}

void check_outcomes(const Run& run, const Ending& ending) {
  for (const Event& event : run.events.events()) {
    if (event.name == "task_exited") {
      CHECK(event.outcome == ending.outcome);
      if (ending.config == error) {
        CHECK(event.message == "the pump is dry");
      }
      if (ending.config == exception) {
        CHECK(event.message.find("the pump is dry") != std::string::npos);
      }
    }
  }
}

}  // namespace

TEST_CASE("a shutdown_on_exit task that ends well stops the host with success") {
  for (const Ending& ending : good_endings) {
    INFO(ending.plugin);
    const Run run = run_one(ending, "shutdown_on_exit", 0);
    CHECK(run.status() == 0);
    CHECK(run.stopping_reason() == "task_exit");
    CHECK(run.stopping_task() == "pump");
    CHECK(run.events.story("pump") == "task_started task_exited");
    check_outcomes(run, ending);
  }
}

TEST_CASE("a shutdown_on_exit task that ends in any other way stops the host with failure") {
  for (const Ending& ending : bad_endings) {
    INFO(ending.plugin << " " << ending.config);
    const Run run = run_one(ending, "shutdown_on_exit", 0);
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "task_exit");
    CHECK(run.stopping_task() == "pump");
    CHECK(run.events.story("pump") == "task_started task_exited");
    check_outcomes(run, ending);
  }
}

TEST_CASE("a mandatory task is started 1 + budget times, however it ends; then the host stops with failure") {
  const unsigned budget = GENERATE(0U, 1U, 3U);
  for (const Ending& ending : all_endings()) {
    INFO(ending.plugin << " " << ending.config << " with budget " << budget);
    const Run run = run_one(ending, "mandatory", budget);
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "budget_exhausted");
    CHECK(run.stopping_task() == "pump");
    CHECK(run.events.story("pump") == story_of_exhaustion(budget));
    check_outcomes(run, ending);
  }
}

TEST_CASE("a detachable task that ends well is discarded at once, whatever its budget") {
  const unsigned budget = GENERATE(0U, 1U, 3U);
  for (const Ending& ending : good_endings) {
    INFO(ending.plugin << " with budget " << budget);
    const Run run = run_one(ending, "detachable", budget);
    CHECK(run.status() == 0);
    CHECK(run.stopping_reason() == "all_done");
    CHECK(run.events.story("pump") == "task_started task_exited task_discarded");
    check_outcomes(run, ending);
  }
}

TEST_CASE("a detachable task that ends in any other way is started 1 + budget times, then discarded") {
  const unsigned budget = GENERATE(0U, 1U, 3U);
  for (const Ending& ending : bad_endings) {
    INFO(ending.plugin << " " << ending.config << " with budget " << budget);
    const Run run = run_one(ending, "detachable", budget);
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "all_done");
    CHECK(run.events.story("pump") == story_of_exhaustion(budget) + " task_discarded");
    check_outcomes(run, ending);
  }
}

TEST_CASE("the budget is nought where the manifest gives none") {
  const char* type = GENERATE("mandatory", "detachable");
  Scene scene;
  Json entry = task("pump", "probe", type, probe_that_ends("error"));
  entry.erase("restarts");
  scene.add(entry);
  const Run run = scene.run();
  CHECK(run.events.count("task_started") == 1);
  CHECK(run.events.count("task_gave_up") == 1);
}

TEST_CASE("each execution runs as long as its config says, also when it is a restart") {
  const char* plugin = GENERATE("probe", "probe_blocking");
  Scene scene;
  scene.add(task("pump", plugin, "detachable", probe_that_ends("error", "30ms"), 2));
  const Run run = scene.run();
  CHECK(run.events.count("task_exited") == 3);
  for (const Event& event : run.events.events()) {
    if (event.name == "task_exited") {
      CHECK(event.uptime_ms.value_or(0) >= 29.9);  // a timer never fires early, but rounding may make it look so
    }
  }
}

TEST_CASE("a restart comes at once") {
  Scene scene;
  scene.add(task("pump", "probe", "detachable", probe_that_ends("error"), 3));
  const Run run = scene.run();
  for (const Event& event : run.events.events()) {
    if (event.name == "task_restarting") {
      CHECK(event.delay_ms == 0.0);
    }
  }
}
