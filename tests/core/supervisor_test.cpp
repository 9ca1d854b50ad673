// The supervisor as a C++ program uses it, with real threads. Nothing here waits for a time to pass: each test waits
// for what must happen.
#include "taskhost/core/supervisor.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/uuid/uuid.hpp>
#include <future>
#include <map>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "recording_sink.hpp"
#include "script.hpp"
#include "support/catch.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

struct Scene {
  explicit Scene(const SupervisorOptions& options = {}) : supervisor(options, *sink, clock) {}
  ~Scene() {
    // Threads that never returned still use it.
    if (supervisor.abandoned_threads()) Supervisor::leak(sink);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  void add(const std::string& name, std::shared_ptr<const Recipe> recipe, TaskType type = TaskType::detachable,
           std::uint32_t restarts = 0, std::chrono::nanoseconds stop_timeout = 60s) {
    add(name, TaskFn(std::move(recipe)), type, restarts, stop_timeout);
  }
  void add(const std::string& name, const TaskFn& function, TaskType type = TaskType::detachable,
           std::uint32_t restarts = 0, std::chrono::nanoseconds stop_timeout = 60s) {
    supervisor.add({name, function, {type, restarts, stop_timeout}});
  }
  HostResult run() {
    supervisor.start();
    return supervisor.wait();
  }
  std::string cause() const {
    for (const std::string& line : sink->lines("host")) {
      if (line.find("host stopping") == 0) return line;
    }
    return {};
  }
  std::string last_line() const {
    const Lines lines = sink->lines();
    return lines.empty() ? std::string() : lines.back();
  }

  std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
  const SteadyClock clock;
  Supervisor supervisor;
};

std::shared_ptr<const ScriptRecipe> obedient() {
  return stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; });
}
std::shared_ptr<const ScriptRecipe> deaf() {
  return stepping([](Execution&) { return Status::pending; });
}
std::shared_ptr<const ScriptRecipe> ending(Status status) {
  return stepping([status](Execution&) { return status; });
}

// Without stalls: whether one is reported before or after the request to stop depends on the clock.
Lines lines_but_stalls(const RecordingSink& sink, const std::string& task) {
  Lines lines = sink.lines(task);
  std::erase_if(lines, [](const std::string& line) { return line.find(" stalled ") != std::string::npos; });
  return lines;
}

struct Door {
  std::promise<void> opened;
  std::shared_future<void> open{opened.get_future()};
  std::promise<void> came_back;
};

SupervisorOptions with_timeout(std::chrono::nanoseconds timeout, unsigned shards = 1) {
  SupervisorOptions options;
  options.shards = shards;
  options.shutdown_timeout = timeout;
  return options;
}

}  // namespace

TEST_CASE("a supervisor with no tasks is done at once, with success") {
  Scene scene;
  CHECK(scene.run() == HostResult::success);
  CHECK(scene.sink->lines() == Lines{"host stopping all_done", "host stopped all_done"});
}

TEST_CASE("when no task is live or waiting, the host ends with success") {
  Scene scene;
  scene.add("well", ending(Status::ok));
  scene.add("badly", ending(Status::error), TaskType::detachable, 2);
  CHECK(scene.run() == HostResult::success);
  CHECK(scene.cause() == "host stopping all_done");
  CHECK(scene.last_line() == "host stopped all_done");
  CHECK(scene.sink->count(EventKind::task_started, "badly") == 3);
}

TEST_CASE("a shutdown_on_exit task that ends well stops the others, and the result is success") {
  Scene scene;
  scene.add("other", obedient());
  scene.add("main", ending(Status::ok), TaskType::shutdown_on_exit);
  CHECK(scene.run() == HostResult::success);
  CHECK(scene.cause() == "host stopping task_exit by main");
  CHECK(scene.last_line() == "host stopped task_exit by main");
}

TEST_CASE("a shutdown_on_exit task that ends badly stops the others, and the result says that a task failed") {
  Scene scene;
  scene.add("other", obedient());
  scene.add("main", ending(Status::error), TaskType::shutdown_on_exit);
  CHECK(scene.run() == HostResult::task_failed);
  CHECK(scene.cause() == "host stopping task_exit by main");
}

TEST_CASE("a mandatory task that used up its budget stops the host, and the result says that a task failed") {
  Scene scene;
  scene.add("other", obedient());
  scene.add("reader", ending(Status::ok), TaskType::mandatory, 3);
  CHECK(scene.run() == HostResult::task_failed);
  CHECK(scene.cause() == "host stopping budget_exhausted by reader");
  CHECK(scene.sink->count(EventKind::task_started, "reader") == 4);
}

TEST_CASE("a request stops the host with success") {
  Scene scene({.shards = 3, .shutdown_timeout = {}, .complete_events = true});
  for (int i = 0; i < 10; ++i) scene.add("t", obedient());
  scene.supervisor.start();
  CHECK(scene.sink->await("t started 1", 10));
  scene.supervisor.request_stop({StopReason::signal, false, {}, "signal SIGTERM"});
  CHECK(scene.supervisor.wait() == HostResult::success);
  CHECK(scene.cause() == "host stopping signal");
  CHECK(scene.sink->count(EventKind::task_stopped) == 10);
  const std::vector<Record> records = scene.sink->records();
  const auto stopping = std::find_if(records.begin(), records.end(),
                                     [](const Record& r) { return r.event.kind == EventKind::host_stopping; });
  REQUIRE(stopping != records.end());
  CHECK(stopping->event.message == "signal SIGTERM");
}

TEST_CASE("the first cause decides the result, and later ones are recorded") {
  Scene scene;
  scene.add("well",
            stepping([](Execution& execution) { return execution.stop_requested() ? Status::error : Status::pending; }),
            TaskType::shutdown_on_exit);
  scene.supervisor.start();
  CHECK(scene.sink->await("well started 1"));
  scene.supervisor.request_stop({StopReason::request, false, {}, {}});
  scene.supervisor.request_stop({StopReason::task_exit, true, "other", "too late"});
  CHECK(scene.supervisor.wait() == HostResult::success);
  CHECK(scene.sink->logged("other: another reason to stop: task_exit, too late"));
}

TEST_CASE("a stop before the start starts nothing") {
  Scene scene;
  const auto recipe = obedient();
  scene.add("t", recipe, TaskType::mandatory, 3);
  scene.supervisor.request_stop({StopReason::request, true, {}, {}});
  CHECK(scene.run() == HostResult::task_failed);
  CHECK(recipe->starts == 0);
  CHECK(scene.sink->lines() == Lines{"host stopping request", "host stopped request"});
}

TEST_CASE("a supervisor that is destroyed while it runs stops its tasks first") {
  const auto recipe = obedient();
  const auto sink = std::make_shared<RecordingSink>();
  const SteadyClock clock;
  {
    Supervisor supervisor({}, *sink, clock);
    for (int i = 0; i < 3; ++i) supervisor.add({"t", TaskFn(recipe), {}});
    supervisor.start();
    CHECK(sink->await("t started 1", 3));
  }
  CHECK(recipe->drops == 3);
  CHECK(sink->lines().back() == "host stopped request");
}

TEST_CASE("a supervisor that is destroyed without a start leaves nothing behind") {
  const auto recipe = obedient();
  {
    Scene scene;
    scene.add("t", recipe);
    CHECK(scene.supervisor.task_count() == 1);
  }
  CHECK(recipe->starts == 0);
  CHECK(recipe.use_count() == 1);
}

TEST_CASE("a number of shards that makes no sense is refused") {
  RecordingSink sink;
  const SteadyClock clock;
  for (const unsigned shards : {0u, max_shards + 1}) {
    SupervisorOptions options;
    options.shards = shards;
    CHECK_THROWS_AS(Supervisor(options, sink, clock), std::invalid_argument);
  }
}

TEST_CASE("tasks are numbered from 0 in the order in which they were added") {
  Scene scene({.shards = 2, .shutdown_timeout = {}, .complete_events = true});
  for (std::size_t i = 0; i < 5; ++i) CHECK(scene.supervisor.add({"t", TaskFn(obedient()), {}}) == i);
  CHECK(scene.supervisor.task_count() == 5);
}

TEST_CASE("each task has an id of its own, a UUID of version 4, that stays the same across restarts") {
  Scene scene({.shards = 2, .shutdown_timeout = {}, .complete_events = true});
  for (int i = 0; i < 500; ++i) scene.add("t" + std::to_string(i), ending(Status::error), TaskType::detachable, 1);
  scene.run();
  std::map<std::string, boost::uuids::uuid> ids;
  std::set<boost::uuids::uuid> distinct;
  for (const Record& record : scene.sink->records()) {
    if (record.task == "host") continue;
    CHECK(record.event.id.version() == boost::uuids::uuid::version_random_number_based);
    CHECK(record.event.id.variant() == boost::uuids::uuid::variant_rfc_4122);
    CHECK(ids.emplace(record.task, record.event.id).first->second == record.event.id);
    distinct.insert(record.event.id);
  }
  CHECK(distinct.size() == 500);
}

TEST_CASE("nothing is started after host_stopping, and each start has exactly one end") {
  Scene scene({.shards = 4, .shutdown_timeout = {}, .complete_events = true});
  for (int i = 0; i < 8; ++i) scene.add("storm", ending(Status::error), TaskType::mandatory, 200 + 50 * i);
  CHECK(scene.run() == HostResult::task_failed);
  bool stopping = false;
  for (const Record& record : scene.sink->records()) {
    if (record.event.kind == EventKind::host_stopping) stopping = true;
    if (record.event.kind == EventKind::task_started) CHECK_FALSE(stopping);
  }
  CHECK(stopping);
  CHECK(scene.sink->count(EventKind::task_started) ==
        scene.sink->count(EventKind::task_exited) + scene.sink->count(EventKind::task_stopped));
  CHECK(scene.last_line() == "host stopped budget_exhausted by storm");
}

TEST_CASE("a deaf polled task is dropped at its stop_timeout, and the result is what it would be without it") {
  Scene scene;
  const auto recipe = deaf();
  scene.add("deaf", recipe, TaskType::detachable, 0, 20ms);
  scene.supervisor.start();
  CHECK(scene.sink->await("deaf started 1"));
  scene.supervisor.request_stop({});
  CHECK(scene.supervisor.wait() == HostResult::success);
  CHECK(recipe->drops == 1);
  CHECK(scene.sink->lines("deaf") == Lines{"deaf started 1", "deaf stopping 1", "deaf stopped 1"});
}

TEST_CASE("a stop that takes longer than the shutdown_timeout drops what still lives, and has run out of time") {
  Scene scene(with_timeout(20ms, 2));
  const auto recipe = deaf();
  for (int i = 0; i < 5; ++i) scene.add("deaf", recipe);
  scene.supervisor.start();
  CHECK(scene.sink->await("deaf started 1", 5));
  scene.supervisor.request_stop({});
  CHECK(scene.supervisor.wait() == HostResult::stop_timed_out);
  CHECK(recipe->drops == 5);
  CHECK(scene.sink->count(EventKind::task_stopped) == 5);
  CHECK_FALSE(scene.supervisor.abandoned_threads());
}

TEST_CASE("a stop_timeout without end does not end a stop early") {
  Scene scene;
  std::promise<void> asked;
  std::atomic<bool> may_end{false};
  std::atomic<Waker> waker{0};
  scene.add("patient", stepping([&](Execution& execution) {
              waker = execution.waker();
              if (may_end) return Status::ok;
              if (execution.stop_requested()) asked.set_value();
              return Status::pending;
            }),
            TaskType::detachable, 0, std::chrono::nanoseconds::max());
  scene.supervisor.start();
  CHECK(scene.sink->await("patient started 1"));
  scene.supervisor.request_stop({});
  REQUIRE(asked.get_future().wait_for(60s) == std::future_status::ready);
  may_end = true;
  Execution::wake(waker);
  CHECK(scene.supervisor.wait() == HostResult::success);
}

TEST_CASE("a stop can be made to end now") {
  Scene scene;
  const auto recipe = deaf();
  scene.add("deaf", recipe);
  scene.supervisor.start();
  CHECK(scene.sink->await("deaf started 1"));
  scene.supervisor.request_stop({});
  scene.supervisor.expire_stop();
  CHECK(scene.supervisor.wait() == HostResult::stop_timed_out);
  CHECK(recipe->drops == 1);
}

TEST_CASE("a blocking task works on a thread of its own, is told of the stop, and ends") {
  Scene scene;
  const auto own = std::make_shared<std::atomic<bool>>(false);
  const std::thread::id test_thread = std::this_thread::get_id();
  scene.add("blocking", TaskFn::from_blocking([&, own](BlockingContext& context) {
              *own = std::this_thread::get_id() != test_thread;
              context.execution().ready();
              while (context.wait_for(1h)) continue;
            }));
  scene.supervisor.start();
  CHECK(scene.sink->await("blocking ready 1"));
  scene.supervisor.request_stop({});
  CHECK(scene.supervisor.wait() == HostResult::success);
  CHECK(*own);
  CHECK(scene.sink->lines("blocking") ==
        Lines{"blocking started 1", "blocking ready 1", "blocking stopping 1", "blocking stopped 1"});
}

TEST_CASE("a wake ends a blocking task's wait") {
  Scene scene;
  std::promise<Waker> waker;
  scene.add("blocking", TaskFn::from_blocking([&](BlockingContext& context) {
              waker.set_value(context.execution().waker());
              return (context.execution().wait_until(never) & wait_wake) != 0 ? TaskResult::ok()
                                                                              : TaskResult::failed("no wake");
            }),
            TaskType::shutdown_on_exit);
  scene.supervisor.start();
  Execution::wake(waker.get_future().get());
  CHECK(scene.supervisor.wait() == HostResult::success);
}

TEST_CASE("a deaf blocking task is abandoned and named, and the stop has run out of time") {
  const auto door = std::make_shared<Door>();
  Scene scene;
  scene.add("deaf", TaskFn::from_blocking([door] {
              door->open.wait();
              door->came_back.set_value();
            }),
            TaskType::detachable, 0, 20ms);
  scene.add("other", obedient());
  scene.supervisor.start();
  CHECK(scene.sink->await("deaf started 1"));
  CHECK(scene.sink->await("other started 1"));
  scene.supervisor.request_stop({});
  CHECK(scene.supervisor.wait() == HostResult::stop_timed_out);
  CHECK(scene.supervisor.abandoned_threads());
  CHECK(scene.sink->lines("deaf") == Lines{"deaf started 1", "deaf stopping 1", "deaf abandoned 1"});
  CHECK(scene.sink->lines("other") == Lines{"other started 1", "other stopping 1", "other stopped 1"});
  door->opened.set_value();
  CHECK(door->came_back.get_future().wait_for(60s) == std::future_status::ready);
}

TEST_CASE("a polled call that is stuck is taken over and named; the others of its shard, and all others, stop") {
  const auto door = std::make_shared<Door>();
  Scene scene(with_timeout(20ms, 2));
  const auto others = obedient();
  scene.add("stuck", stepping([door](Execution& execution) {
              execution.ready();
              execution.log(LogLevel::info, "in it");
              door->open.wait();
              door->came_back.set_value();
              return Status::ok;
            }),
            TaskType::mandatory, 3);
  scene.add("elsewhere", others);
  scene.add("neighbour", others);
  scene.supervisor.start();
  CHECK(scene.sink->await_log("stuck: in it"));
  CHECK(scene.sink->await("elsewhere started 1"));
  scene.supervisor.request_stop({});
  CHECK(scene.supervisor.wait() == HostResult::stop_timed_out);
  CHECK(scene.supervisor.abandoned_threads());
  CHECK(lines_but_stalls(*scene.sink, "stuck") == Lines{"stuck started 1", "stuck stopping 1", "stuck abandoned 1"});
  CHECK(scene.sink->lines("elsewhere") == Lines{"elsewhere started 1", "elsewhere stopping 1", "elsewhere stopped 1"});
  CHECK(scene.sink->lines("neighbour").empty());  // it never had its turn
  CHECK(scene.last_line() == "host stopped request");
  door->opened.set_value();
  CHECK(door->came_back.get_future().wait_for(60s) == std::future_status::ready);
}

TEST_CASE("who shares a shard with a stuck call goes on after its time is up, and stops in its own way") {
  const auto door = std::make_shared<Door>();
  Scene scene;
  const auto polled = obedient();
  scene.add("stuck", stepping([door](Execution& execution) {
              if (!execution.stop_requested()) {
                execution.log(LogLevel::info, "ready to be stuck");
                execution.wake_after(0);
                return Status::pending;
              }
              door->open.wait();
              door->came_back.set_value();
              return Status::ok;
            }),
            TaskType::mandatory, 3, 20ms);
  scene.add("polled", polled, TaskType::mandatory, 3, 10s);
  scene.add("blocking", TaskFn::from_blocking([](BlockingContext& context) {
              while (context.wait_for(10s)) {
              }
            }),
            TaskType::mandatory, 3, 10s);
  scene.supervisor.start();
  CHECK(scene.sink->await("blocking started 1"));
  scene.supervisor.request_stop({});
  CHECK(scene.supervisor.wait() == HostResult::stop_timed_out);
  CHECK(lines_but_stalls(*scene.sink, "stuck") == Lines{"stuck started 1", "stuck stopping 1", "stuck abandoned 1"});
  CHECK(scene.sink->lines("polled") == Lines{"polled started 1", "polled stopping 1", "polled stopped 1"});
  CHECK_FALSE(scene.sink->told("polled", "did not stop in time and was dropped"));
  CHECK(scene.sink->lines("blocking") == Lines{"blocking started 1", "blocking stopping 1", "blocking stopped 1"});
  CHECK(polled->drops == 1);
  door->opened.set_value();
  CHECK(door->came_back.get_future().wait_for(60s) == std::future_status::ready);
}

TEST_CASE("two stuck calls on one shard are taken over one after the other") {
  const auto first = std::make_shared<Door>();
  const auto second = std::make_shared<Door>();
  Scene scene;
  scene.add("first", stepping([first](Execution&) {
              first->open.wait();
              first->came_back.set_value();
              return Status::ok;
            }),
            TaskType::mandatory, 3, 20ms);
  Script script;
  script.drop = [second](void*) {
    second->open.wait();
    second->came_back.set_value();
  };
  script.step = [](void*, Execution& execution) {
    execution.log(LogLevel::info, "polled");
    return execution.stop_requested() ? Status::ok : Status::pending;
  };
  scene.add("second", recipe_of(script), TaskType::mandatory, 3, 20ms);
  scene.supervisor.start();
  scene.supervisor.request_stop({});
  CHECK(scene.supervisor.wait() != HostResult::task_failed);
  for (const auto& door : {first, second}) door->opened.set_value();
}

TEST_CASE("a coroutine that blocks its thread is named, and abandoned, like any other task") {
  const auto door = std::make_shared<Door>();
  Scene scene;
  scene.add("stuck", TaskFn::from_awaitable([door](Execution& execution) -> boost::asio::awaitable<void> {
              execution.log(LogLevel::info, "in it");
              door->open.wait();
              door->came_back.set_value();
              co_return;
            }),
            TaskType::mandatory, 3, 20ms);
  scene.add("other", obedient(), TaskType::mandatory, 3, 10s);
  scene.supervisor.start();
  CHECK(scene.sink->await_log("stuck: in it"));
  scene.supervisor.request_stop({});
  CHECK(scene.supervisor.wait() == HostResult::stop_timed_out);
  CHECK(lines_but_stalls(*scene.sink, "stuck") == Lines{"stuck started 1", "stuck stopping 1", "stuck abandoned 1"});
  CHECK(scene.sink->count(EventKind::task_abandoned) == 1);
  door->opened.set_value();
  CHECK(door->came_back.get_future().wait_for(60s) == std::future_status::ready);
}

TEST_CASE("a drop that never returns is named as well, and does not keep the host from its end") {
  const auto door = std::make_shared<Door>();
  Scene scene(with_timeout(10s));
  Script script;
  script.drop = [door](void*) {
    door->open.wait();
    door->came_back.set_value();
  };
  const auto neighbour = deaf();
  scene.add("stuck", recipe_of(script), TaskType::detachable, 0, 20ms);
  scene.add("neighbour", neighbour, TaskType::detachable, 0, 40ms);
  scene.supervisor.start();
  CHECK(scene.sink->await("neighbour started 1"));
  scene.supervisor.request_stop({});
  CHECK(scene.sink->await("neighbour stopping 1"));
  scene.supervisor.expire_stop();
  CHECK(scene.supervisor.wait() == HostResult::stop_timed_out);
  CHECK(lines_but_stalls(*scene.sink, "stuck") == Lines{"stuck started 1", "stuck stopping 1", "stuck abandoned 1"});
  CHECK(scene.sink->lines("neighbour") == Lines{"neighbour started 1", "neighbour stopping 1", "neighbour stopped 1"});
  CHECK(neighbour->drops == 1);
  door->opened.set_value();
  CHECK(door->came_back.get_future().wait_for(60s) == std::future_status::ready);
}

TEST_CASE("operations of the host as a whole run on the control thread from start to the end") {
  Scene scene;
  scene.add("t", obedient());
  std::promise<std::thread::id> ran;
  boost::asio::post(scene.supervisor.control(), [&] {
    ran.set_value(std::this_thread::get_id());
    scene.supervisor.request_stop({});
  });
  CHECK(scene.run() == HostResult::success);
  CHECK(ran.get_future().get() != std::this_thread::get_id());
}

TEST_CASE("two supervisors live in one process, one after the other and beside each other") {
  for (int round = 0; round < 3; ++round) {
    Scene one;
    Scene other;
    one.add("t", obedient());
    other.add("t", ending(Status::error), TaskType::mandatory);
    one.supervisor.start();
    CHECK(other.run() == HostResult::task_failed);
    one.supervisor.request_stop({});
    CHECK(one.supervisor.wait() == HostResult::success);
  }
}

TEST_CASE("ten thousand tasks start, stop and are dropped, each once") {
  Scene scene({.shards = 2, .shutdown_timeout = {}, .complete_events = true});
  const auto recipe = obedient();
  for (int i = 0; i < 10'000; ++i) scene.add("t", recipe);
  scene.supervisor.start();
  CHECK(scene.sink->await("t started 1", 10'000));
  scene.supervisor.request_stop({});
  CHECK(scene.supervisor.wait() == HostResult::success);
  CHECK(recipe->starts == 10'000);
  CHECK(recipe->drops == 10'000);
  CHECK(scene.sink->count(EventKind::task_stopped) == 10'000);
}

// Not under the sanitizer for undefined behaviour, which needs a pipe of its own to check what is thrown.
#ifndef __SANITIZE_ADDRESS__
TEST_CASE("a supervisor for which there is no descriptor says which limit to raise") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  std::string message;
  try {
    SupervisorOptions options;
    options.shards = max_shards;  // more than the descriptors that other tests left
    const Scene scene(options);
  } catch (const std::system_error& error) {
    message = error.what();
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(message.starts_with("the process has no descriptor left: RLIMIT_NOFILE is 0; raise it (ulimit -n)"));
}
#endif
