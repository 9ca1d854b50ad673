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
#include <unordered_set>
#include <vector>

#include "job_threads.hpp"
#include "log_gate.hpp"
#include "shard_thread.hpp"
#include "stall_watch.hpp"

namespace taskhost {

class StallMonitor {
 public:
  // `limit`: how long a call may take. `threads`: the shards' own. Throws std::system_error.
  StallMonitor(boost::asio::io_context& control, ShardOwner& owner, EventSink& sink, std::chrono::nanoseconds limit,
               JobThreads& threads, bool complete_events);
  ~StallMonitor();
  StallMonitor(const StallMonitor&) = delete;
  StallMonitor& operator=(const StallMonitor&) = delete;

  // Before listen.
  void watch(ShardThread& thread) { members_.push_back({&thread, StallWatch(limit_)}); }
  void listen();

  // [any shard's thread]
  void shard_awake() noexcept {
    if (!armed_.load(std::memory_order_relaxed)) arm();
  }

  // From now on, a call that outlives its task's stop_timeout is taken care of however large the limit is, and if need
  // be beyond the bound of threads. `give_up`: of a shard whose thread is stuck, and is pinned, nothing will run any
  // more; false: it has nothing that anybody waits for.
  void begin_stop(std::function<bool(ShardThread&)> give_up);
  void expire_stop();
  // All tasks have ended, and the shards are to quit: what of them is still in the way has no more time than that.
  void begin_quit();
  void end();

 private:
  using Time = WatchTime::Time;

  struct Member {
    ShardThread* thread;
    StallWatch watch;
    bool told = false;                 // task_stalled, of what is being watched
    const TaskCell* logged = nullptr;  // the log tells of it, too
    bool told_bound = false;           // no thread can go on in its place
    bool given_up = false;
  };
  // A call that lost its shard before it was told.
  struct Untold {
    std::shared_ptr<Tenure> tenure;  // shared with its thread
    Member* member;
    Time since;
    Event event;  // made while the call was pinned: now its shard's new owner may write to the cell
  };

  void arm() noexcept;
  void set_timer(std::chrono::nanoseconds delay) noexcept;
  void wait();
  void look();
  void look_at(Member& member, Time now);
  void look_at_call(Member& member, Time now);
  void refuse(Member& member, Time now, bool over, const char* why);
  void give_up(Member& member);
  void tell_untold(Time now);
  Event event_of(TaskCell& cell) const;
  bool tell(Event event, const Tenure& stuck, std::chrono::nanoseconds blocked_for);
  bool can_be_stuck(const Member& member) const {
    const Shard& shard = member.thread->shard();
    return quitting_ || (shard.size() != 0 && (!shard.ended() || shard.has_coordinated())) ||
           shard.tenure().look().call.has_value();  // what is left of a coroutine whose task has ended
  }

  ShardOwner& owner_;
  EventSink& sink_;
  const std::chrono::nanoseconds limit_;
  JobThreads& threads_;
  std::vector<Member> members_;
  std::vector<Untold> untold_;
  boost::asio::posix::stream_descriptor timer_;
  std::atomic<bool> armed_{false};
  WatchTime time_;
  StopWatch stop_;
  std::function<bool(ShardThread&)> give_up_;
  bool ended_ = false;

  bool quitting_ = false;

  // The first stall of a task is always in the log, a storm of them is summed up.
  const bool complete_events_;
  std::unordered_set<std::uint32_t> named_;  // the tasks that stalled
  LogGate log_gate_{sink_.log_level()};
};

}  // namespace taskhost
