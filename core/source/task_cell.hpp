// One task on its shard: a single block of memory with this bookkeeping, then the execution's state, then the name. A
// restart is drop and start in that block. The cell belongs to its shard; while one of its functions runs, to the
// calling thread; while it is stalled, to the thread that is stuck in it, except for members that say otherwise.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "call_frame.hpp"
#include "descriptor_set.hpp"
#include "task_machine.hpp"
#include "taskhost/core/execution.hpp"
#include "taskhost/core/task_fn.hpp"
#include "timer_wheel.hpp"

namespace taskhost {

class Offloads;
class Shard;

// What all tasks of a shard with the same recipe and policy have in common. Constant.
struct TaskKind {
  TaskKind(Shard& its_shard, const TaskFn& its_function, const TaskOptions& its_options, bool is_coordinated) noexcept;

  Shard& shard;
  const RawFunctions functions;
  const std::size_t state_offset;
  const std::size_t state_size;
  const TaskOptions options;
  const bool blocking;
  const bool coordinated;                 // the coordinator decides what follows from their ends
  const bool plain;                       // not coordinated and without optional fields: has no SupervisedCell
  const bool simple;                      // plain and polled, and its end takes no time
  const bool timed_start;                 // some time counts from an execution's beginning
  const bool timed_life;                  // some time counts from its readiness
  const std::uint32_t restarts_after_ok;  // for the hot path; 0 if the task is not plain or its type does not restart
  const std::uint32_t restarts_after_failure;
  const bool starts_later;
  const Recipe& recipe;
  const TaskFn function;  // keeps the recipe alive
};

// The additional data of a task that is not plain; made together with it.
struct SupervisedCell : TimerNode {  // set to supervision.deadline
  explicit SupervisedCell(TaskCell& its_cell) noexcept : cell(its_cell) {}

  TaskCell& cell;
  Supervision supervision;                // unused if it is coordinated: the coordinator has its own
  Nanoseconds ready_at = 0;               // when this execution became ready; 0: not yet
  Nanoseconds asked_at = 0;               // when it was asked to end; 0: not yet
  std::atomic<Nanoseconds> heartbeat{0};  // [any thread] this execution's last one
  // For a coordinated one: whether a start is ordered, and the budget as of the coordinator's last order.
  bool start_ordered = false;
  std::optional<std::uint32_t> remaining{0};
};

// What only few tasks need. Made on demand, and kept across restarts.
struct TaskExtra {
  std::string message;                         // of the last fail
  std::string last_message;                    // of the last execution that has ended, for reports
  std::shared_ptr<BlockingCall> call;          // the live run of a blocking execution
  std::unique_ptr<SupervisedCell> supervised;  // null: a plain task
  DescriptorSet descriptors;
  std::shared_ptr<Offloads> offloads;        // null: this execution has offloaded nothing
  std::shared_ptr<BlockingCall> ended_call;  // whose descriptor is the execution's until its drop has returned
  Status end = Status::ok;                   // while it finishes: what its step returned
  Nanoseconds step_ended_at = 0;             // of the last execution that had to finish
  bool overdue = false;                      // its end ran out of time: if its drop does not return, it is abandoned
  Nanoseconds told_refusal_at = 0;
  bool has_crashed = false;  // what fails now has crashed, in another process
  // Of a recipe that starts later:
  bool has_started = false;         // it says that its start is over
  bool is_start_over = false;       // which has been noticed
  bool is_ready = false;            // it says that it is ready
  bool unheard = false;             // the shard's: its descriptors do not wake it, since a thread is stuck in the cell
  bool told_spin = false;           // the log has told that this execution is polled all the time
  std::uint32_t told_refusals = 0;  // a bit for each Refusal that the log has told of this execution

  // The execution has ended; the next one has no message yet.
  void forget_failure() noexcept {
    message.clear();
    has_crashed = false;
  }
  void keep_message(Outcome outcome) noexcept {
    last_message.clear();
    if (outcome != Outcome::ok) last_message.swap(message);
    forget_failure();
  }
};

struct TaskCell final : Execution {
  static constexpr std::uint32_t no_slot = ~std::uint32_t{0};

  TaskCell(const TaskKind& its_kind, std::uint32_t its_index) noexcept
      : Execution(its_kind.recipe.services), kind(&its_kind), index(its_index) {}

  static TaskCell& of(TimerNode& node) noexcept;
  void* state() noexcept { return reinterpret_cast<std::byte*>(this) + kind->state_offset; }
  const char* name() const noexcept {
    return reinterpret_cast<const char*>(this) + kind->state_offset + kind->state_size;
  }
  const TaskOptions& options() const noexcept { return kind->options; }
  // Also while a thread is stuck in the task, which may make `extra`: all but simple tasks have it from the beginning.
  SupervisedCell* supervised() const noexcept { return kind->plain ? nullptr : extra->supervised.get(); }
  TaskMachine machine() noexcept {
    SupervisedCell* const more = supervised();
    return {options(), life, more != nullptr ? &more->supervision : nullptr};
  }
  // What is left of its budget; nullopt if it is unlimited.
  std::optional<std::uint32_t> remaining(Nanoseconds now) noexcept {
    return kind->coordinated ? supervised()->remaining : machine().remaining(now);
  }
  bool overdue() const noexcept { return !kind->simple && extra->overdue; }
  // When the live execution's step ended, if it had to finish; else `now`.
  Nanoseconds end_of_step(Nanoseconds now) const noexcept {
    if (kind->functions.finish == nullptr || extra->step_ended_at < started_at) return now;
    return std::min(now, extra->step_ended_at);
  }
  // It is to be cleared when the execution is over.
  TaskExtra& need_extra() {
    asked = true;
    if (!extra) extra = std::make_unique<TaskExtra>();
    return *extra;
  }
  // [any thread, while an execution lives] Made on demand, since most tasks are never woken from outside. Throws
  // std::bad_alloc.
  std::uint32_t need_slot();

  TimerNode timer;  // the execution's; its deadline is a delay while timer_relative
  TaskCell* run_next = nullptr;
  const TaskKind* const kind;
  std::uint64_t execution = 0;
  Nanoseconds started_at = 0;  // the execution; if none lives: since when the task is stopped, delayed or ended
  std::unique_ptr<TaskExtra> extra;
  const std::uint32_t index;
  std::atomic<std::uint32_t> slot{no_slot};
  std::uint32_t waker_generation = 0;  // 0 until this execution asks for its waker
  TaskLife life;
  bool asked = false;  // there is more to do at its end: requests are to be cleared, or it finishes
  std::atomic<bool> stop_asked{false};
  std::atomic<bool> ready_asked{false};
  // These belong to the shard's owner, even while the task is stalled.
  bool queued : 1 = false;
  bool stalled : 1 = false;
  bool timer_relative : 1 = false;  // the timer is to be set at the next clock reading
  bool said_ready : 1 = false;
  bool stop_deadline_set : 1 = false;
  bool removed : 1 = false;    // its stop ran out of time: it is being dropped
  bool finishing : 1 = false;  // it has ended, and its end takes time
  bool lingers : 1 = false;    // it was dropped, and its end is told when what is left of it is destroyed
};
static_assert(sizeof(TaskCell) == 96);  // a million tasks: each byte here is a megabyte

// The event for this news. Moves `news.message`.
Event event_of(TaskNews&& news, const TaskCell& cell, const boost::uuids::uuid& id, bool for_log);

// Run task code that may throw; an exception's text becomes the execution's message, and the status panic.
Status start_guarded(TaskCell& cell) noexcept;
Status finish_guarded(TaskCell& cell) noexcept;  // ok, pending or again
Status run_guarded(TaskCell& cell) noexcept;     // of a blocking execution
// An exception is logged, and then ignored (rule 3.7).
void drop_guarded(TaskCell& cell) noexcept;

}  // namespace taskhost
