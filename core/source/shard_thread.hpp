// Drives one shard on a thread of its own: turns, and Asio in between.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <thread>

#include "shard.hpp"

namespace taskhost {

class ShardThread {
 public:
  ShardThread(ShardOwner& owner, EventSink& sink, const Clock& clock, bool complete_events, unsigned number);
  // After join or abandon.
  ~ShardThread();
  ShardThread(const ShardThread&) = delete;
  ShardThread& operator=(const ShardThread&) = delete;

  Shard& shard() noexcept { return shard_; }

  // [the supervisor's] prepare makes the thread, which waits for start or cancel. Throws std::system_error.
  void prepare();
  void start() { go_.set_value(true); }
  void cancel() { go_.set_value(false); }

  // [any thread]
  void begin_stop();
  void expire_stop();
  void quit();

  // [the supervisor's] If that call still runs, takes the shard over from its thread, which is left behind, and goes on
  // with the shard on a fresh one; the stuck task is abandoned. From then on this object must live for ever. False: the
  // call has come back. Throws std::system_error if there is no thread; then nothing has changed.
  bool take_over(Lease::Call call);

  // [the supervisor's] After quit or cancel.
  void join() { thread_.join(); }
  // [the supervisor's] It is stuck in code that is no call: this object must live for ever.
  void leave_behind() { thread_.detach(); }

 private:
  void run();
  void run_handlers(bool wait) noexcept;
  void arm(Nanoseconds deadline);
  void wait_for_wakes();

  Shard shard_;
  const unsigned number_;
  boost::asio::steady_timer timer_;
  boost::asio::posix::stream_descriptor wakes_;
  Nanoseconds armed_ = never;  // what timer_ waits for
  bool quit_ = false;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::promise<bool> go_;
  std::thread thread_;
};

}  // namespace taskhost
