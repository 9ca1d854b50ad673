#include "policy/prospects.hpp"

#include <algorithm>
#include <utility>

#include "policy/order_plan.hpp"
#include "policy/rules.hpp"

namespace taskhost {

using namespace std::chrono_literals;

bool is_blocking(const TaskList& tasks, std::size_t task) {
  const auto& recipe = tasks.function(task).share();
  return recipe && recipe->blocking;
}

std::size_t count_blocking(const TaskList& tasks) {
  std::size_t count = 0;
  for (std::size_t task = 0; task < tasks.size(); ++task) count += is_blocking(tasks, task) ? 1 : 0;
  return count;
}

bool has_finish(const TaskList& tasks, std::size_t task) {
  const auto& recipe = tasks.function(task).share();
  return recipe && recipe->finishes();
}

namespace {

bool has_rule(const SupervisionOptions& optional, ExitAction action) {
  for (std::size_t rule = 0; rule < optional.exit_rules.size(); ++rule) {
    if (optional.exit_rules[rule].action == action && !is_dead(optional, rule)) return true;
  }
  return false;
}

// Those that are not listed may be like this, too.
template <class Predicate>
bool any_of(const Affected& affected, Predicate predicate) {
  return affected.count > affected.first.size() || std::any_of(affected.first.begin(), affected.first.end(), predicate);
}

}  // namespace

ProspectsReader::ProspectsReader(const TaskList& tasks, std::chrono::nanoseconds default_stop_timeout)
    : tasks_(tasks),
      default_stop_timeout_(default_stop_timeout),
      forecast_(tasks),
      departures_(tasks),
      groups_(tasks.groups.size()) {
  for (std::uint32_t task = 0; task < tasks.size(); ++task) {
    const TaskList::Relation* const relation = forecast_.relation_of(task);
    if (relation == nullptr || !relation->group) continue;
    const TaskOptions& options = tasks.options(task);
    Members& members = groups_[*relation->group];
    if (may_restart(options)) members.restarting.push_back(task);
    if (departures_.can_be_lost_itself(task)) members.lost.push_back(task);
    if (options.type == TaskType::detachable) continue;
    members.required.push_back(task);
    // One that is over no longer counts.
    if (!departures_.can_be_over(task)) members.needed.push_back(task);
  }
}

// Null: it has no group, or one whose members are restarted alone.
const ProspectsReader::Members* ProspectsReader::members_beside(std::uint32_t task) const {
  const TaskList::Relation* const relation = forecast_.relation_of(task);
  const bool has_group =
      relation != nullptr && relation->group && tasks_.groups[*relation->group] != Strategy::one_for_one;
  return has_group ? &groups_[*relation->group] : nullptr;
}

// Whether what happens to this member of its group concerns the task.
bool ProspectsReader::concerns(std::uint32_t member, std::uint32_t task) const {
  const Strategy strategy = tasks_.groups[*forecast_.relation_of(task)->group];
  return strategy == Strategy::rest_for_one ? member < task : member != task;
}

Affected ProspectsReader::restarted_by(std::uint32_t task) const {
  Affected by;
  const Members* const members = members_beside(task);
  if (members == nullptr) return by;
  const std::vector<std::uint32_t>& all = members->restarting;
  const auto at = std::lower_bound(all.begin(), all.end(), task);
  by.count = static_cast<std::size_t>(at - all.begin());
  if (tasks_.groups[*forecast_.relation_of(task)->group] == Strategy::one_for_all) {
    by.count = all.size() - (at != all.end() && *at == task ? 1 : 0);
  }
  for (const std::uint32_t member : all) {
    if (by.first.size() == std::min(by.count, Affected::max_first)) break;
    if (member != task) by.first.push_back(member);
  }
  return by;
}

// Those of its group because of which the host stops when this task is discarded for giving up; none if one of them is
// never over before.
Affected ProspectsReader::unless_over(std::uint32_t task) const {
  const Members* const members = members_beside(task);
  if (members == nullptr) return {};
  const std::vector<std::uint32_t>& needed = members->needed;
  if (!needed.empty() && (concerns(task, needed.front()) || concerns(task, needed.back()))) return {};
  Affected all;
  for (const std::uint32_t member : members->required) {
    if (!concerns(task, member)) continue;
    ++all.count;
    if (all.first.size() < Affected::max_first) all.first.push_back(member);
  }
  return all;
}

// Whether its group may ask it to end while the host runs.
bool ProspectsReader::may_be_asked_by_group(std::uint32_t task) const {
  const Members* const members = members_beside(task);
  if (members == nullptr) return false;
  const auto concerns_it = [&](std::uint32_t member) { return concerns(member, task); };
  const std::vector<std::uint32_t>& restarting = members->restarting;
  // If any does, so does one of the outermost.
  if (!restarting.empty() && (concerns_it(restarting.front()) || concerns_it(restarting.back()))) return true;
  // With one that is lost, the host stops rather than end a task that it needs.
  if (tasks_.options(task).type != TaskType::detachable) return false;
  const std::vector<std::uint32_t>& lost = members->lost;
  const std::vector<std::uint32_t>& needed = members->needed;
  // If the host can't do without another that it concerns, the host stops instead.
  const auto ends_it = [&](std::uint32_t member) {
    if (!concerns_it(member)) return false;
    return needed.empty() || (!concerns(member, needed.front()) && !concerns(member, needed.back()));
  };
  if (lost.empty()) return false;
  const auto behind = std::lower_bound(lost.begin(), lost.end(), task);
  if (behind != lost.begin() && ends_it(*(behind - 1))) return true;
  if (ends_it(lost.front()) || ends_it(lost.back())) return true;
  return !needed.empty() && std::binary_search(lost.begin(), lost.end(), needed.front()) && ends_it(needed.front());
}

bool ProspectsReader::may_start_again(std::uint32_t task) const {
  const TaskOptions& options = tasks_.options(task);
  const SupervisionOptions& optional = options.supervision();
  return may_restart(options) || optional.repeat || has_rule(optional, ExitAction::repeat) ||
         !restarted_by(task).empty();
}

Loss ProspectsReader::loss(Incident incident, std::uint32_t task) const {
  Aftermath at_once = forecast_.at_once(incident, task);
  Aftermath later = forecast_.in_the_end(task, at_once);
  const std::optional<Aftermath::HostStop> stop = at_once.host_stop;
  const bool for_group = stop && stop->reason == StopReason::group;
  const bool may_discard_fewer = may_be_over(at_once.discarded);
  const bool may_skip_later = any_of(later.skipped, [this](std::uint32_t other) { return may_start_again(other); });
  return {.at_once = std::move(at_once),
          .later = std::move(later),
          .may_skip_later = may_skip_later,
          .may_discard_fewer = may_discard_fewer,
          .unless_over = for_group ? unless_over(task) : Affected{},
          .may_host_end_well = departures_.can_another_end_well(task)};
}

bool ProspectsReader::may_be_over(const Affected& affected) const {
  return any_of(affected, [this](std::uint32_t task) { return departures_.can_be_over(task); });
}

Prospects ProspectsReader::of(std::uint32_t task) const {
  const TaskOptions& options = tasks_.options(task);
  const SupervisionOptions& optional = options.supervision();
  Prospects prospects;
  prospects.relation = forecast_.relation_of(task);
  for (std::size_t rule = 0; rule < optional.exit_rules.size(); ++rule) {
    if (!is_dead(optional, rule)) prospects.rules.push_back(&optional.exit_rules[rule]);
  }
  prospects.type_decides_ok = !is_taken(optional.exit_rules, Outcome::ok);
  prospects.type_decides_failure = is_failure_left(optional);

  prospects.restarted_by = restarted_by(task);
  // While one_for_all has them wait for this one's delay, no other can fail.
  prospects.ends_early =
      !prospects.restarted_by.empty() && tasks_.groups[*prospects.relation->group] == Strategy::rest_for_one;
  prospects.ends_any_delay = !prospects.restarted_by.empty() &&
                             (optional.repeats_after_delay() ||
                              (prospects.ends_early && (optional.backoff || optional.on_give_up == GiveUp::cooldown)));
  const ExitChances chances = chances_of(options);
  if (chances.restart && (options.restarts != 0 || optional.unlimited)) {
    const auto finish = has_finish(tasks_, task) ? stop_timeout_of(options, default_stop_timeout_) : 0ns;
    prospects.delays = restart_delays(options, finish);
    prospects.charged = charged_exits(options);
    prospects.longest_counted = longest_counted_execution(options, !prospects.ends_early);
    prospects.restarted_with_it = forecast_.at_once(Incident::restarts, task).restarted;
    prospects.may_be_later = !prospects.restarted_by.empty() || !prospects.restarted_with_it.empty() ||
                             (prospects.relation != nullptr && !prospects.relation->after.empty());
  }
  if (optional.notify && !optional.start_timeout) {
    const std::vector<std::uint32_t>& waiting = forecast_.dependants_of(task);
    prospects.waiting_for_ever.count = waiting.size();
    const std::size_t first = std::min(waiting.size(), Affected::max_first);
    prospects.waiting_for_ever.first.assign(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(first));
  }
  if (chances.give_up) prospects.giving_up = loss(Incident::gives_up, task);
  if (chances.discard_after_failure) prospects.discarding = loss(Incident::is_discarded, task);
  const bool may_be_asked = is_timed(options) || may_be_asked_by_group(task) || has_finish(tasks_, task);
  if (may_be_asked && !options.supervision().isolated) {  // whose process can always be killed
    prospects.abandonment = loss(Incident::is_abandoned, task);
  }
  return prospects;
}

}  // namespace taskhost
