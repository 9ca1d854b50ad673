// What executions ask of their shard: wakes, timers, descriptors; and what is left of coroutines.
#include <utility>

#include "offload.hpp"
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
    cell.extra->descriptors.clear(set_);
    cell.extra->ended_call = nullptr;
    cell.extra->overdue = false;
    constexpr Nanoseconds pause = 10'000'000'000;  // so that restarts do not fill the log with it
    if (cell.extra->told_refusals != 0 && now_ - cell.extra->told_refusal_at > pause) cell.extra->told_refusals = 0;
    cell.extra->told_spin = false;
    if (const auto offloads = std::exchange(cell.extra->offloads, nullptr)) discard(*offloads);
    cell.extra->unheard = false;
    cell.extra->has_started = cell.extra->is_start_over = cell.extra->is_ready = false;
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

void Shard::discard(Offloads& offloads) noexcept {
  const std::shared_ptr<Job> job = offloads.close();
  if (job == nullptr) return;
  try {
    (void)owner_.launch_sometime(job);  // if there is no thread at all, its destructor does it here
  } catch (const std::exception&) {
    // The same without memory.
  }
}

void Shard::tell_spin(TaskCell& cell, std::uint64_t polls) noexcept {
  try {
    if (std::exchange(cell.need_extra().told_spin, true)) return;
    cell.log(LogLevel::warning,
             "its shard made " + std::to_string(polls) +
                 " polls in half a second, most of them of this task, which keeps a processor busy: "
                 "let it wait for something (wake_after, watch) instead of asking for its turn at once, and read what "
                 "it watches, or watch it no more");
  } catch (const std::bad_alloc&) {
    // Next time.
  }
}

std::size_t Shard::look(Nanoseconds limit) {
  std::size_t woken = 0;
  set_.wait(
      limit, [this] { port_.quiet(); },
      [this, &woken](TaskCell& cell) {
        if (!cell.stalled) {
          wake(cell);
          ++woken;
        } else if (!cell.extra->unheard) {
          cell.extra->unheard = true;
          cell.extra->descriptors.set_heard(cell, set_, false);
        }
      });
  return woken;
}

void Shard::hear_again(TaskCell& cell) noexcept {
  if (cell.extra == nullptr || !cell.extra->unheard) return;
  cell.extra->unheard = false;
  cell.extra->descriptors.set_heard(cell, set_, true);
}

void Shard::begin_to_use_asio() noexcept {
  if (!uses_asio_.exchange(true)) WakePort::wake(WakePort::waker(bell_));  // it may be asleep elsewhere
}

void Shard::post(std::function<void()> work) {
  {
    const std::lock_guard lock(posts_mutex_);
    posts_.push_back(std::move(work));
    has_posts_.store(true, std::memory_order_release);
  }
  WakePort::wake(WakePort::waker(bell_));
}

void Shard::take_posts() {
  std::vector<std::function<void()>> posts;
  {
    const std::lock_guard lock(posts_mutex_);
    posts.swap(posts_);
    has_posts_.store(false, std::memory_order_relaxed);
  }
  for (const auto& work : posts) {
    try {
      work();
    } catch (const std::exception& error) {
      sink_.log(LogLevel::error, nullptr, std::string("a message to a shard failed: ") + error.what());
    }
  }
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
  post([this, &cell, execution = cell.execution] { remains_.push_back({&cell, execution}); });
}

}  // namespace taskhost
