// Drives one shard: runs its turns, and Asio in between. One thread at a time does so, mostly the same one.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <future>
#include <memory>
#include <optional>

#include "job_threads.hpp"
#include "shard.hpp"

namespace taskhost {

class ShardThread {
 public:
  // `no_memory` is called on the shard's thread if that runs out of memory and can't go on. It must not return.
  ShardThread(ShardOwner& owner, EventSink& sink, const Clock& clock, bool complete_events, unsigned number,
              std::function<void()> no_memory);
  // Only after join or cancel.
  ~ShardThread();
  ShardThread(const ShardThread&) = delete;
  ShardThread& operator=(const ShardThread&) = delete;

  Shard& shard() noexcept { return shard_; }
  unsigned number() const noexcept { return number_; }

  // [supervisor] Gets a thread for the shard, which makes the tasks and then waits for start or cancel. Must be
  // followed by await_tasks, which throws std::bad_alloc if there was no memory for them.
  void prepare(JobThreads& threads, std::function<void(Shard&)> make_tasks);
  void await_tasks() { made_.get_future().get(); }
  void start() { go_.set_value(true); }
  void cancel() { go_.set_value(false); }

  // [any thread]
  void begin_stop(Nanoseconds began);
  void expire_stop();
  // `has_quit` is called by the shard's thread at the very end, when it has run everything that was ready.
  void quit(std::function<void()> has_quit);

  // [monitor] While the call of the shard's thread is pinned: lets another thread run the shard from now on, and
  // returns the tenure of the thread that is left behind; its call must then be taken. Throws std::system_error if
  // there is no thread, or std::runtime_error at the limit; then nothing has changed.
  std::shared_ptr<Tenure> take_over(JobThreads& threads, bool beyond_limit, Nanoseconds blocked_for);

  // [supervisor] After quit or cancel.
  void join() { done_.get_future().wait(); }

 private:
  class Tour;

  void run(const std::shared_ptr<Tenure>& tenure);
  bool look_with_asio(Tenure& tenure, const Shard::Turn& turn);
  std::size_t run_handler(Tenure& tenure, bool wait) noexcept;
  bool arm(Nanoseconds deadline) noexcept;
  bool listen() noexcept;

  Shard shard_;
  const unsigned number_;
  // Made when a task begins to use Asio.
  struct InAsio {
    InAsio(boost::asio::io_context& context, int set)
        : timer(context), wakes(context, set), work(context.get_executor()) {}

    boost::asio::steady_timer timer;
    boost::asio::posix::stream_descriptor wakes;  // the shard's set
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
    Nanoseconds armed = never;  // what `timer` waits for
    bool listening = false;     // to `wakes`
  };
  std::optional<InAsio> asio_;
  bool quit_ = false;
  std::function<void()> has_quit_;
  const std::function<void()> no_memory_;
  std::promise<void> made_;
  std::promise<bool> go_;
  std::promise<void> done_;
};

}  // namespace taskhost
