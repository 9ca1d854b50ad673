// A task that blocks its shard is named, and does not starve others.
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// Its tasks block for much longer than the limit, so that even on a busy machine it is clear which came first.
struct OneShard : Scene {
  explicit OneShard(const char* stall_limit) {
    manifest["shards"] = 1;
    manifest["stall_limit"] = stall_limit;
  }
};

Json mule(Json config, unsigned restarts = 0) {
  return task("mule", "staller", "detachable", std::move(config), restarts);
}

// The log's lines about the mule's stalls.
std::vector<std::string> stall_lines(const std::string& log) {
  std::vector<std::string> lines;
  for (std::string& line : lines_with(log, {"[mule]"})) {
    if (std::regex_search(line, std::regex("stall|block|return"))) {
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

// The longest duration that a log line reports, in milliseconds.
double told_milliseconds(const std::string& line) {
  static const std::regex duration(R"(([0-9]+(\.[0-9]+)?) ?(ms|s)\b)");
  double longest = 0;
  for (std::sregex_iterator found(line.begin(), line.end(), duration), end; found != end; ++found) {
    longest = std::max(longest, std::stod((*found)[1]) * ((*found)[3] == "s" ? 1000 : 1));
  }
  return longest;
}

}  // namespace

TEST_CASE("a start, poll or drop that blocks is told once, by an event and the log, and again when it is over") {
  const char* call = GENERATE("start", "poll", "drop");
  OneShard scene("50ms");
  scene.add(mule({{call, "800ms"}}));
  scene.add(task("clock", "probe", "detachable", probe_that_ends("ok", "400ms")));
  Running running = scene.start();
  running.wait_for("task_exited", "clock");
  INFO(call << " blocks");
  CHECK(running.process().wait_for_err("[clock] ended"));
  if (running.events().read().count("task_exited", "mule") == 0) {  // else the machine was too slow to check in between
    CHECK(stall_lines(running.process().err()).size() == 1);
  }
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("mule") == "task_started task_exited task_discarded");
  CHECK(run.events.count("task_stalled") == 1);
  const Event told = run.first("task_stalled", "mule");
  CHECK(told.execution == 1U);
  CHECK(told.stalled_ms.value_or(0) >= 50);
  CHECK(told.stalled_ms.value_or(0) < 800);
  CHECK(seq_of(run, "task_stalled", "mule") < seq_of(run, "task_exited", "clock"));
  const std::vector<std::string> lines = stall_lines(run.log());
  INFO(run.log());
  REQUIRE(lines.size() == 2);
  CHECK(told_milliseconds(lines[0]) >= 50);
  CHECK(told_milliseconds(lines[0]) < 800);
  CHECK(told_milliseconds(lines[1]) >= 750);  // since it was first seen
}

TEST_CASE("what returns within the stall limit is no stall") {
  OneShard scene("1h");
  scene.add(mule({{"start", "100ms"}, {"poll", "100ms"}, {"drop", "100ms"}}));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stalled") == 0);
  CHECK(stall_lines(run.log()).empty());
}

TEST_CASE("many short calls do not add up to a stall") {
  OneShard scene("250ms");
  scene.add(mule({{"poll", "10ms"}, {"stalls", 50}, {"next", "wake"}}));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stalled") == 0);
}

TEST_CASE("the stall limit is a tenth of a second unless the manifest says otherwise") {
  Scene scene;
  scene.manifest["shards"] = 1;
  scene.add(mule({{"poll", "600ms"}}));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.first("task_stalled", "mule").stalled_ms.value_or(0) >= 100);
  CHECK(run.first("task_stalled", "mule").stalled_ms.value_or(0) < 600);
}

TEST_CASE("the tasks of a shard go on while one of them blocks, asleep or busy, and end before it does") {
  const bool spins = GENERATE(false, true);
  OneShard scene("50ms");
  scene.add(mule({{"poll", "900ms"}, {"spins", spins}}));
  scene.add(task("timer", "probe", "detachable", probe_that_ends("error", "20ms"), 5));
  scene.add(task("waker", "wakes_from_threads", "detachable"));
  scene.add(task("blocking", "probe_blocking", "detachable", probe_that_ends("ok", "20ms")));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  for (const char* neighbour : {"timer", "waker", "blocking"}) {
    CHECK(seq_of(run, "task_discarded", neighbour) < seq_of(run, "task_exited", "mule"));
  }
  CHECK(run.events.count("task_exited", "timer") == 6);
}

TEST_CASE("a neighbour of a task that blocks waits for no longer than twice the stall limit") {
  OneShard scene("400ms");
  const std::string file = (scene.directory() / "ticks").string();
  scene.add(mule({{"calm", "100ms"}, {"poll", "2s"}}));
  scene.add(task("ticker", "stall_ticker", "detachable", {{"file", file}, {"run_for", "1900ms"}, {"interval", "5ms"}}));
  CHECK(scene.run().status() == 0);
  std::istringstream record(read_file(file));
  std::uint64_t ticks = 0;
  std::uint64_t longest_wait = 0;
  record >> ticks >> longest_wait;
  CHECK(ticks > 20);
  CHECK(longest_wait > 0);
  CHECK(longest_wait < 2 * 400'000 + 500'000);  // plus half a second for a busy machine
}

TEST_CASE("descriptors of a shard are watched while one of its tasks blocks") {
  OneShard scene("50ms");
  const std::string pipe = (scene.directory() / "orders.fifo").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  scene.add(task("orders", "watcher", "detachable", {{"path", pipe}}));
  Json stuck = mule({{"poll", "1h"}});
  stuck["stop_timeout"] = "100ms";
  scene.add(stuck);
  Running running = scene.start();
  running.wait_for("task_stalled", "mule");
  for (const char* order : {"three apples", "two pears"}) {
    std::ofstream(pipe) << order << std::endl;
    CHECK(running.process().wait_for_err(order));
  }
  CHECK(running.events().read().count("task_exited") == 0);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 4);
}

TEST_CASE("what a call asked the host for before it blocked comes true after it") {
  const char* next = GENERATE("timer", "wake", "thread", "descriptor");
  OneShard scene("30ms");
  scene.add(mule({{"poll", "150ms"}, {"stalls", 3}, {"next", next}}));
  const Run run = scene.run();
  INFO(next << "\n" << run.log());
  CHECK(run.status() == 0);
  CHECK(run.events.story("mule") == "task_started task_exited task_discarded");
  CHECK(run.first("task_exited", "mule").outcome == "ok");
  CHECK(run.events.count("task_stalled", "mule") == 3);
  CHECK(lines_with(run.log(), {"[mule]", "back again"}).size() == 3);
}

TEST_CASE("what a call returns after a stall counts as usual, and each execution's stall is told") {
  struct Ending {
    const char* end;
    const char* outcome;
    const char* message;
  };
  for (const Ending& ending : {Ending{"error", "error", "was told to fail"}, {"throw", "panic", "was told to throw"}}) {
    OneShard scene("30ms");
    scene.add(mule({{"poll", "150ms"}, {"end", ending.end}}, 2));
    const Run run = scene.run();
    CHECK(run.status() == 1);
    CHECK(run.events.story("mule") ==
          "task_started task_exited task_restarting task_started task_exited task_restarting "
          "task_started task_exited task_gave_up task_discarded");
    CHECK(run.events.count("task_stalled", "mule") == 3);
    CHECK(run.first("task_exited", "mule").outcome == ending.outcome);
    CHECK(run.first("task_exited", "mule").message.find(ending.message) != std::string::npos);
  }
}

TEST_CASE("several stuck tasks are taken off their shard, the later ones faster than one limit each") {
  constexpr int herd = 10;
  OneShard scene("300ms");
  for (int number = 0; number < herd; ++number) {
    scene.add(task("mule " + std::to_string(number), "staller", "detachable", {{"poll", "2s"}}));
  }
  scene.add(task("last", "probe", "detachable", probe_that_ends("ok")));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stalled") == herd);
  for (int number = 0; number < herd; ++number) {
    const std::string name = "mule " + std::to_string(number);
    CHECK(run.events.count("task_stalled", name) == 1);
    CHECK(run.first("task_stalled", name).stalled_ms.value_or(0) >= 300);
    CHECK(seq_of(run, "task_stalled", name) < seq_of(run, "task_exited", name));
    CHECK(seq_of(run, "task_exited", "last") < seq_of(run, "task_exited", name));
  }
}
