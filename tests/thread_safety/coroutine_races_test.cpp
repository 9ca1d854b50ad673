// Coroutines on threads: those that never let go, and completions from other threads while they are dropped.
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <cstdlib>
#include <future>

#include "race.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds patience = 60s;

// Longer than anything takes; what has not come by then never does.
HostResult end_of(Supervisor& supervisor) {
  std::future<HostResult> result = std::async(std::launch::async, [&supervisor] { return supervisor.wait(); });
  if (result.wait_for(patience) != std::future_status::ready) {
    std::fputs("the host does not end\n", stderr);
    std::abort();
  }
  return result.get();
}

TaskFn obedient() {
  return TaskFn(
      stepping([](Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; }));
}

// Blocks until the test is over.
class Door {
 public:
  void wait() {
    {
      const std::lock_guard lock(mutex_);
      ++inside_;
      changed_.notify_all();
    }
    opened_.wait();
    const std::lock_guard lock(mutex_);
    --inside_;
    changed_.notify_all();
  }
  bool await(int inside) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [this, inside] { return inside_ == inside; });
  }
  void open() {
    open_.set_value();
    std::unique_lock lock(mutex_);
    CHECK(changed_.wait_for(lock, patience, [this] { return inside_ == 0; }));
  }

 private:
  std::promise<void> open_;
  const std::shared_future<void> opened_{open_.get_future()};
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
};

// A host that may leave threads behind.
struct Host {
  explicit Host(const SupervisorOptions& options) : supervisor(options, *sink, *clock) {}
  ~Host() {
    if (!supervisor.abandoned_threads()) return;
    Supervisor::leak(sink);
    Supervisor::leak(clock);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
  const std::shared_ptr<SteadyClock> clock = std::make_shared<SteadyClock>();
  Supervisor supervisor;
};

SupervisorOptions with_shutdown_timeout(std::chrono::nanoseconds timeout) {
  SupervisorOptions options;
  options.shutdown_timeout = timeout;
  return options;
}

asio::awaitable<void> post_for_ever() {
  const auto executor = co_await asio::this_coro::executor;
  for (;;) co_await asio::post(executor, asio::use_awaitable);
}

void post_again(const asio::any_io_executor& loop, const std::shared_ptr<std::atomic<bool>>& over) {
  asio::post(loop, [loop, over] {
    if (!*over) post_again(loop, over);
  });
}

}  // namespace

TEST_CASE("handlers that post others for ever, a coroutine's or bare ones, hold up neither timers nor the stop") {
  for (const bool bare : {false, true}) {
    const auto over = std::make_shared<std::atomic<bool>>(false);
    std::promise<void> ticked;
    Host host({});
    int ticks = 0;
    host.supervisor.add({"ticker",
                         TaskFn(stepping([&](Execution& execution) {
                           if (++ticks == 50) ticked.set_value();
                           execution.wake_after(1'000'000);
                           return execution.stop_requested() ? Status::ok : Status::pending;
                         })),
                         {TaskType::mandatory, 0, patience}});
    if (bare) {
      Script script;
      script.start = [over](void*, Execution& execution) {
        post_again(execution.executor(), over);
        return Status::ok;
      };
      script.step = [](void*, Execution& execution) {
        return execution.stop_requested() ? Status::ok : Status::pending;
      };
      host.supervisor.add({"poster", TaskFn(recipe_of(script)), {TaskType::mandatory, 0, patience}});
    } else {
      host.supervisor.add({"poster", TaskFn::from_awaitable(post_for_ever), {TaskType::mandatory, 0, patience}});
    }
    host.supervisor.start();
    CHECK(ticked.get_future().wait_for(patience) == std::future_status::ready);
    host.supervisor.request_stop({});
    CHECK(end_of(host.supervisor) == HostResult::success);
    *over = true;
    CHECK(host.sink->lines("poster").back() == "poster stopped 1");
  }
}

TEST_CASE("a coroutine whose frame's destructor never returns is abandoned, and named") {
  const auto door = std::make_shared<Door>();
  struct Slow {
    ~Slow() { door->wait(); }
    std::shared_ptr<Door> door;
  };
  {
    Host host({});
    host.supervisor.add({"stuck",
                         TaskFn::from_awaitable([door]() -> asio::awaitable<void> {
                           const Slow slow{door};
                           co_await asio::this_coro::throw_if_cancelled(false);
                           asio::steady_timer timer(co_await asio::this_coro::executor);
                           boost::system::error_code ignored;
                           for (;;) {
                             timer.expires_after(1h);
                             co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
                           }
                         }),
                         {TaskType::detachable, 0, 20ms}});
    host.supervisor.add({"neighbour", obedient(), {TaskType::mandatory, 0, patience}});
    host.supervisor.start();
    CHECK(host.sink->await("stuck started 1"));
    CHECK(host.sink->await("neighbour started 1"));
    host.supervisor.request_stop({});
    CHECK(end_of(host.supervisor) == HostResult::stop_timed_out);
    CHECK(host.supervisor.abandoned_threads());
    CHECK(host.sink->lines("stuck").back() == "stuck abandoned 1");
    CHECK(host.sink->told("stuck", "its drop did not return"));
    CHECK(host.sink->lines("neighbour").back() == "neighbour stopped 1");
    CHECK(host.sink->lines().back() == "host stopped request");
  }
  door->open();
}

TEST_CASE("a handler that a task posted by itself and that never returns costs its shard, and the host ends") {
  const auto door = std::make_shared<Door>();
  {
    // Each takes five seconds, so they run in parallel. One host has another task that lives, the other none.
    Host with_neighbour(with_shutdown_timeout(20ms));
    Host alone({});
    with_neighbour.supervisor.add({"neighbour", obedient(), {TaskType::mandatory, 0, patience}});
    for (Host* host : {&with_neighbour, &alone}) {
      host->supervisor.add({"poster",
                            TaskFn(stepping([door](Execution& execution) {
                              asio::post(execution.executor(), [door] { door->wait(); });
                              return Status::ok;
                            })),
                            {TaskType::detachable}});
    }
    for (Host* host : {&with_neighbour, &alone}) host->supervisor.start();
    CHECK(with_neighbour.sink->await("neighbour started 1"));
    CHECK(door->await(2));  // a stop before that would come before the handler
    with_neighbour.supervisor.request_stop({});
    for (Host* host : {&with_neighbour, &alone}) {
      CHECK(end_of(host->supervisor) == HostResult::stop_timed_out);
      CHECK(host->supervisor.abandoned_threads());
      CHECK(host->sink->logged("a handler that a task posted to its loop does not return"));
    }
    CHECK(alone.sink->lines().back() == "host stopped all_done");
  }
  door->open();
}

TEST_CASE("coroutines that other threads complete, while they fail, are restarted, are dropped and the host stops") {
  int round = 0;
  for (Rounds rounds(100); rounds.next(); ++round) {
    asio::thread_pool pool(2);
    {
      RecordingSink sink;
      static const SteadyClock clock;
      Supervisor supervisor(with_shards(2), sink, clock);
      for (int i = 0; i < 20; ++i) {
        supervisor.add({"hops",
                        TaskFn::from_awaitable([&pool](Execution& execution) -> asio::awaitable<void> {
                          const auto kept = std::make_shared<int>(0);
                          const auto home = co_await asio::this_coro::executor;
                          for (std::uint64_t hop = 0; hop < execution.number() % 4; ++hop) {
                            co_await asio::post(pool, asio::use_awaitable);
                            asio::post(pool, [home, kept] { asio::post(home, [kept] { ++*kept; }); });
                          }
                          throw std::runtime_error("again");
                        }),
                        {TaskType::mandatory, 1'000'000'000, std::chrono::nanoseconds(i % 2)}});
      }
      supervisor.start();
      CHECK(sink.await("hops started 3", 10));
      supervisor.request_stop({});
      if (round % 2 == 0) supervisor.expire_stop();
      CHECK(end_of(supervisor) != HostResult::task_failed);
      CHECK(starts_match_ends(sink));
      pool.join();  // before the loops to which it returns are gone
    }
  }
}
