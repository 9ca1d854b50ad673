// What a running call asks of the host. The shard does it after the call has returned. So a call that returns late, on
// a thread that has lost its shard, does no harm.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "taskhost/core/clock.hpp"
#include "taskhost/core/words.hpp"

namespace taskhost {

struct TaskCell;
class BlockingCall;

// Which of an execution's functions runs. handler: what is left of a dropped coroutine is being destroyed; none: none.
enum class Stage : std::uint8_t { start, poll, finish, drop, handler, none };
template <>
inline constexpr auto words_of<Stage> = std::to_array<Word<Stage>>({{Stage::start, "start"},
                                                                    {Stage::poll, "poll"},
                                                                    {Stage::finish, "finish"},
                                                                    {Stage::drop, "drop"},
                                                                    {Stage::handler, "handler"}});

struct CallFrame {
  enum class Timer : std::uint8_t { keep, at, after };

  // Begins a call: requests made from now on are its own.
  [[gnu::always_inline]] void begin(TaskCell& its_cell, Stage its_stage) noexcept {
    std::atomic_ref(requests).store({its_stage, false, Timer::keep, false}, std::memory_order_relaxed);
    cell.store(&its_cell, std::memory_order_release);
  }
  [[gnu::always_inline]] TaskCell* task() const noexcept { return cell.load(std::memory_order_relaxed); }

  // [monitor] The stage of the call in `cell`, or already of the next one.
  Stage stage() const noexcept {
    return std::atomic_ref(const_cast<Stage&>(requests.stage)).load(std::memory_order_relaxed);
  }

  std::atomic<TaskCell*> cell{nullptr};  // null: no call. Written by its thread, read by the monitor
  BlockingCall* call = nullptr;          // null: polled
  struct alignas(4) Requests {           // one word, so that one store clears it
    Stage stage = Stage::poll;
    bool woken = false;
    Timer timer = Timer::keep;
    bool lingers = false;  // in a drop: the rest of the execution is destroyed very soon, but not yet
  } requests;
  Nanoseconds time = 0;  // for the timer
};

// Makes `frame` the calling thread's frame for as long as this object lives, for any number of calls.
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

// In a child that this thread forked: no call runs there, so nothing can be requested.
void forget_call() noexcept;

}  // namespace taskhost
