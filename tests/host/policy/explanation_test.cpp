// What `taskhost check --explain` prints, word for word.
#include "policy/explanation.hpp"

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "explaining.hpp"
#include "policy/delays.hpp"
#include "policy/order_plan.hpp"
#include "policy/rules.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace taskhost;
using namespace taskhost::test;

namespace {

constexpr const char* end_of_one =
    "  once asked to stop, it has 10s to end; then it is abandoned, never started again, and the host ends with status "
    "4\na stop takes 10s at worst\n";
constexpr const char* well_alone =
    "  when it ends well: it is discarded; no task is left, so the host stops, success\n";
constexpr const char* lost_alone = "  when it gives up: it is discarded; no task is left, so the host stops, failure\n";

// Two tasks, the first of which is explained: 'b' comes after 'a', or both are in a group.
std::string explain_pair(const TaskOptions& a, const TaskOptions& b, bool in_group) {
  TaskList tasks;
  add(tasks, "a", a);
  add(tasks, "b", b);
  add(tasks, "c", {TaskType::detachable});
  if (in_group) {
    tasks.groups = {Strategy::one_for_all};
    tasks.relations = {{.task = 0, .after = {}, .group = 0}, {.task = 1, .after = {}, .group = 0}};
  } else {
    tasks.relations = {{.task = 1, .after = {0}, .group = {}}};
  }
  const std::string text = explain(tasks, {}, in_group ? std::vector<std::string>{"g"} : std::vector<std::string>{});
  return text.substr(0, text.find("task 'b'"));
}

}  // namespace

TEST_CASE("the three types without any optional field") {
  CHECK(explain_one({TaskType::shutdown_on_exit}) == std::string("task 'pump', shutdown_on_exit\n"
                                                                 "  when it ends well: the host stops, success\n"
                                                                 "  when it fails: the host stops, failure\n") +
                                                         end_of_one);
  CHECK(explain_one({TaskType::mandatory, 3}) ==
        std::string("task 'pump', mandatory\n"
                    "  when it ends, well or not: it is restarted, up to 3 times\n"
                    "  restarts are immediate\n"
                    "  if it fails at once each time, it gives up at once\n"
                    "  when it gives up: the host stops, failure\n") +
            end_of_one);
  CHECK(explain_one({TaskType::detachable, 1}) == std::string("task 'pump', detachable\n") + well_alone +
                                                      "  when it fails: it is restarted, once\n"
                                                      "  restarts are immediate\n"
                                                      "  if it fails at once each time, it gives up at once\n" +
                                                      lost_alone + end_of_one);
  CHECK(explain_one({TaskType::detachable}) == std::string("task 'pump', detachable\n") + well_alone +
                                                   "  when it fails: it gives up at once\n" + lost_alone + end_of_one);
}

TEST_CASE("every optional field in words") {
  SupervisionOptions optional;
  optional.window = 1min;
  optional.backoff = Backoff{.initial = 100ms, .factor = 2, .max = 500ms, .jitter = 0.1};
  optional.reset_after = 5min;
  optional.notify = true;
  optional.start_timeout = 3s;
  optional.watchdog = Watchdog{.interval = 2s, .action = WatchdogAction::restart};
  optional.on_give_up = GiveUp::cooldown;
  optional.cooldown = 10min;
  optional.exit_rules = {
      {.outcomes = {Outcome::error, Outcome::panic}, .message = "license", .action = ExitAction::give_up},
      {.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::stop_host},
      {.outcomes = {}, .message = {}, .action = ExitAction::restart}};
  CHECK(
      explain_one(options_with(TaskType::mandatory, 6, optional)) ==
      std::string("task 'pump', mandatory\n"
                  "  exit rules come first: an exit by error or panic with \"license\" in its message: it gives up\n"
                  "  otherwise: an exit by ok: the host stops, success\n"
                  "  otherwise: any exit: it is restarted while restarts are left\n"
                  "  delays before the restarts: 100ms to 110ms, 200ms to 220ms, 400ms to 440ms, then 500ms each, the "
                  "longest\n"
                  "  only the restarts within the last 1m count, though all lengthen the delays; executions that last "
                  "longer than 9.633333333s each "
                  "never use them up\n"
                  "  an execution that was ready for 5m or longer gives all restarts back and resets the delays; if "
                  "each was, they are never used up\n"
                  "  if it fails at once each time in a way that restarts it, it gives up 2.2s after the first "
                  "failure, or later\n"
                  "  when it gives up: it waits for 10m and starts over\n"
                  "  it is ready when it says so; if it has not within 3s, it is stopped, which counts as a failure\n"
                  "  if it gives no heartbeat for 2s while it is ready, it is stopped, which counts as a failure\n"
                  "  once asked to stop, it has 10s to end; then it is abandoned, never started again, and the host "
                  "ends with status 4\n"
                  "  when it is abandoned while the host runs: the host stops, failure\n"
                  "a stop takes 10s at worst\n"));
}

TEST_CASE("what repeats, after which delay, and that its group has no part in it") {
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 100ms, .factor = 2, .max = 1h, .jitter = 0.1};
  optional.exit_rules = {{.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::repeat}};
  CHECK(explain_one(options_with(TaskType::mandatory, 0, optional)) ==
        std::string("task 'pump', mandatory\n"
                    "  exit rules come first: an exit by ok: it begins again in 100ms to 110ms, which is not charged\n"
                    "  otherwise, when it fails: it gives up at once\n"
                    "  when it gives up: the host stops, failure\n") +
            end_of_one);
  TaskList tasks;
  add(tasks, "pump", options_with(TaskType::mandatory, 1, optional));
  add(tasks, "tank", {TaskType::detachable});
  tasks.groups = {Strategy::one_for_all};
  tasks.relations = {{.task = 0, .after = {}, .group = 0}, {.task = 1, .after = {}, .group = 0}};
  CHECK(has(explain(tasks, {}, {"g"}),
            "  it is in the group 'g' (one_for_all): when it is restarted, so is 'tank' (unless over); when it begins "
            "again, it does "
            "so alone\n"));
  const auto json =
      nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"g"}, .shutdown_timeout = {}}));
  CHECK(json["tasks"][0]["repeat_delay_ms"] == nlohmann::json::parse("[100, 110]"));
}

TEST_CASE("after which exits a task gives up, if rules take failures") {
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 100ms, .factor = 1};
  const auto text_of = [&optional](std::vector<ExitRule> rules) {
    optional.exit_rules = std::move(rules);
    return explain_one(options_with(TaskType::mandatory, 3, optional));
  };
  const std::vector<Outcome> failures{Outcome::error, Outcome::panic};
  CHECK(has(text_of({{failures, {}, ExitAction::repeat}}),
            "  if it ends well at once each time, it gives up 300ms after the first end\n"));
  CHECK(has(text_of({{failures, {}, ExitAction::stop_host}}), "  if it ends well at once each time, it gives up"));
  CHECK(has(text_of({{{Outcome::panic}, {}, ExitAction::stop_host}}),
            "  if it fails at once each time in a way that restarts it, it gives up 300ms after the first failure\n"));
  CHECK(has(text_of({{failures, "license", ExitAction::restart}}), "  if it fails at once each time, it gives up"));
  CHECK(has(text_of({{failures, {}, ExitAction::restart}, {{}, {}, ExitAction::give_up}}),
            "  if it fails at once each time, it gives up"));
  CHECK(has(text_of({{{Outcome::ok}, {}, ExitAction::give_up}}), "  if it fails at once each time, it gives up"));
  const TaskOptions options = options_with(TaskType::mandatory, 3, optional);
  TaskList tasks;
  add(tasks, "pump", options);
  optional.exit_rules = {{failures, {}, ExitAction::repeat}};
  add(tasks, "tank", options_with(TaskType::mandatory, 3, optional));
  const auto json = nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {}}));
  CHECK(json["tasks"][0]["gives_up_after_exits"] == "failures");
  CHECK(json["tasks"][1]["gives_up_after_exits"] == "good_ends");
}

TEST_CASE("with jitter, restarts that need not fit into the window may never be used up") {
  const auto text_of = [](std::chrono::nanoseconds window, double jitter) {
    SupervisionOptions optional;
    optional.window = window;
    optional.backoff = Backoff{.initial = 100ms, .factor = 1, .max = 200ms, .jitter = jitter};
    return explain_one(options_with(TaskType::mandatory, 3, optional));
  };
  const std::string never =
      "300ms after the first failure, or later, or never: with jitter the restarts may not fit "
      "into the window\n";
  CHECK(has(text_of(320ms, 1), never));
  CHECK(has(text_of(320ms, 0.1), never));  // 330 ms
  CHECK(has(text_of(600ms, 1), never));    // an execution takes time
  CHECK(has(text_of(601ms, 1), "300ms after the first failure, or later\n"));
  CHECK(has(text_of(320ms, 0.05), "300ms after the first failure, or later\n"));
  CHECK(has(text_of(320ms, 0), "300ms after the first failure\n"));
  SupervisionOptions growing;
  growing.window = 8s;
  growing.backoff = Backoff{.initial = 1s, .factor = 2, .max = 3s, .jitter = 0.5};  // 1.5 s, 3 s, 3 s…
  const auto is_told = [&growing](std::uint32_t restarts) {
    return has(explain_one(options_with(TaskType::mandatory, restarts, growing)), "or never");
  };
  CHECK(is_told(4));
  CHECK(!is_told(3));
  TaskList tasks;
  add(tasks, "pump", options_with(TaskType::mandatory, 4, growing));
  CHECK(nlohmann::json::parse(
            explanation_json({.tasks = tasks, .group_names = {}}))["tasks"][0]["gives_up_after_or_never"] == true);
}

TEST_CASE("restarts without end never give up") {
  SupervisionOptions optional;
  optional.unlimited = true;
  optional.backoff = Backoff{.initial = 1s, .factor = 1};
  optional.watchdog = Watchdog{.interval = 2s, .action = WatchdogAction::log};
  CHECK(explain_one(options_with(TaskType::detachable, 0, optional)) ==
        std::string(
            "task 'pump', detachable\n"
            "  when it ends well: it is discarded; no task is left, so the host stops, success\n"
            "  when it fails: it is restarted, without limit\n"
            "  delays before the restarts: 1s each\n"
            "  it never gives up\n"
            "  if it gives no heartbeat for 2s while it is ready, the log and the event task_stalled report it\n") +
            end_of_one);
}

TEST_CASE("an exit rule may give up though restarts have no end, and what it takes is not said twice") {
  SupervisionOptions optional;
  optional.unlimited = true;
  optional.backoff = Backoff{.initial = 10ms, .factor = 1};
  optional.exit_rules = {{.outcomes = {Outcome::error}, .message = {}, .action = ExitAction::give_up}};
  CHECK(explain_one(options_with(TaskType::mandatory, 0, optional)) ==
        std::string("task 'pump', mandatory\n"
                    "  exit rules come first: an exit by error: it gives up\n"
                    "  otherwise, when it ends, well or not: it is restarted, without limit\n"
                    "  delays before the restarts: 10ms each\n"
                    "  it gives up only by an exit rule\n"
                    "  when it gives up: the host stops, failure\n") +
            end_of_one);
  optional.exit_rules.front().outcomes = {Outcome::error, Outcome::panic};
  CHECK(has(explain_one(options_with(TaskType::mandatory, 0, optional)),
            "  otherwise, when it ends well: it is restarted, without limit\n"));
}

TEST_CASE("what a task that gives up takes with it, and what stops the host") {
  const TaskOptions once{TaskType::detachable, 1};
  CHECK(has(explain_pair(once, once, true),
            "  when it gives up: it is discarded, and so is 'b' of its group (unless over), the others go on\n"));
  CHECK(has(explain_pair(once, {TaskType::mandatory, 1}, true),
            "  when it gives up: it is discarded, and since 'b' is mandatory and in its group, the host stops, "
            "failure\n"));
  CHECK(has(explain_pair(once, once, false),
            "  when it gives up: it is discarded; 'b' is skipped if it waits then, or else when it would be restarted; "
            "the others go on\n"));
  CHECK(has(explain_pair(once, {TaskType::mandatory, 1}, false),
            "  when it gives up: it is discarded; 'b' is skipped if it waits then, or else when it would be restarted, "
            "and since 'b' is mandatory, the host then stops, failure\n"));
  CHECK(has(explain_pair({TaskType::mandatory, 1}, once, false), "  when it gives up: the host stops, failure\n"));
  SupervisionOptions optional;
  optional.on_give_up = GiveUp::cooldown;
  optional.cooldown = 90s;
  CHECK(has(explain_pair(options_with(TaskType::detachable, 1, optional), once, true),
            "  when it gives up: it waits for 1m 30s and starts over, with 'b' (unless over)\n"));
}

TEST_CASE("what a group and those that a task comes after do to its times") {
  SupervisionOptions optional;
  optional.window = 25s;
  optional.backoff = Backoff{.initial = 10s, .factor = 1};
  const TaskOptions slow = options_with(TaskType::mandatory, 2, optional);
  TaskList tasks;
  add(tasks, "a", {TaskType::mandatory, 100});
  add(tasks, "b", slow);
  add(tasks, "c", slow);
  tasks.groups = {Strategy::rest_for_one};
  tasks.relations = {{.task = 0, .after = {}, .group = 0},
                     {.task = 1, .after = {}, .group = 0},
                     {.task = 2, .after = {0, 1}, .group = {}}};
  const std::string text = explain(tasks, {}, {"g"});
  CHECK(
      has(text, "  if it fails at once each time, it gives up at once; later if it has to wait until 'b' has ended\n"));
  CHECK(
      has(text,
          "  only the restarts within the last 25s count; executions that last longer than 12.5s each never use them "
          "up\n"
          "  if it fails at once each time, it gives up 20s after the first failure; sooner, later or never if 'a' is "
          "restarted meanwhile\n"));
  CHECK(has(text,
            "  it is in the group 'g' (rest_for_one): it is restarted alone; when 'a' is restarted, so is it, which "
            "ends a delay of its own\n"));
  CHECK(has(text,
            "; executions that last longer than 2.5s each never use them up\n"
            "  if it fails at once each time, it gives up 20s after the first failure; later or never if it has to "
            "wait until 'a' and 'b' are ready\n"));
  const auto json = nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"g"}}))["tasks"];
  const auto limits = [&json](std::size_t task) {
    const auto& entry = json[task];
    return std::pair(entry["gives_up_after_is_minimum"].get<bool>(),
                     entry["gives_up_after_may_be_shorter"].get<bool>());
  };
  CHECK(limits(0) == std::pair(true, false));
  CHECK(limits(1) == std::pair(true, true));
  CHECK(limits(2) == std::pair(true, false));
  CHECK(json[1]["never_gives_up_if_executions_exceed_ms"] == 12'500);
  CHECK(json[2]["never_gives_up_if_executions_exceed_ms"] == 2'500);
}

TEST_CASE("if executions give the restarts back before the window forgets them, that is what counts") {
  SupervisionOptions optional;
  optional.window = 1h;
  optional.reset_after = 100ms;
  CHECK(has(explain_one(options_with(TaskType::mandatory, 3, optional)),
            "  only the restarts within the last 1h count\n"
            "  an execution that was ready for 100ms or longer gives all restarts back and resets the delays; if each "
            "was, they are never used up\n"));
}

TEST_CASE("who may wait for ever for a task that need not say that it is ready") {
  SupervisionOptions optional;
  optional.notify = true;
  CHECK(has(explain_pair(options_with(TaskType::mandatory, 0, optional), {TaskType::mandatory}, false),
            "  it is ready when it says so; without start_timeout, 'b' may wait for ever\n"));
  CHECK(has(explain_one(options_with(TaskType::mandatory, 0, optional)), "  it is ready when it says so\n"));
}

TEST_CASE("a group asks a task to end only if its strategy can, and the host does not stop instead") {
  const auto may_be_abandoned = [](Strategy strategy, std::vector<TaskOptions> members) {
    TaskList tasks;
    tasks.groups = {strategy};
    for (const TaskOptions& options : members) {
      const auto place = static_cast<std::uint32_t>(add(tasks, "m", options));
      tasks.relations.push_back({.task = place, .after = {}, .group = 0});
    }
    std::string which;
    const auto json = nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"g"}}));
    for (const auto& task : json["tasks"]) which += task.contains("when_abandoned") ? 'y' : 'n';
    return which;
  };
  const TaskOptions restarted{TaskType::mandatory, 1};
  const TaskOptions never{TaskType::mandatory, 0};
  const TaskOptions lost{TaskType::detachable, 0};
  CHECK(may_be_abandoned(Strategy::one_for_one, {restarted, restarted}) == "nn");
  CHECK(may_be_abandoned(Strategy::rest_for_one, {restarted, restarted}) == "ny");
  CHECK(may_be_abandoned(Strategy::one_for_all, {restarted, never}) == "ny");
  CHECK(may_be_abandoned(Strategy::one_for_all, {lost, lost}) == "yy");
  CHECK(may_be_abandoned(Strategy::rest_for_one, {never, lost, lost}) == "nny");
  CHECK(may_be_abandoned(Strategy::rest_for_one, {lost, lost, never}) == "nnn");
  SupervisionOptions optional;
  optional.exit_rules = {{.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::discard}};
  const TaskOptions leaving = options_with(TaskType::mandatory, 0, optional);
  CHECK(may_be_abandoned(Strategy::one_for_all, {leaving, lost, lost}) == "nyy");
}

TEST_CASE("what an exit rule that discards leads to, well and after a failure") {
  SupervisionOptions optional;
  optional.exit_rules = {{.outcomes = {}, .message = {}, .action = ExitAction::discard}};
  CHECK(has(explain_pair(options_with(TaskType::mandatory, 0, optional), {TaskType::shutdown_on_exit}, false),
            "  exit rules come first: any exit: it is discarded, the others go on; after a failure: it is discarded; "
            "'b' is skipped if it waits then, and since 'b' is shutdown_on_exit, "
            "the host then stops, failure\n"));
  optional.exit_rules.front().outcomes = {Outcome::ok};
  CHECK(has(explain_pair(options_with(TaskType::mandatory, 0, optional), {TaskType::detachable}, false),
            "  exit rules come first: an exit by ok: it is discarded, the others go on\n"));
}

TEST_CASE("a task that does not stop when a time limit or its group asks it is never started again") {
  SupervisionOptions optional;
  optional.notify = true;
  optional.start_timeout = 50ms;
  optional.on_give_up = GiveUp::cooldown;
  optional.cooldown = 100ms;
  CHECK(
      has(explain_pair(options_with(TaskType::detachable, 3, optional), {TaskType::detachable}, true),
          "  once asked to stop, it has 10s to end; then it is abandoned, never started again, and the host ends with "
          "status 4\n"
          "  when it is abandoned while the host runs: it is discarded, and so is 'b' of its group (unless over), the "
          "others go on\n"));
}

TEST_CASE("a polled task is dropped, unless it is stuck in a call") {
  TaskList tasks;
  SupervisionOptions optional;
  optional.watchdog = Watchdog{.interval = 2s, .action = WatchdogAction::restart};
  tasks.add("pump", TaskFn(std::shared_ptr<const Recipe>()), options_with(TaskType::mandatory, 0, optional));
  CHECK(has(explain(tasks),
            "  once asked to stop, it has 10s to end; then it is dropped\n"
            "  when it is stuck in a call then, it is abandoned (status 4), and while the host runs: the host stops, "
            "failure\n"));
}

TEST_CASE("a task whose finish is stuck is abandoned, though nobody asked it to end") {
  class Finishing final : public Recipe {
   public:
    Finishing() : Recipe(1, 1, false) {}
    bool finishes() const noexcept override { return true; }
  };
  TaskList tasks;
  const TaskOptions options{TaskType::mandatory, 5, 500ms};
  tasks.add("pump", TaskFn(std::shared_ptr<const Recipe>()), options);
  tasks.add("feed", TaskFn(std::make_shared<const Finishing>()), options);
  const std::string text = explain(tasks);
  CHECK(has(text,
            "  once asked to stop, it has 500ms to end, and its finish as long after an end of its own; then it is "
            "dropped\n"
            "  when it is stuck in a call then, it is abandoned (status 4), and while the host runs: the host stops, "
            "failure\n"));
  CHECK(has(text, "  once asked to stop, it has 500ms to end; then it is dropped\ntask 'feed'"));
  const auto json = nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {}}))["tasks"];
  CHECK(json[1]["has_finish"] == true);
  CHECK(json[1]["when_abandoned"]["host_stops"]["reason"] == "not_stopped");
  CHECK(!json[0].contains("when_abandoned"));
}

TEST_CASE("long lists of delays are cut, and their sum is not") {
  const auto text_of = [](std::uint32_t restarts, Backoff backoff, bool unlimited = false) {
    SupervisionOptions optional;
    optional.backoff = backoff;
    optional.unlimited = unlimited;
    return explain_one(options_with(TaskType::detachable, restarts, optional));
  };
  const std::string text = text_of(20, {.initial = 1ms, .factor = 2});
  CHECK(has(text, "512ms, 1.024s, 2.048s, … growing to 8m 44.288s, the 20th and last\n"));
  // 1 ms · (2^20 - 1)
  CHECK(has(text, "it gives up 17m 28.575s after the first failure\n"));
  CHECK(has(text_of(0, {.initial = 10ms, .factor = 2, .max = 30s}, true), "20.48s, then 30s each, the longest\n"));
  CHECK(has(text_of(30, {.initial = 10ms, .factor = 2, .max = 1min}),
            "20.48s, … growing to 1m, the longest, which the 14th and all later ones have\n"));
  CHECK(has(text_of(14, {.initial = 10ms, .factor = 2, .max = 1min}),
            "20.48s, … growing to 1m, the longest, which the 14th has\n"));
  CHECK(has(text_of(3, {.initial = 1s, .factor = 2, .max = 4s}), "restarts: 1s, 2s, 4s, the longest\n"));
  CHECK(has(text_of(3, {.initial = 1ms, .factor = 1.1}), "restarts: 1ms, 1.1ms, 1.21ms\n"));
  CHECK(has(text_of(4'294'967'294, {.initial = 1h, .factor = 1}), "gives up more than 292 years after"));
}

TEST_CASE("the shortest time until a task gives up, however many restarts there are") {
  const auto sum = [](std::uint64_t restarts, Backoff backoff) { return shortest_delays(backoff, restarts); };
  CHECK(sum(3, {.initial = 1s}) == 7s);
  CHECK(sum(1, {.initial = 1s, .factor = 3, .jitter = 1}) == 1s);
  CHECK(sum(4, {.initial = 1s, .factor = 2, .max = 3s}) == 9s);
  CHECK(sum(0, {.initial = 1s}) == 0s);
  CHECK(sum(100'000, {.initial = 0s}) == 0s);
  CHECK(sum(1'000'000, {.initial = 1s, .factor = 1}) == 1'000'000s);
  CHECK(sum(4'294'967'294, {.initial = 1ms, .factor = 2, .max = 1s}) > 4'294'000'000s);
  CHECK(sum(4'294'967'294, {.initial = 1h, .factor = 1}) == std::chrono::nanoseconds::max());
  // The second grows so slowly that the formula is used for a part.
  const auto slow = sum(200'000, {.initial = 1ms, .factor = 1.00001, .max = 1h});
  CHECK(slow > 638s);
  CHECK(slow < 640s);
  const auto slower = sum(2'000'000, {.initial = 1ms, .factor = 1.000001, .max = 1h});
  CHECK(slower > 6387s);
  CHECK(slower < 6391s);
}

TEST_CASE("start and stop in steps, and how long the worst stop takes") {
  TaskList tasks;
  const auto task = [&tasks](const char* name, std::chrono::nanoseconds stop_timeout) {
    return static_cast<std::uint32_t>(add(tasks, name, {TaskType::detachable, 0, stop_timeout}));
  };
  const std::uint32_t web = task("web", 5s);
  const std::uint32_t api = task("api", 10s);
  const std::uint32_t cache = task("cache", 2s);
  const std::uint32_t db = task("db", 15s);
  task("alone", 20s);
  tasks.groups = {Strategy::rest_for_one};
  tasks.relations = {{.task = web, .after = {api, cache}, .group = {}},
                     {.task = api, .after = {db}, .group = 0},
                     {.task = cache, .after = {db}, .group = 0}};
  const std::string text = explain(tasks, {}, {"back"});
  CHECK(text.find("  it starts once 'api' and 'cache' are ready or have ended well, and stops before them\n") !=
        std::string::npos);
  CHECK(has(text,
            "  it starts once 'db' is ready or has ended well, and stops before it\n"
            "  it is in the group 'back' (rest_for_one)\n"));
  const std::string order =
      "start order, each step once the tasks that it needs are ready:\n"
      "  1. 'db' and 'alone'\n"
      "  2. 'api' and 'cache'\n"
      "  3. 'web'\n"
      "stop order, each step once the tasks that need it have ended:\n"
      "  1. 'web' and 'alone'\n"
      "  2. 'api' and 'cache'\n"
      "  3. 'db'\n"
      "a stop takes 30s at worst ('web' 5s, then 'api' 10s, then 'db' 15s)";
  CHECK(text.ends_with(order + "\n"));
  CHECK(explain(tasks, 31s, {"back"}).ends_with(order + ", within the shutdown_timeout of 31s\n"));
  CHECK(explain(tasks, 30s, {"back"})
            .ends_with(order + ", about as long as the shutdown_timeout of 30s: it may be cut short, with status 4\n"));
  CHECK(explain(tasks, 30'099ms, {"back"})
            .ends_with(order +
                       ", about as long as the shutdown_timeout of 30.099s: it may be cut short, with status 4\n"));
  const auto cut_short = [&tasks](std::chrono::nanoseconds limit) {
    const auto json =
        nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"back"}, .shutdown_timeout = limit}));
    return std::pair<bool, bool>(json["stop_is_cut_short"], json["stop_may_be_cut_short"]);
  };
  CHECK(cut_short(29s) == std::pair(true, true));
  CHECK(cut_short(30s) == std::pair(true, true));
  CHECK(cut_short(30'099ms) == std::pair(false, true));
  CHECK(cut_short(30'100ms) == std::pair(false, false));
  CHECK(explain(tasks, 29s, {"back"})
            .ends_with(order + ", but is cut short after 29s, the shutdown_timeout, with status 4\n"));
}

TEST_CASE("tasks that are alike are told once, and long lists are cut") {
  TaskList tasks;
  for (int i = 0; i < 1000; ++i) add(tasks, ("w" + std::to_string(i)).c_str(), {TaskType::detachable});
  const std::string text = explain(tasks);
  CHECK(text.starts_with("1000 tasks, 'w0' to 'w999', detachable, each alone\n"));
  CHECK(
      text.ends_with("when no task is left, the host stops: success if one of them ended well, otherwise failure\n"
                     "all start at once, and are asked to stop at once\na stop takes 10s at worst\n"));
  const auto first = static_cast<std::uint32_t>(0);
  tasks.relations = {{.task = first, .after = {1}, .group = {}}};
  CHECK(explain(tasks).find("  1. 'w1', 'w2', 'w3', 'w4', 'w5', 'w6', 'w7', 'w8' and 991 more\n") != std::string::npos);
}

TEST_CASE("a host without tasks, and tasks with the default stop_timeout") {
  CHECK(explain(TaskList{}) == "no tasks: the host stops at once, success\n");
  TaskList tasks;
  add(tasks, "pump", {TaskType::shutdown_on_exit, 0, std::chrono::nanoseconds(-1)});
  const std::string text =
      explanation_text({.tasks = tasks, .group_names = {}, .shutdown_timeout = {}, .default_stop_timeout = 7s});
  CHECK(has(text, "it has 7s to end; then it is abandoned"));
  CHECK(has(text, "\na stop takes 7s at worst;"));
}

TEST_CASE("the same as JSON") {
  TaskList tasks;
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 1s, .factor = 2, .max = 1h, .jitter = 0.5};
  add(tasks, "db", options_with(TaskType::detachable, 2, optional));
  optional.unlimited = true;
  optional.backoff->max = 3s;
  optional.watchdog = Watchdog{.interval = 2s, .action = WatchdogAction::restart};
  add(tasks, "api", options_with(TaskType::mandatory, 0, optional));
  tasks.groups = {Strategy::one_for_all};
  tasks.relations = {{.task = 0, .after = {}, .group = 0}, {.task = 1, .after = {0}, .group = 0}};
  const auto json =
      nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"pair"}, .shutdown_timeout = 5s}));
  CHECK(json == nlohmann::json::parse(R"({
    "tasks": [
      {"name": "db", "type": "detachable", "kind": "blocking", "when_it_ends_well": "discard",
       "when_it_fails": "restart", "restarts": 2, "delays_ms": [[1000, 1500], [2000, 3000]], "gives_up_after_ms": 3000,
       "gives_up_after_is_minimum": true, "gives_up_after_may_be_shorter": false, "gives_up_after_exits": "failures",
       "when_it_gives_up": {"on_give_up": "default", "discarded_with_it": [],
         "host_stops": {"reason": "group", "task": "api", "result": "failure"}},
       "when_abandoned": {"discarded_with_it": [],
         "host_stops": {"reason": "group", "task": "api", "result": "failure"}},
       "ready": "started", "group": "pair", "strategy": "one_for_all", "restarted_with_it": ["api"], "restarted_by": ["api"],
       "stop_timeout_ms": 10000, "start_step": 1, "stop_step": 2, "can_be_over": true},
      {"name": "api", "type": "mandatory", "kind": "blocking", "when_it_ends_well": "restart",
       "when_it_fails": "restart", "restarts": null, "delays_ms": [[1000, 1500], [2000, 3000]],
       "delays_from": {"restart": 3, "delay_ms": [3000, 3000], "is_longest": true}, "gives_up_after_ms": null,
       "when_abandoned": {"discarded_with_it": [],
         "host_stops": {"reason": "not_stopped", "task": "api", "result": "failure"}},
       "ready": "started", "watchdog": {"interval_ms": 2000, "action": "restart"}, "after": ["db"], "group": "pair",
       "strategy": "one_for_all", "restarted_with_it": ["db"], "restarted_by": ["db"], "stop_timeout_ms": 10000, "start_step": 2,
       "stop_step": 1, "can_be_over": false}],
    "stops_when_no_task_is_left": false, "longest_stop_ms": 20000, "longest_stop": ["api", "db"],
    "beyond_longest_stop_ms": 15000,
    "shutdown_timeout_ms": 5000, "stop_is_cut_short": true, "stop_may_be_cut_short": true})"));
}

TEST_CASE("what JSON says of a long list of delays, of a minimum, and of what is skipped") {
  TaskList tasks;
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 1ms, .factor = 1.1};
  add(tasks, "pump", options_with(TaskType::detachable, 20, optional));
  optional.window = 10s;
  add(tasks, "feed", options_with(TaskType::detachable, 20, optional));
  add(tasks, "view", {TaskType::mandatory, 0});
  tasks.relations = {{.task = 2, .after = {1}, .group = {}}};
  const auto all =
      nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {}, .shutdown_timeout = {}}))["tasks"];
  const auto& task = all[1];
  CHECK(task["delays_ms"].size() == 12);
  CHECK(!task.contains("last_delay"));
  CHECK(all[0]["last_delay"] == nlohmann::json::parse(R"({"restart": 20, "delay_ms": [6.115909, 6.115909]})"));
  CHECK(task["gives_up_after_is_minimum"] == false);
  CHECK(task["gives_up_after_may_be_shorter"] == false);
  CHECK(task["never_gives_up_if_executions_exceed_ms"] == 497.13625);
  CHECK(task["when_it_gives_up"] == nlohmann::json::parse(R"({"on_give_up": "default", "discarded_with_it": [],
    "host_stops": null, "skipped_if_waiting": ["view"],
    "host_stops_if_waiting": {"reason": "skipped", "task": "view", "result": "failure"}})"));
}

TEST_CASE("of many tasks the first are named and all are counted, as text and as JSON") {
  TaskList tasks;
  tasks.groups = {Strategy::one_for_all};
  const auto add_some = [&tasks](std::uint32_t count, std::vector<std::uint32_t> after,
                                 std::optional<std::uint32_t> group) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto task = static_cast<std::uint32_t>(add(tasks, ("t" + std::to_string(tasks.size())).c_str(), {}));
      if (!after.empty() || group) tasks.relations.push_back({task, after, group});
    }
  };
  add_some(1, {}, {});
  add_some(10'001, {0}, {});
  add_some(41, {}, 0);
  const std::string text = explain(tasks, {}, {"g"});
  CHECK(has(text, "; 't1', 't2', 't3', 't4', 't5', 't6', 't7', 't8' and at least 9992 more are skipped if they wait"));
  CHECK(
      has(text,
          "and so are 't10002', 't10003', 't10004', 't10005', 't10006', 't10007', 't10008', 't10009' and 32 more of"));
  const auto json =
      nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"g"}, .shutdown_timeout = {}}));
  const auto& hub = json["tasks"][0]["when_it_gives_up"];
  CHECK(hub["skipped_if_waiting"].size() == 32);
  CHECK(hub["skipped_if_waiting_count"] == 10'000);
  CHECK(hub["skipped_if_waiting_count_is_minimum"] == true);
  const auto& last = json["tasks"].back()["when_abandoned"];
  CHECK(last["discarded_with_it"].front() == "t10002");
  CHECK(last["discarded_with_it_count"] == 40);
  CHECK(last["discarded_with_it_count_is_minimum"] == false);
}
