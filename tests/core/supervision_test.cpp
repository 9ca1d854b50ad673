// Tasks with optional fields, dependencies, groups and operators, in a supervisor with real threads and several shards.
// SUPERVISION.md defines what they mean; coordinator_test.cpp and the simulation cover every case. These tests show
// that shards, control thread and clock implement it.
#include <algorithm>
#include <atomic>
#include <future>
#include <set>
#include <thread>

#include "recording_sink.hpp"
#include "script.hpp"
#include "support/catch.hpp"
#include "taskhost/core/supervisor.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<const ScriptRecipe> obedient() {
  return stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; });
}
std::shared_ptr<const ScriptRecipe> ready_and_obedient() {
  return stepping([](Execution& execution) {
    execution.ready();
    return execution.stop_requested() ? Status::ok : Status::pending;
  });
}
std::shared_ptr<const ScriptRecipe> ending(Status status) {
  return stepping([status](Execution&) { return status; });
}
std::shared_ptr<const ScriptRecipe> blocking_until_stop() {
  Script script;
  script.blocking = true;
  script.step = [](void*, Execution& execution) {
    while ((execution.wait_until(never) & wait_stop) == 0) {
    }
    return Status::ok;
  };
  return recipe_of(std::move(script));
}

class Scene {
 public:
  explicit Scene(unsigned shards = 2) : supervisor(options_with(shards), *sink, clock) {}
  ~Scene() {
    if (supervisor.abandoned_threads()) Supervisor::leak(sink);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  std::uint32_t add(const std::string& name, std::shared_ptr<const Recipe> recipe, TaskType type,
                    std::uint32_t restarts, SupervisionOptions optional = {}) {
    TaskOptions options;
    options.type = type;
    options.restarts = restarts;
    options.stop_timeout = 60s;
    if (optional != SupervisionOptions{}) options.optional = std::make_shared<const SupervisionOptions>(optional);
    return static_cast<std::uint32_t>(tasks.add(name, TaskFn(std::move(recipe)), options));
  }
  void after(std::uint32_t task, std::vector<std::uint32_t> others) {
    tasks.relations.push_back({task, std::move(others), {}});
  }
  void group(Strategy strategy, const std::vector<std::uint32_t>& members) {
    tasks.groups.push_back(strategy);
    const auto number = static_cast<std::uint32_t>(tasks.groups.size() - 1);
    for (const std::uint32_t member : members) tasks.relations.push_back({member, {}, number});
  }
  void start() {
    supervisor.add(std::move(tasks));
    supervisor.start();
  }
  HostResult stop() {
    supervisor.request_stop({});
    return supervisor.wait();
  }
  HostResult run() {
    start();
    return supervisor.wait();
  }
  void operate(std::uint32_t task, Operation operation) { supervisor.operate(task, operation); }
  std::size_t place(const std::string& line) const {
    const Lines lines = sink->lines();
    const auto found = std::find(lines.begin(), lines.end(), line);
    INFO(line);
    REQUIRE(found != lines.end());
    return static_cast<std::size_t>(found - lines.begin());
  }

  TaskList tasks;
  std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
  const SteadyClock clock;
  Supervisor supervisor;

 private:
  static SupervisorOptions options_with(unsigned shards) {
    SupervisorOptions options;
    options.shards = shards;
    options.seed = 1;
    return options;
  }
};

SupervisionOptions backoff(std::chrono::nanoseconds initial) {
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = initial};
  return optional;
}

}  // namespace

TEST_CASE("a task with a backoff is restarted after its delays, which are told, until its budget is used up") {
  Scene scene;
  scene.add("t", ending(Status::error), TaskType::detachable, 3, backoff(2ms));
  CHECK(scene.run() == HostResult::task_failed);
  std::vector<std::uint64_t> delays;
  for (const Record& record : scene.sink->records()) {
    if (record.event.kind == EventKind::task_restarting) delays.push_back(record.event.delay_ms);
  }
  CHECK(delays == std::vector<std::uint64_t>{2, 4, 8});
  CHECK(scene.sink->lines("t") == Lines{"t started 1", "t exited 1 error", "t restarting", "t started 2",
                                        "t exited 2 error", "t restarting", "t started 3", "t exited 3 error",
                                        "t restarting", "t started 4", "t exited 4 error", "t gave_up", "t discarded"});
}

TEST_CASE("a stop cancels a restart that waits for an hour") {
  Scene scene;
  scene.add("t", ending(Status::error), TaskType::mandatory, 3, backoff(1h));
  scene.start();
  REQUIRE(scene.sink->await("t restarting"));
  CHECK(scene.stop() == HostResult::success);
  CHECK(scene.sink->count(EventKind::task_started) == 1);
}

TEST_CASE("restarts without end end with the stop") {
  Scene scene;
  SupervisionOptions optional = backoff(1ms);
  optional.unlimited = true;
  optional.backoff->max = 1ms;
  scene.add("t", ending(Status::error), TaskType::mandatory, 0, optional);
  scene.start();
  REQUIRE(scene.sink->await("t started 50"));
  CHECK(scene.stop() == HostResult::success);
  CHECK(scene.sink->records()[0].event.unlimited);
}

TEST_CASE("tasks start after those they depend on are ready, and stop before them, across shards") {
  Scene scene(3);
  SupervisionOptions notify;
  notify.notify = true;
  const auto app = scene.add("app", obedient(), TaskType::mandatory, 0);
  const auto cache = scene.add("cache", blocking_until_stop(), TaskType::mandatory, 0);
  const auto db = scene.add("db", ready_and_obedient(), TaskType::mandatory, 0, notify);
  scene.add("alone", obedient(), TaskType::mandatory, 0);
  scene.after(app, {cache, db});
  scene.after(cache, {db});
  scene.start();
  REQUIRE(scene.sink->await("app started 1"));
  REQUIRE(scene.sink->await("alone started 1"));
  CHECK(scene.stop() == HostResult::success);
  CHECK(scene.place("db ready 1") < scene.place("cache started 1"));
  CHECK(scene.place("cache started 1") < scene.place("app started 1"));
  CHECK(scene.place("app stopped 1") < scene.place("cache stopping 1"));
  CHECK(scene.place("cache stopped 1") < scene.place("db stopping 1"));
}

TEST_CASE("a task whose dependency gave up is skipped; one that must run stops the host") {
  Scene scene;
  const auto bad = scene.add("bad", ending(Status::error), TaskType::detachable, 1);
  SupervisionOptions notify;
  notify.notify = true;  // so that `bad` is never ready
  const auto badly = scene.add("badly", ending(Status::error), TaskType::detachable, 0, notify);
  const auto optional = scene.add("optional", obedient(), TaskType::detachable, 0);
  const auto needed = scene.add("needed", obedient(), TaskType::mandatory, 0);
  scene.after(optional, {badly});
  scene.after(needed, {optional});
  scene.after(bad, {});
  CHECK(scene.run() == HostResult::task_failed);
  CHECK(scene.sink->lines("optional") == Lines{"optional discarded"});
  CHECK(scene.sink->told("optional", "task 'badly', which it comes after, has ended"));
  CHECK(scene.sink->lines("needed") == Lines{"needed discarded"});
  CHECK(scene.place("host stopping skipped by needed") > 0);
}

TEST_CASE("one for all: when a member fails all are stopped and started again, and only it is charged") {
  Scene scene(3);
  auto told_to_fail = std::make_shared<std::atomic<bool>>(false);
  const auto first = scene.add("first", obedient(), TaskType::mandatory, 1);
  const auto second = scene.add("second", stepping([told_to_fail](Execution& execution) {
                                  if (execution.stop_requested()) return Status::ok;
                                  if (execution.number() == 1 && told_to_fail->load()) return Status::error;
                                  execution.wake_after(1'000'000);
                                  return Status::pending;
                                }),
                                TaskType::mandatory, 1);
  const auto third = scene.add("third", blocking_until_stop(), TaskType::mandatory, 1);
  scene.group(Strategy::one_for_all, {first, second, third});
  scene.start();
  for (const char* name : {"first", "second", "third"}) REQUIRE(scene.sink->await(std::string(name) + " started 1"));
  told_to_fail->store(true);
  for (const char* name : {"first", "second", "third"}) REQUIRE(scene.sink->await(std::string(name) + " started 2"));
  CHECK(scene.stop() == HostResult::success);
  CHECK(scene.place("second exited 1 error") < scene.place("first stopping 1"));
  for (const char* name : {"first", "third"}) {
    CHECK(scene.place(std::string(name) + " stopped 1") < scene.place("second started 2"));
  }
  for (const Record& record : scene.sink->records()) {
    if (record.event.kind != EventKind::task_started || record.event.execution != 2) continue;
    CHECK(record.event.remaining == (record.task == "second" ? 0 : 1));
  }
}

TEST_CASE("a large group is started again as one") {
#ifdef __SANITIZE_THREAD__
  constexpr std::uint32_t members = 1'000;  // the recording sink searches its records
#else
  constexpr std::uint32_t members = 10'000;
#endif
  Scene scene(2);
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; i + 1 < members; ++i) {
    all.push_back(scene.add("t" + std::to_string(i), obedient(), TaskType::detachable, 0));
  }
  SupervisionOptions slow = backoff(1ms);
  const auto fails_once = stepping([](Execution& execution) {
    if (execution.number() == 1) return Status::error;
    return execution.stop_requested() ? Status::ok : Status::pending;
  });
  all.push_back(scene.add("fails", fails_once, TaskType::detachable, 1, slow));
  scene.group(Strategy::one_for_all, all);
  scene.start();
  REQUIRE(scene.sink->await("fails started 2"));
  CHECK(scene.stop() == HostResult::success);
  CHECK(scene.sink->count(EventKind::task_started) >= members);
  CHECK(scene.sink->count(EventKind::task_started, "fails") == 2);
}

TEST_CASE("an operator stops, starts and restarts a task without optional fields") {
  for (const bool blocking : {false, true}) {
    INFO((blocking ? "blocking" : "polled"));
    Scene scene;
    scene.add("other", obedient(), TaskType::mandatory, 0);
    const auto t = scene.add("t", blocking ? blocking_until_stop() : obedient(), TaskType::mandatory, 0);
    scene.start();
    REQUIRE(scene.sink->await("t started 1"));
    scene.operate(t, Operation::stop);
    REQUIRE(scene.sink->await("t stopped 1"));
    scene.operate(t, Operation::start);
    REQUIRE(scene.sink->await("t started 2"));
    scene.operate(t, Operation::restart);
    REQUIRE(scene.sink->await("t started 3"));
    CHECK(scene.stop() == HostResult::success);
    CHECK(scene.sink->lines("t") == Lines{"t started 1", "t stopping 1", "t stopped 1", "t started 2", "t stopping 2",
                                          "t stopped 2", "t started 3", "t stopping 3", "t stopped 3"});
  }
}

TEST_CASE("an operator brings back a task that has given up, with a fresh budget, as long as the host runs") {
  Scene scene;
  scene.add("other", obedient(), TaskType::mandatory, 0);
  const auto t = scene.add("t", ending(Status::error), TaskType::detachable, 1);
  scene.start();
  REQUIRE(scene.sink->await("t discarded"));
  scene.operate(t, Operation::start);
  REQUIRE(scene.sink->await("t discarded", 2));
  CHECK(scene.stop() == HostResult::success);
  CHECK(scene.sink->count(EventKind::task_started, "t") == 4);
}

TEST_CASE("a host of which no task ended well has failed, whoever supervised them") {
  const bool related = GENERATE(false, true);
  const bool one_ends_well = GENERATE(false, true);
  Scene scene;
  const auto a = scene.add("a", ending(Status::error), TaskType::detachable, 1);
  const auto b = scene.add("b", ending(Status::error), TaskType::detachable, 0, backoff(1ms));
  const auto c = scene.add("c", ending(one_ends_well ? Status::ok : Status::error), TaskType::detachable, 0);
  scene.add("alone", ending(Status::error), TaskType::detachable, 2);
  if (related) {
    scene.after(b, {a});  // and is skipped
    scene.group(Strategy::one_for_one, {a, c});
  }
  CHECK(scene.run() == (one_ends_well ? HostResult::success : HostResult::task_failed));
}

TEST_CASE("a task that an operator brought back and that then ended well was not in vain") {
  const bool related = GENERATE(false, true);
  Scene scene;
  std::atomic<bool> may_end{false};
  scene.add("other", stepping([&](Execution& execution) {
              execution.wake_after(1'000'000);
              return may_end ? Status::error : Status::pending;
            }),
            TaskType::detachable, 0);
  const auto t = scene.add("t", stepping([runs = std::make_shared<int>(0)](Execution&) {
                             return ++*runs == 1 ? Status::error : Status::ok;
                           }),
                           TaskType::detachable, 0);
  if (related) scene.group(Strategy::one_for_one, {t});
  scene.start();
  REQUIRE(scene.sink->await("t discarded"));
  scene.operate(t, Operation::start);
  REQUIRE(scene.sink->await("t discarded", 2));
  may_end = true;
  CHECK(scene.supervisor.wait() == HostResult::success);
}

TEST_CASE("a task that an operator stopped keeps the host running, until the host is stopped") {
  Scene scene;
  const auto t = scene.add("t", obedient(), TaskType::mandatory, 0);
  scene.start();
  REQUIRE(scene.sink->await("t started 1"));
  scene.operate(t, Operation::stop);
  REQUIRE(scene.sink->await("t stopped 1"));
  CHECK(scene.sink->count(EventKind::host_stopping) == 0);
  CHECK(scene.stop() == HostResult::success);
}

TEST_CASE("a task that does not become ready in time, or is silent for too long, is started again") {
  Scene scene;
  SupervisionOptions slow;
  slow.notify = true;
  slow.start_timeout = 5ms;
  scene.add("slow", obedient(), TaskType::detachable, 1, slow);
  SupervisionOptions watched;
  watched.watchdog = Watchdog{5ms, WatchdogAction::restart};
  scene.add("silent", obedient(), TaskType::detachable, 1, watched);
  SupervisionOptions logged;
  logged.watchdog = Watchdog{5ms, WatchdogAction::log};
  scene.add("logged", obedient(), TaskType::detachable, 0, logged);
  scene.start();
  REQUIRE(scene.sink->await("slow discarded"));
  REQUIRE(scene.sink->await("silent discarded"));
  REQUIRE(scene.sink->await("logged stalled 1"));
  CHECK(scene.stop() == HostResult::success);
  CHECK(scene.sink->lines("slow") == Lines{"slow started 1", "slow stopping 1", "slow exited 1 error",
                                           "slow restarting", "slow started 2", "slow stopping 2",
                                           "slow exited 2 error", "slow gave_up", "slow discarded"});
  CHECK(scene.sink->told("slow", "was not ready within 5ms"));
  CHECK(scene.sink->told("silent", "no heartbeat for 5ms"));
}

TEST_CASE("the report of a stop that ran out of time says who did not stop, where, and who waited for it") {
  SupervisorOptions options;
  options.shards = 2;
  options.shutdown_timeout = 20ms;
  auto sink = std::make_shared<RecordingSink>();
  const SteadyClock clock;
  Supervisor supervisor(options, *sink, clock);
  auto released = std::make_shared<std::promise<void>>();
  std::shared_future<void> open(released->get_future());
  Script script;
  script.blocking = true;
  script.step = [open](void*, Execution&) {
    open.wait();
    return Status::ok;
  };
  TaskList tasks;
  TaskOptions mandatory;
  mandatory.type = TaskType::mandatory;
  tasks.add("db", TaskFn(obedient()), mandatory);
  tasks.add("deaf", TaskFn(recipe_of(std::move(script))), mandatory);
  tasks.relations.push_back({1, {0}, {}});
  supervisor.add(std::move(tasks));
  supervisor.start();
  REQUIRE(sink->await("deaf started 1"));
  supervisor.request_stop({});
  CHECK(supervisor.wait() == HostResult::stop_timed_out);
  CHECK(sink->logged("deaf: did not stop: execution 1, asked "));
  CHECK(sink->logged("in its run; 'db' waited for it"));
  CHECK(sink->lines("db") == Lines{"db started 1", "db stopping 1", "db stopped 1"});
  released->set_value();
  if (supervisor.abandoned_threads()) Supervisor::leak(sink);
}

TEST_CASE(
    "a stop of a long chain that runs out of time describes the one that did not stop, and names a few that waited") {
  constexpr std::uint32_t length = 5000;
  SupervisorOptions options;
  options.shutdown_timeout = 20ms;
  RecordingSink sink;
  const SteadyClock clock;
  Supervisor supervisor(options, sink, clock);
  const auto deaf = stepping([](Execution&) { return Status::pending; });
  TaskOptions mandatory;
  mandatory.type = TaskType::mandatory;
  mandatory.stop_timeout = 60s;
  TaskList tasks;
  for (std::uint32_t i = 0; i < length; ++i) {
    const bool first = i == 0;  // to stop
    tasks.add("t" + std::to_string(i), TaskFn(first ? deaf : obedient()), mandatory);
    if (i + 1 < length) tasks.relations.push_back({i, {i + 1}, {}});
  }
  supervisor.add(std::move(tasks));
  supervisor.start();
  REQUIRE(sink.await("t0 started 1"));
  const auto asked = std::chrono::steady_clock::now();
  supervisor.request_stop({});
  CHECK(supervisor.wait() == HostResult::stop_timed_out);
  CHECK(std::chrono::steady_clock::now() - asked < 2s);
  const Lines logs = sink.logs();
  REQUIRE(logs.size() == 2);
  CHECK(logs[0] == "the stop ran out of time: dropping or abandoning the rest");
  CHECK(logs[1].starts_with("t0: did not stop: execution 1, asked "));
  CHECK(
      logs[1].ends_with("between two polls; 't1', 't2', 't3', 't4', 't5', 't6', 't7', 't8' and at least 992 more "
                        "waited for it"));
}

TEST_CASE("a policy whose timers would spin is refused with the task's name, and what to do, before anything starts") {
  Scene scene;
  SupervisionOptions spinning;
  spinning.watchdog = Watchdog{};
  scene.add("fine", obedient(), TaskType::mandatory, 3);
  scene.add("spins", obedient(), TaskType::mandatory, 3, spinning);
  scene.supervisor.add(std::move(scene.tasks));
  CHECK_THROWS_WITH(scene.supervisor.prepare(), "task 'spins': expected a duration longer than 0s, found 0s");
  CHECK_THROWS_AS(scene.supervisor.start(), std::invalid_argument);
  CHECK(scene.sink->lines().empty());
}
