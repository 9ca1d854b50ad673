// The coordinator's bookkeeping: states and the counts that depend on them, dependencies, groups, and which task is
// started or asked next.
#include <algorithm>
#include <set>

#include "coordinator.hpp"

namespace taskhost {

void Coordinator::news(TaskNews news, Nanoseconds now) {
  Entry& entry = entries_[news.task];
  news.execution = entry.execution;
  news.remaining = machine_of(entry).remaining(now);
  if (note_news(entry.life, news)) entry.last_message = news.message;
  port_.tell(news);
}

// --- states ----------------------------------------------------------------------------------------------------------

void Coordinator::change(Place task, TaskState next) {
  Entry& entry = entries_[task];
  const TaskState before = entry.life.state;
  const bool was_live = taskhost::is_live(before);
  const bool will_be_live = taskhost::is_live(next);
  const bool held_up = holds(entry);
  entry.life.state = next;
  entry.since = now_;
  live_ += static_cast<std::size_t>(will_be_live) - static_cast<std::size_t>(was_live);
  busy_ += static_cast<std::size_t>(next != TaskState::ended) - static_cast<std::size_t>(before != TaskState::ended);
  if (before == TaskState::running || before == TaskState::delayed) set_satisfied(task, false);
  if (was_live && !will_be_live) {
    const bool was_leaving = entry.leaving;
    entry.leaving = false;
    entry.life.to_ask = false;
    free_to_ask_.erase(task);
    for (const Place other : entry.after) {
      Entry& waits = entries_[other];
      if (!waits.life.to_ask || waits.blockers == 0) continue;
      if (!stopping_ && !(was_leaving && waits.leaving && waits.group == entry.group)) continue;
      if (--waits.blockers == 0) free_to_ask_.insert(other);
    }
  }
  if (entry.group == no_group) return;
  Group& group = groups_[entry.group];
  group.holding += static_cast<std::uint32_t>(holds(entry)) - static_cast<std::uint32_t>(held_up);
  if (group.restarting && group.holding == 0) groups_at_rest_.push_back(entry.group);
}

void Coordinator::set_held(Place task, bool held) {
  Entry& entry = entries_[task];
  if (entry.held == held) return;
  const bool before = holds(entry);
  entry.held = held;
  Group& group = groups_[entry.group];
  group.holding += static_cast<std::uint32_t>(holds(entry)) - static_cast<std::uint32_t>(before);
  if (group.restarting && group.holding == 0) groups_at_rest_.push_back(entry.group);
}

// To be called whenever the task's machine may have changed its deadline.
void Coordinator::arm(Place task) {
  Entry& entry = entries_[task];
  if (entry.armed == entry.supervision.deadline) return;
  if (entry.armed != never) deadlines_.erase({entry.armed, task});
  entry.armed = entry.supervision.deadline;
  if (entry.armed != never) deadlines_.insert({entry.armed, task});
}

void Coordinator::set_satisfied(Place task, bool satisfied) {
  Entry& entry = entries_[task];
  if (entry.satisfied == satisfied) return;
  entry.satisfied = satisfied;
  for (const Place other : entry.dependants) {
    Entry& dependant = entries_[other];
    dependant.unsatisfied += satisfied ? -1u : 1u;
    if (dependant.unsatisfied == 0) to_look_at_.insert(other);
  }
}

void Coordinator::set_lost(Place task, bool lost) {
  Entry& entry = entries_[task];
  if (entry.lost == lost) return;
  entry.lost = lost;
  for (const Place other : entry.dependants) {
    entries_[other].lost_after += lost ? 1u : -1u;
    if (lost) to_look_at_.insert(other);
  }
}

void Coordinator::finish(Place task, bool well) {
  entries_[task].supervision.deadline = never;
  arm(task);
  change(task, TaskState::ended);
  set_satisfied(task, well);
  set_lost(task, !well);
}

// --- who stops -------------------------------------------------------------------------------------------------------

// Whether one that is to be asked to end has to wait until this one has ended, which comes after it.
bool Coordinator::is_blocked_by(const Entry& entry, Place dependant) const noexcept {
  const StopPurpose purpose = entry.life.purpose;
  const bool for_group = entry.leaving && (purpose == StopPurpose::again || purpose == StopPurpose::discard);
  if (!is_live(dependant) || !(stopping_ || for_group)) return false;
  return stopping_ || (entries_[dependant].leaving && entries_[dependant].group == entry.group);
}

// The caller has to count its blockers afterwards.
void Coordinator::want_stop(Place task, StopPurpose purpose) {
  machine_of(entries_[task]).want_stop(purpose);
  arm(task);
}

void Coordinator::count_blockers(Place task) {
  Entry& entry = entries_[task];
  if (!entry.life.to_ask) return;
  entry.blockers = 0;
  for (const Place other : entry.dependants) {
    if (is_blocked_by(entry, other)) ++entry.blockers;
  }
  if (entry.blockers == 0) free_to_ask_.insert(task);
}

// --- groups ----------------------------------------------------------------------------------------------------------

// The result is valid until the next call.
std::vector<Place>& Coordinator::others_concerned(Place task) noexcept {
  const Entry& entry = entries_[task];
  std::vector<Place>& others = concerned_;
  others.clear();
  if (entry.group == no_group) return others;
  const Group& group = groups_[entry.group];
  if (group.strategy == Strategy::one_for_one) return others;
  for (const Place member : group.members) {
    if (member == task || (group.strategy == Strategy::rest_for_one && member < task)) continue;
    others.push_back(member);
  }
  return others;
}

// The task is to start again, and with it those that its group's strategy concerns.
void Coordinator::hold_group(Place task) {
  const std::vector<Place>& others = others_concerned(task);
  if (others.empty()) return;
  groups_[entries_[task].group].restarting = true;
  set_held(task, true);
  for (const Place other : others) {
    Entry& entry = entries_[other];
    set_held(other, true);  // even one that is over: an operator may start it
    if (entry.life.state == TaskState::delayed && !waits_for_time(entry)) {
      entry.supervision.deadline = never;
      arm(other);
      change(other, TaskState::waiting);
    } else if (is_live(other)) {
      entry.leaving = true;
      want_stop(other, StopPurpose::again);
    }
  }
  count_blockers_of_group(task);
  if (groups_[entries_[task].group].holding == 0) groups_at_rest_.push_back(entries_[task].group);
}

// The task is gone for good, and with it those that its group's strategy concerns. If the host can't do without one of
// them, it stops instead.
void Coordinator::discard_group(Place task, Nanoseconds now) {
  if (closing_ || stopping_) return;
  std::vector<Place>& others = others_concerned(task);
  std::erase_if(others, [this](Place other) {
    Entry& entry = entries_[other];
    return entry.life.state == TaskState::ended || entry.life.state == TaskState::stopped ||
           (machine_of(entry).is_to_stop() && entry.life.purpose == StopPurpose::operator_stop);
  });
  for (const Place other : others) {
    if (entries_[other].options.type == TaskType::detachable) continue;
    stop_host(other, StopReason::group, true, {});
    return;
  }
  for (const Place other : others) {
    Entry& entry = entries_[other];
    if (!is_live(other)) {
      discard({.task = other, .outcome = Outcome::cancelled, .reason = StopReason::group, .because = task}, now);
      continue;
    }
    if (!machine_of(entry).is_to_stop() || entry.life.purpose != StopPurpose::discard) entry.discarded_for = task;
    entry.leaving = true;
    want_stop(other, StopPurpose::discard);
  }
  count_blockers_of_group(task);
}

void Coordinator::count_blockers_of_group(Place task) {
  if (entries_[task].group == no_group) return;
  for (const Place member : groups_[entries_[task].group].members) {
    if (entries_[member].leaving) count_blockers(member);
  }
}

// --- what follows ----------------------------------------------------------------------------------------------------

// Repeats until there is nothing left to do: first releases groups that are at rest, then asks tasks that may be asked
// to stop, the last one first, then starts or skips the first task for which that is due.
void Coordinator::settle(Nanoseconds now) {
  for (;;) {
    if (!groups_at_rest_.empty()) {
      const std::uint32_t number = groups_at_rest_.back();
      groups_at_rest_.pop_back();
      Group& group = groups_[number];
      if (!group.restarting || group.holding != 0) continue;
      group.restarting = false;
      for (const Place member : group.members) {
        if (!entries_[member].held) continue;
        set_held(member, false);
        to_look_at_.insert(member);
      }
    } else if (!free_to_ask_.empty()) {
      const Place task = free_to_ask_.last();
      free_to_ask_.erase(task);
      Entry& entry = entries_[task];
      if (!entry.life.to_ask || entry.blockers != 0 || !entry.supervision.begun) continue;
      entry.life.to_ask = false;
      change(task, TaskState::stopping);
      news({.kind = EventKind::task_stopping, .task = task}, now);
      port_.ask(task);
    } else if (!to_look_at_.empty()) {
      const Place task = to_look_at_.first();
      to_look_at_.erase(task);
      look_at(task, now);
    } else {
      return;
    }
  }
}

void Coordinator::look_at(Place task, Nanoseconds now) {
  Entry& entry = entries_[task];
  if (stopping_ || closing_) return;
  if (entry.life.state != TaskState::waiting && entry.life.state != TaskState::delayed) return;
  if (entry.lost_after != 0) {
    const auto because =
        std::find_if(entry.after.begin(), entry.after.end(), [this](Place other) { return entries_[other].lost; });
    const bool needed = entry.options.type != TaskType::detachable;
    discard({.task = task, .outcome = Outcome::cancelled, .reason = StopReason::skipped, .because = *because}, now);
    if (needed) stop_host(task, StopReason::skipped, true, {});
    return;
  }
  if (entry.life.state != TaskState::waiting || entry.held || entry.unsatisfied != 0) return;
  ++entry.execution;
  machine_of(entry).prepare();
  change(task, TaskState::starting);
  port_.start(task, machine_of(entry).remaining(now));
}

void Coordinator::report(Place task, Nanoseconds now, TaskReport& report) {
  Entry& entry = entries_[task];
  const TaskLife& life = entry.life;
  const TaskMachine machine = machine_of(entry);
  const bool has_execution = taskhost::is_live(life.state) && entry.supervision.begun;
  report.state = life.state;
  report.at = now;
  report.since = entry.since;
  report.execution = entry.execution - (taskhost::is_live(life.state) && !has_execution ? 1 : 0);
  if (has_execution) report.started_at = entry.begun_at;
  report.ready = life.state == TaskState::running;
  if (machine.is_to_stop()) report.purpose = life.purpose;
  if (life.state == TaskState::delayed) report.next_start = machine.next_start(now);
  report.waits_for_time = machine.waits_for_time();
  report.remaining = machine.remaining(now);
  if (life.last_outcome != no_outcome) report.last_outcome = life.last_outcome;
  report.last_message = entry.last_message;
  if (entry.group != no_group) report.group = entry.group;
  report.after = entry.after;
  report.abandoned = life.unstoppable;
  if (life.state == TaskState::ended) {
    if (life.is_discarded) report.over_for = life.discarded_for;
    report.is_lost = life.is_lost;
  }
  const bool waits = life.state == TaskState::waiting || life.state == TaskState::delayed;
  report.waits_for_group = waits && entry.held;
  const bool was_skipped =
      life.state == TaskState::ended && life.is_discarded && life.discarded_for == StopReason::skipped;
  for (const Place other : entry.after) {
    if (waits ? !entries_[other].satisfied : was_skipped && entries_[other].lost) report.waits_for.push_back(other);
  }
  if (!is_held_up(entry)) return;
  for (const Place other : entry.dependants) {
    if (is_blocked_by(entry, other)) report.waits_for.push_back(other);
  }
}

void Coordinator::count(TaskCounts& counts) const noexcept {
  for (const Entry& entry : entries_) {
    counts.add(entry.options.type, entry.life.state, entry.life.is_lost, waits_for_time(entry));
  }
  counts.restarts += restarts_;
  for (std::size_t i = 0; i < exits_.size(); ++i) counts.exits[i] += exits_[i];
  counts.gave_up += gave_up_;
}

std::vector<Place> Coordinator::held_up_by(Place task, std::size_t most) const {
  std::vector<Place> held_up;
  std::set<Place> seen;
  for (std::size_t visited = 0; visited <= held_up.size() && held_up.size() < most; ++visited) {
    const Place next = visited == 0 ? task : held_up[visited - 1];
    for (const Place other : entries_[next].after) {
      const bool waits = expired_ ? entries_[other].was_held_up : is_held_up(entries_[other]);
      if (waits && held_up.size() < most && seen.insert(other).second) held_up.push_back(other);
    }
  }
  return held_up;
}

}  // namespace taskhost
