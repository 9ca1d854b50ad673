// What executions ask of their shard: wakes, timers, descriptors; and the handlers of coroutines.
#include <algorithm>

#include "descriptor_watch.hpp"
#include "handler_call.hpp"
#include "shard.hpp"

namespace taskhost {

void Shard::forget_all(TaskCell& cell) noexcept {
  cell.asked = false;
  wheel_.cancel(cell.timer);
  cell.timer_relative = false;
  if (cell.waker_generation != 0) {
    WakePort::expire(cell.slot.load(std::memory_order_relaxed));
    cell.waker_generation = 0;
  }
  if (cell.extra) {
    for (const auto& watch : cell.extra->watches) watch->close();
    cell.extra->watches.clear();
  }
}

void Shard::set_timer(TaskCell& cell, const CallFrame& frame) {
  cell.asked = true;
  switch (frame.requests.timer) {
    case CallFrame::Timer::keep:
      break;
    case CallFrame::Timer::at:
      wheel_.cancel(cell.timer);
      cell.timer_relative = false;
      if (frame.time != never) wheel_.set(cell.timer, frame.time);
      break;
    case CallFrame::Timer::after:
      wheel_.cancel(cell.timer);
      cell.timer.deadline = frame.time;
      if (!cell.timer_relative) relative_timers_.push_back(&cell);
      cell.timer_relative = true;
      break;
  }
}

// One reading of the clock for many "so long from now": never early, late by less than calls_a_clock_reading calls.
void Shard::set_relative_timers() {
  for (TaskCell* cell : relative_timers_) {
    if (!cell->timer_relative) continue;
    cell->timer_relative = false;
    const Nanoseconds time = later(now_, cell->timer.deadline);
    if (time != never) wheel_.set(cell->timer, time);
  }
  relative_timers_.clear();
}

void Shard::check_ready(TaskCell& cell) {
  cell.said_ready = true;
  if (cell.coordinated) {
    owner_.coordinated_ready(cell.index);
  } else {
    publish(cell, EventKind::task_ready);
  }
}

void Shard::watch(TaskCell& cell, int descriptor, int duplicate, unsigned interests) {
  OwnedDescriptor owned(duplicate);  // a spare one if there is a watch already
  auto& watches = cell.need_extra().watches;
  const auto found = std::find_if(watches.begin(), watches.end(),
                                  [descriptor](const auto& watch) { return watch->descriptor() == descriptor; });
  if (interests == 0) {
    if (found == watches.end()) return;
    (*found)->close();
    watches.erase(found);
    return;
  }
  if (found == watches.end() && !owned) return;
  const std::shared_ptr<DescriptorWatch> watch =
      found != watches.end()
          ? *found
          : watches.emplace_back(std::make_shared<DescriptorWatch>(context_, cell, descriptor, std::move(owned)));
  watch->arm(interests);
}

HandlerCall::HandlerCall(TaskCell& cell, bool live) noexcept : cell_(cell), live_(live), execution_(cell.execution) {
  if (current_call() != nullptr) return;
  tenure_ = &cell.kind->shard.begin_handler(cell);
  frame_.emplace(tenure_->frame);
}

HandlerCall::~HandlerCall() {
  if (tenure_ == nullptr) return;
  cell_.kind->shard.end_handler(*tenure_, cell_, live_ && cell_.execution == execution_);
}

Tenure& Shard::begin_handler(TaskCell& cell) noexcept {
  rouse();
  tenure_->begin_step();
  tenure_->begin_call(cell, Stage::handler);
  return *tenure_;
}

void Shard::end_handler(Tenure& tenure, TaskCell& cell, bool counts) {
  if (!tenure.end_call()) {
    (void)lose(tenure, {.counts = counts});
  } else if (counts) {
    after_handler(cell, tenure.frame);
  }
}

void Shard::after_handler(TaskCell& cell, const CallFrame& frame) {
  if (cell.ready_asked.load(std::memory_order_relaxed) && !cell.said_ready) check_ready(cell);
  apply(cell, frame);
}

}  // namespace taskhost
