// How a scenario is simplified, and how one is printed.
#include <algorithm>
#include <memory>

#include "scenario.hpp"

namespace taskhost::simulation {

namespace {

using std::chrono::nanoseconds;

Scenario without_task(Scenario scenario, Place task) {
  const auto is_gone = [task](Place other) { return other == task; };
  const auto moved = [task](Place other) { return other > task ? other - 1 : other; };
  scenario.tasks.erase(scenario.tasks.begin() + task);
  scenario.characters.erase(scenario.characters.begin() + task);
  for (CoordinatedTask& other : scenario.tasks) {
    std::erase_if(other.after, is_gone);
    std::transform(other.after.begin(), other.after.end(), other.after.begin(), moved);
  }
  std::erase_if(scenario.operators, [&](const Operator& one) { return is_gone(one.task); });
  for (Operator& one : scenario.operators) one.task = moved(one.task);
  return scenario;
}

std::string duration(nanoseconds time, Nanoseconds unit) {
  return std::to_string(static_cast<double>(time.count()) / static_cast<double>(unit)).substr(0, 6);
}

std::string policy_text(const TaskOptions& options, Nanoseconds unit) {
  std::string text(to_string(options.type));
  text += ", restarts " + std::to_string(options.restarts) + ", stop_timeout " + duration(options.stop_timeout, unit);
  if (!options.optional) return text;
  const SupervisionOptions& optional = *options.optional;
  const auto time = [&](const char* name, const std::optional<nanoseconds>& value) {
    if (value) text += std::string(", ") + name + " " + duration(*value, unit);
  };
  if (optional.unlimited) text += ", unlimited";
  time("window", optional.window);
  if (const auto& backoff = optional.backoff) {
    text += ", backoff {initial " + duration(backoff->initial, unit) + ", factor " + std::to_string(backoff->factor) +
            ", max " + duration(backoff->max, unit) + ", jitter " + std::to_string(backoff->jitter) + "}";
  }
  time("reset_after", optional.reset_after);
  if (optional.notify) text += ", notify";
  time("start_timeout", optional.start_timeout);
  if (const auto& watchdog = optional.watchdog) {
    time("watchdog", watchdog->interval);
    text += " " + std::string(to_string(watchdog->action));
  }
  if (optional.on_give_up != GiveUp::by_type) text += ", on_give_up " + std::string(to_string(optional.on_give_up));
  if (optional.on_give_up == GiveUp::cooldown) text += " " + duration(optional.cooldown, unit);
  if (const auto& repeat = optional.repeat) {
    text += repeat->schedule ? ", repeat by " + repeat->schedule->text()
                             : ", repeat every " + duration(repeat->every, unit);
  }
  for (const ExitRule& rule : optional.exit_rules) {
    text += ", rule {";
    for (const Outcome outcome : rule.outcomes) text += std::string(to_string(outcome)) + " ";
    text += "'" + rule.message + "' " + std::string(to_string(rule.action)) + "}";
  }
  return text;
}

Scenario not_isolated(Scenario scenario, std::size_t task) {
  TaskOptions& options = scenario.tasks[task].options;
  SupervisionOptions optional = options.supervision();
  optional.isolated = false;
  options.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
  Character& character = scenario.characters[task];
  character.isolated = false;
  character.never_starts = character.crashes = character.dies_in_drop = 0;
  return scenario;
}

template <class Simplify>
void simplify_optional(std::vector<Scenario>& all, const Scenario& scenario, std::size_t task, Simplify simplify) {
  if (!scenario.tasks[task].options.optional) return;
  auto optional = std::make_shared<SupervisionOptions>(*scenario.tasks[task].options.optional);
  simplify(*optional);
  if (*optional == *scenario.tasks[task].options.optional) return;
  all.push_back(scenario);
  all.back().tasks[task].options.optional = std::move(optional);
}

}  // namespace

std::vector<Scenario> simpler(const Scenario& scenario) {
  std::vector<Scenario> all;
  const auto with = [&]() -> Scenario& { return all.emplace_back(scenario); };
  if (scenario.tasks.size() > 1) {
    for (Place task = 0; task < scenario.tasks.size(); ++task) all.push_back(without_task(scenario, task));
  }
  if (scenario.stuck) with().stuck.reset();
  if (!scenario.instant) with().instant = true;
  if (scenario.late) with().late = false;
  if (scenario.no_threads != 0) with().no_threads = 0;
  for (std::size_t i = 0; i < scenario.pauses.size(); ++i) {
    std::vector<Pause>& pauses = with().pauses;
    pauses.erase(pauses.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (std::size_t i = 0; i < scenario.operators.size(); ++i) {
    std::vector<Operator>& operators = with().operators;
    operators.erase(operators.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (std::size_t i = 0; i < scenario.tasks.size(); ++i) {
    if (scenario.characters[i].gets_stuck != 0) with().characters[i].gets_stuck = 0;
    if (scenario.characters[i].slow != 0) with().characters[i].slow = 0;
    if (scenario.characters[i].isolated) with() = not_isolated(scenario, i);
    if (scenario.characters[i].never_starts != 0) with().characters[i].never_starts = 0;
    if (scenario.characters[i].crashes != 0) with().characters[i].crashes = 0;
    if (scenario.characters[i].dies_in_drop != 0) with().characters[i].dies_in_drop = 0;
    if (scenario.tasks[i].group) with().tasks[i].group.reset();
    for (std::size_t j = 0; j < scenario.tasks[i].after.size(); ++j) {
      std::vector<Place>& after = with().tasks[i].after;
      after.erase(after.begin() + static_cast<std::ptrdiff_t>(j));
    }
    const auto less = [&](auto simplify) { simplify_optional(all, scenario, i, simplify); };
    less([](SupervisionOptions& optional) { optional.window.reset(); });
    less([](SupervisionOptions& optional) { optional.unlimited = false; });
    less([](SupervisionOptions& optional) {
      if (!optional.unlimited && !optional.repeats_after_delay()) optional.backoff.reset();
    });
    less([](SupervisionOptions& optional) { optional.reset_after.reset(); });
    less([](SupervisionOptions& optional) { optional.notify = false; });
    less([](SupervisionOptions& optional) { optional.start_timeout.reset(); });
    less([](SupervisionOptions& optional) { optional.watchdog.reset(); });
    less([](SupervisionOptions& optional) { optional.on_give_up = GiveUp::by_type; });
    less([](SupervisionOptions& optional) {
      const auto repeats = [](const ExitRule& rule) { return rule.action == ExitAction::repeat; };
      if (std::none_of(optional.exit_rules.begin(), optional.exit_rules.end(), repeats)) optional.repeat.reset();
    });
    less([](SupervisionOptions& optional) {
      if (!optional.exit_rules.empty()) optional.exit_rules.pop_back();
    });
  }
  return all;
}

std::string to_text(const Scenario& scenario) {
  std::string text = "seed " + std::to_string(scenario.seed) + ", times in units of " +
                     std::to_string(scenario.unit / 1'000'000) + " ms" + (scenario.instant ? ", instant" : "") +
                     (scenario.late ? ", late" : "") + "\n";
  for (std::size_t i = 0; i < scenario.groups.size(); ++i) {
    text += "group " + std::to_string(i) + ": " + std::string(to_string(scenario.groups[i])) + "\n";
  }
  for (std::size_t i = 0; i < scenario.tasks.size(); ++i) {
    const CoordinatedTask& task = scenario.tasks[i];
    text += "task " + std::to_string(i) + ": " + policy_text(task.options, scenario.unit);
    if (scenario.characters[i].blocking) text += ", blocking";
    if (scenario.characters[i].isolated) text += ", isolated";
    if (scenario.characters[i].never_starts != 0) text += ", may never start";
    if (scenario.characters[i].crashes != 0) text += ", crashes";
    if (scenario.characters[i].dies_in_drop != 0) text += ", dies in its drop";
    if (scenario.characters[i].gets_stuck != 0) text += ", gets stuck";
    if (scenario.characters[i].slow != 0) text += ", slow";
    if (task.group) text += ", group " + std::to_string(*task.group);
    for (const Place other : task.after) text += ", after " + std::to_string(other);
    text += "\n";
  }
  return text;
}

}  // namespace taskhost::simulation
