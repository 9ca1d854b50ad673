// How the monitor interprets what it sees, in virtual time. With real threads: thread_safety/stall_races_test.
#include "stall_watch.hpp"

#include <functional>

#include "support/catch.hpp"

using namespace taskhost;
using namespace std::chrono_literals;

namespace {

using Time = WatchTime::Time;

constexpr Time limit = 100ms;
constexpr Time interval = limit / 4;

// A shard and its monitor, which checks when it is due.
struct Scene {
  // Checks until this much time has passed.
  void pass(Time duration) {
    for (const WatchTime::Real end = real + duration; real < end;) {
      real = std::min(end, due);
      if (real == due) look();
    }
  }
  // The process stands still: what was due happens afterwards.
  void pause(Time duration) {
    real += duration;
    if (real >= due) look();
  }
  void look() {
    time.advance(real);
    const Time since = watch.since();
    if (watch.look(sight, time.now()) && sight.call) {
      const Time age = time.now() - since;
      if (age >= watch.patience(time.now())) ++taken;
      if (age >= limit) {
        ++stalls;
        watch.note_stall(time.now());
      }
      if (age >= watch.patience(time.now())) watch.forget();
    }
    const Time next = std::max<Time>(stop.begun() ? Time(20ms) : watch.patience(time.now()) / 4, 1ms);
    time.next_look_in(next);
    due = real + next;
  }
  void call(Stage stage, Time duration, bool new_step = true) {
    if (new_step) ++sight.step;
    sight.call = stage;
    pass(duration);
    sight.call.reset();
  }

  WatchTime::Real real{1h};
  WatchTime::Real due = real;
  WatchTime time{limit, real};
  StallWatch watch{limit};
  StopWatch stop;
  Sight sight;
  int taken = 0;
  int stalls = 0;
};

}  // namespace

TEST_CASE("a call is a stall once it was seen for the whole limit, a quarter of it late at most") {
  Scene scene;
  scene.pass(10ms);
  scene.call(Stage::poll, 99ms);
  CHECK(scene.stalls == 0);
  scene.pass(10ms);
  scene.call(Stage::poll, limit + interval);
  CHECK(scene.stalls == 1);
}

TEST_CASE("start, poll and drop of one restart are each measured for themselves") {
  Scene scene;
  for (int restart = 0; restart < 20; ++restart) {
    scene.call(Stage::start, 70ms);
    scene.call(Stage::poll, 70ms, false);
    scene.call(Stage::drop, 70ms, false);
  }
  CHECK(scene.taken == 0);
}

TEST_CASE("after a stall, short calls are taken over for ten limits' time, and do not renew it") {
  Scene scene;
  scene.call(Stage::poll, 130ms);
  REQUIRE(scene.stalls == 1);
  const auto storm = [&scene](Time duration) {
    const int before = scene.taken;
    for (const WatchTime::Real end = scene.real + duration; scene.real < end;) scene.call(Stage::poll, 12ms);
    return scene.taken - before;
  };
  CHECK(storm(900ms) > 50);
  storm(200ms);
  CHECK(storm(60s) == 0);
  CHECK(scene.stalls == 1);
  scene.call(Stage::poll, 130ms);
  CHECK(storm(900ms) > 50);
}

TEST_CASE("a call in which the process stands still for a while is no stall, whenever the pause comes") {
  for (Time before = 0ms; before <= 60ms; before += 1ms) {
    for (const Time begins_after : {1ms, 13ms, 24ms}) {  // after the monitor's last check
      for (const Time pause : {50ms, 300ms, 3000ms, 3'600'000ms}) {
        Scene scene;
        scene.pass(begins_after);
        ++scene.sight.step;
        scene.sight.call = Stage::poll;
        scene.pass(before);
        scene.pause(pause);
        scene.pass(60ms - before);
        CHECK(scene.taken == 0);
      }
    }
  }
}

TEST_CASE("a call that blocks is found though the monitor comes too late again and again") {
  Scene scene;
  ++scene.sight.step;
  scene.sight.call = Stage::poll;
  for (int i = 0; i < 10 && scene.stalls == 0; ++i) scene.pause(90ms);
  CHECK(scene.stalls == 1);
}

TEST_CASE("time in which nobody did anything, and the monitor slept, counts in full") {
  Scene scene;
  scene.call(Stage::poll, 130ms);
  REQUIRE(scene.watch.hurries(scene.time.now()));
  scene.time.next_look_in(std::nullopt);
  scene.real += 1h;
  scene.look();
  CHECK_FALSE(scene.watch.hurries(scene.time.now()));
}

TEST_CASE("what was taken over is something else at the next look") {
  StallWatch watch(limit);
  CHECK_FALSE(watch.look({1, 0, Stage::poll}, 1s));
  CHECK(watch.look({1, 0, Stage::poll}, 2s));
  CHECK(watch.since() == 1s);
  watch.forget();
  CHECK_FALSE(watch.look({1, 0, Stage::poll}, 3s));
  CHECK(watch.since() == 3s);
}

TEST_CASE("a stop is over for a task at its stop_timeout, or when it has run out of time as a whole") {
  StopWatch stop;
  CHECK_FALSE(stop.is_over(0ms, 1h));
  CHECK_FALSE(stop.is_stuck(0ms, 1h));
  stop.begin(10s);
  CHECK_FALSE(stop.is_over(2s, 11s));
  CHECK(stop.is_over(2s, 12s));
  CHECK_FALSE(stop.is_stuck(11s, 11s + StopWatch::stuck_after - 1ns));
  CHECK(stop.is_stuck(11s, 11s + StopWatch::stuck_after));
  stop.expire(13s);
  CHECK(stop.is_over(1h, 13s));
}

TEST_CASE("a handler is hopeless once it was seen for so long after the stop ran out of time") {
  StopWatch stop;
  stop.begin(0s);
  CHECK_FALSE(stop.is_hopeless(0s, 1h));
  stop.expire(100s);
  CHECK_FALSE(stop.is_hopeless(0s, 100s + StopWatch::give_up_after - 1ns));
  CHECK(stop.is_hopeless(0s, 100s + StopWatch::give_up_after));
  CHECK_FALSE(stop.is_hopeless(101s, 100s + StopWatch::give_up_after));
}

TEST_CASE("a pause uses up no task's stop_timeout, and makes no call and no handler look stuck") {
  Scene scene;
  scene.look();
  scene.stop.begin(scene.time.now());
  ++scene.sight.step;
  scene.sight.call = Stage::poll;
  scene.pass(60ms);
  scene.stop.expire(scene.time.now());
  scene.pause(1h);
  CHECK_FALSE(scene.stop.is_stuck(scene.watch.since(), scene.time.now()));
  CHECK_FALSE(scene.stop.is_hopeless(scene.watch.since(), scene.time.now()));
  StopWatch other;
  other.begin(scene.time.now());
  scene.pause(1h);
  CHECK_FALSE(other.is_over(300ms, scene.time.now()));
  scene.pass(400ms);
  CHECK(other.is_over(300ms, scene.time.now()));
}
