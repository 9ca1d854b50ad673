#include "taskhost/core/execution.hpp"

#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "blocking_call.hpp"
#include "offload.hpp"
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

// Splits no character of UTF-8.
std::string_view cut(std::string_view text, std::size_t most = max_message_bytes) noexcept {
  if (text.size() <= most) return text;
  std::size_t size = most;
  while (size > 0 && most - size < 3 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

std::string_view words_of_refusal(Refusal refusal) noexcept {
  switch (refusal) {
    case Refusal::wrong_call:
      return "only start, poll and finish may, on the thread that called them; a task with run waits by itself "
             "(wait_fd)";
    case Refusal::bad_argument:
      return "an argument is wrong: a descriptor's interests are TASKHOST_READABLE, TASKHOST_WRITABLE and "
             "TASKHOST_BROKEN only; work has a run, the right struct_size, and 0 in reserved";
    case Refusal::not_open:
      return "it is not open";
    case Refusal::always_ready:
      return "it is a file, a directory or a device that is always ready: read it without waiting (rule 4.5)";
    case Refusal::loop:
      return "it is a set of descriptors that would contain itself, or that is nested too deeply";
    case Refusal::watched_by_many:
      return "the system lets 500 executions watch one descriptor: let one task watch it and wake the others, or open "
             "it "
             "more than once";
    case Refusal::no_descriptor:
      return "the process has no descriptor left: raise its limit (ulimit -n, or LimitNOFILE= of its unit)";
    case Refusal::no_memory:
      return "the system has no memory for it, or no more watches for this user (fs.epoll.max_user_watches)";
    case Refusal::no_thread:
    case Refusal::none:
      break;
  }
  return "";
}

// Also in the start of a blocking task, since its run could not forget what was asked for there.
bool has_own_thread(const CallFrame& frame) noexcept { return frame.call != nullptr || frame.task()->kind->blocking; }

// Each reason once for each execution and service, and then not again for ten seconds.
enum class Service : unsigned { watch, offload, forget };
void tell_refusal(TaskCell& cell, Service service, Refusal refusal, std::int64_t descriptor,
                  std::string_view words) noexcept {
  try {
    std::uint32_t& told = cell.need_extra().told_refusals;
    const std::uint32_t bit = service == Service::forget
                                  ? 1u  // Refusal::none, which is never told
                                  : 1u << (static_cast<unsigned>(refusal) % 16 + 16 * static_cast<unsigned>(service));
    if ((told & bit) != 0) return;
    told |= bit;
    cell.extra->told_refusal_at = cell.kind->shard.clock().now();
    std::string text = service == Service::offload  ? "can't offload work"
                       : service == Service::forget ? "can't forget descriptor "
                                                    : "can't watch descriptor ";
    if (service != Service::offload) text += std::to_string(descriptor);
    cell.log(LogLevel::error, text.append(": ").append(words));
  } catch (const std::bad_alloc&) {
    // The plugin gets the reason all the same.
  }
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

void Execution::set_status(std::string_view text) noexcept {
  const TaskCell& cell = cell_of(*this);
  if (!is_here(cell)) return;
  try {
    cell.kind->shard.owner().statuses().set(cell.index, cell.execution, cut(text, max_status_bytes));
  } catch (const std::bad_alloc&) {
    // The last one stays.
  }
}

void Execution::heartbeat() noexcept {
  TaskCell& cell = cell_of(*this);
  const SupervisionOptions* optional = cell.options().optional.get();
  if (optional == nullptr || !optional->watchdog) return;  // nobody listens
  cell.extra->supervised->heartbeat.store(cell.kind->shard.clock().now(), std::memory_order_relaxed);
}

void Execution::fail(std::string_view text) noexcept {
  CallFrame* frame = frame_of(*this);
  if (frame == nullptr) return;
  if (frame->stage() == Stage::finish || frame->stage() == Stage::drop) return;  // it has its result
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

void Execution::crashed(std::string_view text) noexcept {
  fail(text);
  TaskExtra* const extra = cell_of(*this).extra.get();
  if (extra != nullptr) extra->has_crashed = true;
}

void Execution::started() noexcept {
  TaskCell& cell = cell_of(*this);
  if (!cell.kind->starts_later) return;
  cell.need_extra().has_started = true;
  cell.ready_asked.store(true, std::memory_order_release);
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

// A call from elsewhere must not touch the cell.
Refusal Execution::refuse_call(const char* service) const noexcept {
  try {
    const TaskCell& cell = cell_of(*this);
    if (is_here(cell) && !cell.kind->shard.owner().statuses().was_told_off(cell.index, cell.execution)) {
      log(LogLevel::error, "can't " + std::string(service) + ": " + std::string(words_of_refusal(Refusal::wrong_call)));
    }
  } catch (const std::bad_alloc&) {
    // The plugin gets the reason all the same.
  }
  return Refusal::wrong_call;
}

Refusal Execution::watch(std::int64_t descriptor, unsigned interests, std::uint64_t tag) noexcept {
  CallFrame* const frame = frame_of(*this);
  // Before a drop all are forgotten.
  if (frame == nullptr) return interests == 0 ? Refusal::none : refuse_call("watch");
  TaskCell& cell = *frame->task();
  const auto ask = [&] {
    if (has_own_thread(*frame)) return interests == 0 ? Refusal::none : Refusal::wrong_call;
    if ((interests & ~(readable | writable | broken)) != 0) return Refusal::bad_argument;
    if (frame->stage() >= Stage::drop) return interests == 0 ? Refusal::none : Refusal::wrong_call;
    const auto number = static_cast<int>(descriptor);
    if (number != descriptor) return interests == 0 ? Refusal::none : Refusal::not_open;
    try {
      const Refusal refusal = cell.need_extra().descriptors.watch(cell, cell.kind->shard.set(), number, interests, tag);
      if (interests != 0 || refusal == Refusal::none) return refusal;
      tell_refusal(cell, Service::forget, refusal, descriptor,
                   "it is closed, and a copy of it may wake this execution until that ends: forget first, then close "
                   "(rule 4.5)");
      return Refusal::none;
    } catch (const std::bad_alloc&) {
      return Refusal::no_memory;
    }
  };
  const Refusal refusal = ask();
  if (refusal != Refusal::none) tell_refusal(cell, Service::watch, refusal, descriptor, words_of_refusal(refusal));
  return refusal;
}

std::size_t Execution::take_ready(Ready* list, std::size_t capacity) noexcept {
  const CallFrame* const frame = frame_of(*this);
  if (frame == nullptr || has_own_thread(*frame)) return 0;
  const TaskCell& cell = *frame->task();
  if (cell.extra == nullptr || list == nullptr) return 0;
  const std::size_t done = cell.extra->offloads != nullptr ? cell.extra->offloads->take(list, capacity) : 0;
  return done + cell.extra->descriptors.take(list + done, capacity - done);
}

Refusal Execution::offload(const Work& work) noexcept {
  const CallFrame* const frame = frame_of(*this);
  if (frame == nullptr) return refuse_call("offload");
  TaskCell& cell = *frame->task();
  std::string no_thread;
  const auto ask = [&] {
    if (has_own_thread(*frame) || frame->stage() >= Stage::drop) return Refusal::wrong_call;
    if (work.run == nullptr) return Refusal::bad_argument;
    std::shared_ptr<OffloadedWork> job;
    try {
      TaskExtra& extra = cell.need_extra();
      const Waker mine = waker();
      if (mine == 0) return Refusal::no_memory;
      if (extra.offloads == nullptr) {
        extra.offloads = std::make_shared<Offloads>(mine, cell.name(), cell.kind->shard.owner().works());
      }
      job = std::make_shared<OffloadedWork>(work, extra.offloads, cell.kind->function.share());
      extra.offloads->expect_one();
    } catch (const std::bad_alloc&) {
      if (job != nullptr) job->cancel();
      return Refusal::no_memory;
    }
    try {
      cell.kind->shard.owner().launch(job);
      return Refusal::none;
    } catch (const std::bad_alloc&) {
      job->cancel();
      cell.extra->offloads->expect_one_less();
      return Refusal::no_memory;
    } catch (const std::exception& error) {
      job->cancel();
      cell.extra->offloads->expect_one_less();
      no_thread = error.what();
      const bool at_limit = dynamic_cast<const std::system_error*>(&error) == nullptr;
      if (at_limit) no_thread += ": raise it, or offload less at a time";
      return Refusal::no_thread;
    }
  };
  const Refusal refusal = ask();
  if (refusal != Refusal::none) {
    tell_refusal(cell, Service::offload, refusal, 0, no_thread.empty() ? words_of_refusal(refusal) : no_thread);
  }
  return refusal;
}

void Execution::ready() noexcept {
  TaskCell& cell = cell_of(*this);
  if (cell.kind->starts_later) cell.need_extra().is_ready = true;  // by its own calls alone
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

int Execution::wait_descriptor() noexcept {
  const CallFrame* const frame = frame_of(*this);
  return frame != nullptr && frame->call != nullptr ? frame->call->descriptor() : -1;
}

boost::asio::any_io_executor Execution::executor() const { return cell_of(*this).kind->shard.context().get_executor(); }

}  // namespace taskhost
