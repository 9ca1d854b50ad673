// One task on its shard: a single block of memory, this bookkeeping first, then the execution's state, then the name.
// A restart is drop + start in that block. The cell is its shard's; while one of its functions runs, the calling
// thread's; while it is stalled, that of the thread that is stuck in it, but for what says otherwise.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "call_frame.hpp"
#include "task_machine.hpp"
#include "taskhost/core/execution.hpp"
#include "taskhost/core/task_fn.hpp"
#include "timer_wheel.hpp"

namespace taskhost {

class Shard;
class DescriptorWatch;

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
  const bool plain;                       // neither that, nor optional fields: no SupervisedCell
  const bool simple;                      // plain and polled
  const bool timed_start;                 // something counts from the begin of an execution
  const bool timed_life;                  // something counts from its readiness
  const std::uint32_t restarts_after_ok;  // of a plain task, for the hot path: 0 where its type restarts nothing
  const std::uint32_t restarts_after_failure;
  const Recipe& recipe;
  const TaskFn function;  // keeps the recipe
};

// What a task has that is not plain; made with it.
struct SupervisedCell : TimerNode {  // set to supervision.deadline
  explicit SupervisedCell(TaskCell& its_cell) noexcept : cell(its_cell) {}

  TaskCell& cell;
  Supervision supervision;                // not of a coordinated one: the coordinator has that
  Nanoseconds ready_at = 0;               // of this execution; 0: it was not yet
  Nanoseconds asked_at = 0;               // to end; 0: it was not
  std::atomic<Nanoseconds> heartbeat{0};  // [any thread] the last one of this execution
  // Of a coordinated one: an order, and the budget as the coordinator said with the last.
  bool start_ordered = false;
  std::optional<std::uint32_t> remaining{0};
};

// What few tasks need, made when one does, and kept across restarts.
struct TaskExtra {
  std::string message;                                    // of the last fail
  std::vector<std::shared_ptr<DescriptorWatch>> watches;  // shared with their handlers in Asio's queue
  std::shared_ptr<BlockingCall> call;                     // the live run of a blocking execution
  std::unique_ptr<SupervisedCell> supervised;             // null: a plain task
  bool told_of_watch_limit = false;                       // it has been told that it watches too many
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
  // Not while a thread is stuck in it, unless it is supervised: extra is that thread's.
  SupervisedCell* supervised() const noexcept { return kind->plain ? nullptr : extra->supervised.get(); }
  TaskMachine machine() noexcept {
    SupervisedCell* const more = supervised();
    return {options(), life, more != nullptr ? &more->supervision : nullptr};
  }
  // What is left of its budget; nothing if it has no end.
  std::optional<std::uint32_t> remaining(Nanoseconds now) noexcept {
    return kind->coordinated ? supervised()->remaining : machine().remaining(now);
  }
  TaskExtra& need_extra() {
    asked = true;
    if (!extra) extra = std::make_unique<TaskExtra>();
    return *extra;
  }
  // [any thread, while an execution lives] Most tasks are never woken from outside, and need none. Throws
  // std::bad_alloc.
  std::uint32_t need_slot();

  TimerNode timer;  // of the execution; deadline is a delay while timer_relative
  TaskCell* run_next = nullptr;
  const TaskKind* const kind;
  std::uint64_t execution = 0;
  Nanoseconds started_at = 0;
  std::unique_ptr<TaskExtra> extra;
  const std::uint32_t index;
  std::atomic<std::uint32_t> slot{no_slot};
  std::uint32_t waker_generation = 0;  // 0 until this execution asks for its waker
  TaskLife life;
  bool asked = false;  // for something that has to be forgotten in the end
  std::atomic<bool> stop_asked{false};
  std::atomic<bool> ready_asked{false};
  // The shard's, and the new owner's while the task is stalled.
  bool queued : 1 = false;
  bool stalled : 1 = false;
  bool timer_relative : 1 = false;  // to be set at the next reading of the clock
  bool said_ready : 1 = false;
  bool stop_deadline_set : 1 = false;
  bool removed : 1 = false;  // its stop ran out of time: it is being dropped
  bool lingers : 1 = false;  // it was dropped, and its end is told when what is left of it is destroyed
};
static_assert(sizeof(TaskCell) == 96);  // a million tasks: each byte here is a megabyte

// What people are told of it, as an event. `news.message` is moved.
Event event_of(TaskNews&& news, const TaskCell& cell, const boost::uuids::uuid& id, bool for_log);

// Run task code that may throw; what it throws becomes the execution's message, and panic.
Status start_guarded(TaskCell& cell) noexcept;
Status step_guarded(TaskCell& cell) noexcept;
// What it throws is logged, and then forgotten (rule 3.7).
void drop_guarded(TaskCell& cell) noexcept;

}  // namespace taskhost
