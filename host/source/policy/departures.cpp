#include "policy/departures.hpp"

#include <algorithm>
#include <limits>

#include "policy/prospects.hpp"
#include "policy/rules.hpp"

namespace taskhost {

namespace {

constexpr std::uint32_t groupless = std::numeric_limits<std::uint32_t>::max();

}  // namespace

Departures::Departures(const TaskList& tasks)
    : ways_(tasks.size()),
      dependants_(tasks.size()),
      members_(tasks.groups.size()),
      group_of_(tasks.size(), groupless),
      is_group_to_look_at_(tasks.groups.size()) {
  for (const TaskList::Relation& relation : tasks.relations) {
    for (const std::uint32_t other : relation.after) dependants_[other].push_back(relation.task);
    if (!relation.group) continue;
    members_[*relation.group].push_back(relation.task);
    group_of_[relation.task] = *relation.group;
  }
  for (std::uint32_t task = 0; task < tasks.size(); ++task) {
    const TaskOptions& options = tasks.options(task);
    const SupervisionOptions& optional = options.supervision();
    const ExitChances chances = chances_of(options);
    const bool is_detachable = options.type == TaskType::detachable;
    Ways& ways = ways_[task];
    ways.needed = !is_detachable;
    ways.well = is_discarded_well(options);
    ways.gives_up = chances.give_up && (optional.on_give_up == GiveUp::discard ||
                                        (is_detachable && optional.on_give_up == GiveUp::by_type));
    // Whose process can always be killed.
    ways.stoppable = optional.isolated;
    ways.unstopped = is_detachable && !ways.stoppable && (is_timed(options) || has_finish(tasks, task));
    const bool is_alone = group_of_[task] == groupless;
    if (chances.discard_after_failure || (is_alone && (ways.gives_up || ways.unstopped))) lose(task);
  }
  for (std::uint32_t group = 0; group < members_.size(); ++group) {
    std::sort(members_[group].begin(), members_[group].end());
    groups_to_look_at_.push_back(group);
    is_group_to_look_at_[group] = true;
  }
  follow_losses();
  while (!groups_to_look_at_.empty()) {
    const std::uint32_t group = groups_to_look_at_.back();
    groups_to_look_at_.pop_back();
    is_group_to_look_at_[group] = false;
    look_at_group(tasks, group);
    follow_losses();
  }
  for (const Ways& ways : ways_) {
    staying_ += ways.well || ways.lost ? 0 : 1;
    ending_well_ += ways.well ? 1 : 0;
  }
}

void Departures::lose(std::uint32_t task) {
  if (ways_[task].lost) return;
  ways_[task].lost = true;
  lost_.push_back(task);
  const std::uint32_t group = group_of_[task];
  if (group == groupless || is_group_to_look_at_[group]) return;
  is_group_to_look_at_[group] = true;
  groups_to_look_at_.push_back(group);
}

// Those that wait for what is lost are skipped; if the host needs one, it stops instead.
void Departures::follow_losses() {
  while (!lost_.empty()) {
    const std::uint32_t task = lost_.back();
    lost_.pop_back();
    for (const std::uint32_t other : dependants_[task]) {
      if (!ways_[other].needed) lose(other);
    }
  }
}

// A member that gives up or can't be stopped takes those along that its strategy concerns, unless the host needs one
// that is not over yet.
void Departures::look_at_group(const TaskList& tasks, std::uint32_t group) {
  const std::vector<std::uint32_t>& members = members_[group];
  const Strategy strategy = tasks.groups[group];
  const auto stays = [this](std::uint32_t task) {
    return ways_[task].needed && !ways_[task].well && !ways_[task].lost;
  };
  const bool is_alone = strategy == Strategy::one_for_one;
  auto concerned = static_cast<std::size_t>(std::count_if(members.begin(), members.end(), stays));
  const auto restarting = static_cast<std::size_t>(std::count_if(
      members.begin(), members.end(), [&tasks](std::uint32_t task) { return may_restart(tasks.options(task)); }));
  std::size_t restarting_before = 0;
  bool goes_with_them = false;  // those from here on may be discarded with one before
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::uint32_t task = members[i];
    Ways& ways = ways_[task];
    const bool is_one = stays(task);
    if (is_one && strategy == Strategy::rest_for_one) --concerned;
    const std::size_t others =
        strategy == Strategy::one_for_all ? restarting - (may_restart(tasks.options(task)) ? 1 : 0) : restarting_before;
    const bool may_be_asked = !is_alone && others != 0;
    restarting_before += may_restart(tasks.options(task)) ? 1 : 0;
    const bool leaves = ways.gives_up || ways.unstopped || (may_be_asked && !ways.needed && !ways.stoppable);
    const bool is_free = is_alone || concerned == (is_one && strategy == Strategy::one_for_all ? 1u : 0u);
    if (goes_with_them && !ways.needed) lose(task);
    if (!leaves || !is_free) continue;
    lose(task);
    if (strategy == Strategy::one_for_all && !goes_with_them) {
      for (const std::uint32_t other : members) {
        if (!ways_[other].needed) lose(other);
      }
    }
    goes_with_them = !is_alone;
  }
}

}  // namespace taskhost
