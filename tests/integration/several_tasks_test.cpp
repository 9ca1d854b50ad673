// Tasks of several types together: what the end of one means for the others.
#include <csignal>
#include <set>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// Two tasks that are not affected by what happens to a third.
void add_bystanders(Scene& scene) {
  scene.add(task("reader", "probe", "mandatory", idle_probe(), 3));
  scene.add(task("ticker", "probe_blocking", "detachable", idle_probe(), 3));
}

void check_bystanders_were_stopped(const Run& run) {
  for (const char* name : {"reader", "ticker"}) {
    CHECK(run.events.story(name) == "task_started task_stopping task_stopped");
  }
}

}  // namespace

TEST_CASE("a detachable task that is discarded leaves the others running") {
  const char* end = GENERATE("ok", "error", "throw");
  Scene scene;
  add_bystanders(scene);
  scene.add(task("cache", "probe", "detachable", probe_that_ends(end), 2));
  Running running = scene.start();
  running.wait_for("task_discarded", "cache");
  running.wait_for("task_started", "reader");
  running.wait_for("task_started", "ticker");
  CHECK(running.process().running());
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "signal");
  check_bystanders_were_stopped(run);
}

TEST_CASE("a mandatory task that has used up its budget takes all others down in order") {
  Scene scene;
  add_bystanders(scene);
  scene.add(task("feed", "probe", "mandatory", probe_that_ends("error", "10ms"), 2));
  scene.manifest["shards"] = 1;  // the bystanders are started before the feed
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.stopping_reason() == "budget_exhausted");
  CHECK(run.stopping_task() == "feed");
  check_bystanders_were_stopped(run);
}

TEST_CASE("a shutdown_on_exit task that ends takes all others down in order") {
  const std::string end = GENERATE("ok", "error", "throw");
  Scene scene;
  add_bystanders(scene);
  scene.add(task("job", "probe_blocking", "shutdown_on_exit", probe_that_ends(end, "10ms")));
  scene.manifest["shards"] = 1;
  const Run run = scene.run();
  CHECK(run.status() == (end == "ok" ? 0 : 1));
  CHECK(run.stopping_reason() == "task_exit");
  CHECK(run.stopping_task() == "job");
  check_bystanders_were_stopped(run);
}

TEST_CASE("the host ends with success when the last of its tasks is done") {
  Scene scene;
  scene.add(task("first", "probe", "detachable", probe_that_ends("ok"), 3));
  scene.add(task("second", "probe", "detachable", probe_that_ends("error", "5ms"), 3));
  scene.add(task("third", "probe_blocking", "detachable", probe_that_ends("throw", "20ms"), 1));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "all_done");
  CHECK(run.stopping_task().empty());
  CHECK(run.events.count("task_discarded") == 3);
}

TEST_CASE("of many tasks that would stop the host at the same time, one decides") {
  Scene scene;
  scene.manifest["shards"] = GENERATE(1, 2, 8);
  for (int number = 0; number < 20; ++number) {
    scene.add(task("good " + std::to_string(number), "probe", "shutdown_on_exit", probe_that_ends("ok")));
    scene.add(task("bad " + std::to_string(number), "probe", "mandatory", probe_that_ends("error")));
  }
  const Run run = scene.run();
  CHECK(run.events.count("host_stopping") == 1);
  CHECK(run.status() == (run.stopping_reason() == "budget_exhausted" ? 1 : 0));
}

TEST_CASE("a task that fails while the host stops does not change what the first cause decided") {
  Scene scene;
  Json late = probe_that_ends("error", "1500ms");
  late["deaf"] = true;
  scene.add(task("late", "probe", "mandatory", late, 5));
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok", "10ms")));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.stopping_task() == "job");
  CHECK(run.events.story("late") == "task_started task_stopping task_stopped");
}

TEST_CASE("a task that ends well after another one failed the host does not make it a success") {
  Scene scene;
  Json late = probe_that_ends("ok", "1500ms");
  late["deaf"] = true;
  scene.add(task("late", "probe_blocking", "shutdown_on_exit", late));
  scene.add(task("feed", "probe", "mandatory", probe_that_ends("error", "10ms")));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.stopping_task() == "feed");
  CHECK(run.events.story("late") == "task_started task_stopping task_stopped");
}

TEST_CASE("the budget of one task is not another's") {
  Scene scene;
  scene.manifest["shards"] = GENERATE(1, 3);
  for (unsigned budget = 0; budget < 20; ++budget) {
    scene.add(task("task " + std::to_string(budget), "probe", "detachable", probe_that_ends("error"), budget));
  }
  const Run run = scene.run();
  CHECK(run.status() == 1);
  for (unsigned budget = 0; budget < 20; ++budget) {
    CHECK(run.events.count("task_started", "task " + std::to_string(budget)) == budget + 1);
  }
}

TEST_CASE("a task's id is another one in each run") {
  Scene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  std::set<std::string> ids;
  for (int run = 0; run < 3; ++run) {
    ids.insert(scene.run().first("task_started").id);
  }
  CHECK(ids.size() == 3);
}

TEST_CASE("a plugin that several tasks use is loaded once") {
  Scene scene;
  scene.add(task("first", "probe", "detachable", probe_that_ends("ok")));
  scene.add(task("second", "probe", "detachable", probe_that_ends("ok")));
  scene.add(task("third", "probe_blocking", "detachable", probe_that_ends("ok")));
  CHECK(scene.run().events.count("plugin_loaded") == 2);
}

TEST_CASE("a task's name may have spaces, quotes and letters of any language, and comes out as it went in") {
  const std::string name = "Überwachung \"7\" \\ 猫";
  Scene scene;
  scene.add(task(name, "probe", "shutdown_on_exit", probe_that_ends("ok")));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.stopping_task() == name);
}
