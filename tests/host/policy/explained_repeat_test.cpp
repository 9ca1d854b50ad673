// What `taskhost check --explain` prints of tasks that repeat.
#include <nlohmann/json.hpp>

#include "explaining.hpp"

using namespace std::chrono_literals;
using namespace taskhost;
using namespace taskhost::test;

namespace {

// Due once an hour, seven times in all; it is 10:30.
class SevenTimes final : public Schedule {
 public:
  static constexpr Nanoseconds hour = 3'600'000'000'000;
  explicit SevenTimes(Nanoseconds hours = 10) : hours_(hours) {}
  Nanoseconds wall_time(Nanoseconds) const noexcept override { return hours_ * hour + hour / 2; }
  Nanoseconds next(Nanoseconds after) const noexcept override {
    return after < 17 * hour ? (after / hour + 1) * hour : never;
  }
  std::string text() const override { return "seven times"; }
  std::string time_text(Nanoseconds wall) const override { return std::to_string(wall / hour) + ":00"; }

 private:
  const Nanoseconds hours_;
};

SupervisionOptions every(std::chrono::nanoseconds time) {
  SupervisionOptions optional;
  optional.repeat = {.every = time};
  return optional;
}

constexpr const char* runs_again = "  when it ends well: it runs again when it is due, which is not charged\n";

}  // namespace

TEST_CASE("a task that repeats says what it does when it ends well and when it fails, by type") {
  CHECK(has(explain_one(options_with(TaskType::shutdown_on_exit, 0, every(5min))),
            std::string(runs_again) + "  when it fails: the host stops, failure\n"));
  CHECK(has(explain_one(options_with(TaskType::mandatory, 2, every(5min))),
            std::string(runs_again) + "  when it fails: it is restarted, up to 2 times\n"));
  CHECK(has(explain_one(options_with(TaskType::detachable, 0, every(5min))),
            std::string(runs_again) + "  when it fails: it gives up at once\n"));
}

TEST_CASE("an interval is told with what becomes of times that are missed") {
  CHECK(has(explain_one(options_with(TaskType::mandatory, 2, every(5min))),
            "  it is due every 5m, counted from its first start; times that it misses have one execution, at once\n"));
}

TEST_CASE("a schedule is told with its next five times") {
  SupervisionOptions optional;
  optional.repeat = {.schedule = std::make_shared<SevenTimes>()};
  CHECK(has(explain_one(options_with(TaskType::mandatory, 0, optional)),
            "  it is due by seven times; times that it misses have one execution, at once\n"
            "  next times: 11:00, 12:00, 13:00, 14:00 and 15:00\n"));
}

TEST_CASE("a schedule that ends has fewer times, or none") {
  SupervisionOptions optional;
  optional.repeat = {.schedule = std::make_shared<SevenTimes>(15)};
  CHECK(has(explain_one(options_with(TaskType::mandatory, 0, optional)), "  next times: 16:00 and 17:00\n"));
  optional.repeat = {.schedule = std::make_shared<SevenTimes>(18)};
  CHECK(has(explain_one(options_with(TaskType::mandatory, 0, optional)), "  next times: none\n"));
}

TEST_CASE("an exit rule that repeats says that it waits until it is due") {
  SupervisionOptions optional = every(5min);
  optional.exit_rules = {{{Outcome::error}, "nothing", ExitAction::repeat}};
  CHECK(has(
      explain_one(options_with(TaskType::mandatory, 0, optional)),
      "  exit rules come first: an exit by error with \"nothing\" in its message: it runs again when it is due, "
      "which is not charged\n  otherwise, when it ends well: it runs again when it is due, which is not charged\n"));
}

TEST_CASE("a detachable task that repeats is never over by ending well") {
  CHECK_FALSE(has(explain_one(options_with(TaskType::detachable, 0, every(5min))), "it is discarded, the others"));
  TaskList tasks;
  add(tasks, "job", options_with(TaskType::detachable, 0, every(5min)));
  const auto json =
      nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {}, .shutdown_timeout = {}}));
  CHECK(json["tasks"][0]["when_it_ends_well"] == "repeat");
  CHECK(json["tasks"][0]["repeat"] == nlohmann::json{{"every_ms", 300000.0}});
}

TEST_CASE("a schedule as JSON has its next times in milliseconds since 1970") {
  TaskList tasks;
  SupervisionOptions optional;
  optional.repeat = {.schedule = std::make_shared<SevenTimes>(15)};
  add(tasks, "job", options_with(TaskType::mandatory, 0, optional));
  const auto json =
      nlohmann::json::parse(explanation_json({.tasks = tasks, .group_names = {}, .shutdown_timeout = {}}));
  CHECK(json["tasks"][0]["repeat"] ==
        nlohmann::json{{"schedule", "seven times"}, {"next_times_ms", {16 * 3.6e6, 17 * 3.6e6}}});
}
