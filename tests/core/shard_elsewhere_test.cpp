// Executions that live in another process: their start goes on after its call, and they can crash alone.
#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

constexpr Nanoseconds second = 1'000'000'000;

using Facts = std::vector<std::string>;

// What its step is to do, from now on.
struct Elsewhere {
  bool is_ready_in_start = false;
  bool has_started = false;
  bool is_ready = false;
  bool has_crashed = false;
  bool is_deaf = false;
};

class ElsewhereRecipe final : public Recipe {
 public:
  explicit ElsewhereRecipe(const Elsewhere& it) : Recipe(0, 1, false), it_(it) {}
  bool starts_later() const noexcept override { return true; }
  Status start(void*, Execution& execution) const override {
    if (it_.is_ready_in_start) execution.ready();
    return Status::ok;
  }
  Status step(void*, Execution& execution) const override {
    execution.wake_after(1'000'000);
    if (it_.has_started) execution.started();
    if (it_.is_ready) execution.ready();
    if (it_.has_crashed) {
      execution.crashed("killed by SIGSEGV");
      return Status::error;
    }
    return execution.stop_requested() && !it_.is_deaf ? Status::ok : Status::pending;
  }
  void drop(void*) const override {}

 private:
  const Elsewhere& it_;
};

struct ElsewhereScene : ShardScene {
  TaskCell& place(const SupervisionOptions& optional, bool coordinated) {
    TaskOptions options = options_of(TaskType::mandatory, 3, 1h);
    options.optional = std::make_shared<const SupervisionOptions>(optional);
    return shard.add(TaskFn(std::make_shared<const ElsewhereRecipe>(it)), options, "t", 0, coordinated);
  }
  void go_on(std::chrono::nanoseconds by = 10ms) {
    advance(by);
    advance(1ms);  // the timer's tick
  }

  Elsewhere it;
};

}  // namespace

TEST_CASE("a start that goes on is over when a step says so, and only then does the coordinator hear of it") {
  ElsewhereScene scene;
  TaskCell& cell = scene.place({}, true);
  scene.shard.order_start(cell, 3);
  scene.go_on();
  CHECK(scene.owner.facts == Facts{"begun 0"});
  scene.it.has_started = true;
  scene.go_on();
  CHECK(scene.owner.facts == Facts{"begun 0", "started 0"});
  scene.go_on();
  CHECK(scene.owner.facts == Facts{"begun 0", "started 0"});  // once
  scene.it.is_ready = true;
  scene.go_on();
  CHECK(scene.owner.facts == Facts{"begun 0", "started 0", "ready 0"});
}

TEST_CASE("it may have started and be ready in one step") {
  ElsewhereScene scene;
  TaskCell& cell = scene.place({}, true);
  scene.shard.order_start(cell, 3);
  scene.it.has_started = scene.it.is_ready = true;
  scene.go_on();
  CHECK(scene.owner.facts == Facts{"begun 0", "started 0", "ready 0"});
}

TEST_CASE("one that says first that it is ready is so once its start is over") {
  for (const bool in_start : {false, true}) {
    INFO(in_start);
    ElsewhereScene scene;
    TaskCell& cell = scene.place({}, true);
    scene.it.is_ready_in_start = in_start;
    scene.it.is_ready = !in_start;
    scene.shard.order_start(cell, 3);
    scene.go_on();
    CHECK(scene.owner.facts == Facts{"begun 0"});
    scene.it.has_started = true;
    scene.go_on();
    CHECK(scene.owner.facts == Facts{"begun 0", "started 0", "ready 0"});
  }
}

TEST_CASE("its next execution has yet to start") {
  ElsewhereScene scene;
  TaskCell& cell = scene.place({}, true);
  scene.shard.order_start(cell, 3);
  scene.it.has_started = true;
  scene.go_on();
  scene.it.has_started = false;
  scene.it.has_crashed = true;
  scene.go_on();
  scene.it = {};
  scene.owner.facts.clear();
  scene.shard.order_start(cell, 2);
  scene.go_on();
  CHECK(scene.owner.facts == Facts{"begun 0"});
}

TEST_CASE("it is asked to end though its start goes on") {
  ElsewhereScene scene;
  TaskCell& cell = scene.place({}, true);
  scene.shard.order_start(cell, 3);
  scene.go_on();
  scene.shard.order_stop(cell);
  scene.go_on();
  CHECK(scene.owner.facts == Facts{"begun 0", "ended 0"});
}

TEST_CASE("start_timeout judges a start that goes on") {
  ElsewhereScene scene;
  scene.place({.notify = true, .start_timeout = 5s}, false);
  scene.run();
  const Nanoseconds begin = scene.clock.now();
  scene.sleep_until(begin + 4 * second);
  CHECK(scene.sink.count(EventKind::task_exited) == 0);
  scene.sleep_until(begin + 6 * second);
  CHECK(scene.sink.count(EventKind::task_exited) == 1);
}

TEST_CASE("one that has died in its process has crashed, and with it its budget is charged") {
  ElsewhereScene scene;
  scene.place({}, false);
  scene.it.has_started = scene.it.has_crashed = true;
  scene.go_on();
  const std::vector<Record> records = scene.sink.records();
  const auto exit = std::find_if(records.begin(), records.end(),
                                 [](const Record& one) { return one.event.kind == EventKind::task_exited; });
  REQUIRE(exit != records.end());
  CHECK(exit->event.outcome == Outcome::crashed);
  CHECK(exit->event.message == "killed by SIGSEGV");
  CHECK(scene.sink.count(EventKind::task_gave_up) == 1);
}

TEST_CASE("a crash counts for one end, not for the next") {
  ShardScene scene;
  scene.add("t", stepping([](Execution& execution) {
              if (execution.number() == 1) execution.crashed("killed by SIGBUS");
              return Status::error;
            }),
            options_of(TaskType::detachable, 1));
  scene.run();
  std::vector<Outcome> outcomes;
  for (const Record& record : scene.sink.records()) {
    if (record.event.kind == EventKind::task_exited) outcomes.push_back(record.event.outcome);
  }
  CHECK(outcomes == std::vector<Outcome>{Outcome::crashed, Outcome::error});
}

TEST_CASE("a crash that an execution survives is forgotten at its end") {
  ShardScene scene;
  scene.add("t", stepping([](Execution& execution) {
              if (execution.number() != 1) return Status::error;
              execution.crashed("killed by SIGBUS");
              return Status::ok;
            }),
            options_of(TaskType::mandatory, 1));
  scene.run();
  std::vector<Outcome> outcomes;
  for (const Record& record : scene.sink.records()) {
    if (record.event.kind == EventKind::task_exited) outcomes.push_back(record.event.outcome);
  }
  CHECK(outcomes == std::vector<Outcome>{Outcome::ok, Outcome::error});
}

TEST_CASE("one that crashes before its start is over was never up") {
  for (const bool has_started : {false, true}) {
    INFO(has_started);
    ElsewhereScene scene;
    scene.place({}, false);
    scene.it.has_started = has_started;
    scene.go_on(50ms);
    scene.it.has_crashed = true;
    scene.go_on();
    const std::vector<Record> records = scene.sink.records();
    const auto exit = std::find_if(records.begin(), records.end(),
                                   [](const Record& one) { return one.event.kind == EventKind::task_exited; });
    REQUIRE(exit != records.end());
    CHECK(exit->event.outcome == Outcome::crashed);
    CHECK((exit->event.uptime_ms != 0) == has_started);
  }
}

TEST_CASE("one that is deaf to the stop while its start goes on is dropped, and can be started again") {
  ElsewhereScene scene;
  TaskOptions options = options_of(TaskType::mandatory, 3, 1s);
  options.optional = std::make_shared<const SupervisionOptions>(SupervisionOptions{.isolated = true});
  scene.it.is_deaf = true;
  scene.shard.add(TaskFn(std::make_shared<const ElsewhereRecipe>(scene.it)), options, "t", 0);
  scene.run();
  const Nanoseconds begin = scene.clock.now();
  scene.shard.operate(0, Operation::restart);
  scene.sleep_until(begin + 2 * second);
  CHECK(scene.sink.count(EventKind::task_abandoned) == 0);
  CHECK(scene.sink.count(EventKind::task_stopped) == 1);
  CHECK(scene.sink.count(EventKind::task_started) == 2);
}

TEST_CASE("numbers of executions go on from those of another process") {
  struct Owner final : FakeOwner {
    std::uint64_t executions_before() const noexcept override { return 41; }
  };
  Owner owner;
  RecordingSink sink;
  VirtualClock clock;
  std::uint64_t number = 0;
  Shard shard(owner, sink, clock, true);
  shard.add(TaskFn(stepping([&number](Execution& execution) {
              number = execution.number();
              return Status::ok;
            })),
            {}, "t", 0);
  shard.turn();
  CHECK(number == 42);
}
