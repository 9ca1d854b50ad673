// A shard's turns, and the life cycle of its executions.
#include "shard.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace taskhost {

namespace {

// A turn ends after this many calls, or this many nanoseconds, so that I/O, timers and messages get theirs.
constexpr unsigned calls_a_turn = 1024;
constexpr unsigned calls_a_clock_reading = 64;
constexpr Nanoseconds max_turn_time = 200'000;
constexpr Nanoseconds short_of_memory = 10'000'000;  // delay before retrying what there was no memory for

Outcome outcome_of(TaskCell& cell, Status status) noexcept {
  switch (status) {
    case Status::ok:
      return Outcome::ok;
    case Status::panic:
      return Outcome::panic;
    case Status::error:
    case Status::again:
    case Status::pending:  // from a start or a blocking function: not a valid end
      break;
  }
  return cell.extra && std::exchange(cell.extra->has_crashed, false) ? Outcome::crashed : Outcome::error;
}

constexpr std::size_t rounded_up(std::size_t size, std::size_t align) noexcept {
  return (size + align - 1) & ~(align - 1);
}

std::string_view message_of(const TaskCell& cell) noexcept {
  return cell.extra ? std::string_view(cell.extra->message) : std::string_view();
}

// Most states are a few words, for which a call of memset would be too expensive. The stores may overlap.
[[gnu::always_inline]] inline void clear(void* state, std::size_t size) noexcept {
  auto* const bytes = static_cast<std::byte*>(state);
  if (size - 8 <= 8) {
    std::memset(bytes, 0, 8);
    std::memset(bytes + size - 8, 0, 8);
  } else if (size - 16 <= 16) {
    std::memset(bytes, 0, 16);
    std::memset(bytes + size - 16, 0, 16);
  } else {
    std::memset(bytes, 0, size);
  }
}

// Virtual functions in the form of raw ones, so that all are called in the same way.
std::int32_t start_virtual(void* state, const taskhost_exec* exec) {
  auto& cell = *reinterpret_cast<TaskCell*>(const_cast<taskhost_exec*>(exec));
  return static_cast<std::int32_t>(cell.kind->recipe.start(state, cell));
}
std::int32_t step_virtual(void* state, const taskhost_exec* exec) {
  auto& cell = *reinterpret_cast<TaskCell*>(const_cast<taskhost_exec*>(exec));
  return static_cast<std::int32_t>(cell.kind->recipe.step(state, cell));
}

void drop_virtual(void* state, const taskhost_exec* exec) {
  reinterpret_cast<const TaskCell*>(exec)->kind->recipe.drop(state);
}

std::int32_t finish_virtual(void* state, const taskhost_exec* exec) {
  auto& cell = *reinterpret_cast<TaskCell*>(const_cast<taskhost_exec*>(exec));
  return static_cast<std::int32_t>(cell.kind->recipe.finish(state, cell));
}

RawFunctions functions_of(const Recipe& recipe) noexcept {
  RawFunctions functions = recipe.raw;
  if (functions.step == nullptr) {
    functions = {start_virtual, step_virtual, nullptr, recipe.finishes() ? finish_virtual : nullptr};
  }
  if (functions.drop == nullptr) functions.drop = drop_virtual;
  return functions;
}

const taskhost_exec* exec_of(TaskCell& cell) noexcept {
  return reinterpret_cast<const taskhost_exec*>(static_cast<Execution*>(&cell));
}

[[gnu::cold]] void log_failed_end(const TaskCell& cell, const char* function, const char* what) noexcept {
  try {
    cell.log(LogLevel::error, std::string(function) + " failed and counts as done (rule 3.7): " + what);
  } catch (const std::exception&) {
    cell.log(LogLevel::error, "its end failed and counts as done (rule 3.7)");
  }
}

[[gnu::cold]] Status nonsense(TaskCell& cell, std::string_view function, std::int32_t result) {
  cell.fail(cell.kind->recipe.explain(function, result));
  return Status::error;
}

template <class Function>
[[gnu::always_inline]] inline Status guarded(TaskCell& cell, Function&& function) noexcept {
  try {
    return function();
  } catch (const std::exception& error) {
    cell.fail(error.what());
  } catch (...) {
    cell.fail("an exception that is not a std::exception");
  }
  return Status::panic;
}

}  // namespace

Status Recipe::start(void*, Execution&) const { return Status::ok; }
Status Recipe::step(void*, Execution&) const { return Status::error; }
void Recipe::drop(void*) const {}
Status Recipe::finish(void*, Execution&) const { return Status::ok; }
std::string Recipe::explain(std::string_view function, std::int32_t result) const {
  return "its " + std::string(function) + " returned " + std::to_string(result) + ", which is not a valid result";
}

TaskKind::TaskKind(Shard& its_shard, const TaskFn& its_function, const TaskOptions& its_options,
                   bool is_coordinated) noexcept
    : shard(its_shard),
      functions(functions_of(its_function.recipe())),
      state_offset(rounded_up(sizeof(TaskCell), its_function.recipe().state_align)),
      state_size(its_function.recipe().state_size),
      options(its_options),
      blocking(its_function.recipe().blocking),
      coordinated(is_coordinated),
      plain(!is_coordinated && its_options.optional == nullptr),
      simple(plain && !blocking && functions.finish == nullptr && !its_function.recipe().starts_later()),
      timed_start(is_coordinated || (!plain && its_options.optional->start_timeout)),
      timed_life(is_coordinated || (!plain && (its_options.optional->reset_after || its_options.optional->watchdog))),
      restarts_after_ok(plain && its_options.type == TaskType::mandatory ? its_options.restarts : 0),
      restarts_after_failure(plain && its_options.type != TaskType::shutdown_on_exit ? its_options.restarts : 0),
      starts_later(its_function.recipe().starts_later()),
      recipe(its_function.recipe()),
      function(its_function) {}

[[gnu::always_inline]] inline Status start_guarded(TaskCell& cell) noexcept {
  return guarded(cell, [&] {
    const std::int32_t result = cell.kind->functions.start(cell.state(), exec_of(cell));
    const auto status = static_cast<Status>(result);
    if (status == Status::ok || status == Status::error || status == Status::panic) [[likely]] {
      return status;
    }
    return nonsense(cell, "start", result);
  });
}

[[gnu::always_inline]] inline Status hot_step_guarded(TaskCell& cell) noexcept {
  return guarded(cell, [&] {
    const std::int32_t result = cell.kind->functions.step(cell.state(), exec_of(cell));
    if (static_cast<std::uint32_t>(result) <= static_cast<std::uint32_t>(Status::again)) [[likely]] {
      return static_cast<Status>(result);
    }
    return nonsense(cell, "step", result);
  });
}

// The execution's result is known: what goes wrong here is logged.
Status finish_guarded(TaskCell& cell) noexcept {
  const auto call = [&] {
    const std::int32_t result = cell.kind->functions.finish(cell.state(), exec_of(cell));
    const auto status = static_cast<Status>(result);
    if (status == Status::ok || status == Status::pending || status == Status::again) return status;
    cell.log(LogLevel::error, cell.kind->recipe.explain("finish", result) + "; it counts as done");
    return Status::ok;
  };
  try {
    return call();
  } catch (const std::exception& error) {
    log_failed_end(cell, "finish", error.what());
  } catch (...) {
    log_failed_end(cell, "finish", "an exception that is no std::exception");
  }
  return Status::ok;
}

Status run_guarded(TaskCell& cell) noexcept {
  const Status status = hot_step_guarded(cell);
  if (status != Status::pending && status != Status::again) return status;
  return guarded(cell, [&] { return nonsense(cell, "step", static_cast<std::int32_t>(status)); });
}

[[gnu::always_inline]] inline void drop_guarded(TaskCell& cell) noexcept {
  try {
    cell.kind->functions.drop(cell.state(), exec_of(cell));
  } catch (const std::exception& error) {
    log_failed_end(cell, "drop", error.what());
  } catch (...) {
    log_failed_end(cell, "drop", "an exception that is not a std::exception");
  }
}

Shard::Shard(ShardOwner& owner, EventSink& sink, const Clock& clock, bool complete_events)
    : owner_(owner),
      host_stopping_(owner.stopping()),
      sink_(sink),
      clock_(clock),
      complete_events_(complete_events),
      port_(WakePort::acquire()),
      now_(clock.now()),
      wheel_(now_),
      bell_(port_.add(nullptr)) {}

Shard::~Shard() {
  for_each_cell([this](TaskCell& cell) {
    if (is_live(cell.life.state) && !cell.removed && !cell.kind->blocking) {
      forget_requests(cell);
      drop_guarded(cell);
    }
    port_.remove(cell.slot.load(std::memory_order_relaxed));
    cell.~TaskCell();
  });
  port_.remove(bell_);
  port_.release();
}

TaskCell& Shard::add(const TaskFn& function, const TaskOptions& options, std::string_view name, std::uint32_t index,
                     bool coordinated) {
  const Recipe& recipe = function.recipe();
  if (kinds_.empty() || &kinds_.back().recipe != &recipe || kinds_.back().options != options ||
      kinds_.back().coordinated != coordinated) {
    kinds_.emplace_back(*this, function, options, coordinated);
  }
  const TaskKind& kind = kinds_.back();
  const std::size_t align = std::max(alignof(TaskCell), recipe.state_align);
  const std::size_t size = rounded_up(kind.state_offset + kind.state_size + name.size() + 1, align);
  auto* const block = static_cast<std::byte*>(cells_.allocate(size, align));
  const bool follows = !runs_.empty() && runs_.back().kind == &kind && runs_.back().stride == size &&
                       runs_.back().first + runs_.back().count * size == block;
  if (!follows) runs_.push_back({&kind, block, size, 0});
  auto& cell = *new (block) TaskCell(kind, index);
  ++runs_.back().count;
  auto* const text = reinterpret_cast<char*>(block + kind.state_offset + kind.state_size);
  name.copy(text, name.size());
  text[name.size()] = '\0';
  cell.execution = owner_.executions_before();
  ++size_;
  if (!kind.simple) cell.need_extra();
  if (!kind.plain) cell.extra->supervised = std::make_unique<SupervisedCell>(cell);
  if (coordinated) {
    ++coordinated_;
  } else {
    if (unended_++ == 0) ended_.store(false, std::memory_order_relaxed);
    wake(cell);
  }
  return cell;
}

TaskCell& TaskCell::of(TimerNode& node) noexcept {
  // TaskCell has a base class, so it is not standard layout, but every compiler that we use supports offsetof for it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
  return *reinterpret_cast<TaskCell*>(reinterpret_cast<std::byte*>(&node) - offsetof(TaskCell, timer));
#pragma GCC diagnostic pop
}

template <Stage stage>
Status Shard::hot_call(TaskCell& cell, Status before, const std::unique_ptr<Remains>& remains) {
  if constexpr (stage == Stage::start) return start_guarded(cell);
  if constexpr (stage == Stage::poll) return hot_step_guarded(cell);
  if constexpr (stage == Stage::finish) return finish_guarded(cell);
  if constexpr (stage == Stage::drop) drop_guarded(cell);
  if constexpr (stage == Stage::handler) remains->queue->destroy(std::move(remains->handler));
  return before;
}

Shard::Turn Shard::turn() {
  rouse();
  const ThreadFrame frame(tenure_->frame);
  now_ = clock_.now();
  const Nanoseconds turn_end = now_ + max_turn_time;
  if (round_calls_ == 0) round_began_ = now_;
  port_.drain([this](TaskCell& cell) {
    // A wake that comes just after its execution's end must not hasten a restart.
    if (is_live(cell.life.state)) wake(cell);
  });
  if (has_posts_.load(std::memory_order_acquire)) take_posts();  // after the port, whose bell tells of them
  wheel_.advance(now_, [this](TimerNode& node) { wake(TaskCell::of(node)); });
  if (supervision_timers_) {
    supervision_timers_->advance(now_, [this](TimerNode& node) { fire(static_cast<SupervisedCell&>(node)); });
  }
  if (queue_head_ != nullptr) {
    const std::uint64_t polls = spin_watch_.look(queue_head_, queue_head_->execution, now_, counters_.polls);
    if (polls != 0) [[unlikely]] {
      tell_spin(*queue_head_, polls);
    }
  }
  update_log(false);
  if (without_deadline_) [[unlikely]] {
    limit_again();
  }
  judge_limits();
  urgent_ = !stalls_.empty() || !remains_.empty() || !stop_deadlines_.empty() || next_run_ < runs_.size();

  // The clock is read after 1, 2, 4, … calls, then at a fixed interval: slow calls end a turn early, and fast ones
  // hardly pay for the clock.
  unsigned reading = 1;
  unsigned calls = 1;
  std::unique_ptr<Remains> remains;
  for (;; ++calls) {
    TaskCell* due = queue_head_;
    Next next;
    if (urgent_) [[unlikely]] {
      const Call call = next_urgent(remains);
      due = call.cell;
      next = call.next;
    } else if (due != nullptr) {
      queue_head_ = due->run_next;
      if (queue_head_ == nullptr) queue_tail_ = &queue_head_;
      due->queued = false;
      next = hot_next(*due);
    } else {
      break;
    }
    if (next.stage != Stage::none) {
      TaskCell& cell = *due;
      Tenure& tenure = *tenure_;
      bool held = true;
      const auto make = [&]<Stage stage>(std::integral_constant<Stage, stage>) __attribute__((always_inline)) {
        if constexpr (stage == Stage::poll) ++counters_.polls;
        tenure.begin_call(cell, stage);
        const Status status = hot_call<stage>(cell, next.status, remains);
        held = tenure.end_call();
        if (held) [[likely]] {
          next = hot_after(cell, tenure.frame, {stage, status});
        } else {
          tenure.come_back(status, [bell = WakePort::waker(bell_)] { WakePort::wake(bell); });
        }
      };
      tenure.begin_step();
      // In the order in which they follow each other.
      if (next.stage == Stage::start) make(std::integral_constant<Stage, Stage::start>());
      if (held && next.stage == Stage::poll) [[likely]] {
        make(std::integral_constant<Stage, Stage::poll>());
      }
      if (held && next.stage == Stage::finish) [[unlikely]] {
        make(std::integral_constant<Stage, Stage::finish>());
      }
      if (held && next.stage == Stage::drop) make(std::integral_constant<Stage, Stage::drop>());
      if (held && next.stage == Stage::handler) [[unlikely]] {
        make(std::integral_constant<Stage, Stage::handler>());
      }
      if (!held) return {.lost = true};
    }
    if (calls == reading) {
      reading += std::min(reading, calls_a_clock_reading);
      now_ = clock_.now();
      set_relative_timers();
      acted_.store(true, std::memory_order_relaxed);  // here, too: one slow call may be all of a turn
      if (now_ >= turn_end || calls >= calls_a_turn) break;
    }
  }
  if (!relative_timers_.empty()) {
    now_ = clock_.now();
    set_relative_timers();
  }
  // Every task that was due when the round began has had its turn once none is due, or after as many calls as there are
  // tasks.
  round_calls_ += calls;
  ++counters_.turns;
  if (calls != 1) acted_.store(true, std::memory_order_relaxed);
  if (queue_head_ == nullptr || round_calls_ >= size_) {
    judged_until_ = round_began_;
    round_calls_ = 0;
  }
  update_log(false);  // arms the summary of what this turn held back: the next turn may be hours away
  Nanoseconds deadline = std::min(wheel_.next_deadline(), log_gate_.next_deadline());
  if (supervision_timers_) deadline = std::min(deadline, supervision_timers_->next_deadline());
  if (!stop_deadlines_.empty()) deadline = std::min(deadline, stop_deadlines_.front().time);
  if (without_deadline_) deadline = std::min(deadline, later(now_, short_of_memory));
  return {.more = queue_head_ != nullptr || urgent_ || !late_.empty() || deadline <= now_, .deadline = deadline};
}

// What a due task needs: the next call of its execution, the first call of a fresh one, or nothing.
Shard::Next Shard::hot_next(TaskCell& cell) {
  if (cell.life.state == TaskState::waiting) return {cell.kind->plain ? hot_prepare(cell) : prepare_supervised(cell)};
  if (!is_live(cell.life.state)) [[unlikely]] {
    return {};  // it ended after it was woken
  }
  if (cell.stalled || cell.removed || cell.finishing) [[unlikely]] {
    if (!cell.stalled && !cell.removed) return {Stage::finish, cell.extra->end};
    if (Stall* const stall = stall_of(cell); stall != nullptr) stall->woken = true;
    return {};
  }
  if (cell.kind->blocking) return look_after_blocking(cell);
  return {Stage::poll};
}

// A restart to which nobody listens touches only the task's block, its kind and the shard.
Stage Shard::hot_prepare(TaskCell& cell) {
  ++cell.execution;
  const bool all = publishes_all();
  cell.started_at = all ? clock_.now() : now_;  // for events' uptimes, without the turn's earlier calls
  if (stopping_ || host_stopping()) return refuse_start(cell);
  if (!all && !log_gate_.passes(LogLevel::info)) {
    log_gate_.hold_back_start();
  } else if (!publish(cell, EventKind::task_started)) {
    return refuse_start(cell);
  }
  return hot_make_fresh(cell, TaskState::running);  // not `starting`: nothing watches its start
}

Stage Shard::hot_make_fresh(TaskCell& cell, TaskState state) {
  cell.life.state = state;
  ++counters_.starts;
  cell.said_ready = false;
  cell.stop_deadline_set = false;
  cell.stop_asked.store(false, std::memory_order_relaxed);
  cell.ready_asked.store(false, std::memory_order_relaxed);
  clear(cell.state(), cell.kind->state_size);
  return Stage::start;
}
Stage Shard::make_fresh(TaskCell& cell, TaskState state) { return hot_make_fresh(cell, state); }

Stage Shard::refuse_start(TaskCell& cell) {
  --cell.execution;
  if (cell.kind->coordinated) {
    owner_.coordinated_ended(cell.index, {.ending = Ending::refused});
  } else {
    rest(cell, TaskState::ended);
    end(cell);
  }
  return Stage::none;
}

// What follows a call, whether it returned in time or late.
Shard::Next Shard::hot_after(TaskCell& cell, const CallFrame& frame, Next made) {
  switch (made.stage) {
    case Stage::start:
      if (made.status != Status::ok || !cell.kind->simple) [[unlikely]] {
        return after_start(cell, frame, made.status);
      }
      apply(cell, frame);
      return {Stage::poll};
    case Stage::poll:
      if (cell.ready_asked.load(std::memory_order_relaxed) && !cell.said_ready) [[unlikely]] {
        check_ready(cell);
      }
      if (made.status != Status::pending) {
        if (made.status != Status::again) [[likely]] {
          if (cell.asked) [[unlikely]] {
            if (cell.kind->functions.finish != nullptr) return begin_to_finish(cell, frame, made.status);
            forget_all(cell);
          }
          return {Stage::drop, made.status};
        }
        wake(cell);
      }
      apply(cell, frame);
      if (cell.life.state == TaskState::stopping && !cell.stop_deadline_set) [[unlikely]] {
        limit_stop(cell, stop_began_);
      }
      return {};
    case Stage::finish:
      if (made.status == Status::ok) return finished(cell);
      if (!cell.stop_deadline_set) limit_end(cell);
      apply(cell, frame);
      if (made.status == Status::again) wake(cell);
      return {};
    case Stage::drop:
      if (cell.removed) [[unlikely]] {
        after_removal(cell, frame);
        return {};
      }
      forget_requests(cell);  // those made by drop itself
      hot_settle(cell, outcome_of(cell, made.status));
      return {};
    case Stage::handler:
    case Stage::none:
      return {};
  }
  return {};
}
Shard::Next Shard::after(TaskCell& cell, const CallFrame& frame, Next made) { return hot_after(cell, frame, made); }

Shard::Next Shard::after_start(TaskCell& cell, const CallFrame& frame, Status status) {
  if (status != Status::ok) {
    forget_requests(cell);
    settle(cell, outcome_of(cell, status), false);
    return {};
  }
  apply(cell, frame);
  if (cell.kind->functions.finish != nullptr) cell.asked = true;
  start_has_returned(cell);
  if (!cell.kind->blocking) return {Stage::poll};
  if (cell.ready_asked.load(std::memory_order_relaxed)) check_ready(cell);
  return launch(cell);
}

Shard::Next Shard::launch(TaskCell& cell) {
  TaskExtra& extra = *cell.extra;
  try {
    const std::uint32_t slot = cell.need_slot();  // the thread uses it to report its end
    cell.waker_generation = WakePort::generation(slot);
    extra.call = std::make_shared<BlockingCall>(cell, cell.kind->function.share(), WakePort::waker(slot));
    owner_.launch(extra.call);
  } catch (const std::exception& error) {
    extra.call = nullptr;
    extra.message = std::string("no thread for a blocking task: ") + error.what();
    forget_requests(cell);
    return {Stage::drop, Status::error};
  }
  if (cell.life.state == TaskState::stopping) extra.call->request_stop();  // its start returned late
  return {};
}

Shard::Next Shard::look_after_blocking(TaskCell& cell) {
  const std::shared_ptr<BlockingCall> call = cell.extra->call;
  if (call == nullptr) return {};
  if (cell.ready_asked.load(std::memory_order_acquire) && !cell.said_ready) check_ready(cell);
  if (!call->finished()) {
    call->notify();
    return {};
  }
  cell.extra->call = nullptr;
  cell.extra->message = std::move(call->message());
  forget_requests(cell);
  cell.need_extra().ended_call = call;
  return {Stage::drop, call->status()};
}

void Shard::after_drop(TaskCell& cell) {
  forget_requests(cell);
  cell.lingers = false;
  cell.removed = false;
  ended(cell, Ending::dropped, Outcome::cancelled, "did not stop in time and was dropped" + status_words(cell));
}

void Shard::hot_settle(TaskCell& cell, Outcome outcome) {
  // If the host begins to stop now, the next start notices it.
  if (only_counts(outcome == Outcome::ok ? LogLevel::info : LogLevel::warning) &&
      cell.life.state == TaskState::running &&
      outcome <= Outcome::error) {  // the gate does not tell panics from errors
    const TaskKind& kind = *cell.kind;
    if (cell.life.charged < (outcome == Outcome::ok ? kind.restarts_after_ok : kind.restarts_after_failure))
        [[likely]] {
      ++cell.life.charged;
      cell.life.state = TaskState::waiting;
      log_gate_.hold_back_restart(outcome, cell.name(), cell.extra ? &cell.extra->message : nullptr);
      cell.life.last_outcome = outcome;
      if (cell.extra) cell.extra->keep_message(outcome);
      hot_wake(cell);
      return;
    }
  }
  settle(cell, outcome);
}

void Shard::settle(TaskCell& cell, Outcome outcome, bool was_up) {
  // A message given to fail counts only for a failure.
  const std::string_view message = outcome != Outcome::ok ? message_of(cell) : std::string_view();
  ended(cell, Ending::returned, outcome, message, was_up);
}

void Shard::end(TaskCell&) {
  if (--unended_ != 0) return;
  update_log(true);
  ended_.store(true, std::memory_order_release);
  owner_.shard_ended();
}

bool Shard::publish_event(TaskCell& cell, TaskNews&& news, bool for_log) {
  news.execution = cell.execution;
  news.remaining = cell.remaining(cell.kind->plain ? 0 : clock_.now());
  return sink_.publish(event_of(std::move(news), cell, owner_.task_id(cell.index), for_log));
}

Event event_of(TaskNews&& news, const TaskCell& cell, const boost::uuids::uuid& id, bool for_log) {
  Event event;
  event.kind = news.kind;
  event.type = cell.options().type;
  event.outcome = news.outcome;
  event.reason = news.reason;
  event.for_log = for_log;
  event.task = cell.name();
  event.id = id;
  event.execution = news.execution;
  event.remaining = news.remaining.value_or(0);
  event.unlimited = !news.remaining;
  event.delay_ms = news.delay / 1'000'000;
  event.uptime_ms = news.uptime / 1'000'000;
  event.stalled_ms = news.silence / 1'000'000;
  event.restart_kind = news.restart_kind;
  event.message = std::move(news.message);
  return event;
}

void Shard::update_log(bool now) {
  if (now ? log_gate_.holds_back() : log_gate_.refill(now_)) sink_.summarize(log_gate_.take(now_));
}

}  // namespace taskhost
