// A storm must not drown the log, but the log must report it.
#include "log_gate.hpp"

#include "support/catch.hpp"

using taskhost::CauseCounts;
using taskhost::Event;
using taskhost::EventKind;
using taskhost::LogGate;
using taskhost::LogLevel;
using taskhost::LogSummary;
using taskhost::Nanoseconds;
using taskhost::never;
using taskhost::Outcome;
using taskhost::StopReason;

namespace {

constexpr Nanoseconds second = 1'000'000'000;
constexpr Nanoseconds beginning = 1000 * second;

Event news(EventKind kind, Outcome outcome = Outcome::ok, const char* message = "") {
  return {.kind = kind, .outcome = outcome, .reason = StopReason::task_exit, .message = message};
}

struct Scene {
  explicit Scene(LogLevel shown = LogLevel::info) : gate(shown) { CHECK_FALSE(refill()); }
  bool admit(EventKind kind = EventKind::task_started, Outcome outcome = Outcome::ok, const char* message = "") {
    return gate.admit(news(kind, outcome, message), "storm", host_stops);
  }
  bool admit_again(EventKind kind) { return gate.admit_again(news(kind), "t", host_stops); }
  void empty() {
    for (std::uint32_t i = 0; i < LogGate::burst; ++i) REQUIRE(admit());
    REQUIRE_FALSE(admit());
  }
  bool refill() { return refill(now); }
  bool refill(Nanoseconds time) { return gate.refill(time) && take(time); }
  bool take() { return take(now); }
  bool take(Nanoseconds time) {
    if (!gate.holds_back()) return false;
    summary = gate.take(time);
    return true;
  }

  LogGate gate;
  bool host_stops = false;
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
  CHECK_FALSE(scene.refill());
  scene.now += LogGate::summary_interval - 1;
  CHECK_FALSE(scene.refill());
  CHECK_FALSE(scene.admit());
  scene.now += 1;
  CHECK(scene.refill());
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
    scene.refill();
    for (int line = 0; line < 4; ++line) passed += scene.admit() ? 1 : 0;
  }
  CHECK(passed > 0);
  CHECK(passed <= 10 * LogGate::lines_a_second);
}

TEST_CASE("a long silence saves up no more than one burst") {
  Scene scene;
  scene.empty();
  scene.refill();
  scene.now += 3600 * second;
  CHECK(scene.refill());
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
  CHECK(scene.admit_again(EventKind::task_stalled));
  while (scene.admit_again(EventKind::task_stalled)) {
  }
  CHECK_FALSE(scene.admit_again(EventKind::task_stalled));
  REQUIRE(scene.take());
  CHECK(scene.summary.stalls == 2);
  CHECK(scene.summary.ends == 0);
}

TEST_CASE("what was held back is summed up by kind, after the interval and not before") {
  Scene scene;
  scene.empty();  // holds one start back
  scene.admit(EventKind::task_exited);
  scene.admit(EventKind::task_exited);
  scene.admit(EventKind::task_restarting);
  scene.admit(EventKind::task_stopped);
  scene.admit(EventKind::task_discarded);
  CHECK_FALSE(scene.refill());
  CHECK(scene.gate.next_deadline() == beginning + LogGate::summary_interval);
  CHECK_FALSE(scene.refill(beginning + LogGate::summary_interval - 1));
  REQUIRE(scene.refill(beginning + LogGate::summary_interval));
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
  scene.refill();
  scene.now += LogGate::summary_interval;
  REQUIRE(scene.refill());
  CHECK(scene.gate.next_deadline() == never);
  CHECK_FALSE(scene.take());
  CHECK_FALSE(scene.refill(scene.now + 10 * second));
}

TEST_CASE("at the end, what is held back can be had at once") {
  Scene scene;
  scene.empty();
  scene.admit(EventKind::task_exited);
  REQUIRE(scene.take());
  CHECK(scene.summary.starts == 1);
  CHECK(scene.summary.exits == 1);
}

TEST_CASE("with nothing held back there is no summary and no deadline") {
  Scene scene;
  CHECK(scene.admit());
  CHECK_FALSE(scene.refill(scene.now + 100 * second));
  CHECK_FALSE(scene.take());
  CHECK(scene.gate.next_deadline() == never);
}

TEST_CASE("a storm that rages on has nothing but summaries, and lines again when it is over") {
  Scene scene;
  scene.empty();
  const auto step = [&scene](int lines) {
    scene.refill();
    scene.now += LogGate::summary_interval;
    int passed = 0;
    for (int line = 0; line < lines; ++line) passed += scene.admit() ? 1 : 0;
    if (scene.refill()) scene.refill();
    return passed;
  };
  step(5000);
  for (int round = 0; round < 10; ++round) CHECK(step(5000) == 0);
  step(0);
  scene.now += second;
  scene.refill();
  CHECK(scene.admit());
}

TEST_CASE("what the log's level leaves out uses up nothing of the limit, and is in no summary") {
  Scene scene(LogLevel::warning);
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(scene.admit(EventKind::task_started));
    CHECK_FALSE(scene.admit(EventKind::task_exited));
    CHECK_FALSE(scene.admit(EventKind::task_restarting));
  }
  CHECK_FALSE(scene.gate.holds_back());
  for (std::uint32_t i = 0; i < LogGate::burst; ++i) REQUIRE(scene.admit(EventKind::task_exited, Outcome::error));
  CHECK_FALSE(scene.admit(EventKind::task_exited, Outcome::error));
  CHECK_FALSE(scene.admit(EventKind::task_started));
  scene.gate.hold_back_start();
  scene.gate.hold_back_restart(Outcome::ok, "storm", nullptr);
  scene.gate.hold_back_restart(Outcome::error, "storm", nullptr);
  REQUIRE(scene.take());
  CHECK(scene.summary.starts == 0);
  CHECK(scene.summary.exits == 2);
  CHECK(scene.summary.failures == 2);
  CHECK(scene.summary.restarts == 0);
  CHECK(scene.summary.level == LogLevel::warning);
}

TEST_CASE("while the host stops, that its tasks do is below the level of the log, and uses up nothing") {
  Scene scene;
  scene.host_stops = true;
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(scene.admit(EventKind::task_stopping));
    CHECK_FALSE(scene.admit(EventKind::task_stopped, Outcome::cancelled));
  }
  CHECK_FALSE(scene.gate.holds_back());
  CHECK(scene.admit(EventKind::task_stopped, Outcome::cancelled, "did not stop in time and was dropped"));
}

TEST_CASE("a log that shows errors only is like a storm from the beginning, but without summaries") {
  Scene scene(LogLevel::error);
  CHECK_FALSE(scene.gate.passes(LogLevel::warning));
  scene.gate.hold_back_start();
  scene.gate.hold_back_restart(Outcome::error, "storm", nullptr);
  CHECK_FALSE(scene.admit(EventKind::task_stalled));
  CHECK(scene.admit(EventKind::task_gave_up, Outcome::error));
  CHECK_FALSE(scene.refill(scene.now + 10 * second));
  CHECK(scene.gate.next_deadline() == never);
}

TEST_CASE("a summary has the causes with their counts, and its level is that of the worst line") {
  Scene scene;
  scene.empty();
  REQUIRE(scene.take());
  CHECK(scene.summary.level == LogLevel::info);
  CHECK(scene.summary.causes.empty());
  scene.now += 60 * second;
  scene.refill();
  scene.empty();
  const std::string no_route = "no route";
  for (int i = 0; i < 3; ++i) scene.gate.hold_back_restart(Outcome::error, "storm", &no_route);
  scene.admit(EventKind::task_exited, Outcome::error, "no route");
  scene.admit(EventKind::task_exited, Outcome::panic, "bad_alloc\nwith a second line");
  for (const char* other : {"a", "b", "c", "d", "c"}) scene.admit(EventKind::task_stopped, Outcome::cancelled, other);
  REQUIRE(scene.take());
  CHECK(scene.summary.level == LogLevel::warning);
  const auto& causes = scene.summary.causes.causes();
  CHECK(causes[0].text() == "no route");
  CHECK(causes[0].count == 4);
  CHECK(causes[1].text() == "bad_alloc");
  CHECK(causes[1].count == 1);
  CHECK(causes[3].text() == "b");
  CHECK(scene.summary.causes.others() == 3);
}

TEST_CASE("a long cause is kept up to a bound, and not cut within a character") {
  CauseCounts counts;
  const std::string text = std::string(CauseCounts::longest - 1, 'x') + "\u00e9\u00e9";
  counts.count(text);
  counts.count(text + " and more");
  CHECK(counts.causes()[0].text() == std::string(CauseCounts::longest - 1, 'x'));
  CHECK(counts.causes()[0].count == 2);
}
