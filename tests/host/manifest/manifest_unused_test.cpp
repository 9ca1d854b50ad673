// What a policy may say to no effect is refused: fields that no exit can use, rules that can never match.
#include <chrono>
#include <string>

#include "readings.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using taskhost::SupervisionOptions;
using namespace taskhost::test;

TEST_CASE("fields that would be of no use without restarts are refused") {
  const auto refused = [](const std::string& field) {
    return at('/' + field,
              '"' + field + "\" needs restarts, and the task has none; give \"restarts\", or remove \"" + field + '"');
  };
  check({
      {mandatory(R"("window": "1s")"), {refused("window")}},
      {mandatory(R"("restarts": 0, "backoff": {"initial": "1s"})"), {refused("backoff")}},
      {mandatory(R"("reset_after": "1s")"), {refused("reset_after")}},
      {mandatory(R"("exit_rules": [{"match": {}, "action": "restart"}])"),
       {at("/exit_rules/0/action",
           R"("restart" needs restarts, and the task has none; give "restarts", or choose another action)")}},
  });
}

TEST_CASE("exit rules that can never match are refused") {
  const auto rules = [](const std::string& list) { return mandatory("\"exit_rules\": [" + list + ']'); };
  const std::string taken = "earlier rules take all exits that this one matches; put it before them, or remove it";
  const std::string crashed =
      R"(it runs in the host's process, and a crash ends all of that; add "isolation": "process", use "panic" for exceptions, or remove this rule)";
  const std::string no_message =
      R"(only failures have a message, so this rule never matches; remove "message", or use the outcome "error" or "panic")";
  const std::string any = R"({"match": {}, "action": "discard"})";
  const std::string error = R"({"match": {"outcome": "error"}, "action": "discard"})";
  const std::string disk = R"({"match": {"message": "disk"}, "action": "discard"})";
  check({
      {rules(any + ',' + error), {at("/exit_rules/1", taken)}},
      {rules(error + R"(,{"match": {"outcome": ["ok", "panic"]}, "action": "discard"},)" + any),
       {at("/exit_rules/2", taken)}},
      {rules(disk + R"(,{"match": {"outcome": "panic", "message": "the disk is full"}, "action": "give_up"})"),
       {at("/exit_rules/1", taken)}},
      {rules(R"({"match": {"outcome": "crashed"}, "action": "give_up"})"),
       {at("/exit_rules/0/match/outcome", crashed)}},
      {rules(R"({"match": {"outcome": "ok", "message": "x"}, "action": "stop_host"})"),
       {at("/exit_rules/0/match/message", no_message)}},
  });
  for (const std::string& list :
       {error + ',' + any, disk + ',' + any,
        R"({"match": {"outcome": "error", "message": "disk is full"}, "action": "give_up"},)" + disk,
        R"({"match": {"outcome": ["error", "crashed"]}, "action": "discard"})" + std::string(",") + any}) {
    INFO(list);
    read_good(rules(list));
  }
}

TEST_CASE("a jitter that the longest delay leaves no room for is refused") {
  const auto backoff = [](const std::string& fields) {
    return restarted("\"backoff\": {\"initial\": \"2s\", " + fields + '}');
  };
  check(
      {{backoff(R"("max": "2s", "jitter": 0.5)"),
        {at("/backoff/jitter",
            R"(no delay is longer than "max", which is "initial", so "jitter" can't add anything; raise "max" to 3s or more, or remove "jitter")")}}});
  check(
      {{restarted(R"("backoff": {"initial": "8760h", "max": "8760h", "jitter": 1})"),
        {at("/backoff/jitter",
            R"(no delay is longer than "max", which is "initial", so "jitter" can't add anything; remove "jitter")")}}});
  read_good(backoff(R"("max": "3s", "jitter": 0.5)"));
  read_good(backoff(R"("max": "2s")"));
}

TEST_CASE("on_give_up has a meaning for restarts without end if an exit rule gives up") {
  const std::string fields = R"("restarts": "unlimited", "backoff": {"initial": "1s"}, "on_give_up": "discard")";
  check({{mandatory(fields),
          {at("/on_give_up",
              R"("unlimited" restarts are never used up; remove "on_give_up" or give "restarts" a number)")}}});
  read_good(mandatory(fields + R"(, "exit_rules": [{"match": {"outcome": "panic"}, "action": "give_up"}])"));
}

TEST_CASE("outcomes for which a rule can never match are refused") {
  const auto rules = [](const std::string& list) { return mandatory("\"exit_rules\": [" + list + ']'); };
  const std::string error = R"({"match": {"outcome": "error"}, "action": "discard"})";
  const std::string disk = R"({"match": {"outcome": "error", "message": "disk"}, "action": "discard"})";
  const std::string both = R"({"match": {"outcome": ["panic", "error"]}, "action": "give_up"})";
  check({
      {rules(error + ',' + both),
       {at("/exit_rules/1/match/outcome/1",
           R"(earlier rules take all exits by "error" that this one matches; put it before them, or remove "error")")}},
      {rules(R"({"match": {"outcome": ["ok", "panic"], "message": "disk"}, "action": "discard"})"),
       {at("/exit_rules/0/match/outcome/0",
           R"(only failures have a message, so this rule never matches an exit by "ok"; remove "ok", or "message")")}},
  });
  read_good(rules(disk + ',' + both));
  read_good(rules(both));
}

TEST_CASE("restarts that no exit leads to are refused, with all that is about them") {
  const auto words = [](const std::string& field) {
    return "no exit leads to a restart, since exit rules take those that would; remove \"" + field +
           "\", or give one of them the action \"restart\"";
  };
  const auto refused = [&](const std::string& field) { return at('/' + field, words(field)); };
  const auto rule = [](const std::string& match, const std::string& action) {
    return R"("exit_rules": [{"match": {)" + match + R"(}, "action": ")" + action + "\"}]";
  };
  const std::string failures = R"("outcome": ["error", "panic"])";
  const std::string error = R"("outcome": "error")";
  const std::string ok = R"("outcome": "ok")";
  const auto detachable = [](const std::string& fields) { return tasks(task(R"("type": "detachable", )" + fields)); };
  const auto twice = [&](const std::string& fields) { return detachable(R"("restarts": 2, )" + fields); };
  const std::string backoff = R"("backoff": {"initial": "1s"}, )";
  check({
      {restarted(rule(R"("outcome": ["ok", "error", "panic"])", "give_up")), {refused("restarts")}},
      {twice(rule(failures, "discard")), {refused("restarts")}},
      {restarted(R"("window": "1m", "reset_after": "5m", )" + backoff + rule("", "discard")),
       {refused("restarts"), refused("window"), refused("reset_after"), refused("backoff")}},
      {restarted(backoff + rule("", "repeat")), {refused("restarts")}},
      {detachable(R"("restarts": "unlimited", )" + backoff + rule(failures, "fail_host")),
       {refused("restarts"), refused("backoff")}},
      {R"({"defaults": {)" + rule("", "discard") + R"(}, "tasks": [)" + task(R"("type": "mandatory", "restarts": 3)") +
           "]}",
       {at("", words("restarts") + " (taking \"defaults\" into account)")}},
  });
  // What is left for the type, or for a rule that restarts.
  for (const std::string& manifest :
       {restarted(rule(failures, "discard")), twice(rule(error, "discard")), twice(rule(ok, "discard")),
        twice(rule(R"("message": "disk")", "discard")), restarted(backoff + rule(ok, "repeat")),
        twice(R"("exit_rules": [{"match": {"message": "disk"}, "action": "restart"},
                 {"match": {}, "action": "discard"}])")}) {
    INFO(manifest);
    read_good(manifest);
  }
}

TEST_CASE("on_give_up is refused if no exit leads to giving up") {
  const auto with = [](const std::string& match, const std::string& action) {
    return mandatory(R"("on_give_up": {"cooldown": "1s"}, "exit_rules": [{"match": {)" + match + R"(}, "action": ")" +
                     action + "\"}]");
  };
  check(
      {{with("", "discard"),
        {at("/on_give_up",
            R"(no exit leads to giving up, since exit rules take those that would; remove "on_give_up", or give one of them the action "give_up")")}}});
  read_good(with("", "give_up"));
  read_good(with(R"("outcome": "error")", "discard"));
}

TEST_CASE("a reset_after that finds nothing to reset is refused") {
  const std::string same =
      R"("unlimited" restarts are never used up, and all delays are the same, so nothing could be reset; remove "reset_after", or let the delays grow, with a "factor" above 1 and a "max" above "initial")";
  const auto older = [](const std::string& reset_after, const std::string& room) {
    return "after an execution of " + reset_after +
           " no earlier restart counts any more, since the window is 1m, so nothing could be given back; lower "
           "\"reset_after\" to less than " +
           room + ", or remove it";
  };
  const auto unlimited = [](const std::string& backoff) {
    return mandatory(R"("restarts": "unlimited", "reset_after": "1m", "backoff": {"initial": "1s")" + backoff + '}');
  };
  const auto window = [](const std::string& reset_after, const std::string& more = "") {
    return restarted(R"("window": "1m", "reset_after": ")" + reset_after + '"' + more);
  };
  const std::string constant = R"(, "backoff": {"initial": "1s", "factor": 1})";
  check({
      {unlimited(R"(, "factor": 1)"), {at("/reset_after", same)}},
      {unlimited(R"(, "max": "1s")"), {at("/reset_after", same)}},
      {window("61s"), {at("/reset_after", older("61s", "1m"))}},
      {window("1m", constant), {at("/reset_after", older("1m", "59s"))}},
  });
  for (const std::string& manifest :
       {unlimited(""), window("1m"), window("59s", constant), window("2m", R"(, "backoff": {"initial": "1s"})"),
        restarted(R"("reset_after": "2m")" + constant)}) {
    INFO(manifest);
    read_good(manifest);
  }
}

TEST_CASE("what can't change any delay is refused in a backoff") {
  const auto with = [](const std::string& fields) { return restarted("\"backoff\": {\"initial\": " + fields + '}'); };
  const std::string none = R"(there is no delay, since "initial" is 0s; give it a duration, or remove this field)";
  check({
      {with(R"("0s", "factor": 3, "max": "1s", "jitter": 0.5)"),
       {at("/backoff/factor", none), at("/backoff/max", none), at("/backoff/jitter", none)}},
      {with(R"("1s", "factor": 3, "max": "1s")"),
       {at("/backoff/factor",
           R"(no delay is longer than "max", which is "initial", so "factor" can't make any grow; raise "max" above 1s, or remove "factor")")}},
  });
  read_good(with(R"("1s", "factor": 1, "max": "1s")"));
  read_good(with(R"("1s", "factor": 3, "max": "1.1s")"));
}

TEST_CASE("a default that would be of no use to a task does not apply to it") {
  const auto with = [](const std::string& defaults, const std::string& fields) {
    return *read_good(R"({"defaults": {)" + defaults + R"(}, "tasks": [)" + task(fields) + "]}")
                .tasks[0]
                .options.optional;
  };
  const std::string about_restarts =
      R"("window": "1m", "backoff": {"initial": "1s"}, "reset_after": "5m", "on_give_up": "discard")";
  const SupervisionOptions without =
      with(about_restarts, R"("type": "mandatory", "exit_rules": [{"match": {}, "action": "discard"}])");
  CHECK(without == SupervisionOptions{.exit_rules = without.exit_rules});
  const std::string no_end =
      R"("type": "mandatory", "restarts": "unlimited", "backoff": {"initial": "1s", "factor": 1})";
  CHECK_FALSE(with(R"("reset_after": "5m")", no_end).reset_after);
  CHECK(with(R"("reset_after": "5m")", R"("type": "mandatory", "restarts": 3)").reset_after == 5min);
}
