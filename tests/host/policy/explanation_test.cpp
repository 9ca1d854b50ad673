// What `taskhost check --explain` prints, word for word.
#include "policy/explanation.hpp"

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "policy/delays.hpp"
#include "policy/order_plan.hpp"
#include "policy/rules.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace taskhost;

namespace {

TaskOptions options_with(TaskType type, std::uint32_t restarts, SupervisionOptions optional) {
  return {type, restarts, 10s, std::make_shared<const SupervisionOptions>(std::move(optional))};
}

// The recipe does not matter here.
std::size_t add(TaskList& tasks, const char* name, const TaskOptions& options) {
  static const TaskFn function = TaskFn::from_blocking([] {});
  return tasks.add(name, function, options);
}

std::string explain(const TaskList& tasks, std::optional<std::chrono::nanoseconds> shutdown_timeout = {},
                    std::vector<std::string> groups = {}) {
  return explanation_text({.tasks = tasks, .group_names = std::move(groups), .shutdown_timeout = shutdown_timeout});
}

std::string explain_one(const TaskOptions& options) {
  TaskList tasks;
  add(tasks, "pump", options);
  return explain(tasks);
}

constexpr const char* end_of_one = "  once asked to stop, it has 10s to end\na stop takes 10s at worst\n";

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
  CHECK(explain_one({TaskType::detachable, 1}) ==
        std::string("task 'pump', detachable\n"
                    "  when it ends well: it is discarded, the others go on\n"
                    "  when it fails: it is restarted, once\n"
                    "  restarts are immediate\n"
                    "  if it fails at once each time, it gives up at once\n"
                    "  when it gives up: it is discarded, the others go on\n") +
            end_of_one);
  CHECK(explain_one({TaskType::detachable}) == std::string("task 'pump', detachable\n"
                                                           "  when it ends well: it is discarded, the others go on\n"
                                                           "  when it fails: it gives up at once\n"
                                                           "  when it gives up: it is discarded, the others go on\n") +
                                                   end_of_one);
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
  CHECK(explain_one(options_with(TaskType::mandatory, 6, optional)) ==
        std::string("task 'pump', mandatory\n"
                    "  when it ends, well or not: it is restarted, up to 6 times\n"
                    "  delays before the restarts: 100ms to 110ms, 200ms to 220ms, 400ms to 440ms, 500ms, and so on\n"
                    "  only the restarts within the last 1m count\n"
                    "  an execution that lived for 5m or longer gives all restarts back and resets the delays\n"
                    "  if it fails at once each time, it gives up 2.2s after the first failure, or later\n"
                    "  when it gives up: it waits for 10m and starts over\n"
                    "  it is ready when it says so; if it has not within 3s, it is stopped, which counts as a failure\n"
                    "  if it gives no heartbeat for 2s while it is ready, it is stopped, which counts as a failure\n"
                    "  exit rules come first: an exit by error or panic with \"license\" in its message: it gives up\n"
                    "  otherwise: an exit by ok: the host stops, success\n"
                    "  otherwise: any exit: it is restarted while restarts are left\n") +
            end_of_one);
}

TEST_CASE("what repeats, after which delay, and that its group has no part in it") {
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 100ms, .factor = 2, .max = 1h, .jitter = 0.1};
  optional.exit_rules = {{.outcomes = {Outcome::ok}, .message = {}, .action = ExitAction::repeat}};
  CHECK(
      explain_one(options_with(TaskType::mandatory, 0, optional)) ==
      std::string("task 'pump', mandatory\n"
                  "  when it ends, well or not: it gives up at once\n"
                  "  when it gives up: the host stops, failure\n"
                  "  exit rules come first: an exit by ok: it begins again in 100ms to 110ms, which is not charged\n") +
          end_of_one);
  TaskList tasks;
  add(tasks, "pump", options_with(TaskType::mandatory, 0, optional));
  tasks.groups = {Strategy::one_for_all};
  tasks.relations = {{.task = 0, .after = {}, .group = 0}};
  CHECK(explain(tasks, {}, {"g"})
            .find("when one member is restarted, all are; when it begins again, it does so alone\n") !=
        std::string::npos);
  const auto json =
      nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"g"}, .shutdown_timeout = {}}));
  CHECK(json["tasks"][0]["repeat_delay_ms"] == nlohmann::json::parse("[100, 110]"));
}

TEST_CASE("restarts without end never give up") {
  SupervisionOptions optional;
  optional.unlimited = true;
  optional.backoff = Backoff{.initial = 1s, .factor = 1};
  optional.watchdog = Watchdog{.interval = 2s, .action = WatchdogAction::log};
  CHECK(explain_one(options_with(TaskType::detachable, 0, optional)) ==
        std::string(
            "task 'pump', detachable\n"
            "  when it ends well: it is discarded, the others go on\n"
            "  when it fails: it is restarted, without limit\n"
            "  delays before the restarts: 1s, and so on\n"
            "  it never gives up\n"
            "  if it gives no heartbeat for 2s while it is ready, the log and the event task_stalled report it\n") +
            end_of_one);
}

TEST_CASE("long lists of delays are cut, and their sum is not") {
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 1ms, .factor = 2};
  const std::string text = explain_one(options_with(TaskType::detachable, 20, optional));
  CHECK(text.find("512ms, 1.024s, 2.048s, … (8 more, each longer)\n") != std::string::npos);
  // 1 ms · (2^20 - 1)
  CHECK(text.find("it gives up 1048.575s after the first failure\n") != std::string::npos);
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
  // Grows so slowly that the formula is used.
  const auto slow = sum(200'000, {.initial = 1ms, .factor = 1.00001, .max = 1h});
  CHECK(slow > 638s);
  CHECK(slow < 640s);
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
  CHECK(text.find("  it starts once 'api' and 'cache' are ready, and stops before them\n") != std::string::npos);
  CHECK(text.find("  it starts once 'db' is ready, and stops before it\n"
                  "  it is in the group 'back': when it is restarted, so are the members after it\n") !=
        std::string::npos);
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
  CHECK(explain(tasks, 30s, {"back"}).ends_with(order + ", within the shutdown_timeout of 30s\n"));
  CHECK(explain(tasks, 29s, {"back"})
            .ends_with(order + ", but is cut short after 29s, the shutdown_timeout, with status 4\n"));
}

TEST_CASE("tasks that are alike are told once, and long lists are cut") {
  TaskList tasks;
  for (int i = 0; i < 1000; ++i) add(tasks, ("w" + std::to_string(i)).c_str(), {TaskType::detachable});
  const std::string text = explain(tasks);
  CHECK(text.starts_with("1000 tasks, 'w0' to 'w999', detachable, each alone\n"));
  CHECK(text.ends_with("all start at once, and are asked to stop at once\na stop takes 10s at worst\n"));
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
  CHECK(text.find("it has 7s to end\na stop takes 7s at worst\n") != std::string::npos);
}

TEST_CASE("the same as JSON") {
  TaskList tasks;
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 1s, .factor = 2, .max = 1h, .jitter = 0.5};
  add(tasks, "db", options_with(TaskType::mandatory, 2, optional));
  optional.unlimited = true;
  add(tasks, "api", options_with(TaskType::detachable, 0, optional));
  tasks.groups = {Strategy::one_for_all};
  tasks.relations = {{.task = 1, .after = {0}, .group = 0}};
  const auto json =
      nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"pair"}, .shutdown_timeout = 5s}));
  CHECK(json["tasks"][0]["delays_ms"] == nlohmann::json::parse("[[1000, 1500], [2000, 3000]]"));
  CHECK(json["tasks"][0]["gives_up_after_ms"] == 3000);
  CHECK(json["tasks"][0]["start_step"] == 1);
  CHECK(json["tasks"][0]["stop_step"] == 2);
  CHECK(json["tasks"][1]["restarts"] == nullptr);
  CHECK(json["tasks"][1]["gives_up_after_ms"] == nullptr);
  CHECK(json["tasks"][1]["after"] == nlohmann::json::parse(R"(["db"])"));
  CHECK(json["tasks"][1]["strategy"] == "one_for_all");
  CHECK(json["longest_stop_ms"] == 20'000);
  CHECK(json["shutdown_timeout_ms"] == 5'000);
}
