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
      if (!run.at(i).coordinated && !ask(run.at(i))) return;  // can't be: asking a blocking task calls nothing
    }
  }
  for (std::size_t i = 0; i < stalls_.size(); ++i) {
    if (!stalls_[i].cell->coordinated) (void)ask(*stalls_[i].cell);
    for (auto& work : std::exchange(stalls_[i].deferred, {})) boost::asio::post(context_, std::move(work));
  }
}

bool Shard::ask_next() {
  const Run& run = runs_[next_run_];
  if (!run.kind->blocking && next_cell_ < run.count) {
    TaskCell& cell = run.at(next_cell_++);
    return cell.coordinated || ask(cell);  // the coordinator's are asked when it says so
  }
  ++next_run_;
  next_cell_ = 0;
  return true;
}

// True: an execution lives, and knows now that it has to end.
bool Shard::tell_to_stop(TaskCell& cell) {
  if (cell.coordinated && cell.machine.state != TaskState::running) return false;
  const Action action = cell.machine.resume(cell.options(), TaskEvent::stop_requested);
  if (action == Action::cancel) end(cell);
  if (action != Action::ask) return false;
  cell.stop_asked.store(true, std::memory_order_release);
  if (cell.coordinated) {
    cell.extra->coordinated->asked_at = clock_.now();
  } else {
    publish(cell, EventKind::task_stopping);
  }
  return true;
}

bool Shard::ask(TaskCell& cell) {
  if (!tell_to_stop(cell)) return true;
  if (!cell.kind->blocking && !cell.stalled) return poll(cell);  // its deadline is set if it does not end at once
  limit_stop(cell);
  if (!cell.stalled) {
    cell.extra->call->request_stop();
  } else if (!cell.kind->blocking) {
    stall_of(cell).woken = true;  // to be polled once more when it is back
  }
  return true;
}

void Shard::limit_stop(TaskCell& cell) {
  cell.stop_deadline_set = true;
  const Nanoseconds asked = cell.coordinated ? cell.extra->coordinated->asked_at : stop_began_;
  const Nanoseconds time = expired_ ? now_ : later(asked, to_nanoseconds(cell.options().stop_timeout));
  stop_deadlines_.push_back({time, &cell, cell.execution, false});
  std::push_heap(stop_deadlines_.begin(), stop_deadlines_.end());
}

bool Shard::expire_deadlines() {
  while (!stop_deadlines_.empty() && stop_deadlines_.front().time <= now_) {
    const StopDeadline due = stop_deadlines_.front();
    std::pop_heap(stop_deadlines_.begin(), stop_deadlines_.end());
    stop_deadlines_.pop_back();
    if (now_ > later(due.time, standstill) && !due.armed_anew && !expired_) {  // it has its turn first
      const Nanoseconds anew = later(now_, to_nanoseconds(due.cell->options().stop_timeout));
      stop_deadlines_.push_back({anew, due.cell, due.execution, true});
      std::push_heap(stop_deadlines_.begin(), stop_deadlines_.end());
      continue;
    }
    if (due.execution == due.cell->execution && !remove(*due.cell)) return false;
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
      (void)tell_to_stop(cell);
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
  if (cell.machine.state != TaskState::stopping) return true;
  if (cell.stalled) {
    if (stall_of(cell).tenure->abandon()) abandon(cell);  // else it came back this very moment, and is looked at next
    return true;
  }
  BlockingCall* const call = cell.extra ? cell.extra->call.get() : nullptr;
  // A blocking execution that ended meanwhile has not run out of time.
  if (call != nullptr && call->finished()) return look_after_blocking(cell);
  cell.machine.resume(cell.options(), TaskEvent::stop_expired);
  forget_requests(cell);
  if (call == nullptr) {
    if (expired_) report_straggler(cell, {});
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
  cell.stalled = true;
  stalls_.push_back({&cell, std::move(lost), now_ - blocked_for, false, {}});
  if (stopping_ && cell.machine.state == TaskState::stopping && !cell.stop_deadline_set) limit_stop(cell);
  if (expired_) boost::asio::post(context_, [this] { expire_stop(); });  // the former owner may have been in the midst
  if (cell.machine.state != TaskState::ended) return;
  // Its stop ran out of time, and now its drop does not return; or what is left of a coroutine long dropped.
  if (!stalls_.back().tenure->abandon()) return;
  if (stage == Stage::drop) {
    abandon(cell);
  } else {
    owner_.task_abandoned();
  }
}

// No task code is called: that would be on the control thread.
void Shard::give_up() {
  now_ = clock_.now();
  if (!stopping_) stop_began_ = now_;  // its thread has not got to it
  stopping_ = true;
  for_each_cell([this](TaskCell& cell) {
    if (!cell.coordinated) (void)tell_to_stop(cell);
    if (cell.machine.state != TaskState::stopping) return;
    std::string where;
    if (&cell == tenure_->pinned()) {
      where = to_string(tenure_->frame.requests.stage);
    } else if (cell.stalled) {
      where = to_string(stall_of(cell).tenure->frame.requests.stage);
    } else if (cell.kind->blocking) {
      where = "run";
    }
    if (cell.coordinated) {
      report_straggler(cell, where);
      return;
    }
    cell.machine.resume(cell.options(), TaskEvent::stop_expired);
    lose_for_good(cell, where, "its shard was given up");
  });
}

void Shard::abandon(TaskCell& cell) {
  cell.machine.resume(cell.options(), TaskEvent::stop_expired);
  const std::string stage(to_string(stall_of(cell).tenure->frame.requests.stage));
  lose_for_good(cell, stage, "its " + stage + " did not return");
}

void Shard::lose_for_good(TaskCell& cell, const std::string& where, const std::string& what) {
  report_straggler(cell, where);
  owner_.task_abandoned();
  if (cell.coordinated) {
    report_end(cell, Coordinator::Ending::abandoned, Outcome::cancelled, what);
    cell.machine.state = TaskState::ended;  // it can't be started any more
  } else {
    publish(cell, EventKind::task_abandoned, Outcome::cancelled, what);
    end(cell);
  }
}

void Shard::report_straggler(const TaskCell& cell, std::string where) {
  const Nanoseconds asked = cell.coordinated ? cell.extra->coordinated->asked_at : stop_began_;
  owner_.did_not_stop({cell.index, cell.name(), cell.execution, std::move(where), clock_.now() - asked});
}

Shard::Stall& Shard::stall_of(const TaskCell& cell) noexcept {
  return *std::find_if(stalls_.begin(), stalls_.end(), [&](const Stall& stall) { return stall.cell == &cell; });
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
  if (cell.machine.state == TaskState::stopping) limit_stop(cell);  // it may have passed meanwhile
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
