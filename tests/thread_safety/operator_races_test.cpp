// An operator's order at the worst moments: just before the host's stop, while a thread is stuck in the task, before
// the task has started, when the last task has just ended.
#include <boost/asio/post.hpp>
#include <future>

#include "race.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

using Lines = std::vector<std::string>;

TaskOptions mandatory(std::chrono::nanoseconds stop_timeout) { return {TaskType::mandatory, 3, stop_timeout}; }

// Opened once, at the latest by the end of the test.
class Door {
 public:
  ~Door() { open(); }
  void open() {
    if (!open_.exchange(true)) promise_.set_value();
  }
  void wait() const { future_.wait(); }

 private:
  std::promise<void> promise_;
  const std::shared_future<void> future_ = promise_.get_future().share();
  std::atomic<bool> open_{false};
};

// What an abandoned thread may use for ever, kept where leak checkers find it.
template <class Object, class... Arguments>
Object* kept(Arguments&&... arguments) {
  auto object = std::make_shared<Object>(std::forward<Arguments>(arguments)...);
  Supervisor::leak(object);
  return object.get();
}

bool comes_true(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + 30s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

}  // namespace

TEST_CASE("a host that is stopped right after an operator's order stops in order") {
  for (const Operation operation : {Operation::stop, Operation::start, Operation::restart}) {
    for (const bool expires : {false, true}) {
      for (Rounds rounds(40); rounds.next();) {
        RecordingSink sink;
        SteadyClock clock;
        Supervisor supervisor(with_shards(1), sink, clock);
        supervisor.add({"t", TaskFn(stepping(obey)), mandatory(10s)});
        supervisor.start();
        supervisor.operate(0, operation);
        supervisor.request_stop({});
        if (expires) supervisor.expire_stop();
        const HostResult result = supervisor.wait();
        const bool in_time = result == HostResult::success;  // it may have ended before the expiry
        CHECK((in_time || (expires && result == HostResult::stop_timed_out)));
        CHECK(starts_match_ends(sink));
      }
    }
  }
}

TEST_CASE("a task that blocks when an operator asks it to end is abandoned at its stop_timeout, though the host runs") {
  auto* const sink = kept<RecordingSink>();  // the abandoned thread may use all of this
  auto* const clock = kept<SteadyClock>();
  auto* const door = kept<Door>();
  auto* const supervisor = kept<Supervisor>(SupervisorOptions{}, *sink, *clock);
  supervisor->add({"other", TaskFn(stepping(obey)), mandatory(300ms)});
  supervisor->add({"t",
                   TaskFn(stepping([door](Execution& execution) {
                     if (execution.stop_requested()) door->wait();
                     return Status::pending;
                   })),
                   {TaskType::detachable, 3, 300ms}});
  supervisor->start();
  REQUIRE(comes_true([&] { return sink->count(EventKind::task_started) == 2; }));
  supervisor->operate(1, Operation::restart);
  CHECK(comes_true([&] { return sink->count(EventKind::task_abandoned) == 1; }));
  supervisor->request_stop({});
  CHECK(supervisor->wait() == HostResult::stop_timed_out);
  CHECK(sink->lines("other") == Lines{"other started 1", "other stopping 1", "other stopped 1"});
  CHECK(supervisor->abandoned_threads());
  door->open();
}

TEST_CASE("a task that an operator stops while a thread is stuck in it has stopped when that returns") {
  RecordingSink sink;
  SteadyClock clock;
  Door door;
  Supervisor supervisor({}, sink, clock);
  supervisor.add({"t", TaskFn(stepping([&](Execution& execution) {
                    if (execution.stop_requested()) return Status::ok;
                    door.wait();
                    execution.fail("what its thread writes while the order is under way");
                    return Status::pending;
                  })),
                  mandatory(30s)});
  supervisor.start();
  REQUIRE(comes_true([&] { return sink.count(EventKind::task_stalled) == 1; }));
  supervisor.operate(0, Operation::stop);
  door.open();
  CHECK(comes_true([&] { return sink.count(EventKind::task_stopped) == 1; }));
  supervisor.request_stop({});
  CHECK(supervisor.wait() == HostResult::success);
  CHECK(starts_match_ends(sink));
}

TEST_CASE("an order for a task whose thread never comes back does not hold up the host's stop") {
  for (const Operation operation : {Operation::stop, Operation::start, Operation::restart}) {
    auto* const sink = kept<RecordingSink>();
    auto* const clock = kept<SteadyClock>();
    auto* const door = kept<Door>();
    auto* const supervisor = kept<Supervisor>(SupervisorOptions{}, *sink, *clock);
    supervisor->add({"t", TaskFn(stepping([door](Execution&) {
                       door->wait();
                       return Status::pending;
                     })),
                     mandatory(100ms)});
    supervisor->start();
    REQUIRE(comes_true([&] { return sink->count(EventKind::task_stalled) == 1; }));
    supervisor->operate(0, operation);
    supervisor->request_stop({});
    CHECK(supervisor->wait() == HostResult::stop_timed_out);
    CHECK(sink->count(EventKind::task_abandoned) == 1);
    door->open();
  }
}

TEST_CASE("a task that an operator stops before its turn to start has come is never started") {
  RecordingSink sink;
  SteadyClock clock;
  Door door;
  std::atomic<bool> first_starts{false};
  Script slow;
  slow.start = [&](void*, Execution&) {
    first_starts = true;
    door.wait();
    return Status::ok;
  };
  slow.step = [](void*, Execution& execution) { return obey(execution); };
  SupervisorOptions options;
  options.stall_limit = 1h;  // no thread takes the shard over in the meantime
  Supervisor supervisor(options, sink, clock);
  supervisor.add({"slow", TaskFn(recipe_of(std::move(slow))), mandatory(10s)});
  supervisor.add({"t", TaskFn(stepping(obey)), mandatory(10s)});
  supervisor.start();
  REQUIRE(comes_true([&] { return first_starts.load(); }));
  supervisor.operate(1, Operation::stop);
  // The order has reached the shard when the control thread gets to what was posted after it.
  std::promise<void> passed;
  boost::asio::post(supervisor.control(), [&] { passed.set_value(); });
  passed.get_future().wait();
  std::this_thread::sleep_for(1ms);  // longer than a turn, so that the order comes before the next start
  door.open();
  REQUIRE(comes_true([&] { return sink.count(EventKind::task_started) >= 1; }));
  supervisor.operate(0, Operation::restart);  // after the other one
  REQUIRE(comes_true([&] { return sink.count(EventKind::task_started) >= 2; }));
  supervisor.request_stop({});
  CHECK(supervisor.wait() == HostResult::success);
  CHECK(sink.lines("t").empty());
}

TEST_CASE("a task that an operator starts again when it was the last one runs, or the host is over") {
  std::size_t revived = 0;
  // On a busy machine it may take more rounds until an order hits that moment.
  const auto latest = std::chrono::steady_clock::now() + 60s;
  for (Rounds rounds(400); rounds.next() || (revived == 0 && std::chrono::steady_clock::now() < latest);) {
    RecordingSink sink;
    SteadyClock clock;
    Supervisor supervisor(with_shards(2), sink, clock);
    supervisor.add({"t", TaskFn(stepping([](Execution&) { return Status::ok; })), {TaskType::detachable, 0, 10s}});
    supervisor.start();
    while (sink.count(EventKind::host_stopping) == 0 && sink.count(EventKind::task_started) < 5) {
      supervisor.operate(0, Operation::start);
    }
    CHECK(supervisor.wait() == HostResult::success);
    CHECK(starts_match_ends(sink));
    revived += sink.count(EventKind::task_started) > 1 ? 1 : 0;
  }
  CHECK(revived != 0);
}

TEST_CASE("operators do nothing before a host is prepared, and after its end") {
  RecordingSink sink;
  SteadyClock clock;
  Supervisor supervisor({}, sink, clock);
  supervisor.add({"t", TaskFn(stepping(obey)), mandatory(10s)});
  supervisor.operate(0, Operation::stop);
  supervisor.start();
  REQUIRE(comes_true([&] { return sink.count(EventKind::task_started) == 1; }));
  supervisor.request_stop({});
  supervisor.wait();
  supervisor.operate(0, Operation::start);
  CHECK(sink.lines("t") == Lines{"t started 1", "t stopping 1", "t stopped 1"});
}

TEST_CASE("an operator's order between a host's preparation and its start is carried out after the start") {
  for (const bool related : {false, true}) {
    RecordingSink sink;
    SteadyClock clock;
    Supervisor supervisor({}, sink, clock);
    TaskList tasks;
    for (const char* const name : {"first", "t"}) tasks.add(name, TaskFn(stepping(obey)), mandatory(10s));
    if (related) tasks.relations.push_back({1, {0}, {}});
    supervisor.add(std::move(tasks));
    supervisor.prepare();
    supervisor.operate(1, Operation::stop);
    supervisor.start();
    REQUIRE(comes_true([&] { return sink.count(EventKind::task_started, "first") == 1; }));
    supervisor.operate(0, Operation::restart);  // after the other one
    REQUIRE(comes_true([&] { return sink.count(EventKind::task_started, "first") == 2; }));
    CHECK(comes_true(
        [&] { return sink.count(EventKind::task_started, "t") == sink.count(EventKind::task_stopped, "t"); }));
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::success);
    CHECK(starts_match_ends(sink));
  }
}
