// Which policies are rejected because a timer would spin or the task could never give up; and the messages.
#include "taskhost/core/policy_check.hpp"

#include <limits>
#include <memory>

#include "support/catch.hpp"

using namespace taskhost;
using namespace std::chrono_literals;

namespace {

using Options = SupervisionOptions;

struct Row {
  std::uint32_t restarts;
  Options optional;
  std::string found;  // "field: message" of each problem
};

std::string problems_of(std::uint32_t restarts, const Options& optional, TaskType type = TaskType::mandatory) {
  std::string all;
  for (const PolicyProblem& problem :
       check_policy({type, restarts, 10s, std::make_shared<const SupervisionOptions>(optional)})) {
    all += (all.empty() ? "" : "\n") + std::string(problem.field) + problem.step + ": " + problem.message;
  }
  return all;
}

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) CHECK(problems_of(row.restarts, row.optional) == row.found);
}

Watchdog restarting(std::chrono::nanoseconds interval) { return {interval, WatchdogAction::restart}; }
ExitRule rule(const char* message, ExitAction action, std::vector<Outcome> outcomes = {}) {
  return {std::move(outcomes), message, action};
}

}  // namespace

TEST_CASE("a duration of nothing is refused wherever a timer would spin or a budget be given back at once") {
  const std::string expected = ": expected a duration longer than 0s, found ";
  check({
      {3, {.window = 0s}, "window" + expected + "0s"},
      {3, {.reset_after = -1s}, "reset_after" + expected + "-1s"},
      {3, {.notify = true, .start_timeout = 0s}, "start_timeout" + expected + "0s"},
      {3, {.watchdog = Watchdog{}}, "watchdog/interval" + expected + "0s"},
      {0, {.watchdog = Watchdog{}}, "watchdog/interval" + expected + "0s"},
      {3, {.on_give_up = GiveUp::cooldown}, "on_give_up/cooldown" + expected + "0s"},
      {0,
       {.on_give_up = GiveUp::cooldown, .cooldown = 999us},
       "on_give_up/cooldown: expected a cooldown of 1ms or longer, found 999us: a task that fails at once would keep a "
       "processor busy"},
      {0, {.on_give_up = GiveUp::cooldown, .cooldown = 1ms}, ""},
      {3, {.backoff = Backoff{}}, ""},  // no delay
      {3, {.on_give_up = GiveUp::discard}, ""},
  });
  CHECK(check_policy({TaskType::mandatory, 3, 0s}).empty());
}

TEST_CASE("a backoff that does not grow from its first delay to its longest is refused") {
  check({
      {3, {.backoff = Backoff{.initial = 1s, .factor = 0.9}}, "backoff/factor: expected a factor of at least 1"},
      {3,
       {.backoff = Backoff{.initial = 1s, .factor = std::numeric_limits<double>::quiet_NaN()}},
       "backoff/factor: expected a factor of at least 1"},
      {3, {.backoff = Backoff{.initial = 1s, .jitter = 1.1}}, "backoff/jitter: expected a jitter from 0 to 1"},
      {3,
       {.backoff = Backoff{.initial = 2s, .max = 1s}},
       "backoff/max: \"max\" (1h by default) is 1s, shorter than \"initial\", 2s; raise \"max\" or lower \"initial\""},
      {0,
       {.unlimited = true},
       "restarts: \"unlimited\" needs a \"backoff\" whose \"initial\" is 1ms or longer: otherwise a task that fails "
       "at once would keep a processor busy"},
      {0,
       {.unlimited = true, .backoff = Backoff{.initial = 999us, .max = 1s}},
       "restarts: \"unlimited\" needs a \"backoff\" whose \"initial\" is 1ms or longer: otherwise a task that fails "
       "at once would keep a processor busy"},
      {0, {.unlimited = true, .backoff = Backoff{.initial = 1ms}}, ""},
  });
}

TEST_CASE("a repeat without a delay is refused, whatever the budget") {
  const auto with = [](std::optional<Backoff> backoff) {
    return Options{
        .backoff = backoff,
        .exit_rules = {rule("", ExitAction::restart, {Outcome::panic}), rule("", ExitAction::repeat, {Outcome::ok})}};
  };
  const std::string needs =
      "exit_rules/1/action: \"repeat\" needs a \"backoff\" whose \"initial\" is 1ms or longer, such as {\"initial\": "
      "\"1s\"}: otherwise a task that ends at once would keep a processor busy";
  check({
      {0, with({}), needs},
      {3, with({}), needs},
      {3, with(Backoff{}), needs},
      {3, with(Backoff{.initial = 999us}), needs},
      {0, with(Backoff{.initial = 1ms}), ""},
  });
  CHECK(problems_of(0, with(Backoff{.initial = 1ms}), TaskType::shutdown_on_exit) ==
        std::string("exit_rules/1/action: ") + never_restarted_problem);
}

TEST_CASE("a watchdog whose every restart would give the budget back is refused") {
  const std::string silent =
      "reset_after: a task without heartbeats lives for the watchdog's interval of 5s, and after 5s its restarts "
      "are "
      "given back, so they could never be used up; raise \"reset_after\" above 5s, or lower the interval below 5s";
  const auto with = [](Watchdog watchdog, std::vector<ExitRule> rules = {}) {
    return Options{.reset_after = 5s, .watchdog = watchdog, .exit_rules = std::move(rules)};
  };
  const auto matches_silence = rule("no heartbeat for 5s", ExitAction::give_up);
  check({
      {3, with(restarting(5s)), silent},
      {3, with(restarting(5s - 1ns)), ""},
      {3, with({5s, WatchdogAction::log}), ""},
      {0, with(restarting(5s)), ""},  // the first exit gives up
      // Exits that a rule keeps from the budget.
      {3, with(restarting(5s), {matches_silence}), ""},
      {3, with(restarting(5s), {rule("", ExitAction::fail_host, {Outcome::error})}), ""},
      {3, with(restarting(5s), {rule("", ExitAction::discard, {Outcome::ok, Outcome::panic})}), silent},
      {3, with(restarting(5s), {rule("license", ExitAction::give_up)}), silent},
      {3, with(restarting(5s), {rule("heartbeat", ExitAction::restart), matches_silence}), silent},
  });
  CHECK(problems_of(3, with(restarting(5s)), TaskType::detachable) == silent);
  CHECK(problems_of(0, with(restarting(5s)), TaskType::shutdown_on_exit).empty());
  Options unlimited = with(restarting(5s));
  unlimited.unlimited = true;
  unlimited.backoff = Backoff{.initial = 1s};
  CHECK(problems_of(0, unlimited).empty());
}

TEST_CASE("an execution that is never ready has not lived, however soon restarts are given back") {
  check({{3, {.reset_after = 100ms, .notify = true, .start_timeout = 200ms}, ""}});
}

TEST_CASE("restarts that an execution which fails at once may give back are refused") {
  const std::string never =
      ", which gives the restarts back, so they might never be used up; raise \"reset_after\" to 1ms or more";
  check({
      {3, {.reset_after = 1ns}, "reset_after: a task that fails at once may live for 1ns" + never},
      {3, {.reset_after = 999us}, "reset_after: a task that fails at once may live for 999us" + never},
      {3, {.reset_after = 1ms}, ""},
      {0, {.reset_after = 1ns}, ""},
  });
}

TEST_CASE("a window in which the restarts find no room is refused") {
  const auto never = [](const std::string& window, const std::string& above, const std::string& remedy) {
    return ", so the budget could never be used up within the window of " + window + "; raise \"window\" above " +
           above + ", or " + remedy;
  };
  const auto with = [](std::chrono::nanoseconds window, std::chrono::nanoseconds initial, double factor = 2,
                       double jitter = 0) {
    return Options{.window = window, .backoff = Backoff{.initial = initial, .factor = factor, .jitter = jitter}};
  };
  check({
      {3, with(7s, 1s),
       "window: the first 3 delays add up to 7s" +
           never("7s", "7.000003s, lower \"max\" to 2.333s or less", "give at most 2 restarts")},
      {3, with(7001ms, 1s), ""},
      {3, with(7001ms, 1s, 2, 1), ""},  // jitter may add 0
      {2, with(100ms, 50ms, 1),
       "window: the first 2 delays add up to 100ms" +
           never("100ms", "100.002ms, let no delay be longer than 49.998ms", "give at most 1 restart")},
      {1, with(1s, 2s),
       "window: the first delay is 2s" + never("1s", "2.000001s", "let no delay be longer than 999.998ms")},
      {100,
       {.window = 20ms},
       "window: 100 restarts without delays may take 100ms" + never("20ms", "100ms", "give at most 19 restarts")},
      {1,
       {.window = 1ms},
       "window: a restart without a delay may take 1ms, so the budget could never be used up within the window of 1ms; "
       "raise \"window\" above 1ms"},
      {100, {.window = 100ms + 1ns}, ""},
      {3, with(30ms + 2us, 10ms, 1),
       "window: 3 restarts take longer" + never("30.002ms", "30.003ms", "give at most 2 restarts")},
      {65'536, {.window = 66s}, ""},
      {65'537, {.window = 1s}, "restarts: with a \"window\", \"restarts\" is at most 65536, found 65537"},
      {0, {.window = 1ns}, ""},
  });
}

TEST_CASE("a remedy is accepted once it is given, and only told if it can be") {
  const auto with = [](std::uint32_t restarts, std::chrono::nanoseconds window, Backoff backoff,
                       std::optional<Watchdog> watchdog = {}) {
    return problems_of(restarts, {.window = window, .backoff = backoff, .watchdog = watchdog});
  };
  const Backoff growing{.initial = 3s, .factor = 4.0 / 3};
  CHECK(
      with(2, 7s, growing)
          .ends_with("; raise \"window\" above 7.000002s, lower \"max\" to 3.499s or less, or give at most 1 restart"));
  CHECK(with(2, 7s + 2us, growing) != "");
  CHECK(with(2, 7s + 2us + 1ns, growing) == "");
  CHECK(with(2, 7s, growing, restarting(5s)).ends_with("; raise \"window\" above 17s, or shorten the delays"));
  CHECK(with(2, 17s + 1ns, growing, restarting(5s)) == "");
  const Backoff year{.initial = 8760h, .factor = 1, .max = 8760h};
  CHECK(with(3, 1s, year).ends_with(" within the window of 1s; let no delay be longer than 333.332ms"));
  CHECK(with(60'000, 1s, year).ends_with(" within the window of 1s; shorten the delays"));
  CHECK(problems_of(3, {.reset_after = 1h, .watchdog = restarting(8760h)})
            .ends_with(" used up; lower the interval below 1h"));
}

TEST_CASE("a window in which failures that take their time find no room is refused") {
  const std::string never = ", so the budget could never be used up within the window of 15s; raise \"window\" above ";
  check({
      {3,
       {.window = 15s, .watchdog = restarting(5s)},
       "window: if the watchdog ends each execution, 3 executions take 15s" + never +
           "15s, lower the interval to 4.999s or less, or give at most 2 restarts"},
      {3, {.window = 15s + 1ns, .watchdog = restarting(5s)}, ""},
      {3,
       {.window = 15s, .backoff = Backoff{.initial = 1s}, .watchdog = restarting(4s)},
       "window: if the watchdog ends each execution, 3 executions and their delays take 19s" + never +
           "19s, lower the interval to 2.666s or less, or give at most 2 restarts"},
      {1,
       {.window = 15s, .notify = true, .start_timeout = 20s},
       "window: if the start_timeout ends each execution, an execution takes 20s" + never +
           "20s, or lower \"start_timeout\" to 14.999s or less"},
      {3, {.window = 15s, .watchdog = Watchdog{.interval = 5s}}, ""},
      {3, {.window = 15s, .watchdog = restarting(5s), .exit_rules = {rule("heartbeat", ExitAction::give_up)}}, ""},
      {3,
       {.window = 15s,
        .notify = true,
        .start_timeout = 5s,
        .exit_rules = {rule("not ready within 5s", ExitAction::discard)}},
       ""},
      {10'000,
       {.window = 15s, .watchdog = restarting(std::chrono::nanoseconds::max())},
       "window: if the watchdog ends each execution, 10000 executions take more than 292 years, so the budget could "
       "never be used up within the window of 15s; lower the interval to 1.499ms or less"},
  });
}
