// Every order in which a call, its end and the monitor can meet, on one thread. With several: take_over_races_test.
#include "tenure.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "forked_child.hpp"
#include "support/catch.hpp"
#include "task_cell.hpp"

using namespace taskhost;

namespace {

// Its content is never read.
struct Scene {
  alignas(TaskCell) std::byte memory[sizeof(TaskCell)];
  TaskCell& cell = *reinterpret_cast<TaskCell*>(memory);
  Tenure tenure;

  Sight begin(Stage stage = Stage::poll) {
    tenure.begin_step();
    tenure.begin_call(cell, stage);
    return tenure.look();
  }
  void take(const Sight& seen) {
    REQUIRE(tenure.pin(seen));
    tenure.take();
  }
};

const auto nothing = [] {};

}  // namespace

TEST_CASE("a call that nobody contests ends, and the next one looks different") {
  Scene scene;
  CHECK_FALSE(scene.tenure.look().call);
  const Sight first = scene.begin();
  CHECK(first.call == Stage::poll);
  CHECK(scene.tenure.look() == first);
  CHECK(scene.tenure.end_call());
  CHECK_FALSE(scene.tenure.look().call);
  CHECK(scene.begin() != first);
}

TEST_CASE("the calls of one restart are one step, and each of them is another call") {
  Scene scene;
  const Sight start = scene.begin(Stage::start);
  CHECK(scene.tenure.end_call());
  scene.tenure.begin_call(scene.cell, Stage::poll);
  const Sight poll = scene.tenure.look();
  CHECK(poll.step == start.step);
  CHECK(poll != start);
  CHECK_FALSE(scene.tenure.pin(start));
  CHECK(scene.tenure.pin(poll));
  CHECK(scene.tenure.frame.requests.stage == Stage::poll);
  scene.tenure.unpin();
  CHECK(scene.tenure.end_call());
}

TEST_CASE("what is no longer the same call can't be pinned, nor what is between two calls") {
  Scene scene;
  const Sight first = scene.begin();
  CHECK(scene.tenure.end_call());
  CHECK_FALSE(scene.tenure.pin(first));
  CHECK_FALSE(scene.tenure.pin(scene.tenure.look()));
  const Sight second = scene.begin();
  CHECK_FALSE(scene.tenure.pin(first));
  CHECK(scene.tenure.pin(second));
  CHECK(scene.tenure.pinned() == &scene.cell);
  scene.tenure.unpin();
  CHECK(scene.tenure.end_call());
}

TEST_CASE("a handler of the loop can be pinned, and let go or given up; the next one looks different") {
  Scene scene;
  scene.tenure.enter_loop();
  const Sight first = scene.tenure.look();
  CHECK(first.in_loop());
  REQUIRE(scene.tenure.pin(first));
  CHECK(scene.tenure.pinned() == nullptr);
  scene.tenure.unpin();
  CHECK(scene.tenure.leave_loop());
  CHECK_FALSE(scene.tenure.pin(first));
  CHECK_FALSE(scene.tenure.pin(scene.tenure.look()));
  CHECK(scene.tenure.leave_loop());  // one of the shard's own handlers has left already
  scene.tenure.enter_loop();
  CHECK_FALSE(scene.tenure.pin(first));
  REQUIRE(scene.tenure.pin(scene.tenure.look()));
  scene.tenure.give_up();
  CHECK_FALSE(scene.tenure.leave_loop());
  CHECK_FALSE(scene.tenure.is_back());
}

TEST_CASE("a call within a handler looks different from the handler, and what loses it loses the handler as well") {
  Scene scene;
  scene.tenure.enter_loop();
  const Sight handler = scene.tenure.look();
  const Sight call = scene.begin(Stage::handler);
  CHECK(call != handler);
  scene.take(call);
  CHECK_FALSE(scene.tenure.end_call());
  CHECK(scene.tenure.come_back(Status::pending, nothing));
  CHECK_FALSE(scene.tenure.leave_loop());
}

TEST_CASE("a call that was given up loses the shard, and nobody waits for its result") {
  Scene scene;
  REQUIRE(scene.tenure.pin(scene.begin()));
  scene.tenure.give_up();
  CHECK_FALSE(scene.tenure.end_call());
  CHECK_FALSE(scene.tenure.come_back(Status::pending, [] { FAIL("nobody is told"); }));
  CHECK_FALSE(scene.tenure.while_out(nothing));
  CHECK_FALSE(scene.tenure.abandon());
}

TEST_CASE("a call that was pinned and let go ends as if nothing had been") {
  Scene scene;
  REQUIRE(scene.tenure.pin(scene.begin()));
  scene.tenure.unpin();
  CHECK(scene.tenure.end_call());
  CHECK_FALSE(scene.tenure.is_back());
  CHECK_FALSE(scene.tenure.abandon());
  CHECK_FALSE(scene.tenure.come_back(Status::pending, nothing));
}

TEST_CASE("a call that was taken loses the shard, and brings its result back once") {
  Scene scene;
  scene.take(scene.begin(Stage::drop));
  CHECK_FALSE(scene.tenure.end_call());
  CHECK(scene.tenure.pinned() == &scene.cell);
  CHECK(scene.tenure.frame.requests.stage == Stage::drop);
  CHECK_FALSE(scene.tenure.is_back());
  bool told = false;
  CHECK(scene.tenure.come_back(Status::panic, [&told] { told = true; }));
  CHECK(told);
  CHECK(scene.tenure.is_back());
  CHECK(scene.tenure.late() == Status::panic);
  CHECK_FALSE(scene.tenure.abandon());
  CHECK_FALSE(scene.tenure.while_out(nothing));
}

TEST_CASE("nobody waits for a call that was abandoned") {
  Scene scene;
  scene.take(scene.begin());
  bool looked = false;
  CHECK(scene.tenure.while_out([&looked] { looked = true; }));
  CHECK(looked);
  CHECK(scene.tenure.abandon());
  CHECK_FALSE(scene.tenure.abandon());
  CHECK_FALSE(scene.tenure.while_out(nothing));
  CHECK_FALSE(scene.tenure.end_call());
  CHECK_FALSE(scene.tenure.come_back(Status::pending, [] { FAIL("nobody is told"); }));
  CHECK_FALSE(scene.tenure.is_back());
}

TEST_CASE("a child that was forked in a handler ends with it, and its parent goes on") {
  Scene scene;
  const ForkMark mark(scene.tenure);
  scene.tenure.enter_loop();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  const bool held = scene.tenure.leave_loop();
  if (child == 0) ::_exit(0);
  CHECK(held);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 127);
}
