// A shard that goes on without a task in which a thread is stuck, at every point at which it can be stuck. Really stuck
// calls need threads; here, the test takes the shard over from within a call and goes on with it.
#include <sys/eventfd.h>
#include <unistd.h>

#include <stdexcept>

#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

using Meanwhile = std::function<void(Execution&)>;

// Its first step is stuck while `meanwhile` runs on the new owner's behalf, and then returns `first`; the others return
// `then`.
std::shared_ptr<const ScriptRecipe> stuck_once(ShardScene& scene, Meanwhile meanwhile, Status first,
                                               Status then = Status::pending) {
  auto was_stuck = std::make_shared<bool>(false);
  return stepping([&scene, meanwhile = std::move(meanwhile), first, then, was_stuck](Execution& execution) {
    if (*was_stuck) return then;
    *was_stuck = true;
    scene.take_over();
    meanwhile(execution);
    if (first == Status::panic) throw std::runtime_error("late");
    if (first == Status::error) execution.fail("late");
    return first;
  });
}

std::shared_ptr<const ScriptRecipe> obedient() {
  return stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; });
}

const Meanwhile nothing = [](Execution&) {};

Meanwhile run(ShardScene& scene) {
  return [&scene](Execution&) { scene.run(); };
}

// The turn that loses the shard, and what the new owner then does.
void lose_and_go_on(ShardScene& scene) {
  scene.turn();
  CHECK(scene.last.lost);
  scene.run();
}

}  // namespace

TEST_CASE("a late result counts as usual") {
  struct Row {
    Status status;
    Lines lines;
  };
  const Row rows[] = {
      {Status::ok, {"t started 1", "t exited 1 ok", "t discarded"}},
      {Status::error, {"t started 1", "t exited 1 error", "t restarting", "t started 2"}},
      {Status::panic, {"t started 1", "t exited 1 panic", "t restarting", "t started 2"}},
      {Status::pending, {"t started 1"}},
  };
  for (const Row& row : rows) {
    ShardScene scene;
    const auto recipe = stuck_once(scene, nothing, row.status);
    scene.add("t", recipe, options_of(TaskType::detachable, 1));
    lose_and_go_on(scene);
    CHECK(scene.sink.lines() == row.lines);
    CHECK(recipe->drops == (row.status == Status::pending ? 0 : 1));
    if (row.status == Status::error || row.status == Status::panic) CHECK(scene.sink.told("t", "late"));
    CHECK(scene.owner.abandoned == 0);
  }
}

TEST_CASE("the log tells how long it took until a stalled call came back") {
  ShardScene scene;
  scene.add("t", stepping([&scene](Execution&) {
              scene.take_over(100ms);
              scene.clock.advance(50ms);
              return Status::ok;
            }));
  lose_and_go_on(scene);
  CHECK(scene.sink.logged("t: its poll returned after 150ms"));
}

TEST_CASE("the others go on while one is stalled, with their timers") {
  ShardScene scene;
  int ticks = 0;
  scene.add("before", obedient());
  scene.add("stuck", stuck_once(
                         scene,
                         [&](Execution&) {
                           scene.run();
                           scene.sleep(10ms);
                           CHECK(ticks >= 9);
                         },
                         Status::ok));
  scene.add("ticker", stepping([&ticks](Execution& execution) {
              ++ticks;
              execution.wake_after(1'000'000);
              return Status::pending;
            }));
  lose_and_go_on(scene);
  CHECK(scene.sink.lines("stuck") == Lines{"stuck started 1", "stuck exited 1 ok", "stuck discarded"});
}

TEST_CASE("a stalled start goes on where it left off: with the first poll, or the end") {
  for (const Status status : {Status::ok, Status::error, Status::panic}) {
    ShardScene scene;
    Script script;
    script.start = [&scene, status](void*, Execution& execution) {
      scene.take_over();
      scene.run();
      execution.fail("late");
      return status;
    };
    const auto recipe = recipe_of(script);
    scene.add("t", recipe);
    lose_and_go_on(scene);
    CHECK(recipe->steps == (status == Status::ok ? 1 : 0));
    CHECK(recipe->drops == 0);
    if (status == Status::ok) {
      CHECK(scene.sink.lines() == Lines{"t started 1"});
    } else {
      CHECK(scene.sink.told("t", "late"));
      CHECK(scene.owner.ended == 1);
    }
  }
}

TEST_CASE("a blocking task whose start stalled is launched when that comes back") {
  ShardScene scene;
  Script script;
  script.blocking = true;
  script.start = [&scene](void*, Execution&) {
    scene.take_over();
    scene.run();
    CHECK(scene.owner.calls.empty());
    return Status::ok;
  };
  script.step = [](void*, Execution&) { return Status::ok; };
  scene.add("t", recipe_of(script));
  lose_and_go_on(scene);
  scene.run_blocking();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t exited 1 ok", "t discarded"});
}

TEST_CASE("a blocking task whose start stalled beyond a stop is asked to end, and told so when it runs") {
  ShardScene scene;
  Script script;
  script.blocking = true;
  script.start = [&scene](void*, Execution&) {
    scene.take_over();
    scene.begin_stop();
    scene.run();
    return Status::ok;
  };
  script.step = [](void*, Execution& execution) {
    CHECK(execution.wait_until(never) == wait_stop);
    return Status::ok;
  };
  scene.add("t", recipe_of(script));
  lose_and_go_on(scene);
  scene.run_blocking();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
}

TEST_CASE("a stalled drop comes before the task's end is told, and its restart") {
  for (const bool blocking : {false, true}) {
    ShardScene scene;
    int drops = 0;
    Script script;
    script.blocking = blocking;
    script.step = [](void*, Execution&) { return Status::error; };
    script.drop = [&](void*) {
      if (++drops != 1) return;
      scene.take_over();
      scene.run();
      CHECK(scene.sink.lines() == Lines{"t started 1"});
    };
    scene.add("t", recipe_of(script), options_of(TaskType::detachable, 1));
    scene.turn();
    if (blocking) scene.owner.calls.front()->run();
    if (blocking) scene.turn();
    scene.run();
    const Lines lines = scene.sink.lines();
    REQUIRE(lines.size() >= 4);
    CHECK(Lines(lines.begin(), lines.begin() + 4) ==
          Lines{"t started 1", "t exited 1 error", "t restarting", "t started 2"});
  }
}

TEST_CASE("what a stalled call asked for, before and after it lost its shard, is done when it comes back") {
  ShardScene scene;
  bool woken = false;
  const auto recipe = stepping([&](Execution& execution) {
    if (woken) return Status::ok;
    woken = true;
    scene.take_over();
    execution.ready();
    execution.wake_after(5'000'000);
    return Status::pending;
  });
  scene.add("t", recipe);
  lose_and_go_on(scene);
  CHECK(scene.sink.lines() == Lines{"t started 1", "t ready 1"});
  scene.sleep(6ms);
  CHECK(scene.sink.lines().back() == "t discarded");
}

TEST_CASE("a wake, a timer and a descriptor that come during a stall are not lost") {
  enum class Cause { wake, own_wake, timer, descriptor };
  for (const Cause cause : {Cause::wake, Cause::own_wake, Cause::timer, Cause::descriptor}) {
    ShardScene scene;
    const int event = ::eventfd(0, EFD_CLOEXEC);
    int step = 0;
    scene.add("t", stepping([&](Execution& execution) {
                switch (++step) {
                  case 1:
                    if (cause == Cause::timer) execution.wake_after(1'000'000);
                    if (cause == Cause::descriptor) REQUIRE(execution.watch(event, readable, 0) == Refusal::none);
                    Execution::wake(execution.waker());
                    return Status::pending;
                  case 2: {
                    scene.take_over();
                    const std::uint64_t one = 1;
                    if (cause == Cause::wake) WakePort::wake(execution.waker());
                    if (cause == Cause::own_wake) Execution::wake(execution.waker());
                    if (cause == Cause::descriptor) REQUIRE(::write(event, &one, sizeof one) == sizeof one);
                    scene.run();
                    scene.sleep(5ms);
                    CHECK(step == 2);
                    return Status::pending;
                  }
                  default:
                    return Status::ok;
                }
              }));
    scene.run();
    scene.run();
    CHECK(step == 3);
    CHECK(scene.sink.lines() == Lines{"t started 1", "t exited 1 ok", "t discarded"});
    ::close(event);
  }
}

TEST_CASE("a descriptor that a stalled call forgets does not wake the task any more") {
  ShardScene scene;
  const int event = ::eventfd(1, EFD_CLOEXEC);
  int step = 0;
  scene.add("t", stepping([&](Execution& execution) {
              if (++step > 1) return Status::ok;
              REQUIRE(execution.watch(event, readable, 0) == Refusal::none);
              scene.take_over();
              scene.run();
              REQUIRE(execution.watch(event, 0, 0) == Refusal::none);
              return Status::pending;
            }));
  scene.run();
  scene.run();
  CHECK(step == 1);
  ::close(event);
}

TEST_CASE("several tasks of one shard can be stuck at once, and come back in any order") {
  ShardScene scene;
  // The second one gets stuck in a turn of the new owner, so it comes back first.
  scene.add("first", stuck_once(scene, run(scene), Status::ok));
  scene.add("second", stuck_once(scene, run(scene), Status::error));
  scene.add("third", obedient());
  scene.turn();
  CHECK(scene.last.lost);
  scene.run();
  CHECK(scene.sink.lines("first") == Lines{"first started 1", "first exited 1 ok", "first discarded"});
  CHECK(scene.sink.lines("second").at(1) == "second exited 1 error");
  CHECK(scene.sink.lines("third") == Lines{"third started 1"});
}

TEST_CASE("a stalled task is asked to stop like the others, and is told to have stopped when it ends in time") {
  for (const Status status : {Status::ok, Status::error, Status::pending}) {
    ShardScene scene;
    const auto neighbour = obedient();
    scene.add("neighbour", neighbour);
    scene.add("stuck",
              stuck_once(
                  scene,
                  [&](Execution& execution) {
                    CHECK_FALSE(execution.stop_requested());
                    scene.begin_stop();
                    scene.run();
                    CHECK(execution.stop_requested());
                    CHECK(neighbour->drops == 1);
                  },
                  status, Status::ok),
              options_of(TaskType::mandatory, 3, 5s));
    lose_and_go_on(scene);
    if (status == Status::pending) scene.sleep(6s);
    CHECK(scene.sink.lines("stuck") == Lines{"stuck started 1", "stuck stopping 1", "stuck stopped 1"});
    CHECK(scene.owner.abandoned == 0);
    CHECK(scene.owner.ended == 1);
  }
}

TEST_CASE("a stalled task that does not come back until its stop_timeout is abandoned, and the others are not") {
  ShardScene scene;
  const auto neighbour = obedient();
  const auto stuck = stuck_once(
      scene,
      [&](Execution&) {
        scene.begin_stop();
        scene.run();
        CHECK(scene.owner.ended == 0);
        scene.sleep(5s);
        CHECK(scene.sink.lines("stuck") == Lines{"stuck started 1", "stuck stopping 1", "stuck abandoned 1"});
      },
      Status::ok);
  scene.add("neighbour", neighbour);
  scene.add("stuck", stuck, options_of(TaskType::mandatory, 3, 5s));
  lose_and_go_on(scene);
  CHECK(scene.sink.told("stuck", "its poll did not return"));
  CHECK(scene.sink.lines("neighbour") == Lines{"neighbour started 1", "neighbour stopping 1", "neighbour stopped 1"});
  CHECK(stuck->drops == 0);
  CHECK(scene.owner.abandoned == 1);
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a task that gets stuck when it is asked to stop has its stop_timeout from the request on") {
  ShardScene scene;
  scene.add("t", stepping([&](Execution& execution) {
              if (!execution.stop_requested()) return Status::pending;
              scene.clock.advance(2s);
              scene.take_over(2s);
              scene.run();
              scene.sleep(3s - 1ms);
              CHECK(scene.owner.ended == 0);
              scene.sleep(2ms);
              CHECK(scene.owner.ended == 1);
              return Status::ok;
            }),
            options_of(TaskType::mandatory, 3, 5s));
  scene.run();
  scene.begin_stop();
  lose_and_go_on(scene);
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t abandoned 1"});
}

TEST_CASE("the end of the whole stop abandons a stalled task, wherever it is stuck") {
  for (const Stage stage : {Stage::start, Stage::poll, Stage::drop}) {
    ShardScene scene;
    const auto stuck = [&](Stage here) {
      if (here != stage) return;
      scene.take_over();
      scene.expire_stop();
    };
    Script script;
    script.start = [&stuck](void*, Execution&) {
      stuck(Stage::start);
      return Status::ok;
    };
    script.step = [&stuck](void*, Execution&) {
      stuck(Stage::poll);
      return Status::error;
    };
    script.drop = [&stuck](void*) { stuck(Stage::drop); };
    const auto recipe = recipe_of(script);
    const auto other = obedient();
    scene.add("before", other);
    scene.add("t", recipe, options_of(TaskType::mandatory, 3));
    scene.add("never started", other);
    lose_and_go_on(scene);
    CHECK(scene.sink.lines("before") == Lines{"before started 1", "before stopping 1", "before stopped 1"});
    CHECK(scene.sink.lines("t") == Lines{"t started 1", "t stopping 1", "t abandoned 1"});
    CHECK(scene.sink.lines("never started").empty());
    CHECK(scene.sink.told("t", "its " + std::string(to_string(stage)) + " did not return"));
    CHECK(scene.owner.abandoned == 1);
    CHECK(scene.owner.ended == 1);
  }
}

TEST_CASE("a drop that is stuck after the task's stop ran out of time is abandoned at once") {
  for (const bool host_wide : {false, true}) {
    ShardScene scene;
    Script script;
    script.drop = [&scene](void*) { scene.take_over(); };
    const auto recipe = recipe_of(script);
    const auto other = stepping([](Execution&) { return Status::pending; });
    scene.add("t", recipe, options_of(TaskType::detachable, 0, 1s));
    scene.add("other", other, options_of(TaskType::detachable, 0, 2s));
    scene.run();
    scene.begin_stop();
    scene.run();
    if (host_wide) {
      const Tenure* const before = &scene.shard.tenure();
      scene.expire_stop();
      CHECK(&scene.shard.tenure() != before);
      scene.run();  // the new owner goes on with it
    } else {
      scene.sleep(1s);
      CHECK(scene.last.lost);
      scene.last.lost = false;
      scene.run();
      scene.sleep(2s);
    }
    CHECK(recipe->drops == 1);
    CHECK(other->drops == 1);
    CHECK(scene.sink.lines("t") == Lines{"t started 1", "t stopping 1", "t abandoned 1"});
    CHECK(scene.sink.lines("other") == Lines{"other started 1", "other stopping 1", "other stopped 1"});
    CHECK(scene.owner.abandoned == 1);
    CHECK(scene.owner.ended == 1);
  }
}

TEST_CASE("a task that came back at the very moment at which its stop ran out of time is stopped, not abandoned") {
  ShardScene scene;
  const auto stuck = stuck_once(
      scene,
      [&](Execution&) {
        scene.begin_stop();
        scene.run();
      },
      Status::pending, Status::pending);
  scene.add("t", stuck, options_of(TaskType::detachable, 0, 5s));
  scene.turn();
  CHECK(scene.last.lost);
  scene.clock.advance(5s);  // it is back, but nobody has checked yet
  scene.run();
  scene.run();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
  CHECK(stuck->drops == 1);
  CHECK(scene.owner.abandoned == 0);
}

TEST_CASE("what a call that was abandoned still asks for, and throws, changes nothing") {
  ShardScene scene;
  const auto stuck = stuck_once(
      scene,
      [&](Execution& execution) {
        scene.expire_stop();
        execution.wake_after(0);
        Execution::wake(execution.waker());
        execution.ready();
        execution.fail("late");
      },
      Status::panic);
  scene.add("t", stuck, options_of(TaskType::mandatory, 3));
  scene.turn();
  CHECK(scene.last.lost);
  scene.run();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t abandoned 1"});
  CHECK(stuck->drops == 0);
}

TEST_CASE("of a shard that is given up, each task is told and counted once, and the thread that comes back leaves it") {
  for (const bool stopping : {false, true}) {
    ShardScene scene;
    int steps = 0;
    const auto stuck = stepping([&](Execution&) {
      ++steps;
      if (stopping) scene.begin_stop();
      Tenure& tenure = scene.shard.tenure();
      REQUIRE(tenure.pin(tenure.look()));
      scene.shard.give_up();
      tenure.give_up();
      return Status::ok;
    });
    Script blocking;
    blocking.blocking = true;
    const auto polled = stepping([](Execution&) { return Status::pending; });
    const auto worker = recipe_of(blocking);
    scene.add("polled", polled);
    scene.add("worker", worker);
    scene.add("stuck", stuck, options_of(TaskType::mandatory, 3));
    scene.add("never started", polled);
    scene.turn();
    CHECK(scene.last.lost);
    for (const char* name : {"polled", "worker", "stuck"}) {
      const std::string task = name;
      CHECK(scene.sink.lines(task) == Lines{task + " started 1", task + " stopping 1", task + " abandoned 1"});
    }
    CHECK(scene.sink.lines("never started").empty());
    CHECK(scene.owner.ended == 1);
    CHECK(scene.owner.abandoned == 3);
    REQUIRE(scene.owner.stragglers.size() == 3);
    CHECK(scene.owner.stragglers[0].where.empty());
    CHECK(scene.owner.stragglers[1].where == "run");
    CHECK(scene.owner.stragglers[2].where == "poll");
    CHECK(polled->drops == 0);
    CHECK(stuck->drops == 0);
    // From now on, nothing reaches it any more.
    scene.begin_stop();
    scene.expire_stop();
    CHECK(polled->drops == 0);
    CHECK(scene.owner.ended == 1);
    scene.owner.calls.clear();
  }
}
