// An execution that is polled all the time: what counts as that, and what does not.
#include "spin_watch.hpp"

#include <vector>

#include "support/catch.hpp"
#include "task_cell.hpp"

using namespace taskhost;

namespace {

constexpr Nanoseconds turn_time = 200'000;

struct SpinScene {
  // Turns for a second, in which these come first by turns; so many polls in each. Returns how often it was told.
  int spin(const std::vector<const TaskCell*>& first, std::uint64_t polls_a_turn) {
    int told = 0;
    for (std::size_t turn = 0; turn < 5'000; ++turn) {
      now += turn_time;
      polls += polls_a_turn;
      told += watch.look(first[turn % first.size()], execution, now, polls) != 0 ? 1 : 0;
    }
    return told;
  }

  SpinWatch watch;
  Nanoseconds now = 1'000 * SpinWatch::window;
  std::uint64_t polls = 0;
  std::uint64_t execution = 1;
};

// They are compared, and not looked at.
const char places[3] = {};
const TaskCell* cell(int number) { return reinterpret_cast<const TaskCell*>(&places[number]); }

}  // namespace

TEST_CASE("an execution that comes first in each turn, and has many polls, spins") {
  SpinScene scene;
  CHECK(scene.spin({cell(0)}, 100) >= 1);
}

TEST_CASE("an execution that is polled often, but not without end, does not spin") {
  SpinScene scene;
  CHECK(scene.spin({cell(0)}, 10) == 0);
}

TEST_CASE("many polls of several executions are work, not spinning") {
  SpinScene scene;
  CHECK(scene.spin({cell(0), cell(1)}, 1'000) == 0);
  CHECK(scene.spin({cell(0), cell(1), cell(2)}, 1'000) == 0);
}

TEST_CASE("a spinning execution is seen though others come in between") {
  SpinScene scene;
  CHECK(scene.spin({cell(0), cell(0), cell(0), cell(0), cell(1)}, 1'000) >= 1);
}

TEST_CASE("restarts, each with a few polls, are no spinning") {
  SpinScene scene;
  int told = 0;
  for (int turn = 0; turn < 5'000; ++turn) {
    scene.now += turn_time;
    scene.polls += 1'000;
    told += scene.watch.look(cell(0), ++scene.execution, scene.now, scene.polls) != 0 ? 1 : 0;
  }
  CHECK(told == 0);
}
