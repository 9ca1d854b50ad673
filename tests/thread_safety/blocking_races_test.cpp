// Blocking tasks on their threads: concurrent stops, wakes and ends, descriptors, and abandoned tasks.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "race.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

TEST_CASE("a stop that races with blocking tasks that end by themselves") {
  for (Rounds rounds(100); rounds.next();) {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(2), sink, clock);
    for (int i = 0; i < 6; ++i) {
      supervisor.add({"t",
                      TaskFn::from_blocking([](BlockingContext& context) {
                        context.wait_for(50us);
                        return TaskResult::failed("again");
                      }),
                      {TaskType::mandatory, 1'000'000}});
    }
    supervisor.start();
    CHECK(sink.await("t restarting", 6));
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::success);
    CHECK(starts_match_ends(sink));
  }
}

TEST_CASE("no wake of a waiting blocking task is lost") {
  RecordingSink sink;
  const SteadyClock clock;
  Supervisor supervisor({}, sink, clock);
  std::atomic<Waker> waker{0};
  std::atomic<int> asked{0};
  std::atomic<int> answered{0};
  supervisor.add({"t",
                  TaskFn::from_blocking([&](BlockingContext& context) {
                    waker = context.execution().waker();
                    while ((context.execution().wait_until(never) & wait_stop) == 0) {
                      answered = asked.load();
                      answered.notify_all();
                    }
                  }),
                  {}});
  supervisor.start();
  while (waker == 0) std::this_thread::yield();
  for (Rounds rounds(2000); rounds.next();) {
    const int round = ++asked;
    Execution::wake(waker);
    for (int seen = answered; seen < round; seen = answered) answered.wait(seen);
  }
  supervisor.request_stop({});
  CHECK(supervisor.wait() == HostResult::success);
}

TEST_CASE("a blocking task's own loop hears every wake, and the stop") {
  RecordingSink sink;
  const SteadyClock clock;
  Supervisor supervisor({}, sink, clock);
  std::atomic<Waker> waker{0};
  std::atomic<int> asked{0};
  std::atomic<int> answered{0};
  supervisor.add({"loop",
                  TaskFn::from_blocking([&](BlockingContext& context) {
                    pollfd bell{context.execution().wait_descriptor(), POLLIN, 0};
                    waker = context.execution().waker();
                    for (;;) {
                      if (::poll(&bell, 1, -1) != 1) return TaskResult::failed("no bell");
                      if ((context.execution().wait_until(0) & wait_stop) != 0) return TaskResult::ok();
                      answered = asked.load();
                      answered.notify_all();
                    }
                  }),
                  {}});
  supervisor.start();
  while (waker == 0) std::this_thread::yield();
  for (Rounds rounds(2000); rounds.next();) {
    const int round = ++asked;
    Execution::wake(waker);
    for (int seen = answered; seen < round; seen = answered) answered.wait(seen);
  }
  supervisor.request_stop({});
  CHECK(supervisor.wait() == HostResult::success);
  CHECK(sink.lines("loop").back() == "loop stopped 1");
}

TEST_CASE("a watched descriptor wakes its task for each byte, while other threads write and wake") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_NONBLOCK) == 0);
  RecordingSink sink;
  const SteadyClock clock;
  Supervisor supervisor({}, sink, clock);
  std::atomic<Waker> waker{0};
  std::atomic<int> read_bytes{0};
  Script script;
  script.start = [&](void*, Execution& execution) {
    waker = execution.waker();
    return execution.watch(ends[0], readable, 0) == Refusal::none ? Status::ok : Status::error;
  };
  script.step = [&](void*, Execution& execution) {
    char byte = 0;
    Ready ready;
    while (execution.take_ready(&ready, 1) == 1 && ::read(ends[0], &byte, 1) == 1) ++read_bytes;
    read_bytes.notify_all();
    return execution.stop_requested() ? Status::ok : Status::pending;
  };
  supervisor.add({"reader", TaskFn(recipe_of(script)), {}});
  supervisor.start();
  while (waker == 0) std::this_thread::yield();
  std::atomic<bool> over{false};
  std::thread nosy([&] {
    while (!over) Execution::wake(waker);
  });
  int written = 0;
  for (Rounds rounds(2000); rounds.next();) {
    REQUIRE(::write(ends[1], "x", 1) == 1);
    ++written;
    for (int seen = read_bytes; seen < written; seen = read_bytes) read_bytes.wait(seen);
  }
  over = true;
  nosy.join();
  supervisor.request_stop({});
  CHECK(supervisor.wait() == HostResult::success);
  CHECK(read_bytes == written);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("an abandoned blocking task may go on using its services, and its wakers stay stale") {
  struct Shared {
    std::atomic<bool> end{false};
    std::atomic<bool> ended{false};
    std::atomic<bool> running{false};
  };
  for (Rounds rounds(20); rounds.next();) {
    const auto shared = std::make_shared<Shared>();
    const auto sink = std::make_shared<RecordingSink>();
    static const SteadyClock clock;
    Supervisor supervisor({}, *sink, clock);
    supervisor.add({"deaf",
                    TaskFn::from_blocking([shared](BlockingContext& context) {
                      Execution& execution = context.execution();
                      shared->running = true;
                      while (!shared->end) {
                        Execution::wake(execution.waker());
                        execution.heartbeat();
                        execution.ready();
                        execution.fail("on and on");
                        execution.wake_after(0);
                        execution.wait_until(0);
                      }
                      shared->ended = true;
                      shared->ended.notify_all();
                    }),
                    {TaskType::detachable, 0, 1ms}});
    supervisor.start();
    while (!shared->running) std::this_thread::yield();
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::stop_timed_out);
    CHECK(sink->lines("deaf").back() == "deaf abandoned 1");
    REQUIRE(supervisor.abandoned_threads());
    Supervisor::leak(sink);
    shared->end = true;
    shared->ended.wait(false);
  }
}

TEST_CASE("when a supervisor is gone, nothing holds the recipes of its blocking tasks any more") {
  for (Rounds rounds(300); rounds.next();) {
    const auto held = std::make_shared<int>(0);
    {
      RecordingSink sink;
      const SteadyClock clock;
      Supervisor supervisor(with_shards(2), sink, clock);
      for (int i = 0; i < 4; ++i) supervisor.add({"t", TaskFn::from_blocking([held] {}), {}});
      supervisor.start();
      CHECK(supervisor.wait() == HostResult::success);
    }
    REQUIRE(held.use_count() == 1);
  }
}
