#include "witness.hpp"

#include <algorithm>

namespace taskhost::simulation {

Witness::Witness(const Scenario& scenario) : may_shards_be_stuck_(scenario.stuck.has_value()) {
  for (const CoordinatedTask& task : scenario.tasks) tasks_.push_back({.recipe = task});
}

const SupervisionOptions& Witness::optional_of(const Task& task) const {
  static const SupervisionOptions none;
  return task.recipe.options.optional ? *task.recipe.options.optional : none;
}

void Witness::complain(Place task, const char* what) {
  if (fault_.empty()) fault_ = "task " + std::to_string(task) + ": " + what;
}

bool Witness::is_ready(const Task& task) const {
  return task.live && task.start_over && !task.asked && (task.said_ready || !optional_of(task).notify);
}

void Witness::saw(const Input& input, TaskState before) {
  if (input.kind == Input::Kind::begin_stop) host_stops_ = stop_began_ = true;
  if (input.kind == Input::Kind::expire_stop) stop_expired_ = true;
  if (input.task >= tasks_.size()) return;
  Task& task = tasks_[input.task];
  switch (input.kind) {
    case Input::Kind::begun:
      task.begun = task.open = true;
      break;
    case Input::Kind::started:
      task.start_over = true;
      break;
    case Input::Kind::said_ready:
      task.said_ready = true;
      break;
    case Input::Kind::ended: {
      if (!task.live) break;
      task.live = false;
      task.abandoned = input.end.ending == Ending::abandoned;
      const auto& reset_after = optional_of(task).reset_after;
      if (reset_after && input.end.lived >= to_nanoseconds(*reset_after)) task.charges.clear();
      break;
    }
    case Input::Kind::operate: {
      const bool was_over = before == TaskState::stopped || before == TaskState::ended;
      if (was_over && input.operation != Operation::stop) {
        task.charges.clear();
        task.done = false;
      }
      task.not_before.reset();  // an operator may end a delay
      break;
    }
    default:
      break;
  }
}

void Witness::saw(const Output& output, Nanoseconds now) {
  Task& task = tasks_[output.task];
  switch (output.kind) {
    case Output::Kind::start:
      return saw_start(output, task, now);
    case Output::Kind::ask:
      return saw_ask(output.task, task);
    case Output::Kind::stop_host:
      host_stops_ = true;
      return;
    case Output::Kind::tell:
      return saw_news(output, task, now);
  }
}

void Witness::saw_start(const Output& order, Task& task, Nanoseconds now) {
  if (host_stops_) complain(order.task, "is started though the host stops");
  if (task.live || task.open) complain(order.task, "is started while an execution is live");
  if (task.abandoned) complain(order.task, "is started though an execution can't be ended");
  if (task.done) complain(order.task, "is started though it was discarded");
  if (task.not_before && now < *task.not_before) complain(order.task, "is started before its delay is over");
  for (const Place place : task.recipe.after) {
    const Task& other = tasks_[place];
    if (!is_ready(other) && !other.is_repeated && !(other.done && other.exited_well && !other.live)) {
      complain(order.task, "is started before what it comes after is ready");
    }
  }
  task.live = true;
  task.is_repeated = false;
  task.begun = task.start_over = task.said_ready = task.asked = task.was_told_of = task.exited_well = false;
  task.not_before.reset();
  ++task.executions;
}

void Witness::saw_ask(Place place, Task& task) {
  if (!task.live || !task.begun) complain(place, "is asked to end though it has not begun");
  if (task.asked) complain(place, "is asked to end twice");
  task.asked = true;
  if (!stop_began_ || stop_expired_) return;
  for (const Task& other : tasks_) {
    const std::vector<Place>& after = other.recipe.after;
    if (other.live && std::find(after.begin(), after.end(), place) != after.end()) {
      complain(place, "is asked to end while one that comes after it is live");
    }
  }
}

void Witness::saw_news(const Output& news, Task& task, Nanoseconds now) {
  const SupervisionOptions& optional = optional_of(task);
  if (news.execution != task.executions) complain(news.task, "this is told of a wrong execution");
  switch (news.event) {
    case EventKind::task_stopping:
      if (task.was_told_of || !task.open) complain(news.task, "is stopping twice, or without an execution");
      task.was_told_of = true;
      break;
    case EventKind::task_exited:
    case EventKind::task_stopped:
    case EventKind::task_abandoned:
      if (!task.open) complain(news.task, "an execution ends that is not open");
      if (news.event != EventKind::task_exited && !task.was_told_of) complain(news.task, "stopped, but not stopping");
      if (news.outcome == Outcome::crashed && !optional.isolated) complain(news.task, "has crashed alone");
      if (news.event == EventKind::task_abandoned && optional.isolated && !may_shards_be_stuck_) {
        complain(news.task, "is abandoned, and its process can be killed");
      }
      task.open = false;
      task.exited_well = news.event == EventKind::task_exited && news.outcome == Outcome::ok;
      break;
    case EventKind::task_gave_up:
      task.exited_well = false;
      break;
    case EventKind::task_discarded:
      task.done = true;
      break;
    case EventKind::task_restarting: {
      if (host_stops_) complain(news.task, "is to be restarted though the host stops");
      for (Task& other : tasks_) {  // its delay replaces theirs
        if (news.restart_kind == RestartKind::repeat) break;
        if (other.is_repeated) continue;
        if (other.recipe.group && other.recipe.group == task.recipe.group) other.not_before.reset();
      }
      // The wall clock may be set meanwhile.
      task.is_repeated = news.restart_kind == RestartKind::repeat && optional.repeat;
      if (!task.is_repeated || !optional.repeat->schedule) task.not_before = later(now, news.delay);
      if (news.restart_kind == RestartKind::cooldown) task.charges.clear();
      if (news.restart_kind != RestartKind::charged) break;
      task.charges.push_back(now);
      const auto counts = std::count_if(task.charges.begin(), task.charges.end(), [&](Nanoseconds charged) {
        return !optional.window || now <= later(charged, to_nanoseconds(*optional.window));
      });
      if (!optional.unlimited && counts > task.recipe.options.restarts) complain(news.task, "exceeds its budget");
      break;
    }
    default:
      break;
  }
}

void Witness::saw_end() {
  for (Place place = 0; place < tasks_.size(); ++place) {
    if (tasks_[place].open) complain(place, "nobody has told how its last execution ended");
    if (tasks_[place].live) complain(place, "it is still live");
  }
}

}  // namespace taskhost::simulation
