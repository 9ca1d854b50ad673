// What executions ask of their shard: wakes, timers, descriptors. And what is left of dropped coroutines.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "descriptor_watch.hpp"
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

// One clock reading serves many relative timers: none is early, and none is late by calls_a_clock_reading calls or
// more.
void Shard::set_relative_timers() {
  for (TaskCell* cell : relative_timers_) {
    if (!cell->timer_relative) continue;
    cell->timer_relative = false;
    const Nanoseconds time = later(now_, cell->timer.deadline);
    if (time != never) wheel_.set(cell->timer, time);
  }
  relative_timers_.clear();
}

void Shard::watch(TaskCell& cell, int descriptor, int duplicate, unsigned interests) {
  OwnedDescriptor owned(duplicate);  // not needed, and closed, if there is a watch already
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

// --- what is left of a dropped coroutine: what it awaited completes on the loop, sooner or later ---------------------

void Shard::bury(std::shared_ptr<HandlerQueue> queue, std::unique_ptr<QueuedHandler> handler) {
  TaskCell& cell = queue->cell();
  const std::uint64_t execution = queue->execution();
  remains_.push_back({&cell, execution, std::move(queue), std::move(handler)});
}

// The drop of an execution whose stop had run out of time has returned. If something is left of the execution, its end
// is reported when what was cancelled has completed and is destroyed, since that may get stuck. What does not complete
// now is not waited for.
void Shard::after_removal(TaskCell& cell, const CallFrame& frame) {
  if (!frame.requests.lingers) {
    after_drop(cell);
    return;
  }
  cell.lingers = true;
  boost::asio::post(context_, [this, &cell, execution = cell.execution] { remains_.push_back({&cell, execution}); });
}

}  // namespace taskhost
