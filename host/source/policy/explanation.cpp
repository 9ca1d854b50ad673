#include "policy/explanation.hpp"

#include <algorithm>

#include "policy/delays.hpp"
#include "policy/order_plan.hpp"
#include "policy/prospects.hpp"
#include "taskhost/core/duration.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

using std::chrono::nanoseconds;

constexpr std::size_t max_names = 8;

std::string name_of(const TaskList& tasks, std::size_t task) { return "'" + printable_path(tasks.name(task)) + "'"; }

// `places` are the first of `count` tasks; `least`: or of more.
std::string names_of(const TaskList& tasks, const std::vector<std::uint32_t>& places, std::size_t count,
                     bool least = false, std::string_view conjunction = "and") {
  std::vector<std::string> names;
  for (const std::uint32_t place : places) {
    if (names.size() == max_names && count > max_names + 1) {
      names.push_back((least ? "at least " : "") + std::to_string(count - max_names) + " more");
      break;
    }
    names.push_back(name_of(tasks, place));
  }
  return word_list(names, conjunction);
}

std::string range_words(const DelayRange& range) {
  const std::string least = duration_words(range.least);
  return range.least == range.most ? least : least + " to " + duration_words(range.most);
}

std::string ordinal(std::uint64_t number) {
  const bool is_teen = number % 100 / 10 == 1;
  const char* const ending = is_teen            ? "th"
                             : number % 10 == 1 ? "st"
                             : number % 10 == 2 ? "nd"
                             : number % 10 == 3 ? "rd"
                                                : "th";
  return std::to_string(number) + ending;
}

std::string delays_words(const RestartDelays& delays, const TaskOptions& options) {
  std::string words;
  for (const DelayRange& range : delays.first) words += (words.empty() ? "" : ", ") + range_words(range);
  if (delays.last) {
    return words + ", … growing to " + range_words(delays.last->range) + ", the " + ordinal(delays.last->restart) +
           " and last";
  }
  if (!delays.rest) return words;
  const bool is_endless = options.optional->unlimited || options.optional->window;
  const bool is_last = !is_endless && delays.rest->restart == options.restarts;
  const std::string longest = delays.saturates ? ", the longest" : "";
  if (delays.rest->restart == delays.first.size() + 1) {
    words += (words.empty() ? "" : is_last ? ", " : ", then ") + range_words(delays.rest->range);
    return words + (is_last ? "" : " each") + longest;
  }
  return words + ", … growing to " + range_words(delays.rest->range) + longest + ", which the " +
         ordinal(delays.rest->restart) + (is_last ? " has" : " and all later ones have");
}

constexpr const char* others_go_on = "it is discarded, the others go on";
constexpr const char* repeat_words = "it runs again when it is due, which is not charged";

// One task, or several consecutive ones that are alike.
class TaskText {
 public:
  TaskText(const ExplainedTasks& explained, std::uint32_t task, const ProspectsReader& reader)
      : explained_(explained),
        task_(task),
        options_(explained.tasks.options(task)),
        optional_(options_.supervision()),
        reader_(reader),
        prospects_(reader.of(task)),
        relation_(prospects_.relation) {}

  std::string take() {
    add_exits();
    if (optional_.repeat) add_repeat(*optional_.repeat);
    if (prospects_.delays) add_restarts(*prospects_.delays);
    if (prospects_.giving_up) line("when it gives up: " + giving_up_words(*prospects_.giving_up));
    add_readiness();
    add_relation();
    add_stop();
    return std::move(text_);
  }

 private:
  void line(const std::string& words) { text_ += "  " + words + "\n"; }
  std::string names(const Affected& affected, std::string_view conjunction = "and") const {
    return names_of(explained_.tasks, affected.first, affected.count, affected.is_minimum, conjunction);
  }
  std::string type_of(std::uint32_t task) const {
    return name_of(explained_.tasks, task) + " is " + std::string(to_string(explained_.tasks.options(task).type));
  }

  const char* unless_over(const Affected& affected) const {
    return reader_.may_be_over(affected) ? " (unless over)" : "";
  }

  // --- what follows ---

  // When it is over for good, without success.
  std::string loss_words(const Loss& loss) const {
    if (loss.at_once.host_stop && loss.at_once.host_stop->reason == StopReason::group) {
      return "it is discarded, and since " + type_of(loss.at_once.host_stop->task) +
             " and in its group, the host stops, failure" +
             (loss.unless_over.empty() ? std::string()
                                       : ", unless " + names(loss.unless_over) +
                                             (loss.unless_over.count == 1 ? " is over by then" : " are over by then"));
    }
    if (loss.at_once.host_stop && loss.at_once.host_stop->reason != StopReason::all_done) {
      return "the host stops, failure";
    }
    std::string words = "it is discarded";
    if (!loss.at_once.discarded.empty()) {
      words += std::string(", and so ") + (loss.at_once.discarded.count == 1 ? "is " : "are ") +
               names(loss.at_once.discarded) + " of its group" + (loss.may_discard_fewer ? " (unless over)" : "");
    }
    const char* const unless = loss.may_host_end_well ? " unless one ended well" : "";
    if (loss.at_once.host_stop) return words + "; no task is left, so the host stops, failure" + unless;
    const Affected& skipped = loss.later.skipped;
    if (skipped.empty()) return words + ", the others go on";
    const bool one = skipped.count == 1;
    words += "; " + names(skipped) + (one ? " is skipped if it waits then" : " are skipped if they wait then");
    if (loss.may_skip_later) {
      words += one ? ", or else when it would be restarted" : ", or else when they would be restarted";
    }
    if (const Affected& in_turn = loss.later.skipped_in_turn; !in_turn.empty()) {
      words += "; then likewise " + names(in_turn) +
               (in_turn.count == 1 ? ", once one that it comes after is skipped"
                                   : ", each once one that it comes after is skipped");
    }
    const std::optional<Aftermath::HostStop>& stop = loss.later.host_stop;
    if (!stop) return words + "; the others go on";
    if (stop->reason == StopReason::all_done) return words + "; if no task is left, the host stops, failure" + unless;
    std::vector<std::uint32_t> needed;
    for (const Affected* const some : {&skipped, &loss.later.skipped_in_turn}) {
      std::copy_if(some->first.begin(), some->first.end(), std::back_inserter(needed), [this](std::uint32_t other) {
        return explained_.tasks.options(other).type != TaskType::detachable;
      });
    }
    if (needed.size() < 2) return words + ", and since " + type_of(stop->task) + ", the host then stops, failure";
    return words + ", and since the host needs " + names_of(explained_.tasks, needed, needed.size()) +
           ", it stops once one of these is skipped, failure";
  }

  std::string giving_up_words(const Loss& loss) const {
    if (optional_.on_give_up != GiveUp::cooldown) return loss_words(loss);
    const std::string group = loss.at_once.restarted.empty()
                                  ? ""
                                  : ", with " + names(loss.at_once.restarted) + unless_over(loss.at_once.restarted);
    return "it waits for " + duration_words(optional_.cooldown) + " and starts over" + group;
  }

  std::string restart_words(const char* limited) const {
    if (optional_.unlimited) return "it is restarted, without limit";
    return options_.restarts == 0 ? "it gives up at once"
                                  : limited + times(options_.restarts) +
                                        (optional_.window ? " within any " + duration_words(*optional_.window) : "");
  }

  static std::string times(std::uint64_t count) {
    return count == 1 ? "once" : "up to " + std::to_string(count) + " times";
  }

  std::string well_words() const {
    return explained_.tasks.size() == 1 ? "it is discarded; no task is left, so the host stops, success" : others_go_on;
  }

  std::string action_words(const ExitRule& rule) const {
    switch (rule.action) {
      case ExitAction::restart:
        return optional_.unlimited ? restart_words("") : "it is restarted while restarts are left";
      case ExitAction::discard: {
        const auto is_named = [&rule](Outcome outcome) {
          return rule.outcomes.empty() ||
                 std::find(rule.outcomes.begin(), rule.outcomes.end(), outcome) != rule.outcomes.end();
        };
        const bool may_end_well = rule.message.empty() && is_named(Outcome::ok);
        const bool may_fail = prospects_.discarding && (is_named(Outcome::error) || is_named(Outcome::panic) ||
                                                        (optional_.isolated && is_named(Outcome::crashed)));
        std::string lost = may_fail ? loss_words(*prospects_.discarding) : well_words();
        if (!may_end_well || lost == well_words()) return lost;
        return well_words() + "; after a failure: " + lost;
      }
      case ExitAction::stop_host:
        return "the host stops, success";
      case ExitAction::fail_host:
        return "the host stops, failure";
      case ExitAction::give_up:
        return "it gives up";
      case ExitAction::repeat:
        if (optional_.repeat) return repeat_words;
        return "it begins again in " + range_words(repeat_delay(optional_.backoff.value_or(Backoff{}))) +
               ", which is not charged";
    }
    return "";
  }

  // --- the lines ---

  void add_exits() {
    for (const ExitRule* const rule : prospects_.rules) {
      std::vector<std::string> outcomes;
      for (const Outcome outcome : rule->outcomes) {
        if (outcome != Outcome::crashed || optional_.isolated) outcomes.emplace_back(to_string(outcome));
      }
      std::string words = outcomes.empty() ? "any exit" : "an exit by " + word_list(outcomes, "or");
      if (!rule->message.empty()) words += " with " + quoted_text(rule->message) + " in its message";
      line((rule == prospects_.rules.front() ? "exit rules come first: " : "otherwise: ") + words + ": " +
           action_words(*rule));
    }
    const bool well = prospects_.type_decides_ok;
    const bool failure = prospects_.type_decides_failure;
    const auto add = [this](const char* when, const std::string& what) {
      line((prospects_.rules.empty() ? "" : "otherwise, ") + std::string(when) + ": " + what);
    };
    const std::string restarted = restart_words("it is restarted, ");
    const bool repeats = optional_.repeat.has_value();
    if (repeats && well) add("when it ends well", repeat_words);
    switch (options_.type) {
      case TaskType::shutdown_on_exit:
        if (well && !repeats) add("when it ends well", "the host stops, success");
        if (failure) add("when it fails", "the host stops, failure");
        break;
      case TaskType::mandatory:
        if (repeats) {
          if (failure) add("when it fails", restarted);
        } else if (well || failure) {
          add(well && failure ? "when it ends, well or not" : well ? "when it ends well" : "when it fails", restarted);
        }
        break;
      case TaskType::detachable:
        if (well && !repeats) add("when it ends well", well_words());
        if (failure) add("when it fails", restarted);
        break;
    }
  }

  void add_repeat(const Repetition& repeat) {
    if (!repeat.schedule) {
      line("it is due every " + duration_words(repeat.every) +
           ", counted from its first start; times that it misses have one execution, at once");
      return;
    }
    std::vector<std::string> times;
    for (const Nanoseconds time : next_times(*repeat.schedule, explained_.now)) {
      times.push_back(repeat.schedule->time_text(time));
    }
    line("it is due by " + repeat.schedule->text() + "; times that it misses have one execution, at once");
    line("next times: " + (times.empty() ? "none" : word_list(times, "and")));
  }

  void add_restarts(const RestartDelays& delays) {
    const std::string words = delays_words(delays, options_);
    if (words.empty()) {
      line("restarts are immediate");
    } else {
      const bool one = options_.restarts == 1 && !optional_.unlimited && !optional_.window;
      line((one ? "delay before the restart: " : "delays before the restarts: ") + words);
    }
    if (optional_.window) {
      const bool grow = delays.rest && delays.rest->restart > 1;
      line("only the restarts within the last " + duration_words(*optional_.window) + " count" +
           (grow ? ", though all lengthen the delays" : "") +
           (says_longest_counted()
                ? "; executions that last longer than " + duration_words(*prospects_.longest_counted) + " each" +
                      (finishes() ? ", with their finish," : "") + " never use them up"
                : std::string()));
    }
    if (delays.most_restarts) line(most_restarts_words(delays));
    if (optional_.reset_after) {
      const std::string life = duration_words(*optional_.reset_after);
      line("an execution that was ready for " + life + " or longer " +
           (optional_.unlimited
                ? "resets the delays"
                : "gives all restarts back and resets the delays; if each was, they are never used up"));
    }
    if (delays.used_up_after) {
      const nanoseconds time = *delays.used_up_after;
      const bool is_well = prospects_.charged == ChargedExits::good_ends;
      const char* const way = prospects_.charged == ChargedExits::some_failures ? " in a way that restarts it" : "";
      line((is_well ? "if it ends well at once each time" : "if it fails at once each time") + std::string(way) +
           ", it gives up " +
           (time.count() == 0 ? std::string("at once")
                              : (delays.is_about && time != nanoseconds::max() ? "about " : "") + duration_words(time) +
                                    " after the first " + (is_well ? "end" : "failure")) +
           (finishes()     ? ", or later, as its finish takes time"
            : has_jitter() ? ", or later"
                           : "") +
           (delays.may_never ? ", or never: with " + std::string(has_jitter() ? "jitter" : "") +
                                   (has_jitter() && finishes() ? " and " : "") + (finishes() ? "its finish" : "") +
                                   " the restarts may not fit into the window"
                             : "") +
           influence_words(time));
    } else {
      line(prospects_.giving_up ? "it gives up only by an exit rule" : "it never gives up");
    }
  }

  bool finishes() const { return has_finish(explained_.tasks, task_); }
  bool has_jitter() const {
    return optional_.backoff && optional_.backoff->initial.count() > 0 && optional_.backoff->jitter > 0;
  }

  std::string most_restarts_words(const RestartDelays& delays) const {
    const bool one = options_.restarts == 1;
    return "once it was restarted more than " +
           (*delays.most_restarts == 1 ? "once" : std::to_string(*delays.most_restarts) + " times") +
           (optional_.reset_after ? " without a reset" : "") + ", it never gives up, since then " +
           (one ? "a delay is" : std::to_string(options_.restarts) + " delays in a row are") +
           " longer than the window" +
           (delays.fitting_max ? "; a \"max\" of " + duration_words(*delays.fitting_max) + " would prevent that" : "");
  }

  // If reset_after is shorter, that says it all; but a task that says when it is ready may last without being so.
  bool says_longest_counted() const {
    return prospects_.longest_counted &&
           (!optional_.reset_after || optional_.notify || *optional_.reset_after > *prospects_.longest_counted);
  }

  // What else decides when it gives up.
  std::string influence_words(nanoseconds time) const {
    const std::string later = optional_.window ? "later or never" : "later";
    std::string words;
    if (!prospects_.restarted_by.empty()) {
      const std::string sooner = time.count() == 0 || !prospects_.ends_early ? ""
                                 : optional_.window                          ? "sooner, "
                                                                             : "sooner or ";
      words += "; " + sooner + later + " if " + names(prospects_.restarted_by, "or") + " is restarted meanwhile";
    }
    std::string waits;
    if (relation_ != nullptr && !relation_->after.empty()) {
      waits += names_of(explained_.tasks, relation_->after, relation_->after.size()) +
               (relation_->after.size() == 1 ? " is ready" : " are ready");
    }
    if (const Affected& others = prospects_.restarted_with_it; !others.empty()) {
      waits +=
          (waits.empty() ? "" : ", and until ") + names(others) + (others.count == 1 ? " has ended" : " have ended");
    }
    return waits.empty() ? words : words + "; " + later + " if it has to wait until " + waits;
  }

  std::string readiness_limit_words() const {
    if (optional_.start_timeout) {
      return "; if it has not within " + duration_words(*optional_.start_timeout) +
             ", it is stopped, which counts as a failure";
    }
    const Affected& waiting = prospects_.waiting_for_ever;
    return waiting.empty() ? std::string() : "; without start_timeout, " + names(waiting) + " may wait for ever";
  }

  void add_readiness() {
    if (optional_.notify) line("it is ready when it says so" + readiness_limit_words());
    if (optional_.watchdog) {
      line("if it gives no heartbeat for " + duration_words(optional_.watchdog->interval) + " while it is ready, " +
           (optional_.watchdog->action == WatchdogAction::restart ? "it is stopped, which counts as a failure"
                                                                  : "the log and the event task_stalled report it"));
    }
  }

  void add_relation() {
    if (relation_ == nullptr) return;
    if (const std::vector<std::uint32_t>& after = relation_->after; !after.empty()) {
      line("it starts once " + names_of(explained_.tasks, after, after.size()) +
           (after.size() == 1 ? " is ready or has ended well, and stops before it"
                              : " are ready or have ended well, and stops before them"));
    }
    if (!relation_->group) return;
    const Affected& others = prospects_.restarted_with_it;
    const bool alone = others.empty();
    line("it is in the group '" + printable_path(explained_.group_names[*relation_->group]) + "' (" +
         std::string(to_string(explained_.tasks.groups[*relation_->group])) + ")" +
         (!prospects_.delays ? ""
          : alone            ? ": it is restarted alone"
                  : ": when it is restarted, so " + std::string(others.count == 1 ? "is " : "are ") + names(others) +
                        unless_over(others)) +
         ((optional_.repeat || optional_.repeats_after_delay()) && !alone ? "; when it begins again, it does so alone"
                                                                          : "") +
         (prospects_.restarted_by.empty()
              ? std::string()
              : (prospects_.delays ? "; when " : ": when ") + names(prospects_.restarted_by, "or") +
                    " is restarted, so is it" + (optional_.repeat ? " unless it waits until it is due" : "") +
                    (prospects_.ends_any_delay ? ", which ends a delay of its own" : "")));
  }

  void add_stop() {
    const bool blocks = is_blocking(explained_.tasks, task_);
    const std::string time = duration_words(stop_timeout_of(options_, explained_.default_stop_timeout));
    const char* const finish = finishes() ? ", and its finish as long after an end of its own" : "";
    line("once asked to stop, it has " + time + " to end" + finish + "; then it is " +
         (blocks               ? "abandoned, never started again, and the host ends with status 4"
          : optional_.isolated ? "killed"
                               : "dropped"));
    if (!prospects_.abandonment) return;
    line((blocks ? "when it is abandoned while the host runs: "
                 : "when it is stuck in a call then, it is abandoned (status 4), and while the host runs: ") +
         loss_words(*prospects_.abandonment));
  }

  const ExplainedTasks& explained_;
  const std::uint32_t task_;
  const TaskOptions& options_;
  const SupervisionOptions& optional_;
  const ProspectsReader& reader_;
  const Prospects prospects_;
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
    text += "  " + std::to_string(level + 1) + ". " + names_of(tasks, levels[level], levels[level].size()) + "\n";
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
  text += "a stop takes " + duration_words(plan.longest_stop_time) + " at worst";
  if (plan.longest_stop.size() > 1) {
    std::string sum;
    for (std::size_t i = 0; i < plan.longest_stop.size(); ++i) {
      if (i == max_names && plan.longest_stop.size() > max_names + 1) {
        sum += " and " + std::to_string(plan.longest_stop.size() - max_names) + " more";
        break;
      }
      const std::uint32_t task = plan.longest_stop[i];
      sum += (i == 0 ? "" : ", then ") + name_of(tasks, task) + " " +
             duration_words(stop_timeout_of(tasks.options(task), explained.default_stop_timeout));
    }
    text += " (" + sum + ")";
  }
  if (explained.shutdown_timeout) {
    const std::string limit = duration_words(*explained.shutdown_timeout);
    switch (longest_stop_fits(plan, *explained.shutdown_timeout)) {
      case StopFits::no:
        text += ", but is cut short after " + limit + ", the shutdown_timeout, with status 4";
        break;
      case StopFits::barely:
        text += ", about as long as the shutdown_timeout of " + limit + ": it may be cut short, with status 4";
        break;
      case StopFits::yes:
        text += ", within the shutdown_timeout of " + limit;
        break;
    }
  }
  return text + "; slow readers of the log and events, and exit handlers of plugins, add up to " +
         duration_words(longest_afterwards) + "\n";
}

// What follows when one after the other is over; nothing if none of them is a job, which ends well.
std::string last_task_text(const TaskList& tasks, const Departures& departures) {
  if (departures.can_all_be_over()) {
    return "when no task is left, the host stops: success if one of them ended well, otherwise failure\n";
  }
  std::vector<std::uint32_t> staying;
  std::size_t count = 0;
  bool has_job = false;
  for (std::uint32_t task = 0; task < tasks.size(); ++task) {
    has_job = has_job || departures.can_end_well(task);
    if (departures.can_be_over(task)) continue;
    if (staying.size() <= max_names) staying.push_back(task);
    ++count;
  }
  if (!has_job) return {};
  return "when all others have ended well, the host goes on: " + names_of(tasks, staying, count) +
         (count == 1 ? " is" : " are") + " never over while it runs\n";
}

// Only if they are too few for all.
std::string threads_text(const ExplainedTasks& explained) {
  const std::size_t blocking = count_blocking(explained.tasks);
  if (!explained.blocking_threads || blocking <= *explained.blocking_threads) return {};
  return std::to_string(blocking) + " tasks are blocking, and blocking_threads is " +
         std::to_string(*explained.blocking_threads) + ": while so many run, starts of the others fail\n";
}

// Consecutive tasks of which the same is true are told once.
class Sections {
 public:
  Sections(const ExplainedTasks& explained, const ProspectsReader& reader)
      : explained_(explained), tasks_(explained.tasks), reader_(reader) {}

  std::string take() {
    for (std::uint32_t task = 0; task < tasks_.size(); ++task) {
      if (task != 0 && is_alike(task)) continue;
      std::string body = TaskText(explained_, task, reader_).take();
      if (task != 0 && type_of(task) == type_of(first_) && body == body_) continue;
      if (task != 0) finish(task);
      first_ = task;
      body_ = std::move(body);
    }
    finish(static_cast<std::uint32_t>(tasks_.size()));
    return std::move(text_);
  }

 private:
  TaskType type_of(std::uint32_t task) const { return tasks_.options(task).type; }

  // Known at once. Others are compared by what is told of them.
  bool is_alike(std::uint32_t task) const {
    return reader_.is_alone(task) && reader_.is_alone(first_) && tasks_.options(task) == tasks_.options(first_) &&
           is_blocking(tasks_, task) == is_blocking(tasks_, first_) &&
           has_finish(tasks_, task) == has_finish(tasks_, first_);
  }

  void finish(std::uint32_t end) {
    const std::uint32_t count = end - first_;
    bool alone = true;
    for (std::uint32_t task = first_; task < end; ++task) alone = alone && reader_.is_alone(task);
    text_ += count == 1
                 ? "task " + name_of(tasks_, first_)
                 : std::to_string(count) + " tasks, " + name_of(tasks_, first_) + " to " + name_of(tasks_, end - 1);
    text_ += ", " + std::string(to_string(type_of(first_))) +
             (count == 1 ? ""
              : alone    ? ", each alone"
                         : ", alike") +
             "\n" + body_;
  }

  const ExplainedTasks& explained_;
  const TaskList& tasks_;
  const ProspectsReader& reader_;
  std::uint32_t first_ = 0;  // of those that are alike
  std::string body_;         // what is told of each
  std::string text_;
};

}  // namespace

std::string explanation_text(const ExplainedTasks& explained) {
  const TaskList& tasks = explained.tasks;
  if (tasks.size() == 0) return "no tasks: the host stops at once, success\n";
  const ProspectsReader reader(tasks, explained.default_stop_timeout);
  std::string text = Sections(explained, reader).take();
  if (tasks.size() > 1) text += last_task_text(tasks, reader.departures());
  return text + threads_text(explained) + order_text(explained);
}

}  // namespace taskhost
