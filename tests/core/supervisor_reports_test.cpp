// What a supervisor reports about its tasks, with real threads. Nothing here waits for a time to pass, but for answers
// of shards that can't answer.
#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <future>
#include <thread>

#include "recording_sink.hpp"
#include "script.hpp"
#include "support/catch.hpp"
#include "taskhost/core/supervisor.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

constexpr TaskType mandatory = TaskType::mandatory;
constexpr TaskType detachable = TaskType::detachable;
constexpr auto patience = 60s;     // always enough
constexpr auto impatience = 50ms;  // for those that can't answer
using Tasks = std::vector<std::uint32_t>;

std::shared_ptr<const ScriptRecipe> obedient() {
  return stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; });
}
std::shared_ptr<const ScriptRecipe> ending(Status status) {
  return stepping([status](Execution& execution) {
    if (status == Status::error) execution.fail("no route to host");
    return status;
  });
}

struct Door {
  std::promise<void> opened;
  std::shared_future<void> open{opened.get_future()};
  std::atomic<bool> is_in{false};

  std::shared_ptr<const ScriptRecipe> task(const std::shared_ptr<Door>& self) {
    return stepping([self](Execution&) {
      self->is_in.store(true);
      self->open.wait();
      return Status::ok;
    });
  }
  void await() const {
    while (!is_in.load()) std::this_thread::yield();
  }
};

struct Scene {
  explicit Scene(unsigned shards = 2, unsigned stall_threads = 64, bool complete_events = true)
      : supervisor(options_with(shards, stall_threads, complete_events), *sink, clock) {}
  ~Scene() {
    if (supervisor.abandoned_threads()) Supervisor::leak(sink);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  std::uint32_t add(const std::string& name, std::shared_ptr<const Recipe> recipe, TaskType type = mandatory,
                    std::uint32_t restarts = 0, std::vector<std::uint32_t> after = {}) {
    TaskOptions options;
    options.type = type;
    options.restarts = restarts;
    options.stop_timeout = 20ms;
    const auto task = static_cast<std::uint32_t>(tasks.add(name, TaskFn(std::move(recipe)), options));
    if (!after.empty()) tasks.relations.push_back({task, std::move(after), {}});
    return task;
  }
  void start() {
    count = tasks.size();
    supervisor.add(std::move(tasks));
    supervisor.start();
  }
  HostResult stop() {
    supervisor.request_stop({});
    return supervisor.wait();
  }
  TaskReport report(std::size_t task) const {
    const std::vector<TaskReport> reports = supervisor.report(task, patience);
    REQUIRE(reports.size() == 1);
    REQUIRE(reports[0].task == task);
    return reports[0];
  }
  // Waits until the task is in this state.
  TaskReport await(std::size_t task, TaskState state) const {
    for (;;) {
      TaskReport one = report(task);
      if (one.state == state) return one;
      std::this_thread::yield();
    }
  }
  std::vector<TaskReport> all(std::chrono::nanoseconds limit = patience) const {
    std::vector<TaskReport> reports = supervisor.report({}, limit);
    CHECK(reports.size() == count);
    for (std::size_t i = 0; i < reports.size(); ++i) {
      const TaskReport& report = reports[i];
      CHECK(report.task == i);
      CHECK(report.name == supervisor.name(i));
      if (!report.is_answered) continue;
      CHECK(report.since <= report.at);
      CHECK(report.started_at <= report.at);
      CHECK((report.started_at == 0 || is_live(report.state)));
      CHECK((report.next_start != 0) == (report.state == TaskState::delayed));
      CHECK((report.state == TaskState::ended || (!report.is_lost && !report.over_for)));
      CHECK((report.last_outcome != Outcome::ok || report.last_message.empty()));
      CHECK((!report.remaining || *report.remaining <= report.restarts));
      CHECK((report.options != nullptr && report.options->restarts == report.restarts));
    }
    return reports;
  }
  // How many there are in all states.
  static std::size_t total(const TaskCounts& counts) {
    std::size_t sum = counts.unanswered;
    for (const std::size_t in_state : counts.by_state) sum += in_state;
    return sum;
  }

  TaskList tasks;
  std::size_t count = 0;
  std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
  const SteadyClock clock;
  Supervisor supervisor;

 private:
  static SupervisorOptions options_with(unsigned shards, unsigned stall_threads, bool complete_events) {
    SupervisorOptions options;
    options.shards = shards;
    options.stall_threads = stall_threads;
    options.complete_events = complete_events;
    return options;
  }
};

std::size_t in(const TaskCounts& counts, TaskState state) { return counts.by_state[static_cast<std::size_t>(state)]; }

}  // namespace

TEST_CASE("a supervisor reports all its tasks in their order, and each one alone, from the start to beyond the end") {
  Scene scene(3);
  scene.add("runs", obedient());
  scene.add("is over", ending(Status::ok), detachable);
  scene.add("has failed", ending(Status::error), detachable, 2);
  scene.add("comes after", obedient(), mandatory, 3, {0});
  scene.add("waits", obedient(), detachable, 0, {4 + 1});
  scene.add("is stopped", obedient(), detachable, 0, {0});
  scene.start();
  scene.supervisor.operate(5, Operation::stop);
  scene.await(0, TaskState::running);
  scene.await(1, TaskState::ended);
  scene.await(2, TaskState::ended);
  scene.await(3, TaskState::running);
  scene.await(5, TaskState::stopped);
  const std::vector<TaskReport> reports = scene.all();
  CHECK((reports[0].state == TaskState::running && reports[0].execution == 1 && reports[0].ready));
  CHECK((reports[1].over_for == StopReason::task_exit && !reports[1].is_lost));
  CHECK((reports[2].over_for == StopReason::budget_exhausted && reports[2].is_lost && reports[2].execution == 3));
  CHECK((reports[2].last_outcome == Outcome::error && reports[2].last_message == "no route to host"));
  CHECK((reports[3].type == mandatory && reports[3].remaining == 3u));
  CHECK((reports[4].state == TaskState::waiting && reports[4].waits_for == Tasks{5} && reports[4].execution == 0));
  for (const TaskReport& report : reports) {
    CHECK(report.is_answered);
    CHECK(report.shard == report.task % 3);
    CHECK(scene.report(report.task).state == report.state);
    CHECK(scene.report(report.task).waits_for == report.waits_for);
  }
  const TaskCounts counts = scene.supervisor.count(patience);
  CHECK(in(counts, TaskState::running) == 2);
  CHECK(in(counts, TaskState::ended) == 2);
  CHECK(in(counts, TaskState::waiting) == 1);
  CHECK(in(counts, TaskState::stopped) == 1);
  CHECK((counts.ready == 2 && counts.needed_unready == 0 && counts.unanswered == 0));
  CHECK(counts.restarts == 2);
  CHECK(scene.stop() == HostResult::success);
  for (const TaskReport& report : scene.all()) {
    CHECK((report.is_answered && report.state == TaskState::ended));
    CHECK(report.is_lost == (report.task == 2));
  }
  const TaskCounts last = scene.supervisor.count(patience);
  CHECK(in(last, TaskState::ended) == 6);
  CHECK((last.starts == counts.starts && last.restarts == 2 && last.needed_unready == 0));
}

TEST_CASE("tasks that restart as fast as they can are reported while operators stop and start them") {
  for (const bool complete_events : {true, false}) {
    Scene scene(2, 64, complete_events);
    constexpr std::size_t storms = 6;
    for (std::size_t i = 0; i < storms; ++i) {
      scene.add("storm " + std::to_string(i), ending(i % 2 == 0 ? Status::error : Status::ok), mandatory,
                4'000'000'000);
    }
    scene.add("calm", obedient());
    scene.add("after", obedient(), mandatory, 3, {6});
    scene.start();
    std::atomic<bool> ends{false};
    std::thread operates([&] {
      for (unsigned i = 0; !ends.load(); ++i) {
        scene.supervisor.operate(i % scene.count, static_cast<Operation>(i / scene.count % 3));
        if (!complete_events) scene.supervisor.set_complete_events(i % 2 == 0);
        std::this_thread::yield();
      }
    });
    std::vector<std::uint64_t> executions(scene.count);
    for (int i = 0; i < 100; ++i) {
      for (const TaskReport& report : scene.all()) {
        CHECK(report.is_answered);
        CHECK(report.execution >= executions[report.task]);
        executions[report.task] = report.execution;
      }
      const TaskCounts counts = scene.supervisor.count(patience);
      CHECK(Scene::total(counts) == scene.count);
      CHECK(counts.unanswered == 0);
    }
    ends.store(true);
    operates.join();
    for (std::size_t i = 0; i < scene.count; ++i) scene.supervisor.operate(i, Operation::start);
    scene.await(7, TaskState::running);
    const TaskReport first = scene.report(0);
    while (scene.report(0).execution == first.execution) std::this_thread::yield();  // the storm goes on
    CHECK(scene.report(0).last_message == "no route to host");
    CHECK(scene.report(1).last_message.empty());
    CHECK(scene.stop() == HostResult::success);
    std::uint64_t starts = 0;
    for (const TaskReport& report : scene.all()) starts += report.execution;
    CHECK(scene.supervisor.count(patience).starts == starts);
  }
}

TEST_CASE("many threads ask at the same time, before, during and after a stop, and each gets all answers") {
  Scene scene;
  for (int i = 0; i < 1500; ++i) scene.add("t" + std::to_string(i), obedient());  // more than a shard answers in a turn
  for (std::uint32_t i = 0; i < 20; ++i)
    scene.add("after" + std::to_string(i), obedient(), mandatory, 0, {i, 1480 + i});
  scene.start();
  std::atomic<int> rounds{0};
  std::atomic<bool> is_over{false};
  std::atomic<bool> is_well{true};
  std::vector<std::thread> askers;
  for (int asker = 0; asker < 4; ++asker) {
    askers.emplace_back([&, asker] {
      for (bool last = false; !last; rounds.fetch_add(1)) {
        last = is_over.load();
        const std::vector<TaskReport> reports = scene.supervisor.report({}, patience);
        const auto answered = [](const TaskReport& report) { return report.is_answered && report.name != nullptr; };
        const std::size_t count = scene.count;
        if (reports.size() != count || !std::all_of(reports.begin(), reports.end(), answered)) is_well.store(false);
        if (scene.supervisor.report(static_cast<std::size_t>(asker), patience)[0].name != reports[asker].name) {
          is_well.store(false);
        }
        const TaskCounts counts = scene.supervisor.count(patience);
        if (counts.unanswered != 0 || Scene::total(counts) != count) is_well.store(false);
        if (last && in(counts, TaskState::ended) != count) is_well.store(false);
      }
    });
  }
  while (rounds.load() < 8) std::this_thread::yield();
  CHECK(scene.stop() == HostResult::success);
  is_over.store(true);
  for (std::thread& asker : askers) asker.join();
  CHECK(is_well.load());
}

TEST_CASE("a shard that can't answer is waited for no longer than told, and the others' tasks are reported") {
  const auto door = std::make_shared<Door>();
  Scene scene(2, 0);  // no thread can take over
  scene.add("stuck", door->task(door));
  scene.add("other", obedient());
  scene.add("beside it", obedient());
  scene.add("after", obedient(), mandatory, 0, {1});
  scene.add("after that, beside it", obedient(), mandatory, 0, {3});
  scene.start();
  door->await();
  scene.await(3, TaskState::running);
  const std::vector<TaskReport> reports = scene.all(impatience);
  for (const std::uint32_t task : {0, 2, 4}) {
    CHECK_FALSE(reports[task].is_answered);
    CHECK(reports[task].shard == 0);
  }
  for (const std::uint32_t task : {1, 3}) {
    CHECK(reports[task].is_answered);
    CHECK(reports[task].state == TaskState::running);
  }
  CHECK_FALSE(scene.supervisor.report(0, patience)[0].is_answered);  // others have waited in vain
  CHECK(scene.supervisor.report(0, impatience)[0].name == scene.supervisor.name(0));
  CHECK_FALSE(scene.supervisor.report(4, impatience)[0].is_answered);
  CHECK(scene.report(1).is_answered);
  CHECK(scene.report(3).is_answered);
  const TaskCounts counts = scene.supervisor.count(impatience);
  CHECK(counts.unanswered == 2);  // of the third, the coordinator knows the state
  CHECK(counts.silent_shards == 1);
  CHECK_FALSE(counts.silent_control);
  CHECK(in(counts, TaskState::running) == 2);
  CHECK(Scene::total(counts) == 5);

  // A stop gets a thread for it.
  CHECK(scene.stop() == HostResult::stop_timed_out);
  const std::vector<TaskReport> last = scene.all();
  CHECK((last[0].is_answered && last[0].state == TaskState::ended && last[0].abandoned && last[0].is_lost));
  CHECK(last[0].last_message == "its poll did not return");
  CHECK((last[2].state == TaskState::ended && last[4].state == TaskState::ended && !last[1].abandoned));
  CHECK(in(scene.supervisor.count(patience), TaskState::ended) == 5);
  door->opened.set_value();
  CHECK(scene.report(0).state == TaskState::ended);
}

TEST_CASE("after a stop all is known of a shard whose thread is stuck in a handler, and who still asks is answered") {
  const auto door = std::make_shared<Door>();
  Scene scene;
  TaskOptions options;
  options.type = mandatory;
  options.stop_timeout = 20ms;
  const auto posts = TaskFn::from_awaitable([door]() -> boost::asio::awaitable<void> {
    const auto executor = co_await boost::asio::this_coro::executor;
    boost::asio::post(executor, [door] {  // no other thread can take over in such a handler
      door->is_in.store(true);
      door->open.wait();
    });
    boost::asio::steady_timer timer(executor);
    timer.expires_after(1h);
    co_await timer.async_wait(boost::asio::use_awaitable);
  });
  scene.tasks.add("posts", posts, options);
  scene.add("elsewhere", obedient());
  scene.add("beside it", obedient());
  scene.add("after", obedient(), mandatory, 0, {1});
  scene.add("after that, beside it", obedient(), mandatory, 0, {3});
  scene.start();
  door->await();
  CHECK(scene.report(1).is_answered);
  std::promise<bool> answered;
  std::thread asker([&] { answered.set_value(scene.supervisor.report(2, patience)[0].is_answered); });
  CHECK(scene.stop() == HostResult::stop_timed_out);
  CHECK(answered.get_future().get());
  asker.join();
  for (const TaskReport& report : scene.all()) {
    CHECK((report.is_answered && report.state == TaskState::ended));
    CHECK(report.is_lost == report.abandoned);
    if (report.shard != 0) CHECK_FALSE(report.abandoned);
  }
  CHECK(in(scene.supervisor.count(patience), TaskState::ended) == 5);
  door->opened.set_value();
  CHECK(scene.report(0).state == TaskState::ended);
}

TEST_CASE("a stalled call is reported by the thread that goes on with its shard") {
  const auto door = std::make_shared<Door>();
  Scene scene(1);
  scene.add("stuck", door->task(door), detachable);
  scene.add("beside it", obedient());
  scene.start();
  door->await();
  TaskReport report = scene.report(0);
  CHECK((report.is_answered && report.stalled && report.stalls == 1 && report.state == TaskState::running));
  CHECK(scene.await(1, TaskState::running).is_answered);
  CHECK(scene.supervisor.count(patience).stalled == 1);
  door->opened.set_value();
  report = scene.await(0, TaskState::ended);
  CHECK(scene.supervisor.count(patience).stalled == 0);
  CHECK((!report.stalled && report.stalls == 1 && report.last_outcome == Outcome::ok));
  CHECK(scene.stop() == HostResult::success);
}

TEST_CASE("an answer that comes after its asker has gone is nobody's, also at the host's end") {
  for (int i = 0; i < 20; ++i) {
    Scene scene;
    for (int task = 0; task < 600; ++task) scene.add("t" + std::to_string(task), obedient(), detachable);
    scene.add("after", obedient(), mandatory, 0, {0, 1});
    scene.start();
    for (int n = 0; n < 5; ++n) {
      (void)scene.supervisor.report({}, 0ns);
      (void)scene.supervisor.report(600, 0ns);
      (void)scene.supervisor.count(0ns);
    }
    if (i % 2 == 0) CHECK(scene.stop() == HostResult::success);
  }
}

TEST_CASE("a supervisor without tasks reports none") {
  Scene scene;
  scene.start();
  CHECK(scene.all().empty());
  TaskCounts counts = scene.supervisor.count(patience);
  counts.turns = counts.sleeps = 0;  // shards have these without tasks, too
  CHECK(counts == TaskCounts());
  scene.supervisor.wait();
  CHECK(scene.all().empty());
}

TEST_CASE("exits are counted by outcome, those of a storm, of coordinated tasks, and of tasks that give up") {
  for (const bool complete_events : {true, false}) {
    Scene scene(2, 64, complete_events);
    scene.add("fails", ending(Status::error), detachable, 5000);
    scene.add("panics", ending(Status::panic), detachable, 1);
    scene.add("runs", obedient());
    scene.add("fails before others", ending(Status::error), detachable, 10);
    scene.add("comes after", ending(Status::ok), detachable, 0, {3});
    scene.start();
    for (const std::size_t task : {0, 1, 3, 4}) scene.await(task, TaskState::ended);
    const TaskCounts counts = scene.supervisor.count(patience);
    const auto exits = [&](Outcome outcome) { return counts.exits[static_cast<std::size_t>(outcome)]; };
    CHECK(exits(Outcome::ok) == 1);
    CHECK(exits(Outcome::error) == 5001 + 11);
    CHECK(exits(Outcome::panic) == 2);
    CHECK(exits(Outcome::crashed) == 0);
    CHECK(counts.restarts == 5000 + 1 + 10);
    CHECK(counts.gave_up == 3);
    scene.stop();
  }
}

TEST_CASE("a storm that somebody begins to follow is told event by event, and when nobody does any more, no longer") {
  Scene scene(1, 64, false);
  scene.add("storm", ending(Status::error), detachable, 4'000'000'000);
  scene.start();
  const auto executions = [&] { return scene.report(0).execution; };
  while (executions() < 10'000) std::this_thread::yield();
  const std::size_t before = scene.sink->records().size();
  CHECK(before < 2'000);
  scene.supervisor.set_complete_events(true);
  const std::uint64_t from = executions();
  while (executions() < from + 1'000) std::this_thread::yield();
  scene.supervisor.set_complete_events(false);
  const std::uint64_t to = executions();
  const std::size_t with = scene.sink->records().size() - before;
  CHECK(with >= 3 * 1'000 - 3);  // exited, restarting, started
  while (executions() < to + 10'000) std::this_thread::yield();
  CHECK(scene.sink->records().size() - before - with < 2'000);
  scene.stop();
}

TEST_CASE("a task's share of its shard's time is sampled while somebody asks") {
  Scene scene(2);
  scene.add("works", stepping([](Execution&) {
              const auto end = std::chrono::steady_clock::now() + 1ms;
              while (std::chrono::steady_clock::now() < end) continue;
              return Status::again;
            }));
  scene.add("sleeps", obedient());
  scene.start();
  CHECK_FALSE(scene.report(0).share);  // too few samples yet
  TaskReport works;
  while (!(works = scene.report(0)).share) std::this_thread::yield();
  CHECK(*works.share > 0);
  CHECK(*works.share <= 1);
  CHECK(scene.report(1).share == 0);
  const std::vector<ShardSamples> samples = scene.supervisor.shard_samples();
  REQUIRE(samples.size() == 2);
  CHECK(samples[0].all == samples[1].all);
  CHECK(samples[0].busy > samples[1].busy);
  CHECK(samples[0].busy <= samples[0].all);
  scene.stop();
}
