// What makes an execution run again: wakes, its timer, descriptors. In virtual time.
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <limits>

#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

constexpr Nanoseconds tick = Nanoseconds{1} << 16;

// Records when it was stepped; the test decides what each step asks for.
struct Stepper {
  explicit Stepper(ShardScene& scene, std::function<void(Execution&, int)> what) {
    recipe = stepping([this, &scene, what = std::move(what)](Execution& execution) {
      times.push_back(scene.clock.now());
      waker = execution.waker();
      what(execution, static_cast<int>(times.size()));
      return Status::pending;
    });
  }
  int steps() const { return static_cast<int>(times.size()); }

  std::shared_ptr<const ScriptRecipe> recipe;
  std::vector<Nanoseconds> times;
  Waker waker = 0;
};

const auto nothing = [](Execution&, int) {};

class Pipe {
 public:
  Pipe() { REQUIRE(::pipe(ends_) == 0); }
  ~Pipe() {
    close_reader();
    ::close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void write() { REQUIRE(::write(ends_[1], "x", 1) == 1); }
  void read() {
    char byte = 0;
    REQUIRE(::read(ends_[0], &byte, 1) == 1);
  }
  void close_reader() {
    if (ends_[0] >= 0) ::close(ends_[0]);
    ends_[0] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

}  // namespace

TEST_CASE("an execution is stepped right after its start, and then only when something wakes it") {
  ShardScene scene;
  Stepper stepper(scene, nothing);
  scene.add("t", stepper.recipe);
  scene.run();
  CHECK(stepper.steps() == 1);
  scene.advance(24h);
  CHECK(stepper.steps() == 1);
  CHECK(scene.last.deadline == never);
}

TEST_CASE("a wake leads to one step, and many before it to one as well") {
  ShardScene scene;
  Stepper stepper(scene, nothing);
  scene.add("t", stepper.recipe);
  scene.run();
  for (int i = 0; i < 10; ++i) Execution::wake(stepper.waker);
  scene.run();
  CHECK(stepper.steps() == 2);
}

TEST_CASE("a wake of its own from within a step leads to a further step, later") {
  ShardScene scene;
  Stepper stepper(scene, [](Execution& execution, int step) {
    for (int i = 0; i < step && step < 5; ++i) Execution::wake(execution.waker());
  });
  scene.add("t", stepper.recipe);
  scene.run();
  CHECK(stepper.steps() == 5);
}

TEST_CASE("one execution wakes another") {
  ShardScene scene;
  Stepper first(scene, nothing);
  Stepper second(scene, [&first](Execution&, int) { Execution::wake(first.waker); });
  scene.add("first", first.recipe);
  scene.add("second", second.recipe);
  scene.run();
  CHECK(first.steps() == 2);
  CHECK(second.steps() == 1);
}

TEST_CASE("the waker of an execution stays the same while it lives, and is stale once it has ended") {
  ShardScene scene;
  std::vector<Waker> wakers;
  const auto recipe = stepping([&wakers](Execution& execution) {
    wakers.push_back(execution.waker());
    if (wakers.size() == 1) Execution::wake(execution.waker());
    return wakers.size() == 2 ? Status::error : Status::pending;
  });
  scene.add("t", recipe, options_of(TaskType::detachable, 1));
  scene.run();
  REQUIRE(wakers.size() == 3);
  CHECK(wakers[0] != 0);
  CHECK(wakers[0] == wakers[1]);
  CHECK(wakers[2] != wakers[0]);
  Execution::wake(wakers[0]);
  scene.run();
  CHECK(recipe->steps == 3);
  Execution::wake(wakers[2]);
  scene.run();
  CHECK(recipe->steps == 4);
}

TEST_CASE("a waker taken while its execution is being dropped does not wake the next one") {
  ShardScene scene;
  Waker from_drop = 0;
  Execution* seen = nullptr;
  Script script;
  script.step = [&seen](void*, Execution& execution) {
    seen = &execution;
    return execution.number() == 1 ? Status::error : Status::pending;
  };
  script.drop = [&](void*) {
    if (from_drop == 0) from_drop = seen->waker();
  };
  const auto recipe = recipe_of(script);
  scene.add("t", recipe, options_of(TaskType::detachable, 1));
  scene.run();
  CHECK(recipe->steps == 2);
  Execution::wake(from_drop);
  scene.run();
  CHECK(recipe->steps == 2);
}

TEST_CASE("a wake that was under way when its execution ended does not start the next one early") {
  ShardScene scene;
  Stepper stepper(scene, nothing);
  scene.add("t", stepper.recipe);
  scene.run();
  Execution::wake(stepper.waker);
  scene.begin_stop();
  scene.run();
  CHECK(stepper.recipe->starts == 1);
}

TEST_CASE("an execution that wakes itself for ever does not keep others, or the loop, from their turn") {
  ShardScene scene;
  int greedy = 0;
  bool handled = false;
  scene.add("greedy", stepping([&greedy](Execution& execution) {
              ++greedy;
              Execution::wake(execution.waker());
              return Status::pending;
            }));
  Stepper modest(scene, [](Execution& execution, int) { execution.wake_after(to_nanoseconds(1ms)); });
  scene.add("modest", modest.recipe);
  boost::asio::post(scene.shard.context(), [&handled] { handled = true; });
  scene.turn();
  CHECK(modest.steps() == 1);
  CHECK(handled);
  for (int i = 0; i < 10; ++i) {
    scene.clock.advance(2ms);
    scene.turn();
    CHECK(scene.last.more);
  }
  CHECK(modest.steps() == 11);
  CHECK(greedy >= 11);
}

TEST_CASE("a thousand executions that wake themselves run as often as one another") {
  ShardScene scene;
  std::vector<int> steps(1000);
  for (int& count : steps) {
    scene.add("t", stepping([&count](Execution& execution) {
                ++count;
                Execution::wake(execution.waker());
                return Status::pending;
              }));
  }
  for (int i = 0; i < 20; ++i) scene.turn();
  const auto [least, most] = std::minmax_element(steps.begin(), steps.end());
  CHECK(*least >= 10);
  CHECK(*most - *least <= 1);
}

TEST_CASE("wake_after wakes once, after the delay and not before, late by two ticks at most") {
  for (const auto delay : {1us, 70us, 1000us, 250'000us, 5'000'000us, 3'600'000'000us}) {
    INFO(delay.count() << " us");
    ShardScene scene;
    Stepper stepper(scene, [delay](Execution& execution, int step) {
      if (step == 1) execution.wake_after(to_nanoseconds(delay));
    });
    scene.add("t", stepper.recipe);
    scene.run();
    const Nanoseconds begin = scene.clock.now();
    scene.sleep(delay - 1ns);
    CHECK(stepper.steps() == 1);
    scene.sleep(delay + 1ms);
    REQUIRE(stepper.steps() == 2);
    CHECK(stepper.times[1] >= begin + to_nanoseconds(delay));
    CHECK(stepper.times[1] <= begin + to_nanoseconds(delay) + 2 * tick);
    scene.sleep(24h);
    CHECK(stepper.steps() == 2);
  }
}

TEST_CASE("wake_at wakes once, at that time and not before") {
  ShardScene scene;
  const Nanoseconds due = scene.clock.now() + to_nanoseconds(42ms);
  Stepper stepper(scene, [due](Execution& execution, int step) {
    if (step == 1) execution.wake_at(due);
  });
  scene.add("t", stepper.recipe);
  scene.run();
  scene.sleep(1h);
  REQUIRE(stepper.steps() == 2);
  CHECK(stepper.times[1] >= due);
  CHECK(stepper.times[1] <= due + tick);
}

TEST_CASE("wake_at for a time that has passed wakes at once") {
  ShardScene scene;
  Stepper stepper(scene, [](Execution& execution, int step) {
    if (step == 1) execution.wake_at(1);
  });
  scene.add("t", stepper.recipe);
  scene.run();
  scene.sleep(1ms);
  CHECK(stepper.steps() == 2);
}

TEST_CASE("wake_after counts from the end of the call, so that a slow step does not make it early") {
  ShardScene scene;
  Stepper stepper(scene, [&scene](Execution& execution, int step) {
    if (step == 1) {
      execution.wake_after(to_nanoseconds(10ms));
      scene.clock.advance(50ms);
    }
  });
  scene.add("t", stepper.recipe);
  scene.run();
  const Nanoseconds end_of_call = scene.clock.now();
  scene.sleep(1s);
  REQUIRE(stepper.steps() == 2);
  CHECK(stepper.times[1] >= end_of_call + to_nanoseconds(10ms));
}

TEST_CASE("a new time replaces the old one, earlier or later, absolute or relative") {
  using Ask = std::function<void(Execution&, Nanoseconds)>;
  const Ask at = [](Execution& execution, Nanoseconds delay) { execution.wake_at(1'000'000'000'000 + delay); };
  const Ask after = [](Execution& execution, Nanoseconds delay) { execution.wake_after(delay); };
  for (const bool in_one_call : {true, false}) {
    for (const Ask& first : {at, after}) {
      for (const Ask& second : {at, after}) {
        for (const auto& [old_delay, new_delay] : {std::pair{10ms, 30ms}, std::pair{30ms, 10ms}}) {
          ShardScene scene;
          const Nanoseconds begin = scene.clock.now();
          REQUIRE(begin == 1'000'000'000'000);
          Stepper stepper(scene, [&, old = to_nanoseconds(old_delay), anew = to_nanoseconds(new_delay)](
                                     Execution& execution, int step) {
            if (step == 1) first(execution, old);
            if (step == 1 && !in_one_call) Execution::wake(execution.waker());
            if (step == (in_one_call ? 1 : 2)) second(execution, anew);
          });
          scene.add("t", stepper.recipe);
          scene.run();
          const int before = stepper.steps();
          CHECK(before == (in_one_call ? 1 : 2));
          scene.sleep(1s);
          REQUIRE(stepper.steps() == before + 1);
          CHECK(stepper.times.back() >= begin + to_nanoseconds(new_delay));
          CHECK(stepper.times.back() <= begin + to_nanoseconds(new_delay) + 2 * tick);
        }
      }
    }
  }
}

TEST_CASE("the time never clears the timer") {
  for (const bool absolute : {true, false}) {
    ShardScene scene;
    Stepper stepper(scene, [absolute](Execution& execution, int) {
      execution.wake_after(to_nanoseconds(10ms));
      absolute ? execution.wake_at(never) : execution.wake_after(never);
    });
    scene.add("t", stepper.recipe);
    scene.run();
    scene.sleep(1h);
    CHECK(stepper.steps() == 1);
    CHECK(scene.last.deadline == never);
  }
}

TEST_CASE("a wake does not clear the timer") {
  ShardScene scene;
  Stepper stepper(scene, [](Execution& execution, int step) {
    if (step == 1) execution.wake_after(to_nanoseconds(10ms));
  });
  scene.add("t", stepper.recipe);
  scene.run();
  Execution::wake(stepper.waker);
  scene.run();
  CHECK(stepper.steps() == 2);
  scene.sleep(1s);
  CHECK(stepper.steps() == 3);
}

TEST_CASE("what start asks for counts like what a step asks for") {
  ShardScene scene;
  Script script;
  script.start = [](void*, Execution& execution) {
    execution.wake_after(to_nanoseconds(10ms));
    return Status::ok;
  };
  const auto recipe = recipe_of(script);
  scene.add("t", recipe);
  scene.run();
  CHECK(recipe->steps == 1);
  scene.sleep(1s);
  CHECK(recipe->steps == 2);
}

TEST_CASE("the timer of an execution ends with it, and the next one has none") {
  ShardScene scene;
  const auto recipe = stepping([](Execution& execution) {
    if (execution.number() > 1) return Status::pending;
    execution.wake_after(to_nanoseconds(10ms));
    return Status::error;
  });
  scene.add("t", recipe, options_of(TaskType::detachable, 1));
  scene.run();
  CHECK(scene.last.deadline == never);
  scene.sleep(1s);
  CHECK(recipe->steps == 2);
}

TEST_CASE("a thousand hours of a task that ticks each second pass without one early or missing tick") {
  ShardScene scene;
  Nanoseconds due = 0;
  std::uint64_t ticks = 0;
  std::uint64_t wrong = 0;
  scene.add("t", stepping([&](Execution& execution) {
              const Nanoseconds now = scene.clock.now();
              if (now < due || (due != 0 && now > due + tick)) ++wrong;
              ++ticks;
              due = now + to_nanoseconds(60s);
              execution.wake_at(due);
              return Status::pending;
            }));
  scene.run();
  while (ticks < 1000) scene.sleep(60s);
  CHECK(wrong == 0);
}

TEST_CASE("services of another execution, or from outside any call, do nothing") {
  ShardScene scene;
  Execution* other = nullptr;
  Waker stolen = 1;
  Ready ready;
  const auto quiet = stepping([&other](Execution& execution) {
    other = &execution;
    return Status::pending;
  });
  scene.add("quiet", quiet);
  scene.add("nosy", stepping([&](Execution&) {
              stolen = other->waker();
              other->wake_after(0);
              other->fail("it was not me");
              CHECK(other->watch(0, readable, 0) == Refusal::wrong_call);
              CHECK(other->take_ready(&ready, 1) == 0);
              CHECK(other->wait_until(never) == 0);
              return Status::pending;
            }));
  scene.run();
  CHECK(stolen == 0);
  other->wake_after(0);
  CHECK(other->waker() == 0);
  CHECK(Execution::current() == nullptr);
  scene.sleep(1s);
  CHECK(quiet->steps == 1);
}

TEST_CASE("the execution that runs is known while it runs") {
  ShardScene scene;
  std::vector<std::string_view> seen;
  scene.add("t", stepping([&seen](Execution& execution) {
              CHECK(Execution::current() == &execution);
              seen.push_back(Execution::current()->task_name());
              CHECK(execution.wait_until(never) == 0);  // polled: it must not block
              return Status::ok;
            }));
  scene.run();
  CHECK(seen == std::vector<std::string_view>{"t"});
  CHECK(Execution::current() == nullptr);
}

TEST_CASE("an execution that wants to be called again has its turn after all others that are due") {
  ShardScene scene;
  std::string order;
  for (const std::string name : {"a", "b"}) {
    scene.add(name, stepping([&order, name, calls = 0](Execution& execution) mutable {
                order += name;
                if (++calls < 3) return Status::again;
                execution.fail("enough");
                return Status::error;
              }));
  }
  scene.run();
  CHECK(order == "ababab");
  CHECK(scene.sink.count(EventKind::task_exited) == 2);
}

TEST_CASE("to be called again is no result of a start or of a blocking function") {
  ShardScene scene;
  Script in_start;
  in_start.start = [](void*, Execution&) { return Status::again; };
  scene.add("s", recipe_of(in_start));
  Script in_run;
  in_run.blocking = true;
  in_run.step = [](void*, Execution&) { return Status::again; };
  scene.add("r", recipe_of(in_run));
  scene.run();
  scene.run_blocking();
  CHECK(scene.sink.lines("s").at(1) == "s exited 1 error");
  CHECK(scene.sink.lines("r").at(1) == "r exited 1 error");
}

TEST_CASE("the waker of a blocking execution is the same whenever it asks, and stale once it has been abandoned") {
  ShardScene scene;
  std::vector<Waker> wakers;
  Script script;
  script.blocking = true;
  script.step = [&](void*, Execution& execution) {
    wakers.push_back(execution.waker());
    wakers.push_back(execution.waker());
    CHECK(WakePort::current(wakers[0]));
    scene.expire_stop();
    wakers.push_back(execution.waker());
    return Status::ok;
  };
  scene.add("t", recipe_of(script));
  scene.run();
  scene.run_blocking();
  CHECK(wakers == std::vector<Waker>(3, wakers[0]));
  CHECK_FALSE(WakePort::current(wakers[0]));
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t abandoned 1"});
}
