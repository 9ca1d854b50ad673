#include "taskhost/core/forecast.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "coordinator.hpp"

namespace taskhost {

namespace {

// Makes sure that the incident happens at the task's first exit, and in no other way.
TaskOptions options_for(Incident incident, const TaskOptions& options) {
  TaskOptions changed = options;
  SupervisionOptions optional = options.optional ? *options.optional : SupervisionOptions{};
  optional.unlimited = false;
  optional.window.reset();
  optional.backoff.reset();
  optional.exit_rules.clear();
  if (incident == Incident::is_discarded) {
    optional.exit_rules.push_back({.outcomes = {}, .message = {}, .action = ExitAction::discard});
  }
  changed.restarts = incident == Incident::restarts ? 1 : 0;
  changed.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
  return changed;
}

// Tasks that do nothing but live, become ready, and end when they are asked to; and the one to which it happens.
class Rehearsal final : CoordinatorPort {
 public:
  Rehearsal(Incident incident, Place it, std::vector<CoordinatedTask> tasks, std::vector<Strategy> groups)
      : incident_(incident), it_(it), coordinator_(std::move(tasks), std::move(groups), 0, *this) {}

  Aftermath run(bool others_restart) {
    coordinator_.begin(now);
    obey();
    const std::vector<Place> in_order = std::exchange(started_, {});
    happened_ = true;
    if (incident_ == Incident::is_abandoned) {
      coordinator_.operate(it_, Operation::restart, now);
    } else {
      coordinator_.ended(it_, {.ending = Ending::returned, .outcome = Outcome::error}, now);
    }
    obey();
    if (others_restart) {
      for (const Place task : in_order) {
        if (task == it_ || !coordinator_.is_live(task)) continue;
        coordinator_.operate(task, Operation::restart, now);
        obey();
      }
    }
    return std::move(aftermath_);
  }
  bool all_are_over() const { return coordinator_.idle(); }

 private:
  static constexpr Nanoseconds now = 1;

  void start(Place task, std::optional<std::uint32_t>) override { orders_.push_back({task, false}); }
  void ask(Place task) override { orders_.push_back({task, true}); }
  Nanoseconds last_heartbeat(Place) override { return 0; }

  void tell(const TaskNews& news) override {
    if (!happened_ || news.task == it_) return;
    if (news.kind != EventKind::task_discarded) return;
    (news.reason == StopReason::skipped ? aftermath_.skipped : aftermath_.discarded).push_back(news.task);
  }
  void stop_host(Place task, StopReason reason, bool failure, std::string_view) override {
    if (!aftermath_.host_stop) aftermath_.host_stop = {reason, task, failure};
  }

  void obey() {
    while (!orders_.empty()) {
      const auto [task, ends] = orders_.front();
      orders_.pop_front();
      if (ends) {
        end(task);
      } else {
        started_.push_back(task);
        coordinator_.begun(task, now);
        coordinator_.started(task, now);
        coordinator_.said_ready(task, now);
      }
    }
  }

  void end(Place task) {
    if (task == it_ && incident_ == Incident::is_abandoned) {
      return coordinator_.ended(task, {.ending = Ending::abandoned, .outcome = Outcome::cancelled}, now);
    }
    coordinator_.ended(task, {.ending = Ending::returned}, now);
    if (coordinator_.state(task) != TaskState::ended) aftermath_.restarted.push_back(task);
  }

  struct Order {
    Place task;
    bool ends;  // otherwise it starts
  };

  const Incident incident_;
  const Place it_;
  std::deque<Order> orders_;
  std::vector<Place> started_;  // each after those that it comes after
  bool happened_ = false;
  Aftermath aftermath_;
  Coordinator coordinator_;
};

}  // namespace

Forecast::Forecast(const TaskList& tasks)
    : tasks_(tasks), relation_of_(tasks.size()), dependants_(tasks.size()), members_(tasks.groups.size()) {
  for (const TaskList::Relation& relation : tasks.relations) {
    relation_of_[relation.task] = &relation;
    for (const std::uint32_t other : relation.after) dependants_[other].push_back(relation.task);
    if (relation.group) members_[*relation.group].push_back(relation.task);
  }
}

std::vector<std::uint32_t> Forecast::affected_by(std::uint32_t task) const {
  std::vector<std::uint32_t> affected{task};
  std::set<std::uint32_t> seen{task};
  std::set<std::uint32_t> seen_groups;
  const auto reach = [&](const std::vector<std::uint32_t>& others) {
    for (const std::uint32_t other : others) {
      if (seen.insert(other).second) affected.push_back(other);
    }
  };
  for (std::size_t i = 0; i < affected.size(); ++i) {
    reach(dependants_[affected[i]]);
    const TaskList::Relation* const relation = relation_of_[affected[i]];
    if (relation == nullptr || !relation->group || !seen_groups.insert(*relation->group).second) continue;
    reach(members_[*relation->group]);
  }
  std::sort(affected.begin(), affected.end());
  return affected;
}

Aftermath Forecast::at_once(Incident incident, std::uint32_t task) const {
  return rehearse(incident, task, Others::go_on);
}

Aftermath Forecast::in_the_end(Incident incident, std::uint32_t task) const {
  Aftermath all = rehearse(incident, task, Others::restart_unneeded);
  if (std::any_of(all.skipped.begin(), all.skipped.end(),
                  [this](std::uint32_t other) { return tasks_.options(other).type != TaskType::detachable; })) {
    all.host_stop = rehearse(incident, task, Others::restart).host_stop;
  }
  return all;
}

Aftermath Forecast::rehearse(Incident incident, std::uint32_t task, Others others) const {
  const std::vector<std::uint32_t> affected = affected_by(task);
  std::map<std::uint32_t, Place> place_of;
  for (const std::uint32_t other : affected) place_of.emplace(other, static_cast<Place>(place_of.size()));
  std::vector<CoordinatedTask> list;
  for (const std::uint32_t other : affected) {
    CoordinatedTask entry{tasks_.options(other), {}, {}};
    if (other == task) {
      entry.options = options_for(incident, entry.options);
    } else if (others == Others::restart_unneeded) {
      entry.options.type = TaskType::detachable;
    }
    if (const TaskList::Relation* const relation = relation_of_[other]) {
      entry.group = relation->group;
      for (const std::uint32_t before : relation->after) {
        // All others are ready, and stay so.
        if (const auto found = place_of.find(before); found != place_of.end()) entry.after.push_back(found->second);
      }
    }
    list.push_back(std::move(entry));
  }
  Rehearsal rehearsal(incident, place_of.at(task), std::move(list), tasks_.groups);
  Aftermath aftermath = rehearsal.run(others != Others::go_on);
  for (std::vector<std::uint32_t>* const places : {&aftermath.restarted, &aftermath.discarded, &aftermath.skipped}) {
    for (std::uint32_t& place : *places) place = affected[place];
  }
  if (aftermath.host_stop) {
    aftermath.host_stop->task = affected[aftermath.host_stop->task];
  } else if (rehearsal.all_are_over() && affected.size() == tasks_.size()) {
    aftermath.host_stop = {StopReason::all_done, task, true};
  }
  return aftermath;
}

}  // namespace taskhost
