// A shard: tasks that live together on one event loop. Runs them and judges their exits without involving any other
// thread. Has no threads of its own: whoever drives it calls turn() and waits as the result says; see shard_thread.hpp.
//
// Unless they say otherwise, all functions are for the owner, the one thread that holds the shard at the time. A thread
// can lose the shard in any call into task code. Only turn makes such calls; its result says whether that happened.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "blocking_call.hpp"
#include "cell_arena.hpp"
#include "handler_queue.hpp"
#include "log_gate.hpp"
#include "questions.hpp"
#include "spin_watch.hpp"
#include "status_board.hpp"
#include "task_cell.hpp"
#include "task_machine.hpp"
#include "taskhost/core/supervisor.hpp"
#include "taskhost/core/task_report.hpp"
#include "tenure.hpp"
#include "work_ledger.hpp"

namespace taskhost {

// An execution that had to be dropped or abandoned when the whole stop ran out of time, or that can't be ended.
struct Straggler {
  std::uint32_t index = 0;
  std::string name;
  std::uint64_t execution = 0;
  std::string where;          // "run", "poll"; empty: between two polls
  bool is_abandoned = false;  // it did not return from there; false: it is dropped
  bool was_asked = false;     // false: it has ended by itself, and its finish takes too long
  Nanoseconds for_time = 0;   // since it was asked to end, or has ended
};

// The supervisor as its shards see it. Called on the shards' threads.
class ShardOwner {
 public:
  // Set when a stop is requested, before the shards hear of it.
  virtual const std::atomic<bool>& stopping() const noexcept = 0;
  virtual void stop_wanted(StopCause cause) noexcept = 0;
  virtual void task_abandoned() noexcept = 0;
  // 1: one more task is over that did not end well; -1: an operator starts such a task again.
  virtual void count_lost(int change) noexcept = 0;
  virtual void shard_ended() noexcept = 0;
  // After shard_ended, an operator starts one of its tasks. False: the host stops, and the shard remains ended.
  virtual bool shard_revived() noexcept = 0;
  // For backoff jitter.
  virtual std::uint64_t seed() const noexcept = 0;
  virtual std::uint64_t executions_before() const noexcept { return 0; }
  // [any thread] What its executions say that they are doing.
  StatusBoard& statuses() noexcept { return statuses_; }
  // [any thread] Whose offloaded work is running.
  const std::shared_ptr<WorkLedger>& works() const noexcept { return works_; }
  // A shard that was asleep is about to run task code, which may block.
  virtual void shard_awake() noexcept = 0;
  virtual boost::uuids::uuid task_id(std::uint32_t index) const noexcept = 0;
  // Throws std::system_error, std::runtime_error or std::bad_alloc if there is no thread for it.
  virtual void launch(std::shared_ptr<Job> job) = 0;
  // The same as soon as a thread is free; false: there is none at all. Throws std::bad_alloc.
  virtual bool launch_sometime(std::shared_ptr<Job> job) = 0;
  // Facts about a coordinated task, in order: its execution has begun; its start function has returned ok; it said that
  // it is ready; its step has ended, and its finish goes on; its execution has ended.
  virtual void coordinated_begun(std::uint32_t index) = 0;
  virtual void coordinated_started(std::uint32_t index) = 0;
  virtual void coordinated_ready(std::uint32_t index) = 0;
  virtual void coordinated_step_ended(std::uint32_t index) = 0;
  virtual void coordinated_ended(std::uint32_t index, End end) = 0;
  // For the report of a stop that ran out of time.
  virtual void did_not_stop(Straggler straggler) = 0;

 protected:
  ~ShardOwner() = default;

 private:
  StatusBoard statuses_;
  const std::shared_ptr<WorkLedger> works_ = std::make_shared<WorkLedger>();
};

// Plain members that the owner writes; to be read when the shard is at rest.
struct ShardCounters {
  std::uint64_t starts = 0;
  std::uint64_t polls = 0;
  std::uint64_t told_restarts = 0;  // and further ones, while it is enough to count, are known to the log's gate
  ByOutcome told_exits{};
  std::uint64_t gave_up = 0;
  std::uint64_t stalls = 0;
  std::uint64_t turns = 0;
  std::uint64_t sleeps = 0;
};

class Shard {
 public:
  Shard(ShardOwner& owner, EventSink& sink, const Clock& clock, bool complete_events);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Before the first turn. Copies the name. A coordinated task starts when ordered to. Throws std::bad_alloc.
  TaskCell& add(const TaskFn& function, const TaskOptions& options, std::string_view name, std::uint32_t index,
                bool coordinated = false);
  std::size_t size() const noexcept { return size_; }
  // How many of them are coordinated.
  std::size_t coordinated() const noexcept { return coordinated_; }
  // [any thread] Once the tasks are made: calls function(index, name) for each.
  template <class Function>
  void for_each_name(Function&& function) const {
    for (const Run& run : runs_) {
      for (std::size_t i = 0; i < run.count; ++i) function(std::size_t{run.at(i).index}, run.at(i).name());
    }
  }

  // [any thread] Once the tasks are made: the name of the task at this place.
  const char* name_at(std::size_t place) const {
    const char* name = nullptr;
    for_some(place, 1, [&](const TaskCell& cell) { name = cell.name(); });
    return name;
  }

  // [any thread] Whether all events are published from now on, or only what the log shows.
  void set_complete_events(bool complete) noexcept { complete_events_.store(complete, std::memory_order_relaxed); }

  struct Turn {
    bool lost = false;             // the shard was taken over: don't touch it any more
    bool more = false;             // call again soon
    Nanoseconds deadline = never;  // unless `more`: call again then, or when something wakes it
  };
  // Takes wakes and timers, and runs what is runnable, within limits on calls and time.
  Turn turn();

  // Makes a task runnable. Cheap. From handlers of the loop.
  void wake(TaskCell& cell) noexcept { hot_wake(cell); }

  // Takes over what is left of a dropped execution, to destroy it soon, in a call of its own.
  void bury(std::shared_ptr<HandlerQueue> queue, std::unique_ptr<QueuedHandler> handler);
  // [any thread] Runs this in the next turn. Throws std::bad_alloc.
  void post(std::function<void()> work);
  // Waits for at most so long until the port or a descriptor of a task is ready. Returns how many tasks it wakes.
  std::size_t look(Nanoseconds limit);

  // From now on no execution is started, and live ones are asked to end: blocking ones now, the others one by one in
  // the next turns. Their stop_timeouts count from `began`.
  void begin_stop(Nanoseconds began);
  // Drops or abandons what still lives.
  void expire_stop();

  // The coordinator's orders, ignored if they do not fit the task's state. From handlers of the loop.
  void order_start(TaskCell& cell, std::optional<std::uint32_t> remaining);
  void order_stop(TaskCell& cell);

  // [any thread] An operator's request for one of the shard's tasks, by its place among them, from 0. It takes effect
  // before any end that is judged after this has returned. Throws std::bad_alloc.
  void order(std::size_t place, Operation operation);
  // Carries such a request out at once.
  void operate(std::size_t place, Operation operation);

  // [any thread] Answers a question about its tasks, see Questions. Throws std::bad_alloc.
  std::optional<std::uint64_t> ask(Questions::Question question);
  void give_up_asking(std::uint64_t number) { questions_.give_up(number); }
  // For such questions: what up to `most` tasks are doing, by their places among the shard's tasks from `first` on; and
  // how many of them are doing what, without the coordinated ones, of whose supervision it knows nothing. Both return
  // false if there is no task after these. report throws std::bad_alloc.
  bool report(std::size_t first, std::size_t most, std::vector<TaskReport>& reports);
  bool count(std::size_t first, std::size_t most, TaskCounts& counts) noexcept;
  // [owner] At the very end: nothing of it changes any more.
  void end_questions() { questions_.close(); }

  // [monitor] The tenure of the thread that owns the shard now.
  Tenure& tenure() const noexcept { return *tenure_; }
  // [monitor] While the owner's call is pinned: gives the shard to another thread, which calls adopt.
  std::shared_ptr<Tenure> replace_tenure(std::shared_ptr<Tenure> tenure) noexcept;
  // [new owner] First of all: records the stuck call, for whose return its task has to wait.
  void adopt(std::shared_ptr<Tenure> lost, Nanoseconds blocked_for);

  // When all tasks have ended: abandons threads that are stuck in what dropped coroutines have left.
  void abandon_leftovers();

  // [monitor] While the owner is pinned, and will never touch the shard again: abandons all tasks, except that of the
  // coordinated ones, stragglers are only reported.
  void give_up();
  // [any thread] The longest of all its tasks, once they are made.
  std::chrono::nanoseconds longest_stop_timeout() const noexcept;

  // [owner] Before and after its thread sleeps. awake [monitor] says whether it may be running task code. See
  // StallMonitor.
  void doze() noexcept {
    ++counters_.sleeps;
    awake_.store(false, std::memory_order_release);
  }
  void rouse() noexcept {
    if (awake_.load(std::memory_order_relaxed)) return;
    awake_.store(true, std::memory_order_relaxed);
    light_fence();
    if (!light_fence_is_enough) heavy_fence();
    owner_.shard_awake();
  }
  bool awake() const noexcept { return awake_.load(std::memory_order_acquire); }
  // [monitor] Whether it has done more than answer questions: tasks may be in other states. take_acted: since its last
  // call.
  bool acted() const noexcept { return acted_.load(std::memory_order_relaxed); }
  bool take_acted() noexcept { return acted() && acted_.exchange(false, std::memory_order_relaxed); }

  // [any thread] Whether all its tasks have ended, not counting coordinated ones.
  bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }
  // [any thread] Whether it has coordinated tasks. Once the tasks are made.
  bool has_coordinated() const noexcept { return coordinated_ != 0; }

  // [any thread] For tasks in C++ that use Asio themselves. The shard knows from then on that it has to look there.
  boost::asio::io_context& context() noexcept {
    if (!uses_asio_.load(std::memory_order_relaxed)) begin_to_use_asio();
    return context_;
  }
  bool uses_asio() const noexcept { return uses_asio_.load(std::memory_order_relaxed); }
  const ShardSet& set() const noexcept { return set_; }
  WakePort& port() noexcept { return port_; }
  const Clock& clock() const noexcept { return clock_; }
  EventSink& sink() noexcept { return sink_; }
  ShardOwner& owner() noexcept { return owner_; }
  const ShardCounters& counters() const noexcept { return counters_; }
  std::uint64_t restarts() const noexcept {
    return counters_.told_restarts + log_gate_.all_good_restarts() + log_gate_.all_bad_restarts();
  }
  ByOutcome exits() const noexcept {
    ByOutcome exits = counters_.told_exits;
    exits[static_cast<std::size_t>(Outcome::ok)] += log_gate_.all_good_restarts();
    exits[static_cast<std::size_t>(Outcome::error)] += log_gate_.all_bad_restarts();
    return exits;
  }

 private:
  class Voice;

  // Consecutive cells of one kind. A list of pointers would cost 8 bytes per task.
  struct Run {
    const TaskKind* kind;
    std::byte* first;
    std::size_t stride;
    std::size_t count;

    TaskCell& at(std::size_t i) const noexcept { return *reinterpret_cast<TaskCell*>(first + i * stride); }
  };
  template <class Function>
  void for_each_cell(Function&& function) {
    for (const Run& run : runs_) {
      for (std::size_t i = 0; i < run.count; ++i) function(run.at(i));
    }
  }
  struct StopDeadline {
    Nanoseconds time;
    TaskCell* cell;
    std::uint64_t execution;  // it does not apply to later ones
    bool armed_anew = false;  // after a standstill
    bool operator<(const StopDeadline& other) const noexcept { return time > other.time; }  // soonest on top
  };
  // A thread that is stuck in a task.
  struct Stall {
    TaskCell* cell;
    std::uint64_t execution;         // the task's current one, or an earlier one of which something is left
    std::shared_ptr<Tenure> tenure;  // the stuck thread's
    Nanoseconds since;
    bool woken = false;
    bool leftover = false;   // the task goes on without it
    bool abandoned = false;  // nobody waits for it
  };

  // A handler that completed for a coroutine after it was dropped. Without a handler: marks that everything that was to
  // complete soon has done so.
  struct Remains {
    TaskCell* cell;
    std::uint64_t execution;
    std::shared_ptr<HandlerQueue> queue = nullptr;  // shared with whatever else is left of the coroutine
    std::unique_ptr<QueuedHandler> handler = nullptr;
  };

  // The next call of an execution, and the status that the call before returned, or that is needed after this one.
  struct Next {
    Stage stage = Stage::none;
    Status status = Status::pending;
  };
  struct Call {
    TaskCell* cell = nullptr;
    Next next{};
  };

  // turn makes all calls into task code; these functions decide which, and what follows. The hot ones are all that a
  // restart and a wake need, and are inlined into it.
  Call next_urgent(std::unique_ptr<Remains>& remains);
  template <Stage stage>
  [[gnu::always_inline]] inline Status hot_call(TaskCell& cell, Status before, const std::unique_ptr<Remains>& remains);
  [[gnu::always_inline]] inline Next hot_next(TaskCell& cell);
  [[gnu::always_inline]] inline Stage hot_prepare(TaskCell& cell);
  Stage prepare_supervised(TaskCell& cell);
  [[gnu::always_inline]] inline Stage hot_make_fresh(TaskCell& cell, TaskState state);
  Stage make_fresh(TaskCell& cell, TaskState state);
  Stage refuse_start(TaskCell& cell);
  [[gnu::always_inline]] inline Next hot_after(TaskCell& cell, const CallFrame& frame, Next made);
  Next after(TaskCell& cell, const CallFrame& frame, Next made);
  Next begin_to_finish(TaskCell& cell, const CallFrame& frame, Status status);
  void limit_end(TaskCell& cell);
  std::string status_words(const TaskCell& cell) const;
  Next finished(TaskCell& cell);
  Next after_start(TaskCell& cell, const CallFrame& frame, Status status);
  Next launch(TaskCell& cell);
  Next look_after_blocking(TaskCell& cell);
  [[gnu::always_inline]] void hot_wake(TaskCell& cell) noexcept {
    if (cell.queued) return;
    cell.queued = true;
    cell.run_next = nullptr;
    *queue_tail_ = &cell;
    queue_tail_ = &cell.run_next;
  }
  [[gnu::always_inline]] inline void hot_settle(TaskCell& cell, Outcome outcome);
  void after_removal(TaskCell& cell, const CallFrame& frame);
  void after_drop(TaskCell& cell);
  Call walk();
  Call ask(TaskCell& cell);
  bool tell_to_stop(TaskCell& cell, StopPurpose purpose);
  void ask_soon(TaskCell& cell, StopPurpose purpose);
  Call remove(TaskCell& cell);
  Call expire_deadline();
  void limit_again();
  Call take_back(const Stall& stall);

  Stall* stall_of(const TaskCell& cell) noexcept;
  void abandon(TaskCell& cell);

  void keep_for_reports(TaskCell& cell, const TaskNews& news) noexcept;
  void count_stall(const TaskCell& cell) noexcept;
  TaskReport report(TaskCell& cell);
  void answer();
  template <class Function>
  bool for_some(std::size_t first, std::size_t most, Function&& function) const {
    std::size_t place = 0;  // of the run's first cell
    for (const Run& run : runs_) {
      const std::size_t begin = std::max(first, place);
      const std::size_t end = std::min(first + most, place + run.count);
      for (std::size_t i = begin; i < end; ++i) function(run.at(i - place));
      place += run.count;
      if (place >= first + most) break;
    }
    return first + most < size_;
  }
  // It has no execution.
  void rest(TaskCell& cell, TaskState state) noexcept {
    cell.life.state = state;
    cell.started_at = clock_.now();
    acted_.store(true, std::memory_order_relaxed);
  }
  void settle(TaskCell& cell, Outcome outcome, bool was_up = true);
  void ended(TaskCell& cell, Ending ending, Outcome outcome, std::string_view message, bool was_up = true);
  void start_has_returned(TaskCell& cell);
  void start_is_over(TaskCell& cell);
  void become_ready(TaskCell& cell, Nanoseconds now);
  void arm(SupervisedCell& supervised);
  void fire(SupervisedCell& supervised);
  void judge_limits();
  void follow(TaskCell& cell, TaskMachine::Step step);
  HostPhase phase() const noexcept;
  void take_orders();
  void take_posts();
  void hear_again(TaskCell& cell) noexcept;
  void discard(Offloads& offloads) noexcept;
  void tell_spin(TaskCell& cell, std::uint64_t polls) noexcept;
  void begin_to_use_asio() noexcept;
  void report_straggler(const TaskCell& cell, std::string where, bool is_abandoned);
  void lose_for_good(TaskCell& cell, const std::string& where, const std::string& what);
  void end(TaskCell& cell);
  // Most executions have asked for nothing; for these it must cost nothing.
  [[gnu::always_inline]] void forget_requests(TaskCell& cell) noexcept {
    if (cell.asked) forget_all(cell);
  }
  void forget_all(TaskCell& cell) noexcept;
  [[gnu::always_inline]] void apply(TaskCell& cell, const CallFrame& frame) {
    const CallFrame::Requests requests = frame.requests;
    if (requests.timer != CallFrame::Timer::keep) set_timer(cell, frame);
    if (requests.woken) hot_wake(cell);
  }
  void set_timer(TaskCell& cell, const CallFrame& frame);
  void set_relative_timers();
  void check_ready(TaskCell& cell);
  void limit_stop(TaskCell& cell, Nanoseconds asked);
  void set_stop_deadline(TaskCell& cell, Nanoseconds time, bool armed_anew = false);
  bool host_stopping() const noexcept { return host_stopping_.load(std::memory_order_relaxed); }

  bool publishes_all() const noexcept { return complete_events_.load(std::memory_order_relaxed); }
  // False if this is a task_started and host_stopping came before it.
  bool publish(TaskCell& cell, EventKind kind) {
    TaskNews news{.kind = kind};
    const bool for_log = log_gate_.admit_again(news, cell.name(), host_stopping());
    if (!for_log && !publishes_all()) return kind != EventKind::task_started || !host_stopping();
    return publish_event(cell, std::move(news), for_log);
  }
  // Whether it is enough to count what happens: nobody listens to events, and the log is in a storm or does not show
  // this level.
  bool only_counts(LogLevel level) const noexcept { return !publishes_all() && !log_gate_.passes(level); }
  bool publish_event(TaskCell& cell, TaskNews&& news, bool for_log);
  void update_log(bool now);

  ShardOwner& owner_;
  const std::atomic<bool>& host_stopping_;
  EventSink& sink_;
  const Clock& clock_;
  std::atomic<bool> complete_events_;
  WakePort& port_;
  ShardSet set_{port_.descriptor()};
  std::deque<TaskKind> kinds_;
  CellArena cells_;
  std::vector<Run> runs_;
  boost::asio::io_context context_;  // declared after the cells: coroutines that still wait in it may refer to them

  TaskCell* queue_head_ = nullptr;
  TaskCell** queue_tail_ = &queue_head_;
  Nanoseconds now_;
  TimerWheel wheel_;
  std::unique_ptr<TimerWheel> supervision_timers_;  // null: no task has needed one
  struct LateLimit {
    SupervisedCell* supervised;
    Nanoseconds deadline;
  };
  std::vector<LateLimit> late_;  // time limits that have passed, but are not judged yet
  Nanoseconds round_began_ = 0;
  Nanoseconds judged_until_ = 0;  // limits that passed by then may be judged: all tasks that were due had their turn
  std::size_t round_calls_ = 0;
  std::shared_ptr<Tenure> tenure_ = std::make_shared<Tenure>();  // shared with the thread that owns the shard by it
  std::vector<TaskCell*> relative_timers_;
  LogGate log_gate_{sink_.log_level()};
  ShardCounters counters_;
  SpinWatch spin_watch_;

  std::vector<Stall> stalls_;
  std::vector<Remains> remains_;
  std::uint64_t leftover_of_ = 0;  // the execution whose remains are being destroyed
  const std::uint32_t bell_;       // a slot without a task, woken when a stuck thread comes back

  struct Order {
    std::size_t place;
    Operation operation;
  };
  std::mutex orders_mutex_;  // guards orders_
  std::vector<Order> orders_;
  std::atomic<bool> has_orders_{false};
  std::mutex posts_mutex_;  // guards posts_
  std::vector<std::function<void()>> posts_;
  std::atomic<bool> has_posts_{false};
  std::atomic<bool> uses_asio_{false};

  std::atomic<bool> awake_{true};
  std::atomic<bool> acted_{false};
  std::atomic<bool> ended_{true};
  std::size_t coordinated_ = 0;  // constant once the tasks are made
  bool urgent_ = false;          // in a turn: something comes before the tasks that are due
  bool stopping_ = false;
  bool expired_ = false;  // the whole stop ran out of time
  Nanoseconds stop_began_ = 0;
  std::size_t next_run_ = ~std::size_t{0};  // for a stop's walk: the next task's run, and its place in that
  std::size_t next_cell_ = 0;
  std::size_t size_ = 0;
  std::size_t unended_ = 0;                                    // tasks, not counting coordinated ones
  std::vector<StopDeadline> stop_deadlines_;                   // a heap
  std::unordered_map<const TaskCell*, Nanoseconds> asked_at_;  // plain tasks that an operator asked to end
  bool without_deadline_ = false;

  Questions questions_;
  // For reports, about tasks in which a thread was stuck: their own data may still be that thread's.
  struct StallRecord {
    std::uint32_t stalls = 0;
    std::string message;  // of the execution that was abandoned
  };
  std::unordered_map<const TaskCell*, StallRecord> stall_records_;
};

}  // namespace taskhost
