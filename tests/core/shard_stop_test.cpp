// A stop at every point at which it can come.
#include <boost/asio/post.hpp>
#include <stdexcept>
#include <utility>

#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

// Ends well when asked to.
std::shared_ptr<const ScriptRecipe> obedient() {
  return stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; });
}

// Never ends.
std::shared_ptr<const ScriptRecipe> deaf() {
  return stepping([](Execution&) { return Status::pending; });
}

Script blocking_script() {
  Script script;
  script.blocking = true;
  return script;
}

}  // namespace

TEST_CASE("a stop_timeout that comes far too late is counted anew, once: the task has its turn first") {
  ShardScene scene;
  const auto saves = stepping([asked = false](Execution& execution) mutable {
    if (!execution.stop_requested()) return Status::pending;
    if (std::exchange(asked, true)) return Status::ok;
    execution.wake_after(500'000'000);  // what it still has to do takes 0.5 s
    return Status::pending;
  });
  scene.add("saves", saves, options_of(TaskType::mandatory, 3, 1s));
  scene.add("deaf", deaf(), options_of(TaskType::mandatory, 3, 1s));
  scene.run();
  scene.begin_stop();
  scene.run();
  scene.advance(60s);
  CHECK(scene.sink.records().back().event.message.empty());  // it was not dropped
  CHECK(scene.sink.lines("saves") == Lines{"saves started 1", "saves stopping 1", "saves stopped 1"});
  CHECK(scene.sink.lines("deaf") == Lines{"deaf started 1", "deaf stopping 1"});
  scene.advance(999ms);
  CHECK(scene.owner.ended == 0);
  scene.advance(60s);
  CHECK(scene.sink.lines("deaf") == Lines{"deaf started 1", "deaf stopping 1", "deaf stopped 1"});
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a task that was never started ends with the stop, and without an event") {
  ShardScene scene;
  const auto recipe = obedient();
  scene.add("t", recipe);
  scene.begin_stop();
  scene.run();
  CHECK(scene.sink.lines().empty());
  CHECK(recipe->starts == 0);
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a running task is asked, ends, and is told to have stopped whatever it returns") {
  for (const Status status : {Status::ok, Status::error, Status::panic}) {
    ShardScene scene;
    const auto recipe = stepping([status](Execution& execution) {
      if (!execution.stop_requested()) return Status::pending;
      if (status == Status::panic) throw std::runtime_error("on the way out");
      if (status == Status::error) execution.fail("on the way out");
      return status;
    });
    scene.add("t", recipe, options_of(TaskType::mandatory, 3));
    scene.run();
    scene.begin_stop();
    scene.run();
    CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
    CHECK(scene.sink.records().back().event.outcome == Outcome::cancelled);
    CHECK(scene.sink.records().back().event.message == (status == Status::ok ? "" : "on the way out"));
    CHECK(scene.owner.causes.empty());
    CHECK(recipe->drops == 1);
    CHECK(scene.owner.ended == 1);
  }
}

TEST_CASE("a task whose restart is due when the stop comes is not started again") {
  ShardScene scene;
  const auto recipe = stepping([&scene](Execution&) {
    boost::asio::post(scene.shard.context(), [&scene] { scene.begin_stop(); });
    return Status::error;
  });
  // So many tasks that restarts are still queued when the first turn ends.
  for (int i = 0; i < 1024; ++i) scene.add("t", recipe, options_of(TaskType::mandatory, 3));
  scene.turn();
  CHECK(recipe->starts == 1024);
  scene.run();
  CHECK(recipe->starts == 1024);
  CHECK(recipe->drops == 1024);
  CHECK(scene.sink.count(EventKind::task_stopping) == 0);
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a task that has ended is not told to stop") {
  ShardScene scene;
  scene.add("short", stepping([](Execution&) { return Status::ok; }));
  scene.add("long", obedient());
  scene.run();
  scene.begin_stop();
  scene.run();
  CHECK(scene.sink.lines("short") == Lines{"short started 1", "short exited 1 ok", "short discarded"});
  CHECK(scene.sink.lines("long") == Lines{"long started 1", "long stopping 1", "long stopped 1"});
}

TEST_CASE("a second stop changes nothing") {
  ShardScene scene;
  const auto recipe = deaf();
  scene.add("t", recipe, options_of(TaskType::detachable, 0, 5s));
  scene.run();
  scene.begin_stop();
  scene.run();
  scene.sleep(3s);
  scene.begin_stop();
  scene.sleep(3s);
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
  CHECK(recipe->drops == 1);
}

TEST_CASE("a stop that an execution causes itself, from within its step, asks it like the others") {
  ShardScene scene;
  const auto recipe = stepping([&scene](Execution& execution) {
    if (execution.stop_requested()) return Status::ok;
    boost::asio::post(scene.shard.context(), [&scene] { scene.begin_stop(); });
    return Status::pending;
  });
  scene.add("t", recipe);
  scene.run();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
}

TEST_CASE("a deaf polled task is dropped at its stop_timeout, and not before") {
  ShardScene scene;
  const auto recipe = deaf();
  scene.add("t", recipe, options_of(TaskType::mandatory, 3, 5s));
  scene.run();
  scene.begin_stop();
  scene.run();
  scene.sleep(5s - 1ns);
  CHECK(recipe->drops == 0);
  CHECK(scene.owner.ended == 0);
  scene.sleep(1ms);
  CHECK(recipe->drops == 1);
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
  CHECK(scene.sink.told("t", "did not stop in time and was dropped"));
  CHECK(scene.owner.ended == 1);
  CHECK(scene.owner.abandoned == 0);
}

TEST_CASE("each deaf task has its own stop_timeout") {
  ShardScene scene;
  scene.add("slow", deaf(), options_of(TaskType::detachable, 0, 3s));
  scene.add("quick", deaf(), options_of(TaskType::detachable, 0, 1s));
  scene.add("middle", deaf(), options_of(TaskType::detachable, 0, 2s));
  scene.run();
  scene.begin_stop();
  scene.run();
  const auto stopped = [&scene] { return scene.sink.count(EventKind::task_stopped); };
  scene.sleep(1500ms);
  CHECK(stopped() == 1);
  CHECK(scene.sink.lines().back() == "quick stopped 1");
  scene.sleep(1s);
  CHECK(stopped() == 2);
  CHECK(scene.sink.lines().back() == "middle stopped 1");
  scene.sleep(1s);
  CHECK(stopped() == 3);
}

TEST_CASE("with a stop_timeout of 0 a task is asked once, and dropped if it does not end at that") {
  ShardScene scene;
  const auto obedient_one = obedient();
  const auto deaf_one = deaf();
  scene.add("obedient", obedient_one, options_of(TaskType::detachable, 0, 0s));
  scene.add("deaf", deaf_one, options_of(TaskType::detachable, 0, 0s));
  scene.run();
  scene.begin_stop();
  scene.run();
  scene.sleep(1ms);
  CHECK(obedient_one->steps == 2);
  CHECK(scene.sink.count(EventKind::task_stopped) == 2);
  CHECK_FALSE(scene.sink.told("obedient", "did not stop in time and was dropped"));
  CHECK(scene.sink.told("deaf", "did not stop in time and was dropped"));
}

TEST_CASE("a stop_timeout without end is waited for without end") {
  ShardScene scene;
  const auto recipe = deaf();
  scene.add("t", recipe, options_of(TaskType::detachable, 0, std::chrono::nanoseconds::max()));
  scene.run();
  scene.begin_stop();
  scene.sleep(24h);
  CHECK(recipe->drops == 0);
}

TEST_CASE("when the host's time is up, all that live are dropped at once") {
  ShardScene scene;
  const auto recipe = deaf();
  for (int i = 0; i < 3; ++i) scene.add("t", recipe);
  scene.run();
  scene.begin_stop();
  scene.run();
  scene.expire_stop();
  CHECK(recipe->drops == 3);
  CHECK(scene.sink.count(EventKind::task_stopped) == 3);
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("when the host's time is up, a fleet is dropped in turns, so that other things have theirs") {
  ShardScene scene;
  const auto recipe = deaf();
  for (int i = 0; i < 5000; ++i) scene.add("t", recipe);
  scene.run();
  scene.shard.expire_stop();
  (void)scene.shard.turn();
  CHECK(recipe->drops > 500);
  CHECK(recipe->drops <= 1024);
  scene.run();
  CHECK(recipe->drops == 5000);
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("when the host's time is up before the stop has begun, it begins and ends at once") {
  ShardScene scene;
  const auto recipe = deaf();
  scene.add("t", recipe);
  scene.run();
  scene.expire_stop();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
  CHECK(recipe->drops == 1);
}

TEST_CASE("wherever a stop comes in a storm of starts, steps and restarts, each start that succeeded has one drop") {
  for (int stop_at = 0; stop_at < 40; ++stop_at) {
    for (const bool expire : {false, true}) {
      INFO("stop after turn " << stop_at << (expire ? ", expired" : ""));
      ShardScene scene;
      int count = 0;
      const auto random_end = [&count](int modulus) { return ++count % modulus == 0; };
      Script script;
      script.start = [&](void*, Execution&) { return random_end(7) ? Status::error : Status::ok; };
      script.step = [&](void*, Execution& execution) {
        if (random_end(3)) return Status::error;
        if (random_end(11)) throw std::runtime_error("now and then");
        Execution::wake(execution.waker());
        return execution.stop_requested() && random_end(2) ? Status::ok : Status::pending;
      };
      const auto recipe = recipe_of(script);
      for (int i = 0; i < 5; ++i) scene.add("t", recipe, options_of(TaskType::mandatory, 1'000'000, 1s));
      // Turns with few calls, so that the stop finds tasks in every state.
      int calls = 0;
      scene.add("brake", stepping([&](Execution& execution) {
                  if (++calls % 3 == 0) scene.clock.advance(1ms);
                  Execution::wake(execution.waker());
                  return execution.stop_requested() ? Status::ok : Status::pending;
                }));
      for (int i = 0; i < stop_at; ++i) scene.turn();
      scene.begin_stop();
      if (expire) scene.expire_stop();
      const int starts = recipe->starts;
      scene.sleep(5s);
      CHECK(recipe->starts == starts);
      CHECK(recipe->drops == recipe->made);
      CHECK(scene.owner.ended == 1);
      // In the stream, too, each start has exactly one end.
      CHECK(scene.sink.count(EventKind::task_started) ==
            scene.sink.count(EventKind::task_exited) + scene.sink.count(EventKind::task_stopped));
    }
  }
}

TEST_CASE("a blocking execution is told of the stop, and ends in time") {
  ShardScene scene;
  unsigned seen = 0;
  Script script = blocking_script();
  script.step = [&seen](void*, Execution& execution) {
    seen = execution.wait_until(never);
    CHECK(execution.stop_requested());
    return Status::ok;
  };
  const auto recipe = recipe_of(script);
  scene.add("t", recipe);
  scene.run();
  scene.begin_stop();
  scene.run_blocking();
  CHECK(seen == wait_stop);
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
  CHECK(recipe->drops == 1);
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a blocking execution that does not end in time is abandoned, and not dropped") {
  ShardScene scene;
  Script script = blocking_script();
  const auto recipe = recipe_of(script);
  scene.add("t", recipe, options_of(TaskType::detachable, 0, 1s));
  scene.run();
  scene.begin_stop();
  scene.run();
  scene.sleep(1s - 1ns);
  CHECK(scene.owner.abandoned == 0);
  scene.sleep(1s);
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t abandoned 1"});
  CHECK(scene.owner.abandoned == 1);
  CHECK(scene.owner.ended == 1);
  CHECK(recipe->drops == 0);

  scene.run_blocking();  // returns after all, without any effect
  CHECK(scene.sink.lines().size() == 3);
  CHECK(recipe->drops == 0);
}

TEST_CASE("a blocking execution that ended before its deadline was looked at has stopped in time") {
  for (const bool host_wide : {false, true}) {
    ShardScene scene;
    Script script = blocking_script();
    script.step = [](void*, Execution&) { return Status::ok; };
    const auto recipe = recipe_of(script);
    scene.add("t", recipe, options_of(TaskType::detachable, 0, 1s));
    scene.run();
    scene.begin_stop();
    scene.owner.calls.front()->run();
    scene.clock.advance(1h);
    if (host_wide) scene.expire_stop();
    scene.run();
    CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
    CHECK(recipe->drops == 1);
    CHECK(scene.owner.abandoned == 0);
  }
}

TEST_CASE("a wake, a time and a timer end a blocking wait, each with its own sign") {
  ShardScene scene;
  std::vector<unsigned> seen;
  Script script = blocking_script();
  script.step = [&seen](void*, Execution& execution) {
    seen.push_back(execution.wait_until(0));  // long past
    execution.wake_at(1);
    seen.push_back(execution.wait_until(never));  // its own timer
    seen.push_back(execution.wait_until(0));      // which is one-shot
    return Status::ok;
  };
  scene.add("t", recipe_of(script));
  scene.run();
  scene.run_blocking();
  CHECK(seen == std::vector<unsigned>{wait_time, wait_wake, wait_time});
}

TEST_CASE("a shard that is given up while an order lies in its box is abandoned, and the order does nothing") {
  ShardScene scene;
  scene.add("t", stepping([&](Execution&) {
              Tenure& tenure = scene.shard.tenure();
              REQUIRE(tenure.pin(tenure.look()));  // as the monitor does
              scene.shard.order(0, Operation::restart);
              scene.shard.give_up();
              tenure.give_up();
              return Status::pending;
            }));
  scene.run();
  CHECK(scene.last.lost);
  CHECK(scene.owner.ended == 1);
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t abandoned 1"});
}
