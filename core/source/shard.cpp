#include "shard.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "descriptor_watch.hpp"

namespace taskhost {

namespace {

// A turn ends after so many calls, or so long, so that I/O, timers and messages get their turn.
constexpr unsigned calls_a_turn = 1024;
constexpr unsigned calls_a_clock_reading = 64;
constexpr Nanoseconds turn_limit = 200'000;

Outcome outcome_of(Status status) noexcept {
  switch (status) {
    case Status::ok:
      return Outcome::ok;
    case Status::panic:
      return Outcome::panic;
    case Status::error:
    case Status::pending:  // of a start, or of a blocking function: not an end at all
      return Outcome::error;
  }
  return Outcome::error;
}

constexpr std::size_t rounded_up(std::size_t size, std::size_t align) noexcept {
  return (size + align - 1) & ~(align - 1);
}

std::string_view message_of(const TaskCell& cell) noexcept {
  return cell.extra ? std::string_view(cell.extra->message) : std::string_view();
}

}  // namespace

Shard::Shard(ShardOwner& owner, EventSink& sink, const Clock& clock, bool complete_events)
    : owner_(owner),
      sink_(sink),
      clock_(clock),
      complete_events_(complete_events),
      port_(WakePort::acquire()),
      now_(clock.now()),
      wheel_(now_) {}

Shard::~Shard() {
  for (TaskCell* cell : cells_) {
    const TaskState state = cell->machine.state;
    if ((state == TaskState::running || state == TaskState::stopping) && !cell->recipe.blocking) {
      forget_requests(*cell);
      std::string what;
      drop_guarded(cell->recipe, cell->state(), what);
    }
    port_.remove(cell->slot);
    cell->~TaskCell();
  }
  port_.release();
}

void Shard::add(const TaskFn& function, const TaskOptions& options, const char* name, std::uint32_t index) {
  const Recipe& recipe = function.recipe();
  if (functions_.empty() || functions_.back().share() != function.share()) functions_.push_back(function);
  const std::size_t align = std::max(alignof(TaskCell), recipe.state_align);
  void* block = memory_.allocate(rounded_up(sizeof(TaskCell), recipe.state_align) + recipe.state_size, align);
  cells_.push_back(new (block) TaskCell(*this, recipe, options, name, index));
  TaskCell& cell = *cells_.back();
  try {
    cell.slot = port_.add(&cell);
  } catch (...) {
    cells_.pop_back();  // its block stays in the arena, unused
    throw;
  }
  ++live_;
  wake(cell);
}

TaskCell& TaskCell::of(TimerNode& node) noexcept {
  // TaskCell is not standard layout (it derives), but offsetof is well supported for it by every compiler we build
  // with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
  return *reinterpret_cast<TaskCell*>(reinterpret_cast<std::byte*>(&node) - offsetof(TaskCell, timer));
#pragma GCC diagnostic pop
}

void* TaskCell::state() noexcept {
  return reinterpret_cast<std::byte*>(this) + rounded_up(sizeof(TaskCell), recipe.state_align);
}

Shard::Turn Shard::turn() {
  now_ = clock_.now();
  const Nanoseconds turn_end = now_ + turn_limit;
  port_.drain([this](TaskCell& cell) {
    // A waker that outlived its execution by a moment must not hurry a restart.
    if (cell.machine.state == TaskState::running || cell.machine.state == TaskState::stopping) wake(cell);
  });
  wheel_.advance(now_, [this](TimerNode& node) { wake(TaskCell::of(node)); });
  if (!stop_deadlines_.empty() && !expire_deadlines()) return {.lost = true};
  update_log(false);

  // The clock is read after 1, 2, 4, … calls, and then every so many: slow calls end a turn early, fast ones do not
  // pay.
  unsigned reading = 1;
  for (unsigned calls = 1; queue_head_ != nullptr; ++calls) {
    TaskCell& cell = *queue_head_;
    queue_head_ = cell.run_next;
    if (queue_head_ == nullptr) queue_tail_ = &queue_head_;
    cell.queued = false;
    if (!run(cell)) return {.lost = true};
    if (calls == reading) {
      reading += std::min(reading, calls_a_clock_reading);
      now_ = clock_.now();
      set_relative_timers();
      if (now_ >= turn_end || calls >= calls_a_turn) break;
    }
  }
  if (!relative_timers_.empty()) {
    now_ = clock_.now();
    set_relative_timers();
  }
  update_log(false);  // what this turn held back has to be told though there may be no other turn for hours
  Nanoseconds deadline = std::min(wheel_.next_deadline(), log_gate_.next_deadline());
  if (!stop_deadlines_.empty()) deadline = std::min(deadline, stop_deadlines_.front().time);
  return {.more = queue_head_ != nullptr, .deadline = deadline};
}

bool Shard::run(TaskCell& cell) {
  switch (cell.machine.state) {
    case TaskState::waiting:
    case TaskState::restarting:
      return start(cell);
    case TaskState::running:
    case TaskState::stopping:
      return cell.recipe.blocking ? look_after_blocking(cell) : poll(cell);
    case TaskState::ended:
      return true;
  }
  return true;
}

bool Shard::start(TaskCell& cell) {
  ++cell.execution;
  cell.started_at = complete_events_ ? clock_.now() : now_;  // events tell uptimes: no call before counts in them
  if (stopping_ || owner_.stopping() || !publish(cell, EventKind::task_started)) {
    --cell.execution;
    cell.machine.resume(cell.options, TaskEvent::start_due, Outcome::ok, true);
    end(cell);
    return true;
  }
  cell.machine.resume(cell.options, TaskEvent::start_due);
  ++counters_.starts;
  cell.said_ready = false;
  cell.stop_asked.store(false, std::memory_order_relaxed);
  cell.ready_asked.store(false, std::memory_order_relaxed);
  std::memset(cell.state(), 0, cell.recipe.state_size);

  CallFrame frame(cell);
  called_.store(&cell, std::memory_order_relaxed);
  const Lease::Call call = lease_.lend();
  const Status status = start_guarded(cell.recipe, cell.state(), cell);
  if (!lease_.take_back(call)) return false;

  if (status != Status::ok) {
    forget_requests(cell);
    settle(cell, outcome_of(status));
    return true;
  }
  apply(frame);
  if (!cell.recipe.blocking) return poll(cell);
  if (cell.ready_asked.load(std::memory_order_relaxed)) check_ready(cell);
  return launch(cell);
}

bool Shard::poll(TaskCell& cell) {
  ++counters_.polls;
  CallFrame frame(cell);
  called_.store(&cell, std::memory_order_relaxed);
  const Lease::Call call = lease_.lend();
  const Status status = step_guarded(cell.recipe, cell.state(), cell);
  if (!lease_.take_back(call)) return false;

  if (cell.ready_asked.load(std::memory_order_relaxed) && !cell.said_ready) check_ready(cell);
  if (status != Status::pending) return finish(cell, status);
  apply(frame);
  if (cell.machine.state == TaskState::stopping && !cell.stop_deadline_set) limit_stop(cell);
  return true;
}

bool Shard::launch(TaskCell& cell) {
  try {
    TaskExtra& extra = cell.need_extra();
    cell.waker_value = WakePort::waker(cell.slot);  // the thread needs it to say that it is done
    extra.call = std::make_shared<BlockingCall>(cell, cell.recipe.shared_from_this(), cell.state(), cell.waker_value);
    owner_.launch(extra.call);
    return true;
  } catch (const std::exception& error) {
    TaskExtra& extra = cell.need_extra();
    extra.call = nullptr;
    extra.message = std::string("no thread for a blocking task: ") + error.what();
    return finish(cell, Status::error);
  }
}

bool Shard::look_after_blocking(TaskCell& cell) {
  const std::shared_ptr<BlockingCall> call = cell.extra ? cell.extra->call : nullptr;
  if (call == nullptr) return true;
  if (cell.ready_asked.load(std::memory_order_acquire) && !cell.said_ready) check_ready(cell);
  if (!call->finished()) {
    call->notify();
    return true;
  }
  cell.extra->call = nullptr;
  cell.extra->message = std::move(call->message());
  return finish(cell, call->status());
}

bool Shard::finish(TaskCell& cell, Status status) {
  forget_requests(cell);
  if (!drop(cell)) return false;
  settle(cell, outcome_of(status));
  return true;
}

bool Shard::drop(TaskCell& cell) {
  CallFrame frame(cell);
  called_.store(&cell, std::memory_order_relaxed);
  std::string what;
  const Lease::Call call = lease_.lend();
  const bool clean = drop_guarded(cell.recipe, cell.state(), what);
  if (!lease_.take_back(call)) return false;
  forget_requests(cell);  // what drop itself asked for
  if (!clean) sink_.log(LogLevel::error, cell.name, "drop failed and counts as done (rule 3.7): " + what);
  return true;
}

void Shard::settle(TaskCell& cell, Outcome outcome) {
  // A text given to fail counts only for a failure.
  const std::string_view message = outcome != Outcome::ok ? message_of(cell) : std::string_view();
  if (cell.machine.state == TaskState::running) {
    ++counters_.exits;
    publish(cell, EventKind::task_exited, outcome, message);
  }
  const bool host_stopping = stopping_ || owner_.stopping();
  switch (cell.machine.resume(cell.options, TaskEvent::exited, outcome, host_stopping)) {
    case Action::restart:
      ++counters_.restarts;
      publish(cell, EventKind::task_restarting);
      wake(cell);
      break;
    case Action::discard:
      publish(cell, EventKind::task_discarded, outcome, "it ended well", StopReason::task_exit);
      end(cell);
      break;
    case Action::discard_exhausted:
      publish(cell, EventKind::task_gave_up, outcome, message);
      publish(cell, EventKind::task_discarded, outcome, message, StopReason::budget_exhausted);
      end(cell);
      break;
    case Action::stop_host_success:
    case Action::stop_host_failure:
      owner_.stop_wanted({StopReason::task_exit, outcome != Outcome::ok, cell.name, std::string(message)});
      end(cell);
      break;
    case Action::stop_host_exhausted:
      publish(cell, EventKind::task_gave_up, outcome, message);
      owner_.stop_wanted({StopReason::budget_exhausted, true, cell.name, std::string(message)});
      end(cell);
      break;
    case Action::report_stopped:
      publish(cell, EventKind::task_stopped, Outcome::cancelled, message);
      end(cell);
      break;
    case Action::cancel:
      end(cell);
      break;
    case Action::none:
    case Action::start:
    case Action::ask:
    case Action::remove:
      break;
  }
  if (cell.extra) cell.extra->message.clear();
}

void Shard::end(TaskCell&) noexcept {
  if (--live_ != 0) return;
  update_log(true);
  ended_.store(true, std::memory_order_release);
  owner_.shard_ended();
}

void Shard::forget_requests(TaskCell& cell) noexcept {
  wheel_.cancel(cell.timer);
  cell.timer_relative = false;
  if (cell.waker_value != 0) {
    WakePort::expire(cell.slot);
    cell.waker_value = 0;
  }
  if (cell.extra) {
    for (const auto& watch : cell.extra->watches) watch->close();
    cell.extra->watches.clear();
  }
}

void Shard::apply(const CallFrame& frame) {
  TaskCell& cell = frame.cell;
  switch (frame.timer) {
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
  if (frame.woken) wake(cell);
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
  publish(cell, EventKind::task_ready);
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

namespace {
thread_local bool lost_shard = false;
}

bool Shard::lost_on_this_thread() noexcept { return lost_shard; }

bool Shard::end_handler(Lease::Call call, const CallFrame* frame) {
  if (!lease_.take_back(call)) return lose_thread();
  if (frame != nullptr) {
    if (frame->cell.ready_asked.load(std::memory_order_relaxed) && !frame->cell.said_ready) check_ready(frame->cell);
    apply(*frame);
  }
  return true;
}

void Shard::begin_stop() {
  if (stopping_) return;
  stopping_ = true;
  now_ = stop_began_ = clock_.now();
  // By index: a task that is cancelled may end the shard, but never changes the list.
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    TaskCell& cell = *cells_[i];
    switch (cell.machine.resume(cell.options, TaskEvent::stop_requested)) {
      case Action::cancel:
        end(cell);
        break;
      case Action::ask:
        cell.stop_asked.store(true, std::memory_order_release);
        publish(cell, EventKind::task_stopping);
        if (cell.recipe.blocking) {
          limit_stop(cell);
          cell.extra->call->request_stop();
        } else {
          wake(cell);  // its deadline is set if it does not end at once
        }
        break;
      case Action::none:
      case Action::start:
      case Action::restart:
      case Action::discard:
      case Action::discard_exhausted:
      case Action::stop_host_success:
      case Action::stop_host_failure:
      case Action::stop_host_exhausted:
      case Action::report_stopped:
      case Action::remove:
        break;
    }
  }
}

void Shard::limit_stop(TaskCell& cell) {
  cell.stop_deadline_set = true;
  stop_deadlines_.push_back({later(stop_began_, to_nanoseconds(cell.options.stop_timeout)), &cell});
  std::push_heap(stop_deadlines_.begin(), stop_deadlines_.end());
}

bool Shard::expire_deadlines() {
  while (!stop_deadlines_.empty() && stop_deadlines_.front().time <= now_) {
    TaskCell& cell = *stop_deadlines_.front().cell;
    std::pop_heap(stop_deadlines_.begin(), stop_deadlines_.end());
    stop_deadlines_.pop_back();
    if (!remove(cell)) return false;
  }
  return true;
}

bool Shard::expire_stop() {
  now_ = clock_.now();
  begin_stop();
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    if (!remove(*cells_[i])) return lose_thread();
  }
  return true;
}

// This thread was in a handler of the loop: it has to leave it, while the new owner's goes on.
bool Shard::lose_thread() noexcept {
  lost_shard = true;
  return false;
}

// The stop of this task ran out of time.
bool Shard::remove(TaskCell& cell) {
  // A blocking execution that ended meanwhile has not run out of time.
  if (cell.machine.state == TaskState::stopping && cell.recipe.blocking && cell.extra->call->finished()) {
    return look_after_blocking(cell);
  }
  if (cell.machine.resume(cell.options, TaskEvent::stop_expired) != Action::remove) return true;
  forget_requests(cell);
  if (cell.recipe.blocking) {
    // Its thread still runs in it: what it uses stays, and the supervisor sees to it.
    cell.extra->call = nullptr;
    publish(cell, EventKind::task_abandoned, Outcome::cancelled, "its blocking function did not return");
    owner_.task_abandoned();
  } else {
    if (!drop(cell)) return false;
    publish(cell, EventKind::task_stopped, Outcome::cancelled, "did not stop in time and was dropped");
  }
  end(cell);
  return true;
}

void Shard::abandon(TaskCell& stuck) {
  // All of the cell but its timer and its place in the queue belongs to the thread that is stuck in it.
  wheel_.cancel(stuck.timer);
  stuck.timer_relative = false;
  if (stuck.machine.resume(stuck.options, TaskEvent::stop_requested) == Action::ask) {
    publish(stuck, EventKind::task_stopping);
  }
  // If it has ended already, it is stuck in the drop after its end, which has not been told yet.
  stuck.machine.resume(stuck.options, TaskEvent::stop_expired);
  publish(stuck, EventKind::task_abandoned, Outcome::cancelled, "it blocks its thread in a call that does not return");
  owner_.task_abandoned();
  end(stuck);
}

bool Shard::publish(const TaskCell& cell, EventKind kind, Outcome outcome, std::string_view message,
                    StopReason reason) {
  const bool for_log = log_gate_.admit(kind, cell.name);
  if (!for_log && !complete_events_) return kind != EventKind::task_started || !owner_.stopping();
  Event event;
  event.kind = kind;
  event.type = cell.options.type;
  event.outcome = outcome;
  event.reason = reason;
  event.for_log = for_log;
  event.task = cell.name;
  event.id = owner_.task_id(cell.index);
  event.execution = cell.execution;
  event.remaining = cell.machine.remaining(cell.options);
  if (kind != EventKind::task_started) event.uptime_ms = (clock_.now() - cell.started_at) / 1'000'000;
  event.message = message;
  return sink_.publish(std::move(event));
}

void Shard::update_log(bool now) {
  LogSummary summary;
  if (now ? log_gate_.take(now_, summary) : log_gate_.refill(now_, summary)) sink_.summarize(summary);
}

}  // namespace taskhost
