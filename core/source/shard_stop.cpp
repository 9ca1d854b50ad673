// How a shard stops, and how it goes on without a task in which a thread is stuck.
#include <algorithm>
#include <string>

#include "shard.hpp"
#include "taskhost/core/duration.hpp"

namespace taskhost {

void Shard::begin_stop(Nanoseconds began) {
  if (!tenure_->leave_loop() || stopping_) return;
  stopping_ = true;
  stop_began_ = began;
  now_ = clock_.now();
  // First those that no call of this shard can hold up.
  for (const Run& run : runs_) {
    if (!run.kind->blocking || run.kind->coordinated) continue;
    for (std::size_t i = 0; i < run.count; ++i) ask_soon(run.at(i), StopPurpose::host);
  }
  for (const Stall& stall : stalls_) {
    if (stall.cell->stalled && !stall.cell->kind->coordinated) ask_soon(*stall.cell, StopPurpose::host);
  }
  next_run_ = next_cell_ = 0;
}

void Shard::expire_stop() {
  if (!tenure_->leave_loop()) return;
  begin_stop(clock_.now());
  expired_ = true;
  next_run_ = next_cell_ = 0;
}

// One step of the stop's walk over the memory: asks the next task to end; or, when the stop has run out of time,
// removes it.
Shard::Call Shard::walk() {
  const Run& run = runs_[next_run_];
  // Coordinated ones are asked when the coordinator says so; blocking ones have been asked already.
  const bool concerned = expired_ || (!run.kind->blocking && !run.kind->coordinated);
  if (!concerned || next_cell_ == run.count) {
    ++next_run_;
    next_cell_ = 0;
    return {};
  }
  TaskCell& cell = run.at(next_cell_++);
  if (!expired_) return ask(cell);
  (void)tell_to_stop(cell, StopPurpose::host);
  return remove(cell);
}

// What comes before the tasks that are due: calls that returned late, what is left of coroutines, and stops.
Shard::Call Shard::next_urgent(std::unique_ptr<Remains>& remains) {
  const auto back =
      std::find_if(stalls_.begin(), stalls_.end(), [](const Stall& stall) { return stall.tenure->is_back(); });
  if (back != stalls_.end()) {
    Stall stall = std::move(*back);
    stalls_.erase(back);
    return take_back(stall);
  }
  const auto free = std::find_if(remains_.begin(), remains_.end(), [this](const Remains& left) {
    // Not while a thread is stuck in the same coroutine.
    return std::none_of(stalls_.begin(), stalls_.end(), [&](const Stall& stall) {
      return stall.cell == left.cell && stall.execution == left.execution;
    });
  });
  if (free != remains_.end()) {
    remains = std::make_unique<Remains>(std::move(*free));
    remains_.erase(free);
    TaskCell& cell = *remains->cell;
    leftover_of_ = remains->execution;
    if (remains->handler != nullptr) return {&cell, {Stage::handler}};
    if (cell.lingers && cell.execution == remains->execution) after_drop(cell);
    return {};
  }
  if (!stop_deadlines_.empty() && stop_deadlines_.front().time <= (expired_ ? now_ : judged_until_)) {
    return expire_deadline();
  }
  if (next_run_ < runs_.size()) return walk();
  urgent_ = false;
  return {};
}

// True if there is a live execution that now learns that it has to end.
bool Shard::tell_to_stop(TaskCell& cell, StopPurpose purpose) {
  const TaskState state = cell.life.state;
  if (!is_live(state)) {  // so it is the host that stops
    if (state == TaskState::ended || cell.kind->coordinated) return false;
    rest(cell, TaskState::ended);
    end(cell);
    return false;
  }
  cell.machine().want_stop(purpose);
  SupervisedCell* const supervised = cell.supervised();
  if (supervised != nullptr) arm(*supervised);
  if (state == TaskState::stopping) return false;
  cell.life.to_ask = false;
  cell.life.state = TaskState::stopping;
  cell.stop_asked.store(true, std::memory_order_release);
  if (supervised != nullptr) supervised->asked_at = clock_.now();
  if (!cell.kind->coordinated) publish(cell, EventKind::task_stopping);
  return true;
}

// For the walk of the host's stop.
Shard::Call Shard::ask(TaskCell& cell) {
  if (cell.stalled) {
    ask_soon(cell, StopPurpose::host);
    return {};
  }
  if (!tell_to_stop(cell, StopPurpose::host)) return {};
  if (cell.finishing) return {&cell, {Stage::finish, cell.extra->end}};
  return {&cell, {Stage::poll}};  // unless it ends in this poll, its deadline is set afterwards
}

void Shard::ask_soon(TaskCell& cell, StopPurpose purpose) {
  if (!tell_to_stop(cell, purpose)) return;
  const bool by_host = stopping_ && !cell.kind->coordinated;
  const Nanoseconds asked = by_host ? stop_began_ : clock_.now();
  limit_stop(cell, asked);  // now, since its next call may never return
  if (!cell.stalled && !cell.kind->blocking) {
    wake(cell);
  } else if (!cell.stalled) {
    if (cell.extra->call) cell.extra->call->request_stop();  // else it has just ended by itself
  } else if (!cell.kind->blocking) {
    stall_of(cell)->woken = true;  // to be polled once more when the call has returned
  }
  if (!by_host && cell.kind->plain) asked_at_.insert_or_assign(&cell, asked);  // last: only a report needs it
}

void Shard::limit_stop(TaskCell& cell, Nanoseconds asked) {
  set_stop_deadline(cell, expired_ ? now_ : later(asked, to_nanoseconds(cell.options().stop_timeout)));
}

void Shard::set_stop_deadline(TaskCell& cell, Nanoseconds time, bool armed_anew) {
  // Those of executions that have ended in time are found here, if they are many.
  if (stop_deadlines_.size() >= 64 + 4 * size_) {
    std::erase_if(stop_deadlines_, [](const StopDeadline& due) { return due.execution != due.cell->execution; });
    std::make_heap(stop_deadlines_.begin(), stop_deadlines_.end());
  }
  try {
    stop_deadlines_.push_back({time, &cell, cell.execution, armed_anew});
    std::push_heap(stop_deadlines_.begin(), stop_deadlines_.end());
    cell.stop_deadline_set = true;
  } catch (const std::bad_alloc&) {
    without_deadline_ = true;  // a later turn tries again
  }
}

// Sets deadlines for which there was no memory before.
void Shard::limit_again() {
  without_deadline_ = false;
  for_each_cell([this](TaskCell& cell) {
    if (!cell.removed && !cell.stop_deadline_set) limit_end(cell);
  });
}

Shard::Call Shard::expire_deadline() {
  const StopDeadline due = stop_deadlines_.front();
  std::pop_heap(stop_deadlines_.begin(), stop_deadlines_.end());
  stop_deadlines_.pop_back();
  if (due.execution != due.cell->execution) return {};
  if (now_ <= later(due.time, standstill) || due.armed_anew || expired_) return remove(*due.cell);
  set_stop_deadline(*due.cell, later(now_, to_nanoseconds(due.cell->options().stop_timeout)), true);  // its turn first
  return {};
}

std::chrono::nanoseconds Shard::longest_stop_timeout() const noexcept {
  std::chrono::nanoseconds longest{0};
  for (const TaskKind& kind : kinds_) longest = std::max<std::chrono::nanoseconds>(longest, kind.options.stop_timeout);
  return longest;
}

// To be called when the task's stop ran out of time.
Shard::Call Shard::remove(TaskCell& cell) {
  if ((cell.life.state != TaskState::stopping && !cell.finishing) || cell.removed) return {};
  if (cell.stalled) {
    if (stall_of(cell)->tenure->abandon()) {
      abandon(cell);
    } else {
      set_stop_deadline(cell, now_);  // the call has just returned, and is processed first
    }
    return {};
  }
  if (cell.finishing) {
    cell.log(LogLevel::warning, "its finish did not end in time: it is dropped as it stands" + status_words(cell));
    if (expired_) report_straggler(cell, "finish", false);
    const Next next = finished(cell);
    cell.need_extra().overdue = true;
    return {&cell, next};
  }
  BlockingCall* const call = cell.extra ? cell.extra->call.get() : nullptr;
  // A blocking execution that has ended by now did so in time.
  if (call != nullptr && call->finished()) {
    const Next next = look_after_blocking(cell);
    cell.need_extra().overdue = true;
    return {&cell, next};
  }
  forget_requests(cell);
  if (call == nullptr) {
    if (expired_) report_straggler(cell, {}, false);
    cell.removed = true;
    return {&cell, {Stage::drop}};
  }
  // Its thread still runs. The supervisor ensures that what it uses stays in memory.
  cell.extra->call = nullptr;
  lose_for_good(cell, "run", "its blocking function did not return");
  return {};
}

// --- stalled calls: see tenure.hpp -----------------------------------------------------------------------------------

std::shared_ptr<Tenure> Shard::replace_tenure(std::shared_ptr<Tenure> tenure) noexcept {
  tenure_.swap(tenure);
  return tenure;
}

void Shard::adopt(std::shared_ptr<Tenure> lost, Nanoseconds blocked_for) {
  now_ = clock_.now();
  acted_.store(true, std::memory_order_relaxed);
  TaskCell& cell = *lost->pinned();
  const bool of_leftover = lost->frame.requests.stage == Stage::handler;
  const std::uint64_t execution = of_leftover ? leftover_of_ : cell.execution;
  // What is left of a coroutine holds nothing up, unless its execution's end still has to be reported.
  const bool goes_on = of_leftover && !(cell.lingers && execution == cell.execution);
  stalls_.push_back({.cell = &cell,
                     .execution = execution,
                     .tenure = std::move(lost),
                     .since = now_ - blocked_for,
                     .leftover = goes_on});
  if (goes_on) return;
  cell.stalled = true;
  count_stall(cell);
  if (cell.removed || cell.overdue()) {  // it is out of time, and now its drop does not return
    if (stalls_.back().tenure->abandon()) abandon(cell);
  } else if (!cell.stop_deadline_set) {
    limit_end(cell);
  }
}

void Shard::abandon_leftovers() {
  for (Stall& stall : stalls_) {
    if (stall.abandoned || !stall.tenure->abandon()) continue;
    stall.abandoned = true;
    owner_.task_abandoned();
  }
}

// Calls no task code, since this is the control thread.
void Shard::give_up() {
  now_ = clock_.now();
  if (!stopping_) stop_began_ = now_;  // its thread did not get that far
  stopping_ = true;
  for_each_cell([this](TaskCell& cell) {
    if (!cell.kind->coordinated) (void)tell_to_stop(cell, StopPurpose::host);
    if (cell.life.state != TaskState::stopping) return;
    std::string where;
    if (&cell == tenure_->pinned()) {
      where = to_string(tenure_->frame.requests.stage);
    } else if (cell.stalled) {
      where = to_string(stall_of(cell)->tenure->frame.requests.stage);
    } else if (cell.kind->blocking) {
      where = "run";
      if (cell.extra->call) cell.extra->call->request_stop();
    }
    if (cell.kind->coordinated) {
      report_straggler(cell, where, true);
    } else {
      lose_for_good(cell, where, "its shard was given up");
    }
  });
  questions_.close();
}

// To be called after its tenure was abandoned.
void Shard::abandon(TaskCell& cell) {
  Stall& stall = *stall_of(cell);
  stall.abandoned = true;
  const std::string stage(to_string(cell.removed ? Stage::drop : stall.tenure->frame.requests.stage));
  std::string what = "its " + stage + " did not return";
  // Its result is known, and nobody changes the reason any more.
  if (cell.finishing || cell.overdue()) {
    const std::string_view reason = cell.extra->message;
    if (!reason.empty()) what.append("; it had failed: ").append(reason);
  }
  lose_for_good(cell, stage, what);
}

void Shard::lose_for_good(TaskCell& cell, const std::string& where, const std::string& what) {
  report_straggler(cell, where, true);
  owner_.task_abandoned();
  cell.finishing = false;
  ended(cell, Ending::abandoned, Outcome::cancelled, what);
}

void Shard::report_straggler(const TaskCell& cell, std::string where, bool is_abandoned) {
  const SupervisedCell* const supervised = cell.supervised();
  const auto found = asked_at_.find(&cell);
  const Nanoseconds asked = supervised != nullptr      ? supervised->asked_at
                            : found != asked_at_.end() ? found->second
                                                       : stop_began_;
  const Nanoseconds now = clock_.now();
  owner_.did_not_stop({cell.index, cell.name(), cell.execution, std::move(where), is_abandoned, asked != 0,
                       now - (asked != 0 ? asked : cell.end_of_step(now))});
}

Shard::Stall* Shard::stall_of(const TaskCell& cell) noexcept {
  if (!cell.stalled) return nullptr;
  const auto found = std::find_if(stalls_.begin(), stalls_.end(), [&](const Stall& stall) {
    return stall.cell == &cell && !stall.leftover && !stall.abandoned;
  });
  return found != stalls_.end() ? &*found : nullptr;
}

Shard::Call Shard::take_back(const Stall& stall) {
  TaskCell& cell = *stall.cell;
  const CallFrame& frame = stall.tenure->frame;
  const Stage stage = frame.requests.stage;
  if (!stall.leftover) cell.stalled = false;
  if (stall.tenure->told()) {
    sink_.log(LogLevel::info, cell.name(),
              "its " + std::string(to_string(stage)) + " returned after " +
                  print_duration(std::chrono::milliseconds((clock_.now() - stall.since) / 1'000'000)));
  }
  hear_again(cell);
  if (stall.woken) wake(cell);
  return {&cell, after(cell, frame, {stage, stall.tenure->late()})};
}

// An end that takes time has its stop_timeout from here on, unless a stop counts already.
Shard::Next Shard::begin_to_finish(TaskCell& cell, const CallFrame& frame, Status status) {
  cell.extra->end = status;
  cell.extra->step_ended_at = clock_.now();
  apply(cell, frame);
  cell.finishing = true;
  if (SupervisedCell* const supervised = cell.supervised(); supervised != nullptr) {
    if (cell.kind->coordinated) {
      owner_.coordinated_step_ended(cell.index);
    } else {
      cell.machine().step_ended();
      arm(*supervised);
    }
  }
  return {Stage::finish, status};
}

std::string Shard::status_words(const TaskCell& cell) const {
  return owner_.statuses().words(cell.index, cell.execution);
}

// For one whose end has no limit yet.
void Shard::limit_end(TaskCell& cell) {
  if (cell.life.state == TaskState::stopping) {
    limit_stop(cell, stopping_ ? stop_began_ : clock_.now());
  } else if (cell.finishing) {
    limit_stop(cell, clock_.now());
  }
}

Shard::Next Shard::finished(TaskCell& cell) {
  cell.finishing = false;
  forget_requests(cell);
  return {Stage::drop, cell.extra->end};
}

}  // namespace taskhost
