// One task on its shard: a single block of memory, this bookkeeping first, then the execution's state, then the name.
// A restart is drop + start in that block. The cell is its shard's; while one of its functions runs, the calling
// thread's; while it is stalled, that of the thread that is stuck in it, but for what says otherwise.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "call_frame.hpp"
#include "taskhost/core/execution.hpp"
#include "taskhost/core/task_fn.hpp"
#include "taskhost/core/task_machine.hpp"
#include "taskhost/core/timer_wheel.hpp"

namespace taskhost {

class Shard;
class DescriptorWatch;

// What all tasks of a shard with the same recipe and policy have in common. Constant.
struct TaskKind {
  TaskKind(Shard& its_shard, const TaskFn& its_function, const TaskOptions& its_options) noexcept;

  Shard& shard;
  const RawFunctions functions;
  const std::size_t state_offset;
  const std::size_t state_size;
  const TaskOptions options;
  const bool blocking;
  const Recipe& recipe;
  const TaskFn function;  // keeps the recipe
};

// What a task has whose ends the coordinator interprets; made before its first execution, or when it is handed over.
struct CoordinatedCell {
  bool start_ordered = false;
  bool unlimited = false;
  std::uint32_t remaining = 0;            // of its budget, as the coordinator said with the last start
  Nanoseconds ready_at = 0;               // of this execution; 0: it was not yet
  Nanoseconds asked_at = 0;               // to end; 0: it was not
  std::atomic<Nanoseconds> heartbeat{0};  // [any thread] the last one of this execution
};

// What few tasks need, made when one does, and kept across restarts.
struct TaskExtra {
  std::string message;                                    // of the last fail
  std::vector<std::shared_ptr<DescriptorWatch>> watches;  // shared with their handlers in Asio's queue
  std::shared_ptr<BlockingCall> call;                     // the live run of a blocking execution
  std::unique_ptr<CoordinatedCell> coordinated;           // null: its shard supervises it alone
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
  // What is left of its budget, as an event tells it.
  void tell_budget(Event& event) const noexcept {
    if (coordinated) {
      event.remaining = extra->coordinated->remaining;
      event.unlimited = extra->coordinated->unlimited;
    } else {
      event.remaining = machine.remaining(options());
    }
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
  [[no_unique_address]] TaskMachine machine;
  bool asked = false;  // for something that has to be forgotten in the end
  std::atomic<bool> stop_asked{false};
  std::atomic<bool> ready_asked{false};
  // Then its budget counts as used up: no exit of it is ever a restart of the shard's. A byte of its own, since the
  // monitor reads it while the shard's owner writes the bits below.
  bool coordinated = false;
  // The shard's, and the new owner's while the task is stalled.
  bool queued : 1 = false;
  bool stalled : 1 = false;
  bool timer_relative : 1 = false;  // to be set at the next reading of the clock
  bool said_ready : 1 = false;
  bool stop_deadline_set : 1 = false;
  bool lingers : 1 = false;  // it was dropped, and its end is told when what is left of it is destroyed
};
static_assert(sizeof(TaskCell) == 96);  // a million tasks: each byte here is a megabyte

// Run task code that may throw; what it throws becomes the execution's message, and panic.
Status start_guarded(TaskCell& cell) noexcept;
Status step_guarded(TaskCell& cell) noexcept;
// What it throws is logged, and then forgotten (rule 3.7).
void drop_guarded(TaskCell& cell) noexcept;

}  // namespace taskhost
