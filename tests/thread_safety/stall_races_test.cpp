// The stall monitor with real threads: what it takes for a stall, what it reports, and shards that it gives up. The
// limits are generous; core/stall_watch_test checks its decisions to the nanosecond.
#include <pthread.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstdlib>
#include <future>
#include <string>

#include "race.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

// Provides no further thread, as at RLIMIT_NPROC. The linker redirects all calls of pthread_create here (--wrap).
namespace {
std::atomic<bool> no_threads{false};
}
extern "C" {
int __real_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) noexcept;
int __wrap_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) noexcept;
int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                          void* argument) noexcept {
  return no_threads ? EAGAIN : __real_pthread_create(thread, attributes, function, argument);
}
}

namespace {

// Shared with abandoned threads.
struct SharedDoor {
  std::promise<void> opened;
  std::shared_future<void> open{opened.get_future()};
  std::promise<void> came_back;
};

struct StallScene {
  explicit StallScene(const SupervisorOptions& options)
      : supervisor(std::make_shared<Supervisor>(options, *sink, clock())) {}
  ~StallScene() {
    if (!supervisor->abandoned_threads()) return;
    Supervisor::leak(sink);
    Supervisor::leak(supervisor);
  }
  StallScene(const StallScene&) = delete;
  StallScene& operator=(const StallScene&) = delete;

  void add(const std::string& name, std::shared_ptr<const Recipe> recipe, TaskOptions options = {}) {
    supervisor->add({name, TaskFn(std::move(recipe)), std::move(options)});
  }

  std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
  std::shared_ptr<Supervisor> supervisor;

 private:
  static const Clock& clock() {
    static const SteadyClock the_clock;
    return the_clock;
  }
};

SupervisorOptions with_limit(std::chrono::nanoseconds limit) {
  SupervisorOptions options;
  options.stall_limit = limit;
  return options;
}

TaskOptions with_stop_timeout(std::chrono::nanoseconds stop_timeout) { return {TaskType::mandatory, 3, stop_timeout}; }

std::shared_ptr<const ScriptRecipe> obedient_recipe() {
  return stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; });
}

// Posts handlers, each of which waits for a door, and ends.
std::shared_ptr<const ScriptRecipe> posting(std::vector<std::shared_ptr<SharedDoor>> doors) {
  return stepping([doors](Execution& execution) {
    auto& context = static_cast<boost::asio::io_context&>(
        boost::asio::query(execution.executor(), boost::asio::execution::context));
    for (const std::shared_ptr<SharedDoor>& door : doors) {
      boost::asio::post(context, [door] {
        door->open.wait();
        door->came_back.set_value();
      });
    }
    return Status::ok;
  });
}

}  // namespace

TEST_CASE("what a call asks for at the moment when it is taken for a stall races with nobody") {
  for (const bool blocking : {false, true}) {
    for (const bool finishes : {false, true}) {
      StallScene scene(with_limit(10ms));
      const std::shared_ptr<const ScriptRecipe> recipe = [&] {
        Script script;
        script.blocking = blocking;
        script.start = [calls = std::make_shared<std::atomic<int>>(0)](void*, Execution& execution) {
          std::this_thread::sleep_for(std::chrono::microseconds(10'000 + (*calls)++ * 970 % 15'000));
          return fail(execution, "what its thread writes while another looks at the task");
        };
        if (finishes) script.finish = [](void*, Execution&) { return Status::ok; };
        return recipe_of(std::move(script));
      }();
      // Each one's first call, since what is made on demand is made there.
      for (int task = 0; task < 40; ++task)
        scene.add("t" + std::to_string(task), recipe, {TaskType::detachable, 0, 10s});
      scene.supervisor->start();
      CHECK(scene.supervisor->wait() == HostResult::task_failed);
      CHECK(recipe->starts == 40);
      CHECK(scene.sink->count(EventKind::task_stalled) > 0);
      CHECK(starts_match_ends(*scene.sink));
    }
  }
}

TEST_CASE("after a stall, calls that return within the limit are taken over for a while, and no longer") {
  StallScene scene(with_limit(200ms));
  std::atomic<int> moves{0};  // moves to another thread
  std::atomic<bool> over{false};
  std::thread::id last;  // its calls never run concurrently
  scene.add("t", stepping([&, first = std::make_shared<bool>(true)](Execution& execution) {
              if (over) return Status::ok;
              if (std::this_thread::get_id() != last) ++moves;
              last = std::this_thread::get_id();
              std::this_thread::sleep_for(*first ? 400ms : 30ms);
              *first = false;
              execution.wake_after(0);
              return Status::pending;
            }),
            {TaskType::shutdown_on_exit});
  scene.supervisor->start();
  REQUIRE(scene.sink->await_log("t: its poll returned after"));
  while (moves <= 2) std::this_thread::sleep_for(1ms);
  int then = 0;
  do {
    then = moves;
    std::this_thread::sleep_for(1s);
  } while (moves != then);
  over = true;
  scene.supervisor->wait();
  std::size_t returns = 0;
  for (const std::string& line : scene.sink->logs()) {
    returns += line.find("returned after") != std::string::npos ? 1 : 0;
  }
  CHECK(returns <= scene.sink->count(EventKind::task_stalled));
}

TEST_CASE("start, poll and drop that take long together, and none of them too long, are no stall") {
  StallScene scene(with_limit(400ms));
  Script script;
  script.start = [](void*, Execution&) {
    std::this_thread::sleep_for(200ms);
    return Status::ok;
  };
  script.step = [](void*, Execution&) {
    std::this_thread::sleep_for(200ms);
    return Status::error;
  };
  script.drop = [](void*) { std::this_thread::sleep_for(200ms); };
  scene.add("t", recipe_of(script), {TaskType::detachable, 1});
  scene.supervisor->start();
  scene.supervisor->wait();
  CHECK(scene.sink->count(EventKind::task_started) == 2);
  CHECK(scene.sink->count(EventKind::task_stalled) == 0);
}

TEST_CASE("a storm of stalls is summed up in the log, but for each task's first one, and whole in the stream") {
  StallScene scene(with_limit(10ms));
  // A call that lasts until its stall is reported.
  const auto stall = [&scene](const char* task) {
    const std::size_t before = scene.sink->count(EventKind::task_stalled, task);
    while (scene.sink->count(EventKind::task_stalled, task) == before) std::this_thread::sleep_for(1ms);
  };
  const auto slow = [stall](int polls) {
    return stepping([stall, polls, done = std::make_shared<int>(0)](Execution& execution) {
      stall("storm");
      execution.wake_after(0);
      return ++*done < polls ? Status::pending : Status::ok;
    });
  };
  scene.add("storm", slow(250));
  scene.add("late", stepping([stall, begun = std::make_shared<bool>(false)](Execution& execution) {
              if (*begun) stall("late");
              const bool ends = *begun;
              *begun = true;
              execution.wake_after(4'000'000'000);
              return ends ? Status::ok : Status::pending;
            }));
  scene.supervisor->start();
  scene.supervisor->wait();
  std::uint64_t summed_up = 0;
  for (const LogSummary& summary : scene.sink->summaries()) summed_up += summary.stalls;
  std::uint64_t shown = 0;
  std::uint64_t told = 0;
  std::vector<std::string> first;
  for (const Record& record : scene.sink->records()) {
    if (record.event.kind != EventKind::task_stalled) continue;
    ++told;
    if (record.event.for_log) ++shown;
    if (std::find(first.begin(), first.end(), record.task) == first.end()) {
      first.push_back(record.task);
      CHECK(record.event.for_log);
    }
  }
  CHECK(first.size() == 2);
  CHECK(told == shown + summed_up);
  CHECK(summed_up > 0);
  std::uint64_t returned = 0;
  for (const std::string& line : scene.sink->logs()) {
    returned += line.find("returned after") != std::string::npos ? 1 : 0;
  }
  CHECK(returned <= shown);
}

TEST_CASE(
    "a call that lost its shard early is told once it has outlived the limit, while the shard goes on without it") {
  // The sanitizer notices if the monitor reads what the shard's new owner writes.
  StallScene scene(with_limit(20ms));
  const auto stuck = [](std::chrono::milliseconds time) {
    return stepping([time, calls = std::make_shared<int>(0)](Execution& execution) {
      std::this_thread::sleep_for(time);
      execution.wake_after(0);
      return ++*calls < 20 ? Status::pending : Status::ok;
    });
  };
  for (int i = 0; i < 3; ++i) scene.add("t" + std::to_string(i), stuck(40ms + i * 7ms));
  scene.supervisor->start();
  CHECK(scene.supervisor->wait() == HostResult::success);
  CHECK(scene.sink->count(EventKind::task_stalled) >= 3);
}

TEST_CASE("a call that is in progress while the process stands still is no stall") {
  StallScene scene(with_limit(400ms));
  std::atomic<bool> over{false};
  scene.add("t", stepping([&over](Execution& execution) {
              // Work of 230 ms, none of which is done in a pause.
              for (std::chrono::nanoseconds left = 230ms; left > 0ns;) {
                const auto begun = std::chrono::steady_clock::now();
                std::this_thread::sleep_for(5ms);
                left -= std::min<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begun, 20ms);
              }
              execution.wake_after(0);
              return over ? Status::ok : Status::pending;
            }),
            {TaskType::shutdown_on_exit});
  scene.supervisor->start();
  REQUIRE(scene.sink->await("t started 1"));
  const std::string pid = std::to_string(::getpid());
  for (int pause = 0; pause < 3; ++pause) {
    std::this_thread::sleep_for(370ms);  // each comes at another point of the calls and the monitor's checks
    REQUIRE(std::system(("kill -STOP " + pid + "; sleep 0.45; kill -CONT " + pid).c_str()) == 0);
  }
  std::this_thread::sleep_for(300ms);
  over = true;
  scene.supervisor->wait();
  CHECK(scene.sink->count(EventKind::task_stalled) == 0);
}

TEST_CASE("a shard whose own handler comes back after the host has given it up harms nothing, and counts once") {
  // The first shard is given up first; its handler returns while the host still waits for the second one, or later.
  const bool before_the_end = GENERATE(true, false);
  const auto first = std::make_shared<SharedDoor>();
  const auto second = std::make_shared<SharedDoor>();
  const auto third = std::make_shared<SharedDoor>();
  SupervisorOptions options = with_shards(2);
  options.shutdown_timeout = 10ms;
  StallScene scene(options);
  const auto neighbour = obedient_recipe();
  scene.add("neighbour", neighbour);
  scene.add("neighbour too", neighbour);
  scene.add("posts", posting({first}));
  scene.add("posts too", posting({second, third}));
  scene.supervisor->start();
  REQUIRE(scene.sink->await("posts discarded"));
  REQUIRE(scene.sink->await("posts too discarded"));
  scene.supervisor->request_stop({});
  std::future<HostResult> result = std::async(std::launch::async, [&scene] { return scene.supervisor->wait(); });
  REQUIRE(scene.sink->await_log("the stop ran out of time: dropping or abandoning the rest"));
  std::this_thread::sleep_for(1s);
  second->opened.set_value();  // its shard has moved on: it is given up a second later
  REQUIRE(scene.sink->await("neighbour abandoned 1"));
  if (before_the_end) {
    first->opened.set_value();
    first->came_back.get_future().wait();
    CHECK(result.wait_for(200ms) == std::future_status::timeout);
    CHECK(scene.sink->count(EventKind::host_stopped) == 0);
  }
  CHECK(result.get() == HostResult::stop_timed_out);
  const Lines lines = scene.sink->lines();
  CHECK(lines.back() == "host stopped request");
  for (const auto& door : {first, third}) {
    if (before_the_end && door == first) continue;
    door->opened.set_value();
    door->came_back.get_future().wait();
  }
  std::this_thread::sleep_for(100ms);
  CHECK(scene.sink->lines() == lines);
  CHECK(neighbour->drops == 0);
  for (const std::string task : {"neighbour", "neighbour too"}) {
    CHECK(scene.sink->lines(task) == Lines{task + " started 1", task + " stopping 1", task + " abandoned 1"});
    CHECK(scene.sink->logged(task + ": did not stop"));
  }
  CHECK(scene.supervisor->abandoned_threads());
}

TEST_CASE("a stop ends in time though a call never returns and there is no further thread") {
  const bool shutdown_timeout = GENERATE(true, false);
  const auto door = std::make_shared<SharedDoor>();
  SupervisorOptions options;
  if (shutdown_timeout) options.shutdown_timeout = 300ms;
  StallScene scene(options);
  scene.add("stuck", stepping([door](Execution& execution) {
              if (!execution.stop_requested()) return Status::pending;
              door->open.wait();
              door->came_back.set_value();
              return Status::ok;
            }),
            with_stop_timeout(shutdown_timeout ? 60s : 100ms));
  const auto other = obedient_recipe();
  scene.add("other", other, with_stop_timeout(shutdown_timeout ? 60s : 400ms));
  scene.supervisor->start();
  REQUIRE(scene.sink->await("other started 1"));
  no_threads = true;
  const auto asked = std::chrono::steady_clock::now();
  scene.supervisor->request_stop({});
  CHECK(scene.supervisor->wait() == HostResult::stop_timed_out);
  no_threads = false;
  CHECK(std::chrono::steady_clock::now() - asked < 4s);
  const Lines lines = scene.sink->lines();
  CHECK(lines.back() == "host stopped request");
  for (const std::string task : {"stuck", "other"}) {
    CHECK(scene.sink->lines(task).front() == task + " started 1");
    CHECK(scene.sink->lines(task).back() == task + " abandoned 1");
  }
  CHECK(scene.sink->logged("stuck: did not stop"));
  std::size_t told = 0;
  for (const std::string& line : scene.sink->logs()) told += line.find("no other thread") != std::string::npos ? 1 : 0;
  CHECK(told == 1);
  door->opened.set_value();
  door->came_back.get_future().wait();
  std::this_thread::sleep_for(50ms);
  CHECK(scene.sink->lines() == lines);
  CHECK(other->drops == 0);
}
