// The same explanation as JSON, for programs.
#include <nlohmann/json.hpp>

#include "policy/delays.hpp"
#include "policy/explanation.hpp"
#include "policy/order_plan.hpp"

namespace taskhost {

namespace {

using Json = nlohmann::ordered_json;
using std::chrono::nanoseconds;

double milliseconds(nanoseconds duration) { return static_cast<double>(duration.count()) / 1e6; }

Json task_json(const ExplainedTasks& explained, std::size_t task) {
  static const SupervisionOptions none;
  const TaskOptions& options = explained.tasks.options(task);
  const SupervisionOptions& optional = options.optional ? *options.optional : none;
  Json entry{{"name", explained.tasks.name(task)}, {"type", to_string(options.type)}};
  if (options.type != TaskType::shutdown_on_exit) {
    entry["restarts"] = optional.unlimited ? Json(nullptr) : Json(options.restarts);
    const RestartDelays delays = restart_delays(options);
    Json list = Json::array();
    for (const DelayRange& range : delays.first) list.push_back({milliseconds(range.least), milliseconds(range.most)});
    entry["delays_ms"] = list;
    entry["gives_up_after_ms"] = delays.gives_up_after ? Json(milliseconds(*delays.gives_up_after)) : Json(nullptr);
    if (!optional.unlimited) entry["on_give_up"] = to_string(optional.on_give_up);
    if (optional.on_give_up == GiveUp::cooldown) entry["cooldown_ms"] = milliseconds(optional.cooldown);
  }
  if (optional.repeats() && optional.backoff) {
    const DelayRange delay = repeat_delay(*optional.backoff);
    entry["repeat_delay_ms"] = {milliseconds(delay.least), milliseconds(delay.most)};
  }
  if (optional.window) entry["window_ms"] = milliseconds(*optional.window);
  if (optional.reset_after) entry["reset_after_ms"] = milliseconds(*optional.reset_after);
  if (optional.start_timeout) entry["start_timeout_ms"] = milliseconds(*optional.start_timeout);
  entry["stop_timeout_ms"] = milliseconds(stop_timeout_of(options, explained.default_stop_timeout));
  return entry;
}

}  // namespace

std::string explanation_json(const ExplainedTasks& explained) {
  const TaskList& tasks = explained.tasks;
  const OrderPlan plan = plan_order(tasks, explained.default_stop_timeout);
  Json list = Json::array();
  for (std::size_t task = 0; task < tasks.size(); ++task) {
    Json entry = task_json(explained, task);
    entry["start_step"] = plan.start_level[task] + 1;
    entry["stop_step"] = plan.stop_level[task] + 1;
    list.push_back(std::move(entry));
  }
  for (const TaskList::Relation& relation : tasks.relations) {
    Json& entry = list[relation.task];
    if (!relation.after.empty()) {
      Json after = Json::array();
      for (const std::uint32_t other : relation.after) after.push_back(tasks.name(other));
      entry["after"] = std::move(after);
    }
    if (!relation.group) continue;
    entry["group"] = explained.group_names[*relation.group];
    entry["strategy"] = to_string(tasks.groups[*relation.group]);
  }
  Json whole{{"tasks", std::move(list)}, {"longest_stop_ms", milliseconds(plan.longest_stop_time)}};
  if (explained.shutdown_timeout) whole["shutdown_timeout_ms"] = milliseconds(*explained.shutdown_timeout);
  return whole.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace taskhost
