// What a shard does for operators, for its own tasks' optional fields, and for the coordinator.
#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

// How long an execution lived, as its shard reports it, if each of its steps takes time.
Nanoseconds lived(bool notifies, std::chrono::nanoseconds start, std::chrono::nanoseconds until_it_says_so,
                  std::chrono::nanoseconds runs, bool is_asked, std::chrono::nanoseconds dying = 0s) {
  ShardScene scene;
  bool over = false;
  bool says_so = false;
  Script script;
  script.start = [&](void*, Execution&) {
    scene.clock.advance(start);
    return Status::ok;
  };
  script.step = [&](void*, Execution& execution) {
    if (says_so) execution.ready();
    execution.wake_after(1);
    return over ? Status::error : Status::pending;
  };
  TaskOptions options = options_of(TaskType::mandatory, 3, 1h);
  auto optional = std::make_shared<SupervisionOptions>();
  optional->notify = notifies;
  options.optional = optional;
  TaskCell& cell = scene.shard.add(TaskFn(recipe_of(std::move(script))), options, "t", 0, true);
  scene.shard.order_start(cell, 3);
  scene.turn();
  scene.clock.advance(until_it_says_so);
  says_so = true;
  scene.turn();
  scene.clock.advance(runs);
  if (is_asked) {
    scene.shard.order_stop(cell);
    scene.turn();
    scene.clock.advance(dying);
  }
  over = true;
  for (int turns = 0; turns < 10 && scene.owner.ends.empty(); ++turns) {
    scene.clock.advance(100us);  // the timer's tick
    scene.turn();
  }
  REQUIRE(scene.owner.ends.size() == 1);
  return scene.owner.ends[0].lived / 1'000'000'000 * 1'000'000'000;  // without the ticks
}

constexpr Nanoseconds second = 1'000'000'000;

using Lines = std::vector<std::string>;

std::shared_ptr<const Recipe> obedient() {
  return stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; });
}
std::shared_ptr<const Recipe> failing() {
  return stepping([](Execution&) { return Status::error; });
}
std::shared_ptr<const Recipe> deaf() {
  return stepping([](Execution&) { return Status::pending; });
}

TaskOptions with(TaskOptions options, const SupervisionOptions& optional) {
  options.optional = std::make_shared<SupervisionOptions>(optional);
  return options;
}

}  // namespace

TEST_CASE("an execution lives from the end of its start, or from when it says that it is ready, to its end") {
  CHECK(lived(false, 7s, 2s, 5s, false) == 7 * second);  // without `notify`, ready has no effect
  CHECK(lived(true, 7s, 2s, 5s, false) == 5 * second);
}

TEST_CASE("an execution that is asked to end lives until then") {
  CHECK(lived(false, 7s, 2s, 5s, true, 30s) == 7 * second);
  CHECK(lived(true, 7s, 2s, 5s, true, 30s) == 5 * second);
}

TEST_CASE("an execution that ended before it was ready has not lived") {
  ShardScene scene;
  TaskOptions options = options_of(TaskType::mandatory, 3, 1h);
  auto optional = std::make_shared<SupervisionOptions>();
  optional->notify = true;
  options.optional = optional;
  const auto recipe = stepping([late = false](Execution& execution) mutable {
    execution.wake_after(1'000'000'000);
    return std::exchange(late, true) ? Status::error : Status::pending;
  });
  TaskCell& cell = scene.shard.add(TaskFn(recipe), options, "t", 0, true);
  scene.shard.order_start(cell, 3);
  scene.run();
  scene.sleep(5s);
  REQUIRE_FALSE(scene.owner.ends.empty());
  CHECK(scene.owner.ends[0].lived == 0);
}

TEST_CASE("a task that is asked to end by the coordinator has its deadline at once, whatever its call does") {
  ShardScene scene;
  const auto recipe = stepping([&](Execution& execution) {
    if (!execution.stop_requested()) return Status::pending;
    scene.take_over(100ms);  // does not return while all of this happens
    scene.run();
    scene.sleep(299ms);
    CHECK(scene.owner.abandoned == 0);
    scene.sleep(10ms);
    CHECK(scene.owner.abandoned == 1);
    return Status::pending;
  });
  TaskCell& cell = scene.shard.add(TaskFn(recipe), options_of(TaskType::mandatory, 3, 300ms), "t", 0, true);
  scene.shard.order_start(cell, 3);
  scene.run();
  scene.shard.order_stop(cell);
  scene.run();
  REQUIRE(scene.owner.ends.size() == 1);
  CHECK(scene.owner.ends[0].ending == Ending::abandoned);
}

// --- operators -------------------------------------------------------------------------------------------------------

TEST_CASE("an operator stops, starts and restarts a task, and nothing of it is charged") {
  for (const bool supervised : {false, true}) {
    ShardScene scene;
    TaskOptions options = options_of(TaskType::mandatory, 3);
    if (supervised) options = with(options, {.reset_after = 1h});
    scene.add("t", obedient(), options);
    scene.run();
    for (const Operation operation : {Operation::start, Operation::stop, Operation::stop, Operation::restart,
                                      Operation::restart, Operation::stop, Operation::start}) {
      scene.shard.operate(0, operation);
      scene.run();
    }
    CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1", "t started 2", "t stopping 2",
                                      "t stopped 2", "t started 3", "t stopping 3", "t stopped 3", "t started 4"});
    for (const Record& record : scene.sink.records()) CHECK(record.event.remaining == 3);
    scene.begin_stop();
    scene.run();
    CHECK(scene.sink.lines().back() == "t stopped 4");
    CHECK(scene.owner.ended == 1);
  }
}

TEST_CASE("an operator stops a task before it is started, and while it waits for a delay") {
  ShardScene scene;
  scene.add("new", obedient());
  scene.add("delayed", failing(), with(options_of(TaskType::mandatory, 3), {.backoff = Backoff{.initial = 5s}}));
  scene.shard.operate(0, Operation::stop);
  scene.run();
  CHECK(scene.sink.lines("new").empty());
  const Lines once{"delayed started 1", "delayed exited 1 error", "delayed restarting"};
  CHECK(scene.sink.lines("delayed") == once);
  scene.shard.operate(1, Operation::stop);
  scene.sleep(1h);
  CHECK(scene.sink.lines("delayed") == once);
  scene.shard.operate(0, Operation::restart);
  scene.shard.operate(1, Operation::start);
  scene.run();
  CHECK(scene.sink.lines("new") == Lines{"new started 1"});
  CHECK(scene.sink.lines("delayed").size() == 2 * once.size());
  CHECK(scene.sink.records().back().event.delay_ms == 5000);  // budget and backoff were reset
  CHECK(scene.sink.records().back().event.remaining == 2);
}

TEST_CASE("an operator ends a delay") {
  ShardScene scene;
  scene.add("t", failing(), with(options_of(TaskType::mandatory, 3), {.backoff = Backoff{.initial = 5s}}));
  scene.run();
  scene.shard.operate(0, Operation::start);
  scene.run();
  CHECK(scene.sink.count(EventKind::task_started) == 2);
  CHECK(scene.sink.records().back().event.delay_ms == 10'000);
  CHECK(scene.sink.records().back().event.remaining == 1);
}

TEST_CASE("a shard whose last task has ended goes on when an operator starts it again") {
  ShardScene scene;
  scene.add("t", failing(), options_of(TaskType::detachable, 1));
  scene.run();
  REQUIRE(scene.owner.ended == 1);
  REQUIRE(scene.shard.ended());
  scene.shard.operate(0, Operation::stop);
  CHECK(scene.owner.ended == 1);
  scene.shard.operate(0, Operation::start);
  CHECK(scene.owner.ended == 0);
  CHECK_FALSE(scene.shard.ended());
  scene.run();
  CHECK(scene.owner.ended == 1);
  CHECK(scene.sink.count(EventKind::task_started) == 4);
}

TEST_CASE("an operator's order finds nothing to do once the host stops") {
  for (const Operation operation : {Operation::stop, Operation::start, Operation::restart}) {
    for (const bool told : {false, true}) {
      ShardScene scene;
      scene.add("ended", failing(), options_of(TaskType::detachable, 0));
      scene.add("runs", obedient());
      scene.run();
      scene.owner.is_stopping = true;
      if (told) scene.begin_stop();
      scene.shard.operate(0, operation);
      scene.shard.operate(1, operation);
      if (!told) scene.begin_stop();
      scene.run();
      CHECK(scene.sink.lines("ended").back() == "ended discarded");
      CHECK(scene.sink.lines("runs") == Lines{"runs started 1", "runs stopping 1", "runs stopped 1"});
      CHECK(scene.owner.ended == 1);
    }
  }
}

TEST_CASE("an operator's restart of a task that does not stop drops it, and starts it then") {
  for (const bool supervised : {false, true}) {
    ShardScene scene;
    TaskOptions options = options_of(TaskType::mandatory, 3, 2s);
    if (supervised) options = with(options, {.reset_after = 1h});
    scene.add("t", deaf(), options);
    scene.run();
    scene.shard.operate(0, Operation::restart);
    scene.sleep(1999ms);
    CHECK(scene.sink.lines().back() == "t stopping 1");
    scene.sleep(2ms);
    CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1", "t started 2"});
    CHECK(scene.owner.abandoned == 0);
    // The host's stop has a deadline of its own.
    scene.begin_stop();
    scene.run();
    scene.sleep(1s);
    CHECK(scene.sink.lines().back() == "t stopping 2");
    scene.sleep(1s + 1ms);
    CHECK(scene.sink.lines().back() == "t stopped 2");
  }
}

TEST_CASE("an operator's order for a task that a thread is stuck in counts at once, and it is abandoned in time") {
  for (const bool supervised : {false, true}) {
    for (const bool returns : {false, true}) {
      ShardScene scene;
      const auto recipe = stepping([&, first = true](Execution& execution) mutable {
        if (!std::exchange(first, false)) return execution.stop_requested() ? Status::ok : Status::pending;
        scene.take_over(100ms);  // does not return while all of this happens
        scene.shard.operate(0, Operation::restart);
        scene.run();
        CHECK(scene.sink.lines().back() == "t stopping 1");
        scene.sleep(299ms);
        if (returns) return Status::pending;
        scene.sleep(2ms);
        CHECK(scene.owner.abandoned == 1);
        scene.shard.operate(0, Operation::start);
        scene.run();
        return Status::pending;
      });
      TaskOptions options = options_of(TaskType::detachable, 3, 300ms);
      if (supervised) options = with(options, {.reset_after = 1h});
      scene.add("t", recipe, options);
      scene.run();
      scene.last.lost = false;
      scene.run();
      const Lines restarted{"t started 1", "t stopping 1", "t stopped 1", "t started 2"};
      const Lines lost{"t started 1", "t stopping 1", "t abandoned 1", "t discarded"};
      CHECK(scene.sink.lines() == (returns ? restarted : lost));
      CHECK(scene.owner.ended == (returns ? 0 : 1));
      CHECK(scene.owner.causes.empty());
    }
  }
}

TEST_CASE("a mandatory task that an operator can't stop stops the host") {
  ShardScene scene;
  Script script;
  script.blocking = true;
  script.step = [](void*, Execution&) { return Status::ok; };
  scene.add("t", recipe_of(std::move(script)), options_of(TaskType::mandatory, 3, 1s));
  scene.run();
  scene.shard.operate(0, Operation::stop);
  scene.sleep(1s + 1ms);
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t abandoned 1"});
  REQUIRE(scene.owner.causes.size() == 1);
  CHECK(scene.owner.causes[0].reason == StopReason::not_stopped);
  CHECK(scene.owner.causes[0].failure);
  CHECK(scene.owner.ended == 1);
}

// --- optional fields -------------------------------------------------------------------------------------------------

TEST_CASE("a task with a backoff waits for its delays, and gives up when its budget is used up") {
  ShardScene scene;
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 1s};
  optional.on_give_up = GiveUp::cooldown;
  optional.cooldown = 1min;
  scene.add("t", failing(), with(options_of(TaskType::detachable, 2), optional));
  scene.run();
  scene.sleep(999ms);
  CHECK(scene.sink.count(EventKind::task_started) == 1);
  scene.sleep(2ms);
  CHECK(scene.sink.count(EventKind::task_started) == 2);
  scene.sleep(2s + 1ms);
  CHECK(scene.sink.count(EventKind::task_started) == 3);
  CHECK(scene.sink.count(EventKind::task_gave_up) == 1);
  CHECK(scene.sink.records().back().event.restart_kind == RestartKind::cooldown);
  CHECK(scene.sink.records().back().event.remaining == 2);
  scene.sleep(1min + 1ms);
  CHECK(scene.sink.count(EventKind::task_started) == 4);
  scene.begin_stop();
  scene.run();
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a task that is not ready in time, or is silent for too long, is stopped, and that is an exit") {
  for (const bool starting : {false, true}) {
    for (const bool is_deaf : {false, true}) {
      ShardScene scene;
      SupervisionOptions optional;
      if (starting) {
        optional.notify = true;
        optional.start_timeout = 3s;
      } else {
        optional.watchdog = Watchdog{3s, WatchdogAction::restart};
      }
      scene.add("t", is_deaf ? deaf() : obedient(), with(options_of(TaskType::detachable, 1, 2s), optional));
      scene.run();
      scene.sleep(2999ms);
      CHECK(scene.sink.lines() == Lines{"t started 1"});
      scene.sleep(2ms);
      if (is_deaf) {
        CHECK(scene.sink.lines().back() == "t stopping 1");
        scene.sleep(2s);
      }
      CHECK(scene.sink.lines() ==
            Lines{"t started 1", "t stopping 1", "t exited 1 error", "t restarting", "t started 2"});
      CHECK(scene.sink.told("t", starting ? "was not ready within 3s" : "no heartbeat for 3s"));
    }
  }
}

TEST_CASE("a heartbeat puts the watchdog off, and a silence is warned of once") {
  ShardScene scene;
  bool beats = true;
  const auto recipe = stepping([&](Execution& execution) {
    if (beats) execution.heartbeat();
    execution.wake_after(to_nanoseconds(1s));
    return Status::pending;
  });
  scene.add("t", recipe, with({}, {.watchdog = Watchdog{3s, WatchdogAction::log}}));
  scene.run();
  scene.sleep(1min);
  CHECK(scene.sink.count(EventKind::task_stalled) == 0);
  beats = false;
  scene.sleep(1min);
  REQUIRE(scene.sink.count(EventKind::task_stalled) == 1);
  CHECK(scene.sink.records().back().event.stalled_ms >= 3000);
  CHECK(scene.sink.records().back().event.message == "no heartbeat for 3s");
}

TEST_CASE("a standstill of the process charges no task: its timer is armed anew, once") {
  for (const bool starting : {false, true}) {
    ShardScene scene;
    SupervisionOptions optional;
    if (starting) {
      optional.notify = true;
      optional.start_timeout = 3s;
    } else {
      optional.watchdog = Watchdog{3s, WatchdogAction::restart};
    }
    scene.add("t", obedient(), with(options_of(TaskType::detachable, 1), optional));
    scene.run();
    scene.advance(1h);
    CHECK(scene.sink.lines() == Lines{"t started 1"});
    scene.sleep(2999ms);
    CHECK(scene.sink.lines() == Lines{"t started 1"});
    scene.sleep(2ms);
    CHECK(scene.sink.count(EventKind::task_exited) == 1);
  }
}

TEST_CASE("readiness ends start_timeout, be it said in the start, in a poll, or before the start is over") {
  for (const bool in_start : {false, true}) {
    ShardScene scene;
    Script script;
    script.start = [in_start](void*, Execution& execution) {
      if (in_start) execution.ready();
      return Status::ok;
    };
    script.step = [in_start](void*, Execution& execution) {
      if (!in_start) execution.ready();
      return Status::pending;
    };
    SupervisionOptions optional;
    optional.notify = true;
    optional.start_timeout = 3s;
    scene.add("t", recipe_of(std::move(script)), with({}, optional));
    scene.run();
    scene.sleep(1h);
    CHECK(scene.sink.lines() == Lines{"t started 1", "t ready 1"});
  }
}

TEST_CASE("an execution that lived long enough gives the budget back") {
  ShardScene scene;
  const auto recipe = stepping([first = true](Execution& execution) mutable {
    execution.wake_after(to_nanoseconds(10s));
    return std::exchange(first, false) || execution.number() % 2 == 0 ? Status::pending : Status::error;
  });
  scene.add("t", recipe, with(options_of(TaskType::mandatory, 1), {.reset_after = 5s}));
  scene.run();
  scene.sleep(11s);
  CHECK(scene.sink.count(EventKind::task_restarting) == 1);
  CHECK(scene.owner.causes.empty());
}

TEST_CASE("nothing is watched, delayed or started any more once the host stops") {
  ShardScene scene;
  SupervisionOptions slow;
  slow.notify = true;
  slow.start_timeout = 1s;
  scene.add("slow", deaf(), with(options_of(TaskType::mandatory, 1, 10s), slow));
  scene.add("delayed", failing(), with(options_of(TaskType::mandatory, 1), {.backoff = Backoff{.initial = 1s}}));
  scene.run();
  scene.owner.is_stopping = true;  // which the shard has not heard yet
  scene.sleep(2s);
  CHECK(scene.sink.lines("slow") == Lines{"slow started 1"});
  CHECK(scene.sink.count(EventKind::task_started, "delayed") == 1);
  scene.begin_stop();
  scene.run();
  scene.sleep(11s);
  CHECK(scene.sink.lines("slow") == Lines{"slow started 1", "slow stopping 1", "slow stopped 1"});
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a start that fails has been up for no time") {
  for (const bool supervised : {false, true}) {
    ShardScene scene;
    Script script;
    script.start = [&scene](void*, Execution&) {
      scene.clock.advance(5s);
      return Status::error;
    };
    TaskOptions options = options_of(TaskType::detachable, 0);
    if (supervised) options = with(options, {.notify = true});
    scene.add("t", recipe_of(std::move(script)), options);
    scene.run();
    REQUIRE(scene.sink.count(EventKind::task_exited) == 1);
    for (const Record& record : scene.sink.records()) CHECK(record.event.uptime_ms == 0);
  }
}

// --- who comes first -------------------------------------------------------------------------------------------------

TEST_CASE("an order that came while a call ran counts before what that call comes to") {
  for (const bool supervised : {false, true}) {
    for (const Operation operation : {Operation::stop, Operation::restart}) {
      ShardScene scene;
      const auto recipe = stepping([&](Execution& execution) {
        if (execution.number() == 1) scene.shard.order(0, operation);
        return execution.number() == 1 ? Status::error : Status::pending;
      });
      TaskOptions options = options_of(TaskType::mandatory, 0);
      if (supervised) options = with(options, {.notify = true});
      scene.add("t", recipe, options);
      scene.run();
      Lines lines{"t started 1", "t stopping 1", "t stopped 1"};
      if (operation == Operation::restart) lines.push_back("t started 2");
      CHECK(scene.sink.lines() == lines);
      CHECK(scene.owner.causes.empty());
      scene.sleep(1h);
      CHECK(scene.sink.lines() == lines);
    }
  }
}

TEST_CASE("whoever is due when a time limit is over has its turn before that is looked at, however late the shard is") {
  // A neighbour keeps the shard busy, and a hundred others are due as well.
  ShardScene scene;
  scene.add("hog", stepping([&](Execution& execution) {
              if (execution.stop_requested()) return Status::ok;
              execution.wake_after(to_nanoseconds(1s));
              if (scene.clock.now() > 1'000'000'500'000'000) scene.clock.advance(9ms);
              return Status::pending;
            }));
  for (int i = 0; i < 100; ++i) {
    scene.add("beats", stepping([&](Execution& execution) {
                execution.heartbeat();
                execution.wake_after(to_nanoseconds(999ms));
                return execution.stop_requested() ? Status::ok : Status::pending;
              }),
              with(options_of(TaskType::mandatory, 0), {.watchdog = Watchdog{1s, WatchdogAction::restart}}));
  }
  scene.run();
  scene.sleep(20s);
  CHECK(scene.sink.count(EventKind::task_stopping) == 0);
}

TEST_CASE("who has ended, or said that it is ready, in time has not missed start_timeout, whenever that is seen") {
  enum class How { ready, ready_and_stuck, ended };
  for (const How how : {How::ready, How::ready_and_stuck, How::ended}) {
    ShardScene scene;
    SupervisionOptions optional;
    optional.notify = true;
    optional.start_timeout = 100ms;
    Execution* execution = nullptr;
    Script script;
    script.blocking = how == How::ended;
    script.step = [&](void*, Execution& its) {
      execution = &its;
      if (how == How::ended) return Status::ok;
      if (how == How::ready_and_stuck) {
        its.ready();
        scene.take_over(50ms);
        scene.sleep(200ms);
      }
      return Status::pending;
    };
    scene.add("t", recipe_of(std::move(script)), with(options_of(TaskType::detachable, 0), optional));
    scene.run();
    scene.last.lost = false;
    scene.clock.advance(96ms);
    if (how == How::ready) execution->ready();
    if (how == How::ended) scene.owner.calls.front()->run();
    scene.clock.advance(5ms);
    scene.run();
    scene.sleep(1s);
    CHECK(scene.sink.count(EventKind::task_stopping) == 0);
    CHECK(scene.sink.count(EventKind::task_ready) == (how == How::ended ? 0 : 1));
  }
}

TEST_CASE("an execution that lived long enough gives the budget back when it ends by order, too") {
  ShardScene scene;
  const auto recipe = stepping([&](Execution& execution) {
    execution.wake_after(to_nanoseconds(10s));
    if (execution.stop_requested()) return Status::ok;
    return execution.number() == 2 ? Status::pending : Status::error;
  });
  scene.add("t", recipe, with(options_of(TaskType::detachable, 1), {.reset_after = 5s}));
  scene.run();
  REQUIRE(scene.sink.count(EventKind::task_restarting) == 1);
  scene.sleep(6s);
  scene.shard.operate(0, Operation::restart);
  scene.run();
  CHECK(scene.sink.count(EventKind::task_restarting) == 2);
}

TEST_CASE("a shard that is given up has asked its blocking tasks to end") {
  ShardScene scene;
  Script script;
  script.blocking = true;
  unsigned reason = 0;
  script.step = [&](void*, Execution& execution) {
    scene.shard.give_up();
    reason = execution.wait_until(0);
    return Status::ok;
  };
  scene.add("t", recipe_of(std::move(script)), options_of(TaskType::mandatory, 0));
  scene.run();
  scene.owner.calls.front()->run();
  CHECK((reason & wait_stop) != 0);
}

TEST_CASE("the report of a task that an operator could not stop counts from his order") {
  ShardScene scene;
  Script script;
  script.blocking = true;
  script.step = [](void*, Execution&) { return Status::ok; };
  scene.add("t", recipe_of(std::move(script)), options_of(TaskType::detachable, 3, 1s));
  scene.run();
  scene.shard.operate(0, Operation::stop);
  scene.sleep(1s + 1ms);
  REQUIRE(scene.owner.stragglers.size() == 1);
  CHECK(scene.owner.stragglers[0].for_time >= 1'000'000'000);
  CHECK(scene.owner.stragglers[0].for_time < 1'100'000'000);
}

TEST_CASE("a blocking task that ends when its stop_timeout does is abandoned if its drop is stuck then") {
  ShardScene scene;
  Script script;
  script.blocking = true;
  script.step = [](void*, Execution&) { return Status::ok; };
  script.drop = [&](void*) {
    scene.take_over();
    scene.run();
    scene.sleep(1s);
  };
  scene.add("t", recipe_of(std::move(script)), options_of(TaskType::detachable, 0, 300ms));
  scene.run();
  scene.shard.operate(0, Operation::stop);
  scene.clock.advance(300ms);
  scene.run_blocking();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t abandoned 1", "t discarded"});
  CHECK(scene.owner.abandoned == 1);
}
