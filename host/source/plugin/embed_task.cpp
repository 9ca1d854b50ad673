#include "plugin/embed_task.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <stdexcept>

#include "calendar/calendar.hpp"
#include "text/duration.hpp"

namespace taskhost {

namespace {

using std::chrono::nanoseconds;

// Reports a wrong field to the reading function.
class WrongField : public std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

nanoseconds read_time(std::uint64_t given, const char* field) {
  if (given > static_cast<std::uint64_t>(max_duration.count())) {
    throw WrongField(std::string(field) + " is longer than 365 days");
  }
  return nanoseconds(static_cast<std::int64_t>(given));
}

// Zero means that it is not given.
std::optional<nanoseconds> read_optional_time(std::uint64_t given, const char* field) {
  return given != 0 ? std::optional(read_time(given, field)) : std::nullopt;
}

// Constants that count from `first`, as the enumerators count from 0.
template <class Enumeration>
Enumeration read_constant(std::int32_t given, std::int32_t first, std::int32_t last, const char* field) {
  if (given < first || given > last) throw WrongField("unknown " + std::string(field) + ' ' + std::to_string(given));
  return static_cast<Enumeration>(given - first);
}

ExitRule read_exit_rule(const taskhost_exit_rule& given) {
  constexpr std::uint32_t known = TASKHOST_ON_OK | TASKHOST_ON_ERROR | TASKHOST_ON_PANIC | TASKHOST_ON_CRASHED;
  if ((given.outcomes & ~known) != 0) throw WrongField("an exit rule has unknown outcomes");
  if (given.reserved != 0) throw WrongField("an exit rule's field reserved is not 0");
  ExitRule rule;
  for (const Outcome outcome : {Outcome::ok, Outcome::error, Outcome::panic, Outcome::crashed}) {
    if ((given.outcomes & 1u << static_cast<unsigned>(outcome)) != 0) rule.outcomes.push_back(outcome);
  }
  if (given.message != nullptr) rule.message = given.message;
  rule.action =
      read_constant<ExitAction>(given.action, TASKHOST_EXIT_RESTART, TASKHOST_EXIT_REPEAT, "action of an exit rule");
  return rule;
}

std::vector<ExitRule> read_exit_rules(const taskhost_task_options& given) {
  std::vector<ExitRule> rules;
  if (given.exit_rule_count == 0) return rules;
  if (given.exit_rules == nullptr) throw WrongField("exit_rule_count without exit_rules");
  const std::size_t stride = given.exit_rules[0].struct_size;
  if (stride < offsetof(taskhost_exit_rule, action) + sizeof(std::int32_t)) {
    throw WrongField("an exit rule's struct_size is too small");
  }
  const auto* at = reinterpret_cast<const std::byte*>(given.exit_rules);
  for (std::size_t i = 0; i < given.exit_rule_count; ++i, at += stride) {
    taskhost_exit_rule rule{};
    std::memcpy(&rule, at, std::min(stride, sizeof rule));
    if (rule.struct_size != stride) throw WrongField("exit rules with different struct_sizes");
    rules.push_back(read_exit_rule(rule));
  }
  return rules;
}

std::optional<Backoff> read_backoff(const taskhost_task_options& given) {
  if (given.backoff_initial == 0) {
    if (given.backoff_max != 0 || given.backoff_factor != 0 || given.backoff_jitter != 0) {
      throw WrongField("a backoff without backoff_initial");
    }
    return std::nullopt;
  }
  constexpr double thousandths = 1000;
  Backoff backoff;
  backoff.initial = read_time(given.backoff_initial, "backoff_initial");
  backoff.max = read_optional_time(given.backoff_max, "backoff_max").value_or(backoff.max);
  if (given.backoff_factor != 0) backoff.factor = given.backoff_factor / thousandths;
  backoff.jitter = given.backoff_jitter / thousandths;
  return backoff;
}

std::optional<Repetition> read_repeat(const taskhost_task_options& given) {
  if (given.repeat_schedule == nullptr) {
    if (given.repeat_time_zone != nullptr) throw WrongField("repeat_time_zone without repeat_schedule");
    const auto every = read_optional_time(given.repeat_every, "repeat_every");
    return every ? std::optional(Repetition{.every = *every}) : std::nullopt;
  }
  if (given.repeat_every != 0) throw WrongField("repeat_every and repeat_schedule exclude each other");
  const bool has_zone = given.repeat_time_zone != nullptr;
  ScheduleReading reading = read_schedule(given.repeat_schedule,
                                          has_zone ? std::optional<std::string>(given.repeat_time_zone) : std::nullopt);
  if (!reading.cron_problem.empty()) throw WrongField("repeat_schedule: " + reading.cron_problem);
  if (!reading.zone_problem.empty()) throw WrongField("repeat_time_zone: " + reading.zone_problem);
  return Repetition{.schedule = std::move(reading.value)};
}

// Null if no optional field is given.
std::shared_ptr<const SupervisionOptions> read_optional(const taskhost_task_options& given) {
  SupervisionOptions options;
  options.unlimited = given.restarts == TASKHOST_UNLIMITED;
  options.window = read_optional_time(given.window, "window");
  options.backoff = read_backoff(given);
  options.reset_after = read_optional_time(given.reset_after, "reset_after");
  options.notify = read_constant<int>(given.ready, TASKHOST_READY_STARTED, TASKHOST_READY_NOTIFY, "ready") == 1;
  options.start_timeout = read_optional_time(given.start_timeout, "start_timeout");
  const auto action = read_constant<WatchdogAction>(given.watchdog_action, TASKHOST_WATCHDOG_LOG,
                                                    TASKHOST_WATCHDOG_RESTART, "watchdog_action");
  if (const auto interval = read_optional_time(given.watchdog_interval, "watchdog_interval")) {
    options.watchdog = Watchdog{.interval = *interval, .action = action};
  } else if (action != WatchdogAction::log) {
    throw WrongField("watchdog_action without watchdog_interval");
  }
  options.on_give_up =
      read_constant<GiveUp>(given.on_give_up, TASKHOST_GIVE_UP_DEFAULT, TASKHOST_GIVE_UP_COOLDOWN, "on_give_up");
  options.cooldown = read_time(given.cooldown, "cooldown");
  if ((options.on_give_up == GiveUp::cooldown) != (given.cooldown != 0)) {
    throw WrongField("TASKHOST_GIVE_UP_COOLDOWN needs a cooldown, and nothing else may have one");
  }
  options.exit_rules = read_exit_rules(given);
  options.repeat = read_repeat(given);
  if (options == SupervisionOptions{}) return nullptr;
  return std::make_shared<const SupervisionOptions>(std::move(options));
}

OwnRelation read_relation(const taskhost_task_options& given) {
  OwnRelation relation;
  if (given.after_count != 0 && given.after == nullptr) throw WrongField("after_count without after");
  for (std::size_t i = 0; i < given.after_count; ++i) {
    if (given.after[i] == nullptr) throw WrongField("a name in after is NULL");
    relation.after.emplace_back(given.after[i]);
    if (std::find(relation.after.begin(), relation.after.end() - 1, relation.after.back()) !=
        relation.after.end() - 1) {
      throw WrongField("a name is in after twice");
    }
  }
  if (given.group != nullptr) relation.group = given.group;
  if (given.strategy != 0) {
    relation.strategy =
        read_constant<Strategy>(given.strategy, TASKHOST_ONE_FOR_ONE, TASKHOST_REST_FOR_ONE, "strategy");
    if (!relation.group) throw WrongField("strategy without group");
  }
  return relation;
}

}  // namespace

OwnTask read_own_task(const taskhost_task_options& given) {
  OwnTask task;
  try {
    if (given.factory == nullptr) throw WrongField("a task without a factory");
    if (given.reserved != 0) throw WrongField("a task's field reserved is not 0");
    task.options.type =
        read_constant<TaskType>(given.type, TASKHOST_SHUTDOWN_ON_EXIT, TASKHOST_DETACHABLE, "task type");
    task.options.restarts = given.restarts == TASKHOST_UNLIMITED ? 0 : given.restarts;
    task.options.stop_timeout = read_time(given.stop_timeout, "stop_timeout");
    task.options.optional = read_optional(given);
    task.relation = read_relation(given);
  } catch (const WrongField& wrong) {
    task.problem = wrong.what();
  }
  return task;
}

}  // namespace taskhost
