// Finds calls into task code that do not return, and gives their shards to other threads. It samples which call is
// running, and since when; that costs the shards just two stores per call. Functions run on the control thread, unless
// they say otherwise.
//
// The monitor checks the shards from time to time while one of them is awake. When all sleep, it does not set its timer
// again, so an idle host causes no wake-ups. A shard that wakes up sets the timer unless it is set (rouse,
// shard_awake).
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
  // `limit`: how long a call may take. `threads`: those of the shards. Throws std::system_error.
  StallMonitor(boost::asio::io_context& control, ShardOwner& owner, EventSink& sink, std::chrono::nanoseconds limit,
               JobThreads& threads, bool complete_events);
  ~StallMonitor();
  StallMonitor(const StallMonitor&) = delete;
  StallMonitor& operator=(const StallMonitor&) = delete;

  // Before listen.
  void watch(ShardThread& thread) { members_.push_back({&thread, StallWatch(limit_)}); }
  // `active` is called when shards have done something, and when the stop begins.
  void listen(std::function<void()> active);

  // [any thread] As of a shard.
  void set_complete_events(bool complete) noexcept { complete_events_.store(complete, std::memory_order_relaxed); }

  // [any shard's thread]
  void shard_awake() noexcept {
    if (!armed_.load(std::memory_order_relaxed)) arm();
  }

  // From now on, a call that outlives its task's stop_timeout loses its shard whatever the stall limit is, and if
  // necessary beyond the limit of threads. `give_up` is called while a shard's stuck thread is pinned, if nothing of
  // the shard can run any more; it returns false if nobody waits for anything in that shard.
  void begin_stop(std::function<bool(ShardThread&)> give_up);
  void expire_stop();
  // All tasks have ended, and the shards are to quit: from now on time has run out for whatever still holds them up.
  void begin_quit();
  void end();

 private:
  using Time = WatchTime::Time;

  struct Member {
    ShardThread* thread;
    StallWatch watch;
    bool told = false;                 // task_stalled was published for the call that is watched
    const TaskCell* logged = nullptr;  // its task, if it is also in the log
    bool told_bound = false;           // it is in the log that no thread can take its place
    bool given_up = false;
  };
  // A call that lost its shard before it was reported.
  struct Untold {
    std::shared_ptr<Tenure> tenure;  // shared with its thread
    Member* member;
    Time since;
    Event event;  // made while the call was pinned, since the shard's new owner may write to the cell
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
           shard.tenure().look().call.has_value();  // in what is left of a coroutine whose task has ended
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
  std::function<void()> active_;
  bool ended_ = false;

  bool quitting_ = false;

  // Each task's first stall is always in the log; storms of further ones are summed up.
  std::atomic<bool> complete_events_;
  std::unordered_set<std::uint32_t> named_;  // tasks that have stalled
  LogGate log_gate_{sink_.log_level()};
};

}  // namespace taskhost
