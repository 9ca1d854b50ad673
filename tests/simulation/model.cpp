#include "model.hpp"

#include <algorithm>
#include <cmath>

namespace taskhost::simulation {

using Kind = Output::Kind;

namespace {

constexpr Nanoseconds one_minute = 60'000'000'000;
constexpr Nanoseconds three_hours = 180 * one_minute;

}  // namespace

Model::Model(const std::vector<CoordinatedTask>& tasks, const std::vector<Strategy>& groups, World& world,
             std::vector<Output>& outputs, Overseer overseer)
    : groups_(groups), world_(world), outputs_(outputs), on_shard_(overseer == Overseer::shard) {
  for (const CoordinatedTask& task : tasks) tasks_.push_back({.recipe = task});
}

// --- what is true ----------------------------------------------------------------------------------------------------

const SupervisionOptions& Model::optional_of(Place task) const {
  static const SupervisionOptions none;
  const auto& optional = tasks_[task].recipe.options.optional;
  return optional ? *optional : none;
}

bool Model::is_live(Place task) const {
  const State state = tasks_[task].state;
  return state == State::starting || state == State::running || state == State::stopping;
}

bool Model::at_rest() const {
  for (Place task = 0; task < tasks_.size(); ++task) {
    if (is_live(task)) return false;
  }
  return true;
}

bool Model::idle() const {
  return std::all_of(tasks_.begin(), tasks_.end(), [](const Task& task) { return task.state == State::ended; });
}

bool Model::is_waiting_for_its_time(Place task) const {
  return tasks_[task].state == State::delayed && tasks_[task].waits_for_time;
}

bool Model::is_satisfied(Place task) const {
  return tasks_[task].state == State::running || is_waiting_for_its_time(task) ||
         (tasks_[task].state == State::ended && tasks_[task].ended_well);
}

// The first in its `after` that can never be satisfied.
std::optional<Place> Model::lost(Place task) const {
  for (const Place other : tasks_[task].recipe.after) {
    if (tasks_[other].state == State::ended && !tasks_[other].ended_well) return other;
  }
  return {};
}

bool Model::may_start(Place task) const {
  const std::vector<Place>& after = tasks_[task].recipe.after;
  return tasks_[task].state == State::waiting && !tasks_[task].held &&
         std::all_of(after.begin(), after.end(), [this](Place other) { return is_satisfied(other); });
}

// The tasks that have to end before this one is asked.
std::vector<Place> Model::in_the_way_of(Place task) const {
  const Task& it = tasks_[task];
  const bool for_group = it.going && (it.purpose == Purpose::again || it.purpose == Purpose::discard);
  std::vector<Place> in_the_way;
  if (expired_ || (it.purpose != Purpose::host && !for_group)) return in_the_way;
  for (Place other = 0; other < tasks_.size(); ++other) {
    const std::vector<Place>& after = tasks_[other].recipe.after;
    if (!is_live(other) || std::find(after.begin(), after.end(), task) == after.end()) continue;
    if (it.purpose == Purpose::host || (tasks_[other].going && tasks_[other].recipe.group == it.recipe.group)) {
      in_the_way.push_back(other);
    }
  }
  return in_the_way;
}

// The tasks that are not asked because this one, or one of them, has not ended; or were not when the stop ran out of
// time.
std::vector<Place> Model::held_up_by(Place task) const {
  if (expired_) return tasks_[task].held_up;
  std::vector<Place> held_up;
  const auto has = [&](Place other) { return std::count(held_up.begin(), held_up.end(), other) != 0; };
  for (bool more = true; more;) {
    more = false;
    for (Place other = 0; other < tasks_.size(); ++other) {
      if (!is_to_be_asked(other) || has(other)) continue;
      const std::vector<Place> in_the_way = in_the_way_of(other);
      if (std::none_of(in_the_way.begin(), in_the_way.end(), [&](Place one) { return one == task || has(one); })) {
        continue;
      }
      held_up.push_back(other);
      more = true;
    }
  }
  std::sort(held_up.begin(), held_up.end());
  return held_up;
}

bool Model::is_to_be_asked(Place task) const {
  const State state = tasks_[task].state;
  return (state == State::starting || state == State::running) && tasks_[task].purpose;
}

bool Model::may_be_asked(Place task) const {
  const Task& it = tasks_[task];
  if (on_shard_ && it.purpose == Purpose::host && !it.reached) return false;
  return is_to_be_asked(task) && tasks_[task].begun && in_the_way_of(task).empty();
}

bool Model::is_at_rest(std::uint32_t group) const {
  for (Place task = 0; task < tasks_.size(); ++task) {
    const Task& it = tasks_[task];
    const bool is_delayed = it.state == State::delayed && !is_waiting_for_its_time(task);
    if (it.recipe.group == group && it.held && (is_live(task) || is_delayed)) return false;
  }
  return true;
}

bool Model::needs(Place task) const { return tasks_[task].recipe.options.type != TaskType::detachable; }

std::vector<Place> Model::others_concerned(Place task) const {
  std::vector<Place> others;
  const auto group = tasks_[task].recipe.group;
  if (!group || groups_[*group] == Strategy::one_for_one) return others;
  for (Place other = 0; other < tasks_.size(); ++other) {
    if (other == task || tasks_[other].recipe.group != group) continue;
    if (groups_[*group] == Strategy::one_for_all || other > task) others.push_back(other);
  }
  return others;
}

std::optional<std::uint32_t> Model::remaining(Place task, Nanoseconds now) const {
  const SupervisionOptions& optional = optional_of(task);
  if (optional.unlimited) return {};
  const std::vector<Nanoseconds>& charges = tasks_[task].charges;
  const auto count = std::count_if(charges.begin(), charges.end(), [&](Nanoseconds charged) {
    return !optional.window || now <= later(charged, to_nanoseconds(*optional.window));
  });
  const std::uint32_t restarts = tasks_[task].recipe.options.restarts;
  return restarts - std::min(restarts, static_cast<std::uint32_t>(count));
}

Nanoseconds Model::last_sign(Place task) const { return std::max(tasks_[task].ready_at, world_.last_heartbeat(task)); }

Nanoseconds Model::due(Place task) const {
  const Nanoseconds first = first_due(task);
  return first != never && first == tasks_[task].missed ? tasks_[task].more_time : first;
}

Nanoseconds Model::first_due(Place task) const {
  const Task& it = tasks_[task];
  const SupervisionOptions& optional = optional_of(task);
  if (it.state == State::delayed) return it.delayed_until;
  if (it.purpose) return never;
  if (it.state == State::starting && it.begun && optional.start_timeout) {
    return later(it.begun_at, to_nanoseconds(*optional.start_timeout));
  }
  if (it.state == State::running && optional.watchdog && it.warned_of != last_sign(task)) {
    return later(last_sign(task), to_nanoseconds(optional.watchdog->interval));
  }
  return never;
}

Nanoseconds Model::next_due() const {
  Nanoseconds first = never;
  for (Place task = 0; task < tasks_.size(); ++task) first = std::min(first, due(task));
  return first;
}

// --- what follows from an event --------------------------------------------------------------------------------------

void Model::follow(Nanoseconds now) {
  if (!has_begun_) return;
  do {
    for (std::uint32_t group = 0; group < groups_.size(); ++group) {
      if (!is_at_rest(group)) continue;
      for (Task& it : tasks_) it.held = it.held && it.recipe.group != group;
    }
    for (Place task = static_cast<Place>(tasks_.size()); task-- > 0;) {
      if (!may_be_asked(task)) continue;
      tasks_[task].state = State::stopping;
      tell(task, {.event = EventKind::task_stopping});
      outputs_.push_back({.kind = Kind::ask, .task = task});
    }
  } while (start_or_skip_one(now));
}

bool Model::start_or_skip_one(Nanoseconds now) {
  if (closing_ || on_shard_) return false;
  for (Place task = 0; task < tasks_.size(); ++task) {
    const Task& it = tasks_[task];
    if (it.state != State::waiting && it.state != State::delayed) continue;
    if (const auto because = lost(task)) {
      discard(task, StopReason::skipped, because);
      if (needs(task)) stop_host(task, StopReason::skipped, true);
      return true;
    }
    if (!may_start(task)) continue;
    start(task, now);
    return true;
  }
  return false;
}

void Model::start(Place task, Nanoseconds now) {
  Task& it = tasks_[task];
  it.state = State::starting;
  it.begun = it.start_is_over = it.has_said_ready = it.going = it.reached = false;
  it.warned_of.reset();
  it.missed = never;
  ++it.execution;
  outputs_.push_back({.kind = Kind::start, .task = task, .remaining = remaining(task, now)});
}

// A purpose that comes earlier in the contract's list replaces a later one.
void Model::want_end(Place task, Purpose purpose) {
  Task& it = tasks_[task];
  if (!it.purpose || purpose < *it.purpose) it.purpose = purpose;
}

// --- events ----------------------------------------------------------------------------------------------------------

void Model::begin(Nanoseconds now) {
  has_begun_ = true;
  follow(now);
}

void Model::begun(Place task, Nanoseconds now) {
  Task& it = tasks_[task];
  if (on_shard_ && may_start(task) && !closing_) start(task, now);
  if (it.state != State::starting || it.begun) return;
  it.begun = true;
  it.begun_at = now;
  if (!it.first_begun_at) it.first_begun_at = now;
  if (const auto& repeat = optional_of(task).repeat; repeat && repeat->schedule) {
    const Nanoseconds wall = repeat->schedule->wall_time(now);
    if (!it.last_wall_time || wall >= *it.last_wall_time || *it.last_wall_time - wall > three_hours) {
      it.last_wall_time = wall;
    }
  }
  follow(now);
}

void Model::started(Place task, Nanoseconds now) {
  if (!is_live(task) || !tasks_[task].begun) return;
  tasks_[task].start_is_over = true;
  look_whether_ready(task, now);
}

void Model::said_ready(Place task, Nanoseconds now) {
  if (!is_live(task) || !tasks_[task].begun || tasks_[task].has_said_ready) return;
  tasks_[task].has_said_ready = true;
  tell(task, {.event = EventKind::task_ready});
  look_whether_ready(task, now);
}

void Model::look_whether_ready(Place task, Nanoseconds now) {
  Task& it = tasks_[task];
  if (it.state != State::starting || !it.start_is_over) return;
  if (optional_of(task).notify && !it.has_said_ready) return;
  it.state = State::running;
  it.ready_at = now;
  follow(now);
}

void Model::ended(Place task, const End& end, Nanoseconds now) {
  if (!is_live(task)) return;
  Task& it = tasks_[task];
  if (end.ending == Ending::refused ? it.begun : !it.begun && end.ending != Ending::abandoned) return;  // impossible
  const bool was_asked = it.state == State::stopping;
  const std::optional<Purpose> purpose = it.purpose;
  // Nobody asked for it, unless its group was about to.
  const bool is_exit = end.ending == Ending::returned && (!purpose || (purpose == Purpose::host && !was_asked));
  it.purpose.reset();
  it.going = false;
  const SupervisionOptions& optional = optional_of(task);
  if (optional.reset_after && end.lived >= to_nanoseconds(*optional.reset_after)) give_back(task);

  if (end.ending == Ending::refused) {
    finish(task, false);
    closing_ = true;  // the host stops, and will announce it
  } else if (is_exit) {
    exit(task, end.outcome, end.message, end, now);
  } else if (purpose == Purpose::failure && end.ending != Ending::abandoned) {
    exit(task, Outcome::error, it.failure, end, now);
  } else {
    const auto told = end.ending == Ending::abandoned ? EventKind::task_abandoned : EventKind::task_stopped;
    if (it.begun && !was_asked) tell(task, {.event = EventKind::task_stopping});
    if (it.begun) {
      tell(task, {.event = told, .outcome = Outcome::cancelled, .uptime = end.uptime, .message = end.message});
    }
    after_stop(task, purpose.value_or(Purpose::host), end);
  }
  follow(now);
}

void Model::after_stop(Place task, Purpose purpose, const End& end) {
  Task& it = tasks_[task];
  if (end.ending == Ending::abandoned) {
    it.unstoppable = true;
    finish(task, false);
    if (stopping_) return;
    if (needs(task)) return stop_host(task, StopReason::not_stopped, true, end.message);
    discard(task, StopReason::not_stopped);
    return discard_group_of(task);
  }
  if (purpose == Purpose::again) it.state = State::waiting;
  if (purpose == Purpose::operator_stop) it.state = State::stopped;
  if (purpose == Purpose::host) finish(task, false);
  if (purpose == Purpose::discard) discard(task, StopReason::group, it.discarded_for);
}

void Model::advance(Nanoseconds now) {
  while (next_due() <= now) {
    Place task = 0;
    while (due(task) != next_due()) ++task;
    Task& it = tasks_[task];
    const SupervisionOptions& optional = optional_of(task);
    if (it.state != State::delayed && it.missed != first_due(task) && now > later(due(task), standstill)) {
      it.missed = first_due(task);
      it.more_time = later(
          now, to_nanoseconds(it.state == State::starting ? *optional.start_timeout : optional.watchdog->interval));
    } else if (is_waiting_for_its_time(task) && until_its_time(task, now) != 0) {
      wait_for_time(task, now);
    } else if (it.state == State::delayed) {
      it.state = State::waiting;
    } else if (it.state == State::starting) {
      it.failure = "was not ready within ";
      want_end(task, Purpose::failure);
    } else if (optional.watchdog->action == WatchdogAction::log) {
      it.warned_of = last_sign(task);
      tell(task, {.event = EventKind::task_stalled, .silence = now - last_sign(task)});
    } else {
      it.failure = "no heartbeat for ";
      want_end(task, Purpose::failure);
    }
    follow(now);
  }
}

void Model::begin_stop(Nanoseconds now) {
  if (stopping_) return;
  stopping_ = closing_ = true;
  for (Place task = 0; task < tasks_.size(); ++task) {
    if (is_live(task)) {
      want_end(task, Purpose::host);
    } else {
      finish(task, tasks_[task].state == State::ended && tasks_[task].ended_well);
    }
  }
  follow(now);
}

void Model::reached(Place task, Nanoseconds now) {
  tasks_[task].reached = true;
  follow(now);
}

void Model::expire_stop(Nanoseconds now) {
  begin_stop(now);
  for (Place task = 0; task < tasks_.size(); ++task) tasks_[task].held_up = held_up_by(task);
  expired_ = true;
  follow(now);
}

void Model::operate(Place task, Operation operation, Nanoseconds now) {
  if (closing_) return;
  Task& it = tasks_[task];
  if (is_live(task)) {
    if (operation == Operation::stop) {
      want_end(task, Purpose::operator_stop);
    } else if (it.purpose == Purpose::operator_stop) {
      it.purpose = Purpose::again;
    } else if (operation == Operation::restart) {
      want_end(task, Purpose::again);
    }
  } else if (it.state == State::waiting || it.state == State::delayed) {
    it.state = operation == Operation::stop ? State::stopped : State::waiting;
  } else if (operation != Operation::stop && !it.unstoppable) {
    it.state = State::waiting;
    give_back(task);
  }
  follow(now);
}

// --- an exit is judged -----------------------------------------------------------------------------------------------

void Model::exit(Place task, Outcome outcome, const std::string& message, const End& end, Nanoseconds now) {
  const SupervisionOptions& optional = optional_of(task);
  const TaskType type = tasks_[task].recipe.options.type;
  tell(task, {.event = EventKind::task_exited,
              .outcome = outcome,
              .uptime = tasks_[task].start_is_over ? end.uptime : 0,
              .remaining = remaining(task, now),
              .message = message});

  ExitAction action = ExitAction::restart;
  if (type == TaskType::shutdown_on_exit) {
    action = outcome == Outcome::ok ? ExitAction::stop_host : ExitAction::fail_host;
  }
  if (type == TaskType::detachable && outcome == Outcome::ok) action = ExitAction::discard;
  if (optional.repeat && outcome == Outcome::ok) action = ExitAction::repeat;
  for (const ExitRule& rule : optional.exit_rules) {
    const bool outcome_fits = rule.outcomes.empty() || std::count(rule.outcomes.begin(), rule.outcomes.end(), outcome);
    if (!outcome_fits || message.find(rule.message) == std::string::npos) continue;
    action = rule.action;
    break;
  }

  switch (action) {
    case ExitAction::restart:
      if (remaining(task, now) != 0u) return restart(task, now);
      return give_up(task, outcome, message, now);
    case ExitAction::repeat:
      if (closing_) return finish(task, false);
      if (!optional.repeat) return delay(task, delay_before(task, 1), RestartKind::repeat, now);
      tell(task, {.event = EventKind::task_restarting,
                  .restart_kind = RestartKind::repeat,
                  .delay = until_its_time(task, now),
                  .remaining = remaining(task, now)});
      return wait_for_time(task, now);
    case ExitAction::give_up:
      return give_up(task, outcome, message, now);
    case ExitAction::discard:
      discard(task, StopReason::task_exit);
      return finish(task, outcome == Outcome::ok);
    case ExitAction::stop_host:
    case ExitAction::fail_host:
      finish(task, false);
      return stop_host(task, StopReason::task_exit, action == ExitAction::fail_host, message);
  }
}

void Model::restart(Place task, Nanoseconds now) {
  if (closing_) return finish(task, false);
  Task& it = tasks_[task];
  it.charges.push_back(now);
  ++it.in_a_row;
  delay(task, delay_before(task, it.in_a_row), RestartKind::charged, now);
}

Nanoseconds Model::delay_before(Place task, std::uint64_t restart) {
  const std::optional<Backoff>& backoff = optional_of(task).backoff;
  if (!backoff) return 0;
  const auto max = static_cast<long double>(backoff->max.count());
  long double least = std::min(max, static_cast<long double>(backoff->initial.count()));
  for (std::uint64_t k = 1; k < restart && least < max; ++k) {
    if (least == 0 || backoff->factor == 1) break;
    least = std::min(max, least * backoff->factor);
  }
  const long double most = std::min(max, least * (1 + static_cast<long double>(backoff->jitter)));
  return world_.drawn_delay(task, restart, static_cast<Nanoseconds>(least), static_cast<Nanoseconds>(most));
}

// It is started again after a while, together with its group unless it only repeats.
void Model::delay(Place task, Nanoseconds delay, RestartKind restart_kind, Nanoseconds now) {
  Task& it = tasks_[task];
  tell(task, {.event = EventKind::task_restarting,
              .restart_kind = restart_kind,
              .delay = delay,
              .remaining = remaining(task, now)});
  it.state = delay == 0 ? State::waiting : State::delayed;
  it.waits_for_time = false;
  it.delayed_until = later(now, delay);
  if (restart_kind == RestartKind::repeat) return;
  const std::vector<Place> others = others_concerned(task);
  it.held = it.held || !others.empty();
  for (const Place other : others) {
    tasks_[other].held = true;
    if (tasks_[other].state == State::delayed && !is_waiting_for_its_time(other)) tasks_[other].state = State::waiting;
    if (!is_live(other)) continue;
    tasks_[other].going = true;
    want_end(other, Purpose::again);
  }
}

// By which clock it is due depends on what it has; the first time after its last execution began counts.
Nanoseconds Model::until_its_time(Place task, Nanoseconds now) {
  Task& it = tasks_[task];
  const Repetition& repeat = *optional_of(task).repeat;
  if (repeat.schedule) {
    const Nanoseconds wall = repeat.schedule->wall_time(now);
    if (*it.last_wall_time > wall && *it.last_wall_time - wall > three_hours) it.last_wall_time = wall;
    const Nanoseconds time = repeat.schedule->next(*it.last_wall_time);
    return time > wall ? time - wall : 0;
  }
  Nanoseconds time = *it.first_begun_at;
  while (time <= it.begun_at) time += to_nanoseconds(repeat.every);
  return time > now ? time - now : 0;
}

void Model::wait_for_time(Place task, Nanoseconds now) {
  Task& it = tasks_[task];
  const Nanoseconds left = until_its_time(task, now);
  it.state = left == 0 ? State::waiting : State::delayed;
  it.waits_for_time = true;
  it.delayed_until = later(now, optional_of(task).repeat->schedule ? std::min(left, one_minute) : left);
}

void Model::give_up(Place task, Outcome outcome, const std::string& message, Nanoseconds now) {
  tell(task, {.event = EventKind::task_gave_up, .outcome = outcome, .message = message});
  GiveUp action = optional_of(task).on_give_up;
  if (action == GiveUp::by_type) action = needs(task) ? GiveUp::stop_host : GiveUp::discard;
  if (action == GiveUp::stop_host) {
    finish(task, false);
    stop_host(task, StopReason::budget_exhausted, true, message);
  } else if (action == GiveUp::discard) {
    discard(task, StopReason::budget_exhausted);
    discard_group_of(task);
  } else if (closing_) {
    finish(task, false);
  } else {
    give_back(task);
    delay(task, to_nanoseconds(optional_of(task).cooldown), RestartKind::cooldown, now);
  }
}

void Model::discard(Place task, StopReason reason, std::optional<Place> because) {
  tell(task, {.event = EventKind::task_discarded, .reason = reason, .because = because});
  finish(task, false);
}

// If the host can't do without one of them, it stops instead.
void Model::discard_group_of(Place task) {
  if (closing_) return;
  std::vector<Place> others = others_concerned(task);
  std::erase_if(others, [this](Place other) {
    const Task& it = tasks_[other];
    return it.state == State::stopped || it.state == State::ended || it.purpose == Purpose::operator_stop;
  });
  const auto needed = std::find_if(others.begin(), others.end(), [this](Place other) { return needs(other); });
  if (needed != others.end()) return stop_host(*needed, StopReason::group, true);
  for (const Place other : others) {
    if (!is_live(other)) {
      discard(other, StopReason::group, task);
      continue;
    }
    if (tasks_[other].purpose != Purpose::discard) tasks_[other].discarded_for = task;
    tasks_[other].going = true;
    want_end(other, Purpose::discard);
  }
}

void Model::finish(Place task, bool well) {
  tasks_[task].state = State::ended;
  tasks_[task].ended_well = well;
}

void Model::give_back(Place task) {
  tasks_[task].charges.clear();
  tasks_[task].in_a_row = 0;
}

void Model::tell(Place task, Output output) {
  output.kind = Kind::tell;
  output.task = task;
  output.execution = tasks_[task].execution;
  outputs_.push_back(std::move(output));
}

void Model::stop_host(Place task, StopReason reason, bool failure, const std::string& message) {
  closing_ = true;
  outputs_.push_back({.kind = Kind::stop_host, .task = task, .reason = reason, .failure = failure, .message = message});
}

}  // namespace taskhost::simulation
