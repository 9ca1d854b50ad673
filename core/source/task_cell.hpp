// One task on its shard: a single block of memory, this bookkeeping first, then the execution's state. A restart is
// drop + start in that block. The cell is its shard's; while one of its functions runs, the calling thread's.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "taskhost/core/execution.hpp"
#include "taskhost/core/task_fn.hpp"
#include "taskhost/core/task_machine.hpp"
#include "taskhost/core/timer_wheel.hpp"

namespace taskhost {

class Shard;
class BlockingCall;
class DescriptorWatch;

// What few tasks need, made when one does, and kept across restarts.
struct TaskExtra {
  std::string message;                                    // of the last fail
  std::vector<std::shared_ptr<DescriptorWatch>> watches;  // shared with their handlers in Asio's queue
  std::shared_ptr<BlockingCall> call;                     // the live run of a blocking execution
};

struct TaskCell final : Execution {
  TaskCell(Shard& owner, const Recipe& its_recipe, const TaskOptions& its_options, const char* its_name,
           std::uint32_t its_index) noexcept
      : Execution(its_recipe.services),
        recipe(its_recipe),
        options(its_options),
        shard(owner),
        name(its_name),
        index(its_index) {}

  static TaskCell& of(TimerNode& node) noexcept;
  void* state() noexcept;
  TaskExtra& need_extra() {
    if (!extra) extra = std::make_unique<TaskExtra>();
    return *extra;
  }

  TimerNode timer;  // of the execution; deadline is a delay while timer_relative
  TaskCell* run_next = nullptr;
  const Recipe& recipe;
  const TaskOptions& options;
  Shard& shard;
  const char* name;
  std::uint64_t execution = 0;
  Nanoseconds started_at = 0;
  std::unique_ptr<TaskExtra> extra;
  Waker waker_value = 0;  // 0 until this execution asks for its waker
  std::uint32_t index;
  std::uint32_t slot = 0;
  TaskMachine machine;
  bool queued = false;
  bool timer_relative = false;  // to be set at the next reading of the clock
  bool said_ready = false;
  bool stop_deadline_set = false;
  std::atomic<bool> stop_asked{false};
  std::atomic<bool> alive{false};  // heartbeat came
  std::atomic<bool> ready_asked{false};
};

// What a running call asked for; done by the shard after it returns. On the caller's stack.
struct CallFrame {
  enum class Timer : std::uint8_t { keep, at, after };

  explicit CallFrame(TaskCell& its_cell, BlockingCall* its_call = nullptr) noexcept;
  ~CallFrame();
  CallFrame(const CallFrame&) = delete;
  CallFrame& operator=(const CallFrame&) = delete;

  TaskCell& cell;
  BlockingCall* const call;  // null: polled
  bool woken = false;
  Timer timer = Timer::keep;
  Nanoseconds time = 0;
};

// The call that runs on this thread, or null.
CallFrame* current_call() noexcept;

// Runs task code that may throw; what it throws becomes the execution's message, and panic.
Status step_guarded(const Recipe& recipe, void* state, Execution& execution) noexcept;
Status start_guarded(const Recipe& recipe, void* state, Execution& execution) noexcept;
// False: it threw; `what` says what.
bool drop_guarded(const Recipe& recipe, void* state, std::string& what) noexcept;

}  // namespace taskhost
