// What a shard supervises: its own tasks by their machines, and those of the coordinator by its orders. And what
// operators want.
#include <utility>

#include "shard.hpp"

namespace taskhost {

// Passes on the news of a machine about one of the shard's own tasks.
class Shard::Voice final : public TaskVoice {
 public:
  Voice(Shard& shard, TaskCell& cell) : shard_(shard), cell_(cell) {}

  void tell(TaskNews&& news) override {
    shard_.keep_for_reports(cell_, news);
    if (news.kind == EventKind::task_exited) ++shard_.counters_.told_exits[static_cast<std::size_t>(news.outcome)];
    if (news.kind == EventKind::task_gave_up) ++shard_.counters_.gave_up;
    if (news.kind == EventKind::task_discarded && is_lost(news)) shard_.owner_.count_lost(1);
    const bool for_log = shard_.log_gate_.admit(news, cell_.name(), shard_.host_stopping());
    if (for_log || shard_.publishes_all()) shard_.publish_event(cell_, std::move(news), for_log);
  }
  void stop_host(StopReason reason, bool failure, std::string_view message) override {
    shard_.owner_.stop_wanted({reason, failure, cell_.name(), std::string(message)});
  }

 private:
  Shard& shard_;
  TaskCell& cell_;
};

HostPhase Shard::phase() const noexcept {
  if (stopping_) return HostPhase::stopping;
  return host_stopping() ? HostPhase::closing : HostPhase::running;
}

// --- an execution of a task that is not plain ------------------------------------------------------------------------

Stage Shard::prepare_supervised(TaskCell& cell) {
  SupervisedCell& supervised = *cell.supervised();
  const bool coordinated = cell.kind->coordinated;
  if (coordinated && !std::exchange(supervised.start_ordered, false)) return Stage::none;  // woken without an order
  supervised.ready_at = supervised.asked_at = 0;
  supervised.heartbeat.store(0, std::memory_order_relaxed);
  ++cell.execution;
  cell.started_at = publishes_all() || cell.kind->timed_start ? clock_.now() : now_;
  if (stopping_ || host_stopping() || !publish(cell, EventKind::task_started)) return refuse_start(cell);
  if (coordinated) {
    owner_.coordinated_begun(cell.index);
  } else {
    TaskMachine machine = cell.machine();
    machine.prepare();
    machine.begun(cell.started_at);
    arm(supervised);
  }
  return make_fresh(cell, coordinated ? TaskState::running : TaskState::starting);
}

void Shard::start_has_returned(TaskCell& cell) {
  if (cell.kind->starts_later) {
    cell.need_extra();  // to be cleared at its end
  } else if (!cell.kind->plain) {
    start_is_over(cell);
  }
}

void Shard::start_is_over(TaskCell& cell) {
  SupervisedCell& supervised = *cell.supervised();
  const SupervisionOptions* const optional = cell.options().optional.get();
  const Nanoseconds now = cell.kind->timed_life ? clock_.now() : now_;
  if (optional == nullptr || !optional->notify) supervised.ready_at = now;
  if (cell.kind->coordinated) {
    owner_.coordinated_started(cell.index);
  } else {
    supervised.supervision.start_over = true;
    become_ready(cell, now);
  }
}

void Shard::check_ready(TaskCell& cell) {
  if (cell.kind->starts_later) {
    TaskExtra& extra = *cell.extra;
    if (extra.has_started && !std::exchange(extra.is_start_over, true) && !cell.kind->plain) start_is_over(cell);
    if (!extra.is_start_over || !extra.is_ready) {
      cell.ready_asked.store(false, std::memory_order_relaxed);  // until it is ready, too
      return;
    }
  }
  cell.said_ready = true;
  SupervisedCell* const supervised = cell.supervised();
  const Nanoseconds now = clock_.now();
  if (supervised != nullptr && supervised->ready_at == 0) supervised->ready_at = now;
  if (cell.kind->coordinated) {
    owner_.coordinated_ready(cell.index);
    return;
  }
  publish(cell, EventKind::task_ready);
  if (supervised == nullptr) return;
  supervised->supervision.said_ready = true;
  become_ready(cell, now);
}

// Does nothing unless the task is ready.
void Shard::become_ready(TaskCell& cell, Nanoseconds now) {
  if (!cell.machine().becomes_ready(now)) return;
  cell.life.state = TaskState::running;
  arm(*cell.supervised());
}

void Shard::ended(TaskCell& cell, Ending ending, Outcome outcome, std::string_view message, bool was_up) {
  SupervisedCell* const supervised = cell.supervised();
  const Nanoseconds now = clock_.now();
  const Nanoseconds over = cell.end_of_step(now);  // what its end takes is no part of its life
  End end{ending, outcome, std::string(message), was_up ? over - cell.started_at : 0, 0};
  if (supervised != nullptr && supervised->ready_at != 0) {
    // Neither the start nor the time after the request to end counts.
    const Nanoseconds last = supervised->asked_at != 0 ? std::min(supervised->asked_at, over) : over;
    if (supervised->ready_at < last) end.lived = last - supervised->ready_at;
  }
  if (ending != Ending::abandoned && cell.extra) cell.extra->forget_failure();  // else the stuck thread owns it
  if (has_orders_.load(std::memory_order_acquire)) take_orders();               // one may have come during the call
  if (cell.kind->coordinated) {
    // Ready for the next order, unless it was abandoned: then it can't be started any more.
    cell.life.state = ending == Ending::abandoned ? TaskState::ended : TaskState::waiting;
    owner_.coordinated_ended(cell.index, std::move(end));
    return;
  }
  const bool is_exit = ending == Ending::returned && cell.life.state != TaskState::stopping;
  const double random =
      supervised != nullptr ? chance(owner_.seed(), cell.index, supervised->supervision.ledger.lifetime) : 0;
  Voice voice(*this, cell);
  const TaskMachine::Next next = cell.machine().end(end, is_exit, phase(), now, random, voice);
  if (next.restarts) ++counters_.told_restarts;
  if (!asked_at_.empty()) asked_at_.erase(&cell);
  cell.life.state = next.state;
  cell.started_at = now;
  if (supervised != nullptr) arm(*supervised);
  if (next.state == TaskState::waiting) wake(cell);
  if (next.state == TaskState::ended) this->end(cell);
}

// --- time ------------------------------------------------------------------------------------------------------------

// To be called whenever the task's machine may have changed its deadline.
void Shard::arm(SupervisedCell& supervised) {
  const Nanoseconds deadline = supervised.supervision.deadline;
  if (supervised.is_set() ? supervised.TimerNode::deadline == deadline : deadline == never) return;
  if (!supervision_timers_) supervision_timers_ = std::make_unique<TimerWheel>(now_);
  supervision_timers_->cancel(supervised);
  if (deadline != never) supervision_timers_->set(supervised, deadline);
}

void Shard::fire(SupervisedCell& supervised) {
  TaskCell& cell = supervised.cell;
  if (is_live(cell.life.state)) {
    late_.push_back({&supervised, supervised.supervision.deadline});
  } else if (phase() == HostPhase::running) {
    Voice voice(*this, cell);
    follow(cell, cell.machine().due(now_, 0, voice));
  }
}

// Time limits are judged after the calls: a task that was woken before its limit passed has its turn first, however
// late that is.
void Shard::judge_limits() {
  std::erase_if(late_, [this](const LateLimit& late) {
    SupervisedCell& supervised = *late.supervised;
    if (supervised.supervision.deadline != late.deadline) return true;  // it no longer applies
    if (phase() != HostPhase::running) return true;                     // nothing is watched then
    if (late.deadline > judged_until_) return false;
    // It may have said that it is ready, in a call in which a thread is still stuck.
    if (supervised.supervision.start_over && supervised.cell.ready_asked.load(std::memory_order_acquire) &&
        !supervised.cell.said_ready) {
      check_ready(supervised.cell);
      if (supervised.supervision.deadline != late.deadline) return true;
    }
    Voice voice(*this, supervised.cell);
    const Nanoseconds heartbeat = supervised.heartbeat.load(std::memory_order_relaxed);
    follow(supervised.cell, supervised.cell.machine().due(now_, heartbeat, voice));
    return true;
  });
}

void Shard::follow(TaskCell& cell, TaskMachine::Step step) {
  switch (step) {
    case TaskMachine::Step::nothing:
      break;
    case TaskMachine::Step::wait:
      if (cell.life.state == TaskState::ended) {
        if (unended_ == 0) {
          if (!owner_.shard_revived()) return;
          ended_.store(false, std::memory_order_relaxed);
          doze();  // the monitor may have stopped watching: now the next turn tells it
        }
        ++unended_;
      }
      forget_end(cell.life);
      rest(cell, TaskState::waiting);
      wake(cell);
      break;
    case TaskMachine::Step::stop:
      rest(cell, TaskState::stopped);
      break;
    case TaskMachine::Step::ask:
      ask_soon(cell, cell.life.purpose);
      break;
  }
  if (!cell.kind->plain) arm(*cell.supervised());
}

// --- operators and the coordinator -----------------------------------------------------------------------------------

void Shard::order(std::size_t place, Operation operation) {
  const std::lock_guard lock(orders_mutex_);
  orders_.push_back({place, operation});
  try {
    post([this] { take_orders(); });
  } catch (...) {
    orders_.pop_back();
    throw;
  }
  has_orders_.store(true, std::memory_order_release);
}

void Shard::take_orders() {
  std::vector<Order> orders;
  {
    const std::lock_guard lock(orders_mutex_);
    orders.swap(orders_);
    has_orders_.store(false, std::memory_order_relaxed);
  }
  for (const Order& order : orders) operate(order.place, order.operation);
}

void Shard::operate(std::size_t place, Operation operation) {
  if (phase() != HostPhase::running) return;
  for (const Run& run : runs_) {
    if (place < run.count) {
      TaskCell& cell = run.at(place);
      const TaskMachine::Step step = cell.machine().operate(operation);
      if (cell.life.is_lost && step == TaskMachine::Step::wait) owner_.count_lost(-1);
      follow(cell, step);
      return;
    }
    place -= run.count;
  }
}

void Shard::order_start(TaskCell& cell, std::optional<std::uint32_t> remaining) {
  SupervisedCell& supervised = *cell.supervised();
  supervised.start_ordered = true;
  supervised.remaining = remaining;
  wake(cell);
}

void Shard::order_stop(TaskCell& cell) {
  // If it has ended by itself, the report is on its way.
  if (tenure_->leave_loop() && cell.life.state == TaskState::running) ask_soon(cell, StopPurpose::host);
}

}  // namespace taskhost
