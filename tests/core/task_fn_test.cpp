// TaskFn: a recipe that makes a fresh execution each time, from a coroutine, a blocking function, or written by hand.
#include "taskhost/core/task_fn.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <new>
#include <stdexcept>

#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// Records its construction and destruction under its name.
class Tracker {
 public:
  Tracker(std::vector<std::string>& notes, std::string name) : notes_(notes), name_(std::move(name)) {
    notes_.push_back("+" + name_);
  }
  ~Tracker() { notes_.push_back("-" + name_); }
  Tracker(const Tracker&) = delete;
  Tracker& operator=(const Tracker&) = delete;

 private:
  std::vector<std::string>& notes_;
  std::string name_;
};

asio::awaitable<void> wait_for_ever() {
  asio::steady_timer timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

TEST_CASE("a hand-made recipe: a thousand executions, each made and dropped in order, none beside another") {
  std::vector<std::string> notes;
  Script script;
  script.state_size = sizeof(Tracker);
  script.state_align = alignof(Tracker);
  script.start = [&notes](void* state, Execution& execution) {
    new (state) Tracker(notes, std::to_string(execution.number()));
    return Status::ok;
  };
  script.step = [](void*, Execution& execution) {
    if (execution.number() % 3 == 0) throw std::runtime_error("every third");
    return Status::error;
  };
  script.drop = [](void* state) { static_cast<Tracker*>(state)->~Tracker(); };
  ShardScene scene;
  const auto recipe = recipe_of(script);
  scene.add("t", recipe, options_of(TaskType::mandatory, 999));
  scene.run();
  std::vector<std::string> expected;
  for (int n = 1; n <= 1000; ++n) {
    expected.push_back("+" + std::to_string(n));
    expected.push_back("-" + std::to_string(n));
  }
  CHECK(notes == expected);
  CHECK(recipe->starts == 1000);
  CHECK(recipe->drops == 1000);
}

TEST_CASE("a hand-made recipe whose start throws half-way made nothing, and is not dropped") {
  std::vector<std::string> notes;
  struct Execution3 {
    explicit Execution3(std::vector<std::string>& its_notes) : first(its_notes, "first"), second(its_notes, "second") {
      throw std::runtime_error("half-way");
    }
    Tracker first;
    Tracker second;
  };
  Script script;
  script.state_size = sizeof(Execution3);
  script.state_align = alignof(Execution3);
  script.start = [&notes](void* state, Execution&) {
    new (state) Execution3(notes);
    return Status::ok;
  };
  ShardScene scene;
  const auto recipe = recipe_of(script);
  scene.add("t", recipe, options_of(TaskType::detachable, 1));
  scene.run();
  CHECK(notes == Lines{"+first", "+second", "-second", "-first", "+first", "+second", "-second", "-first"});
  CHECK(recipe->drops == 0);
}

TEST_CASE("from_awaitable: a thousand executions, each with a fresh frame that is gone before the next begins") {
  std::vector<std::string> notes;
  ShardScene scene;
  scene.add("t", TaskFn::from_awaitable([&notes](Execution& execution) -> asio::awaitable<void> {
              const std::uint64_t number = execution.number();
              const Tracker tracker(notes, std::to_string(number));
              co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
              if (number % 3 == 0) throw std::runtime_error("every third");
            }),
            options_of(TaskType::mandatory, 999));
  scene.run();
  std::vector<std::string> expected;
  for (int n = 1; n <= 1000; ++n) {
    expected.push_back("+" + std::to_string(n));
    expected.push_back("-" + std::to_string(n));
  }
  CHECK(notes == expected);
  CHECK(scene.sink.count(EventKind::task_exited) == 1000);
  CHECK(scene.sink.lines()[1] == "t exited 1 ok");
  CHECK(scene.sink.lines()[7] == "t exited 3 panic");
}

TEST_CASE("from_awaitable: what it returns or throws is the outcome") {
  struct Row {
    const char* outcome;
    std::string message;
    TaskFn function;
  };
  const Row rows[] = {
      {"ok", "", TaskFn::from_awaitable([]() -> asio::awaitable<void> { co_return; })},
      {"ok", "", TaskFn::from_awaitable([]() -> asio::awaitable<TaskResult> { co_return TaskResult::ok(); })},
      {"error", "no line",
       TaskFn::from_awaitable([]() -> asio::awaitable<TaskResult> { co_return TaskResult::failed("no line"); })},
      {"error", "no line", TaskFn::from_awaitable([](Execution&) -> asio::awaitable<TaskResult> {
         co_return TaskResult::failed("no line");
       })},
      {"panic", "thrown", TaskFn::from_awaitable([]() -> asio::awaitable<void> {
         throw std::runtime_error("thrown");
         co_return;
       })},
      {"panic", "by the factory",
       TaskFn::from_awaitable([]() -> asio::awaitable<void> { throw std::runtime_error("by the factory"); })},
  };
  for (const Row& row : rows) {
    ShardScene scene;
    scene.add("t", row.function, options_of(TaskType::shutdown_on_exit));
    scene.run();
    CHECK(scene.sink.lines() == Lines{"t started 1", std::string("t exited 1 ") + row.outcome});
    CHECK(scene.owner.causes.at(0).detail == row.message);
  }
}

TEST_CASE("from_awaitable: when the host stops, what the coroutine awaits is cancelled and it ends") {
  ShardScene scene;
  bool cancelled = false;
  scene.add("t", TaskFn::from_awaitable([&cancelled]() -> asio::awaitable<void> {
              try {
                co_await wait_for_ever();
              } catch (const boost::system::system_error& error) {
                cancelled = error.code() == asio::error::operation_aborted;
              }
            }));
  scene.run();
  CHECK(scene.sink.lines() == Lines{"t started 1"});
  scene.begin_stop();
  scene.run();
  CHECK(cancelled);
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
}

TEST_CASE("from_awaitable: one that is dropped has its frame destroyed and runs no further") {
  std::vector<std::string> notes;
  ShardScene scene;
  bool ran_on = false;
  scene.add("t", TaskFn::from_awaitable([&]() -> asio::awaitable<void> {
              const Tracker outer(notes, "outer");
              try {
                const Tracker inner(notes, "inner");
                co_await wait_for_ever();
              } catch (...) {
                ran_on = true;
              }
              ran_on = true;
            }),
            options_of(TaskType::detachable, 0, 0s));
  scene.run();
  scene.begin_stop();
  scene.expire_stop();
  scene.run();
  CHECK(notes == Lines{"+outer", "+inner", "-inner", "-outer"});
  CHECK_FALSE(ran_on);
  CHECK(scene.sink.lines().back() == "t stopped 1");
}

TEST_CASE("from_awaitable: one that ignores the cancellation is dropped at its stop_timeout") {
  std::vector<std::string> notes;
  ShardScene scene;
  scene.add("t", TaskFn::from_awaitable([&]() -> asio::awaitable<void> {
              const Tracker tracker(notes, "frame");
              co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
              co_await wait_for_ever();
            }),
            options_of(TaskType::detachable, 0, 5s));
  scene.run();
  scene.begin_stop();
  scene.run();
  scene.sleep(4s);
  CHECK(scene.sink.lines().back() == "t stopping 1");
  scene.sleep(2s);
  CHECK(scene.sink.lines().back() == "t stopped 1");
}

TEST_CASE("from_awaitable: it begins in its first poll, and its next step may wait when it is dropped") {
  std::vector<std::string> notes;
  ShardScene scene;
  scene.add("t", TaskFn::from_awaitable([&]() -> asio::awaitable<void> {
              const Tracker tracker(notes, "frame");
              for (;;) co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
            }));
  scene.shard.turn();
  CHECK(notes == Lines{"+frame"});
  scene.expire_stop();
  CHECK(notes == Lines{"+frame", "-frame"});
  CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
}

TEST_CASE("from_awaitable: a shard that is destroyed destroys the frames that wait in it") {
  std::vector<std::string> notes;
  {
    ShardScene scene;
    scene.add("t", TaskFn::from_awaitable([&]() -> asio::awaitable<void> {
                const Tracker tracker(notes, "frame");
                co_await wait_for_ever();
              }));
    scene.run();
  }
  CHECK(notes == Lines{"+frame", "-frame"});
}

TEST_CASE("from_awaitable: what the factory captured lives as long as a frame that may use it") {
  std::vector<std::string> notes;
  {
    ShardScene scene;
    {
      const auto captured = std::make_shared<Tracker>(notes, "captured");
      scene.add("t", TaskFn::from_awaitable([captured, &notes]() -> asio::awaitable<void> {
                  const Tracker tracker(notes, "frame");
                  co_await wait_for_ever();
                }));
    }
    scene.run();
    CHECK(notes == Lines{"+captured", "+frame"});
  }
  CHECK(notes == Lines{"+captured", "+frame", "-frame", "-captured"});
}

TEST_CASE("from_blocking: a thousand executions, each a fresh call") {
  int calls = 0;
  ShardScene scene;
  scene.add("t", TaskFn::from_blocking([&calls](BlockingContext& context) {
              ++calls;
              CHECK(context.execution().number() == static_cast<std::uint64_t>(calls));
              CHECK_FALSE(context.stop_requested());
              if (calls % 3 == 0) throw std::runtime_error("every third");
            }),
            options_of(TaskType::mandatory, 999));
  scene.run();
  while (!scene.owner.calls.empty()) scene.run_blocking();
  CHECK(calls == 1000);
  CHECK(scene.sink.count(EventKind::task_exited) == 1000);
  CHECK(scene.sink.lines()[1] == "t exited 1 ok");
  CHECK(scene.sink.lines()[7] == "t exited 3 panic");
}

TEST_CASE("from_blocking: what it returns or throws is the outcome") {
  struct Row {
    const char* outcome;
    std::string message;
    TaskFn function;
  };
  const Row rows[] = {
      {"ok", "", TaskFn::from_blocking([] {})},
      {"ok", "", TaskFn::from_blocking([](BlockingContext&) {})},
      {"ok", "", TaskFn::from_blocking([] { return TaskResult::ok(); })},
      {"error", "no line", TaskFn::from_blocking([] { return TaskResult::failed("no line"); })},
      {"panic", "thrown", TaskFn::from_blocking([]() -> TaskResult { throw std::runtime_error("thrown"); })},
      {"panic", "an exception that is not a std::exception", TaskFn::from_blocking([] { throw 42; })},
  };
  for (const Row& row : rows) {
    ShardScene scene;
    scene.add("t", row.function, options_of(TaskType::shutdown_on_exit));
    scene.run();
    scene.run_blocking();
    CHECK(scene.sink.lines() == Lines{"t started 1", std::string("t exited 1 ") + row.outcome});
    CHECK(scene.owner.causes.at(0).detail == row.message);
  }
}

TEST_CASE("from_blocking: wait_for says whether to go on") {
  ShardScene scene;
  std::vector<bool> go_on;
  scene.add("t", TaskFn::from_blocking([&](BlockingContext& context) {
              go_on.push_back(context.wait_for(0ns));
              scene.begin_stop();
              go_on.push_back(context.wait_for(1h));
            }));
  scene.run();
  scene.run_blocking();
  CHECK(go_on == std::vector<bool>{true, false});
}

TEST_CASE("a copy of a TaskFn is the same recipe, and tasks that share it do not share executions") {
  std::vector<void*> states;
  Script script;
  script.state_size = 16;
  script.start = [&states](void* state, Execution&) {
    states.push_back(state);
    return Status::ok;
  };
  const TaskFn function{recipe_of(script)};
  const TaskFn copy = function;
  CHECK(&copy.recipe() == &function.recipe());
  ShardScene scene;
  scene.add("one", function);
  scene.add("two", copy);
  scene.run();
  REQUIRE(states.size() == 2);
  CHECK(states[0] != states[1]);
}

TEST_CASE("a recipe lives as long as a shard that runs it, and no longer") {
  std::weak_ptr<const Recipe> recipe;
  {
    ShardScene scene;
    {
      const auto made = stepping([](Execution&) { return Status::pending; });
      recipe = made;
      scene.add("t", made);
    }
    scene.run();
    CHECK_FALSE(recipe.expired());
  }
  CHECK(recipe.expired());
}
