// Rule 3.5: each start that succeeded is dropped exactly once, whenever the end or the stop comes. The test plugin
// `counting` writes a line to a file for each start and each drop.
#include <csignal>
#include <sstream>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// Every number that was started was dropped, once, before the next one was started.
void check_pairs(const std::string& record) {
  std::istringstream lines(record);
  std::string word;
  std::uint64_t number = 0;
  std::uint64_t live = 0;
  std::uint64_t last = 0;
  while (lines >> word >> number) {
    if (word == "start") {
      CHECK(live == 0);
      CHECK(number > last);
      live = last = number;
    } else if (word == "drop") {
      CHECK(live == number);
      live = 0;
    }
  }
  CHECK(live == 0);
}

Json counting(const std::string& plugin, const std::string& file, Json config, unsigned budget) {
  config["file"] = file;
  return task(plugin, plugin, "detachable", std::move(config), budget);
}

}  // namespace

TEST_CASE("each execution is dropped once, after its end and before the next start") {
  const std::string plugin = GENERATE("counting", "counting_blocking");
  Scene scene;
  const std::string file = (scene.directory() / "record").string();
  scene.add(counting(plugin, file, {{"end", "error"}}, 3));
  CHECK(scene.run().status() == 1);
  CHECK(read_file(file) == "start 1\ndrop 1\nstart 2\ndrop 2\nstart 3\ndrop 3\nstart 4\ndrop 4\n");
}

TEST_CASE("an execution that ends well is dropped once") {
  const std::string plugin = GENERATE("counting", "counting_blocking");
  Scene scene;
  const std::string file = (scene.directory() / "record").string();
  scene.add(counting(plugin, file, {{"end", "ok"}}, 3));
  CHECK(scene.run().status() == 0);
  CHECK(read_file(file) == "start 1\ndrop 1\n");
}

TEST_CASE("what failed to start is not dropped") {
  const std::string plugin = GENERATE("counting", "counting_blocking");
  Scene scene;
  const std::string file = (scene.directory() / "record").string();
  scene.add(counting(plugin, file, {{"refuse", true}}, 2));
  CHECK(scene.run().status() == 1);
  CHECK(read_file(file) == "refuse 1\nrefuse 2\nrefuse 3\n");
}

TEST_CASE("an execution that is stopped is dropped once") {
  const std::string plugin = GENERATE("counting", "counting_blocking");
  Scene scene;
  const std::string file = (scene.directory() / "record").string();
  scene.add(counting(plugin, file, Json::object(), 3));
  Running running = scene.start();
  running.wait_for("task_started");
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
  CHECK(read_file(file) == "start 1\ndrop 1\n");
}

TEST_CASE("a stop at any point of a storm of restarts leaves nothing undropped, and drops nothing twice") {
  const std::string plugin = GENERATE("counting", "counting_blocking");
  for (std::size_t starts = 1; starts < 200; starts += 13) {
    Scene scene;
    scene.manifest["shards"] = 1 + starts % 2;
    const std::string file = (scene.directory() / "record").string();
    scene.add(
        counting(plugin, file, {{"end", "error"}}, 5'000));  // a limit, in case this process is slower than the storm
    Running running = scene.start();
    running.wait_for("task_started", {}, starts);
    running.send(SIGTERM);
    const Run run = running.finish();
    CHECK(run.status() == (run.stopping_reason() == "all_done" ? 1 : 0));
    check_pairs(read_file(file));
  }
}

TEST_CASE("the last execution before a task gives up, and those that this stops, are dropped once") {
  const std::string plugin = GENERATE("counting", "counting_blocking");
  Scene scene;
  const std::string ended = (scene.directory() / "ended").string();
  const std::string stopped = (scene.directory() / "stopped").string();
  scene.manifest["shards"] = 1;
  Json bystander = counting(plugin, stopped, Json::object(), 0);
  bystander["name"] = "bystander";
  scene.add(bystander);
  Json feed = counting(plugin, ended, {{"end", "error"}}, 1);
  feed["type"] = "mandatory";
  scene.add(feed);
  CHECK(scene.run().status() == 1);
  CHECK(read_file(ended) == "start 1\ndrop 1\nstart 2\ndrop 2\n");
  check_pairs(read_file(stopped));
}
