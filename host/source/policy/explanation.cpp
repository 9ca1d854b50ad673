#include "policy/explanation.hpp"

#include <algorithm>
#include <map>

#include "policy/delays.hpp"
#include "policy/order_plan.hpp"
#include "text/duration.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

using std::chrono::nanoseconds;

constexpr std::size_t max_names = 8;

std::string name_of(const TaskList& tasks, std::size_t task) { return "'" + std::string(tasks.name(task)) + "'"; }

std::string names_of(const TaskList& tasks, const std::vector<std::uint32_t>& places) {
  std::vector<std::string> names;
  for (const std::uint32_t place : places) {
    if (names.size() == max_names && places.size() > max_names + 1) {
      names.push_back(std::to_string(places.size() - max_names) + " more");
      break;
    }
    names.push_back(name_of(tasks, place));
  }
  return word_list(names, "and");
}

std::string times(std::uint64_t count) { return count == 1 ? "once" : "up to " + std::to_string(count) + " times"; }

std::string range_words(const DelayRange& range) {
  const std::string least = print_duration(range.least);
  return range.least == range.most ? least : least + " to " + print_duration(range.most);
}

std::string action_words(ExitAction action, const SupervisionOptions& optional) {
  switch (action) {
    case ExitAction::restart:
      return "it is restarted while restarts are left";
    case ExitAction::discard:
      return "it is discarded, the others go on";
    case ExitAction::stop_host:
      return "the host stops, success";
    case ExitAction::fail_host:
      return "the host stops, failure";
    case ExitAction::give_up:
      return "it gives up";
    case ExitAction::repeat:
      return "it begins again in " + range_words(repeat_delay(optional.backoff.value_or(Backoff{}))) +
             ", which is not charged";
  }
  return "";
}

// One task, or several consecutive ones that are alike.
class TaskText {
 public:
  TaskText(const ExplainedTasks& explained, const TaskOptions& options, const TaskList::Relation* relation)
      : explained_(explained),
        options_(options),
        optional_(options.optional ? *options.optional : no_options()),
        relation_(relation) {}

  std::string take() {
    const bool restarted = options_.restarts != 0 || optional_.unlimited;
    add_exits(restarted);
    if (restarted) add_restarts();
    if (options_.type != TaskType::shutdown_on_exit && !optional_.unlimited) add_give_up();
    add_readiness();
    add_rules();
    add_relation();
    line("once asked to stop, it has " + print_duration(stop_timeout_of(options_, explained_.default_stop_timeout)) +
         " to end");
    return std::move(text_);
  }

 private:
  static const SupervisionOptions& no_options() {
    static const SupervisionOptions none;
    return none;
  }

  void line(const std::string& words) { text_ += "  " + words + "\n"; }

  void add_exits(bool restarted) {
    const std::string failing = !restarted            ? std::string("it gives up at once")
                                : optional_.unlimited ? std::string("it is restarted, without limit")
                                                      : "it is restarted, " + times(options_.restarts);
    switch (options_.type) {
      case TaskType::shutdown_on_exit:
        line("when it ends well: the host stops, success");
        line("when it fails: the host stops, failure");
        break;
      case TaskType::mandatory:
        line("when it ends, well or not: " + failing);
        break;
      case TaskType::detachable:
        line("when it ends well: it is discarded, the others go on");
        line("when it fails: " + failing);
        break;
    }
  }

  void add_restarts() {
    const RestartDelays delays = restart_delays(options_);
    if (delays.first.empty()) {
      line("restarts are immediate");
    } else {
      std::string words;
      for (const DelayRange& range : delays.first) words += (words.empty() ? "" : ", ") + range_words(range);
      if (delays.rest) words += ", and so on";
      if (delays.left_out != 0) words += ", … (" + std::to_string(delays.left_out) + " more, each longer)";
      line((options_.restarts == 1 ? "delay before the restart: " : "delays before the restarts: ") + words);
    }
    if (optional_.window) line("only the restarts within the last " + print_duration(*optional_.window) + " count");
    if (optional_.reset_after) {
      line("an execution that lived for " + print_duration(*optional_.reset_after) +
           " or longer gives all restarts back and resets the delays");
    }
    if (delays.gives_up_after) {
      const nanoseconds time = *delays.gives_up_after;
      line("if it fails at once each time, it gives up " +
           (time.count() == 0 ? std::string("at once") : print_duration(time) + " after the first failure") +
           (time.count() != 0 && optional_.backoff->jitter > 0 ? ", or later" : ""));
    } else {
      line("it never gives up");
    }
  }

  void add_give_up() {
    std::string words;
    switch (optional_.on_give_up) {
      case GiveUp::by_type:
        words = options_.type == TaskType::mandatory ? "the host stops, failure" : "it is discarded, the others go on";
        break;
      case GiveUp::stop_host:
        words = "the host stops, failure";
        break;
      case GiveUp::discard:
        words = "it is discarded, the others go on";
        break;
      case GiveUp::cooldown:
        words = "it waits for " + print_duration(optional_.cooldown) + " and starts over";
        break;
    }
    line("when it gives up: " + words);
  }

  void add_readiness() {
    if (optional_.notify) {
      line("it is ready when it says so" + (optional_.start_timeout
                                                ? "; if it has not within " + print_duration(*optional_.start_timeout) +
                                                      ", it is stopped, which counts as a failure"
                                                : std::string()));
    }
    if (optional_.watchdog) {
      line("if it gives no heartbeat for " + print_duration(optional_.watchdog->interval) + " while it is ready, " +
           (optional_.watchdog->action == WatchdogAction::restart ? "it is stopped, which counts as a failure"
                                                                  : "the log and the event task_stalled report it"));
    }
  }

  void add_rules() {
    for (const ExitRule& rule : optional_.exit_rules) {
      std::vector<std::string> outcomes;
      for (const Outcome outcome : rule.outcomes) outcomes.emplace_back(to_string(outcome));
      std::string words = outcomes.empty() ? "any exit" : "an exit by " + word_list(outcomes, "or");
      if (!rule.message.empty()) words += " with " + quoted_text(rule.message) + " in its message";
      line((&rule == &optional_.exit_rules.front() ? "exit rules come first: " : "otherwise: ") + words + ": " +
           action_words(rule.action, optional_));
    }
  }

  void add_relation() {
    if (relation_ == nullptr) return;
    if (!relation_->after.empty()) {
      line("it starts once " + names_of(explained_.tasks, relation_->after) +
           (relation_->after.size() == 1 ? " is ready, and stops before it" : " are ready, and stops before them"));
    }
    if (!relation_->group) return;
    const std::string group = "it is in the group '" + explained_.group_names[*relation_->group] + "': ";
    switch (explained_.tasks.groups[*relation_->group]) {
      case Strategy::one_for_one:
        line(group + "each member is restarted alone");
        break;
      case Strategy::one_for_all:
        line(group + "when one member is restarted, all are" + but_alone());
        break;
      case Strategy::rest_for_one:
        line(group + "when it is restarted, so are the members after it" + but_alone());
        break;
    }
  }

  const char* but_alone() const { return optional_.repeats() ? "; when it begins again, it does so alone" : ""; }

  const ExplainedTasks& explained_;
  const TaskOptions& options_;
  const SupervisionOptions& optional_;
  const TaskList::Relation* relation_;
  std::string text_;
};

std::vector<std::vector<std::uint32_t>> by_level(const std::vector<std::uint32_t>& level_of) {
  std::vector<std::vector<std::uint32_t>> levels;
  for (std::uint32_t task = 0; task < level_of.size(); ++task) {
    if (level_of[task] >= levels.size()) levels.resize(level_of[task] + 1);
    levels[level_of[task]].push_back(task);
  }
  return levels;
}

std::string levels_text(const TaskList& tasks, const std::vector<std::vector<std::uint32_t>>& levels) {
  std::string text;
  for (std::size_t level = 0; level < levels.size(); ++level) {
    text += "  " + std::to_string(level + 1) + ". " + names_of(tasks, levels[level]) + "\n";
  }
  return text;
}

std::string order_text(const ExplainedTasks& explained) {
  const TaskList& tasks = explained.tasks;
  const OrderPlan plan = plan_order(tasks, explained.default_stop_timeout);
  const auto start = by_level(plan.start_level);
  std::string text;
  if (start.size() > 1) {
    text += "start order, each step once the tasks that it needs are ready:\n" + levels_text(tasks, start);
    text += "stop order, each step once the tasks that need it have ended:\n" +
            levels_text(tasks, by_level(plan.stop_level));
  } else if (tasks.size() > 1) {
    text += "all start at once, and are asked to stop at once\n";
  }
  text += "a stop takes " + print_duration(plan.longest_stop_time) + " at worst";
  if (plan.longest_stop.size() > 1) {
    std::string sum;
    for (std::size_t i = 0; i < plan.longest_stop.size(); ++i) {
      if (i == max_names && plan.longest_stop.size() > max_names + 1) {
        sum += " and " + std::to_string(plan.longest_stop.size() - max_names) + " more";
        break;
      }
      const std::uint32_t task = plan.longest_stop[i];
      sum += (i == 0 ? "" : ", then ") + name_of(tasks, task) + " " +
             print_duration(stop_timeout_of(tasks.options(task), explained.default_stop_timeout));
    }
    text += " (" + sum + ")";
  }
  if (explained.shutdown_timeout) {
    const std::string limit = print_duration(*explained.shutdown_timeout);
    text += *explained.shutdown_timeout < plan.longest_stop_time
                ? ", but is cut short after " + limit + ", the shutdown_timeout, with status 4"
                : ", within the shutdown_timeout of " + limit;
  }
  return text + "\n";
}

}  // namespace

std::string explanation_text(const ExplainedTasks& explained) {
  const TaskList& tasks = explained.tasks;
  if (tasks.size() == 0) return "no tasks: the host stops at once, success\n";
  std::map<std::uint32_t, const TaskList::Relation*> relations;
  for (const TaskList::Relation& relation : tasks.relations) relations.emplace(relation.task, &relation);
  const auto relation_of = [&relations](std::size_t task) {
    const auto found = relations.find(static_cast<std::uint32_t>(task));
    return found != relations.end() ? found->second : nullptr;
  };
  std::string text;
  for (std::size_t first = 0; first < tasks.size();) {
    const TaskList::Relation* const relation = relation_of(first);
    std::size_t end = first + 1;
    while (relation == nullptr && end < tasks.size() && relation_of(end) == nullptr &&
           tasks.options(end) == tasks.options(first)) {
      ++end;
    }
    const std::size_t count = end - first;
    text += count == 1 ? "task " + name_of(tasks, first)
                       : std::to_string(count) + " tasks, " + name_of(tasks, first) + " to " + name_of(tasks, end - 1);
    text += ", " + std::string(to_string(tasks.options(first).type)) + (count == 1 ? "" : ", each alone") + "\n";
    text += TaskText(explained, tasks.options(first), relation).take();
    first = end;
  }
  return text + order_text(explained);
}

}  // namespace taskhost
