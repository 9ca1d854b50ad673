// Wakes from foreign threads: of live executions, of dead ones, and of those of supervisors long gone.
#include <boost/asio/awaitable.hpp>

#include "race.hpp"
#include "shard_scene.hpp"
#include "taskhost/core/wake_port.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

TEST_CASE("no wake from a foreign thread is lost") {
  // A relay: the foreign thread wakes, and waits for the next step, thousands of times. A single lost wake hangs it.
  RecordingSink sink;
  const SteadyClock clock;
  Supervisor supervisor(with_shards(2), sink, clock);
  constexpr int tasks = 4;
  struct Lane {
    std::atomic<Waker> waker{0};
    std::atomic<int> asked{0};
    std::atomic<int> answered{0};
  };
  std::vector<Lane> lanes(tasks);
  for (Lane& lane : lanes) {
    supervisor.add({"t",
                    TaskFn(stepping([&lane](Execution& execution) {
                      lane.waker = execution.waker();
                      lane.answered = lane.asked.load();
                      lane.answered.notify_all();
                      return execution.stop_requested() ? Status::ok : Status::pending;
                    })),
                    {}});
  }
  supervisor.start();
  std::atomic<int> relayed{0};
  std::vector<std::thread> threads;
  for (Lane& lane : lanes) {
    threads.emplace_back([&lane, &relayed] {
      while (lane.waker == 0) std::this_thread::yield();
      for (Rounds rounds(3000); rounds.next(); ++relayed) {
        const int round = ++lane.asked;
        Execution::wake(lane.waker);
        for (int seen = lane.answered; seen < round; seen = lane.answered) lane.answered.wait(seen);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  supervisor.request_stop({});
  CHECK(supervisor.wait() == HostResult::success);
  CHECK(relayed > 0);
}

TEST_CASE("a slot that another thread has just got for a task wakes it, whoever wakes by it") {
  ShardScene scene;
  std::atomic<bool> over{false};
  std::thread other;
  int steps = 0;
  scene.add("t", stepping([&](Execution& execution) {
              if (++steps == 2) return Status::ok;
              auto& cell = static_cast<TaskCell&>(execution);
              other = std::thread([&cell, &over] {
                cell.need_slot();
                while (!over.load(std::memory_order_relaxed)) std::this_thread::yield();  // does nothing else meanwhile
              });
              while (cell.slot.load(std::memory_order_relaxed) == TaskCell::no_slot) std::this_thread::yield();
              WakePort::wake(execution.waker());
              return Status::pending;
            }));
  scene.run();
  over.store(true, std::memory_order_relaxed);
  other.join();
  CHECK(steps == 2);
}

TEST_CASE("wakes from many threads into running executions that restart and end all the while") {
  WakerBoard board;
  Crowd crowd(3, [&board](unsigned number) { board.wake(number); });
  for (Rounds rounds(20); rounds.next();) {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(2), sink, clock);
    const auto recipe = stepping([&board, steps = std::make_shared<std::atomic<int>>(0)](Execution& execution) {
      board.put(execution.waker());
      if (++*steps % 5 == 0) return Status::error;
      return execution.stop_requested() ? Status::ok : Status::pending;
    });
    for (int i = 0; i < 20; ++i) supervisor.add({"t", TaskFn(recipe), {TaskType::detachable, 50}});
    supervisor.start();
    CHECK(sink.await("t restarting", 20));
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::success);
    CHECK(recipe->drops == recipe->made);
    CHECK(starts_match_ends(sink));
  }
}

TEST_CASE("stale wakers, after the end and after their supervisor is gone, wake nobody") {
  WakerBoard old;
  {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor({}, sink, clock);
    for (int i = 0; i < 100; ++i) {
      supervisor.add({"t",
                      TaskFn(stepping([&old](Execution& execution) {
                        old.put(execution.waker());
                        return Status::ok;
                      })),
                      {}});
    }
    supervisor.start();
    supervisor.wait();
  }
  old.wake(0);  // there is nobody

  // A later supervisor, on the same slots.
  Crowd crowd(2, [&old](unsigned number) { old.wake(number); });
  RecordingSink sink;
  const SteadyClock clock;
  Supervisor supervisor({}, sink, clock);
  const auto recipe = stepping([](Execution& execution) {
    execution.waker();
    return execution.stop_requested() ? Status::ok : Status::pending;
  });
  for (int i = 0; i < 100; ++i) supervisor.add({"t", TaskFn(recipe), {}});
  supervisor.start();
  CHECK(sink.await("t started 1", 100));
  for (Rounds rounds(200); rounds.next();) std::this_thread::yield();
  supervisor.request_stop({});
  CHECK(supervisor.wait() == HostResult::success);
  crowd.end();
  CHECK(recipe->steps == 200);  // one after the start, one for the stop
}

TEST_CASE("wakes that race with a restart wake the old execution, the new one, or nobody, and harm none") {
  RecordingSink sink;
  const SteadyClock clock;
  SupervisorOptions options;
  options.complete_events = false;
  Supervisor supervisor(options, sink, clock);
  WakerBoard board;
  Crowd crowd(3, [&board](unsigned number) { board.wake(number); });
  std::atomic<int> wrong{0};
  struct State {
    std::uint64_t number;
    int steps;
  };
  Script script;
  script.state_size = sizeof(State);
  script.state_align = alignof(State);
  script.start = [&board](void* state, Execution& execution) {
    static_cast<State*>(state)->number = execution.number();
    board.put(execution.waker());
    return Status::ok;
  };
  script.step = [&wrong](void* memory, Execution& execution) {
    auto& state = *static_cast<State*>(memory);
    if (state.number != execution.number()) ++wrong;
    if (state.steps++ != 0) return Status::error;
    Execution::wake(execution.waker());  // at the same time as the crowd
    return Status::pending;
  };
  const auto recipe = recipe_of(script);
  for (int i = 0; i < 4; ++i) supervisor.add({"t", TaskFn(recipe), {TaskType::detachable, 5000}});
  supervisor.start();
  CHECK(supervisor.wait() == HostResult::task_failed);
  CHECK(wrong == 0);
  CHECK(recipe->drops == recipe->made);
}

TEST_CASE("many supervisors come and go while foreign threads keep waking every waker there ever was") {
  WakerBoard board;
  Crowd crowd(2, [&board](unsigned number) { board.wake(number); });
  for (Rounds rounds(200); rounds.next();) {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(2), sink, clock);
    const auto recipe = stepping([&board](Execution& execution) {
      board.put(execution.waker());
      return execution.number() == 3 || execution.stop_requested() ? Status::ok : Status::error;
    });
    for (int i = 0; i < 10; ++i) supervisor.add({"t", TaskFn(recipe), {TaskType::detachable, 5}});
    supervisor.start();
    CHECK(supervisor.wait() == HostResult::success);
    CHECK(recipe->starts == 30);
    CHECK(recipe->drops == 30);
  }
}

TEST_CASE("ready, log, heartbeat and the question for a stop may come from any thread while an execution lives") {
  RecordingSink sink;
  const SteadyClock clock;
  SupervisorOptions options = with_shards(2);
  options.stall_limit = std::chrono::minutes(1);  // its drop waits for threads, which takes long on a busy machine
  Supervisor supervisor(options, sink, clock);
  struct Live {
    std::atomic<Execution*> execution{nullptr};
    std::atomic<int> users{0};
  };
  Live live;
  std::atomic<int> wrong{0};
  // As with a plugin's own threads: they are gone when drop returns.
  Script script;
  script.start = [&live](void*, Execution& execution) {
    live.execution = &execution;
    return Status::ok;
  };
  script.step = [](void*, Execution& execution) {
    if (execution.stop_requested()) return Status::ok;
    execution.wake_after(0);
    return Status::pending;
  };
  script.drop = [&live](void*) {
    live.execution = nullptr;
    while (live.users != 0) std::this_thread::yield();
  };
  supervisor.add({"t", TaskFn(recipe_of(script)), {}});
  supervisor.start();
  {
    Crowd crowd(3, [&live, &wrong](unsigned) {
      ++live.users;
      if (Execution* execution = live.execution) {
        execution->ready();
        execution->heartbeat();
        if (execution->stop_requested()) execution->log(LogLevel::info, execution->task_name());
        if (execution->number() != 1) ++wrong;
      }
      --live.users;
    });
    CHECK(sink.await("t ready 1"));
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::success);
  }
  CHECK(wrong == 0);
  CHECK(sink.lines() == Lines{"t started 1", "t ready 1", "host stopping request", "t stopping 1", "t stopped 1",
                              "host stopped request"});
}
