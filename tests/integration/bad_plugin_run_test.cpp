// Plugins that misbehave while they run: the outcome that the rules promise, and a host that goes on.
#include <csignal>
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

struct Misbehaviour {
  const char* plugin;
  const char* outcome;
  const char* words;  // in the event's message
};

// Runs the plugin together with an idle task until it is discarded, then stops the host.
Run run_until_discarded(const char* plugin, unsigned budget) {
  Scene scene;
  scene.manifest["shards"] = 1;
  scene.add(task("bystander", "probe", "mandatory", idle_probe()));
  scene.add(task("bad", plugin, "detachable", nullptr, budget));
  Running running = scene.start();
  running.wait_for("task_started", "bystander");
  running.wait_for("task_discarded", "bad");
  running.send(SIGTERM);
  return running.finish();
}

void check_bystander(const Run& run) {
  CHECK(run.status() == 0);
  CHECK(run.events.story("bystander") == "task_started task_stopping task_stopped");
}

}  // namespace

TEST_CASE("whatever start, poll and run return or throw ends the execution with the outcome of the rules") {
  for (const Misbehaviour& bad : {Misbehaviour{"start_fails", "error", "start was told to fail"},
                                  {"start_throws", "panic", "start threw"},
                                  {"start_panics", "panic", "start panicked"},
                                  {"start_nonsense", "error", "rule 3.1"},
                                  {"start_pending", "error", "rule 3.1"},
                                  {"poll_fails", "error", "poll was told to fail"},
                                  {"poll_fails_silently", "error", ""},
                                  {"poll_panics", "panic", "poll panicked"},
                                  {"poll_throws", "panic", "poll threw"},
                                  {"poll_throws_int", "panic", ""},
                                  {"poll_nonsense", "error", "rule 3.2"},
                                  {"poll_negative", "error", "rule 3.2"},
                                  {"poll_waits", "error", "wait returned 0"},
                                  {"run_fails", "error", "run was told to fail"},
                                  {"run_throws", "panic", "run threw"},
                                  {"run_pending", "error", "rule 3.3"},
                                  {"run_nonsense", "error", "rule 3.3"},
                                  {"watches_closed_fd", "error", "refused"},
                                  {"asks_for_nothing", "error", "none"}}) {
    const Run run = run_until_discarded(bad.plugin, 2);
    INFO(bad.plugin << "\n" << run.log());
    check_bystander(run);
    CHECK(run.events.count("task_exited", "bad") == 3);
    for (const Event& event : run.events.events()) {
      if (event.name == "task_exited") {
        CHECK(event.outcome == bad.outcome);
        CHECK(event.message.find(bad.words) != std::string::npos);
      }
    }
  }
}

TEST_CASE("a drop that throws counts as done, and the log says which rule it breaks") {
  Run run = run_until_discarded("drop_throws", 2);
  check_bystander(run);
  CHECK(run.first("task_exited", "bad").outcome == "ok");
  CHECK(has_line(run.log(), {"bad", "rule 3.7", "drop threw"}));

  Scene scene;
  scene.add(task("bad", "drop_throws_on_stop", "mandatory"));
  Running running = scene.start();
  running.wait_for("task_started", "bad");
  running.send(SIGTERM);
  run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("bad") == "task_started task_stopping task_stopped");
  CHECK(has_line(run.log(), {"bad", "rule 3.7"}));
}

TEST_CASE("a finish that throws or returns nonsense counts as done, and changes no outcome") {
  for (const auto& [plugin, words] : {std::pair("finish_throws", "finish threw"), std::pair("finish_nonsense", "17")}) {
    Scene scene;
    scene.add(task("bad", plugin, "mandatory"));
    Running running = scene.start();
    running.wait_for("task_started", "bad");
    running.send(SIGTERM);
    const Run run = running.finish();
    INFO(plugin << "\n" << run.log());
    CHECK(run.status() == 0);
    CHECK(run.events.story("bad") == "task_started task_stopping task_stopped");
    CHECK(has_line(run.log(), {"bad", words}));
  }
}

TEST_CASE("a finish that never ends is dropped at its stop_timeout, and named") {
  Scene scene;
  Json bad = task("bad", "finish_never_ends", "mandatory");
  bad["stop_timeout"] = "300ms";
  scene.add(bad);
  Running running = scene.start();
  running.wait_for("task_started", "bad");
  running.send(SIGTERM);
  const Run run = running.finish();
  INFO(run.log());
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"bad", "finish did not end in time"}));
}

TEST_CASE("an exception from offloaded work is logged, and the work counts as done") {
  const Run run = run_until_discarded("work_throws", 2);
  check_bystander(run);
  CHECK(run.first("task_exited", "bad").message == "told that the work is done");
  CHECK(has_line(run.log(), {"bad", "offloaded", "rule 4.11"}));
}

TEST_CASE("a task that calls exit ends the host with 1, and the log says who did it") {
  const char* plugin = GENERATE("start_exits", "poll_exits", "run_exits", "drop_exits");
  Scene scene;
  scene.add(task("bystander", "probe", "mandatory", idle_probe()));
  scene.add(task("quitter", plugin, "detachable", nullptr, 3));
  Running running = scene.start();
  running.expect_cut_short();
  const Run run = running.finish();
  INFO(plugin << "\n" << run.log());
  CHECK(run.status() == 1);
  CHECK(has_line(run.log(), {"quitter", "exit"}));
}

TEST_CASE("a start or a poll that blocks for a second, again and again, gives the others of its shard their turn") {
  const char* plugin = GENERATE("start_blocks", "poll_blocks");
  Scene scene;
  scene.manifest["shards"] = 1;
  scene.add(task("slow", plugin, "mandatory", nullptr, 1'000));
  scene.add(task("other", "probe", "detachable", probe_that_ends("error", "1ms"), 3));
  Running running = scene.start();
  running.wait_for("task_discarded", "other");
  running.send(SIGTERM);
  CHECK(running.finish(std::chrono::seconds(60)).status() == 0);
}

TEST_CASE("a task that wakes itself for ever starves no other task of its shard, nor the stop") {
  Scene scene;
  scene.manifest["shards"] = 1;
  for (int number = 0; number < 3; ++number) {
    scene.add(task("restless " + std::to_string(number), "always_wakes", "mandatory"));
  }
  scene.add(task("other", "probe", "detachable", probe_that_ends("error", "5ms"), 3));
  Running running = scene.start();
  running.wait_for("task_discarded", "other");
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a task that is polled all the time is named once, with what to do instead") {
  if (sanitized) return;  // too slow for so many polls
  Scene scene;
  scene.add(task("restless", "always_wakes", "mandatory"));
  Running running = scene.start();
  REQUIRE(running.process().wait_for_err("keeps a processor busy"));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(lines_with(run.log(), {"[restless]", "keeps a processor busy", "watch"}).size() == 1);
}

TEST_CASE("a task that never wakes is woken by the stop") {
  Scene scene;
  scene.add(task("sleeper", "never_wakes", "mandatory"));
  Running running = scene.start();
  running.wait_for("task_started", "sleeper");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("sleeper") == "task_started task_stopping task_stopped");
}

TEST_CASE("wakes from many threads at once all arrive, and none does harm") {
  Scene scene;
  scene.manifest["shards"] = GENERATE(1, 2);
  for (int number = 0; number < 8; ++number) {
    scene.add(task("woken " + std::to_string(number), "wakes_from_threads", "detachable"));
  }
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_discarded") == 8);
}

TEST_CASE("wakers of executions that are over do no harm to those that came after") {
  Scene scene;
  scene.add(task("haunted", "stale_waker", "detachable", nullptr, 500));
  scene.add(task("other", "probe", "detachable", probe_that_ends("error", "1ms"), 50));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.events.count("task_started", "haunted") == 501);
}

TEST_CASE("deaf plugins are dropped or abandoned as deaf probes are") {
  Scene scene;
  scene.manifest["defaults"] = {{"stop_timeout", "50ms"}};
  scene.add(task("polled", "deaf_polled", "mandatory"));
  const bool blocking = GENERATE(false, true);
  if (blocking) {
    scene.add(task("blocking", "deaf_blocking", "mandatory"));
  }
  Running running = scene.start();
  running.wait_for("task_started", {}, blocking ? 2 : 1);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == (blocking ? 4 : 0));
  CHECK(run.events.story("polled") == "task_started task_stopping task_stopped");
  CHECK(has_line(run.log(), {"polled"}));
}

TEST_CASE("texts of a plugin that are no UTF-8, endless or forged come out readable, bounded and in one line") {
  Run run = run_until_discarded("fails_not_utf8", 0);  // a line that is not UTF-8 would not be JSON
  CHECK(run.first("task_exited", "bad").message.find("good ") == 0);
  run = run_until_discarded("fails_long", 0);
  CHECK(run.first("task_exited", "bad").message.size() <= 4096);

  Scene scene;
  scene.add(task("bad", "logs_badly", "detachable"));
  run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.log().find('\x1b') == std::string::npos);
  CHECK(run.log().find("\n[error] forged") == std::string::npos);
  CHECK(run.log().size() < 20'000);
  run = scene.run({"--log-format", "json"});
  std::string_view rest = run.log();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    CHECK(Json::parse(line, nullptr, false).is_object());
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
}
