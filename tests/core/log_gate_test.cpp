// A storm must not drown the log, and must not be kept from it either.
#include "log_gate.hpp"

#include "support/catch.hpp"

using taskhost::EventKind;
using taskhost::LogGate;
using taskhost::LogSummary;
using taskhost::Nanoseconds;
using taskhost::never;
using taskhost::Outcome;

namespace {

constexpr Nanoseconds second = 1'000'000'000;
constexpr Nanoseconds beginning = 1000 * second;

struct Scene {
  Scene() { CHECK_FALSE(gate.refill(now, summary)); }
  bool admit(EventKind kind = EventKind::task_started, Outcome outcome = Outcome::ok) {
    return gate.admit(kind, outcome, "storm");
  }
  void empty() {
    for (std::uint32_t i = 0; i < LogGate::burst; ++i) REQUIRE(admit());
    REQUIRE_FALSE(admit());
  }

  LogGate gate;
  Nanoseconds now = beginning;
  LogSummary summary;
};

}  // namespace

TEST_CASE("a burst of lines passes, and the next one is held back") { Scene().empty(); }

TEST_CASE(
    "while lines are held back none passes, until they are summed up; then there is a burst again, of what was "
    "earned") {
  Scene scene;
  scene.empty();
  CHECK_FALSE(scene.gate.refill(scene.now, scene.summary));
  scene.now += LogGate::summary_interval - 1;
  CHECK_FALSE(scene.gate.refill(scene.now, scene.summary));
  CHECK_FALSE(scene.admit());
  scene.now += 1;
  CHECK(scene.gate.refill(scene.now, scene.summary));
  std::uint32_t passed = 0;
  while (scene.admit()) ++passed;
  CHECK(passed >= LogGate::lines_a_second);
  CHECK(passed <= LogGate::lines_a_second * LogGate::summary_interval / second);
}

TEST_CASE("ten seconds of many lines have a line for what was earned, and no more") {
  Scene scene;
  scene.empty();
  std::uint32_t passed = 0;
  for (int step = 0; step < 1000; ++step) {  // in steps of 10 ms
    scene.now += second / 100;
    scene.gate.refill(scene.now, scene.summary);
    for (int line = 0; line < 4; ++line) passed += scene.admit() ? 1 : 0;
  }
  CHECK(passed > 0);
  CHECK(passed <= 10 * LogGate::lines_a_second);
}

TEST_CASE("a long silence saves up no more than one burst") {
  Scene scene;
  scene.empty();
  scene.gate.refill(scene.now, scene.summary);
  scene.now += 3600 * second;
  CHECK(scene.gate.refill(scene.now, scene.summary));
  scene.empty();
}

TEST_CASE("what is abandoned, stalled, given up or discarded after a failure is always told") {
  Scene scene;
  scene.empty();
  CHECK(scene.admit(EventKind::task_abandoned));
  CHECK(scene.admit(EventKind::task_stalled));
  CHECK(scene.admit(EventKind::task_gave_up));
  CHECK(scene.admit(EventKind::task_discarded, Outcome::error));
  CHECK_FALSE(scene.admit(EventKind::task_discarded));
  CHECK_FALSE(scene.admit(EventKind::task_exited));
}

TEST_CASE("stalls that come again and again are held back and counted like all else") {
  Scene scene;
  CHECK(scene.gate.admit_again(EventKind::task_stalled, "t"));
  while (scene.gate.admit_again(EventKind::task_stalled, "t")) {
  }
  CHECK_FALSE(scene.gate.admit_again(EventKind::task_stalled, "t"));
  REQUIRE(scene.gate.take(scene.now, scene.summary));
  CHECK(scene.summary.stalls == 2);
  CHECK(scene.summary.ends == 0);
}

TEST_CASE("what was held back is summed up by kind, after the interval and not before") {
  Scene scene;
  scene.empty();  // holds back one start
  scene.admit(EventKind::task_exited);
  scene.admit(EventKind::task_exited);
  scene.admit(EventKind::task_restarting);
  scene.admit(EventKind::task_stopped);
  scene.admit(EventKind::task_discarded);
  CHECK_FALSE(scene.gate.refill(scene.now, scene.summary));
  CHECK(scene.gate.next_deadline() == beginning + LogGate::summary_interval);
  CHECK_FALSE(scene.gate.refill(beginning + LogGate::summary_interval - 1, scene.summary));
  REQUIRE(scene.gate.refill(beginning + LogGate::summary_interval, scene.summary));
  CHECK(scene.summary.starts == 1);
  CHECK(scene.summary.exits == 2);
  CHECK(scene.summary.restarts == 1);
  CHECK(scene.summary.ends == 2);
  CHECK(scene.summary.last_task == std::string("storm"));
  CHECK(scene.summary.milliseconds == LogGate::summary_interval / 1'000'000);
}

TEST_CASE("nothing is summed up twice") {
  Scene scene;
  scene.empty();
  scene.gate.refill(scene.now, scene.summary);
  scene.now += LogGate::summary_interval;
  REQUIRE(scene.gate.refill(scene.now, scene.summary));
  CHECK(scene.gate.next_deadline() == never);
  CHECK_FALSE(scene.gate.take(scene.now, scene.summary));
  CHECK_FALSE(scene.gate.refill(scene.now + 10 * second, scene.summary));
}

TEST_CASE("at the end, what is held back can be had at once") {
  Scene scene;
  scene.empty();
  scene.admit(EventKind::task_exited);
  REQUIRE(scene.gate.take(scene.now, scene.summary));
  CHECK(scene.summary.starts == 1);
  CHECK(scene.summary.exits == 1);
}

TEST_CASE("with nothing held back there is no summary and no deadline") {
  Scene scene;
  CHECK(scene.admit());
  CHECK_FALSE(scene.gate.refill(scene.now + 100 * second, scene.summary));
  CHECK_FALSE(scene.gate.take(scene.now, scene.summary));
  CHECK(scene.gate.next_deadline() == never);
}

TEST_CASE("a storm that rages on has nothing but summaries, and lines again when it is over") {
  Scene scene;
  scene.empty();
  const auto step = [&scene](int lines) {
    scene.gate.refill(scene.now, scene.summary);
    scene.now += LogGate::summary_interval;
    int passed = 0;
    for (int line = 0; line < lines; ++line) passed += scene.admit() ? 1 : 0;
    if (scene.gate.refill(scene.now, scene.summary)) scene.gate.refill(scene.now, scene.summary);
    return passed;
  };
  step(5000);
  for (int round = 0; round < 10; ++round) CHECK(step(5000) == 0);
  step(0);
  scene.now += second;
  scene.gate.refill(scene.now, scene.summary);
  CHECK(scene.admit());
}
