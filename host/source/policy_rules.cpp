#include "policy_rules.hpp"

#include <algorithm>
#include <cmath>

#include "duration.hpp"

namespace taskhost {

namespace {

using std::chrono::nanoseconds;

std::string quoted(std::string_view word) { return '"' + std::string(word) + '"'; }

class PolicyCheck {
 public:
  explicit PolicyCheck(const TaskOptions& options)
      : options_(options), optional_(options.optional ? *options.optional : no_options()) {}

  std::vector<PolicyProblem> run() {
    check_values();
    if (options_.type == TaskType::shutdown_on_exit) {
      check_without_restarts_ever();
    } else if (optional_.unlimited) {
      check_unlimited();
    } else if (options_.restarts == 0) {
      check_without_restarts();
    }
    if (optional_.window && optional_.backoff && problems_.empty()) check_window();
    if (optional_.start_timeout && !optional_.notify) {
      add("start_timeout", "ready",
          "\"start_timeout\" needs \"ready\": \"notify\": without it a task is ready as soon as it has started");
    }
    return std::move(problems_);
  }

 private:
  static const SupervisionOptions& no_options() {
    static const SupervisionOptions none;
    return none;
  }

  void add(std::string_view field, std::string_view other, std::string message, std::string step = {}) {
    problems_.push_back({field, other, std::move(step), std::move(message)});
  }

  void check_values() {
    if (optional_.window && options_.restarts > most_restarts_in_window) {
      add("restarts", "window",
          "with a \"window\" there are at most " + std::to_string(most_restarts_in_window) + " restarts, found " +
              std::to_string(options_.restarts));
    }
    if (!optional_.backoff) return;
    const Backoff& backoff = *optional_.backoff;
    if (!(backoff.factor >= 1) || std::isinf(backoff.factor)) {
      add("backoff", {}, "expected a factor of at least 1", "/factor");
    }
    if (!(backoff.jitter >= 0 && backoff.jitter <= 1)) {
      add("backoff", {}, "expected a jitter from 0 to 1", "/jitter");
    }
    if (backoff.max < backoff.initial) {
      add("backoff", {}, backoff_order_problem(backoff), "/max");
    }
  }

  // Of a shutdown_on_exit task.
  void check_without_restarts_ever() {
    const auto refuse = [this](std::string_view field) {
      add(field, "type",
          "a \"shutdown_on_exit\" task is never restarted; remove " + quoted(field) + " or choose another type");
    };
    if (options_.restarts != 0 || optional_.unlimited) refuse("restarts");
    if (optional_.window) refuse("window");
    if (optional_.backoff) refuse("backoff");
    if (optional_.reset_after) refuse("reset_after");
    if (optional_.on_give_up != GiveUp::by_type) refuse("on_give_up");
    for (const ExitAction action : {ExitAction::restart, ExitAction::give_up}) {
      refuse_action(action, "type",
                    "a \"shutdown_on_exit\" task is never restarted; choose \"stop_host\", \"fail_host\" or "
                    "\"discard\", or another type");
    }
  }

  void check_without_restarts() {
    const auto refuse = [this](std::string_view field) {
      add(field, "restarts",
          quoted(field) + " needs restarts, and the task has none; give \"restarts\", or remove " + quoted(field));
    };
    if (optional_.window) refuse("window");
    if (optional_.backoff) refuse("backoff");
    if (optional_.reset_after) refuse("reset_after");
    refuse_action(ExitAction::restart, "restarts",
                  "\"restart\" needs restarts, and the task has none; give \"restarts\", or choose another action");
  }

  void check_unlimited() {
    const auto refuse = [this](std::string_view field) {
      add(field, "restarts",
          "\"unlimited\" restarts are never used up; remove " + quoted(field) + " or give \"restarts\" a number");
    };
    if (optional_.window) refuse("window");
    if (optional_.on_give_up != GiveUp::by_type) refuse("on_give_up");
    if (!optional_.backoff || optional_.backoff->initial.count() <= 0) {
      add("restarts", "backoff",
          "\"unlimited\" needs a \"backoff\" whose \"initial\" is longer than 0s: else a task that fails at once would "
          "take a processor for itself");
    }
  }

  void refuse_action(ExitAction action, std::string_view other, const std::string& message) {
    for (std::size_t i = 0; i < optional_.exit_rules.size(); ++i) {
      if (optional_.exit_rules[i].action != action) continue;
      add("exit_rules", other, message, '/' + std::to_string(i) + "/action");
    }
  }

  // Could the budget ever be used up? All its restarts have to lie in the window, with the delay after each.
  void check_window() {
    const nanoseconds sum = shortest_delays(*optional_.backoff, options_.restarts);
    if (sum <= *optional_.window) return;
    const std::string window =
        "more than the window of " + print_duration(*optional_.window) + ", so the budget could never be used up";
    add("window", "backoff",
        options_.restarts == 1 ? "the first delay is " + print_duration(sum) + ", " + window
                               : "the first " + std::to_string(options_.restarts) + " delays add up to " +
                                     print_duration(sum) + ", " + window);
  }

  const TaskOptions& options_;
  const SupervisionOptions& optional_;
  std::vector<PolicyProblem> problems_;
};

}  // namespace

std::vector<PolicyProblem> policy_problems(const TaskOptions& options) { return PolicyCheck(options).run(); }

std::string backoff_order_problem(const Backoff& backoff) {
  return "the longest delay, \"max\" (1h if absent), is " + print_duration(backoff.max) +
         ", shorter than the first, \"initial\", of " + print_duration(backoff.initial);
}

nanoseconds shortest_delays(const Backoff& backoff, std::uint64_t restarts) {
  // Beyond it the nanoseconds don't matter, and adding them one by one would take too long.
  constexpr std::uint64_t most_added = most_restarts_in_window;
  if (backoff.initial.count() == 0) return nanoseconds(0);
  double sum = 0;
  std::uint64_t restart = 1;
  for (; restart <= std::min(restarts, most_added); ++restart) {
    const Nanoseconds delay = backoff.delay(restart, 0);
    if (delay >= to_nanoseconds(backoff.max) || backoff.factor == 1) break;  // from here on all are the same
    sum += static_cast<double>(delay);
  }
  if (restart <= restarts) {
    const auto at = [&backoff](std::uint64_t number) { return static_cast<double>(backoff.delay(number, 0)); };
    const auto left = static_cast<double>(restarts - restart + 1);
    const double growing =
        backoff.factor > 1 ? std::log(static_cast<double>(backoff.max.count()) / at(restart)) / std::log(backoff.factor)
                           : 0;
    const double steps = at(restart) > 0 ? std::min(left, std::max(0.0, std::floor(growing))) : 0;
    if (steps > 0) sum += at(restart) * (std::pow(backoff.factor, steps) - 1) / (backoff.factor - 1);
    sum += (left - steps) * (steps > 0 ? static_cast<double>(backoff.max.count()) : at(restart));
  }
  constexpr auto longest = static_cast<double>(nanoseconds::max().count());
  return sum >= longest ? nanoseconds::max() : nanoseconds(static_cast<std::int64_t>(sum));
}

}  // namespace taskhost
