// Finds calls into task code that do not return, and takes their shards off them. Samples "which call, since when"; the
// shards pay nothing for it but two stores a call. On the control thread, unless it says otherwise.
//
// The monitor looks at the shards every now and then while one of them is awake. When all sleep, its timer is not set
// again: an idle host makes no wake-ups. A shard that wakes up sets it, unless it is set (rouse, shard_awake).
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "job_threads.hpp"
#include "shard_thread.hpp"

namespace taskhost {

class StallMonitor {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `limit`: how long a call may take. `threads`: the shards' own. Throws std::system_error.
  StallMonitor(boost::asio::io_context& control, ShardOwner& owner, EventSink& sink, std::chrono::nanoseconds limit,
               JobThreads& threads);
  ~StallMonitor();
  StallMonitor(const StallMonitor&) = delete;
  StallMonitor& operator=(const StallMonitor&) = delete;

  // Before listen.
  void watch(ShardThread& thread) { members_.emplace_back().thread = &thread; }
  void listen();

  // [any shard's thread]
  void shard_awake() noexcept {
    if (!armed_.load(std::memory_order_relaxed)) arm();
  }

  // From now on, a call that outlives its task's stop_timeout is taken care of however large the limit is, and if need
  // be beyond the bound of threads. `stuck_outside`: a shard makes no step though it is in no call; true: it is not
  // looked at any more.
  void begin_stop(Time began, std::function<bool(ShardThread&)> stuck_outside);
  void expire_stop();
  // All tasks have ended, and the shards are to quit: what of them is still in the way has no more time than that.
  void begin_quit();
  void end();

 private:
  struct Member {
    ShardThread* thread = nullptr;
    std::uint64_t step = 0;  // what was seen last, and since when
    bool in_call = false;
    Time since{};
    std::optional<Time> taken_over;  // the last time
    const TaskCell* told = nullptr;  // of this step: task_stalled
    bool told_bound = false;         // of this step: no thread left
    bool given_up = false;
  };
  // A call that lost its shard before it was told.
  struct Untold {
    std::shared_ptr<const Tenure> tenure;  // shared with its thread
    Time since;
  };

  void arm() noexcept;
  void set_timer(std::chrono::nanoseconds delay) noexcept;
  void wait();
  void look();
  void look_at(Member& member, Time now);
  void look_at_call(Member& member, Time now);
  void tell_untold(Time now);
  void tell(const TaskCell& cell, Stage stage, std::chrono::nanoseconds blocked_for);
  bool hurries(const Member& member, Time now) const {
    return member.taken_over && now - *member.taken_over < 10 * limit_;
  }
  std::chrono::nanoseconds patience(const Member& member, Time now) const;
  bool is_over(const Member& member, const TaskCell& cell, Time now) const;
  bool can_be_stuck(const Member& member) const {
    const Shard& shard = member.thread->shard();
    return quitting_ || (shard.size() != 0 && (!shard.ended() || shard.has_coordinated()));
  }

  ShardOwner& owner_;
  EventSink& sink_;
  const std::chrono::nanoseconds limit_;
  JobThreads& threads_;
  std::vector<Member> members_;
  std::vector<Untold> untold_;
  boost::asio::posix::stream_descriptor timer_;
  std::atomic<bool> armed_{false};
  std::chrono::nanoseconds interval_{0};  // what the timer was last set to
  Time last_look_{};
  bool ended_ = false;

  bool stopping_ = false;
  bool expired_ = false;
  bool quitting_ = false;
  Time stop_began_{};
  Time expired_at_{};
  std::function<bool(ShardThread&)> stuck_outside_;
};

}  // namespace taskhost
