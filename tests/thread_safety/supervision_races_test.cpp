// Supervised tasks and threads: operators, groups, watchdogs, backoffs and stops that race with each other, on several
// shards. Whatever comes first, there is one execution at a time, and the stream reports each one's end.
#include <map>

#include "race.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

// Concurrent executions of one task; more than one is a fault.
struct Alone {
  std::atomic<int> live{0};
  std::atomic<bool> crowded{false};

  std::shared_ptr<const Recipe> recipe(std::function<Status(Execution&)> step, bool blocking = false) {
    Script script;
    script.blocking = blocking;
    script.start = [this](void*, Execution&) {
      if (live.fetch_add(1) != 0) crowded = true;
      return Status::ok;
    };
    script.step = [step = std::move(step)](void*, Execution& execution) { return step(execution); };
    script.drop = [this](void*) { live.fetch_sub(1); };
    return recipe_of(std::move(script));
  }
};

Status obey_blocking(Execution& execution) {
  while ((execution.wait_until(never) & wait_stop) == 0) {
  }
  return Status::ok;
}
// Fails in its second poll, for which it wakes itself.
Status fail_soon(Execution& execution) {
  if (execution.stop_requested()) return Status::ok;
  execution.wake_after(200'000);
  return execution.number() % 3 == 0 ? Status::pending : Status::error;
}

TaskOptions options_with(TaskType type, std::uint32_t restarts, SupervisionOptions optional = {}) {
  TaskOptions options;
  options.type = type;
  options.restarts = restarts;
  options.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
  return options;
}

SupervisionOptions quick_backoff() {
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 50us, .factor = 1, .max = 50us, .jitter = 1};
  return optional;
}

// No task_started of a task before the end of the one before; none after host_stopping.
bool one_at_a_time(const RecordingSink& sink) {
  std::map<std::string, bool> live;
  bool stopping = false;
  for (const Record& record : sink.records()) {
    bool& lives = live[record.task];
    switch (record.event.kind) {
      case EventKind::host_stopping:
        stopping = true;
        break;
      case EventKind::task_started:
        if (lives || stopping) return false;
        lives = true;
        break;
      case EventKind::task_exited:
      case EventKind::task_stopped:
      case EventKind::task_abandoned:
        if (!lives) return false;
        lives = false;
        break;
      default:
        break;
    }
  }
  return true;
}

void check(const RecordingSink& sink, const std::vector<std::unique_ptr<Alone>>& tasks) {
  CHECK(one_at_a_time(sink));
  CHECK(starts_match_ends(sink));
  for (const auto& task : tasks) {
    CHECK_FALSE(task->crowded.load());
    CHECK(task->live.load() == 0);
  }
}

}  // namespace

TEST_CASE("operators on several threads race with exits, restarts and the stop, and no task runs twice") {
  for (Rounds rounds(20); rounds.next();) {
    RecordingSink sink;
    std::vector<std::unique_ptr<Alone>> tasks;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(3), sink, clock);
    TaskList list;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(std::make_unique<Alone>());
      const bool blocking = i % 3 == 2;
      const auto recipe = tasks.back()->recipe(i % 3 == 0 ? obey : blocking ? obey_blocking : fail_soon, blocking);
      TaskOptions plain;  // supervised by its shard alone until an operator comes
      plain.type = TaskType::mandatory;
      plain.restarts = 1'000'000;
      list.add("t" + std::to_string(i), TaskFn(recipe),
               i < 3 ? plain : options_with(TaskType::mandatory, 1'000'000, quick_backoff()));
    }
    supervisor.add(std::move(list));
    supervisor.start();
    std::atomic<unsigned> orders{0};
    Crowd operators(3, [&](unsigned number) {
      const unsigned order = orders.fetch_add(1);
      if (order > 400) return std::this_thread::yield();
      supervisor.operate((order + number) % 6, static_cast<Operation>((order / 6 + number) % 3));
    });
    while (orders.load() < 400) std::this_thread::yield();
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::success);
    operators.end();
    check(sink, tasks);
  }
}

TEST_CASE("two groups and what depends on them are restarted at once, by their members and by operators") {
  for (Rounds rounds(20); rounds.next();) {
    RecordingSink sink;
    std::vector<std::unique_ptr<Alone>> tasks;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(4), sink, clock);
    TaskList list;
    list.groups = {Strategy::one_for_all, Strategy::rest_for_one};
    for (std::uint32_t i = 0; i < 9; ++i) {
      tasks.push_back(std::make_unique<Alone>());
      const bool blocking = i % 4 == 3;
      const auto step = i % 3 == 1 && !blocking ? fail_soon : blocking ? obey_blocking : obey;
      list.add("t" + std::to_string(i), TaskFn(tasks.back()->recipe(step, blocking)),
               options_with(TaskType::mandatory, 1'000'000, quick_backoff()));
      if (i < 8) {
        list.relations.push_back(
            {i, i % 4 != 0 ? std::vector<std::uint32_t>{i - 1} : std::vector<std::uint32_t>{}, i / 4});
      } else {
        list.relations.push_back({i, {3, 7}, {}});
      }
    }
    supervisor.add(std::move(list));
    supervisor.start();
    for (unsigned order = 0; order < 60; ++order) {
      supervisor.operate(order % 9, static_cast<Operation>(order % 3));
      std::this_thread::yield();
    }
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::success);
    check(sink, tasks);
  }
}

TEST_CASE("watchdogs, start timeouts and heartbeats from other threads race with operators and the stop") {
  for (Rounds rounds(20); rounds.next();) {
    RecordingSink sink;
    std::vector<std::unique_ptr<Alone>> tasks;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(2), sink, clock);
    TaskList list;
    SupervisionOptions optional = quick_backoff();
    optional.notify = true;
    optional.start_timeout = 300us;
    optional.watchdog = Watchdog{200us, WatchdogAction::restart};
    for (int i = 0; i < 4; ++i) {
      tasks.push_back(std::make_unique<Alone>());
      const bool blocking = i % 2 == 1;
      auto step = [blocking](Execution& execution) {
        if (execution.number() % 4 == 0) return blocking ? obey_blocking(execution) : obey(execution);  // never ready
        std::thread elsewhere([&execution] {
          execution.ready();
          execution.heartbeat();
        });
        elsewhere.join();
        return blocking ? obey_blocking(execution) : obey(execution);
      };
      list.add("t" + std::to_string(i), TaskFn(tasks.back()->recipe(step, blocking)),
               options_with(TaskType::mandatory, 1'000'000, optional));
    }
    supervisor.add(std::move(list));
    supervisor.start();
    CHECK(sink.await("t0 started 3"));
    supervisor.operate(1, Operation::restart);
    supervisor.operate(0, Operation::stop);
    std::thread stopper([&supervisor] { supervisor.request_stop({}); });
    supervisor.operate(0, Operation::start);
    CHECK(supervisor.wait() == HostResult::success);
    stopper.join();
    check(sink, tasks);
  }
}

TEST_CASE("a stop whose time runs out at once leaves no coordinated task behind") {
  Rounds rounds(100);
  for (int round = 0; rounds.next(); ++round) {
    RecordingSink sink;
    std::vector<std::unique_ptr<Alone>> tasks;
    const SteadyClock clock;
    Supervisor supervisor(with_shards(2), sink, clock);
    TaskList list;
    for (std::uint32_t i = 0; i < 6; ++i) {
      tasks.push_back(std::make_unique<Alone>());
      list.add("t" + std::to_string(i), TaskFn(tasks.back()->recipe([](Execution&) { return Status::pending; })),
               options_with(TaskType::mandatory, 3, quick_backoff()));
      if (i != 0) list.relations.push_back({i, {i - 1}, {}});
    }
    supervisor.add(std::move(list));
    supervisor.start();
    if (round % 2 == 0) CHECK(sink.await("t5 started 1"));
    supervisor.request_stop({});
    std::thread other([&supervisor] { supervisor.expire_stop(); });
    supervisor.expire_stop();
    const HostResult result = supervisor.wait();
    CHECK((result == HostResult::stop_timed_out || sink.count(EventKind::task_started) == 0));
    other.join();
    check(sink, tasks);
    CHECK_FALSE(supervisor.abandoned_threads());
  }
}
