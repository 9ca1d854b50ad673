// What Asio completes for coroutines, and what is left of them when they are dropped: calls are bounded, take turns,
// keep their order, and are watched.
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <stdexcept>

#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

using Handler = asio::async_result<asio::use_awaitable_t<>, void()>::handler_type;

// Calls a function when it is destroyed.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> function) : function_(std::move(function)) {}
  ~AtEnd() { function_(); }
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;

 private:
  const std::function<void()> function_;
};

asio::awaitable<void> wait_for_ever() {
  asio::steady_timer timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> post_for_ever(int& rounds) {
  const auto executor = co_await asio::this_coro::executor;
  for (;; ++rounds) co_await asio::post(executor, asio::use_awaitable);
}

// Ends when the test calls the handler: an operation that can't be cancelled.
asio::awaitable<void> wait_for(std::optional<Handler>& handler) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [&handler](Handler its_handler) { handler.emplace(std::move(its_handler)); }, asio::use_awaitable);
}

void complete(std::optional<Handler>& handler) {
  Handler taken = std::move(*handler);
  handler.reset();
  asio::dispatch(taken.get_executor(), std::move(taken));
}

TaskFn ending_at(std::function<void()> at_end, std::function<asio::awaitable<void>()> wait = wait_for_ever) {
  return TaskFn::from_awaitable([at_end, wait]() -> asio::awaitable<void> {
    const AtEnd local(at_end);
    co_await wait();
  });
}

}  // namespace

TEST_CASE("a coroutine that posts for ever takes turns with its neighbours, and ends when it is asked to") {
  ShardScene scene;
  int rounds = 0;
  int polls = 0;
  int ticks = 0;
  scene.add("poster", TaskFn::from_awaitable([&rounds] { return post_for_ever(rounds); }));
  scene.add("yielder", stepping([&polls](Execution& execution) {
              ++polls;
              Execution::wake(execution.waker());
              return execution.stop_requested() ? Status::ok : Status::pending;
            }));
  scene.add("ticker", stepping([&ticks](Execution& execution) {
              ++ticks;
              execution.wake_after(1'000'000);
              return execution.stop_requested() ? Status::ok : Status::pending;
            }));
  for (int turn = 0; turn < 10; ++turn) {
    scene.turn();
    scene.clock.advance(2ms);
  }
  CHECK(rounds > 100);
  CHECK(std::abs(rounds - polls) <= 2);
  CHECK(ticks == 10);
  scene.begin_stop();
  scene.run();
  CHECK(scene.sink.lines("poster").back() == "poster stopped 1");
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("handlers of a coroutine run in the order in which they came, each in a poll of its own") {
  ShardScene scene;
  std::vector<int> order;
  std::vector<std::uint64_t> polls;
  scene.add("t", TaskFn::from_awaitable([&](Execution& execution) -> asio::awaitable<void> {
              const auto executor = co_await asio::this_coro::executor;
              for (int i = 0; i < 5; ++i) {
                asio::post(executor, [&, i] {
                  CHECK(Execution::current() == &execution);
                  order.push_back(i);
                  polls.push_back(scene.shard.counters().polls);
                });
              }
              order.push_back(-1);
              asio::dispatch(executor, [&order] { order.push_back(-2); });  // may run at once, and does
              co_await wait_for_ever();
            }));
  scene.run();
  CHECK(order == std::vector<int>{-1, -2, 0, 1, 2, 3, 4});
  REQUIRE(polls.size() == 5);
  for (std::size_t i = 1; i < polls.size(); ++i) CHECK(polls[i] == polls[0] + i);
}

TEST_CASE("what a coroutine posts to its executor may throw: that is a panic of the execution") {
  ShardScene scene;
  scene.add("t", TaskFn::from_awaitable([]() -> asio::awaitable<void> {
              asio::post(co_await asio::this_coro::executor, [] { throw std::runtime_error("posted"); });
              co_await wait_for_ever();
            }));
  scene.run();
  CHECK(scene.sink.lines()[1] == "t exited 1 panic");
  CHECK(scene.sink.told("t", "posted"));
}

TEST_CASE("a coroutine's handlers wait while it is stalled, and run in order when it is back") {
  ShardScene scene;
  std::vector<int> order;
  scene.add("t", TaskFn::from_awaitable([&]() -> asio::awaitable<void> {
              const auto executor = co_await asio::this_coro::executor;
              scene.take_over();
              asio::post(executor, [&order] { order.push_back(1); });
              asio::post(scene.shard.context(),
                         [&order, executor] { asio::post(executor, [&order] { order.push_back(2); }); });
              scene.run();
              CHECK(order.empty());
              asio::post(executor, [&order] { order.push_back(3); });
              co_await wait_for_ever();
            }));
  scene.turn();
  CHECK(scene.last.lost);
  scene.run();
  CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("a coroutine is told to be stopped when its frame is destroyed, where that takes the loop as well") {
  ShardScene scene;
  Lines told;
  scene.add("t", ending_at([&] {
              CHECK(Execution::current() != nullptr);
              told = scene.sink.lines();
            }),
            options_of(TaskType::detachable, 0, 1s));
  scene.run();
  scene.begin_stop();
  scene.shard.expire_stop();
  CHECK(scene.owner.ended == 0);
  scene.run();
  CHECK(told == Lines{"t started 1", "t stopping 1"});
  CHECK(scene.sink.lines().back() == "t stopped 1");
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a coroutine that an operator starts while it is being dropped is started when it is gone") {
  ShardScene scene;
  scene.add("t", ending_at([] {}), options_of(TaskType::detachable, 0, 1s));
  scene.run();
  scene.shard.operate(0, Operation::stop);
  scene.clock.advance(1s);
  (void)scene.shard.turn();  // dropped, but its end is not reported yet
  REQUIRE(scene.sink.lines("t") == Lines{"t started 1", "t stopping 1"});
  scene.shard.operate(0, Operation::start);
  scene.run();
  CHECK(scene.sink.lines("t") == Lines{"t started 1", "t stopping 1", "t stopped 1", "t started 2"});
  CHECK(scene.owner.ended == 0);
}

TEST_CASE("a coroutine whose frame's destruction gets stuck is abandoned, and the others go on") {
  // What it awaits completes at once, or its next handler waits in the queue.
  for (const bool queued : {false, true}) {
    ShardScene scene;
    int rounds = 0;
    bool was_stuck = false;
    scene.add("t",
              ending_at(
                  [&] {
                    was_stuck = true;
                    scene.take_over();
                    CHECK(scene.sink.lines("t").back() == "t abandoned 1");
                    CHECK(scene.owner.ended == 0);
                    scene.advance(1s);
                    CHECK(scene.owner.ended == 1);
                  },
                  [queued, &rounds]() -> asio::awaitable<void> {
                    co_await asio::this_coro::throw_if_cancelled(false);
                    try {
                      co_await wait_for_ever();
                    } catch (const boost::system::system_error&) {
                      // It is asked to end, but does not.
                    }
                    if (queued) co_await post_for_ever(rounds);
                    co_await wait_for_ever();
                  }),
              options_of(TaskType::detachable, 0, 1s));
    scene.add("neighbour", stepping([](Execution&) { return Status::pending; }),
              options_of(TaskType::detachable, 0, 2s));
    scene.run();
    scene.begin_stop();
    if (queued) {
      for (int turns = 0; turns < 3; ++turns) scene.turn();
      CHECK(rounds > 0);
    } else {
      scene.run();
    }
    scene.clock.advance(1s);
    for (int turns = 0; turns < 3 && !scene.last.lost; ++turns) scene.turn();
    CHECK(was_stuck);
    scene.run();
    CHECK(scene.sink.lines("t") == Lines{"t started 1", "t stopping 1", "t abandoned 1"});
    CHECK(scene.sink.told("t", "its drop did not return"));
    CHECK(scene.sink.lines("neighbour").back() == "neighbour stopped 1");
    CHECK(scene.owner.abandoned == 1);
    CHECK(scene.owner.ended == 1);
  }
}

TEST_CASE("a coroutine whose operation can't be cancelled is told to be stopped, and destroyed when that completes") {
  std::optional<Handler> handler;
  ShardScene scene;
  bool destroyed = false;
  bool ran_on = false;
  scene.add("t", ending_at([&destroyed] { destroyed = true; },
                           [&]() -> asio::awaitable<void> {
                             co_await wait_for(handler);
                             ran_on = true;
                           }));
  scene.run();
  REQUIRE(handler);
  scene.begin_stop();
  scene.shard.expire_stop();
  scene.run();
  CHECK(scene.sink.lines().back() == "t stopped 1");
  CHECK_FALSE(destroyed);
  complete(handler);
  scene.run();
  CHECK(destroyed);
  CHECK_FALSE(ran_on);
}

TEST_CASE(
    "a frame that is destroyed long after its execution, and gets stuck there, is waited for until all has ended") {
  for (const bool returns : {false, true}) {
    std::optional<Handler> handler;
    ShardScene scene;
    scene.add("t", ending_at(
                       [&] {
                         scene.take_over();
                         scene.run();
                         if (!returns) scene.shard.abandon_leftovers();
                       },
                       [&handler] { return wait_for(handler); }));
    scene.run();
    scene.begin_stop();
    scene.expire_stop();
    CHECK(scene.owner.ended == 1);
    complete(handler);
    scene.turn();
    scene.turn();
    CHECK(scene.last.lost);
    scene.last.lost = false;
    scene.run();
    scene.shard.abandon_leftovers();
    CHECK(scene.owner.abandoned == (returns ? 0 : 1));
    CHECK(scene.owner.ended == 1);
    CHECK(scene.sink.lines() == Lines{"t started 1", "t stopping 1", "t stopped 1"});
  }
}

TEST_CASE("what an earlier execution left behind holds up no later one, be it slow or stuck for ever") {
  std::optional<Handler> handler;
  ShardScene scene;
  int executions = 0;
  scene.add("t",
            ending_at(
                [&] {
                  if (executions != 1) return;  // only in the first one
                  executions = 2;
                  scene.take_over();
                  // The second one runs, is asked to end and ends, while the first one's frame is stuck.
                  scene.shard.operate(0, Operation::start);
                  scene.run();
                  CHECK(scene.sink.lines("t").back() == "t started 2");
                  scene.shard.operate(0, Operation::stop);
                  scene.clock.advance(1s);
                  scene.run();
                  CHECK(scene.sink.lines("t").back() == "t stopped 2");
                },
                [&]() -> asio::awaitable<void> { return executions++ == 0 ? wait_for(handler) : wait_for_ever(); }),
            options_of(TaskType::detachable, 0, 1s));
  scene.run();
  scene.shard.operate(0, Operation::stop);
  scene.clock.advance(1s);
  scene.run();
  REQUIRE(scene.sink.lines("t").back() == "t stopped 1");
  complete(handler);
  scene.run();
  CHECK(scene.sink.lines("t") ==
        Lines{"t started 1", "t stopping 1", "t stopped 1", "t started 2", "t stopping 2", "t stopped 2"});
}

TEST_CASE("a coroutine is cancelled while all of it is whole, though a handler waits in its queue") {
  ShardScene scene;
  const auto deaf = []() -> asio::awaitable<void> {
    co_await asio::this_coro::throw_if_cancelled(false);
    for (;;) {
      asio::steady_timer timer(co_await asio::this_coro::executor, 0ns);
      boost::system::error_code ignored;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
    }
  };
  scene.add("t", TaskFn::from_awaitable(deaf), options_of(TaskType::detachable, 0, 50ms));
  scene.turn();
  scene.shard.operate(0, Operation::stop);
  scene.turn();
  scene.clock.advance(50ms);
  scene.run();
  CHECK(scene.sink.lines().back() == "t stopped 1");
}
