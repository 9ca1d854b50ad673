// What a shard says of a task that the coordinator supervises.
#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

// An execution that takes its time with each thing: how long it lived, as its shard tells it.
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

}  // namespace

TEST_CASE("an execution lives from the end of its start, or from when it says that it is ready, to its end") {
  CHECK(lived(false, 7s, 2s, 5s, false) == 7 * second);  // saying so means nothing
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
    scene.take_over(100ms);  // and does not return while all of this happens
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
  CHECK(scene.owner.ends[0].ending == Coordinator::Ending::abandoned);
}

TEST_CASE("a task is handed over only when no thread is stuck in it") {
  ShardScene scene;
  std::vector<Shard::HandedOver> taken;
  const auto recipe = stepping([&, stuck = true](Execution&) mutable {
    if (!std::exchange(stuck, false)) return Status::pending;
    scene.take_over(100ms);
    scene.shard.hand_over(0, [&taken](const Shard::HandedOver& handed) { taken.push_back(handed); });
    scene.run();
    CHECK(taken.empty());
    return Status::pending;
  });
  scene.add("t", recipe, options_of(TaskType::mandatory, 3, 1s));
  scene.run();
  scene.last.lost = false;
  scene.run();
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].cell != nullptr);
  CHECK(taken[0].state == Coordinator::State::running);
  CHECK(taken[0].restarts_used == 0);
}

TEST_CASE("a shard that stops hands nothing over, and an order that waited for a stuck thread is answered at once") {
  ShardScene scene;
  std::vector<Shard::HandedOver> taken;
  const auto recipe = stepping([&, stuck = true](Execution&) mutable {
    if (!std::exchange(stuck, false)) return Status::ok;
    scene.take_over(100ms);
    scene.shard.hand_over(0, [&taken](const Shard::HandedOver& handed) { taken.push_back(handed); });
    scene.begin_stop();
    scene.run();
    CHECK(taken.size() == 1);
    return Status::pending;
  });
  scene.add("t", recipe, options_of(TaskType::mandatory, 3, 1s));
  scene.run();
  scene.last.lost = false;
  scene.run();
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].cell == nullptr);
  CHECK(scene.owner.ended == 1);
}
