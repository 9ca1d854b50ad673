// One handler of a coroutine on its shard's loop: a call into task code like a poll, with a frame, and with the shard
// lent out meanwhile. Within another call (a cancellation that resumes the coroutine at once) it is a part of that.
#pragma once

#include <optional>

#include "lease.hpp"
#include "task_cell.hpp"

namespace taskhost {

class HandlerCall {
 public:
  // `live`: the handler is the current execution's, whose requests count; not one that is being dropped.
  HandlerCall(TaskCell& cell, bool live) noexcept;
  ~HandlerCall();
  HandlerCall(const HandlerCall&) = delete;
  HandlerCall& operator=(const HandlerCall&) = delete;

 private:
  std::optional<CallFrame> frame_;  // none within another call
  TaskCell& cell_;
  const bool live_;
  const std::uint64_t execution_;
  Lease::Call call_ = 0;
};

}  // namespace taskhost
