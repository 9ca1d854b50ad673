// Tasks with a schedule in the real program, whose wall clock begins at a time of the test's choice.
#include <csignal>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// From that second on, until the task has begun twice.
Run run_from(const char* seconds_since_1970, const char* schedule, const char* zone) {
  Scene scene;
  scene.add({{"name", "job"},
             {"plugin", "probe"},
             {"type", "mandatory"},
             {"repeat", {{"schedule", schedule}, {"time_zone", zone}}},
             {"config", {{"end", "ok"}}}});
  Command command = scene.command();
  command.environment = {"LD_PRELOAD=" TASKHOST_TEST_WALL_CLOCK,
                         std::string("TASKHOST_TEST_WALL_CLOCK_START=") + seconds_since_1970};
  Running running = scene.start(command);
  running.expect_wild_clock();
  running.wait_for("task_restarting", "job", 2);
  running.send(SIGTERM);
  return running.finish();
}

void check_starts_at(const Run& run, const std::string& minute) {
  CHECK(run.status() == 0);
  std::vector<std::string> starts;
  for (const Event& event : run.events.events()) {
    if (event.name == "task_started") starts.push_back(event.time);
  }
  REQUIRE(starts.size() == 2);
  CHECK(starts[1].substr(0, 20) == minute + ":00.");
}

}  // namespace

TEST_CASE("a task with a schedule is started when the wall clock shows its time, never before") {
  // From 2026-11-30 02:00:54 UTC on.
  const Run run = run_from("1796004054", "1 3 * * mon-fri", "Europe/Berlin");
  check_starts_at(run, "2026-11-30T02:01");
  CHECK(run.first("task_restarting", "job").delay_ms.value_or(0) > 1000);
}

TEST_CASE("a time that clocks skip for summer time is due when they do") {
  // From 2027-03-28 00:59:54 UTC on: in Berlin, 01:59:54.
  check_starts_at(run_from("1806195594", "30 2 * * *", "Europe/Berlin"), "2027-03-28T01:00");
}
