// The same explanation as JSON, for programs. Times are in milliseconds; a range has its least and its most.
#include <nlohmann/json.hpp>

#include "policy/delays.hpp"
#include "policy/explanation.hpp"
#include "policy/order_plan.hpp"
#include "policy/prospects.hpp"

namespace taskhost {

namespace {

using Json = nlohmann::ordered_json;
using std::chrono::nanoseconds;

double milliseconds(nanoseconds duration) { return static_cast<double>(duration.count()) / 1e6; }

Json range_json(const DelayRange& range) { return {milliseconds(range.least), milliseconds(range.most)}; }

Json numbered_json(const NumberedDelay& delay) {
  return {{"restart", delay.restart}, {"delay_ms", range_json(delay.range)}};
}

class TaskJson {
 public:
  TaskJson(const ExplainedTasks& explained, std::uint32_t task, const Prospects& prospects)
      : explained_(explained),
        tasks_(explained.tasks),
        task_(task),
        options_(tasks_.options(task)),
        optional_(options_.supervision()),
        prospects_(prospects) {}

  Json take() {
    entry_ = {{"name", tasks_.name(task_)},
              {"type", to_string(options_.type)},
              {"kind", is_blocking(tasks_, task_) ? "blocking" : "polled"}};
    if (has_finish(tasks_, task_)) entry_["has_finish"] = true;
    if (optional_.isolated) entry_["isolation"] = "process";
    add_exits();
    if (optional_.repeat) add_repeat(*optional_.repeat);
    if (options_.type != TaskType::shutdown_on_exit) add_restarts();
    add_losses();
    entry_["ready"] = optional_.notify ? "notify" : "started";
    if (!prospects_.waiting_for_ever.empty()) {
      add_affected(entry_, "may_wait_for_ever_for_it", prospects_.waiting_for_ever);
    }
    if (optional_.start_timeout) entry_["start_timeout_ms"] = milliseconds(*optional_.start_timeout);
    if (optional_.watchdog) {
      entry_["watchdog"] = {{"interval_ms", milliseconds(optional_.watchdog->interval)},
                            {"action", to_string(optional_.watchdog->action)}};
    }
    add_relation();
    entry_["stop_timeout_ms"] = milliseconds(stop_timeout_of(options_, explained_.default_stop_timeout));
    return std::move(entry_);
  }

 private:
  Json names(const std::vector<std::uint32_t>& places) const {
    Json list = Json::array();
    for (const std::uint32_t place : places) list.push_back(tasks_.name(place));
    return list;
  }

  // The first of them, and how many there are if not all are listed.
  void add_affected(Json& entry, const std::string& field, const Affected& affected) const {
    entry[field] = names(affected.first);
    if (affected.count == affected.first.size()) return;
    entry[field + "_count"] = affected.count;
    entry[field + "_count_is_minimum"] = affected.is_minimum;
  }

  // What the type says about the exits that no rule takes; absent if none are left.
  void add_exits() {
    Json rules = Json::array();
    for (const ExitRule* const rule : prospects_.rules) {
      Json outcomes = Json::array();
      for (const Outcome outcome : rule->outcomes) {
        if (outcome != Outcome::crashed || optional_.isolated) outcomes.push_back(to_string(outcome));
      }
      Json match = Json::object();
      if (!outcomes.empty()) match["outcome"] = std::move(outcomes);
      if (!rule->message.empty()) match["message"] = rule->message;
      rules.push_back({{"match", std::move(match)}, {"action", to_string(rule->action)}});
    }
    if (!rules.empty()) entry_["exit_rules"] = std::move(rules);
    const bool restarts = options_.restarts != 0 || optional_.unlimited;
    const std::string_view restart = to_string(restarts ? ExitAction::restart : ExitAction::give_up);
    if (prospects_.type_decides_ok) {
      entry_["when_it_ends_well"] = optional_.repeat                              ? to_string(ExitAction::repeat)
                                    : options_.type == TaskType::shutdown_on_exit ? to_string(ExitAction::stop_host)
                                    : options_.type == TaskType::mandatory        ? restart
                                                                                  : to_string(ExitAction::discard);
    }
    if (prospects_.type_decides_failure) {
      entry_["when_it_fails"] =
          options_.type == TaskType::shutdown_on_exit ? to_string(ExitAction::fail_host) : restart;
    }
  }

  void add_repeat(const Repetition& repeat) {
    if (!repeat.schedule) {
      entry_["repeat"] = {{"every_ms", milliseconds(repeat.every)}};
      return;
    }
    Json times = Json::array();
    for (const Nanoseconds time : next_times(*repeat.schedule, explained_.now)) {
      times.push_back(static_cast<double>(time) / 1e6);
    }
    entry_["repeat"] = {{"schedule", repeat.schedule->text()}, {"next_times_ms", std::move(times)}};
  }

  const char* charged_words() const {
    switch (prospects_.charged) {
      case ChargedExits::failures:
        return "failures";
      case ChargedExits::some_failures:
        return "restarted_failures";
      case ChargedExits::good_ends:
        return "good_ends";
    }
    return "";
  }

  void add_restarts() {
    entry_["restarts"] = optional_.unlimited ? Json(nullptr) : Json(options_.restarts);
    if (prospects_.delays) {
      const RestartDelays& delays = *prospects_.delays;
      Json list = Json::array();
      for (const DelayRange& range : delays.first) list.push_back(range_json(range));
      entry_["delays_ms"] = std::move(list);
      if (delays.rest) {
        entry_["delays_from"] = numbered_json(*delays.rest);
        entry_["delays_from"]["is_longest"] = delays.saturates;
      }
      if (delays.last) entry_["last_delay"] = numbered_json(*delays.last);
      entry_["gives_up_after_ms"] = delays.used_up_after ? Json(milliseconds(*delays.used_up_after)) : Json(nullptr);
      if (delays.used_up_after) {
        const bool is_too_long = *delays.used_up_after == nanoseconds::max();
        entry_["gives_up_after_is_minimum"] = is_too_long || prospects_.may_be_later || has_finish(tasks_, task_) ||
                                              (optional_.backoff && optional_.backoff->jitter > 0);
        entry_["gives_up_after_may_be_shorter"] = delays.used_up_after->count() != 0 && prospects_.ends_early;
        if (delays.most_restarts) entry_["never_gives_up_after_restarts"] = *delays.most_restarts;
        if (delays.may_never) entry_["gives_up_after_or_never"] = true;
        entry_["gives_up_after_exits"] = charged_words();
        if (delays.is_about) entry_["gives_up_after_is_approximate"] = true;
      }
    }
    if (optional_.window) {
      entry_["window_ms"] = milliseconds(*optional_.window);
      if (prospects_.longest_counted) {
        entry_["never_gives_up_if_executions_exceed_ms"] = milliseconds(*prospects_.longest_counted);
      }
    }
    if (optional_.reset_after) {
      entry_["reset_after_ms"] = milliseconds(*optional_.reset_after);
      if (!optional_.unlimited) entry_["never_gives_up_if_ready_for_ms"] = entry_["reset_after_ms"];
    }
    if (optional_.repeats_after_delay() && optional_.backoff) {
      entry_["repeat_delay_ms"] = range_json(repeat_delay(*optional_.backoff));
    }
  }

  Json stop_json(const std::optional<Aftermath::HostStop>& stop, const Loss& loss) const {
    if (!stop) return nullptr;
    Json entry{{"reason", to_string(stop->reason)},
               {"task", tasks_.name(stop->task)},
               {"result", stop->failure ? "failure" : "success"}};
    if (stop->reason == StopReason::group && !loss.unless_over.empty()) {
      add_affected(entry, "unless_over", loss.unless_over);
    }
    if (stop->reason == StopReason::all_done && loss.may_host_end_well) entry["unless_one_ended_well"] = true;
    return entry;
  }

  // If all tasks are ready then; and the tasks that are skipped if they wait for it, and then those that come after
  // these, which may stop the host, too.
  Json loss_json(const Loss& loss) const {
    Json entry = Json::object();
    add_affected(entry, "discarded_with_it", loss.at_once.discarded);
    entry["host_stops"] = stop_json(loss.at_once.host_stop, loss);
    if (!loss.later.skipped.empty()) {
      add_affected(entry, "skipped_if_waiting", loss.later.skipped);
      if (!loss.later.skipped_in_turn.empty()) add_affected(entry, "skipped_in_turn", loss.later.skipped_in_turn);
      entry["host_stops_if_waiting"] = stop_json(loss.later.host_stop, loss);
    }
    return entry;
  }

  void add_losses() {
    if (prospects_.giving_up) {
      Json entry{{"on_give_up", to_string(optional_.on_give_up)}};
      if (optional_.on_give_up == GiveUp::cooldown) {
        entry["cooldown_ms"] = milliseconds(optional_.cooldown);
        add_affected(entry, "restarted_with_it", prospects_.giving_up->at_once.restarted);
      } else {
        entry.update(loss_json(*prospects_.giving_up));
      }
      entry_["when_it_gives_up"] = std::move(entry);
    }
    if (prospects_.discarding) entry_["when_discarded_after_failure"] = loss_json(*prospects_.discarding);
    if (prospects_.abandonment) entry_["when_abandoned"] = loss_json(*prospects_.abandonment);
  }

  void add_relation() {
    const TaskList::Relation* const relation = prospects_.relation;
    if (relation == nullptr) return;
    if (!relation->after.empty()) entry_["after"] = names(relation->after);
    if (!relation->group) return;
    entry_["group"] = explained_.group_names[*relation->group];
    entry_["strategy"] = to_string(tasks_.groups[*relation->group]);
    if (prospects_.delays) add_affected(entry_, "restarted_with_it", prospects_.restarted_with_it);
    if (!prospects_.restarted_by.empty()) add_affected(entry_, "restarted_by", prospects_.restarted_by);
    if (prospects_.ends_any_delay) entry_["restarted_by_ends_its_delay"] = true;
  }

  const ExplainedTasks& explained_;
  const TaskList& tasks_;
  const std::uint32_t task_;
  const TaskOptions& options_;
  const SupervisionOptions& optional_;
  const Prospects& prospects_;
  Json entry_;
};

}  // namespace

std::string explanation_json(const ExplainedTasks& explained) {
  const TaskList& tasks = explained.tasks;
  const OrderPlan plan = plan_order(tasks, explained.default_stop_timeout);
  const ProspectsReader reader(tasks, explained.default_stop_timeout);
  Json list = Json::array();
  for (std::uint32_t task = 0; task < tasks.size(); ++task) {
    const Prospects prospects = reader.of(task);
    Json entry = TaskJson(explained, task, prospects).take();
    entry["can_be_over"] = reader.departures().can_be_over(task);
    entry["start_step"] = plan.start_level[task] + 1;
    entry["stop_step"] = plan.stop_level[task] + 1;
    list.push_back(std::move(entry));
  }
  Json longest = Json::array();
  for (const std::uint32_t task : plan.longest_stop) longest.push_back(tasks.name(task));
  Json whole{{"tasks", std::move(list)},
             {"stops_when_no_task_is_left", reader.departures().can_all_be_over()},
             {"longest_stop_ms", milliseconds(plan.longest_stop_time)},
             {"longest_stop", std::move(longest)},
             {"beyond_longest_stop_ms", milliseconds(longest_afterwards)}};
  if (explained.shutdown_timeout) {
    whole["shutdown_timeout_ms"] = milliseconds(*explained.shutdown_timeout);
    whole["stop_is_cut_short"] = *explained.shutdown_timeout <= plan.longest_stop_time;
    whole["stop_may_be_cut_short"] = longest_stop_fits(plan, *explained.shutdown_timeout) != StopFits::yes;
  }
  if (explained.blocking_threads) {
    whole["blocking_tasks"] = count_blocking(tasks);
    whole["blocking_threads"] = *explained.blocking_threads;
  }
  return whole.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace taskhost
