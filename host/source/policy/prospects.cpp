#include "policy/prospects.hpp"

#include <algorithm>
#include <utility>

#include "policy/rules.hpp"

namespace taskhost {

bool is_blocking(const TaskList& tasks, std::size_t task) {
  const auto& recipe = tasks.function(task).share();
  return recipe && recipe->blocking;
}

bool has_finish(const TaskList& tasks, std::size_t task) {
  const auto& recipe = tasks.function(task).share();
  return recipe && recipe->finishes();
}

Loss ProspectsReader::loss(Incident incident, std::uint32_t task) const {
  Aftermath at_once = forecast_.at_once(incident, task);
  Aftermath later = forecast_.in_the_end(task, at_once);
  const std::optional<Aftermath::HostStop> stop = at_once.host_stop;
  const bool for_group = stop && stop->reason == StopReason::group;
  const bool may_discard_fewer = may_be_over(at_once.discarded);
  return {.at_once = std::move(at_once),
          .later = std::move(later),
          .may_discard_fewer = may_discard_fewer,
          .may_host_go_on = for_group && departures_.can_be_over(stop->task),
          .may_host_end_well = departures_.can_another_end_well(task)};
}

bool ProspectsReader::may_be_over(const Affected& affected) const {
  return affected.count > affected.first.size() ||
         std::any_of(affected.first.begin(), affected.first.end(),
                     [this](std::uint32_t task) { return departures_.can_be_over(task); });
}

Prospects ProspectsReader::of(std::uint32_t task) const {
  static const SupervisionOptions none;
  const TaskOptions& options = tasks_.options(task);
  const SupervisionOptions& optional = options.optional ? *options.optional : none;
  Prospects prospects;
  prospects.relation = forecast_.relation_of(task);
  for (std::size_t rule = 0; rule < optional.exit_rules.size(); ++rule) {
    if (!is_dead(optional.exit_rules, rule)) prospects.rules.push_back(&optional.exit_rules[rule]);
  }
  prospects.type_decides_ok = !is_taken(optional.exit_rules, Outcome::ok);
  prospects.type_decides_failure =
      !is_taken(optional.exit_rules, Outcome::error) || !is_taken(optional.exit_rules, Outcome::panic);

  const ExitChances chances = chances_of(options);
  if (chances.restart && (options.restarts != 0 || optional.unlimited)) {
    prospects.delays = restart_delays(options);
    prospects.charged = charged_exits(options);
    prospects.longest_counted = longest_counted_execution(options);
    prospects.restarted_with_it = forecast_.at_once(Incident::restarts, task).restarted;
  }
  if (chances.give_up) prospects.giving_up = loss(Incident::gives_up, task);
  if (chances.discard_after_failure) prospects.discarding = loss(Incident::is_discarded, task);
  const bool is_timed = (optional.notify && optional.start_timeout) ||
                        (optional.watchdog && optional.watchdog->action == WatchdogAction::restart);
  const bool has_group = prospects.relation != nullptr && prospects.relation->group &&
                         tasks_.groups[*prospects.relation->group] != Strategy::one_for_one;
  if (is_timed || has_group || has_finish(tasks_, task)) prospects.abandonment = loss(Incident::is_abandoned, task);
  return prospects;
}

}  // namespace taskhost
