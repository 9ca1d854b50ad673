#include "taskhost/core/forecast.hpp"

#include <algorithm>
#include <deque>
#include <map>
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

// What the coordinator did, by places in its own list.
struct Rehearsed {
  std::vector<Place> restarted;
  std::vector<Place> discarded;
  std::optional<Aftermath::HostStop> host_stop;
  bool is_over = false;  // the task itself
  bool all_are_over = false;
};

// Tasks that do nothing but live, become ready, and end when they are asked to; and the one to which it happens.
class Rehearsal final : CoordinatorPort {
 public:
  Rehearsal(Incident incident, Place it, std::vector<CoordinatedTask> tasks, std::vector<Strategy> groups)
      : incident_(incident), it_(it), coordinator_(std::move(tasks), std::move(groups), 0, *this) {}

  Rehearsed run() {
    coordinator_.begin(now);
    obey();
    happened_ = true;
    if (incident_ == Incident::is_abandoned) {
      coordinator_.operate(it_, Operation::restart, now);
    } else {
      coordinator_.ended(it_, {.ending = Ending::returned, .outcome = Outcome::error}, now);
    }
    obey();
    rehearsed_.is_over = coordinator_.state(it_) == TaskState::ended;
    rehearsed_.all_are_over = coordinator_.idle();
    return std::move(rehearsed_);
  }

 private:
  static constexpr Nanoseconds now = 1;

  void start(Place task, std::optional<std::uint32_t>) override { orders_.push_back({task, false}); }
  void ask(Place task) override { orders_.push_back({task, true}); }
  Nanoseconds last_heartbeat(Place) override { return 0; }

  void tell(const TaskNews& news) override {
    if (happened_ && news.task != it_ && news.kind == EventKind::task_discarded) {
      rehearsed_.discarded.push_back(news.task);
    }
  }
  void stop_host(Place task, StopReason reason, bool failure, std::string_view) override {
    if (!rehearsed_.host_stop) rehearsed_.host_stop = {reason, task, failure};
  }

  void obey() {
    while (!orders_.empty()) {
      const auto [task, ends] = orders_.front();
      orders_.pop_front();
      if (ends) {
        end(task);
      } else {
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
    if (coordinator_.state(task) != TaskState::ended) rehearsed_.restarted.push_back(task);
  }

  struct Order {
    Place task;
    bool ends;  // otherwise it starts
  };

  const Incident incident_;
  const Place it_;
  std::deque<Order> orders_;
  bool happened_ = false;
  Rehearsed rehearsed_;
  Coordinator coordinator_;
};

using Places = std::vector<std::uint32_t>;

}  // namespace

Forecast::Forecast(const TaskList& tasks)
    : tasks_(tasks),
      relation_of_(tasks.size()),
      dependants_(tasks.size()),
      members_(tasks.groups.size()),
      needed_(tasks.size()),
      roots_(tasks.size()) {
  for (const TaskList::Relation& relation : tasks.relations) {
    relation_of_[relation.task] = &relation;
    for (const std::uint32_t other : relation.after) dependants_[other].push_back(relation.task);
    if (relation.group) members_[*relation.group].push_back(relation.task);
    if (!relation.after.empty()) --roots_;
  }
  for (Places& members : members_) std::sort(members.begin(), members.end());
  find_needed();
}

// Each task after all that come after it.
void Forecast::find_needed() {
  std::vector<std::size_t> left(tasks_.size());
  Places ready;
  for (std::uint32_t task = 0; task < tasks_.size(); ++task) {
    left[task] = dependants_[task].size();
    if (left[task] == 0) ready.push_back(task);
  }
  while (!ready.empty()) {
    const std::uint32_t task = ready.back();
    ready.pop_back();
    if (relation_of_[task] == nullptr) continue;
    const Needed here = is_needed(task) ? Needed{1, task}
                        : needed_[task].distance == Needed{}.distance
                            ? Needed{}
                            : Needed{needed_[task].distance + 1, needed_[task].task};
    for (const std::uint32_t other : relation_of_[task]->after) {
      needed_[other] = std::min(needed_[other], here);
      if (--left[other] == 0) ready.push_back(other);
    }
  }
}

// Those before it in the list, and those behind it; none if they do not restart together.
std::pair<Places, Places> Forecast::others_of_group(std::uint32_t task) const {
  const TaskList::Relation* const relation = relation_of_[task];
  if (relation == nullptr || !relation->group || tasks_.groups[*relation->group] == Strategy::one_for_one) return {};
  const Places& members = members_[*relation->group];
  const auto it = std::lower_bound(members.begin(), members.end(), task);
  return {Places(members.begin(), it), Places(it + 1, members.end())};
}

// Of a large group only some take part. All others are ready when it happens, so to their strategy they differ in
// nothing but the side of the task that they are on, and in whether the host can do without them.
Aftermath Forecast::at_once(Incident incident, std::uint32_t task) const {
  const auto [before, behind] = others_of_group(task);
  const auto is_needed_one = [this](std::uint32_t other) { return is_needed(other); };
  Places cast{task};
  for (const Places* const side : {&before, &behind}) {
    const auto some = side->begin() + static_cast<std::ptrdiff_t>(std::min(side->size(), Affected::max_first));
    cast.insert(cast.end(), side->begin(), some);
    const auto needed = std::find_if(side->begin(), side->end(), is_needed_one);
    if (needed != side->end() && needed >= some) cast.push_back(*needed);
  }
  std::sort(cast.begin(), cast.end());

  std::map<std::uint32_t, Place> place_of;
  for (const std::uint32_t other : cast) place_of.emplace(other, static_cast<Place>(place_of.size()));
  std::vector<CoordinatedTask> list;
  for (const std::uint32_t other : cast) {
    CoordinatedTask entry{tasks_.options(other), {}, {}};
    if (other == task) entry.options = options_for(incident, entry.options);
    if (const TaskList::Relation* const relation = relation_of_[other]; relation != nullptr && cast.size() > 1) {
      entry.group = 0;
      for (const std::uint32_t one : relation->after) {
        // Those that do not take part are ready, and stay so.
        if (const auto found = place_of.find(one); found != place_of.end()) entry.after.push_back(found->second);
      }
    }
    list.push_back(std::move(entry));
  }
  std::vector<Strategy> groups;
  if (cast.size() > 1) groups.push_back(tasks_.groups[*relation_of_[task]->group]);
  Rehearsed rehearsed = Rehearsal(incident, place_of.at(task), std::move(list), std::move(groups)).run();

  const auto all_of = [&, &before = before, &behind = behind](const std::vector<Place>& some) {
    Affected all;
    for (const Place place : some) all.first.push_back(cast[place]);
    const auto is_before = [task](std::uint32_t other) { return other < task; };
    const auto count = static_cast<std::size_t>(std::count_if(all.first.begin(), all.first.end(), is_before));
    if (count != 0) all.count += before.size();
    if (count != all.first.size()) all.count += behind.size();
    if (all.count > Affected::max_first) {
      std::sort(all.first.begin(), all.first.end());
      all.first.resize(Affected::max_first);
    }
    return all;
  };
  Aftermath aftermath{rehearsed.is_over,  all_of(rehearsed.restarted), all_of(rehearsed.discarded), {}, {},
                      rehearsed.host_stop};
  if (aftermath.host_stop) {
    aftermath.host_stop->task = cast[aftermath.host_stop->task];
  } else if (rehearsed.all_are_over && 1 + before.size() + behind.size() == tasks_.size()) {
    aftermath.host_stop = {StopReason::all_done, task, true};
  }
  return aftermath;
}

Aftermath Forecast::in_the_end(std::uint32_t task, Aftermath at_once) const {
  if (!at_once.is_over || at_once.host_stop) return at_once;
  Places lost{task};
  if (!at_once.discarded.empty()) {
    const auto [before, behind] = others_of_group(task);
    lost.insert(lost.end(), behind.begin(), behind.end());
    if (at_once.discarded.count > behind.size()) lost.insert(lost.end(), before.begin(), before.end());
  }
  add_skipped(lost, at_once);
  const auto is_root = [this](std::uint32_t one) {
    return relation_of_[one] == nullptr || relation_of_[one]->after.empty();
  };
  if (const std::optional<std::uint32_t> needed = needed_after(lost)) {
    at_once.host_stop = {StopReason::skipped, *needed, true};
  } else if (static_cast<std::size_t>(std::count_if(lost.begin(), lost.end(), is_root)) == roots_) {
    at_once.host_stop = {StopReason::all_done, task, true};  // all others come after one of these
  }
  return at_once;
}

// Visits those that come after these tasks, directly or not, until visit(task, is_direct) says that it is enough.
template <class Visit>
void Forecast::walk(const Places& from, Visit visit) const {
  Places reached = from;
  std::vector<bool> is_reached(tasks_.size());
  for (const std::uint32_t task : from) is_reached[task] = true;
  for (std::size_t i = 0; i < reached.size(); ++i) {
    for (const std::uint32_t other : dependants_[reached[i]]) {
      if (is_reached[other]) continue;
      if (visit(other, i < from.size())) return;
      is_reached[other] = true;
      reached.push_back(other);
    }
  }
}

void Forecast::add_skipped(const Places& lost, Aftermath& aftermath) const {
  walk(lost, [&aftermath](std::uint32_t task, bool is_direct) {
    Affected& skipped = is_direct ? aftermath.skipped : aftermath.skipped_in_turn;
    skipped.is_minimum = skipped.count == Affected::max_counted;
    if (skipped.is_minimum) return !is_direct;
    ++skipped.count;
    if (skipped.first.size() < Affected::max_first) skipped.first.push_back(task);
    return false;
  });
}

std::optional<std::uint32_t> Forecast::needed_after(const Places& lost) const {
  Needed nearest;
  for (const std::uint32_t task : lost) nearest = std::min(nearest, needed_[task]);
  if (nearest == Needed{}) return {};
  if (nearest.task != lost.front()) return nearest.task;
  // It comes after one that its group takes with it. (The host can do without those, or it would have stopped.)
  std::optional<std::uint32_t> other;
  walk(lost, [&](std::uint32_t task, bool) {
    if (is_needed(task)) other = task;
    return other.has_value();
  });
  return other;
}

}  // namespace taskhost
