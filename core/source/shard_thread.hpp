// Drives one shard on threads: one at a time, and mostly the same one. Turns, and Asio in between.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <future>
#include <memory>

#include "job_threads.hpp"
#include "shard.hpp"

namespace taskhost {

class ShardThread {
 public:
  // `no_memory` is called on the shard's thread if that can't go on. It does not return.
  ShardThread(ShardOwner& owner, EventSink& sink, const Clock& clock, bool complete_events, unsigned number,
              std::function<void()> no_memory);
  // After join or cancel.
  ~ShardThread();
  ShardThread(const ShardThread&) = delete;
  ShardThread& operator=(const ShardThread&) = delete;

  Shard& shard() noexcept { return shard_; }
  unsigned number() const noexcept { return number_; }

  // [the supervisor's] Takes a thread for the shard. It makes the tasks, and waits for start or cancel. Then
  // await_tasks: throws std::bad_alloc if there was no memory for them.
  void prepare(JobThreads& threads, std::function<void(Shard&)> make_tasks);
  void await_tasks() { made_.get_future().get(); }
  void start() { go_.set_value(true); }
  void cancel() { go_.set_value(false); }

  // [any thread]
  void begin_stop(Nanoseconds began);
  void expire_stop();
  // `has_quit` is called by the shard's thread when it has run all that was ready, as the last thing.
  void quit(std::function<void()> has_quit);

  // [monitor] While the call that the shard's thread is in is pinned: from now on another thread runs the shard. Throws
  // std::system_error if there is none; then nothing has changed. From the return on, the call must be taken.
  // Returns the tenure of the thread that is left behind.
  std::shared_ptr<Tenure> take_over(JobThreads& threads, bool beyond_limit, Nanoseconds blocked_for);

  // [the supervisor's] After quit or cancel.
  void join() { done_.get_future().wait(); }

 private:
  class Tour;

  void run(const std::shared_ptr<Tenure>& tenure);
  std::size_t run_handler(Tenure& tenure, bool wait) noexcept;
  bool arm(Nanoseconds deadline) noexcept;
  bool listen() noexcept;

  Shard shard_;
  const unsigned number_;
  boost::asio::steady_timer timer_;
  boost::asio::posix::stream_descriptor wakes_;
  Nanoseconds armed_ = never;  // what timer_ waits for
  bool listening_ = false;     // to wakes_
  bool quit_ = false;
  std::function<void()> has_quit_;
  const std::function<void()> no_memory_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::promise<void> made_;
  std::promise<bool> go_;
  std::promise<void> done_;
};

}  // namespace taskhost
