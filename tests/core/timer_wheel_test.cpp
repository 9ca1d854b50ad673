// The timing wheel: never early, late by at most a tick, and compared with a model that is obviously correct.
#include "timer_wheel.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "support/catch.hpp"

using taskhost::Nanoseconds;
using taskhost::never;
using taskhost::TimerNode;
using taskhost::TimerWheel;

namespace {

constexpr Nanoseconds tick = Nanoseconds{1} << 16;
constexpr Nanoseconds second = 1'000'000'000;
constexpr Nanoseconds hour = 3600 * second;
constexpr Nanoseconds day = 24 * hour;
constexpr Nanoseconds year = 365 * day;
constexpr Nanoseconds beginning = 123'456'789'012'345;  // on no boundary

// One timer, and the time at which it fired.
struct Scene {
  explicit Scene(Nanoseconds start = beginning) : now(start), wheel(std::make_unique<TimerWheel>(start)) {}
  // Advances in one step; returns how many timers fired.
  int advance_to(Nanoseconds time) {
    now = time;
    int fired = 0;
    wheel->advance(now, [&](TimerNode& node) {
      CHECK(node.deadline <= now);
      CHECK_FALSE(node.is_set());
      ++fired;
    });
    return fired;
  }
  // Goes from one deadline of the wheel to the next until something fires; returns the number of steps.
  int sleep() {
    for (int steps = 1; steps < 1000; ++steps) {
      const Nanoseconds next = wheel->next_deadline();
      REQUIRE(next != never);
      if (advance_to(std::max(next, now)) != 0) return steps;
    }
    FAIL("the wheel's deadlines lead nowhere");
    return 0;
  }

  Nanoseconds now;
  std::unique_ptr<TimerWheel> wheel;
};

}  // namespace

TEST_CASE("a timer fires at its deadline or less than a tick later, never before, near or far") {
  const Nanoseconds delays[] = {0,         1,           tick - 1,    tick,        tick + 1,      50'000,
                                1'000'000, second / 10, 268 * tick,  4095 * tick, 4096 * tick,   4097 * tick,
                                second,    17 * second, 18 * second, 60 * second, 1100 * second, hour};
  for (const Nanoseconds delay : delays) {
    INFO("delay " << delay);
    Scene scene;
    scene.advance_to(beginning);  // this tick is over: new timers fire in the next one
    TimerNode node;
    scene.wheel->set(node, beginning + delay);
    CHECK(scene.wheel->next_deadline() < beginning + delay + tick + (delay == 0 ? tick : 0));
    if (delay != 0) CHECK(scene.advance_to(beginning + delay - 1) == 0);
    CHECK(node.is_set());
    CHECK(scene.advance_to(beginning + delay + tick) == 1);
    CHECK(scene.wheel->empty());
  }
}

TEST_CASE("who sleeps until the wheel's next deadline, again and again, comes in time for each timer") {
  for (const Nanoseconds delay : {3 * tick, second / 3, second, 20 * second, 2000 * second, 3 * hour}) {
    INFO("delay " << delay);
    Scene scene;
    TimerNode node;
    scene.wheel->set(node, beginning + delay);
    const int steps = scene.sleep();
    CHECK(steps <= 8);  // at most one for each level
    CHECK(scene.now >= beginning + delay);
    CHECK(scene.now < beginning + delay + tick);
  }
}

TEST_CASE("a timer of a day is on time") {
  Scene scene;
  TimerNode node;
  scene.wheel->set(node, beginning + day);
  CHECK(scene.advance_to(beginning + day - 1) == 0);
  CHECK(scene.advance_to(beginning + day + tick) == 1);
}

TEST_CASE("timers beyond the last level, and of never, wait, and their wheel does not keep anybody awake") {
  for (const Nanoseconds deadline :
       {beginning + year, beginning + 12 * year, beginning + 100 * year, never - 1, never}) {
    INFO("deadline " << deadline);
    Scene scene;
    TimerNode node;
    scene.wheel->set(node, deadline);
    CHECK(scene.wheel->next_deadline() <= deadline);
    CHECK(scene.wheel->next_deadline() >= beginning + 50 * day);
    CHECK(scene.advance_to(beginning + hour) == 0);
    CHECK(node.is_set());
    scene.wheel->cancel(node);
    CHECK(scene.wheel->empty());
  }
}

TEST_CASE("a deadline in the past fires at the next tick") {
  Scene scene;
  scene.advance_to(beginning);
  TimerNode node;
  scene.wheel->set(node, beginning - hour);
  CHECK(scene.wheel->next_deadline() <= beginning + tick);
  CHECK(scene.advance_to(beginning + tick) == 1);
}

TEST_CASE("a cancelled timer never fires") {
  Scene scene;
  std::vector<TimerNode> nodes(6);
  const Nanoseconds delays[] = {tick, 100 * tick, second, 30 * second, hour, day};
  for (std::size_t i = 0; i < nodes.size(); ++i) scene.wheel->set(nodes[i], beginning + delays[i]);
  for (TimerNode& node : nodes) scene.wheel->cancel(node);
  CHECK(scene.wheel->empty());
  CHECK(scene.wheel->next_deadline() == never);
  CHECK(scene.advance_to(beginning + 2 * day) == 0);
}

TEST_CASE("to cancel a timer that is not set does nothing") {
  Scene scene;
  TimerNode node;
  scene.wheel->cancel(node);
  CHECK(scene.wheel->empty());
  scene.wheel->set(node, beginning + tick);
  CHECK(scene.advance_to(beginning + 2 * tick) == 1);
  scene.wheel->cancel(node);
  CHECK(scene.wheel->empty());
}

TEST_CASE("many timers of one tick all fire in one advance") {
  Scene scene;
  std::vector<TimerNode> nodes(1000);
  for (TimerNode& node : nodes) scene.wheel->set(node, beginning + second);
  CHECK(scene.advance_to(beginning + second - 1) == 0);
  CHECK(scene.advance_to(beginning + second + tick) == 1000);
}

TEST_CASE("a timer set for the past from within a callback fires in a later advance, so that none runs for ever") {
  Scene scene;
  TimerNode node;
  scene.wheel->set(node, beginning);
  int fired = 0;
  const auto again = [&](TimerNode& due) {
    ++fired;
    scene.wheel->set(due, due.deadline);
  };
  scene.wheel->advance(beginning + second, again);
  const int first = fired;
  CHECK(first >= 1);
  scene.wheel->advance(beginning + second, again);
  CHECK(fired == first);  // nothing more at the same moment
  scene.wheel->advance(beginning + second + tick, again);
  CHECK(fired == first + 1);
}

TEST_CASE("a callback may cancel any timer, also of its own tick, and that one does not fire") {
  Scene scene;
  std::vector<TimerNode> nodes(10);
  TimerNode later_one;
  for (TimerNode& node : nodes) scene.wheel->set(node, beginning + second);
  scene.wheel->set(later_one, beginning + 2 * second);
  int fired = 0;
  scene.wheel->advance(beginning + 3 * second, [&](TimerNode&) {
    ++fired;
    for (TimerNode& node : nodes) scene.wheel->cancel(node);
    scene.wheel->cancel(later_one);
  });
  CHECK(fired == 1);
  CHECK(scene.wheel->empty());
}

TEST_CASE("a callback may set its own timer anew, as a ticking task does") {
  constexpr Nanoseconds start = beginning / tick * tick;
  Scene scene(start);
  TimerNode node;
  scene.wheel->set(node, start + 10 * tick);
  int fired = 0;
  int late = 0;
  for (Nanoseconds now = start; now < start + 10'000 * tick; now += tick) {
    scene.wheel->advance(now, [&](TimerNode& due) {
      ++fired;
      if (due.deadline != now) ++late;
      scene.wheel->set(due, due.deadline + 10 * tick);
    });
  }
  CHECK(fired == 999);
  CHECK(late == 0);
}

TEST_CASE("an empty wheel has nothing to wait for, and is on time after a long idle") {
  Scene scene;
  CHECK(scene.wheel->empty());
  CHECK(scene.wheel->next_deadline() == never);
  CHECK(scene.advance_to(beginning + 20 * year) == 0);
  TimerNode node;
  scene.wheel->set(node, beginning + 20 * year + second);
  CHECK(scene.sleep() <= 8);
  CHECK(scene.now >= node.deadline);
  CHECK(scene.now < node.deadline + tick);
}

TEST_CASE("whatever is set, cancelled and waited for, the wheel does what a sorted list would do") {
  constexpr std::size_t timers = 200;
  for (const unsigned seed : {1u, 2u, 3u, 4u, 5u}) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const auto up_to = [&](std::uint64_t limit) { return random() % limit; };

    Nanoseconds now = beginning + up_to(year);
    TimerWheel wheel(now);
    std::vector<TimerNode> nodes(timers);
    std::multimap<Nanoseconds, TimerNode*> model;  // by the first tick at which the timer may fire
    Nanoseconds first_free = now / tick * tick;    // ticks before this one are over

    const auto forget = [&](TimerNode& node) {
      const auto found = std::find_if(model.begin(), model.end(), [&](const auto& e) { return e.second == &node; });
      REQUIRE(found != model.end());
      model.erase(found);
    };
    const auto set = [&](TimerNode& node, Nanoseconds earliest) {
      const Nanoseconds delay = up_to(Nanoseconds{1} << (8 + up_to(36)));  // from 0 to five hours
      const Nanoseconds deadline = up_to(20) == 0 ? now - up_to(second) : now + delay;
      wheel.set(node, deadline);
      model.emplace(std::max((deadline + tick - 1) / tick * tick, earliest), &node);
    };
    for (int step = 0; step < 4000; ++step) {
      switch (up_to(4)) {
        case 0:
        case 1: {
          TimerNode& node = nodes[up_to(timers)];
          if (node.is_set()) {
            forget(node);
            wheel.cancel(node);
          }
          set(node, first_free);
          break;
        }
        case 2: {
          TimerNode& node = nodes[up_to(timers)];
          if (node.is_set()) forget(node);
          wheel.cancel(node);
          break;
        }
        default: {
          const bool to_deadline = up_to(2) == 0 && wheel.next_deadline() != never;
          now = to_deadline ? std::max(now, wheel.next_deadline()) : now + up_to(Nanoseconds{1} << (4 + up_to(26)));
          const Nanoseconds after = now / tick * tick + tick;
          wheel.advance(now, [&](TimerNode& node) {
            REQUIRE(node.deadline <= now);
            forget(node);
            // Set again for a time that this advance does not reach; times that it reaches are tested above.
            if (up_to(4) == 0) {
              const Nanoseconds deadline = after + up_to(hour);
              wheel.set(node, deadline);
              model.emplace((deadline + tick - 1) / tick * tick, &node);
            }
          });
          first_free = after;
          if (!model.empty()) REQUIRE(model.begin()->first > now);  // none was left behind
        }
      }
      REQUIRE(wheel.empty() == model.empty());
      if (!model.empty()) REQUIRE(wheel.next_deadline() <= model.begin()->first);
      if (model.empty()) REQUIRE(wheel.next_deadline() == never);
    }
  }
}
