// The optional fields of a policy: what they mean, and the lines an operator reads when they are wrong.
#include <chrono>
#include <string>
#include <vector>

#include "manifest/manifest.hpp"
#include "readings.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using taskhost::Backoff;
using taskhost::ExitAction;
using taskhost::GiveUp;
using taskhost::Manifest;
using taskhost::Outcome;
using taskhost::read_manifest;
using taskhost::Strategy;
using taskhost::SupervisionOptions;
using taskhost::WatchdogAction;
using taskhost::WorkerLimits;
using namespace taskhost::test;

namespace {

SupervisionOptions options_of(const std::string& text) {
  const Manifest manifest = read_good(text);
  REQUIRE(manifest.tasks.size() == 1);
  REQUIRE(manifest.tasks[0].options.optional);
  return *manifest.tasks[0].options.optional;
}

}  // namespace

// --- what they mean --------------------------------------------------------------------------------------------------

TEST_CASE("every optional field of a task is read") {
  const SupervisionOptions options = options_of(restarted(R"(
      "window": "1m", "backoff": {"initial": "100ms", "factor": 1.5, "max": "30s", "jitter": 0.1},
      "reset_after": "5m", "ready": "notify", "start_timeout": "7s",
      "watchdog": {"interval": "2s", "action": "restart"}, "on_give_up": {"cooldown": "3m"}, "isolation": "none",
      "exit_rules": [{"match": {"outcome": "ok"}, "action": "stop_host"},
                     {"match": {"outcome": ["error", "panic"], "message": "license"}, "action": "give_up"},
                     {"match": {}, "action": "restart"}])"));
  CHECK(options.window == 1min);
  CHECK(options.backoff == Backoff{.initial = 100ms, .factor = 1.5, .max = 30s, .jitter = 0.1});
  CHECK(options.reset_after == 5min);
  CHECK(options.notify);
  CHECK(options.start_timeout == 7s);
  REQUIRE(options.watchdog.has_value());
  CHECK(options.watchdog->interval == 2s);
  CHECK(options.watchdog->action == WatchdogAction::restart);
  CHECK(options.on_give_up == GiveUp::cooldown);
  CHECK(options.cooldown == 3min);
  CHECK_FALSE(options.unlimited);
  REQUIRE(options.exit_rules.size() == 3);
  CHECK(options.exit_rules[0].outcomes == std::vector<Outcome>{Outcome::ok});
  CHECK(options.exit_rules[0].action == ExitAction::stop_host);
  CHECK(options.exit_rules[1].outcomes == std::vector<Outcome>{Outcome::error, Outcome::panic});
  CHECK(options.exit_rules[1].message == "license");
  CHECK(options.exit_rules[2].outcomes.empty());
  CHECK(options.exit_rules[2].action == ExitAction::restart);
}

TEST_CASE("fields within the optional ones have their defaults") {
  const SupervisionOptions options =
      options_of(restarted(R"("backoff": {"initial": "1s"}, "watchdog": {"interval": "1s"})"));
  CHECK(options.backoff == Backoff{.initial = 1s, .factor = 2, .max = 1h, .jitter = 0});
  CHECK(options.watchdog->action == WatchdogAction::log);
  CHECK(options.on_give_up == GiveUp::by_type);
}

TEST_CASE("restarts without end are told apart from a number of them") {
  const Manifest manifest = read_good(mandatory(R"("restarts": "unlimited", "backoff": {"initial": "1s"})"));
  CHECK(manifest.tasks[0].options.optional->unlimited);
  CHECK(manifest.tasks[0].options.restarts == 0);
}

TEST_CASE("a task that gives no optional field, or only what is so anyway, has none") {
  for (const char* fields : {R"("restarts": 3)", R"("ready": "started")",
                             R"("on_give_up": "default", "exit_rules": [], "isolation": "none")", R"("after": [])"}) {
    INFO(fields);
    const Manifest manifest = read_good(mandatory(fields));
    CHECK(manifest.tasks[0].options.optional == nullptr);
    CHECK(manifest.relations.empty());
  }
}

TEST_CASE("tasks in a row with the same optional fields share them") {
  const std::string one = task(R"("type": "mandatory", "restarts": 2, "backoff": {"initial": "1s"})");
  const std::string other = task(R"("type": "mandatory", "restarts": 2, "backoff": {"initial": "2s"})");
  const Manifest manifest = read_good(tasks(one + ',' + one + ',' + other));
  CHECK(manifest.tasks[0].options.optional == manifest.tasks[1].options.optional);
  CHECK(manifest.tasks[1].options.optional != manifest.tasks[2].options.optional);
}

TEST_CASE("defaults concern the tasks that give no value of their own, wherever they stand in the text") {
  const Manifest manifest = read_good(R"({"tasks": [
    {"plugin": "a", "type": "mandatory", "restarts": 1},
    {"plugin": "b", "type": "mandatory", "restarts": 1, "backoff": {"initial": "5s"}, "ready": "started",
     "on_give_up": "default", "exit_rules": []}],
    "defaults": {"backoff": {"initial": "1s"}, "ready": "notify", "start_timeout": "9s", "on_give_up": "discard",
                 "watchdog": {"interval": "4s"}, "exit_rules": [{"match": {"outcome": "ok"}, "action": "discard"}]},
    "autoload": {"type": "detachable", "restarts": 2}})");
  const SupervisionOptions first = *manifest.tasks[0].options.optional;
  CHECK(first.backoff->initial == 1s);
  CHECK(first.notify);
  CHECK(first.start_timeout == 9s);
  CHECK(first.on_give_up == GiveUp::discard);
  CHECK(first.watchdog->interval == 4s);
  CHECK(first.exit_rules.size() == 1);
  const SupervisionOptions second = *manifest.tasks[1].options.optional;
  CHECK(second.backoff->initial == 5s);
  CHECK_FALSE(second.notify);
  CHECK_FALSE(second.start_timeout.has_value());
  CHECK(second.on_give_up == GiveUp::by_type);
  CHECK(second.watchdog->interval == 4s);
  CHECK(second.exit_rules.empty());
  CHECK(*manifest.autoload->optional == first);
}

TEST_CASE("a backoff of nothing means none, whatever the defaults are") {
  const Manifest manifest = read_good(R"({"defaults": {"backoff": {"initial": "1s"}, "reset_after": "1m"}, "tasks": [
    {"plugin": "a", "type": "mandatory", "restarts": 1, "backoff": {"initial": "0s"}}]})");
  CHECK_FALSE(manifest.tasks[0].options.optional->backoff.has_value());
  CHECK(manifest.tasks[0].options.optional->reset_after == 1min);
}

TEST_CASE("a default that a task can't have does not concern it") {
  const Manifest manifest = read_good(R"({
    "defaults": {"window": "1m", "backoff": {"initial": "1s"}, "reset_after": "1m", "start_timeout": "1s",
                 "on_give_up": "discard", "exit_rules": [{"match": {"outcome": "ok"}, "action": "restart"},
                 {"match": {"outcome": "panic"}, "action": "give_up"}, {"match": {}, "action": "fail_host"}]},
    "tasks": [{"plugin": "a", "type": "shutdown_on_exit"}, {"plugin": "a", "type": "mandatory"},
              {"plugin": "a", "type": "mandatory", "restarts": "unlimited"}]})");
  const SupervisionOptions ends_host = *manifest.tasks[0].options.optional;
  SupervisionOptions expected;
  expected.exit_rules = {{.outcomes = {}, .message = {}, .action = ExitAction::fail_host}};
  CHECK(ends_host == expected);
  const SupervisionOptions never_restarted = *manifest.tasks[1].options.optional;
  CHECK_FALSE(never_restarted.window.has_value());
  CHECK_FALSE(never_restarted.backoff.has_value());
  CHECK_FALSE(never_restarted.reset_after.has_value());
  CHECK_FALSE(never_restarted.start_timeout.has_value());
  CHECK(never_restarted.on_give_up == GiveUp::discard);
  CHECK(never_restarted.exit_rules.size() == 2);
  const SupervisionOptions unlimited = *manifest.tasks[2].options.optional;
  CHECK_FALSE(unlimited.window.has_value());
  CHECK(unlimited.backoff.has_value());
  CHECK(unlimited.on_give_up == GiveUp::by_type);
  CHECK(unlimited.exit_rules.size() == 3);
}

TEST_CASE("a task that repeats has a delay, its own or by default, with restarts or without") {
  const std::string rule = R"("exit_rules": [{"match": {"outcome": "ok"}, "action": "repeat"}])";
  const SupervisionOptions own = options_of(mandatory(R"("backoff": {"initial": "1s"}, )" + rule));
  CHECK(own.exit_rules[0].action == ExitAction::repeat);
  CHECK(own.backoff->initial == 1s);
  const Manifest manifest = read_good(R"({"defaults": {"backoff": {"initial": "2s"}, )" + rule + R"(}, "tasks": [
    {"plugin": "a", "type": "mandatory"}, {"plugin": "a", "type": "mandatory", "exit_rules": []},
    {"plugin": "a", "type": "shutdown_on_exit"}]})");
  CHECK(manifest.tasks[0].options.optional->backoff->initial == 2s);
  CHECK(manifest.tasks[0].options.optional->repeats_after_delay());
  CHECK_FALSE(manifest.tasks[1].options.optional);
  CHECK_FALSE(manifest.tasks[2].options.optional);
  const std::string needs =
      R"("repeat" needs a "backoff" whose "initial" is 1ms or longer, such as {"initial": "1s"}: otherwise a task that ends at once would keep a processor busy)";
  check({
      {mandatory(rule), {at("/exit_rules/0/action", needs)}},
      {restarted(R"("backoff": {"initial": "0s"}, )" + rule), {at("/exit_rules/0/action", needs)}},
      {ends_host(rule),
       {at("/exit_rules/0/action",
           R"(a "shutdown_on_exit" task is never restarted; choose "stop_host", "fail_host" or "discard", or another type)")}},
  });
}

TEST_CASE("what tasks come after and their groups are read beside them") {
  const Manifest manifest = read_good(R"({
    "tasks": [{"plugin": "a", "type": "mandatory"},
              {"plugin": "a", "type": "mandatory", "after": ["x", "y"]},
              {"plugin": "a", "type": "mandatory", "group": "two", "after": ["x"]},
              {"plugin": "a", "type": "mandatory", "group": "one"}],
    "groups": {"one": {"strategy": "rest_for_one"}, "two": {"strategy": "one_for_all"}}, "seed": 7})");
  CHECK(manifest.seed == 7);
  REQUIRE(manifest.groups.size() == 2);
  CHECK(manifest.groups[0].name == "one");
  CHECK(manifest.groups[0].strategy == Strategy::rest_for_one);
  CHECK(manifest.groups[1].strategy == Strategy::one_for_all);
  REQUIRE(manifest.relations.size() == 3);
  CHECK(manifest.relations[0].task == 1);
  CHECK(manifest.relations[0].after == std::vector<std::string>{"x", "y"});
  CHECK_FALSE(manifest.relations[0].group.has_value());
  CHECK(manifest.relations[1].task == 2);
  CHECK(manifest.relations[1].group == std::size_t{1});
  CHECK(manifest.relations[2].group == std::size_t{0});
}

// --- what is wrong ---------------------------------------------------------------------------------------------------

TEST_CASE("a task that is never restarted has nothing that is about restarts") {
  const auto refused = [](const std::string& field) {
    return at('/' + field,
              "a \"shutdown_on_exit\" task is never restarted; remove \"" + field + "\" or choose another type");
  };
  check({
      {ends_host(R"("restarts": "unlimited")"), {refused("restarts")}},
      {ends_host(R"("window": "1s")"), {refused("window")}},
      {ends_host(R"("backoff": {"initial": "1s"})"), {refused("backoff")}},
      {ends_host(R"("reset_after": "1s")"), {refused("reset_after")}},
      {ends_host(R"("on_give_up": "discard")"), {refused("on_give_up")}},
      {ends_host(R"("exit_rules": [{"match": {}, "action": "discard"}, {"match": {}, "action": "restart"}])"),
       {at("/exit_rules/1/action",
           R"(a "shutdown_on_exit" task is never restarted; choose "stop_host", "fail_host" or "discard", or another type)")}},
      {R"({"autoload": {"type": "shutdown_on_exit", "window": "1s"}})",
       {R"(m: /autoload/window (line 1): a "shutdown_on_exit" task is never restarted; remove "window" or choose another type)"}},
  });
}

TEST_CASE("a duration where an object is expected is told the object") {
  const auto wants = [](const std::string& field, const std::string& found, const std::string& hint) {
    return at(field, "expected an object, found " + found + "; write it as an object: " + hint);
  };
  check({
      {restarted(R"("backoff": "10 s")"), {wants("/backoff", R"(a string ("10 s"))", R"({"initial": "10s"})")}},
      {restarted(R"("backoff": "2m")"), {wants("/backoff", R"(a string ("2m"))", R"({"initial": "2m"})")}},
      {restarted(R"("backoff": "soon")"), {wants("/backoff", R"(a string ("soon"))", R"({"initial": "5s"})")}},
      {mandatory(R"("watchdog": 5)"), {wants("/watchdog", "a number (5)", R"({"interval": "5s"})")}},
  });
}

TEST_CASE("restarts without end need a delay, and are never used up") {
  const std::string needs_backoff =
      R"("unlimited" needs a "backoff" whose "initial" is 1ms or longer: otherwise a task that fails at once would keep a processor busy)";
  check({
      {mandatory(R"("restarts": "unlimited")"), {at("/restarts", needs_backoff)}},
      {mandatory(R"("restarts": "unlimited", "backoff": {"initial": "0s"})"), {at("/restarts", needs_backoff)}},
      {mandatory(R"("restarts": "unlimited", "backoff": {"initial": "1ns"})"), {at("/restarts", needs_backoff)}},
      {mandatory(R"("restarts": "unlimited", "backoff": {"initial": "1s"}, "window": "1m")"),
       {at("/window", R"("unlimited" restarts are never used up; remove "window" or give "restarts" a number)")}},
      {mandatory(R"("restarts": "unlimited", "backoff": {"initial": "1s"}, "on_give_up": "discard")"),
       {at("/on_give_up",
           R"("unlimited" restarts are never used up; remove "on_give_up" or give "restarts" a number)")}},
      {R"({"defaults": {"backoff": {"initial": "0s"}}, "tasks": [{"plugin": "p", "type": "mandatory", "restarts": "unlimited"}]})",
       {at("/restarts", needs_backoff + " (taking \"defaults\" into account)")}},
  });
  CHECK(
      faults_of(
          R"({"defaults": {"backoff": {"initial": "1s"}}, "tasks": [{"plugin": "p", "type": "mandatory", "restarts": "unlimited"}]})")
          .empty());
}

TEST_CASE("a window in which the restarts find no room is refused, with the numbers and what to do") {
  const auto never = [](const std::string& window, const std::string& above, const std::string& remedy) {
    return ", so the budget could never be used up within the window of " + window + "; raise \"window\" above " +
           above + ", " + remedy;
  };
  check({
      {restarted(R"("window": "5s", "backoff": {"initial": "1s", "factor": 2})"),
       {at("/window", "the first 3 delays add up to 7s" +
                          never("5s", "7.000003s", "lower \"max\" to 1.666s or less, or give at most 2 restarts"))}},
      {restarted(R"("window": "7s", "backoff": {"initial": "1s", "jitter": 1})"),
       {at("/window", "the first 3 delays add up to 7s" +
                          never("7s", "7.000003s", "lower \"max\" to 2.333s or less, or give at most 2 restarts"))}},
      {restarted(R"("window": "4s", "backoff": {"initial": "1s", "max": "2s"})"),
       {at("/window", "the first 3 delays add up to 5s" +
                          never("4s", "5.000003s", "lower \"max\" to 1.333s or less, or give at most 2 restarts"))}},
      {mandatory(R"("restarts": 1, "window": "1s", "backoff": {"initial": "2s"})"),
       {at("/window", "the first delay is 2s" + never("1s", "2.000001s", "or let no delay be longer than 999.998ms"))}},
      {mandatory(R"("restarts": 65536, "window": "1h", "backoff": {"initial": "1s", "factor": 1})"),
       {at("/window",
           "the first 65536 delays add up to 18h 12m 16s" +
               never("1h", "65536.065536s", "let no delay be longer than 54.93ms, or give at most 3599 restarts"))}},
      {mandatory(R"("restarts": 100, "window": "1us")"),
       {at("/window",
           R"(100 restarts without delays may take 100ms, so the budget could never be used up within the window of 1us; raise "window" above 100ms)")}},
      {restarted(R"("window": "15s", "watchdog": {"interval": "5s", "action": "restart"})"),
       {at("/window",
           R"(if the watchdog ends each execution, 3 executions take 15s, so the budget could never be used up within the window of 15s; raise "window" above 15s, lower the interval to 4.999s or less, or give at most 2 restarts)")}},
      {restarted(R"("window": "10s", "ready": "notify", "start_timeout": "5s")"),
       {at("/window",
           R"(if the start_timeout ends each execution, 3 executions take 15s, so the budget could never be used up within the window of 10s; raise "window" above 15s, lower "start_timeout" to 3.333s or less, or give at most 1 restart)")}},
      {R"({"defaults": {"window": "5s"}, "tasks": [{"plugin": "p", "type": "mandatory", "restarts": 3, "backoff": {"initial": "1s"}}]})",
       {at("/backoff", "the first 3 delays add up to 7s" +
                           never("5s", "7.000003s", "lower \"max\" to 1.666s or less, or give at most 2 restarts") +
                           " (taking \"defaults\" into account)")}},
      {R"({"defaults": {"window": "5s", "backoff": {"initial": "1s"}}, "tasks": [{"plugin": "p", "type": "mandatory", "restarts": 3}]})",
       {"m: /tasks/0 (line 1): the first 3 delays add up to 7s" +
        never("5s", "7.000003s", "lower \"max\" to 1.666s or less, or give at most 2 restarts") +
        " (taking \"defaults\" into account)"}},
  });
  CHECK(faults_of(restarted(R"("window": "7.1s", "backoff": {"initial": "1s", "factor": 2})")).empty());
  CHECK(faults_of(mandatory(R"("restarts": 65536, "window": "66s", "backoff": {"initial": "0s"})")).empty());
}

TEST_CASE("restarts that are given back before they can be used up are refused, with what to do") {
  const std::string silent =
      R"(a task without heartbeats lives for the watchdog's interval of 5s, and after 5s its restarts are given back, so they could never be used up; raise "reset_after" above 5s, or lower the interval below 5s)";
  const std::string watchdog = R"("watchdog": {"interval": "5s", "action": "restart"})";
  check({
      {restarted(R"("reset_after": "5s", )" + watchdog), {at("/reset_after", silent)}},
      {restarted(R"("reset_after": "1ns")"),
       {at("/reset_after",
           R"(a task that fails at once may live for 1ns, which gives the restarts back, so they might never be used up; raise "reset_after" to 1ms or more)")}},
      {R"({"defaults": {"reset_after": "5s"}, "tasks": [)" +
           task(R"("type": "mandatory", "restarts": 3, )" + watchdog) + "]}",
       {at("/watchdog", silent + " (taking \"defaults\" into account)")}},
  });
  CHECK(faults_of(restarted(R"("reset_after": "5.1s", )" + watchdog)).empty());
  CHECK(faults_of(restarted(R"("reset_after": "5s", "watchdog": {"interval": "5s"})")).empty());
}

TEST_CASE("restarts in a window are bounded") {
  check({{mandatory(R"("restarts": 65537, "window": "1s")"),
          {at("/restarts", "with a \"window\", \"restarts\" is at most 65536, found 65537")}}});
}

TEST_CASE("wrong backoffs are told") {
  check({
      {restarted(R"("backoff": {})"),
       {at("/backoff",
           R"("initial" is missing; it is the delay before the first restart, such as "initial": "100ms")")}},
      {restarted(R"("backoff": {"initial": "1s", "factor": 0.5})"),
       {at("/backoff/factor", "expected a number of at least 1, found a number (0.5)")}},
      {restarted(R"("backoff": {"initial": "1s", "jitter": 2})"),
       {at("/backoff/jitter", "expected a number from 0 to 1, found a number (2)")}},
      {restarted(R"("backoff": {"initial": "1s", "max": "500ms"})"),
       {at("/backoff/max",
           R"("max" (1h by default) is 500ms, shorter than "initial", 1s; raise "max" or lower "initial")")}},
      {restarted(R"("backoff": {"initial": "2h"})"),
       {at("/backoff/initial",
           R"("max" (1h by default) is 1h, shorter than "initial", 2h; raise "max" or lower "initial")")}},
      {restarted(R"("backoff": {"initial": "1s", "maximum": "2s"})"),
       {at("/backoff/maximum",
           R"(unknown field "maximum"; "backoff" may have "initial", "factor", "max" and "jitter")")}},
      {restarted(R"("jitter": 1)"), {at("/jitter", R"(unknown field "jitter" in a task; it belongs in "backoff")")}},
  });
}

TEST_CASE("a value that is wrong is told once, and not what follows from its absence") {
  check({
      {mandatory(R"("restarts": "unlimited", "backoff": {"initial": "x"})"),
       {at("/backoff/initial",
           R"(expected a duration such as "250ms", "10s" or "1.5h", found "x"; write a number and a unit (ns, us, ms, s, m or h), such as "10s")")}},
      {mandatory(R"("restarts": -1, "window": "1s")"),
       {at("/restarts", R"(expected a whole number from 0 to 4294967294 or "unlimited", found a number (-1))")}},
      {mandatory(R"("ready": "notfy", "start_timeout": "1s")"),
       {at("/ready", R"(unknown word "notfy"; did you mean "notify"?)")}},
  });
}

TEST_CASE("durations that are nothing are refused where they would mean nothing") {
  for (const char* field : {"window", "reset_after"}) {
    check({{restarted('"' + std::string(field) + "\": \"0s\""),
            {at('/' + std::string(field), "expected a duration longer than 0s, found \"0s\"")}}});
  }
  check({{mandatory(R"("watchdog": {"interval": "0s"})"),
          {at("/watchdog/interval", "expected a duration longer than 0s, found \"0s\"")}},
         {mandatory(R"("on_give_up": {"cooldown": "0ms"})"),
          {at("/on_give_up/cooldown", "expected a duration longer than 0s, found \"0ms\"")}}});
}

TEST_CASE("wrong readiness, watchdogs and ways to give up are told") {
  const std::string needs_notify =
      R"("start_timeout" needs "ready": "notify": without it a task is ready as soon as it has started)";
  check({
      {mandatory(R"("start_timeout": "1s")"), {at("/start_timeout", needs_notify)}},
      {mandatory(R"("start_timeout": "1s", "ready": "started")"), {at("/start_timeout", needs_notify)}},
      {mandatory(R"("ready": "soon")"), {at("/ready", R"(unknown word "soon"; use "started" or "notify")")}},
      {mandatory(R"("watchdog": {"action": "log"})"),
       {at("/watchdog",
           R"("interval" is missing; it is the longest time without a heartbeat, such as "interval": "5s")")}},
      {mandatory(R"("watchdog": {"interval": "1s", "action": "restrat"})"),
       {at("/watchdog/action", R"(unknown action "restrat"; did you mean "restart"?)")}},
      {mandatory(R"("on_give_up": "stophost")"),
       {at("/on_give_up", R"(unknown way to give up "stophost"; did you mean "stop_host"?)")}},
      {mandatory(R"("restarts": 1, "on_give_up": "cooldown")"),
       {at("/on_give_up", R"(a cooldown needs its time: write {"cooldown": "5m"})")}},
      {mandatory(R"("on_give_up": 5)"),
       {at("/on_give_up",
           R"(expected "default", "stop_host" or "discard", or an object such as {"cooldown": "5m"}, found a number (5))")}},
      {mandatory(R"("on_give_up": {})"),
       {at("/on_give_up",
           R"("cooldown" is missing; it is the time until the task starts over, such as "cooldown": "5m")")}},
  });
}

TEST_CASE("wrong exit rules are told") {
  const auto rule = [](const std::string& fields) { return mandatory(R"("exit_rules": [{)" + fields + "}]"); };
  check({
      {rule(R"("action": "discard")"),
       {at("/exit_rules/0",
           R"("match" is missing; it says which exits the rule is for, such as "match": {"outcome": "panic"}; {} matches any)")}},
      {rule(R"("match": {})"),
       {at("/exit_rules/0",
           R"("action" is missing; use "restart", "discard", "stop_host", "fail_host", "give_up" or "repeat")")}},
      {rule(R"("match": {}, "action": "giveup")"),
       {at("/exit_rules/0/action", R"(unknown action "giveup"; did you mean "give_up"?)")}},
      {rule(R"("match": {"outcome": "cancelled"}, "action": "discard")"),
       {at("/exit_rules/0/match/outcome", R"(unknown outcome "cancelled"; use "ok", "error", "panic" or "crashed")")}},
      {rule(R"("match": {"outcome": ["ok", "eror"]}, "action": "discard")"),
       {at("/exit_rules/0/match/outcome/1", R"(unknown outcome "eror"; did you mean "error"?)")}},
      {rule(R"("match": {"outcome": ["ok", "ok"]}, "action": "discard")"),
       {at("/exit_rules/0/match/outcome/1", R"("ok" is listed twice; remove one of the two)")}},
      {rule(R"("match": {"outcome": []}, "action": "discard")"),
       {at("/exit_rules/0/match/outcome", "expected at least one outcome; remove this field to match any")}},
      {rule(R"("match": {"msg": "x"}, "action": "discard")"),
       {at("/exit_rules/0/match/msg", R"(unknown field "msg"; "match" may have "outcome" and "message")")}},
  });
}

TEST_CASE("repeat says when a task is due again") {
  CHECK(options_of(mandatory(R"("repeat": {"every": "5m"})")).repeat->every == 5min);
  CHECK_FALSE(options_of(mandatory(R"("repeat": {"every": "5m"})")).repeat->schedule);
  const auto repeat = options_of(ends_host(R"("repeat": {"schedule": "@daily", "time_zone": "UTC"})")).repeat;
  REQUIRE(repeat->schedule);
  CHECK(repeat->schedule->next(0) == 86'400'000'000'000);
}

TEST_CASE("a default rule that repeats applies to a task that ends the host only if it has times") {
  const std::string rules = R"({"defaults": {"exit_rules": [{"match": {"outcome": "error"}, "action": "repeat"}]}, )";
  const auto rules_of = [&rules](const std::string& fields) {
    const Manifest manifest =
        read_good(rules + R"("tasks": [)" + task(R"("type": "shutdown_on_exit")" + fields) + "]}");
    return manifest.tasks[0].options.supervision().exit_rules.size();
  };
  CHECK(rules_of("") == 0);
  CHECK(rules_of(R"(, "repeat": {"every": "5m"})") == 1);
}

TEST_CASE("tasks that are alike share their schedule") {
  const std::string one = task(R"("type": "mandatory", "name": "a", "repeat": {"schedule": "@daily"})");
  const std::string other = task(R"("type": "mandatory", "name": "b", "repeat": {"schedule": "@daily"})");
  const Manifest manifest = read_good(tasks(one + ", " + other));
  CHECK(manifest.tasks[0].options.optional == manifest.tasks[1].options.optional);
}

TEST_CASE("a repeat that is wrong is told with what to write") {
  const auto repeat = [](const std::string& value) { return mandatory(R"("repeat": )" + value); };
  check({
      {repeat(R"("5m")"),
       {at("/repeat", R"(expected an object, found a string ("5m"); write it as an object: {"every": "5m"})")}},
      {repeat(R"("0 3 * * *")"),
       {at("/repeat",
           R"(expected an object, found a string ("0 3 * * *"); write it as an object: {"schedule": "0 3 * * *"})")}},
      {repeat("{}"),
       {at("/repeat",
           R"("every" is missing; say when it is due again, such as "every": "5m", or "schedule": "0 3 * * mon-fri")")}},
      {repeat(R"({"evry": "5m", "every": "5m"})"),
       {at("/repeat/evry", R"(unknown field "evry"; did you mean "every"?)")}},
      {repeat(R"({"every": "0s"})"), {at("/repeat/every", R"(expected a duration longer than 0s, found "0s")")}},
      {repeat(R"({"every": "-5m"})"),
       {at("/repeat/every",
           R"(expected a duration such as "250ms", "10s" or "1.5h", found "-5m"; a duration can't be negative)")}},
      {repeat(R"({"every": "9000h"})"),
       {at("/repeat/every",
           R"(expected a duration such as "250ms", "10s" or "1.5h", found "9000h"; write 365 days ("8760h") at most)")}},
      {repeat(R"({"every": "5us"})"),
       {at("/repeat/every",
           "expected a time of 1ms or longer, found 5us: a task that ends at once would keep a processor busy")}},
      {repeat(R"({"every": "5m", "schedule": "@daily"})"),
       {at("/repeat/every", R"(remove "every" or "schedule": only one of them can count)")}},
      {repeat(R"({"every": "5m", "time_zone": "UTC"})"),
       {at("/repeat/time_zone",
           R"(only a "schedule" has a time zone; remove "time_zone", or give "schedule" instead of "every")")}},
      {repeat(R"({"schedule": "0 25 * * *", "time_zone": "Europe/Berlni"})"),
       {at("/repeat/schedule", R"(in the hour "25": 25 is not from 0 to 23)"),
        at("/repeat/time_zone", R"(unknown time zone "Europe/Berlni"; did you mean "Europe/Berlin"?)")}},
      {mandatory(R"("repeat": {"every": "5m"}, "exit_rules": [{"match": {"outcome": "ok"}, "action": "discard"}])"),
       {at("/repeat",
           R"(exit rules take all exits by "ok", so none is repeated; remove "repeat", or give one of them the action "repeat")")}},
      {mandatory(R"("repeat": {"every": "5m"}, "backoff": {"initial": "1s"})"),
       {at("/backoff", R"("backoff" needs restarts, and the task has none; give "restarts", or remove "backoff")")}},
  });
}

TEST_CASE("isolation is none or process") {
  CHECK(options_of(restarted(R"("isolation": "process")")).isolated);
  check({{mandatory(R"("isolation": "thread")"),
          {at("/isolation", R"(unknown isolation "thread"; use "none" or "process")")}}});
}

TEST_CASE("limits and the user of an isolated task are read, and completed with the defaults") {
  const Manifest manifest = read_good(R"({
    "defaults": {"isolation": "process", "limits": {"memory": "1GiB", "processes": 32}, "user": "nobody"},
    "tasks": [{"name": "a", "plugin": "p", "type": "mandatory"},
              {"name": "b", "plugin": "p", "type": "mandatory", "user": "feed",
               "limits": {"memory": "65536KiB", "open_files": 64, "core_dump": false}},
              {"name": "c", "plugin": "p", "type": "mandatory", "isolation": "none"},
              {"name": "d", "plugin": "p", "type": "mandatory", "process": "shared"}]})");
  CHECK(*manifest.tasks[0].limits == WorkerLimits{.memory = 1u << 30, .processes = 32, .user = "nobody"});
  CHECK(*manifest.tasks[1].limits ==
        WorkerLimits{.memory = 64u << 20, .open_files = 64, .processes = 32, .core_dump = false, .user = "feed"});
  CHECK(manifest.tasks[2].limits == nullptr);
  CHECK(*manifest.tasks[3].limits ==
        WorkerLimits{.memory = 1u << 30, .processes = 32, .user = "nobody", .process = "shared"});
}

TEST_CASE("limits that are wrong, or of a task in the host's process, are told with what to write") {
  const auto limits = [](const std::string& value) {
    return mandatory(R"("isolation": "process", "limits": )" + value);
  };
  const std::string size = R"(expected a size such as "256MiB" or "2GiB" (a whole number and KiB, MiB or GiB), found )";
  check({
      {limits(R"({"memory": "256MB"})"), {at("/limits/memory", size + R"(a string ("256MB"))")}},
      {limits(R"({"memory": 268435456})"), {at("/limits/memory", size + "a number (268435456)")}},
      {limits(R"({"memory": "99999999999GiB"})"), {at("/limits/memory", size + R"(a string ("99999999999GiB"))")}},
      {limits(R"({"memory": "16MiB"})"),
       {at("/limits/memory",
           R"(a worker needs at least "64MiB", since the stacks of its threads count, found "16MiB")")}},
      {limits(R"({"open_files": 3})"),
       {at("/limits/open_files", "expected a whole number from 32 to 1000000000, found a number (3)")}},
      {limits(R"({"core_dump": "no"})"), {at("/limits/core_dump", R"(expected a boolean, found a string ("no"))")}},
      {limits(R"({"mem": "256MiB"})"),
       {at("/limits/mem",
           R"(unknown field "mem"; "limits" may have "memory", "open_files", "processes" and "core_dump")")}},
      {limits("[]"), {at("/limits", "expected an object, found an array")}},
      {mandatory(R"("limits": {"memory": "256MiB"})"),
       {at("/limits", R"(it is for a task in a process of its own; add "isolation": "process")")}},
      {mandatory(R"("user": "nobody")"),
       {at("/user", R"(it is for a task in a process of its own; add "isolation": "process")")}},
      {mandatory(R"("process": "readers")"),
       {at("/process", R"(it is for a task in a process of its own; add "isolation": "process")")}},
      {mandatory(R"("isolation": "process", "process": "")"),
       {at("/process", "expected a string with at least one character, found an empty one")}},
  });
}

TEST_CASE("groups that are not declared are told with the nearest, and those without a member too") {
  check({
      {R"({"tasks": [{"plugin": "p", "type": "mandatory", "group": "pipe"}]})",
       {at("/group",
           R"(there is no group "pipe"; define it at the top level, such as "groups": {"pipe": {"strategy": "one_for_all"}})")}},
      {R"({"groups": {"pipeline": {"strategy": "one_for_all"}}, "tasks": [{"plugin": "p", "type": "mandatory", "group": "pipelin"},
         {"plugin": "p", "type": "mandatory", "group": "pipeline"}]})",
       {at("/group", R"(there is no group "pipelin"; did you mean "pipeline"?)")}},
      {R"({"groups": {"pipe": {"strategy": "one_for_all"}}, "tasks": [{"plugin": "p", "type": "mandatory"}]})",
       {R"(m: /groups/pipe (line 1): no task is in this group; remove the group, or give a task "group": "pipe")"}},
      {R"({"groups": {"pipe": {}}, "tasks": [{"plugin": "p", "type": "mandatory", "group": "pipe"}]})",
       {R"(m: /groups/pipe (line 1): "strategy" is missing; use "one_for_one", "one_for_all" or "rest_for_one")"}},
      {R"({"groups": {"pipe": {"strategy": "one_for_al"}}, "tasks": [{"plugin": "p", "type": "mandatory", "group": "pipe"}]})",
       {R"(m: /groups/pipe/strategy (line 1): unknown strategy "one_for_al"; did you mean "one_for_all"?)"}},
      {R"({"groups": [], "tasks": [{"plugin": "p", "type": "mandatory", "group": "pipe"}]})",
       {"m: /groups (line 1): expected an object, found an array"}},
  });
}

TEST_CASE("a task in a list twice is told, and a seed out of range") {
  check({{mandatory(R"("after": ["a", "b", "a"])"), {at("/after/2", R"("a" is listed twice; remove one of the two)")}},
         {mandatory(R"("after": "a")"), {at("/after", R"(expected an array, found a string; write ["a"])")}},
         {R"({"seed": 0, "autoload": {"type": "detachable"}})",
          {"m: /seed (line 1): expected a whole number from 1 to 4294967295, found a number (0)"}}});
}

TEST_CASE("behind a syntax error nothing is judged that it may have hidden") {
  CHECK(faults_of(R"({"tasks": [{"plugin": "p", "type": "mandatory", "group": "g", "restarts": "unlimited"}], x)") ==
        std::vector<std::string>{R"(m: line 1, column 90: expected a field's name in double quotes, found "x")"});
}

TEST_CASE("with any one byte changed the optional fields read without a crash, and faults stay on one line") {
  const std::string whole =
      R"({"groups":{"g":{"strategy":"one_for_all"}},"defaults":{"window":"99s","ready":"notify"},"tasks":[{"plugin":"p",)"
      R"("type":"mandatory","restarts":3,"backoff":{"initial":"1s","factor":2,"max":"5s","jitter":0.5},"after":["a"],)"
      R"("start_timeout":"1s","watchdog":{"interval":"1s","action":"log"},"on_give_up":{"cooldown":"1s"},"group":"g",)"
      R"("exit_rules":[{"match":{"outcome":["error"],"message":"m"},"action":"restart"}]}]})";
  REQUIRE(faults_of(whole).empty());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char byte : std::string_view("\0 \"0-9aez{}[],:\xff", 16)) {
      std::string changed = whole;
      changed[at] = byte;
      for (const std::string& fault : faults_of(changed)) {
        if (fault.find_first_of(std::string_view("\0\n\r\x1b", 4)) != std::string::npos || fault.size() > 600) {
          FAIL_CHECK(fault);
        }
      }
    }
  }
}
