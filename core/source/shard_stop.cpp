// How a shard stops, and how it goes on without a task that a thread is stuck in.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <string>

#include "shard.hpp"

namespace taskhost {

void Shard::begin_stop(Nanoseconds began) {
  if (!tenure_->leave_loop() || stopping_) return;
  stopping_ = true;
  stop_began_ = began;
  now_ = clock_.now();
  // Those that no call of ours can hold up.
  for (const Run& run : runs_) {
    if (!run.kind->blocking) continue;
    for (std::size_t i = 0; i < run.count; ++i) {
      if (!run.kind->coordinated && !ask(run.at(i))) return;  // can't be: asking a blocking task calls nothing
    }
  }
  for (std::size_t i = 0; i < stalls_.size(); ++i) {
    if (!stalls_[i].cell->kind->coordinated) (void)ask(*stalls_[i].cell);
  }
}

bool Shard::ask_next() {
  const Run& run = runs_[next_run_];
  // The coordinator's are asked when it says so.
  if (!run.kind->blocking && !run.kind->coordinated && next_cell_ < run.count) return ask(run.at(next_cell_++));
  ++next_run_;
  next_cell_ = 0;
  return true;
}

// True: an execution lives, and knows from now on that it has to end.
bool Shard::tell_to_stop(TaskCell& cell, StopPurpose purpose) {
  const TaskState state = cell.life.state;
  if (!is_live(state)) {  // the host stops
    if (state == TaskState::ended || cell.kind->coordinated) return false;
    cell.life.state = TaskState::ended;
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

// For the host's stop, which asks them all in one walk.
bool Shard::ask(TaskCell& cell) {
  if (!cell.kind->blocking && !cell.stalled) {
    return !tell_to_stop(cell, StopPurpose::host) || poll(cell);  // its deadline is set if it does not end at once
  }
  ask_soon(cell, StopPurpose::host);
  return true;
}

void Shard::ask_soon(TaskCell& cell, StopPurpose purpose) {
  if (!tell_to_stop(cell, purpose)) return;
  // At once: its next call may never return.
  limit_stop(cell, stopping_ && !cell.kind->coordinated ? stop_began_ : clock_.now());
  if (!cell.stalled && cell.kind->blocking) {
    cell.extra->call->request_stop();
  } else if (!cell.stalled) {
    wake(cell);
  } else if (!cell.kind->blocking) {
    stall_of(cell).woken = true;  // to be polled once more when it is back
  }
}

void Shard::limit_stop(TaskCell& cell, Nanoseconds asked) {
  set_stop_deadline(cell, expired_ ? now_ : later(asked, to_nanoseconds(cell.options().stop_timeout)));
}

void Shard::set_stop_deadline(TaskCell& cell, Nanoseconds time, bool armed_anew) {
  cell.stop_deadline_set = true;
  stop_deadlines_.push_back({time, &cell, cell.execution, armed_anew});
  std::push_heap(stop_deadlines_.begin(), stop_deadlines_.end());
}

bool Shard::expire_deadlines() {
  while (!stop_deadlines_.empty() && stop_deadlines_.front().time <= now_) {
    const StopDeadline due = stop_deadlines_.front();
    std::pop_heap(stop_deadlines_.begin(), stop_deadlines_.end());
    stop_deadlines_.pop_back();
    if (due.execution != due.cell->execution) continue;
    if (now_ > later(due.time, standstill) && !due.armed_anew && !expired_) {  // it has its turn first
      set_stop_deadline(*due.cell, later(now_, to_nanoseconds(due.cell->options().stop_timeout)), true);
    } else if (!remove(*due.cell)) {
      return false;
    }
  }
  return true;
}

void Shard::expire_stop() {
  if (!tenure_->leave_loop()) return;
  const ThreadFrame frame(tenure_->frame);
  rouse();
  now_ = clock_.now();
  begin_stop(now_);
  expired_ = true;
  next_run_ = runs_.size();  // nobody is asked any more
  for (std::size_t run = 0; run < runs_.size(); ++run) {
    for (std::size_t i = 0; i < runs_[run].count; ++i) {
      TaskCell& cell = runs_[run].at(i);
      (void)tell_to_stop(cell, StopPurpose::host);
      if (!remove(cell)) return;
    }
  }
}

std::chrono::nanoseconds Shard::longest_stop_timeout() const noexcept {
  std::chrono::nanoseconds longest{0};
  for (const TaskKind& kind : kinds_) longest = std::max<std::chrono::nanoseconds>(longest, kind.options.stop_timeout);
  return longest;
}

// The stop of this task ran out of time.
bool Shard::remove(TaskCell& cell) {
  if (cell.life.state != TaskState::stopping || cell.removed) return true;
  if (cell.stalled) {
    if (stall_of(cell).tenure->abandon()) {
      abandon(cell);
    } else {
      set_stop_deadline(cell, now_ + 1);  // it came back this very moment, and is looked at first
    }
    return true;
  }
  BlockingCall* const call = cell.extra ? cell.extra->call.get() : nullptr;
  // A blocking execution that ended meanwhile has not run out of time.
  if (call != nullptr && call->finished()) return look_after_blocking(cell);
  forget_requests(cell);
  if (call == nullptr) {
    if (expired_) report_straggler(cell, {});
    cell.removed = true;
    return drop(cell);
  }
  // Its thread still runs in it: what it uses stays, and the supervisor sees to it.
  cell.extra->call = nullptr;
  lose_for_good(cell, "run", "its blocking function did not return");
  return true;
}

// --- stalled calls: see tenure.hpp -----------------------------------------------------------------------------------

std::shared_ptr<Tenure> Shard::replace_tenure(std::shared_ptr<Tenure> tenure) noexcept {
  tenure_.swap(tenure);
  return tenure;
}

void Shard::adopt(std::shared_ptr<Tenure> lost, Nanoseconds blocked_for) {
  now_ = clock_.now();
  TaskCell& cell = *lost->pinned();
  const Stage stage = lost->frame.requests.stage;
  stalls_.push_back({.cell = &cell, .tenure = std::move(lost), .since = now_ - blocked_for});
  if (expired_) boost::asio::post(context_, [this] { expire_stop(); });  // the former owner may have been in the midst
  if (stage == Stage::handler && (!is_live(cell.life.state) || cell.removed)) {
    // Of a coroutine long dropped: nobody waits for that.
    stalls_.back().abandoned = stalls_.back().tenure->abandon();
    if (stalls_.back().abandoned) owner_.task_abandoned();
    return;
  }
  cell.stalled = true;
  if (cell.removed) {  // its stop ran out of time, and now its drop does not return
    if (stalls_.back().tenure->abandon()) abandon(cell);
  } else if (stopping_ && cell.life.state == TaskState::stopping && !cell.stop_deadline_set) {
    limit_stop(cell, stop_began_);
  }
}

// No task code is called: that would be on the control thread.
void Shard::give_up() {
  now_ = clock_.now();
  if (!stopping_) stop_began_ = now_;  // its thread has not got to it
  stopping_ = true;
  for_each_cell([this](TaskCell& cell) {
    if (!cell.kind->coordinated) (void)tell_to_stop(cell, StopPurpose::host);
    if (cell.life.state != TaskState::stopping) return;
    std::string where;
    if (&cell == tenure_->pinned()) {
      where = to_string(tenure_->frame.requests.stage);
    } else if (cell.stalled) {
      where = to_string(stall_of(cell).tenure->frame.requests.stage);
    } else if (cell.kind->blocking) {
      where = "run";
    }
    if (cell.kind->coordinated) {
      report_straggler(cell, where);
    } else {
      lose_for_good(cell, where, "its shard was given up");
    }
  });
}

// After its tenure is.
void Shard::abandon(TaskCell& cell) {
  Stall& stall = stall_of(cell);
  stall.abandoned = true;
  const std::string stage(to_string(stall.tenure->frame.requests.stage));
  lose_for_good(cell, stage, "its " + stage + " did not return");
}

void Shard::lose_for_good(TaskCell& cell, const std::string& where, const std::string& what) {
  report_straggler(cell, where);
  owner_.task_abandoned();
  ended(cell, Ending::abandoned, Outcome::cancelled, what);
}

void Shard::report_straggler(const TaskCell& cell, std::string where) {
  const SupervisedCell* const supervised = cell.supervised();
  const Nanoseconds asked = supervised != nullptr ? supervised->asked_at : stop_began_;
  owner_.did_not_stop({cell.index, cell.name(), cell.execution, std::move(where), clock_.now() - asked});
}

Shard::Stall& Shard::stall_of(const TaskCell& cell) noexcept {
  return *std::find_if(stalls_.begin(), stalls_.end(),
                       [&](const Stall& stall) { return stall.cell == &cell && !stall.abandoned; });
}

// On the thread that lost the shard.
bool Shard::lose(Tenure& tenure, const LateResult& late) noexcept {
  tenure.come_back(late, [bell = WakePort::waker(bell_)] { WakePort::wake(bell); });
  return false;
}

bool Shard::take_back_stalled() {
  while (true) {
    const auto back =
        std::find_if(stalls_.begin(), stalls_.end(), [](const Stall& stall) { return stall.tenure->is_back(); });
    if (back == stalls_.end()) return true;
    Stall stall = std::move(*back);
    stalls_.erase(back);
    if (!resume_stalled(std::move(stall))) return false;
  }
}

bool Shard::resume_stalled(Stall stall) {
  TaskCell& cell = *stall.cell;
  const CallFrame& frame = stall.tenure->frame;
  const LateResult late = stall.tenure->late();
  cell.stalled = false;
  if (stall.tenure->told()) {
    sink_.log(LogLevel::info, cell.name(),
              "its " + std::string(to_string(frame.requests.stage)) + " returned after " +
                  std::to_string((clock_.now() - stall.since) / 1'000'000) + " ms");
  }
  for (auto& work : stall.deferred) boost::asio::post(context_, std::move(work));
  if (stall.woken) wake(cell);
  switch (frame.requests.stage) {
    case Stage::start:
      return after_start(cell, frame, late.status);
    case Stage::poll:
      return after_poll(cell, frame, late.status);
    case Stage::drop:
      if (late.after_exit) {
        after_drop(cell, late);
      } else {
        after_removal(cell, frame);
      }
      return true;
    case Stage::handler:
      return true;
  }
  return true;
}

}  // namespace taskhost
