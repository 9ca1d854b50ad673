// Shards taken over from calls that may return at that very moment, or not.
#include <future>

#include "asymmetric_fence.hpp"
#include "race.hpp"
#include "shard_scene.hpp"
#include "task_cell.hpp"
#include "tenure.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

TEST_CASE("of the thread whose call ends and the monitor that takes it, exactly one owns what the tenure guards") {
  std::uint64_t taken = 0;
  std::uint64_t returned = 0;
  for (Rounds rounds(50); rounds.next();) {
    alignas(TaskCell) std::byte memory[sizeof(TaskCell)];
    TaskCell& cell = *reinterpret_cast<TaskCell*>(memory);  // its content is never read
    Tenure tenure;
    std::uint64_t guarded = 0;  // a plain variable, so that the sanitizer detects a wrong owner
    bool lost = false;
    std::atomic<bool> over{false};
    std::thread owner([&] {
      for (int i = 0; i < 20'000 && !lost; ++i) {
        ++guarded;
        tenure.begin_step();
        tenure.begin_call(cell, Stage::poll);
        lost = !tenure.end_call();
      }
      if (lost) CHECK(tenure.come_back(Status::ok, [] {}));
      over = true;
    });
    bool took = false;
    while (!over && !took) {
      const Sight seen = tenure.look();
      if (!tenure.pin(seen)) continue;
      ++guarded;  // pinned, so nobody else accesses it
      if (seen.step % 3 == 0) {
        tenure.take();
        took = true;
      } else {
        tenure.unpin();
      }
    }
    if (took) ++guarded;  // by the new owner
    owner.join();
    CHECK(took == lost);
    CHECK(tenure.is_back() == took);
    ++(took ? taken : returned);
  }
  CHECK(taken + returned > 0);
}

TEST_CASE(
    "of the thread that leaves a handler and the monitor that gives its shard up, exactly one owns what is guarded") {
  for (Rounds rounds(50); rounds.next();) {
    Tenure tenure;
    std::uint64_t guarded = 0;
    bool lost = false;
    std::atomic<bool> over{false};
    std::thread owner([&] {
      for (int i = 0; i < 20'000 && !lost; ++i) {
        tenure.enter_loop();
        lost = !tenure.leave_loop();
        if (!lost) ++guarded;
      }
      over = true;
    });
    bool given_up = false;
    while (!over && !given_up) {
      const Sight seen = tenure.look();
      if (!tenure.pin(seen)) continue;
      ++guarded;
      given_up = seen.loop % 3 == 0;
      if (given_up) {
        tenure.give_up();
      } else {
        tenure.unpin();
      }
    }
    if (given_up) ++guarded;
    owner.join();
    CHECK(given_up == lost);
  }
}

TEST_CASE("of a shard that wakes up and the monitor that goes to sleep, one at least sees the other") {
  struct Owner final : FakeOwner {
    std::atomic<bool> armed{true};
    bool saw_nothing = false;  // armed
    void shard_awake() noexcept override { saw_nothing = !armed.load(std::memory_order_relaxed); }
  } owner;
  RecordingSink sink;
  const VirtualClock clock;
  Shard shard(owner, sink, clock, true);
  std::atomic<int> begun{0};  // rounds
  std::atomic<int> ended{0};
  std::atomic<bool> over{false};
  std::thread thread([&] {
    for (int round = 1; !over; ++round) {
      while (begun.load() < round && !over) {
      }
      shard.rouse();
      ended = round;
    }
  });
  int missed = 0;
  int round = 0;
  for (Rounds rounds(200'000); rounds.next();) {
    shard.doze();
    owner.saw_nothing = false;
    owner.armed = true;
    begun = ++round;
    owner.armed.store(false, std::memory_order_relaxed);
    heavy_fence();
    const bool seen = shard.awake();
    while (ended.load() < round) {
    }
    if (!seen && !owner.saw_nothing) ++missed;
  }
  over = true;
  thread.join();
  CHECK(missed == 0);
}

TEST_CASE("a take-over that races with the call coming back: the task is stopped or abandoned, and the host ends") {
  // Each round takes the 200 ms after which a call counts as stuck; the call returns at about that time.
  int round = 0;
  for (Rounds rounds(6); rounds.next(); ++round) {
    const auto door = std::make_shared<std::promise<void>>();
    const auto open = std::make_shared<std::shared_future<void>>(door->get_future());
    const auto back = std::make_shared<std::promise<void>>();
    const auto sink = std::make_shared<RecordingSink>();
    static const SteadyClock clock;
    SupervisorOptions options;
    options.shutdown_timeout = 1ms;
    Supervisor supervisor(options, *sink, clock);
    const auto stuck = stepping([open, back](Execution& execution) {
      execution.log(LogLevel::info, "in it");
      open->wait_for(200ms + std::chrono::milliseconds(5 * (static_cast<int>(execution.number()) % 3)));
      execution.wake_after(0);
      execution.ready();
      back->set_value();
      return Status::ok;
    });
    const auto neighbour =
        stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; });
    supervisor.add({"neighbour", TaskFn(neighbour), {}});
    supervisor.add({"stuck", TaskFn(stuck), {TaskType::shutdown_on_exit}});
    supervisor.add({"waiting", TaskFn(neighbour), {}});
    supervisor.start();
    REQUIRE(sink->await_log("stuck: in it"));
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::stop_timed_out);
    CHECK(starts_match_ends(*sink));
    CHECK(sink->count(EventKind::task_started) == 2 + sink->count(EventKind::task_started, "waiting"));
    CHECK(neighbour->drops == neighbour->starts);
    back->get_future().wait();
    if (supervisor.abandoned_threads()) {
      CHECK(sink->lines("stuck").back() == "stuck abandoned 1");
      CHECK(stuck->drops == 0);
      Supervisor::leak(sink);
    } else {
      CHECK(stuck->drops == 1);
    }
  }
}
