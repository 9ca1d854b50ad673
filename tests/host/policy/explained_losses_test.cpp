// What `taskhost check --explain` says of tasks that are over for good: who else is, and whether the host stops.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "explaining.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace taskhost;
using namespace taskhost::test;

TEST_CASE("what holds only if others still run, or if none has ended well, is told with that condition") {
  SupervisionOptions leaving;
  leaving.exit_rules = {{.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::discard}};
  SupervisionOptions staying;
  staying.exit_rules = {{.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::restart}};
  const TaskOptions plain{TaskType::detachable};
  const TaskOptions never_well = options_with(TaskType::detachable, 1, staying);
  const std::vector<TaskList::Relation> group{{0, {}, 0}, {1, {}, 0}};
  const std::vector<TaskList::Relation> after{{1, {0}, {}}};
  struct Row {
    TaskOptions other;
    std::vector<TaskList::Relation> relations;
    const char* text;
    const char* stop;
    bool if_waiting = false;
  };
  for (const Row& row : {
           Row{plain, group,
               "and so is 'b' of its group (unless over); no task is left, so the host stops, failure "
               "unless one ended well\n",
               R"({"reason": "all_done", "task": "a", "result": "failure", "unless_one_ended_well": true})"},
           Row{never_well, group,
               "and so is 'b' of its group (unless over); no task is left, so the host stops, "
               "failure\n",
               R"({"reason": "all_done", "task": "a", "result": "failure"})"},
           Row{options_with(TaskType::mandatory, 0, leaving), group,
               "and since 'b' is mandatory and in its group, the host stops, failure, unless 'b' is over by then\n",
               R"({"reason": "group", "task": "b", "result": "failure", "unless_over": ["b"]})"},
           Row{{TaskType::mandatory, 1},
               group,
               "and since 'b' is mandatory and in its group, the host stops, failure\n",
               R"({"reason": "group", "task": "b", "result": "failure"})"},
           Row{plain, after, "; if no task is left, the host stops, failure unless one ended well\n",
               R"({"reason": "all_done", "task": "a", "result": "failure", "unless_one_ended_well": true})", true},
           Row{never_well, after, "; if no task is left, the host stops, failure\n",
               R"({"reason": "all_done", "task": "a", "result": "failure"})", true},
       }) {
    INFO(row.text);
    TaskList tasks;
    add(tasks, "a", plain);
    add(tasks, "b", row.other);
    tasks.relations = row.relations;
    tasks.groups = {Strategy::one_for_all};
    const ExplainedTasks explained{.tasks = tasks, .group_names = {"g"}};
    CHECK(has(explanation_text(explained), row.text));
    const auto lost = nlohmann::json::parse(explanation_json(explained))["tasks"][0]["when_it_gives_up"];
    CHECK(lost[row.if_waiting ? "host_stops_if_waiting" : "host_stops"] == nlohmann::json::parse(row.stop));
  }
}

TEST_CASE("what comes after a task that is skipped is skipped in its turn, which may stop the host") {
  TaskList tasks;
  add(tasks, "a", {TaskType::detachable});
  add(tasks, "b", {TaskType::detachable, 1});
  add(tasks, "c", {TaskType::mandatory, 9});
  tasks.relations = {{.task = 1, .after = {0}, .group = {}}, {.task = 2, .after = {1}, .group = {}}};
  CHECK(has(explain(tasks),
            "  when it gives up: it is discarded; 'b' is skipped if it waits then, or else when it would be restarted; "
            "then likewise 'c', once one that it comes after is skipped, and since 'c' is mandatory, the host then "
            "stops, failure\n"));
  const auto lost =
      nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {}}))["tasks"][0]["when_it_gives_up"];
  CHECK(lost["skipped_if_waiting"] == nlohmann::json::parse(R"(["b"])"));
  CHECK(lost["skipped_in_turn"] == nlohmann::json::parse(R"(["c"])"));
  CHECK(lost["host_stops_if_waiting"] ==
        nlohmann::json::parse(R"({"reason": "skipped", "task": "c", "result": "failure"})"));
}

TEST_CASE(
    "that no task may be left is told if each can be over, by itself, with its group or with what it comes after") {
  SupervisionOptions notify;
  notify.notify = true;
  notify.start_timeout = 300ms;
  SupervisionOptions staying;
  staying.unlimited = true;
  staying.backoff = Backoff{.initial = 1s};
  staying.exit_rules = {{.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::restart}};
  SupervisionOptions leaving;
  leaving.exit_rules = {{.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::discard}};
  SupervisionOptions failing;
  failing.exit_rules = {{.outcomes = {}, .message = {}, .action = ExitAction::fail_host}};
  const TaskOptions plain{TaskType::detachable};
  const TaskOptions stays = options_with(TaskType::detachable, 0, staying);
  const TaskOptions needed{TaskType::mandatory, 1};
  const TaskOptions ends_well = options_with(TaskType::mandatory, 0, leaving);
  using Relation = TaskList::Relation;
  const auto member = [](std::uint32_t task) { return Relation{.task = task, .after = {}, .group = 0}; };
  struct Row {
    const char* what;
    std::vector<TaskOptions> tasks;
    std::vector<Relation> relations;
    std::optional<Strategy> strategy;
    std::vector<bool> can_be_over;
  };
  for (const Row& row : {
           Row{"alone", {plain, stays, needed, ends_well}, {}, {}, {true, false, false, true}},
           Row{"skipped, in turn", {plain, stays, stays}, {{1, {0}, {}}, {2, {1}, {}}}, {}, {true, true, true}},
           Row{"not skipped", {ends_well, stays, needed}, {{1, {0}, {}}, {2, {0}, {}}}, {}, {true, false, false}},
           Row{"abandoned",
               {options_with(TaskType::detachable, 0, notify), stays, needed},
               {{1, {0}, {}}, {2, {0}, {}}},
               {},
               {true, true, false}},
           Row{"with its group", {stays, plain}, {member(0), member(1)}, Strategy::one_for_all, {true, true}},
           Row{"its group is restarted alone",
               {plain, stays},
               {member(0), member(1)},
               Strategy::one_for_one,
               {true, false}},
           Row{"nobody asks it to end",
               {ends_well, options_with(TaskType::detachable, 0, failing)},
               {member(0), member(1)},
               Strategy::rest_for_one,
               {true, false}},
           Row{"those before it stay", {stays, plain}, {member(0), member(1)}, Strategy::rest_for_one, {false, true}},
           Row{"another is needed",
               {stays, plain, needed},
               {member(0), member(1), member(2)},
               Strategy::one_for_all,
               {false, true, false}},
           Row{"until it has ended well",
               {stays, plain, ends_well},
               {member(0), member(1), member(2)},
               Strategy::one_for_all,
               {true, true, true}},
       }) {
    INFO(row.what);
    TaskList tasks;
    for (const TaskOptions& options : row.tasks) add(tasks, ("t" + std::to_string(tasks.size())).c_str(), options);
    tasks.relations = row.relations;
    if (row.strategy) tasks.groups = {*row.strategy};
    const ExplainedTasks explained{.tasks = tasks, .group_names = {"g"}};
    const auto json = nlohmann::json::parse(explanation_json(explained));
    std::vector<bool> can_be_over;
    for (const auto& task : json["tasks"]) can_be_over.push_back(task["can_be_over"]);
    CHECK(can_be_over == row.can_be_over);
    const bool all = std::find(can_be_over.begin(), can_be_over.end(), false) == can_be_over.end();
    CHECK(json["stops_when_no_task_is_left"] == all);
    CHECK(has(explanation_text(explained), "when no task is left, the host stops: ") == all);
  }
}

TEST_CASE("tasks are told together only if the same follows for each, whoever comes after them") {
  TaskList tasks;
  add(tasks, "cache", {TaskType::detachable});
  add(tasks, "db", {TaskType::detachable});
  add(tasks, "web", {TaskType::mandatory});
  tasks.relations = {{.task = 2, .after = {1}, .group = {}}};
  const std::string lost = "  when it gives up: it is discarded";
  const std::string apart = explain(tasks);
  CHECK(apart.starts_with("task 'cache', detachable\n"));
  CHECK(has(apart, lost + ", the others go on\n"));
  CHECK(has(apart, "task 'db', detachable\n"));
  CHECK(has(apart, lost + "; 'web' is skipped if it waits then, and since 'web' is mandatory, the host then stops"));
  tasks.relations = {{.task = 2, .after = {0, 1}, .group = {}}};
  const std::string together = explain(tasks);
  CHECK(together.starts_with("2 tasks, 'cache' to 'db', detachable, alike\n"));
  CHECK(has(together, lost + "; 'web' is skipped if it waits then, and since 'web' is mandatory, the host then stops"));
  tasks.relations.clear();
  CHECK(explain(tasks).starts_with("2 tasks, 'cache' to 'db', detachable, each alone\n"));
}

TEST_CASE("the host stops for a group unless all are over that it needs") {
  SupervisionOptions leaving;
  leaving.exit_rules = {{.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::discard}};
  const TaskOptions ends_well = options_with(TaskType::mandatory, 0, leaving);
  const auto told = [&ends_well](const TaskOptions& core, bool in_group) {
    TaskList tasks;
    add(tasks, "d", {TaskType::detachable});
    add(tasks, "setup", ends_well);
    add(tasks, "core", core);
    add(tasks, "other", {TaskType::mandatory});
    if (in_group) {
      tasks.groups = {Strategy::one_for_all};
      tasks.relations = {{0, {}, 0}, {1, {}, 0}, {2, {}, 0}};
    } else {
      tasks.relations = {{1, {0}, {}}, {2, {0}, {}}};
    }
    return explain(tasks, {}, in_group ? std::vector<std::string>{"g"} : std::vector<std::string>{});
  };
  const std::string lost =
      "  when it gives up: it is discarded, and since 'setup' is mandatory and in its group, the host stops, failure";
  CHECK(has(told({TaskType::mandatory}, true), lost + "\n"));
  CHECK(has(told(ends_well, true), lost + ", unless 'setup' and 'core' are over by then\n"));
  CHECK(has(
      told({TaskType::mandatory}, false),
      "'setup' and 'core' are skipped if they wait then, and since the host needs 'setup' and 'core', it stops once "
      "one of these is skipped, failure\n"));
}

TEST_CASE("blocking tasks that have too few threads are told") {
  TaskList tasks;
  add(tasks, "a", {TaskType::mandatory});
  add(tasks, "b", {TaskType::mandatory, 2});
  tasks.add("polled", TaskFn(std::shared_ptr<const Recipe>()), TaskOptions{TaskType::mandatory});
  const auto text_of = [&tasks](unsigned threads) {
    return explanation_text({.tasks = tasks, .group_names = {}, .blocking_threads = threads});
  };
  CHECK(has(text_of(1),
            "2 tasks are blocking, and blocking_threads is 1: while so many run, starts of the others fail\n"));
  CHECK(!has(text_of(2), "blocking_threads"));
  const auto json = nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {}, .blocking_threads = 1}));
  CHECK(json["blocking_tasks"] == 2);
  CHECK(json["blocking_threads"] == 1);
}

TEST_CASE("names whose marks reorder or hide text are told with these marks in letters") {
  TaskList tasks;
  add(tasks, "evil\u202eksat\u2066\u200b\u2028", {TaskType::mandatory});
  tasks.groups = {Strategy::one_for_one};
  tasks.relations = {{0, {}, 0}};
  const std::string text = explain(tasks, {}, {"g\u2069\u200f"});
  CHECK(text.starts_with(R"(task 'evil\u202eksat\u2066\u200b\u2028', mandatory)"));
  CHECK(has(text, R"(in the group 'g\u2069\u200f')"));
}

TEST_CASE("that a service keeps the host running when all jobs have ended is told") {
  TaskList tasks;
  add(tasks, "job", {TaskType::detachable});
  add(tasks, "web", {TaskType::mandatory});
  CHECK(has(explain(tasks), "when all others have ended well, the host goes on: 'web' is never over while it runs\n"));
  for (int i = 0; i < 12; ++i) add(tasks, ("w" + std::to_string(i)).c_str(), {TaskType::mandatory});
  CHECK(has(explain(tasks), "'w5', 'w6' and 5 more are never over while it runs\n"));
  TaskList services;
  add(services, "web", {TaskType::mandatory});
  add(services, "db", {TaskType::mandatory});
  CHECK(!has(explain(services), "never over"));
}

TEST_CASE("an isolated task that is discarded when it crashes is lost as after any failure") {
  SupervisionOptions optional;
  optional.isolated = true;
  optional.exit_rules = {{.outcomes = {Outcome::crashed}, .message = {}, .action = ExitAction::discard}};
  TaskList tasks;
  add(tasks, "a", options_with(TaskType::mandatory, 3, optional));
  add(tasks, "b", {TaskType::mandatory, 3});
  tasks.relations = {{1, {0}, {}}};
  const ExplainedTasks explained{.tasks = tasks, .group_names = {}};
  CHECK(
      has(explanation_text(explained),
          "  exit rules come first: an exit by crashed: it is discarded; 'b' is skipped if it waits then, or else when "
          "it would be restarted, and since 'b' is mandatory, the host then stops, failure\n"));
  const auto task = nlohmann::json::parse(explanation_json(explained))["tasks"][0];
  CHECK(task["when_discarded_after_failure"]["skipped_if_waiting"] == nlohmann::json{"b"});
  CHECK(task["can_be_over"] == true);
}

TEST_CASE("an isolated task can always be stopped, so that is no way in which it or its group is over") {
  SupervisionOptions optional;
  optional.unlimited = true;
  optional.backoff = Backoff{.initial = 1s};
  optional.exit_rules = {{.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::restart}};
  for (const bool by_group : {false, true}) {
    if (!by_group) optional.watchdog = Watchdog{.interval = 2s, .action = WatchdogAction::restart};
    for (const bool isolated : {false, true}) {
      INFO(by_group << isolated);
      optional.isolated = isolated;
      TaskList tasks;
      add(tasks, "a", options_with(TaskType::detachable, 0, optional));
      add(tasks, "b", options_with(TaskType::detachable, 0, optional));
      if (by_group) {
        tasks.relations = {{0, {}, 0}, {1, {}, 0}};
        tasks.groups = {Strategy::one_for_all};
      }
      const auto json = nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"g"}}));
      CHECK(json["tasks"][0]["can_be_over"] == !isolated);
      CHECK(json["tasks"][0].contains("when_abandoned") == !isolated);
      CHECK(json["stops_when_no_task_is_left"] == !isolated);
    }
    optional.watchdog.reset();
  }
}
