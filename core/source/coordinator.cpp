// The coordinator's inputs, and what an end leads to. Its bookkeeping is in coordinator_state.cpp.
#include "taskhost/core/coordinator.hpp"

#include <algorithm>
#include <utility>

namespace taskhost {

namespace {

const SupervisionOptions no_options;

}  // namespace

const SupervisionOptions& Coordinator::optional_of(const Entry& entry) noexcept {
  return entry.options.optional ? *entry.options.optional : no_options;
}

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
}

void Coordinator::begin(Nanoseconds now) {
  for (Place task = 0; task < entries_.size(); ++task) to_look_at_.insert(task);
  settle(now);
}

// --- facts -----------------------------------------------------------------------------------------------------------

void Coordinator::begun(Place task, Nanoseconds now) {
  Entry& entry = entries_[task];
  if (entry.state != State::starting || entry.begun) return;
  entry.begun = true;
  if (entry.to_ask) {
    free_to_ask_.insert(task);
  } else if (optional_of(entry).start_timeout) {
    set_deadline(task, later(now, to_nanoseconds(*optional_of(entry).start_timeout)));
  }
  settle(now);
}

void Coordinator::started(Place task, Nanoseconds now) {
  Entry& entry = entries_[task];
  if (!is_live(entry.state) || !entry.begun) return;
  entry.start_over = true;
  become_ready(task, now);
  settle(now);
}

void Coordinator::said_ready(Place task, Nanoseconds now) {
  Entry& entry = entries_[task];
  if (!is_live(entry.state) || !entry.begun || entry.said_ready) return;
  entry.said_ready = true;
  news({.kind = EventKind::task_ready, .task = task}, now);
  become_ready(task, now);
  settle(now);
}

// If it is.
void Coordinator::become_ready(Place task, Nanoseconds now) {
  Entry& entry = entries_[task];
  if (entry.state != State::starting || !entry.start_over || (optional_of(entry).notify && !entry.said_ready)) return;
  set_deadline(task, never);
  change(task, State::running);
  set_satisfied(task, true);
  entry.warned = false;
  entry.armed_anew = false;
  entry.sign = now;
  if (optional_of(entry).watchdog && !entry.to_ask)
    set_deadline(task, later(now, to_nanoseconds(optional_of(entry).watchdog->interval)));
}

void Coordinator::ended(Place task, const End& end, Nanoseconds now) {
  Entry& entry = entries_[task];
  if (!is_live(entry.state)) return;
  const bool can_be =
      entry.begun ? end.ending != Ending::refused : end.ending == Ending::refused || end.ending == Ending::abandoned;
  if (!can_be) return;
  set_deadline(task, never);
  const bool of_group = entry.to_ask && entry.leaving;
  if (end.ending == Ending::refused) {
    closing_ = true;
    --entry.execution;
    finish(task, false);
  } else if (entry.state == State::stopping || of_group || end.ending != Ending::returned) {
    asked_end(task, end, now);
  } else {
    exited(task, end, now);
  }
  settle(now);
}

// --- ends ------------------------------------------------------------------------------------------------------------

// It was asked to end, or was about to be, or the host has ended it without asking.
void Coordinator::asked_end(Place task, const End& end, Nanoseconds now) {
  Entry& entry = entries_[task];
  const Purpose purpose = is_to_stop(entry) ? entry.purpose : Purpose::host;
  if (end.ending != Ending::abandoned && purpose == Purpose::failure && !stopping_) {
    End failed = end;
    failed.outcome = Outcome::error;
    failed.message = std::move(entry.failure);
    exited(task, failed, now);
    return;
  }
  const bool abandoned = end.ending == Ending::abandoned;
  if (entry.begun) {
    if (entry.state != State::stopping) news({.kind = EventKind::task_stopping, .task = task}, now);
    news({.kind = abandoned ? EventKind::task_abandoned : EventKind::task_stopped,
          .task = task,
          .outcome = Outcome::cancelled,
          .uptime = end.uptime,
          .message = end.message},
         now);
  }
  if (abandoned) {
    could_not_stop(task, end.message, now);
    return;
  }
  switch (purpose) {
    case Purpose::host:
    case Purpose::failure:  // the host stops meanwhile
      finish(task, false);
      break;
    case Purpose::operator_stop:
      change(task, State::stopped);
      break;
    case Purpose::discard:
      discard(
          {.task = task, .outcome = Outcome::cancelled, .reason = StopReason::group, .because = entry.discarded_for},
          now);
      break;
    case Purpose::again:
      change(task, State::waiting);
      to_look_at_.insert(task);
      break;
  }
}

// An execution is in it for ever.
void Coordinator::could_not_stop(Place task, const std::string& message, Nanoseconds now) {
  Entry& entry = entries_[task];
  entry.unstoppable = true;
  if (stopping_) {
    finish(task, false);
  } else if (entry.options.type == TaskType::detachable) {
    discard({.task = task, .outcome = Outcome::cancelled, .reason = StopReason::not_stopped, .message = message}, now);
    discard_group(task, now);
  } else {
    finish(task, false);
    stop_host(task, StopReason::not_stopped, true, message);
  }
}

void Coordinator::exited(Place task, const End& end, Nanoseconds now) {
  Entry& entry = entries_[task];
  const Nanoseconds uptime = entry.start_over ? end.uptime : 0;
  give_back_after(entry.options, entry.ledger, end.lived);
  news({.kind = EventKind::task_exited, .task = task, .outcome = end.outcome, .uptime = uptime, .message = end.message},
       now);
  const Judgement judgement =
      judge_exit(entry.options, entry.ledger, end.outcome, end.message, now, random(task, entry.ledger.lifetime));
  switch (judgement.kind) {
    case Judgement::Kind::restart:
      restart(task, judgement.delay, false, now);
      break;
    case Judgement::Kind::discard:
      discard({.task = task,
               .outcome = end.outcome,
               .reason = StopReason::task_exit,
               .message = end.outcome == Outcome::ok ? "it ended well" : end.message},
              now);
      break;
    case Judgement::Kind::stop_host_success:
    case Judgement::Kind::stop_host_failure:
      finish(task, end.outcome == Outcome::ok);
      stop_host(task, StopReason::task_exit, judgement.kind == Judgement::Kind::stop_host_failure, end.message);
      break;
    case Judgement::Kind::give_up:
      give_up(task, end.outcome, end.message, now);
      break;
  }
}

void Coordinator::restart(Place task, Nanoseconds delay, bool cooldown, Nanoseconds now) {
  if (stopping_ || closing_) {
    finish(task, false);
    return;
  }
  news({.kind = EventKind::task_restarting, .task = task, .delay = delay, .cooldown = cooldown}, now);
  change(task, delay != 0 ? State::delayed : State::waiting);
  if (delay != 0) set_deadline(task, later(now, delay));
  hold_group(task);
  to_look_at_.insert(task);
}

void Coordinator::give_up(Place task, Outcome outcome, const std::string& message, Nanoseconds now) {
  Entry& entry = entries_[task];
  news({.kind = EventKind::task_gave_up, .task = task, .outcome = outcome, .message = message}, now);
  switch (after_giving_up(entry.options)) {
    case GiveUp::by_type:
    case GiveUp::stop_host:
      finish(task, false);
      stop_host(task, StopReason::budget_exhausted, true, message);
      break;
    case GiveUp::discard:
      discard({.task = task, .outcome = outcome, .reason = StopReason::budget_exhausted, .message = message}, now);
      discard_group(task, now);
      break;
    case GiveUp::cooldown:
      entry.ledger.give_back();
      restart(task, to_nanoseconds(optional_of(entry).cooldown), true, now);
      break;
  }
}

void Coordinator::discard(TaskNews how, Nanoseconds now) {
  const Place task = how.task;
  const bool well = how.reason == StopReason::task_exit && how.outcome == Outcome::ok;
  how.kind = EventKind::task_discarded;
  news(std::move(how), now);
  finish(task, well);
}

void Coordinator::stop_host(Place task, StopReason reason, bool failure, std::string_view message) {
  closing_ = true;
  port_.stop_host(task, reason, failure, message);
}

// --- time ------------------------------------------------------------------------------------------------------------

void Coordinator::advance(Nanoseconds now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto [deadline, task] = *deadlines_.begin();
    set_deadline(task, never);
    fire(task, deadline, now);
    settle(now);
  }
}

void Coordinator::fire(Place task, Nanoseconds deadline, Nanoseconds now) {
  Entry& entry = entries_[task];
  const bool stood_still = now > later(deadline, standstill);
  if (entry.state == State::delayed) {
    change(task, State::waiting);
    to_look_at_.insert(task);
  } else if (entry.state == State::starting) {
    if (stood_still && !entry.armed_anew) return arm_anew(task, *optional_of(entry).start_timeout, now);
    entry.failure = lateness_message(*optional_of(entry).start_timeout);
    want_stop(task, Purpose::failure);
    count_blockers(task);
  } else if (entry.state == State::running) {
    watch(task, stood_still, now);
  }
}

// Time that nobody could use charges nobody: the task has its turn first.
void Coordinator::arm_anew(Place task, std::chrono::nanoseconds duration, Nanoseconds now) {
  entries_[task].armed_anew = true;
  set_deadline(task, later(now, to_nanoseconds(duration)));
}

void Coordinator::watch(Place task, bool stood_still, Nanoseconds now) {
  Entry& entry = entries_[task];
  const Watchdog& watchdog = *optional_of(entry).watchdog;
  const Nanoseconds interval = to_nanoseconds(watchdog.interval);
  // After a heartbeat it is this timer's turn again when it is due, be that now: others may come before it.
  if (const Nanoseconds heartbeat = port_.last_heartbeat(task); heartbeat > entry.sign) {
    entry.sign = heartbeat;
    entry.warned = false;
    entry.armed_anew = false;
    set_deadline(task, later(entry.sign, interval));
    return;
  }
  if (stood_still && !entry.armed_anew && !entry.warned) return arm_anew(task, watchdog.interval, now);
  const std::string message = silence_message(watchdog.interval);
  if (watchdog.action == WatchdogAction::restart) {
    entry.failure = message;
    want_stop(task, Purpose::failure);
    count_blockers(task);
    return;
  }
  set_deadline(task, later(now, interval));
  if (entry.warned) return;
  entry.warned = true;
  news({.kind = EventKind::task_stalled, .task = task, .silence = now - entry.sign, .message = message}, now);
}

// --- the host and operators ------------------------------------------------------------------------------------------

void Coordinator::begin_stop(Nanoseconds now) {
  if (stopping_) return;
  stopping_ = true;
  deadlines_.clear();  // none counts any more
  for (Entry& entry : entries_) entry.deadline = never;
  for (Place task = 0; task < entries_.size(); ++task) {
    Entry& entry = entries_[task];
    if (entry.state == State::stopping) {
      entry.purpose = Purpose::host;
    } else if (is_live(entry.state)) {
      entry.leaving = false;
      entry.to_ask = false;
      want_stop(task, Purpose::host);
    } else if (entry.state != State::ended) {
      finish(task, false);
    }
  }
  for (Place task = 0; task < entries_.size(); ++task) count_blockers(task);
  settle(now);
}

void Coordinator::expire_stop(Nanoseconds now) {
  begin_stop(now);
  expired_ = true;
  for (Place task = 0; task < entries_.size(); ++task) {
    entries_[task].was_held_up = is_held_up(entries_[task]);
    if (!entries_[task].to_ask) continue;
    entries_[task].blockers = 0;
    free_to_ask_.insert(task);
  }
  settle(now);
}

void Coordinator::operate(Place task, Operation operation, Nanoseconds now) {
  if (stopping_ || closing_) return;
  Entry& entry = entries_[task];
  switch (entry.state) {
    case State::waiting:
    case State::delayed:
      set_deadline(task, never);
      if (operation == Operation::stop) {
        change(task, State::stopped);
      } else {
        change(task, State::waiting);
        to_look_at_.insert(task);
      }
      break;
    case State::starting:
    case State::running:
    case State::stopping: {
      if (operation == Operation::stop) {
        want_stop(task, Purpose::operator_stop);
      } else if (is_to_stop(entry) && (entry.purpose == Purpose::operator_stop ||
                                       (operation == Operation::restart && entry.purpose == Purpose::failure))) {
        entry.purpose = Purpose::again;
      } else if (operation == Operation::restart) {
        want_stop(task, Purpose::again);
      }
      count_blockers(task);
      break;
    }
    case State::stopped:
    case State::ended:
      if (operation == Operation::stop || entry.unstoppable) break;
      entry.ledger.give_back();
      set_satisfied(task, false);
      set_lost(task, false);
      change(task, State::waiting);
      to_look_at_.insert(task);
      break;
  }
  settle(now);
}

Place Coordinator::adopt(const TaskOptions& options, State state, std::uint64_t execution, RestartLedger ledger,
                         Operation wish, Nanoseconds now) {
  Entry entry;
  entry.options = options;
  entry.execution = execution;
  entry.begun = entry.start_over = is_live(state);
  entry.ledger = std::move(ledger);
  entries_.push_back(std::move(entry));
  const auto task = static_cast<Place>(entries_.size() - 1);
  ++busy_;
  change(task, state);
  if (state == State::running) set_satisfied(task, true);
  if (stopping_ && state == State::waiting) finish(task, false);
  if (stopping_ && state == State::running) {
    want_stop(task, Purpose::host);
    count_blockers(task);
  }
  if (state == State::waiting) to_look_at_.insert(task);
  if (!stopping_ && !closing_) {
    operate(task, wish,
            now);  // before anything follows from what is: a waiting task that is to be stopped never starts
  } else {
    settle(now);
  }
  return task;
}

}  // namespace taskhost
