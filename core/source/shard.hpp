// A shard: tasks that live together on one event loop. Runs them, and interprets their exits, with no other thread
// involved. Knows no threads: whoever drives it calls turn() and waits for what turn returns; see shard_thread.hpp.
//
// All functions belong to the owner, the one thread that holds the shard at a time, unless they say otherwise.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <memory>
#include <memory_resource>
#include <vector>

#include "blocking_call.hpp"
#include "lease.hpp"
#include "log_gate.hpp"
#include "task_cell.hpp"
#include "taskhost/core/supervisor.hpp"

namespace taskhost {

// The supervisor as its shards see it. Called on the shards' threads.
class ShardOwner {
 public:
  virtual bool stopping() const noexcept = 0;
  virtual void stop_wanted(StopCause cause) noexcept = 0;
  virtual void task_abandoned() noexcept = 0;
  virtual void shard_ended() noexcept = 0;
  virtual boost::uuids::uuid task_id(std::uint32_t index) const noexcept = 0;
  // Throws std::system_error or std::bad_alloc if there is no thread for it.
  virtual void launch(std::shared_ptr<BlockingCall> call) = 0;

 protected:
  ~ShardOwner() = default;
};

// Plain members, the owner's to write; read them when the shard is at rest.
struct ShardCounters {
  std::uint64_t starts = 0;
  std::uint64_t polls = 0;
  std::uint64_t exits = 0;
  std::uint64_t restarts = 0;
};

class Shard {
 public:
  Shard(ShardOwner& owner, EventSink& sink, const Clock& clock, bool complete_events);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Before the first turn. `name` and `options` live as long as the shard.
  void add(const TaskFn& function, const TaskOptions& options, const char* name, std::uint32_t index);
  std::size_t size() const noexcept { return cells_.size(); }

  struct Turn {
    bool lost = false;             // the shard was taken over: touch it no more
    bool more = false;             // call again soon
    Nanoseconds deadline = never;  // else: call again then, or when something woke it
  };
  // One bounded turn: takes wakes and timers, and runs what is runnable, up to a bound of calls and of time.
  Turn turn();

  // Makes a task runnable. Cheap; from handlers of the loop.
  void wake(TaskCell& cell) noexcept {
    if (cell.queued) return;
    cell.queued = true;
    cell.run_next = nullptr;
    *queue_tail_ = &cell;
    queue_tail_ = &cell.run_next;
  }

  // Around a handler of a coroutine: see handler_call.hpp. end_handler is false once the shard is lost; a frame is that
  // of the handler, if what it asked for counts.
  Lease::Call begin_handler(TaskCell& cell) noexcept {
    called_.store(&cell, std::memory_order_relaxed);
    return lease_.lend();
  }
  bool end_handler(Lease::Call call, const CallFrame* frame);
  // Whether the calling thread lost a shard in a handler. Then it must leave the loop, and touch nothing.
  static bool lost_on_this_thread() noexcept;

  // No execution is started any more; those that live are asked to end.
  void begin_stop();
  // What still lives is dropped, or abandoned. False: lost.
  bool expire_stop();

  // [any thread] The call that runs now, or 0, and whose it is: a hint, since both may change at once.
  Lease::Call running_call() const noexcept { return lease_.running(); }
  std::uint64_t steps() const noexcept { return lease_.calls(); }
  const TaskCell* called() const noexcept { return called_.load(std::memory_order_relaxed); }
  // [any thread] Takes the shard over from a call that is stuck, and makes the caller the owner. Null: it came back.
  TaskCell* take_over(Lease::Call call) noexcept {
    return lease_.take_over(call) ? called_.load(std::memory_order_relaxed) : nullptr;
  }
  // [the new owner] The task of the stuck call is abandoned; the others go on.
  void abandon(TaskCell& stuck);

  // [any thread] All its tasks have ended.
  bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }

  boost::asio::io_context& context() noexcept { return context_; }
  WakePort& port() noexcept { return port_; }
  EventSink& sink() noexcept { return sink_; }
  const ShardCounters& counters() const noexcept { return counters_; }
  void watch(TaskCell& cell, int descriptor, int duplicate, unsigned interests);

 private:
  struct StopDeadline {
    Nanoseconds time;
    TaskCell* cell;
    bool operator<(const StopDeadline& other) const noexcept { return time > other.time; }  // soonest on top
  };

  // Those that call task code return false once the shard is lost.
  bool run(TaskCell& cell);
  bool start(TaskCell& cell);
  bool poll(TaskCell& cell);
  bool launch(TaskCell& cell);
  bool look_after_blocking(TaskCell& cell);
  bool finish(TaskCell& cell, Status status);
  bool drop(TaskCell& cell);
  bool remove(TaskCell& cell);
  bool expire_deadlines();
  bool lose_thread() noexcept;

  void settle(TaskCell& cell, Outcome outcome);
  void end(TaskCell& cell) noexcept;
  void forget_requests(TaskCell& cell) noexcept;
  void apply(const CallFrame& frame);
  void set_relative_timers();
  void check_ready(TaskCell& cell);
  void limit_stop(TaskCell& cell);

  // False: host_stopping came before this task_started.
  bool publish(const TaskCell& cell, EventKind kind, Outcome outcome = Outcome::ok, std::string_view message = {},
               StopReason reason = StopReason::request);
  void update_log(bool now);

  ShardOwner& owner_;
  EventSink& sink_;
  const Clock& clock_;
  const bool complete_events_;
  WakePort& port_;
  std::deque<TaskFn> functions_;                                       // one for each run of tasks with the same recipe
  std::pmr::monotonic_buffer_resource memory_{std::size_t{64} << 10};  // the cells
  boost::asio::io_context context_;  // after the two above: coroutines that still wait in it may refer to them

  TaskCell* queue_head_ = nullptr;
  TaskCell** queue_tail_ = &queue_head_;
  Nanoseconds now_;
  TimerWheel wheel_;
  Lease lease_;
  std::atomic<TaskCell*> called_{nullptr};
  std::vector<TaskCell*> relative_timers_;
  LogGate log_gate_;
  ShardCounters counters_;

  std::atomic<bool> ended_{false};
  bool stopping_ = false;
  Nanoseconds stop_began_ = 0;
  std::size_t live_ = 0;                      // tasks that have not ended
  std::vector<StopDeadline> stop_deadlines_;  // a heap
  std::vector<TaskCell*> cells_;
};

}  // namespace taskhost
