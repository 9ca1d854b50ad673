#include "taskhost/core/execution.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <exception>
#include <string>
#include <utility>

#include "blocking_call.hpp"
#include "descriptor_watch.hpp"
#include "shard.hpp"
#include "task_cell.hpp"

namespace taskhost {

namespace {

// Initial-exec: every wake accesses it, which then takes one instruction.
__attribute__((tls_model("initial-exec"))) thread_local CallFrame* thread_frame = nullptr;

// Every Execution is a TaskCell; the class only hides the rest from tasks.
TaskCell& cell_of(Execution& execution) noexcept { return static_cast<TaskCell&>(execution); }
const TaskCell& cell_of(const Execution& execution) noexcept { return static_cast<const TaskCell&>(execution); }

// The frame of this execution's call on this thread; null if the caller broke rule 4.2.
CallFrame* frame_of(const Execution& execution) noexcept {
  CallFrame* frame = thread_frame;
  return frame != nullptr && frame->task() == &execution ? frame : nullptr;
}

bool is_here(const TaskCell& cell) noexcept { return cell.kind->shard.port().home().is_here(); }

std::string_view cut(std::string_view text) noexcept { return text.substr(0, max_message_bytes); }

std::string watch_limit_words() {
  return "watches " + std::to_string(max_watched_descriptors) + " descriptors, the most it may watch at a time";
}

Waker waker_of(std::uint32_t generation, std::uint32_t slot) noexcept { return Waker{generation} << 32 | slot; }

}  // namespace

ThreadFrame::ThreadFrame(CallFrame& frame) noexcept : outer_(thread_frame) { thread_frame = &frame; }
ThreadFrame::~ThreadFrame() { thread_frame = outer_; }

CallFrame* current_call() noexcept {
  return thread_frame != nullptr && thread_frame->task() != nullptr ? thread_frame : nullptr;
}

std::uint32_t TaskCell::need_slot() {
  const std::uint32_t known = slot.load(std::memory_order_acquire);  // another thread may have stored it
  return known != no_slot ? known : kind->shard.port().add(this, slot);
}

void forget_call() noexcept { thread_frame = nullptr; }

const Execution* Execution::current() noexcept {
  const CallFrame* call = current_call();
  return call != nullptr ? call->task() : nullptr;
}

std::string_view Execution::current_function() noexcept {
  const CallFrame* call = current_call();
  if (call == nullptr) return to_string(Stage::none);
  return call->call != nullptr ? "run" : to_string(call->stage());
}

void Execution::log(LogLevel level, std::string_view text) const noexcept {
  const TaskCell& cell = cell_of(*this);
  cell.kind->shard.sink().log(level, cell.name(), cut(text));
}

std::string_view Execution::task_name() const noexcept { return cell_of(*this).name(); }

std::uint64_t Execution::number() const noexcept { return cell_of(*this).execution; }

bool Execution::stop_requested() const noexcept { return cell_of(*this).stop_asked.load(std::memory_order_acquire); }

const Recipe& Execution::recipe() const noexcept { return cell_of(*this).kind->recipe; }

void Execution::heartbeat() noexcept {
  TaskCell& cell = cell_of(*this);
  const SupervisionOptions* optional = cell.options().optional.get();
  if (optional == nullptr || !optional->watchdog) return;  // nobody listens
  cell.extra->supervised->heartbeat.store(cell.kind->shard.clock().now(), std::memory_order_relaxed);
}

void Execution::fail(std::string_view text) noexcept {
  CallFrame* frame = frame_of(*this);
  if (frame == nullptr) return;
  try {
    if (frame->call != nullptr) {
      frame->call->set_message(cut(text));
    } else {
      frame->task()->need_extra().message = cut(text);
    }
  } catch (const std::exception&) {
    // There is no memory for the reason, but the failure itself still counts.
  }
}

Waker Execution::waker() noexcept {
  TaskCell& cell = cell_of(*this);
  const CallFrame* frame = frame_of(*this);
  if (frame == nullptr) return 0;
  if (frame->call != nullptr) return frame->call->waker();  // the shard owns the cell's; it may have abandoned this run
  try {
    const std::uint32_t slot = cell.need_slot();
    if (cell.waker_generation == 0) cell.waker_generation = WakePort::generation(slot);
    cell.asked = true;
    return waker_of(cell.waker_generation, slot);
  } catch (const std::bad_alloc&) {
    return 0;
  }
}

void Execution::wake(Waker waker) noexcept {
  CallFrame* frame = thread_frame;
  if (frame != nullptr && frame->task() != nullptr && frame->call == nullptr) {
    const TaskCell& cell = *frame->task();
    if (waker == waker_of(cell.waker_generation, cell.slot.load(std::memory_order_relaxed)) &&
        cell.waker_generation != 0) {
      frame->requests.woken = true;
      return;
    }
  }
  WakePort::wake(waker);
}

void Execution::wake_at(Nanoseconds time) noexcept {
  CallFrame* frame = frame_of(*this);
  if (frame == nullptr) return;
  if (frame->call != nullptr) {
    frame->call->set_timer(time);
    return;
  }
  frame->requests.timer = CallFrame::Timer::at;
  frame->time = time;
}

void Execution::wake_after(Nanoseconds delay) noexcept {
  CallFrame* frame = frame_of(*this);
  if (frame == nullptr) return;
  if (frame->call != nullptr) {
    frame->call->set_timer(later(SteadyClock::read(), delay));
    return;
  }
  frame->requests.timer = CallFrame::Timer::after;
  frame->time = delay;
}

bool Execution::wake_on_descriptor(int descriptor, unsigned interests) noexcept {
  CallFrame* frame = frame_of(*this);
  if (frame == nullptr || (interests & ~(readable | writable)) != 0) return false;
  TaskCell& cell = *frame->task();
  Shard& shard = cell.kind->shard;
  const auto is_watched = [descriptor](const TaskExtra& extra) {
    return std::any_of(extra.watches.begin(), extra.watches.end(),
                       [descriptor](const auto& watch) { return watch->descriptor() == descriptor; });
  };
  try {
    if (frame->call != nullptr) {
      // The shard owns the watches, so it does the work. The number shows whether the run has ended in the meantime.
      OwnedDescriptor duplicate = interests != 0 ? duplicate_waitable(descriptor) : OwnedDescriptor();
      if (interests != 0 && !duplicate) return false;
      boost::asio::post(shard.context(), [&shard, &cell, is_watched, number = cell.execution, descriptor, interests,
                                          duplicate = std::move(duplicate)]() mutable {
        if (cell.execution != number || cell.extra == nullptr || cell.extra->call == nullptr) return;
        const TaskExtra& extra = *cell.extra;
        try {
          if (interests == 0 || extra.watches.size() < max_watched_descriptors || is_watched(extra)) {
            shard.watch(cell, descriptor, duplicate.release(), interests);
            return;
          }
          cell.log(LogLevel::error, watch_limit_words() + "; one of them counts as ready");
        } catch (const std::exception& error) {
          cell.log(LogLevel::error, std::string("can't watch a descriptor, so it counts as ready: ") + error.what());
        }
        shard.wake(cell);  // it is too late to refuse, and a spurious wake is better than none
      });
      return true;
    }
    TaskExtra& extra = cell.need_extra();
    if (interests == 0 || is_watched(extra)) {
      shard.watch(cell, descriptor, -1, interests);
      return true;
    }
    if (extra.watches.size() >= max_watched_descriptors) {
      if (!std::exchange(extra.told_of_watch_limit, true)) cell.log(LogLevel::error, watch_limit_words());
      return false;
    }
    OwnedDescriptor duplicate = duplicate_waitable(descriptor);
    if (!duplicate) return false;
    shard.watch(cell, descriptor, duplicate.release(), interests);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void Execution::ready() noexcept {
  TaskCell& cell = cell_of(*this);
  if (cell.ready_asked.exchange(true, std::memory_order_acq_rel)) return;
  const CallFrame* frame = frame_of(*this);
  // After a polled call the shard checks the flag; from elsewhere, a wake has to make it check.
  if (frame != nullptr && frame->call == nullptr) return;
  if (!is_here(cell)) return;
  try {
    const std::uint32_t slot = cell.need_slot();
    WakePort::wake(waker_of(WakePort::generation(slot), slot));
  } catch (const std::bad_alloc&) {
    // The next poll notices it.
  }
}

unsigned Execution::wait_until(Nanoseconds time) noexcept {
  CallFrame* frame = frame_of(*this);
  if (frame != nullptr && frame->call != nullptr) return frame->call->wait_until(time);
  return is_here(cell_of(*this)) ? 0u : unsigned{wait_stop};  // ends a loop that runs in a forked child
}

boost::asio::any_io_executor Execution::executor() const { return cell_of(*this).kind->shard.context().get_executor(); }

}  // namespace taskhost
