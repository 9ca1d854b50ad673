#include "manifest/policy_fields.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "manifest/worker_fields.hpp"
#include "policy/rules.hpp"
#include "taskhost/core/duration.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

using std::chrono::nanoseconds;
using Words = std::string_view;

// Names for the values of a flag.
enum class Readiness : std::uint8_t { started, notify };
enum class Isolation : std::uint8_t { none, process };

// Without ends that the host causes, which are not exits.
constexpr auto outcome_words = plain_words<Outcome, Outcome::cancelled>();

bool has_restarts(const TaskOptions& options) {
  return options.type != TaskType::shutdown_on_exit &&
         (options.restarts != 0 || (options.optional && options.optional->unlimited));
}

}  // namespace

template <>
inline constexpr auto words_of<Readiness> = std::to_array<Word<Readiness>>({{Readiness::started, "started"},
                                                                            {Readiness::notify, "notify"}});
template <>
inline constexpr auto words_of<Isolation> = std::to_array<Word<Isolation>>({{Isolation::none, "none"},
                                                                            {Isolation::process, "process"}});

void PolicyReader::note(const FieldReader& fields, PolicyField field, bool is_right, GivenPolicy& policy) {
  const ManifestNode* const node = fields.find(to_string(field));
  if (node == nullptr) return;
  policy.given.add(field);
  policy.offsets[static_cast<std::size_t>(field)] = node->key_offset;
  if (!is_right) policy.wrong.add(field);
}

GivenPolicy PolicyReader::read(const FieldReader& fields) {
  GivenPolicy policy;
  fields.require("type", "use " + quoted_list(plain_words<TaskType>(), "or"));
  const std::optional<TaskType> type = fields.word<TaskType>("type", "task type");
  policy.options.type = type.value_or(policy.options.type);
  if (!type) policy.wrong.add(PolicyField::type);
  const std::optional<Restarts> restarts = fields.restarts("restarts");
  const bool has_restarts_field = fields.find("restarts") != nullptr;
  note(fields, PolicyField::restarts, restarts.has_value(), policy);
  if (has_restarts_field && type == TaskType::shutdown_on_exit) {
    faults_.add(policy.offsets[static_cast<std::size_t>(PolicyField::restarts)], fields.pointer_to("restarts"),
                "a \"shutdown_on_exit\" task is never restarted; remove \"restarts\" or choose another type");
  } else if (restarts) {
    policy.options.restarts = restarts->count;
  }
  const std::optional<nanoseconds> stop_timeout = fields.duration("stop_timeout");
  policy.has_stop_timeout = stop_timeout.has_value();
  policy.options.stop_timeout = stop_timeout.value_or(policy.options.stop_timeout);

  const bool unlimited = restarts && restarts->unlimited && type != TaskType::shutdown_on_exit;
  policy.has_optional = unlimited || fields.has_optional();
  if (policy.has_optional) {
    read_optional(fields, policy);
    if (unlimited) {
      SupervisionOptions values = policy.options.optional ? *policy.options.optional : SupervisionOptions{};
      values.unlimited = true;
      policy.options.optional = share(std::move(values));
    }
  }
  return policy;
}

void PolicyReader::read_defaults(const FieldReader& fields) {
  default_stop_timeout_ = fields.duration("stop_timeout").value_or(default_stop_timeout_);
  if (!fields.has_optional()) return;
  GivenPolicy own;
  read_optional(fields, own);
  SupervisionOptions values = own.options.supervision();
  for (const Word<PolicyField>& field : words_of<PolicyField>) {
    if (!defaults_.given.has(field.value) || own.given.has(field.value)) continue;
    copy(field.value, defaults_.options.supervision(), values);
    own.given.add(field.value);
  }
  own.options.optional = share(std::move(values));
  defaults_ = std::move(own);
  if (const auto given = read_limits(fields, faults_)) {
    default_limits_ = with_default_limits(given->limits, default_limits_);
  }
}

void PolicyReader::read_optional(const FieldReader& fields, GivenPolicy& policy) {
  // `read` reads the field if it is present, and returns whether there is a value.
  struct Row {
    PolicyField field;
    bool (*read)(PolicyReader& self, const FieldReader& fields, Words key, SupervisionOptions& values);
  };
  using Self = PolicyReader;
  using Fields = FieldReader;
  using Values = SupervisionOptions;
  static constexpr auto rows = std::to_array<Row>({
      {PolicyField::window, [](Self&, const Fields& fields, Words key,
                               Values& values) { return (values.window = fields.positive_duration(key)).has_value(); }},
      {PolicyField::backoff, [](Self& self, const Fields& fields, Words,
                                Values& values) { return (values.backoff = self.read_backoff(fields)).has_value(); }},
      {PolicyField::reset_after,
       [](Self&, const Fields& fields, Words key, Values& values) {
         return (values.reset_after = fields.positive_duration(key)).has_value();
       }},
      {PolicyField::ready,
       [](Self&, const Fields& fields, Words key, Values& values) {
         const std::optional<Readiness> ready = fields.word<Readiness>(key, "word");
         values.notify = ready == Readiness::notify;
         return ready.has_value();
       }},
      {PolicyField::start_timeout,
       [](Self&, const Fields& fields, Words key, Values& values) {
         return (values.start_timeout = fields.positive_duration(key)).has_value();
       }},
      {PolicyField::watchdog,
       [](Self& self, const Fields& fields, Words, Values& values) {
         return (values.watchdog = self.read_watchdog(fields)).has_value();
       }},
      {PolicyField::on_give_up,
       [](Self& self, const Fields& fields, Words, Values& values) {
         const auto give_up = self.read_give_up(fields);
         if (give_up) std::tie(values.on_give_up, values.cooldown) = *give_up;
         return give_up.has_value();
       }},
      {PolicyField::exit_rules,
       [](Self& self, const Fields& fields, Words, Values& values) {
         auto rules = self.read_exit_rules(fields);
         if (rules) values.exit_rules = std::move(*rules);
         return rules.has_value();
       }},
      {PolicyField::repeat, [](Self& self, const Fields& fields, Words,
                               Values& values) { return (values.repeat = self.read_repeat(fields)).has_value(); }},
      {PolicyField::isolation,
       [](Self&, const Fields& fields, Words key, Values& values) {
         const std::optional<Isolation> isolation = fields.word<Isolation>(key, "isolation");
         values.isolated = isolation == Isolation::process;
         return isolation.has_value();
       }},
  });
  static_assert(rows.size() + 2 == words_of<PolicyField>.size());  // all except type and restarts
  SupervisionOptions values;
  for (const Row& row : rows) note(fields, row.field, row.read(*this, fields, to_string(row.field), values), policy);
  policy.options.optional = share(std::move(values));
}

std::optional<Backoff> PolicyReader::read_backoff(const FieldReader& fields) {
  const ManifestNode* const node = fields.find("backoff");
  if (node == nullptr) return std::nullopt;
  const std::string pointer = fields.pointer_to("backoff");
  const FieldReader inner(*node, pointer, ManifestObject::backoff, faults_);
  if (!inner.is_object()) return std::nullopt;
  inner.require("initial", "it is the delay before the first restart, such as \"initial\": \"100ms\"");
  const std::optional<nanoseconds> initial = inner.duration("initial");
  const std::optional<double> factor = inner.number("factor", 1, std::numeric_limits<double>::max());
  const std::optional<nanoseconds> max = inner.duration("max");
  const std::optional<double> jitter = inner.number("jitter", 0, 1);
  const auto wrong = [&inner](Words name, bool read) { return inner.find(name) != nullptr && !read; };
  if (!initial || wrong("factor", factor.has_value()) || wrong("max", max.has_value()) ||
      wrong("jitter", jitter.has_value())) {
    return std::nullopt;
  }
  Backoff backoff;
  backoff.initial = *initial;
  backoff.factor = factor.value_or(backoff.factor);
  backoff.max = max.value_or(backoff.max);
  backoff.jitter = jitter.value_or(backoff.jitter);
  tell_unused(inner, backoff);
  if (backoff.max < backoff.initial) {
    const Words given = max ? "max" : "initial";
    faults_.add(inner.find(given)->offset, inner.pointer_to(given), backoff_order_problem(backoff));
    return std::nullopt;
  }
  return backoff;
}

// What is given, and can't change any delay.
void PolicyReader::tell_unused(const FieldReader& fields, const Backoff& backoff) {
  struct Row {
    Words field;
    bool is_unused;
    std::string message;
  };
  const bool none = backoff.initial.count() == 0;
  constexpr const char* no_delay =
      "there is no delay, since \"initial\" is 0s; give it a duration, or remove this field";
  const std::string raise = "raise \"max\" above " + print_duration(backoff.initial) + ", or ";
  const std::string no_growth =
      "no delay is longer than \"max\", which is \"initial\", so \"factor\" can't make any grow; " +
      (backoff.initial < max_duration ? raise : std::string()) + "remove \"factor\"";
  for (const Row& row : {Row{"factor", none, no_delay}, Row{"max", none, no_delay}, Row{"jitter", none, no_delay},
                         Row{"factor", !none && backoff.factor > 1 && backoff.max == backoff.initial, no_growth}}) {
    const ManifestNode* const node = row.is_unused ? fields.find(row.field) : nullptr;
    if (node != nullptr) faults_.add(node->offset, fields.pointer_to(row.field), row.message);
  }
}

std::optional<Watchdog> PolicyReader::read_watchdog(const FieldReader& fields) {
  const ManifestNode* const node = fields.find("watchdog");
  if (node == nullptr) return std::nullopt;
  const std::string pointer = fields.pointer_to("watchdog");
  const FieldReader inner(*node, pointer, ManifestObject::watchdog, faults_);
  if (!inner.is_object()) return std::nullopt;
  inner.require("interval", "it is the longest time without a heartbeat, such as \"interval\": \"5s\"");
  const std::optional<nanoseconds> interval = inner.positive_duration("interval");
  const std::optional<WatchdogAction> action = inner.word<WatchdogAction>("action", "action");
  if (!interval || (inner.find("action") != nullptr && !action)) return std::nullopt;
  return Watchdog{.interval = *interval, .action = action.value_or(WatchdogAction::log)};
}

std::optional<std::pair<GiveUp, nanoseconds>> PolicyReader::read_give_up(const FieldReader& fields) {
  const ManifestNode* const node = fields.find("on_give_up");
  if (node == nullptr) return std::nullopt;
  const std::string pointer = fields.pointer_to("on_give_up");
  if (node->kind == NodeKind::object) {
    const FieldReader inner(*node, pointer, ManifestObject::on_give_up, faults_);
    inner.require("cooldown", "it is the time until the task starts over, such as \"cooldown\": \"5m\"");
    const std::optional<nanoseconds> cooldown = inner.positive_duration("cooldown");
    if (!cooldown) return std::nullopt;
    return std::pair(GiveUp::cooldown, *cooldown);
  }
  if (node->kind != NodeKind::string) {
    faults_.add(node->offset, pointer,
                "expected " + quoted_list(plain_words<GiveUp, GiveUp::cooldown>(), "or") +
                    ", or an object such as {\"cooldown\": \"5m\"}, found " + found_words(*node));
    return std::nullopt;
  }
  if (node->text == to_string(GiveUp::cooldown)) {
    faults_.add(node->offset, pointer, "a cooldown needs its time: write {\"cooldown\": \"5m\"}");
    return std::nullopt;
  }
  const auto word = read_word<GiveUp, GiveUp::cooldown>(*node, pointer, "way to give up", faults_);
  if (!word) return std::nullopt;
  return std::pair(*word, nanoseconds(0));
}

std::optional<std::vector<ExitRule>> PolicyReader::read_exit_rules(const FieldReader& fields) {
  const ManifestNode* const node = fields.find("exit_rules");
  if (node == nullptr) return std::nullopt;
  const std::string pointer = fields.pointer_to("exit_rules");
  if (!expect_kind(*node, NodeKind::array, pointer, faults_)) return std::nullopt;
  std::vector<ExitRule> rules;
  bool sound = true;
  for (std::size_t i = 0; i < node->children.size(); ++i) {
    std::optional<ExitRule> rule = read_exit_rule(node->children[i], pointer + '/' + std::to_string(i));
    sound = sound && rule.has_value();
    if (rule) rules.push_back(std::move(*rule));
  }
  return sound ? std::optional(std::move(rules)) : std::nullopt;
}

std::optional<ExitRule> PolicyReader::read_exit_rule(const ManifestNode& node, const std::string& pointer) {
  const FieldReader inner(node, pointer, ManifestObject::exit_rule, faults_);
  if (!inner.is_object()) return std::nullopt;
  inner.require("match",
                "it says which exits the rule is for, such as \"match\": {\"outcome\": \"panic\"}; {} matches any");
  inner.require("action", "use " + quoted_list(plain_words<ExitAction>(), "or"));
  const std::optional<ExitAction> action = inner.word<ExitAction>("action", "action");
  const ManifestNode* const match = inner.find("match");
  if (match == nullptr) return std::nullopt;
  const std::string match_pointer = inner.pointer_to("match");
  const FieldReader match_fields(*match, match_pointer, ManifestObject::match, faults_);
  if (!match_fields.is_object()) return std::nullopt;
  ExitRule rule;
  bool sound = action.has_value();
  if (const ManifestNode* const outcome = match_fields.find("outcome")) {
    sound = read_outcomes(*outcome, match_fields.pointer_to("outcome"), rule.outcomes) && sound;
  }
  if (match_fields.find("message") != nullptr) {
    std::optional<std::string> message = match_fields.text("message", max_message_bytes);
    sound = sound && message.has_value();
    if (message) rule.message = std::move(*message);
  }
  if (!sound) return std::nullopt;
  rule.action = *action;
  return rule;
}

// One outcome, or a list of them.
bool PolicyReader::read_outcomes(const ManifestNode& node, const std::string& pointer, std::vector<Outcome>& outcomes) {
  const auto read_one = [&](const ManifestNode& word, const std::string& its_pointer) {
    const auto outcome = read_word<Outcome, Outcome::cancelled>(word, its_pointer, "outcome", faults_);
    if (!outcome) return false;
    if (std::find(outcomes.begin(), outcomes.end(), *outcome) != outcomes.end()) {
      faults_.add(word.offset, its_pointer, quoted_text(word.text) + " is listed twice; remove one of the two");
      return false;
    }
    outcomes.push_back(*outcome);
    return true;
  };
  if (node.kind == NodeKind::string) return read_one(node, pointer);
  if (node.kind != NodeKind::array) {
    faults_.add(node.offset, pointer,
                "expected " + quoted_list(outcome_words, "or") + ", or an array of them, found " + found_words(node));
    return false;
  }
  if (node.children.empty()) {
    faults_.add(node.offset, pointer, "expected at least one outcome; remove this field to match any");
    return false;
  }
  bool sound = true;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    sound = read_one(node.children[i], pointer + '/' + std::to_string(i)) && sound;
  }
  return sound;
}

std::optional<Repetition> PolicyReader::read_repeat(const FieldReader& fields) {
  const ManifestNode* const node = fields.find("repeat");
  if (node == nullptr) return std::nullopt;
  const std::string pointer = fields.pointer_to("repeat");
  const FieldReader inner(*node, pointer, ManifestObject::repeat, faults_);
  if (!inner.is_object()) return std::nullopt;
  const ManifestNode* const zone = inner.find("time_zone");
  if (inner.find("schedule") == nullptr) {
    if (zone != nullptr) {
      faults_.add(
          zone->offset, inner.pointer_to("time_zone"),
          "only a \"schedule\" has a time zone; remove \"time_zone\", or give \"schedule\" instead of \"every\"");
    }
    inner.require("every", "say when it is due again, such as \"every\": \"5m\", or \"schedule\": \"0 3 * * mon-fri\"");
    const std::optional<nanoseconds> every = inner.positive_duration("every");
    return every ? std::optional(Repetition{.every = *every}) : std::nullopt;
  }
  if (const ManifestNode* const every = inner.find("every")) {
    faults_.add(every->offset, inner.pointer_to("every"),
                "remove \"every\" or \"schedule\": only one of them can count");
    return std::nullopt;
  }
  std::shared_ptr<const Schedule> schedule = read_schedule(inner);
  return schedule ? std::optional(Repetition{.schedule = std::move(schedule)}) : std::nullopt;
}

std::shared_ptr<const Schedule> PolicyReader::read_schedule(const FieldReader& fields) {
  std::optional<std::string> text = fields.text("schedule", max_schedule_bytes);
  std::optional<std::string> zone_name = fields.text("time_zone", max_name_bytes);
  const ManifestNode* const zone_node = fields.find("time_zone");
  if (!text || (zone_node != nullptr && !zone_name)) return nullptr;
  if (last_schedule_.text != *text || last_schedule_.zone != zone_name) {
    last_schedule_ = {*text, zone_name, taskhost::read_schedule(*text, zone_name)};
  }
  const ScheduleReading& reading = last_schedule_.reading;
  const ManifestNode& node = *fields.find("schedule");
  if (!reading.cron_problem.empty()) faults_.add(node.offset, fields.pointer_to("schedule"), reading.cron_problem);
  if (!reading.zone_problem.empty()) {
    faults_.add(zone_node != nullptr ? zone_node->offset : node.offset,
                fields.pointer_to(zone_node != nullptr ? "time_zone" : "schedule"), reading.zone_problem);
  }
  return reading.value;
}

// --- with defaults ---------------------------------------------------------------------------------------------------

std::shared_ptr<const SupervisionOptions> PolicyReader::share(SupervisionOptions values) {
  if (values == SupervisionOptions{}) return nullptr;
  if (!last_ || *last_ != values) last_ = std::make_shared<const SupervisionOptions>(std::move(values));
  return last_;
}

void PolicyReader::copy(PolicyField field, const SupervisionOptions& from, SupervisionOptions& to) {
  switch (field) {
    case PolicyField::window:
      to.window = from.window;
      return;
    case PolicyField::backoff:
      to.backoff = from.backoff;
      return;
    case PolicyField::reset_after:
      to.reset_after = from.reset_after;
      return;
    case PolicyField::ready:
      to.notify = from.notify;
      return;
    case PolicyField::start_timeout:
      to.start_timeout = from.start_timeout;
      return;
    case PolicyField::watchdog:
      to.watchdog = from.watchdog;
      return;
    case PolicyField::on_give_up:
      to.on_give_up = from.on_give_up;
      to.cooldown = from.cooldown;
      return;
    case PolicyField::exit_rules:
      to.exit_rules = from.exit_rules;
      return;
    case PolicyField::isolation:
      to.isolated = from.isolated;
      return;
    case PolicyField::repeat:  // never in "defaults"
    case PolicyField::type:
    case PolicyField::restarts:
      return;  // never in "defaults"
  }
}

// A default that makes no sense for a task does not apply to it.
SupervisionOptions PolicyReader::with_defaults(const GivenPolicy& policy) const {
  SupervisionOptions values = policy.options.supervision();
  const SupervisionOptions& defaults = defaults_.options.supervision();
  const bool has_some = has_restarts(policy.options) || policy.wrong.has(PolicyField::restarts);
  const bool ends_host = policy.options.type == TaskType::shutdown_on_exit;
  const auto from_defaults = [&](PolicyField field) { return defaults_.given.has(field) && !policy.given.has(field); };
  if (from_defaults(PolicyField::isolation)) values.isolated = defaults.isolated;
  if (from_defaults(PolicyField::exit_rules)) {
    std::copy_if(defaults.exit_rules.begin(), defaults.exit_rules.end(), std::back_inserter(values.exit_rules),
                 [&](const ExitRule& rule) {
                   return !(rule.action == ExitAction::restart && !has_some) &&
                          !(rule.action == ExitAction::give_up && ends_host) &&
                          !(rule.action == ExitAction::repeat && ends_host && !values.repeat);
                 });
  }
  const ExitChances chances = chances_of(policy.options.type, values);
  const bool restarted = has_some && chances.restart;
  const bool is_delayed = restarted || values.repeats_after_delay();
  if (from_defaults(PolicyField::backoff) && is_delayed) values.backoff = defaults.backoff;
  if (from_defaults(PolicyField::window) && restarted && !values.unlimited) values.window = defaults.window;
  if (from_defaults(PolicyField::reset_after) && restarted) {
    values.reset_after = defaults.reset_after;
    if (values.reset_after && !vain_reset(values).empty()) values.reset_after.reset();
  }
  if (from_defaults(PolicyField::ready)) values.notify = defaults.notify;
  if (from_defaults(PolicyField::start_timeout) && values.notify) values.start_timeout = defaults.start_timeout;
  if (from_defaults(PolicyField::watchdog)) values.watchdog = defaults.watchdog;
  if (from_defaults(PolicyField::on_give_up) && !ends_host && !values.unlimited && chances.give_up) {
    values.on_give_up = defaults.on_give_up;
    values.cooldown = defaults.cooldown;
  }
  return values;
}

std::shared_ptr<const SupervisionOptions> PolicyReader::complete(const GivenPolicy& policy, const std::string& pointer,
                                                                 std::size_t offset) {
  TaskOptions whole = policy.options;
  if (has_defaults()) whole.optional = share(with_defaults(policy));
  if (!last_sound_ || *last_sound_ != whole) check(policy, whole, pointer, offset);
  if (whole.optional && whole.optional->backoff && whole.optional->backoff->initial.count() == 0) {
    SupervisionOptions at_once = *whole.optional;  // no delay, whatever the defaults are
    at_once.backoff.reset();
    whole.optional = share(std::move(at_once));
  }
  return whole.optional;
}

void PolicyReader::check(const GivenPolicy& policy, const TaskOptions& whole, const std::string& pointer,
                         std::size_t offset) {
  const std::vector<PolicyProblem> problems = policy_problems(whole);
  if (problems.empty()) last_sound_ = whole;
  for (const PolicyProblem& problem : problems) {
    const PolicyField field = from_word<PolicyField>(problem.field).value();
    const PolicyField other = problem.other.empty() ? field : from_word<PolicyField>(problem.other).value();
    if (policy.wrong.has(field) || policy.wrong.has(other)) continue;  // already reported
    const bool by_defaults = (defaults_.given.has(field) && !policy.given.has(field)) ||
                             (defaults_.given.has(other) && !policy.given.has(other));
    // Report it at the object's own field if it has one.
    const PolicyField blamed = policy.given.has(field) ? field : other;
    const bool own = policy.given.has(blamed);
    const std::string message = problem.message + (by_defaults ? " (taking \"defaults\" into account)" : "");
    faults_.add(own ? policy.offsets[static_cast<std::size_t>(blamed)] : offset,
                own ? pointer + '/' + std::string(to_string(blamed)) + (blamed == field ? problem.step : std::string())
                    : pointer,
                message);
  }
}

}  // namespace taskhost
