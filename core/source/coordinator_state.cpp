// The coordinator's bookkeeping: states and what is counted by them, dependencies, groups, and who is started and asked
// next.
#include <algorithm>
#include <set>

#include "taskhost/core/coordinator.hpp"

namespace taskhost {

namespace {

// splitmix64's finalizer: bits that look random, and are the same for the same numbers.
constexpr std::uint64_t mix(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

}  // namespace

double Coordinator::random(Place task, std::uint64_t number) const noexcept {
  return static_cast<double>(mix(mix(seed_ ^ task) ^ number) >> 11) * 0x1p-53;
}

void Coordinator::news(TaskNews news, Nanoseconds now) {
  Entry& entry = entries_[news.task];
  news.execution = entry.execution;
  news.remaining = remaining_restarts(entry.options, entry.ledger, now);
  port_.tell(news);
}

// --- states ----------------------------------------------------------------------------------------------------------

void Coordinator::change(Place task, State next) {
  Entry& entry = entries_[task];
  const State before = entry.state;
  const bool held_up = holds(entry);
  entry.state = next;
  live_ += static_cast<std::size_t>(is_live(next)) - static_cast<std::size_t>(is_live(before));
  busy_ += static_cast<std::size_t>(next != State::ended) - static_cast<std::size_t>(before != State::ended);
  if (before == State::running) set_satisfied(task, false);
  if (is_live(before) && !is_live(next)) {
    const bool was_leaving = entry.leaving;
    entry.leaving = false;
    entry.to_ask = false;
    free_to_ask_.erase(task);
    for (const Place other : entry.after) {
      Entry& waits = entries_[other];
      if (!waits.to_ask || waits.blockers == 0) continue;
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

void Coordinator::set_deadline(Place task, Nanoseconds deadline) {
  Entry& entry = entries_[task];
  if (entry.deadline != never) deadlines_.erase({entry.deadline, task});
  entry.deadline = deadline;
  if (deadline != never) deadlines_.insert({deadline, task});
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
  set_deadline(task, never);
  change(task, State::ended);
  set_satisfied(task, well);
  set_lost(task, !well);
}

// --- who stops -------------------------------------------------------------------------------------------------------

// It is not watched any more. Afterwards its blockers have to be counted.
void Coordinator::want_stop(Place task, Purpose purpose) {
  Entry& entry = entries_[task];
  entry.purpose = is_to_stop(entry) ? std::min(entry.purpose, purpose) : purpose;
  entry.to_ask = entry.state != State::stopping;
  set_deadline(task, never);
}

void Coordinator::count_blockers(Place task) {
  Entry& entry = entries_[task];
  if (!entry.to_ask) return;
  entry.blockers = 0;
  const bool for_group = entry.leaving && (entry.purpose == Purpose::again || entry.purpose == Purpose::discard);
  if (stopping_ || for_group) {
    for (const Place other : entry.dependants) {
      const Entry& dependant = entries_[other];
      const bool counts = stopping_ || (dependant.leaving && dependant.group == entry.group);
      if (counts && is_live(dependant.state)) ++entry.blockers;
    }
  }
  if (entry.blockers == 0) free_to_ask_.insert(task);
}

// --- groups ----------------------------------------------------------------------------------------------------------

std::vector<Place> Coordinator::others_concerned(Place task) const {
  const Entry& entry = entries_[task];
  std::vector<Place> others;
  if (entry.group == no_group) return others;
  const Group& group = groups_[entry.group];
  if (group.strategy == Strategy::one_for_one) return others;
  for (const Place member : group.members) {
    if (member == task || (group.strategy == Strategy::rest_for_one && member < task)) continue;
    others.push_back(member);
  }
  return others;
}

// The task is to start again: so are the others that its group's strategy concerns.
void Coordinator::hold_group(Place task) {
  const std::vector<Place> others = others_concerned(task);
  if (others.empty()) return;
  groups_[entries_[task].group].restarting = true;
  set_held(task, true);
  for (const Place other : others) {
    Entry& entry = entries_[other];
    set_held(other, true);  // those that are over too: an operator may start them
    if (entry.state == State::delayed) {
      set_deadline(other, never);
      change(other, State::waiting);
    } else if (is_live(entry.state)) {
      entry.leaving = true;
      want_stop(other, Purpose::again);
    }
  }
  count_blockers_of_group(task);
  if (groups_[entries_[task].group].holding == 0) groups_at_rest_.push_back(entries_[task].group);
}

// The task is gone for good: so are those others; and if the host can't do without one of them, the host stops instead.
void Coordinator::discard_group(Place task, Nanoseconds now) {
  if (closing_ || stopping_) return;
  std::vector<Place> others = others_concerned(task);
  std::erase_if(others, [this](Place other) {
    const Entry& entry = entries_[other];
    return entry.state == State::ended || entry.state == State::stopped ||
           (is_to_stop(entry) && entry.purpose == Purpose::operator_stop);
  });
  for (const Place other : others) {
    if (entries_[other].options.type == TaskType::detachable) continue;
    stop_host(other, StopReason::group, true, {});
    return;
  }
  for (const Place other : others) {
    Entry& entry = entries_[other];
    if (!is_live(entry.state)) {
      discard({.task = other, .outcome = Outcome::cancelled, .reason = StopReason::group, .because = task}, now);
      continue;
    }
    if (!is_to_stop(entry) || entry.purpose != Purpose::discard) entry.discarded_for = task;
    entry.leaving = true;
    want_stop(other, Purpose::discard);
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

// Until nothing more follows from what is: groups that are at rest let go, then whoever may be asked to stop is asked,
// the last first, then the first task that can be started or has to be skipped is.
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
      if (!entry.to_ask || entry.blockers != 0 || !entry.begun) continue;
      entry.to_ask = false;
      change(task, State::stopping);
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
  if (entry.state != State::waiting && entry.state != State::delayed) return;
  if (entry.lost_after != 0) {
    const auto because =
        std::find_if(entry.after.begin(), entry.after.end(), [this](Place other) { return entries_[other].lost; });
    const bool needed = entry.options.type != TaskType::detachable;
    discard({.task = task, .outcome = Outcome::cancelled, .reason = StopReason::skipped, .because = *because}, now);
    if (needed) stop_host(task, StopReason::skipped, true, {});
    return;
  }
  if (entry.state != State::waiting || entry.held || entry.unsatisfied != 0) return;
  ++entry.execution;
  entry.begun = false;
  entry.start_over = false;
  entry.said_ready = false;
  entry.armed_anew = false;
  entry.failure.clear();
  change(task, State::starting);
  port_.start(task, remaining_restarts(entry.options, entry.ledger, now));
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
