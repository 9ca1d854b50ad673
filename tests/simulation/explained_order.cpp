// What holds for all tasks: the order of start and stop, the longest stop, and who may be over.
#include <algorithm>
#include <map>

#include "explained_checks.hpp"

namespace taskhost::simulation {

namespace {

// What is told of the others, and compared with what happens when they are tried.
Names restarted_by(Place task, const Json& told) {
  Names by;
  for (const Json& other : told.at("tasks")) {
    Names with = names_in(other, "restarted_with_it");
    if (other.contains("when_it_gives_up")) {
      with.merge(names_in(other.at("when_it_gives_up"), "restarted_with_it"));
    }
    if (with.count(name_of(task)) != 0) by.insert(other.at("name").get<std::string>());
  }
  return by;
}

}  // namespace

void check_order(const Scenario& scenario, const Tried& tried, const Json& told) {
  std::map<Place, Nanoseconds> started, asked;
  Nanoseconds stop = never;
  for (const Observed& one : tried.observed) {
    if (one.output.kind == Output::Kind::start) started.emplace(one.output.task, one.time);
    if (one.output.kind != Output::Kind::ask) continue;
    stop = std::min(stop, one.time);
    asked.emplace(one.output.task, one.time);
  }
  for (Place task = 0; task < scenario.tasks.size(); ++task) {
    const Json& entry = told.at("tasks").at(task);
    const auto& optional = scenario.tasks[task].options.optional;
    expect_equal((started.at(task) - first_moment) / scenario.unit + 1, entry.at("start_step"), "step of start");
    expect_equal((asked.at(task) - stop) / scenario.unit + 1, entry.at("stop_step"), "step of stop");
    expect_equal(to_string(scenario.tasks[task].options.type), entry.at("type"), "type");
    expect_equal(optional && optional->notify ? "notify" : "started", entry.at("ready"), "ready");
    expect_equal(name_of(task), entry.at("name"), "name");
    expect_equal(scenario.characters[task].blocking ? "blocking" : "polled", entry.at("kind"), "kind");
    const bool isolated = optional && optional->isolated;
    expect_equal(isolated ? Json("process") : Json(), entry.value("isolation", Json()), "isolation");
    expect(!isolated || !entry.contains("when_abandoned"),
           name_of(task) + ", whose process can be killed, is abandoned");
    Names after;
    for (const Place other : scenario.tasks[task].after) after.insert(name_of(other));
    expect_equal(after, entry.contains("after") ? entry.at("after").get<Names>() : Names(), "after");
    const auto& group = scenario.tasks[task].group;
    expect_equal(group ? Json("g" + std::to_string(*group)) : Json(), entry.value("group", Json()), "group");
    expect_equal(group ? Json(to_string(scenario.groups[*group])) : Json(), entry.value("strategy", Json()),
                 "strategy");
    expect_equal(restarted_by(task, told), names_in(entry, "restarted_by"), "restarted by");
    Names waiting;
    for (Place other = 0; other < scenario.tasks.size(); ++other) {
      const std::vector<Place>& its = scenario.tasks[other].after;
      if (std::find(its.begin(), its.end(), task) != its.end()) waiting.insert(name_of(other));
    }
    if (!optional || !optional->notify || optional->start_timeout) waiting.clear();
    expect_equal(waiting, names_in(entry, "may_wait_for_ever_for_it"), "who may wait for ever");
    if (!optional) continue;
    if (entry.contains("never_gives_up_if_ready_for_ms")) {
      expect_equal(optional->reset_after.value().count(), time_of(entry.at("never_gives_up_if_ready_for_ms")),
                   "time after which it never gives up");
    }
    const Json window = entry.value("window_ms", Json());
    if (!window.is_null()) expect_equal(optional->window.value().count(), time_of(window), "window");
  }
}

// While the host runs, no task is over of which that is not told. One that stops the host is discarded just before.
void check_who_is_over(const Scenario& scenario, const Run& run, const std::vector<Observed>& observed,
                       const Json& told) {
  Names over;
  for (auto one = observed.begin(); one != end_of_trial(run, observed); ++one) {
    const Output& output = one->output;
    if (output.kind == Output::Kind::stop_host) return;
    if (output.kind == Output::Kind::start) over.erase(name_of(output.task));
    if (output.kind != Output::Kind::tell || output.event != EventKind::task_discarded) continue;
    if (one + 1 != observed.end() && (one + 1)->output.kind == Output::Kind::stop_host) return;
    const std::string name = name_of(output.task);
    over.insert(name);
    expect(told.at("tasks").at(output.task).at("can_be_over"), name + " is over");
    expect(over.size() < scenario.tasks.size() || told.at("stops_when_no_task_is_left"), "no task is left");
  }
}

void check_longest_stop(const Tried& tried, const Json& told) {
  Nanoseconds first = never;
  Nanoseconds last = 0;
  for (const Observed& one : tried.observed) {
    if (one.output.kind == Output::Kind::ask) first = std::min(first, one.time);
    if (one.output.kind == Output::Kind::tell && one.output.event == EventKind::task_stopped) last = one.time;
  }
  expect_equal(last - first, time_of(told.at("longest_stop_ms")), "longest stop");
  Nanoseconds sum = 0;
  for (const Json& name : told.at("longest_stop")) {
    sum += time_of(told.at("tasks").at(std::stoul(name.get<std::string>().substr(1))).at("stop_timeout_ms"));
  }
  expect_equal(last - first, sum, "sum of the longest stop");
  expect_equal(15'000'000'000, time_of(told.at("beyond_longest_stop_ms")), "what may come on top");
}

}  // namespace taskhost::simulation
