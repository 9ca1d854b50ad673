// What a running call asks the host for; done by the shard after the call has returned. So a call may come back late, on
// a thread that has lost its shard, and harm nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "taskhost/core/clock.hpp"

namespace taskhost {

struct TaskCell;
class BlockingCall;

// Where in its life an execution's code runs.
enum class Stage : std::uint8_t { start, poll, drop, handler };
std::string_view to_string(Stage stage) noexcept;

struct CallFrame {
  enum class Timer : std::uint8_t { keep, at, after };

  void begin(TaskCell& its_cell, Stage its_stage) noexcept {
    cell = &its_cell;
    stage = its_stage;
    woken = false;
    timer = Timer::keep;
  }

  TaskCell* cell = nullptr;      // null: no call
  BlockingCall* call = nullptr;  // null: polled
  Stage stage = Stage::poll;
  bool woken = false;
  Timer timer = Timer::keep;
  Nanoseconds time = 0;
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

}  // namespace taskhost
