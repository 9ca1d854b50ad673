// A stop that races with everything else: other stops, exits, the start, restarts.
#include "race.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

TEST_CASE("of many requests to stop, from tasks and from other threads, one is the cause, and all ends well") {
  for (Rounds rounds(200); rounds.next();) {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(3), sink, clock);
    for (int i = 0; i < 6; ++i) {
      supervisor.add({"last", TaskFn(stepping([](Execution&) { return Status::ok; })), {TaskType::shutdown_on_exit}});
      supervisor.add({"needed", TaskFn(stepping([](Execution&) { return Status::error; })), {TaskType::mandatory, 2}});
    }
    std::vector<std::thread> threads;
    supervisor.start();
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&supervisor] { supervisor.request_stop({StopReason::request, false, {}, {}}); });
    }
    for (std::thread& thread : threads) thread.join();
    const HostResult result = supervisor.wait();
    const Lines host = sink.lines("host");
    REQUIRE(host.size() == 2);
    CHECK((result == HostResult::task_failed) == (host[0] == "host stopping budget_exhausted by needed"));
    CHECK(host[1].substr(13) == host[0].substr(14));  // "host stopped …" for the reason of "host stopping …"
    CHECK(starts_match_ends(sink));
  }
}

TEST_CASE("a stop that races with the start starts all, some or none, and ends each that was started") {
  for (Rounds rounds(300); rounds.next();) {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(2), sink, clock);
    const auto recipe =
        stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; });
    for (int i = 0; i < 50; ++i) supervisor.add({"t", TaskFn(recipe), {TaskType::mandatory, 3}});
    std::thread stopper([&supervisor] { supervisor.request_stop({}); });
    supervisor.start();
    CHECK(supervisor.wait() == HostResult::success);
    stopper.join();
    CHECK(recipe->drops == recipe->starts);
    CHECK(sink.count(EventKind::task_started) == static_cast<std::size_t>(recipe->starts));
    CHECK(sink.count(EventKind::task_stopped) == static_cast<std::size_t>(recipe->starts));
    CHECK(sink.lines().back() == "host stopped request");
  }
}

TEST_CASE("a stop in the middle of a restart storm leaves no start without its end, and none after host_stopping") {
  for (Rounds rounds(100); rounds.next();) {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(2), sink, clock);
    const auto recipe = stepping([](Execution&) { return Status::error; });
    for (int i = 0; i < 10; ++i) supervisor.add({"t", TaskFn(recipe), {TaskType::mandatory, 1'000'000'000}});
    supervisor.start();
    CHECK(sink.await("t started 10"));
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::success);
    CHECK(recipe->drops == recipe->starts);
    CHECK(starts_match_ends(sink));
    bool stopping = false;
    int late = 0;
    for (const Record& record : sink.records()) {
      if (record.event.kind == EventKind::host_stopping) stopping = true;
      if (record.event.kind == EventKind::task_started && stopping) ++late;
    }
    CHECK(late == 0);
  }
}

TEST_CASE("a stop that is made to end now races with tasks that end by themselves") {
  for (Rounds rounds(200); rounds.next();) {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(2), sink, clock);
    const auto recipe = stepping([](Execution& execution) {
      if (execution.stop_requested() && execution.number() % 2 == 0) return Status::ok;
      Execution::wake(execution.waker());
      return Status::pending;
    });
    for (int i = 0; i < 20; ++i) supervisor.add({"t", TaskFn(recipe), {}});
    supervisor.start();
    supervisor.request_stop({});
    std::thread other([&supervisor] { supervisor.expire_stop(); });
    supervisor.expire_stop();
    const HostResult result = supervisor.wait();
    other.join();
    CHECK((result == HostResult::stop_timed_out || recipe->starts == 0));
    CHECK(recipe->drops == recipe->starts);
    CHECK(starts_match_ends(sink));
    CHECK_FALSE(supervisor.abandoned_threads());
  }
}

TEST_CASE("the last tasks of several shards end at the same moment, and the host ends once") {
  for (Rounds rounds(300); rounds.next();) {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(4), sink, clock);
    for (int i = 0; i < 8; ++i) {
      supervisor.add({"t", TaskFn(stepping([](Execution&) { return Status::ok; })), {}});
    }
    supervisor.start();
    CHECK(supervisor.wait() == HostResult::success);
    CHECK(sink.lines("host") == Lines{"host stopping all_done", "host stopped all_done"});
  }
}
