// The coordinator's inputs, and their effects on the task itself. The bookkeeping is in coordinator_state.cpp.
#include "coordinator.hpp"

#include <algorithm>
#include <utility>

namespace taskhost {

// Passes a machine's news on, and adds what only the coordinator knows.
class Coordinator::Voice final : public TaskVoice {
 public:
  Voice(Coordinator& coordinator, Place task, Nanoseconds now) : coordinator_(coordinator), task_(task), now_(now) {}

  void tell(TaskNews&& news) override {
    news.task = task_;
    if (news.kind == EventKind::task_exited) ++coordinator_.exits_[static_cast<std::size_t>(news.outcome)];
    if (news.kind == EventKind::task_gave_up) ++coordinator_.gave_up_;
    if (news.kind == EventKind::task_discarded && news.reason == StopReason::group) {
      news.because = coordinator_.entries_[task_].discarded_for;
    }
    coordinator_.news(std::move(news), now_);
  }
  void stop_host(StopReason reason, bool failure, std::string_view message) override {
    coordinator_.stop_host(task_, reason, failure, message);
  }

 private:
  Coordinator& coordinator_;
  const Place task_;
  const Nanoseconds now_;
};

Coordinator::Coordinator(std::vector<CoordinatedTask> tasks, std::vector<Strategy> groups, std::uint64_t seed,
                         CoordinatorPort& port)
    : seed_(seed), port_(port) {
  groups_.resize(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) groups_[i].strategy = groups[i];
  entries_.resize(tasks.size());
  for (Place task = 0; task < tasks.size(); ++task) {
    Entry& entry = entries_[task];
    entry.options = std::move(tasks[task].options);
    entry.after = std::move(tasks[task].after);
    entry.unsatisfied = static_cast<std::uint32_t>(entry.after.size());
    for (const Place other : entry.after) entries_[other].dependants.push_back(task);
    if (tasks[task].group) {
      entry.group = *tasks[task].group;
      groups_[entry.group].members.push_back(task);
    }
  }
  busy_ = entries_.size();
  // Memory is reserved now, while a failure can still be reported to whoever starts the host.
  free_to_ask_.reserve(static_cast<Place>(entries_.size()));
  to_look_at_.reserve(static_cast<Place>(entries_.size()));
  groups_at_rest_.reserve(groups_.size());
  std::size_t largest = 0;
  for (const Group& group : groups_) largest = std::max(largest, group.members.size());
  concerned_.reserve(largest);
}

void Coordinator::begin(Nanoseconds now) {
  now_ = now;
  for (Place task = 0; task < entries_.size(); ++task) {
    entries_[task].since = now;
    to_look_at_.insert(task);
  }
  settle(now);
}

// --- facts -----------------------------------------------------------------------------------------------------------

void Coordinator::begun(Place task, Nanoseconds now) {
  now_ = now;
  Entry& entry = entries_[task];
  if (entry.life.state != TaskState::starting || entry.supervision.begun) return;
  machine_of(entry).begun(now);
  entry.begun_at = now;
  arm(task);
  if (entry.life.to_ask) free_to_ask_.insert(task);
  settle(now);
}

void Coordinator::started(Place task, Nanoseconds now) {
  now_ = now;
  Entry& entry = entries_[task];
  if (!is_live(task) || !entry.supervision.begun) return;
  entry.supervision.start_over = true;
  become_ready(task, now);
  settle(now);
}

void Coordinator::said_ready(Place task, Nanoseconds now) {
  now_ = now;
  Entry& entry = entries_[task];
  if (!is_live(task) || !entry.supervision.begun || entry.supervision.said_ready) return;
  entry.supervision.said_ready = true;
  news({.kind = EventKind::task_ready, .task = task}, now);
  become_ready(task, now);
  settle(now);
}

// Does nothing unless the task is ready.
void Coordinator::become_ready(Place task, Nanoseconds now) {
  if (!machine_of(entries_[task]).becomes_ready(now)) return;
  arm(task);
  change(task, TaskState::running);
  set_satisfied(task, true);
}

void Coordinator::step_ended(Place task) {
  if (!is_live(task) || !entries_[task].supervision.begun) return;
  machine_of(entries_[task]).step_ended();
  arm(task);
}

void Coordinator::ended(Place task, const End& end, Nanoseconds now) {
  now_ = now;
  Entry& entry = entries_[task];
  if (!is_live(task)) return;
  const bool can_be = entry.supervision.begun ? end.ending != Ending::refused
                                              : end.ending == Ending::refused || end.ending == Ending::abandoned;
  if (!can_be) return;
  if (end.ending == Ending::refused) {
    closing_ = true;
    --entry.execution;
    finish(task, false);
  } else {
    const bool of_group = entry.life.to_ask && entry.leaving;
    const bool asked = entry.life.state == TaskState::stopping || of_group;
    const double random = chance(seed_, task, entry.supervision.ledger.lifetime);
    Voice voice(*this, task, now);
    const TaskMachine::Next next =
        machine_of(entry).end(end, !asked && end.ending == Ending::returned, phase(), now, random, voice);
    if (next.restarts) ++restarts_;
    follow(task, next, now);
  }
  settle(now);
}

void Coordinator::follow(Place task, const TaskMachine::Next& next, Nanoseconds now) {
  if (next.state == TaskState::ended) {
    finish(task, next.well);
    if (next.is_given_up) discard_group(task, now);
    return;
  }
  arm(task);
  change(task, next.state);
  if (waits_for_time(entries_[task])) set_satisfied(task, true);
  if (next.with_group) hold_group(task);
  if (next.state != TaskState::stopped) to_look_at_.insert(task);
}

void Coordinator::follow(Place task, TaskMachine::Step step) {
  arm(task);
  switch (step) {
    case TaskMachine::Step::nothing:
      break;
    case TaskMachine::Step::wait:
      set_satisfied(task, false);
      set_lost(task, false);
      forget_end(entries_[task].life);
      change(task, TaskState::waiting);
      to_look_at_.insert(task);
      break;
    case TaskMachine::Step::stop:
      change(task, TaskState::stopped);
      break;
    case TaskMachine::Step::ask:
      count_blockers(task);
      break;
  }
}

void Coordinator::discard(TaskNews how, Nanoseconds now) {
  const Place task = how.task;
  how.kind = EventKind::task_discarded;
  news(std::move(how), now);
  finish(task, false);
}

void Coordinator::stop_host(Place task, StopReason reason, bool failure, std::string_view message) {
  closing_ = true;
  port_.stop_host(task, reason, failure, message);
}

// --- time, operators and the host ------------------------------------------------------------------------------------

void Coordinator::advance(Nanoseconds now) {
  now_ = now;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const Place task = deadlines_.begin()->second;
    Voice voice(*this, task, now);
    follow(task, machine_of(entries_[task]).due(now, port_.last_heartbeat(task), voice));
    settle(now);
  }
}

void Coordinator::operate(Place task, Operation operation, Nanoseconds now) {
  now_ = now;
  if (stopping_ || closing_) return;
  follow(task, machine_of(entries_[task]).operate(operation));
  settle(now);
}

void Coordinator::begin_stop(Nanoseconds now) {
  now_ = now;
  if (stopping_) return;
  stopping_ = true;
  for (Place task = 0; task < entries_.size(); ++task) {
    Entry& entry = entries_[task];
    if (is_live(task)) {
      entry.leaving = false;
      want_stop(task, StopPurpose::host);
    } else if (entry.life.state != TaskState::ended) {
      finish(task, false);
    }
  }
  for (Place task = 0; task < entries_.size(); ++task) count_blockers(task);
  settle(now);
}

void Coordinator::expire_stop(Nanoseconds now) {
  now_ = now;
  begin_stop(now);
  expired_ = true;
  for (Place task = 0; task < entries_.size(); ++task) {
    entries_[task].was_held_up = is_held_up(entries_[task]);
    if (!entries_[task].life.to_ask) continue;
    entries_[task].blockers = 0;
    free_to_ask_.insert(task);
  }
  settle(now);
}

}  // namespace taskhost
