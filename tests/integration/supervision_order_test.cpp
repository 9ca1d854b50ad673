// core/SUPERVISION.md in the real program: `after`, groups, and the order of starts and stops.
#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Json entry(std::string_view name, const Json& config, const Json& fields = Json::object()) {
  Json whole{{"name", name}, {"plugin", "probe"}, {"type", "detachable"}, {"config", config}};
  whole.update(fields);
  return whole;
}

// Fails once, a while after its start; the second time it runs until it is stopped.
Json fails_once(std::string_view name, const Json& fields) {
  Json whole = entry(name, {{"fail_first", 1}, {"run_for", "300ms"}}, {{"plugin", "flaky"}, {"restarts", 1}});
  whole.update(fields);
  return whole;
}

// Tasks in the order of these events.
std::vector<std::string> order_of(const Run& run, std::string_view event) {
  std::vector<std::string> tasks;
  for (const Event& each : run.events.events()) {
    if (each.name == event) tasks.push_back(each.task);
  }
  return tasks;
}

// The place of the first such event among all; missing events come after all others.
std::size_t place_of(const Run& run, std::string_view event, std::string_view task, std::size_t count = 1) {
  const auto& events = run.events.events();
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (events[i].name == event && events[i].task == task && --count == 0) return i;
  }
  return events.size();
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("tasks start after those that they come after, and stop before them") {
  const int shards = GENERATE(1, 3);
  Scene scene;
  scene.manifest["shards"] = shards;
  scene.add(entry("web", idle_probe(), {{"after", {"api", "cache"}}}));
  scene.add(entry("api", {{"ready_after", "20ms"}}, {{"after", {"db"}}, {"ready", "notify"}}));
  scene.add(entry("cache", idle_probe(), {{"after", {"db"}}}));
  scene.add(entry("db", {{"ready_after", "20ms"}}, {{"ready", "notify"}, {"start_timeout", "1m"}}));
  Running running = scene.start();
  running.wait_for("task_started", "web");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  const Names started = order_of(run, "task_started");
  REQUIRE(started.size() == 4);
  CHECK(started.front() == "db");
  CHECK(started.back() == "web");
  CHECK(place_of(run, "task_ready", "db") < place_of(run, "task_started", "cache"));
  CHECK(place_of(run, "task_ready", "api") < place_of(run, "task_started", "web"));
  const Names stopped = order_of(run, "task_stopping");
  CHECK(stopped.front() == "web");
  CHECK(stopped.back() == "db");
  CHECK(place_of(run, "task_stopped", "web") < place_of(run, "task_stopping", "api"));
  CHECK(place_of(run, "task_stopped", "api") < place_of(run, "task_stopping", "db"));
}

TEST_CASE("a task that ended well satisfies those that come after it") {
  Scene scene;
  scene.add(entry("migrate", {{"end", "ok"}, {"run_for", "20ms"}}, {{"ready", "notify"}}));
  scene.add(entry("api", {{"end", "ok"}}, {{"after", {"migrate"}}, {"type", "shutdown_on_exit"}}));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(place_of(run, "task_discarded", "migrate") < place_of(run, "task_started", "api"));
}

TEST_CASE("a task is skipped when one that it comes after has failed for good, and so are those after it") {
  Scene scene;
  scene.add(entry("db", {{"end", "error"}, {"message", "no disk"}}, {{"ready", "notify"}, {"restarts", 1}}));
  scene.add(entry("api", idle_probe(), {{"after", {"db"}}}));
  scene.add(entry("web", idle_probe(), {{"after", {"api"}}}));
  SECTION("without them the host has nothing to do") {
    const Run run = scene.run();
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "all_done");
    CHECK(run.events.story("api") == "task_discarded");
    CHECK(run.events.story("web") == "task_discarded");
    CHECK(run.first("task_discarded", "api").reason == "skipped");
    CHECK(run.first("task_discarded", "api").message == "task 'db', which it comes after, has ended");
    CHECK(has_line(run.log(), {"[web]", "skipped: task 'api', which it comes after, has ended"}));
  }
  SECTION("a mandatory one stops the host with failure") {
    scene.manifest["tasks"][2]["type"] = "mandatory";
    const Run run = scene.run();
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "skipped");
    CHECK(run.stopping_task() == "web");
    CHECK(has_line(run.log(), {"stopping: task 'web' was skipped, and the host can't do without it"}));
  }
}

TEST_CASE("one_for_all restarts all members with one that fails, and charges none of them") {
  Scene scene;
  scene.manifest["groups"] = {{"pipe", {{"strategy", "one_for_all"}}}};
  scene.add(entry("first", idle_probe(), {{"group", "pipe"}}));
  scene.add(fails_once("middle", {{"group", "pipe"}}));
  scene.add(entry("last", idle_probe(), {{"group", "pipe"}, {"after", {"first"}}}));
  scene.add(entry("outside", idle_probe()));
  Running running = scene.start();
  for (const char* name : {"first", "middle", "last"}) running.wait_for("task_started", name, 2);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_restarting") == 1);
  CHECK(run.events.count("task_started", "outside") == 1);
  // All have ended before any is started again, and they end in the order of a stop.
  const std::size_t again =
      std::min({place_of(run, "task_started", "first", 2), place_of(run, "task_started", "middle", 2),
                place_of(run, "task_started", "last", 2)});
  CHECK(place_of(run, "task_stopped", "first") < again);
  CHECK(place_of(run, "task_stopped", "last") < again);
  CHECK(place_of(run, "task_stopped", "last") < place_of(run, "task_stopping", "first"));
  CHECK(run.first("task_stopped", "first").remaining == std::uint64_t{0});
  CHECK(has_line(run.log(), {"info", "[first]", "asked to stop"}));
}

TEST_CASE("rest_for_one restarts the members behind the one that fails") {
  Scene scene;
  scene.manifest["groups"] = {{"pipe", {{"strategy", "rest_for_one"}}}};
  scene.add(entry("first", idle_probe(), {{"group", "pipe"}}));
  scene.add(fails_once("middle", {{"group", "pipe"}}));
  scene.add(entry("last", idle_probe(), {{"group", "pipe"}}));
  Running running = scene.start();
  for (const char* name : {"middle", "last"}) running.wait_for("task_started", name, 2);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.events.count("task_started", "first") == 1);
  CHECK(run.events.count("task_started", "last") == 2);
}

TEST_CASE("one_for_one restarts the one that fails") {
  Scene scene;
  scene.manifest["groups"] = {{"pipe", {{"strategy", "one_for_one"}}}};
  scene.add(entry("first", idle_probe(), {{"group", "pipe"}}));
  scene.add(fails_once("middle", {{"group", "pipe"}}));
  Running running = scene.start();
  running.wait_for("task_started", "middle", 2);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.events.count("task_started", "first") == 1);
}

TEST_CASE("a group goes with a member that gives up") {
  Scene scene;
  scene.manifest["groups"] = {{"pipe", {{"strategy", "one_for_all"}}}};
  scene.add(entry("first", idle_probe(), {{"group", "pipe"}}));
  scene.add(entry("pump", {{"end", "error"}, {"run_for", "50ms"}}, {{"group", "pipe"}}));
  SECTION("and nothing is left") {
    const Run run = scene.run();
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "all_done");
    CHECK(run.events.story("first") == "task_started task_stopping task_stopped task_discarded");
    CHECK(run.first("task_discarded", "first").reason == "group");
    CHECK(has_line(run.log(), {"[first]", "discarded", "task 'pump' of its group gave up"}));
  }
  SECTION("and the host goes with a mandatory one") {
    scene.manifest["tasks"][0]["type"] = "mandatory";
    const Run run = scene.run();
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "group");
    CHECK(run.stopping_task() == "first");
  }
}

TEST_CASE("a stop that runs out of time names who did not stop, and who waited for it") {
  Scene scene;
  scene.manifest["shutdown_timeout"] = "50ms";
  scene.add(entry("db", idle_probe()));
  scene.add(entry("api", deaf_probe(), {{"after", {"db"}}, {"plugin", "probe_blocking"}}));
  Running running = scene.start();
  running.wait_for("task_started", "api");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 4);
  CHECK(run.events.count("task_abandoned", "api") == 1);
  CHECK(has_line(run.log(), {"[api]", "did not stop: execution 1", "'db' waited for it"}));
}

TEST_CASE("a blocking task that its group can't end is given up with it") {
  Scene scene;
  scene.manifest["groups"] = {{"pipe", {{"strategy", "one_for_all"}}}};
  Json deaf = entry("deaf", deaf_probe(), {{"plugin", "probe_blocking"}, {"group", "pipe"}, {"stop_timeout", "20ms"}});
  scene.add(fails_once("pump", {{"group", "pipe"}}));
  scene.add(deaf);
  const Run run = scene.run();
  CHECK(run.status() == 4);
  CHECK(run.events.story("deaf") == "task_started task_stopping task_abandoned task_discarded");
  CHECK(run.first("task_discarded", "deaf").reason == "not_stopped");
}

TEST_CASE("what tasks come after is looked up by names that plugins give, too") {
  Scene scene;
  scene.add({{"plugin", "heartbeat"}, {"type", "detachable"}, {"config", {{"interval", "1s"}}}});
  scene.add(entry("api", {{"end", "ok"}}, {{"after", {"heartbeat"}}, {"type", "shutdown_on_exit"}}));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(order_of(run, "task_started") == Names{"heartbeat", "api"});
}

TEST_CASE("tasks that are not there, or wait for each other, are told with their places") {
  Scene scene;
  scene.add(entry("api", idle_probe(), {{"after", {"databse", "api"}}}));
  scene.add(entry("database", idle_probe(), {{"after", {"web"}}}));
  scene.add(entry("cache", idle_probe(), {{"after", {"database"}}}));
  scene.add(entry("web", idle_probe(), {{"after", {"cache"}}}));
  const Run run = scene.run();
  CHECK(run.status() == 2);
  CHECK(has_line(run.log(), {"/tasks/0/after/0", "there is no task \"databse\"; did you mean \"database\"?"}));
  CHECK(has_line(run.log(), {"/tasks/0/after/1", "a task can't come after itself"}));
  CHECK(has_line(run.log(), {"/tasks/2/after/0",
                             "these tasks wait for each other: \"database\" → \"web\" → \"cache\" → \"database\""}));
}

TEST_CASE("the name of a task whose plugin is missing is no second fault") {
  Scene scene;
  scene.add(entry("db", idle_probe(), {{"plugin", "no_such_plugin"}}));
  scene.add(entry("api", idle_probe(), {{"after", {"db"}}}));
  const Run run = scene.run();
  CHECK(run.status() == 3);
  CHECK_FALSE(has_line(run.log(), {"there is no task"}));
}
