#include "policy/rules.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "taskhost/core/duration.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::array all_outcomes{Outcome::ok, Outcome::error, Outcome::panic, Outcome::crashed};

// How executions can end by themselves. In the host's process none can have crashed alone.
std::span<const Outcome> possible_outcomes(const SupervisionOptions& optional) {
  return std::span(all_outcomes).first(optional.isolated ? 4 : 3);
}
std::span<const Outcome> possible_failures(const SupervisionOptions& optional) {
  return possible_outcomes(optional).subspan(1);
}

bool is_for(const ExitRule& rule, Outcome outcome) {
  const bool is_named =
      rule.outcomes.empty() || std::find(rule.outcomes.begin(), rule.outcomes.end(), outcome) != rule.outcomes.end();
  return is_named && (outcome != Outcome::ok || rule.message.empty());  // only failures have a message
}

// Whether some exit with this outcome gets as far as this rule, and is matched.
bool comes_to(const std::vector<ExitRule>& rules, std::size_t rule, Outcome outcome) {
  return is_for(rules[rule], outcome) &&
         std::none_of(rules.begin(), rules.begin() + static_cast<std::ptrdiff_t>(rule), [&](const ExitRule& earlier) {
           return is_for(earlier, outcome) && rules[rule].message.find(earlier.message) != std::string::npos;
         });
}

class PolicyCheck {
 public:
  explicit PolicyCheck(const TaskOptions& options)
      : options_(options), optional_(options.supervision()), chances_(chances_of(options)) {}

  std::vector<PolicyProblem> run() {
    problems_ = check_policy(options_);
    if (options_.type == TaskType::shutdown_on_exit) {
      check_without_restarts_ever();
    } else if (!optional_.unlimited && options_.restarts == 0) {
      check_without_restarts();
    } else if (!chances_.restart) {
      check_unused_restarts();
    } else if (optional_.unlimited && optional_.window) {
      refuse_unlimited("window");
    } else if (const std::string why = is_window_refused() ? std::string() : vain_reset_of(); !why.empty()) {
      add("reset_after", optional_.window ? "window" : "backoff", why);
    }
    check_giving_up();
    check_repeat();
    check_rules();
    check_jitter();
    if (optional_.start_timeout && !optional_.notify) {
      add("start_timeout", "ready",
          "\"start_timeout\" needs \"ready\": \"notify\": without it a task is ready as soon as it has started");
    }
    return std::move(problems_);
  }

 private:
  void add(std::string_view field, std::string_view other, std::string message, std::string step = {}) {
    problems_.push_back({field, other, std::move(step), std::move(message)});
  }

  // What is to be done about it changes what could be reset.
  bool is_window_refused() const {
    return std::any_of(problems_.begin(), problems_.end(),
                       [](const PolicyProblem& problem) { return problem.field == "window"; });
  }
  std::string vain_reset_of() const { return optional_.reset_after ? vain_reset(optional_) : std::string(); }

  // For a shutdown_on_exit task.
  void check_without_restarts_ever() {
    const auto refuse = [this](std::string_view field) {
      add(field, "type",
          "a \"shutdown_on_exit\" task is never restarted; remove " + quoted_text(field) + " or choose another type");
    };
    if (options_.restarts != 0 || optional_.unlimited) refuse("restarts");
    if (optional_.window) refuse("window");
    if (optional_.backoff) refuse("backoff");
    if (optional_.reset_after) refuse("reset_after");
    if (optional_.on_give_up != GiveUp::by_type) refuse("on_give_up");
    for (const ExitAction action : {ExitAction::restart, ExitAction::give_up}) {
      refuse_action(action, "type", never_restarted_problem);
    }
  }

  void check_without_restarts() {
    const auto refuse = [this](std::string_view field) {
      add(field, "restarts",
          quoted_text(field) + " needs restarts, and the task has none; give \"restarts\", or remove " +
              quoted_text(field));
    };
    if (optional_.window) refuse("window");
    if (optional_.backoff && !optional_.repeats_after_delay()) refuse("backoff");
    if (optional_.reset_after) refuse("reset_after");
    refuse_action(ExitAction::restart, "restarts",
                  "\"restart\" needs restarts, and the task has none; give \"restarts\", or choose another action");
  }

  void check_unused_restarts() {
    const auto refuse = [this](std::string_view field) {
      add(field, "exit_rules",
          "no exit leads to a restart, since exit rules take those that would; remove " + quoted_text(field) +
              ", or give one of them the action \"restart\"");
    };
    refuse("restarts");
    if (optional_.window) refuse("window");
    if (optional_.backoff && !optional_.repeats_after_delay()) refuse("backoff");
    if (optional_.reset_after) refuse("reset_after");
  }

  void refuse_unlimited(std::string_view field) {
    add(field, "restarts",
        "\"unlimited\" restarts are never used up; remove " + quoted_text(field) + " or give \"restarts\" a number");
  }

  void check_giving_up() {
    if (options_.type == TaskType::shutdown_on_exit || optional_.on_give_up == GiveUp::by_type || chances_.give_up) {
      return;
    }
    if (optional_.unlimited && chances_.restart) return refuse_unlimited("on_give_up");
    add("on_give_up", "exit_rules",
        "no exit leads to giving up, since exit rules take those that would; remove \"on_give_up\", or give one of "
        "them the action \"give_up\"");
  }

  void check_repeat() {
    const std::vector<ExitRule>& rules = optional_.exit_rules;
    const auto repeats = [](const ExitRule& rule) { return rule.action == ExitAction::repeat; };
    if (!optional_.repeat || !is_taken(rules, Outcome::ok) || std::any_of(rules.begin(), rules.end(), repeats)) return;
    add("repeat", "exit_rules",
        "exit rules take all exits by \"ok\", so none is repeated; remove \"repeat\", or give one of them the action "
        "\"repeat\"");
  }

  // Rules that can never match.
  void check_rules() {
    const std::vector<ExitRule>& rules = optional_.exit_rules;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const std::string step = '/' + std::to_string(i);
      const bool is_told = std::any_of(problems_.begin(), problems_.end(), [&step](const PolicyProblem& problem) {
        return problem.field == "exit_rules" && problem.step.starts_with(step + '/');
      });
      if (is_told) continue;
      if (!is_dead(optional_, i)) {
        check_outcomes(i);
        continue;
      }
      const auto only = [&rule = rules[i]](Outcome outcome) { return rule.outcomes == std::vector<Outcome>{outcome}; };
      const auto possible = possible_outcomes(optional_);
      const bool can_come =
          std::any_of(possible.begin(), possible.end(), [&](Outcome outcome) { return is_for(rules[i], outcome); });
      if (only(Outcome::crashed) && !optional_.isolated) {
        add("exit_rules", {},
            "it runs in the host's process, and a crash ends all of that; add \"isolation\": \"process\", use "
            "\"panic\" "
            "for exceptions, or remove this rule",
            step + "/match/outcome");
      } else if (!can_come) {
        add("exit_rules", {},
            "only failures have a message, so this rule never matches; remove \"message\", or use the outcome "
            "\"error\" "
            "or \"panic\"",
            step + "/match/message");
      } else {
        add("exit_rules", {}, "earlier rules take all exits that this one matches; put it before them, or remove it",
            step);
      }
    }
  }

  // Outcomes for which a rule can never match, though it can for others.
  void check_outcomes(std::size_t number) {
    const ExitRule& rule = optional_.exit_rules[number];
    for (std::size_t i = 0; i < rule.outcomes.size(); ++i) {
      const Outcome outcome = rule.outcomes[i];
      if (outcome == Outcome::crashed && !optional_.isolated) continue;
      if (comes_to(optional_.exit_rules, number, outcome)) continue;
      const std::string word = quoted_text(to_string(outcome));
      std::string text = is_for(rule, outcome) ? "earlier rules take all exits by "
                                               : "only failures have a message, so this rule never matches an exit by ";
      text.append(word).append(is_for(rule, outcome) ? " that this one matches; put it before them, or remove "
                                                     : "; remove ");
      text.append(word).append(is_for(rule, outcome) ? "" : ", or \"message\"");
      add("exit_rules", {}, text, '/' + std::to_string(number) + "/match/outcome/" + std::to_string(i));
    }
  }

  void check_jitter() {
    if (!optional_.backoff) return;
    const Backoff& backoff = *optional_.backoff;
    if (!(backoff.jitter > 0) || backoff.initial.count() <= 0 || backoff.max != backoff.initial) return;
    const auto room = std::chrono::nanoseconds(
        static_cast<std::int64_t>(static_cast<double>(backoff.initial.count()) * (1 + std::min(backoff.jitter, 1.0))));
    add("backoff", {},
        "no delay is longer than \"max\", which is \"initial\", so \"jitter\" can't add anything; " +
            (room > max_duration ? std::string() : "raise \"max\" to " + print_duration(room) + " or more, or ") +
            "remove \"jitter\"",
        "/jitter");
  }

  void refuse_action(ExitAction action, std::string_view other, const std::string& message) {
    for (std::size_t i = 0; i < optional_.exit_rules.size(); ++i) {
      if (optional_.exit_rules[i].action != action) continue;
      add("exit_rules", other, message, '/' + std::to_string(i) + "/action");
    }
  }

  const TaskOptions& options_;
  const SupervisionOptions& optional_;
  const ExitChances chances_;
  std::vector<PolicyProblem> problems_;
};

}  // namespace

bool is_taken(const std::vector<ExitRule>& rules, Outcome outcome, std::size_t count) {
  return std::any_of(rules.begin(), rules.begin() + static_cast<std::ptrdiff_t>(count),
                     [outcome](const ExitRule& rule) { return is_for(rule, outcome) && rule.message.empty(); });
}

bool is_failure_left(const SupervisionOptions& optional) {
  const auto failures = possible_failures(optional);
  return !std::all_of(failures.begin(), failures.end(),
                      [&](Outcome outcome) { return is_taken(optional.exit_rules, outcome); });
}

bool is_dead(const SupervisionOptions& optional, std::size_t rule) {
  const std::vector<ExitRule>& rules = optional.exit_rules;
  const auto possible = possible_outcomes(optional);
  return std::none_of(possible.begin(), possible.end(),
                      [&](Outcome outcome) { return comes_to(rules, rule, outcome); });
}

ExitChances chances_of(TaskType type, const SupervisionOptions& optional) {
  const std::vector<ExitRule>& rules = optional.exit_rules;
  ExitChances chances;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (is_dead(optional, i)) continue;
    chances.restart = chances.restart || rules[i].action == ExitAction::restart;
    chances.give_up = chances.give_up || rules[i].action == ExitAction::give_up;
    const auto failures = possible_failures(optional);
    const bool may_fail =
        std::any_of(failures.begin(), failures.end(), [&](Outcome outcome) { return is_for(rules[i], outcome); });
    chances.discard_after_failure =
        chances.discard_after_failure || (rules[i].action == ExitAction::discard && may_fail);
  }
  if (type != TaskType::shutdown_on_exit) {
    chances.restart = chances.restart || is_failure_left(optional) ||
                      (type == TaskType::mandatory && !optional.repeat && !is_taken(rules, Outcome::ok));
  }
  chances.give_up = chances.give_up || (chances.restart && !optional.unlimited);
  return chances;
}

ExitChances chances_of(const TaskOptions& options) { return chances_of(options.type, options.supervision()); }

// A charge is older than the delay and the execution after it. With a window and delays that are all the same, one that
// is older than the window counts for nothing.
std::string vain_reset(const SupervisionOptions& optional) {
  const bool has_delay = optional.backoff && optional.backoff->initial.count() > 0;
  if (has_delay && optional.backoff->factor > 1 && optional.backoff->max > optional.backoff->initial) return {};
  if (optional.unlimited) {
    return "\"unlimited\" restarts are never used up, and all delays are the same, so nothing could be reset; remove "
           "\"reset_after\", or let the delays grow, with a \"factor\" above 1 and a \"max\" above \"initial\"";
  }
  if (!optional.window) return {};
  const std::chrono::nanoseconds room =
      *optional.window - (has_delay ? optional.backoff->initial : std::chrono::nanoseconds(0));
  if (room.count() <= 0 || *optional.reset_after <= room) return {};
  return "after an execution of " + print_duration(*optional.reset_after) +
         " no earlier restart counts any more, since the window is " + print_duration(*optional.window) +
         ", so nothing could be given back; lower \"reset_after\" to less than " + print_duration(room) +
         ", or remove it";
}

bool may_restart(const TaskOptions& options) {
  const SupervisionOptions& optional = options.supervision();
  const ExitChances chances = chances_of(options);
  return (chances.restart && (options.restarts != 0 || optional.unlimited)) ||
         (chances.give_up && optional.on_give_up == GiveUp::cooldown);
}

bool is_timed(const TaskOptions& options) {
  const SupervisionOptions& optional = options.supervision();
  return (optional.notify && optional.start_timeout) ||
         (optional.watchdog && optional.watchdog->action == WatchdogAction::restart);
}

ChargedExits charged_exits(const TaskOptions& options) {
  const std::vector<ExitRule>& rules = options.supervision().exit_rules;
  bool restarts = false;
  bool others = false;
  for (const Outcome outcome : possible_failures(options.supervision())) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
      if (!comes_to(rules, i, outcome)) continue;
      (rules[i].action == ExitAction::restart ? restarts : others) = true;
    }
    if (!is_taken(rules, outcome)) (options.type == TaskType::shutdown_on_exit ? others : restarts) = true;
  }
  if (!restarts) return ChargedExits::good_ends;
  return others ? ChargedExits::some_failures : ChargedExits::failures;
}

bool is_discarded_well(const TaskOptions& options) {
  const std::vector<ExitRule>& rules = options.supervision().exit_rules;
  const auto rule =
      std::find_if(rules.begin(), rules.end(), [](const ExitRule& one) { return is_for(one, Outcome::ok); });
  if (rule != rules.end()) return rule->action == ExitAction::discard;
  return options.type == TaskType::detachable && !options.supervision().repeat;
}

std::vector<PolicyProblem> policy_problems(const TaskOptions& options) { return PolicyCheck(options).run(); }

}  // namespace taskhost
