// Supervised coroutines with real threads: a small program of three tasks and a Ctrl-C handler.
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <thread>

#include "recording_sink.hpp"
#include "support/catch.hpp"
#include "taskhost/core/supervisor.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

asio::awaitable<void> ctrl_c(Execution& execution) {
  asio::signal_set signals(co_await asio::this_coro::executor, SIGINT);
  execution.log(LogLevel::info, "armed");
  co_await signals.async_wait(asio::use_awaitable);
}

asio::awaitable<void> tick() {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (;;) {
    timer.expires_after(1ms);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<TaskResult> flaky() {
  asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
  co_await timer.async_wait(asio::use_awaitable);
  co_return TaskResult::failed("as it always does");
}

void count(BlockingContext& context) {
  while (context.wait_for(1ms)) context.execution().heartbeat();
}

}  // namespace

TEST_CASE("three tasks and a Ctrl-C handler: the signal ends a task, which ends the host, with success") {
  for (const unsigned shards : {1u, 3u}) {
    RecordingSink sink;
    const SteadyClock clock;
    SupervisorOptions options;
    options.shards = shards;
    Supervisor supervisor(options, sink, clock);
    supervisor.add({"ctrl_c", TaskFn::from_awaitable(ctrl_c), {TaskType::shutdown_on_exit}});
    supervisor.add({"ticker", TaskFn::from_awaitable(tick), {TaskType::mandatory, 3}});
    supervisor.add({"flaky", TaskFn::from_awaitable(flaky), {TaskType::detachable, 3}});
    supervisor.add({"counter", TaskFn::from_blocking(count), {TaskType::mandatory}});
    supervisor.start();
    REQUIRE(sink.await("flaky discarded"));
    REQUIRE(sink.await_log("ctrl_c: armed"));
    ::raise(SIGINT);
    CHECK(supervisor.wait() == HostResult::success);
    CHECK(sink.lines("ctrl_c") == Lines{"ctrl_c started 1", "ctrl_c exited 1 ok"});
    CHECK(sink.lines("ticker") == Lines{"ticker started 1", "ticker stopping 1", "ticker stopped 1"});
    CHECK(sink.lines("counter") == Lines{"counter started 1", "counter stopping 1", "counter stopped 1"});
    CHECK(sink.count(EventKind::task_started, "flaky") == 4);
    CHECK(sink.lines("host") == Lines{"host stopping task_exit by ctrl_c", "host stopped task_exit by ctrl_c"});
  }
}

TEST_CASE("a coroutine that another thread completes goes on, on its shard's thread") {
  RecordingSink sink;
  const SteadyClock clock;
  Supervisor supervisor({}, sink, clock);
  supervisor.add({"t",
                  TaskFn::from_awaitable([&supervisor]() -> asio::awaitable<TaskResult> {
                    const std::thread::id before = std::this_thread::get_id();
                    // Goes to the control thread and back.
                    co_await asio::post(supervisor.control(), asio::use_awaitable);
                    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
                    co_return std::this_thread::get_id() == before ? TaskResult::ok() : TaskResult::failed("elsewhere");
                  }),
                  {TaskType::shutdown_on_exit}});
  supervisor.start();
  CHECK(supervisor.wait() == HostResult::success);
}

TEST_CASE("a coroutine that fails a thousand times is started a thousand times, through the loop each time") {
  RecordingSink sink;
  const SteadyClock clock;
  Supervisor supervisor({}, sink, clock);
  supervisor.add({"t",
                  TaskFn::from_awaitable([]() -> asio::awaitable<void> {
                    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
                    throw std::runtime_error("again");
                  }),
                  {TaskType::mandatory, 999}});
  supervisor.start();
  CHECK(supervisor.wait() == HostResult::task_failed);
  CHECK(sink.count(EventKind::task_started) == 1000);
  CHECK(sink.count(EventKind::task_exited) == 1000);
}

TEST_CASE("a coroutine that never ends does not keep its supervisor alive: it is dropped, and its frame is destroyed") {
  const auto held = std::make_shared<int>(0);
  {
    RecordingSink sink;
    const SteadyClock clock;
    Supervisor supervisor({}, sink, clock);
    supervisor.add({"t",
                    TaskFn::from_awaitable([held]() -> asio::awaitable<void> {
                      const auto kept = held;
                      co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
                      co_await tick();
                    }),
                    {TaskType::detachable, 0, 0s}});
    supervisor.start();
    CHECK(sink.await("t started 1"));
    supervisor.request_stop({});
    CHECK(supervisor.wait() == HostResult::success);
    CHECK(sink.lines("t").back() == "t stopped 1");
  }
  CHECK(held.use_count() == 1);
}
