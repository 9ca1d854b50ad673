// Every order in which a call, its end and the monitor can meet on one thread; with several: take_over_races_test.
#include "tenure.hpp"

#include "support/catch.hpp"
#include "task_cell.hpp"

using namespace taskhost;

namespace {

// Never looked into.
struct Scene {
  alignas(TaskCell) std::byte memory[sizeof(TaskCell)];
  TaskCell& cell = *reinterpret_cast<TaskCell*>(memory);
  Tenure tenure;

  std::uint64_t begin(Stage stage = Stage::poll) {
    tenure.begin_step();
    tenure.begin_call(cell, stage);
    return tenure.steps();
  }
  void take(std::uint64_t step) {
    REQUIRE(tenure.pin(step) == &cell);
    tenure.take();
  }
};

const auto nothing = [] {};

}  // namespace

TEST_CASE("a call that nobody contests ends, and the next one is another step") {
  Scene scene;
  CHECK_FALSE(scene.tenure.in_call());
  const std::uint64_t first = scene.begin();
  CHECK(scene.tenure.in_call());
  CHECK(scene.tenure.end_call());
  CHECK_FALSE(scene.tenure.in_call());
  CHECK(scene.begin() != first);
}

TEST_CASE("the calls of one restart are one step") {
  Scene scene;
  const std::uint64_t step = scene.begin(Stage::start);
  CHECK(scene.tenure.end_call());
  scene.tenure.begin_call(scene.cell, Stage::poll);
  CHECK(scene.tenure.steps() == step);
  CHECK(scene.tenure.pin(step) == &scene.cell);
  CHECK(scene.tenure.frame.requests.stage == Stage::poll);
  scene.tenure.unpin();
  CHECK(scene.tenure.end_call());
}

TEST_CASE("what is no longer the same step can't be pinned, nor what is between two calls") {
  Scene scene;
  const std::uint64_t first = scene.begin();
  CHECK(scene.tenure.end_call());
  CHECK(scene.tenure.pin(first) == nullptr);
  const std::uint64_t second = scene.begin();
  CHECK(scene.tenure.pin(first) == nullptr);
  CHECK(scene.tenure.pin(second) == &scene.cell);
  scene.tenure.unpin();
  CHECK(scene.tenure.end_call());
}

TEST_CASE("a call that was pinned and let go ends as if nothing had been") {
  Scene scene;
  REQUIRE(scene.tenure.pin(scene.begin()) != nullptr);
  scene.tenure.unpin();
  CHECK(scene.tenure.end_call());
  CHECK_FALSE(scene.tenure.is_back());
  CHECK_FALSE(scene.tenure.abandon());
  CHECK_FALSE(scene.tenure.come_back({}, nothing));
}

TEST_CASE("a call that was taken loses the shard, and brings its result back once") {
  Scene scene;
  scene.take(scene.begin(Stage::drop));
  CHECK_FALSE(scene.tenure.end_call());
  CHECK(&scene.tenure.pinned() == &scene.cell);
  CHECK(scene.tenure.frame.requests.stage == Stage::drop);
  CHECK_FALSE(scene.tenure.is_back());
  bool told = false;
  CHECK(scene.tenure.come_back({.outcome = Outcome::panic, .after_exit = true}, [&told] { told = true; }));
  CHECK(told);
  CHECK(scene.tenure.is_back());
  CHECK(scene.tenure.late().outcome == Outcome::panic);
  CHECK(scene.tenure.late().after_exit);
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
  CHECK_FALSE(scene.tenure.come_back({}, [] { FAIL("nobody is told"); }));
  CHECK_FALSE(scene.tenure.is_back());
}
