#include "taskhost/core/execution.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <exception>

#include "blocking_call.hpp"
#include "descriptor_watch.hpp"
#include "handler_call.hpp"
#include "shard.hpp"
#include "task_cell.hpp"

namespace taskhost {

namespace {

// Initial-exec: one instruction to reach, which every poll and every wake pays.
__attribute__((tls_model("initial-exec"))) thread_local CallFrame* running_call = nullptr;

// Every Execution is a TaskCell; the class only hides the rest from tasks.
TaskCell& cell_of(Execution& execution) noexcept { return static_cast<TaskCell&>(execution); }
const TaskCell& cell_of(const Execution& execution) noexcept { return static_cast<const TaskCell&>(execution); }

// The frame of this very execution's call on this thread, or null: the caller broke rule 4.2.
CallFrame* frame_of(const Execution& execution) noexcept {
  CallFrame* frame = running_call;
  return frame != nullptr && &frame->cell == &execution ? frame : nullptr;
}

std::string_view cut(std::string_view text) noexcept { return text.substr(0, message_limit); }

template <class Function>
Status guarded(TaskCell& cell, Function&& function) noexcept {
  try {
    return function();
  } catch (const std::exception& error) {
    cell.fail(error.what());
  } catch (...) {
    cell.fail("an exception that is no std::exception");
  }
  return Status::panic;
}

}  // namespace

CallFrame::CallFrame(TaskCell& its_cell, BlockingCall* its_call) noexcept : cell(its_cell), call(its_call) {
  running_call = this;
}
CallFrame::~CallFrame() { running_call = nullptr; }

CallFrame* current_call() noexcept { return running_call; }

Status start_guarded(const Recipe& recipe, void* state, Execution& execution) noexcept {
  return guarded(cell_of(execution), [&] { return recipe.start(state, execution); });
}

Status step_guarded(const Recipe& recipe, void* state, Execution& execution) noexcept {
  return guarded(cell_of(execution), [&] { return recipe.step(state, execution); });
}

bool drop_guarded(const Recipe& recipe, void* state, std::string& what) noexcept {
  try {
    recipe.drop(state);
    return true;
  } catch (const std::exception& error) {
    try {
      what = error.what();
    } catch (...) {
      what.clear();
    }
  } catch (...) {
    what.clear();
  }
  return false;
}

HandlerCall::HandlerCall(TaskCell& cell, bool live) noexcept : cell_(cell), live_(live), execution_(cell.execution) {
  if (running_call != nullptr) return;
  frame_.emplace(cell);
  call_ = cell.shard.begin_handler(cell);
}

HandlerCall::~HandlerCall() {
  if (!frame_) return;
  const bool counts = live_ && cell_.execution == execution_;
  cell_.shard.end_handler(call_, counts ? &*frame_ : nullptr);
}

const Execution* Execution::current() noexcept { return running_call != nullptr ? &running_call->cell : nullptr; }

void Execution::log(LogLevel level, std::string_view text) const noexcept {
  const TaskCell& cell = cell_of(*this);
  cell.shard.sink().log(level, cell.name, cut(text));
}

std::string_view Execution::task_name() const noexcept { return cell_of(*this).name; }

std::uint64_t Execution::number() const noexcept { return cell_of(*this).execution; }

bool Execution::stop_requested() const noexcept { return cell_of(*this).stop_asked.load(std::memory_order_acquire); }

const Recipe& Execution::recipe() const noexcept { return cell_of(*this).recipe; }

void Execution::heartbeat() noexcept { cell_of(*this).alive.store(true, std::memory_order_relaxed); }

void Execution::fail(std::string_view text) noexcept {
  CallFrame* frame = frame_of(*this);
  if (frame == nullptr) return;
  try {
    if (frame->call != nullptr) {
      frame->call->set_message(cut(text));
    } else {
      frame->cell.need_extra().message = cut(text);
    }
  } catch (const std::exception&) {
    // No memory for the reason: the failure itself still counts.
  }
}

Waker Execution::waker() noexcept {
  TaskCell& cell = cell_of(*this);
  const CallFrame* frame = frame_of(*this);
  if (frame == nullptr) return 0;
  if (frame->call != nullptr) return frame->call->waker();  // the cell's is the shard's, which may have abandoned it
  if (cell.waker_value == 0) cell.waker_value = WakePort::waker(cell.slot);
  return cell.waker_value;
}

void Execution::wake(Waker waker) noexcept {
  CallFrame* frame = running_call;
  if (frame != nullptr && frame->call == nullptr && frame->cell.waker_value == waker && waker != 0) {
    frame->woken = true;
    return;
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
  frame->timer = CallFrame::Timer::at;
  frame->time = time;
}

void Execution::wake_after(Nanoseconds delay) noexcept {
  CallFrame* frame = frame_of(*this);
  if (frame == nullptr) return;
  if (frame->call != nullptr) {
    frame->call->set_timer(later(SteadyClock::read(), delay));
    return;
  }
  frame->timer = CallFrame::Timer::after;
  frame->time = delay;
}

bool Execution::wake_on_descriptor(int descriptor, unsigned interests) noexcept {
  CallFrame* frame = frame_of(*this);
  if (frame == nullptr || (interests & ~(readable | writable)) != 0) return false;
  TaskCell& cell = frame->cell;
  Shard& shard = cell.shard;
  const auto is_watched = [descriptor](const TaskExtra& extra) {
    return std::any_of(extra.watches.begin(), extra.watches.end(),
                       [descriptor](const auto& watch) { return watch->descriptor() == descriptor; });
  };
  try {
    if (frame->call != nullptr) {
      // The watches are the shard's: it does it. A run that ended meanwhile takes its number along.
      OwnedDescriptor duplicate = interests != 0 ? duplicate_waitable(descriptor) : OwnedDescriptor();
      if (interests != 0 && !duplicate) return false;
      boost::asio::post(shard.context(), [&shard, &cell, is_watched, number = cell.execution, descriptor, interests,
                                          duplicate = std::move(duplicate)]() mutable {
        if (cell.execution != number || cell.extra == nullptr || cell.extra->call == nullptr) return;
        const TaskExtra& extra = *cell.extra;
        try {
          if (interests == 0 || extra.watches.size() < watched_descriptor_limit || is_watched(extra)) {
            shard.watch(cell, descriptor, duplicate.release(), interests);
            return;
          }
          cell.log(LogLevel::error, "watches more than 64 descriptors; one of them counts as ready");
        } catch (const std::exception& error) {
          cell.log(LogLevel::error, std::string("can't watch a descriptor, which counts as ready: ") + error.what());
        }
        shard.wake(cell);  // too late to refuse; better once too often than never
      });
      return true;
    }
    const TaskExtra& extra = cell.need_extra();
    if (interests == 0 || is_watched(extra)) {
      shard.watch(cell, descriptor, -1, interests);
      return true;
    }
    if (extra.watches.size() >= watched_descriptor_limit) return false;
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
  // A polled call is followed by a look at it; a thread elsewhere has to ask for one.
  if (frame == nullptr || frame->call != nullptr) WakePort::wake(WakePort::waker(cell.slot));
}

unsigned Execution::wait_until(Nanoseconds time) noexcept {
  CallFrame* frame = frame_of(*this);
  return frame != nullptr && frame->call != nullptr ? frame->call->wait_until(time) : 0;
}

boost::asio::any_io_executor Execution::executor() const { return cell_of(*this).shard.context().get_executor(); }

}  // namespace taskhost
