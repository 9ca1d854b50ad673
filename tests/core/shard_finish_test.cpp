// An end that takes time, and work that blocks on other threads. In virtual time.
#include "offload.hpp"
#include "shard_scene.hpp"
#include "taskhost/core/offloaded_work.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

// Ends at once in this way, and then needs so many calls to finish.
Script finishing(
    Status end, int calls, std::function<void(Execution&, int)> in_finish = [](Execution&, int) {}) {
  Script script;
  script.step = [end](void*, Execution& execution) {
    if (end != Status::ok) execution.fail("its reason");
    return end;
  };
  script.finish = [calls, in_finish, call = 0](void*, Execution& execution) mutable {
    ++call;
    in_finish(execution, call);
    if (call % calls != 0) return Status::pending;
    return Status::ok;
  };
  return script;
}

// Works of the test, and what became of their arguments.
struct Argument {
  std::string* story;
  std::string name;
};
Work work_of(Argument& argument, std::uint64_t tag = 0) {
  return {tag, &argument,
          [](void* given) {
            auto& mine = *static_cast<Argument*>(given);
            *mine.story += "run " + mine.name + ' ';
          },
          [](void* given) {
            auto& mine = *static_cast<Argument*>(given);
            *mine.story += "discard " + mine.name + ' ';
          }};
}

}  // namespace

TEST_CASE("an end that takes time is polled until it is over, and the result is that of the step") {
  for (const Status end : {Status::ok, Status::error, Status::panic}) {
    ShardScene scene;
    const auto recipe =
        recipe_of(finishing(end, 3, [](Execution& execution, int) { execution.wake_after(1'000'000); }));
    scene.add("t", recipe, options_of(TaskType::detachable));
    scene.run();
    CHECK(recipe->finishes_called == 1);
    CHECK(recipe->drops == 0);
    CHECK(scene.sink.lines() == Lines{"t started 1"});
    scene.sleep(3ms);
    CHECK(recipe->steps == 1);
    CHECK(recipe->finishes_called == 3);
    CHECK(recipe->drops == 1);
    const std::string outcome = end == Status::ok ? "ok" : end == Status::error ? "error" : "panic";
    CHECK(scene.sink.lines().at(1) == "t exited 1 " + outcome);
    if (end != Status::ok) CHECK(scene.sink.told("t", "its reason"));
  }
}

TEST_CASE("wakes, timers and descriptors of the step go on while it finishes") {
  ShardScene scene;
  Waker waker = 0;
  Script script = finishing(Status::ok, 2);
  script.step = [&waker](void*, Execution& execution) {
    waker = execution.waker();
    return Status::ok;
  };
  const auto recipe = recipe_of(script);
  scene.add("t", recipe);
  scene.run();
  CHECK(recipe->finishes_called == 1);
  Execution::wake(waker);
  scene.run();
  CHECK(recipe->finishes_called == 2);
  CHECK(recipe->drops == 1);
}

TEST_CASE("a finish that wants to be called again is, and one that fails counts as done and is logged") {
  ShardScene scene;
  Script again = finishing(Status::ok, 1);
  int calls = 0;
  again.finish = [&calls](void*, Execution&) { return ++calls < 3 ? Status::again : Status::ok; };
  scene.add("again", recipe_of(again));
  Script wrong = finishing(Status::ok, 1);
  wrong.finish = [](void*, Execution&) { return Status::error; };
  scene.add("wrong", recipe_of(wrong));
  Script throws = finishing(Status::ok, 1);
  throws.finish = [](void*, Execution&) -> Status { throw std::runtime_error("no way"); };
  scene.add("throws", recipe_of(throws));
  scene.run();
  CHECK(calls == 3);
  for (const char* const name : {"again", "wrong", "throws"}) {
    CHECK(scene.sink.lines(name).at(1) == std::string(name) + " exited 1 ok");
  }
  CHECK(scene.sink.logged("wrong: its finish returned 2"));
  CHECK(scene.sink.logged("throws: finish failed and counts as done (rule 3.7): no way"));
}

TEST_CASE("a finish has its stop_timeout, and then the execution is dropped with its own result") {
  ShardScene scene;
  const auto recipe = recipe_of(finishing(Status::error, 1'000'000));
  scene.add("t", recipe, options_of(TaskType::detachable, 1, 1s));
  scene.run();
  scene.sleep(990ms);
  CHECK(recipe->drops == 0);
  scene.sleep(20ms);
  CHECK(recipe->drops == 1);
  CHECK(scene.sink.logged("t: its finish did not end in time: it is dropped as it stands"));
  CHECK(scene.sink.lines().at(1) == "t exited 1 error");
  CHECK(recipe->starts == 2);  // judged as any exit
}

TEST_CASE("an execution that is asked to stop finishes, too, within the stop's time") {
  for (const bool in_time : {true, false}) {
    ShardScene scene;
    Script script = finishing(Status::ok, in_time ? 2 : 1'000'000,
                              [](Execution& execution, int) { execution.wake_after(1'000'000); });
    script.step = [](void*, Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; };
    const auto recipe = recipe_of(script);
    scene.add("t", recipe, options_of(TaskType::mandatory, 3, 1s));
    scene.run();
    scene.begin_stop();
    scene.run();
    CHECK(recipe->drops == 0);
    scene.sleep(2s);
    CHECK(recipe->drops == 1);
    CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
    CHECK(scene.owner.ended == 1);
  }
}

TEST_CASE("a host that stops while a task finishes waits for it, and no longer than its stop_timeout") {
  ShardScene scene;
  const auto recipe = recipe_of(finishing(Status::error, 1'000'000));
  scene.add("t", recipe, options_of(TaskType::mandatory, 3, 1s));
  scene.run();
  scene.sleep(500ms);
  scene.begin_stop();
  scene.run();
  CHECK(scene.owner.ended == 0);
  scene.sleep(1100ms);
  CHECK(recipe->drops == 1);
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a stop as a whole that runs out of time drops what finishes") {
  ShardScene scene;
  const auto recipe = recipe_of(finishing(Status::ok, 1'000'000));
  scene.add("t", recipe, options_of(TaskType::mandatory, 3, 1h));
  scene.run();
  scene.begin_stop();
  scene.run();
  scene.expire_stop();
  CHECK(recipe->drops == 1);
  CHECK(scene.owner.ended == 1);
  REQUIRE(scene.owner.stragglers.size() == 1);
  CHECK(scene.owner.stragglers[0].where == "finish");
}

TEST_CASE("a finish that is stuck is a stall like any other") {
  ShardScene scene;
  const auto recipe = recipe_of(finishing(Status::ok, 1, [&](Execution&, int) {
    scene.take_over();
    scene.run();
  }));
  scene.add("t", recipe);
  scene.run();
  scene.run();
  CHECK(recipe->drops == 1);
  CHECK(scene.sink.logged("t: its finish returned after"));
  CHECK(scene.sink.lines().at(1) == "t exited 1 ok");
}

TEST_CASE("work is run elsewhere, and its execution is woken and told its tag once") {
  ShardScene scene;
  std::string story;
  Argument first{&story, "first"};
  Argument second{&story, "second"};
  std::vector<Ready> told;
  int steps = 0;
  scene.add("t", stepping([&](Execution& execution) {
              if (++steps == 1) {
                CHECK(execution.offload(work_of(first, 1)) == Refusal::none);
                CHECK(execution.offload(work_of(second, 2)) == Refusal::none);
              }
              Ready ready;
              while (execution.take_ready(&ready, 1) == 1) told.push_back(ready);
              return Status::pending;
            }));
  scene.run();
  CHECK(steps == 1);
  CHECK(story.empty());
  scene.run_blocking();
  scene.run_blocking();
  CHECK(steps == 3);
  REQUIRE(told.size() == 2);
  CHECK(told[0].tag == 1);
  CHECK(told[1].tag == 2);
  CHECK(told[0].what == work_done);
  CHECK(story == "run first run second ");
}

TEST_CASE("work whose execution has ended is discarded: when it is done, and if nobody was told of it") {
  ShardScene scene;
  std::string story;
  Argument late{&story, "late"};
  Argument untold{&story, "untold"};
  int steps = 0;
  scene.add("t", stepping([&](Execution& execution) {
              if (++steps == 1) {
                CHECK(execution.offload(work_of(untold)) == Refusal::none);
                CHECK(execution.offload(work_of(late)) == Refusal::none);
                return Status::pending;
              }
              return Status::ok;
            }));
  scene.run();
  scene.run_blocking();
  CHECK(scene.sink.lines().at(1) == "t exited 1 ok");
  CHECK(story == "run untold ");
  scene.run_blocking();                                       // the late one
  scene.run_blocking();                                       // the discarding of the other
  CHECK(story == "run untold discard late discard untold ");  // and not run any more
}

TEST_CASE("work that is going on when its execution ends is discarded when it returns") {
  ShardScene scene;
  std::string story;
  scene.add(
      "t", stepping([&](Execution& execution) {
        if (execution.stop_requested()) return Status::ok;
        static ShardScene* at_work;
        static std::string* told;
        at_work = &scene;
        told = &story;
        const auto end_meanwhile = [](void*) {
          *told += "run ";
          at_work->begin_stop();
          at_work->run();
          *told += "returned ";
        };
        CHECK(execution.offload({0, nullptr, end_meanwhile, [](void*) { *told += "discard "; }}) == Refusal::none);
        return Status::pending;
      }));
  scene.run();
  scene.run_blocking();
  CHECK(scene.owner.ended == 1);
  CHECK(story == "run returned discard ");
}

TEST_CASE("work is discarded by the next free thread if none is free, and here only if there is none at all") {
  const bool none = GENERATE(false, true);
  ShardScene scene;
  std::string story;
  Argument argument{&story, "a"};
  scene.add("t", stepping([&, steps = 0](Execution& execution) mutable {
              if (++steps > 1) return Status::ok;
              CHECK(execution.offload(work_of(argument)) == Refusal::none);
              return Status::pending;
            }));
  scene.run();
  const std::shared_ptr<Job> work = scene.owner.calls.front();
  scene.owner.calls.pop_front();
  scene.owner.no_threads = none;
  work->run();
  scene.run();
  CHECK(story == (none ? "run a discard a " : "run a "));
  if (!none) scene.run_blocking();
  CHECK(story == "run a discard a ");
}

TEST_CASE("whose offloaded work a thread runs is known as long as it runs") {
  ShardScene scene;
  static std::string told;
  told.clear();
  scene.add("t", stepping([&, steps = 0](Execution& execution) mutable {
              if (++steps > 1) return Status::ok;
              const auto tell = [](void*) { told += task_of_offloaded_work(); };
              CHECK(execution.offload({0, nullptr, tell, tell}) == Refusal::none);
              return Status::pending;
            }));
  scene.run();
  CHECK(task_of_offloaded_work() == nullptr);
  scene.run_blocking();
  scene.run_blocking();
  CHECK(told == "tt");
  CHECK(task_of_offloaded_work() == nullptr);
}

TEST_CASE("work that is never begun, as its host has gone, is discarded") {
  std::string story;
  Argument argument{&story, "a"};
  {
    ShardScene scene;
    scene.add("t", stepping([&](Execution& execution) {
                CHECK(execution.offload(work_of(argument)) == Refusal::none);
                return Status::pending;
              }));
    scene.run();
  }
  CHECK(story == "discard a ");
}

TEST_CASE("work is refused with its reason, and nothing of it is called then") {
  ShardScene scene;
  std::string story;
  Argument argument{&story, "a"};
  Script script;
  script.step = [&](void*, Execution& execution) {
    CHECK(execution.offload({}) == Refusal::bad_argument);
    scene.owner.no_threads = true;
    CHECK(execution.offload(work_of(argument)) == Refusal::no_thread);
    scene.owner.no_threads = false;
    return Status::ok;
  };
  scene.add("t", recipe_of(script));
  scene.run();
  CHECK(story.empty());
  CHECK(scene.sink.logged("t: can't offload work: an argument is wrong"));
  CHECK(scene.sink.logged("t: can't offload work: Resource temporarily unavailable"));
  Script blocking;
  blocking.blocking = true;
  blocking.step = [&](void*, Execution& execution) {
    CHECK(execution.offload(work_of(argument)) == Refusal::wrong_call);
    return Status::ok;
  };
  scene.add("b", recipe_of(blocking));
  scene.run();
  scene.run_blocking();
  CHECK(story.empty());
}

TEST_CASE("an exception out of offloaded work is logged, and the work counts as done") {
  ShardScene scene;
  int told = 0;
  scene.add("t", stepping([&, steps = 0](Execution& execution) mutable {
              if (++steps == 1) {
                CHECK(execution.offload({5, nullptr, [](void*) { throw std::runtime_error("oh"); }, nullptr}) ==
                      Refusal::none);
              }
              Ready ready;
              if (execution.take_ready(&ready, 1) == 1) told = static_cast<int>(ready.tag);
              return Status::pending;
            }));
  scene.run();
  scene.run_blocking();
  CHECK(told == 5);
  CHECK(scene.sink.logged("t: offloaded work let an exception out, and counts as done (rule 4.11): oh"));
}

TEST_CASE("an exception out of work is logged though its execution has ended meanwhile") {
  ShardScene scene;
  static ShardScene* at_work;
  at_work = &scene;
  scene.add("t", stepping([&](Execution& execution) {
              if (execution.stop_requested()) return Status::ok;
              const auto end_and_throw = [](void*) {
                at_work->begin_stop();
                at_work->run();
                throw std::runtime_error("disk full");
              };
              CHECK(execution.offload({0, nullptr, end_and_throw, nullptr}) == Refusal::none);
              return Status::pending;
            }));
  scene.run();
  scene.run_blocking();
  CHECK(scene.sink.logged("t: offloaded work let an exception out, and counts as done (rule 4.11): disk full"));
}

TEST_CASE("a stop during finish calls finish again, and not poll; the result stays") {
  ShardScene scene;
  const auto recipe = recipe_of(finishing(Status::error, 1'000'000));
  scene.add("t", recipe, options_of(TaskType::mandatory, 3, 1h));
  scene.run();
  const int steps = recipe->steps;
  scene.begin_stop();
  scene.run();
  CHECK(recipe->steps == steps);
  CHECK(scene.owner.ended == 0);
  scene.advance(1h);
  CHECK(recipe->steps == steps);
  CHECK(recipe->drops == 1);
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("no limit but stop_timeout counts while an execution finishes") {
  ShardScene scene;
  TaskOptions options = options_of(TaskType::shutdown_on_exit, 0, 1h);
  SupervisionOptions limits;
  limits.watchdog = Watchdog{.interval = 10s, .action = WatchdogAction::restart};
  limits.start_timeout = 10s;
  options.optional = std::make_shared<const SupervisionOptions>(limits);
  const auto recipe = recipe_of(finishing(Status::ok, 2));
  scene.add("t", recipe, options);
  scene.run();
  scene.advance(10min);
  CHECK(recipe->drops == 0);
  CHECK_FALSE(scene.sink.logged("heartbeat"));
}

TEST_CASE("a drop that does not return after a finish out of time is abandoned") {
  ShardScene scene;
  Script script = finishing(Status::ok, 1'000'000);
  bool was_stuck = false;
  script.drop = [&](void*) {
    if (std::exchange(was_stuck, true)) return;
    scene.take_over();
    scene.run();
    CHECK(scene.owner.abandoned == 1);
  };
  scene.add("t", recipe_of(script), options_of(TaskType::mandatory, 3, 1s));
  scene.run();
  scene.begin_stop();
  scene.run();
  scene.advance(1s);
  CHECK(was_stuck);
  CHECK(scene.owner.abandoned == 1);
}

TEST_CASE("a drop that does not return after a finish out of time is abandoned, though nobody asked for the end") {
  ShardScene scene;
  Script script = finishing(Status::error, 1'000'000);
  bool was_stuck = false;
  script.drop = [&](void*) {
    if (std::exchange(was_stuck, true)) return;
    scene.take_over();
    scene.run();
    CHECK(scene.owner.abandoned == 1);
  };
  scene.add("t", recipe_of(script), options_of(TaskType::detachable, 3, 1s));
  scene.run();
  scene.sleep(1010ms);
  CHECK(was_stuck);
  CHECK(scene.owner.abandoned == 1);
  CHECK(scene.sink.told("t", "its drop did not return; it had failed: its reason"));
}

TEST_CASE("a finish that was abandoned is over, whatever runs out of time after it") {
  for (const bool by_operator : {false, true}) {
    ShardScene scene;
    bool was_stuck = false;
    const auto recipe = recipe_of(finishing(Status::error, 1'000'000, [&](Execution&, int call) {
      if (call == 1 || std::exchange(was_stuck, true)) return;
      scene.take_over();
      scene.sleep(1100ms);
      CHECK(scene.owner.abandoned == 1);
    }));
    scene.add("t", recipe, options_of(TaskType::detachable, 3, 1s));
    scene.run();
    if (by_operator) {
      scene.shard.operate(0, Operation::stop);
    } else {
      scene.begin_stop();
    }
    scene.run();
    CHECK(was_stuck);
    CHECK(scene.sink.told("t", "its finish did not return; it had failed: its reason"));
    scene.begin_stop();
    scene.expire_stop();
    scene.sleep(2s);
    scene.run();
    CHECK(scene.owner.abandoned == 1);
    CHECK(recipe->drops == 0);
  }
}

TEST_CASE("the time that a finish takes is no part of its execution's life") {
  ShardScene scene;
  const auto recipe =
      recipe_of(finishing(Status::error, 2, [](Execution& execution, int) { execution.wake_after(600'000'000); }));
  TaskOptions options = options_of(TaskType::detachable, 2, 10s);
  SupervisionOptions more;
  more.reset_after = 300ms;
  options.optional = std::make_shared<const SupervisionOptions>(more);
  scene.add("t", recipe, options);
  scene.run();
  for (int turn = 0; turn < 10; ++turn) scene.sleep(700ms);
  CHECK(recipe->starts == 3);  // it gives up, since it never lived for 300 ms
  CHECK(scene.sink.told("t", "its reason"));
}

TEST_CASE("finishes that end at once leave no deadline behind") {
  ShardScene scene;
  const auto recipe = recipe_of(finishing(Status::error, 1));
  scene.add("t", recipe, options_of(TaskType::mandatory, 100'000, 1h));
  scene.run();
  CHECK(recipe->drops == 100'001);
  CHECK(scene.last.deadline == never);
}
