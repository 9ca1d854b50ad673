#include "policy/rules.hpp"

#include "text/printable.hpp"

namespace taskhost {

namespace {

class PolicyCheck {
 public:
  explicit PolicyCheck(const TaskOptions& options)
      : options_(options), optional_(options.optional ? *options.optional : no_options()) {}

  std::vector<PolicyProblem> run() {
    problems_ = check_policy(options_);
    if (options_.type == TaskType::shutdown_on_exit) {
      check_without_restarts_ever();
    } else if (optional_.unlimited) {
      check_unlimited();
    } else if (options_.restarts == 0) {
      check_without_restarts();
    }
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
    if (optional_.backoff && !optional_.repeats()) refuse("backoff");
    if (optional_.reset_after) refuse("reset_after");
    refuse_action(ExitAction::restart, "restarts",
                  "\"restart\" needs restarts, and the task has none; give \"restarts\", or choose another action");
  }

  void check_unlimited() {
    const auto refuse = [this](std::string_view field) {
      add(field, "restarts",
          "\"unlimited\" restarts are never used up; remove " + quoted_text(field) + " or give \"restarts\" a number");
    };
    if (optional_.window) refuse("window");
    if (optional_.on_give_up != GiveUp::by_type) refuse("on_give_up");
  }

  void refuse_action(ExitAction action, std::string_view other, const std::string& message) {
    for (std::size_t i = 0; i < optional_.exit_rules.size(); ++i) {
      if (optional_.exit_rules[i].action != action) continue;
      add("exit_rules", other, message, '/' + std::to_string(i) + "/action");
    }
  }

  const TaskOptions& options_;
  const SupervisionOptions& optional_;
  std::vector<PolicyProblem> problems_;
};

}  // namespace

std::vector<PolicyProblem> policy_problems(const TaskOptions& options) { return PolicyCheck(options).run(); }

}  // namespace taskhost
