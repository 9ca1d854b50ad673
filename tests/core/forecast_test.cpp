// What follows when something happens to one task, for each promise of the header. tests/simulation compares forecasts
// of random lists with what the simulated supervisor does.
#include "taskhost/core/forecast.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace taskhost;
using namespace std::chrono_literals;

namespace {

using Index = std::uint32_t;

// A task as the rows below write it.
struct Planned {
  TaskType type = TaskType::detachable;
  std::vector<Index> after{};
  bool in_group = false;
  SupervisionOptions optional{};
  std::uint32_t restarts = 0;
};

constexpr TaskType mandatory = TaskType::mandatory;
constexpr TaskType detachable = TaskType::detachable;

TaskList list_of(const std::vector<Planned>& plan, std::optional<Strategy> strategy = {}) {
  static const TaskFn function{std::shared_ptr<const Recipe>()};
  TaskList tasks;
  for (const Planned& one : plan) {
    const auto task = static_cast<Index>(
        tasks.add("t", function, {one.type, one.restarts, 1s, std::make_shared<SupervisionOptions>(one.optional)}));
    if (one.after.empty() && !one.in_group) continue;
    tasks.relations.push_back({task, one.after, one.in_group ? std::optional<Index>(0) : std::nullopt});
  }
  if (strategy) tasks.groups = {*strategy};
  return tasks;
}

// "1 2"; with how many there are if these are not all.
std::string to_text(const Affected& affected) {
  std::string text;
  for (const Index task : affected.first) text += (text.empty() ? "" : " ") + std::to_string(task);
  if (affected.count == affected.first.size()) return text;
  const auto first = std::to_string(affected.first.front()) + " to " + std::to_string(affected.first.back());
  return first + (affected.is_minimum ? " of at least " : " of ") + std::to_string(affected.count);
}

// "over; restarted 1 2; host: group 2"
std::string to_text(const Aftermath& aftermath) {
  std::string text = aftermath.is_over ? "over" : "goes on";
  const auto add = [&text](const char* what, const Affected& affected) {
    if (!affected.empty()) text += std::string("; ") + what + ' ' + to_text(affected);
  };
  add("restarted", aftermath.restarted);
  add("discarded", aftermath.discarded);
  add("skipped", aftermath.skipped);
  add("in turn", aftermath.skipped_in_turn);
  if (!aftermath.host_stop) return text;
  const Aftermath::HostStop& stop = *aftermath.host_stop;
  return text + "; host: " + std::string(to_string(stop.reason)) + ' ' + std::to_string(stop.task) +
         (stop.failure ? "" : ", success");
}

struct Told {
  std::string at_once;
  std::string in_the_end;
  bool operator==(const Told&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Told& told) {
  return out << "at once: " << told.at_once << "\nin the end: " << told.in_the_end;
}

Told told(const TaskList& tasks, Incident incident, Index task) {
  const Forecast forecast(tasks);
  const Aftermath at_once = forecast.at_once(incident, task);
  return {to_text(at_once), to_text(forecast.in_the_end(task, at_once))};
}

Told same(const std::string& text) { return {text, text}; }

struct Row {
  const char* what;
  std::vector<Planned> plan;
  std::optional<Strategy> strategy;
  Incident incident;
  Index task;
  Told expected;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(told(list_of(row.plan, row.strategy), row.incident, row.task) == row.expected);
  }
}

Planned member(TaskType type = detachable, std::vector<Index> after = {}) {
  return {.type = type, .after = std::move(after), .in_group = true};
}
Planned with(TaskType type, SupervisionOptions optional, std::uint32_t restarts = 0) {
  return {.type = type, .after = {}, .in_group = true, .optional = std::move(optional), .restarts = restarts};
}

}  // namespace

TEST_CASE("a restart takes along whom the strategy says, and nobody else") {
  const std::vector<Planned> four{member(), member(), member(), {.after = {1}}};
  check({
      {"alone", {{}, {}}, {}, Incident::restarts, 0, same("goes on")},
      {"one", four, Strategy::one_for_one, Incident::restarts, 1, same("goes on")},
      {"all", four, Strategy::one_for_all, Incident::restarts, 1, same("goes on; restarted 2 0")},
      {"rest", four, Strategy::rest_for_one, Incident::restarts, 1, same("goes on; restarted 2")},
      {"rest of none", four, Strategy::rest_for_one, Incident::restarts, 2, same("goes on")},
      {"dependants first",
       {member(), member(detachable, {2}), member()},
       Strategy::one_for_all,
       Incident::restarts,
       0,
       same("goes on; restarted 1 2")},
  });
}

TEST_CASE("giving up follows on_give_up or the type, and the group goes with what is discarded") {
  const SupervisionOptions discard{.on_give_up = GiveUp::discard};
  const SupervisionOptions stop{.on_give_up = GiveUp::stop_host};
  const SupervisionOptions cooldown{.on_give_up = GiveUp::cooldown, .cooldown = 1s};
  const auto all = Strategy::one_for_all;
  const auto rest = Strategy::rest_for_one;
  const Incident gives_up = Incident::gives_up;
  check({
      {"detachable", {{}, {}}, {}, gives_up, 0, same("over")},
      {"the only one", {{}}, {}, gives_up, 0, same("over; host: all_done 0")},
      {"mandatory", {{mandatory}, {}}, {}, gives_up, 0, same("over; host: budget_exhausted 0")},
      {"stop_host", {with(detachable, stop), member()}, all, gives_up, 0, same("over; host: budget_exhausted 0")},
      {"discard", {with(mandatory, discard), member(), {}}, all, gives_up, 0, same("over; discarded 1")},
      {"all of them", {member(), member()}, all, gives_up, 0, same("over; discarded 1; host: all_done 0")},
      {"cooldown",
       {with(mandatory, cooldown), member(), {.after = {0}}},
       all,
       gives_up,
       0,
       same("goes on; restarted 1")},
      {"a needed member", {member(), member(), member(mandatory)}, all, gives_up, 0, same("over; host: group 2")},
      {"not concerned", {member(mandatory), member(), member()}, rest, gives_up, 1, same("over; discarded 2")},
  });
}

TEST_CASE("an exit rule that discards concerns the task alone, and one that can't be stopped its group") {
  const std::vector<Planned> three{member(), member(), {mandatory}};
  const auto all = Strategy::one_for_all;
  check({
      {"discarded", three, all, Incident::is_discarded, 0, same("over")},
      {"a mandatory one", three, all, Incident::is_discarded, 2, same("over")},
      {"abandoned", three, all, Incident::is_abandoned, 0, same("over; discarded 1")},
      {"a mandatory one", three, all, Incident::is_abandoned, 2, same("over; host: not_stopped 2")},
      {"whatever on_give_up says",
       {with(detachable, {.on_give_up = GiveUp::stop_host}), {}},
       all,
       Incident::is_abandoned,
       0,
       same("over")},
  });
}

TEST_CASE("those that come after what is over are skipped in the end, and none at once") {
  const auto all = Strategy::one_for_all;
  const Incident gives_up = Incident::gives_up;
  const Incident is_discarded = Incident::is_discarded;
  const SupervisionOptions discard{.on_give_up = GiveUp::discard};
  check({
      {"the nearest first",
       {{}, {.after = {2}}, {.after = {0}}, {}},
       {},
       gives_up,
       0,
       {"over", "over; skipped 2; in turn 1"}},
      {"all of them", {{}, {.after = {0}}}, {}, gives_up, 0, {"over", "over; skipped 1; host: all_done 0"}},
      {"not what it comes after itself", {{}, {.after = {0}}}, {}, gives_up, 1, same("over")},
      {"at once what comes after both",
       {{}, {.after = {0}}, {.after = {0, 1}}, {.after = {1}}, {}},
       {},
       gives_up,
       0,
       {"over", "over; skipped 1 2; in turn 3"}},
      {"one of several", {{}, {}, {.after = {0, 1}}}, {}, gives_up, 1, {"over", "over; skipped 2"}},
      {"the nearest that is needed",
       {{}, {mandatory, {2}}, {mandatory, {3}}, {detachable, {0}}},
       {},
       gives_up,
       0,
       {"over", "over; skipped 3; in turn 2 1; host: skipped 2"}},
      {"those of its group, too",
       {member(), member(), {.after = {1}}, {}},
       all,
       gives_up,
       0,
       {"over; discarded 1", "over; discarded 1; skipped 2"}},
      {"but not of a group that lives on",
       {member(), member(), {.after = {1}}, {}},
       all,
       is_discarded,
       0,
       same("over")},
      {"nothing once the host stops",
       {{mandatory}, {.after = {0}}},
       {},
       gives_up,
       0,
       same("over; host: budget_exhausted 0")},
      {"the task itself is over, and does not stop the host for its group's sake",
       {{mandatory, {1}, true, discard}, member(), {.after = {1}}},
       all,
       gives_up,
       0,
       {"over; discarded 1", "over; discarded 1; skipped 2; host: all_done 0"}},
      {"but another may",
       {{mandatory, {1}, true, discard}, member(), {mandatory, {0}}},
       all,
       gives_up,
       0,
       {"over; discarded 1", "over; discarded 1; skipped 2; host: skipped 2"}},
  });
}

TEST_CASE("the incident happens at the first exit, whatever the task's own policy makes rare") {
  const SupervisionOptions rare{.unlimited = true,
                                .window = 1h,
                                .backoff = Backoff{.initial = 1h},
                                .reset_after = 1h,
                                .notify = true,
                                .start_timeout = 1h,
                                .watchdog = Watchdog{.interval = 1h, .action = WatchdogAction::restart},
                                .exit_rules = {{.outcomes = {}, .message = {}, .action = ExitAction::stop_host}}};
  const std::vector<Planned> pair{with(detachable, rare, 3), member(detachable, {0}), {}};
  const auto all = Strategy::one_for_all;
  check({
      {"restarts", pair, all, Incident::restarts, 0, same("goes on; restarted 1")},
      {"gives up", pair, all, Incident::gives_up, 0, same("over; discarded 1")},
      {"is discarded", pair, all, Incident::is_discarded, 0, {"over", "over; skipped 1"}},
      {"is abandoned", pair, all, Incident::is_abandoned, 0, same("over; discarded 1")},
  });
}

TEST_CASE("of a large group or a long chain the first are named and all are counted, and nobody needed is overlooked") {
  std::vector<Planned> group(100, member());
  const auto all = Strategy::one_for_all;
  const auto rest = Strategy::rest_for_one;
  check({
      {"all", group, all, Incident::restarts, 10, same("goes on; restarted 0 to 32 of 99")},
      {"rest", group, rest, Incident::restarts, 10, same("goes on; restarted 11 to 42 of 89")},
      {"as many as are named", std::vector<Planned>(33, member()), all, Incident::gives_up, 0,
       same("over; discarded 32 31 30 29 28 27 26 25 24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1; "
            "host: all_done 0")},
      {"none is left", group, all, Incident::gives_up, 99, same("over; discarded 0 to 31 of 99; host: all_done 99")},
      {"some are left", group, rest, Incident::gives_up, 1, same("over; discarded 2 to 33 of 98")},
  });
  group[90].type = mandatory;
  group[95].type = mandatory;
  check({
      {"behind it", group, rest, Incident::gives_up, 1, same("over; host: group 90")},
      {"before it", group, all, Incident::gives_up, 99, same("over; host: group 90")},
      {"the next", group, rest, Incident::gives_up, 91, same("over; host: group 95")},
      {"none behind it", group, rest, Incident::gives_up, 96, same("over; discarded 99 98 97")},
  });

  std::vector<Planned> chain(10'003);
  for (Index task = 1; task < chain.size(); ++task) chain[task].after = {task - 1};
  check({
      {"at least",
       chain,
       {},
       Incident::gives_up,
       0,
       {"over", "over; skipped 1; in turn 2 to 33 of at least 10000; host: all_done 0"}},
      {"exactly", chain, {}, Incident::gives_up, 1, {"over", "over; skipped 2; in turn 3 to 34 of 10000"}},
  });
  chain.back().type = mandatory;
  check({{"the last",
          chain,
          {},
          Incident::gives_up,
          0,
          {"over", "over; skipped 1; in turn 2 to 33 of at least 10000; host: skipped 10002"}}});
}

TEST_CASE("a forecast knows which tasks relate to others") {
  const TaskList tasks = list_of({{}, {.after = {0}}});
  const Forecast forecast(tasks);
  CHECK(forecast.relation_of(0) == nullptr);
  CHECK(forecast.relation_of(1) == &tasks.relations.front());
}
