#include "policy/order_plan.hpp"

#include <algorithm>
#include <limits>

namespace taskhost {

using std::chrono::nanoseconds;

nanoseconds stop_timeout_of(const TaskOptions& options, nanoseconds default_stop_timeout) {
  return options.stop_timeout.count() < 0 ? default_stop_timeout : options.stop_timeout;
}

namespace {

constexpr std::uint32_t nobody = std::numeric_limits<std::uint32_t>::max();

// What a loaded machine may add to a stop: to all of it, and to each of its steps.
constexpr nanoseconds least_margin = std::chrono::milliseconds(100);
constexpr nanoseconds margin_of_step = std::chrono::milliseconds(10);

nanoseconds saturating_sum(nanoseconds a, nanoseconds b) {
  return a > nanoseconds::max() - b ? nanoseconds::max() : a + b;
}

// Each task comes after all in its `after`.
std::vector<std::uint32_t> in_order(const TaskList& tasks, const std::vector<const TaskList::Relation*>& relation_of) {
  std::vector<std::uint32_t> order;
  order.reserve(tasks.size());
  std::vector<std::size_t> next(tasks.size(), 0);  // index in `after`; at its end the task is done
  std::vector<std::uint32_t> path;
  for (std::uint32_t root = 0; root < tasks.size(); ++root) {
    path.push_back(root);
    while (!path.empty()) {
      const std::uint32_t task = path.back();
      const std::size_t count = relation_of[task] != nullptr ? relation_of[task]->after.size() : 0;
      if (next[task] > count) {
        path.pop_back();
      } else if (next[task] == count) {
        ++next[task];
        order.push_back(task);
        path.pop_back();
      } else {
        path.push_back(relation_of[task]->after[next[task]++]);
      }
    }
  }
  return order;
}

}  // namespace

OrderPlan plan_order(const TaskList& tasks, nanoseconds default_stop_timeout) {
  OrderPlan plan;
  plan.start_level.resize(tasks.size());
  plan.stop_level.resize(tasks.size());
  std::vector<const TaskList::Relation*> relation_of(tasks.size());
  for (const TaskList::Relation& relation : tasks.relations) relation_of[relation.task] = &relation;
  const std::vector<std::uint32_t> order = in_order(tasks, relation_of);

  for (const std::uint32_t task : order) {
    if (relation_of[task] == nullptr) continue;
    for (const std::uint32_t other : relation_of[task]->after) {
      plan.start_level[task] = std::max(plan.start_level[task], plan.start_level[other] + 1);
    }
  }
  // When each task is asked to stop at the latest, and whose end it waits for until then.
  std::vector<nanoseconds> asked(tasks.size(), nanoseconds(0));
  std::vector<std::uint32_t> waits_for(tasks.size(), nobody);
  std::uint32_t last = nobody;
  for (auto at = order.rbegin(); at != order.rend(); ++at) {
    const std::uint32_t task = *at;
    const nanoseconds ended = saturating_sum(asked[task], stop_timeout_of(tasks.options(task), default_stop_timeout));
    if (last == nobody || ended > plan.longest_stop_time) {
      plan.longest_stop_time = ended;
      last = task;
    }
    if (relation_of[task] == nullptr) continue;
    for (const std::uint32_t other : relation_of[task]->after) {
      plan.stop_level[other] = std::max(plan.stop_level[other], plan.stop_level[task] + 1);
      if (waits_for[other] != nobody && asked[other] >= ended) continue;
      asked[other] = ended;
      waits_for[other] = task;
    }
  }
  for (; last != nobody; last = waits_for[last]) plan.longest_stop.push_back(last);
  std::reverse(plan.longest_stop.begin(), plan.longest_stop.end());
  return plan;
}

StopFits longest_stop_fits(const OrderPlan& plan, nanoseconds shutdown_timeout) {
  if (shutdown_timeout < plan.longest_stop_time) return StopFits::no;
  const nanoseconds margin =
      std::max(least_margin, margin_of_step * static_cast<std::int64_t>(plan.longest_stop.size()));
  return shutdown_timeout < saturating_sum(plan.longest_stop_time, margin) ? StopFits::barely : StopFits::yes;
}

}  // namespace taskhost
