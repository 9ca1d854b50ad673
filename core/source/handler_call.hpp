// One handler of a coroutine on its shard's loop: a call into task code like a poll, with a frame, and under the tenure
// of the thread. Within another call (a cancellation that resumes the coroutine at once) it is a part of that.
#pragma once

#include <optional>

#include "task_cell.hpp"

namespace taskhost {

class Tenure;

class HandlerCall {
 public:
  // `live`: the handler is the current execution's, whose requests count; not one that is being dropped.
  HandlerCall(TaskCell& cell, bool live) noexcept;
  ~HandlerCall();
  HandlerCall(const HandlerCall&) = delete;
  HandlerCall& operator=(const HandlerCall&) = delete;

 private:
  Tenure* tenure_ = nullptr;  // null: within another call
  std::optional<ThreadFrame> frame_;
  TaskCell& cell_;
  const bool live_;
  const std::uint64_t execution_;
};

}  // namespace taskhost
