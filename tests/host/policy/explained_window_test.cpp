// What `taskhost check --explain` says of a window: which restarts count, and which delays go on growing.
#include <nlohmann/json.hpp>
#include <string>

#include "explaining.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace taskhost;
using namespace taskhost::test;

namespace {

TaskOptions in_window(std::uint32_t restarts, std::chrono::nanoseconds window, Backoff backoff) {
  SupervisionOptions optional;
  optional.window = window;
  optional.backoff = backoff;
  return options_with(TaskType::detachable, restarts, optional);
}

class Finishing final : public Recipe {
 public:
  Finishing() : Recipe(1, 1, false) {}
  bool finishes() const noexcept override { return true; }
};

nlohmann::json json_of(const TaskOptions& options) {
  TaskList tasks;
  add(tasks, "pump", options);
  return nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {}}))["tasks"][0];
}

}  // namespace

TEST_CASE("with a window, restarts that no longer count go on lengthening the delays") {
  const TaskOptions options = in_window(3, 4s, {.initial = 100ms, .factor = 2, .max = 30s});
  const std::string text = explain_one(options);
  CHECK(has(text, "  when it fails: it is restarted, up to 3 times within any 4s\n"));
  CHECK(
      has(text,
          "  delays before the restarts: 100ms, 200ms, 400ms, 800ms, 1.6s, 3.2s, 6.4s, 12.8s, 25.6s, then 30s each, "
          "the longest\n"
          "  only the restarts within the last 4s count, though all lengthen the delays; executions that last longer "
          "than 1.1s each never use them up\n"
          "  once it was restarted more than 5 times, it never gives up, since then 3 delays in a row are longer than "
          "the window; a \"max\" of 1.333s would prevent that\n"
          "  if it fails at once each time, it gives up 700ms after the first failure\n"));
  const auto json = json_of(options);
  CHECK(json["never_gives_up_after_restarts"] == 5);
  CHECK(json["delays_ms"].size() == 9);
  CHECK(json["delays_from"] ==
        nlohmann::json::parse(R"({"restart": 10, "delay_ms": [30000, 30000], "is_longest": true})"));
  CHECK(json["gives_up_after_ms"] == 700);
}

TEST_CASE("delays that always fit into the window can be used up at any time") {
  const TaskOptions growing = in_window(3, 4s, {.initial = 100ms, .factor = 2, .max = 1333ms});
  CHECK(!has(explain_one(growing), "never gives up"));
  CHECK(!json_of(growing).contains("never_gives_up_after_restarts"));
  const TaskOptions equal = in_window(3, 4s, {.initial = 1s, .factor = 1});
  CHECK(has(explain_one(equal),
            "  delays before the restarts: 1s each\n"
            "  only the restarts within the last 4s count; executions"));
  CHECK(!json_of(equal).contains("never_gives_up_after_restarts"));
}

TEST_CASE("of a single restart within a window, others may follow later") {
  const std::string text = explain_one(in_window(1, 1s, {.initial = 600ms, .factor = 2}));
  CHECK(has(text, "  when it fails: it is restarted, once within any 1s\n  delays before the restarts: 600ms, 1.2s, "));
  CHECK(has(text,
            "  once it was restarted more than once, it never gives up, since then a delay is longer than the window; "
            "a \"max\" of 999ms would prevent that\n"));
}

TEST_CASE("a reset shortens the delays again, so that it may give up") {
  SupervisionOptions optional;
  optional.window = 4s;
  optional.reset_after = 2s;
  optional.backoff = Backoff{.initial = 1s, .factor = 2};
  CHECK(
      has(explain_one(options_with(TaskType::mandatory, 1, optional)),
          "  once it was restarted more than 3 times without a reset, it never gives up, since then a delay is longer "
          "than the window; a \"max\" of 3.999s would prevent that\n"));
}

TEST_CASE("a finish that takes its time delays giving up, and may outlast the window") {
  const auto told = [](std::uint32_t restarts, SupervisionOptions optional) {
    optional.on_give_up = GiveUp::discard;
    TaskList tasks;
    TaskOptions options = options_with(TaskType::mandatory, restarts, optional);
    options.stop_timeout = std::chrono::nanoseconds(-1);
    tasks.add("pump", TaskFn(std::make_shared<const Finishing>()), options);
    const ExplainedTasks explained{.tasks = tasks, .group_names = {}, .default_stop_timeout = 400ms};
    return std::pair(explanation_text(explained), nlohmann::json::parse(explanation_json(explained))["tasks"][0]);
  };
  SupervisionOptions optional;
  CHECK(has(told(2, optional).first,
            "  if it fails at once each time, it gives up at once, or later, as its finish "
            "takes time\n"));
  optional.backoff = Backoff{.initial = 100ms, .factor = 1};
  const auto [text, json] = told(2, optional);
  CHECK(has(text, "it gives up 200ms after the first failure, or later, as its finish takes time\n"));
  CHECK(json["gives_up_after_is_minimum"] == true);
  CHECK(!json.contains("gives_up_after_or_never"));
  optional.window = 1001ms;
  CHECK(!has(told(2, optional).first, "or never"));
  optional.window = 600ms;
  const auto [narrow, narrow_json] = told(2, optional);
  CHECK(has(narrow, "executions that last longer than 200ms each, with their finish, never use them up\n"));
  CHECK(has(narrow,
            "it gives up 200ms after the first failure, or later, as its finish takes time, or never: with its finish "
            "the restarts may not fit into the window\n"));
  CHECK(narrow_json["gives_up_after_or_never"] == true);
  optional.backoff->jitter = 0.5;
  optional.backoff->max = 1s;
  CHECK(has(told(2, optional).first, "or never: with jitter and its finish the restarts may not fit"));
}

TEST_CASE("a task that is never ready may last for ever without giving its restarts back") {
  SupervisionOptions optional;
  optional.window = 3s;
  optional.reset_after = 1s;
  const std::string never = "; executions that last longer than 1.5s each never use them up\n";
  CHECK(!has(explain_one(options_with(TaskType::mandatory, 2, optional)), never));
  optional.notify = true;
  CHECK(has(explain_one(options_with(TaskType::mandatory, 2, optional)), never));
}

TEST_CASE("JSON tells that a restart of the group ends a delay") {
  TaskList tasks;
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 1s, .factor = 1};
  add(tasks, "a", options_with(TaskType::mandatory, 2, optional));
  add(tasks, "b", options_with(TaskType::mandatory, 2, optional));
  tasks.groups = {Strategy::rest_for_one};
  tasks.relations = {{0, {}, 0}, {1, {}, 0}};
  const auto json = nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {"g"}}))["tasks"];
  CHECK(!json[0].contains("restarted_by_ends_its_delay"));
  CHECK(json[1]["restarted_by_ends_its_delay"] == true);
}
