// What a running call asks the host for; done by the shard after the call has returned. So a call may come back late,
// on a thread that has lost its shard, and harm nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "taskhost/core/clock.hpp"
#include "taskhost/core/words.hpp"

namespace taskhost {

struct TaskCell;
class BlockingCall;

// Where in its life an execution's code runs; handler: what is left of a coroutine that was dropped is destroyed; none:
// nowhere.
enum class Stage : std::uint8_t { start, poll, drop, handler, none };
template <>
inline constexpr auto words_of<Stage> = std::to_array<Word<Stage>>(
    {{Stage::start, "start"}, {Stage::poll, "poll"}, {Stage::drop, "drop"}, {Stage::handler, "handler"}});

struct CallFrame {
  enum class Timer : std::uint8_t { keep, at, after };

  // What is asked for from now on.
  [[gnu::always_inline]] void begin(TaskCell& its_cell, Stage its_stage) noexcept {
    std::atomic_ref(requests).store({its_stage, false, Timer::keep, false}, std::memory_order_relaxed);
    cell.store(&its_cell, std::memory_order_release);
  }
  [[gnu::always_inline]] TaskCell* task() const noexcept { return cell.load(std::memory_order_relaxed); }

  // [monitor] Of the call that `cell` tells of, or of the next one.
  Stage stage() const noexcept {
    return std::atomic_ref(const_cast<Stage&>(requests.stage)).load(std::memory_order_relaxed);
  }

  std::atomic<TaskCell*> cell{nullptr};  // null: no call. Its thread's; the monitor reads it
  BlockingCall* call = nullptr;          // null: polled
  struct alignas(4) Requests {           // one word, to be cleared with one store
    Stage stage = Stage::poll;
    bool woken = false;
    Timer timer = Timer::keep;
    bool lingers = false;  // a drop: the rest of the execution is still to be destroyed, very soon
  } requests;
  Nanoseconds time = 0;  // of the timer
};

// The frame of the calling thread for as long as this object lives, however many calls run in it.
class ThreadFrame {
 public:
  explicit ThreadFrame(CallFrame& frame) noexcept;
  ~ThreadFrame();
  ThreadFrame(const ThreadFrame&) = delete;
  ThreadFrame& operator=(const ThreadFrame&) = delete;

 private:
  CallFrame* const outer_;
};

// The frame of the call that runs on this thread, or null.
CallFrame* current_call() noexcept;

// In a child that this thread forked: no call runs, so that nothing can be asked for.
void forget_call() noexcept;

}  // namespace taskhost
