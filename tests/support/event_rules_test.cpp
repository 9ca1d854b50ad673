// Tests the checker of event streams: each rule is broken once, and that must be found.
#include "support/event_rules.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using taskhost::test::broken_event_rules;
using taskhost::test::EventStream;
using taskhost::test::RunFacts;

namespace {

const std::string feed = R"("task":"feed","id":"0b0f1c5e-8b0a-4c0e-9d7e-0123456789ab","type":"mandatory")";
const std::string other = R"("task":"other","id":"1b0f1c5e-8b0a-4c0e-9d7e-0123456789ab","type":"detachable")";

// Adds seq and time to the lines.
EventStream stream_of(const std::vector<std::string>& bodies) {
  EventStream stream;
  int seq = 0;
  for (const std::string& body : bodies) {
    stream.append(R"({"time":"2024-05-06T07:08:09.)" + std::to_string(100'000 + seq) + R"(Z","seq":)" +
                  std::to_string(seq + 1) + "," + body + "}\n");
    ++seq;
  }
  return stream;
}

std::vector<std::string> good_run() {
  return {R"("event":"host_started")",
          R"("event":"task_started","execution":1,)" + feed,
          R"("event":"task_exited","execution":1,"outcome":"error","uptime_ms":0.5,"remaining":1,)" + feed,
          R"("event":"task_restarting","delay_ms":0,"remaining":0,)" + feed,
          R"("event":"task_started","execution":2,)" + feed,
          R"("event":"task_exited","execution":2,"outcome":"ok","uptime_ms":2,"remaining":0,)" + feed,
          R"("event":"task_gave_up","execution":2,)" + feed,
          R"("event":"host_stopping","reason":"budget_exhausted","task":"feed")",
          R"("event":"host_stopped","status":1)"};
}

std::string verdict_on(const std::vector<std::string>& bodies, int status = 1) {
  return broken_event_rules(stream_of(bodies), RunFacts{.status = status, .budgets = {{"feed", 1}}});
}

}  // namespace

TEST_CASE("a stream that keeps all rules has none broken") { CHECK(verdict_on(good_run()).empty()); }

TEST_CASE("an exit status that the stream does not tell is noticed") {
  CHECK(verdict_on(good_run(), 0).find("exit status") != std::string::npos);
}

TEST_CASE("each single event left out is noticed, and each one told twice") {
  for (std::size_t left_out = 0; left_out < good_run().size(); ++left_out) {
    std::vector<std::string> bodies = good_run();
    bodies.erase(bodies.begin() + static_cast<std::ptrdiff_t>(left_out));
    INFO(good_run()[left_out]);
    CHECK_FALSE(verdict_on(bodies).empty());
    bodies = good_run();
    bodies.insert(bodies.begin() + static_cast<std::ptrdiff_t>(left_out), good_run()[left_out]);
    CHECK_FALSE(verdict_on(bodies).empty());
  }
}

TEST_CASE("each change of a field that matters is noticed") {
  struct Change {
    std::string from;
    std::string to;
  };
  const std::vector<Change> changes{{R"("execution":2)", R"("execution":3)"},
                                    {"-4c0e-", "-1c0e-"},
                                    {R"("outcome":"error")", R"("outcome":"bad")"},
                                    {R"("uptime_ms":0.5,)", ""},
                                    {R"("uptime_ms":0.5,)", R"("uptime_ms":"1",)"},
                                    {R"("uptime_ms":0.5,)", R"("uptime_ms":1000,)"},
                                    {R"("remaining":1)", R"("remaining":2)"},
                                    {R"("remaining":1,)", ""},
                                    {R"("delay_ms":0,)", ""},
                                    {"task_gave_up", "task_discarded"},
                                    {R"("event":"task_started")", R"("event":"task_begun")"},
                                    {"mandatory", "compulsory"},
                                    {"budget_exhausted", "task_exit"},
                                    {"budget_exhausted", "all_done"},
                                    {"budget_exhausted", "whim"},
                                    {R"("event":"host_stopping")", R"("event":"plugin_loaded")"}};
  for (const Change& change : changes) {
    std::vector<std::string> bodies = good_run();
    for (std::string& body : bodies) {
      const std::size_t at = body.find(change.from);
      if (at != std::string::npos) {
        body.replace(at, change.from.size(), change.to);
        break;
      }
    }
    INFO(change.from << " to " << change.to);
    CHECK_FALSE(verdict_on(bodies).empty());
  }
}

TEST_CASE("a gap in seq, a time that goes back and a line without an end are noticed") {
  const auto verdict_on_text = [](const std::string& text) {
    EventStream stream;
    stream.append(R"({"time":"2024-05-06T07:08:09.000001Z","seq":1,"event":"host_started"})"
                  "\n" +
                  text);
    return broken_event_rules(stream, RunFacts{.status = 0, .budgets = {}, .cut_short = true});
  };
  CHECK(verdict_on_text("").empty());
  CHECK(verdict_on_text(R"({"time":"2024-05-06T07:08:09.000001Z","seq":2,"event":"plugin_loaded"})"
                        "\n")
            .empty());
  CHECK_FALSE(verdict_on_text(R"({"time":"2024-05-06T07:08:09.000001Z","seq":3,"event":"plugin_loaded"})"
                              "\n")
                  .empty());
  CHECK_FALSE(verdict_on_text(R"({"time":"2024-05-06T07:08:09.000000Z","seq":2,"event":"plugin_loaded"})"
                              "\n")
                  .empty());
  CHECK_FALSE(verdict_on_text(R"({"time":"2024-05-06T07:08:09Z","seq":2,"event":"plugin_loaded"})"
                              "\n")
                  .empty());
  CHECK_FALSE(verdict_on_text(R"({"time":"2024-05-06T07:08:09.000001Z","seq":2,"event":"plugin_loaded"})").empty());
  CHECK_FALSE(verdict_on_text("{\"seq\":2\n").empty());
  CHECK_FALSE(verdict_on_text("\n").empty());
}

TEST_CASE("a stop is judged too: every live execution ends once, and the abandoned one costs status 4") {
  const std::string stopped = R"("event":"task_stopped","execution":1,"outcome":"cancelled",)";
  std::vector<std::string> bodies{R"("event":"host_started")",
                                  R"("event":"task_started","execution":1,)" + feed,
                                  R"("event":"task_started","execution":1,)" + other,
                                  R"("event":"host_stopping","reason":"signal")",
                                  R"("event":"task_stopping","execution":1,)" + feed,
                                  R"("event":"task_stopping","execution":1,)" + other,
                                  stopped + feed,
                                  stopped + other,
                                  R"("event":"host_stopped","status":0)"};
  CHECK(verdict_on(bodies, 0).empty());
  bodies[6] = R"("event":"task_abandoned","execution":1,)" + feed;
  bodies[8] = R"("event":"host_stopped","status":4)";
  CHECK(verdict_on(bodies, 4).empty());
  bodies[8] = R"("event":"host_stopped","status":0)";
  CHECK_FALSE(verdict_on(bodies, 0).empty());
  bodies[6] = R"("event":"task_ready","execution":1,)" + feed;
  CHECK(verdict_on(bodies, 0).find("does not say how execution 1 of feed ended") != std::string::npos);
  bodies[6] = R"("event":"task_exited","execution":1,"outcome":"ok","uptime_ms":1,"remaining":1,)" + feed;
  CHECK(verdict_on(bodies, 0).find("no exit") != std::string::npos);
}

TEST_CASE("a stall is told of a live execution, again and again if need be, with how long and a message") {
  const auto verdict_with = [](std::ptrdiff_t place, const std::string& stall) {
    std::vector<std::string> bodies = good_run();
    bodies.insert(bodies.begin() + place, {stall, stall});
    return verdict_on(bodies);
  };
  const std::string stall = R"("event":"task_stalled","message":"poll blocks",)" + feed;
  CHECK(verdict_with(2, R"("execution":1,"stalled_ms":100.5,)" + stall).empty());
  CHECK(verdict_with(5, R"("execution":2,"stalled_ms":100,)" + stall).empty());
  CHECK_FALSE(verdict_with(1, R"("execution":1,"stalled_ms":100,)" + stall).empty());
  CHECK_FALSE(verdict_with(3, R"("execution":1,"stalled_ms":100,)" + stall).empty());
  CHECK_FALSE(verdict_with(5, R"("execution":1,"stalled_ms":100,)" + stall).empty());
  CHECK_FALSE(verdict_with(8, R"("execution":2,"stalled_ms":100,)" + stall).empty());
  CHECK_FALSE(verdict_with(2, R"("execution":1,"stalled_ms":60000,)" + stall).empty());
  CHECK_FALSE(verdict_with(2, R"("execution":1,"stalled_ms":"100",)" + stall).empty());
  CHECK_FALSE(verdict_with(2, R"("execution":1,)" + stall).empty());
  CHECK_FALSE(verdict_with(2, R"("event":"task_stalled","execution":1,"stalled_ms":100,)" + feed).empty());
}

TEST_CASE("a start in a run that ended with status 2 or 3 is noticed") {
  CHECK(broken_event_rules(EventStream(), RunFacts{.status = 2}).empty());
  CHECK_FALSE(broken_event_rules(EventStream(), RunFacts{.status = 0}).empty());
  CHECK_FALSE(verdict_on(good_run(), 3).empty());
}

// --- tasks with optional fields --------------------------------------------------------------------------------------

namespace {

using taskhost::test::SpecialTask;

const std::string third = R"("task":"third","id":"2b0f1c5e-8b0a-4c0e-9d7e-0123456789ab","type":"mandatory")";

std::string with_facts(const std::vector<std::string>& bodies, RunFacts facts) {
  return broken_event_rules(stream_of(bodies), facts);
}

std::string exit_of(const std::string& task, int execution, const std::string& remaining,
                    const std::string& outcome = "error") {
  return R"("event":"task_exited","outcome":")" + outcome + R"(","uptime_ms":0,"execution":)" +
         std::to_string(execution) + R"(,"remaining":)" + remaining + "," + task;
}
std::string start_of(const std::string& task, int execution, const std::string& remaining) {
  return R"("event":"task_started","execution":)" + std::to_string(execution) + R"(,"remaining":)" + remaining + "," +
         task;
}
std::string told(const std::string& event, int execution, const std::string& remaining, const std::string& task,
                 const std::string& more = "") {
  return R"("event":")" + event + R"(","execution":)" + std::to_string(execution) + R"(,"remaining":)" + remaining +
         "," + more + task;
}
const std::string begins = R"("event":"host_started")";
const std::string by_signal = R"("event":"host_stopping","reason":"signal")";
const std::string all_done = R"("event":"host_stopping","reason":"all_done")";
const std::string ends = R"("event":"host_stopped","status":0)";

}  // namespace

TEST_CASE("what remains is null for restarts without end, and only for them") {
  const std::vector<std::string> bodies{begins,
                                        start_of(feed, 1, "null"),
                                        exit_of(feed, 1, "null"),
                                        told("task_restarting", 1, "null", feed, R"("delay_ms":5,)"),
                                        by_signal,
                                        ends};
  CHECK(with_facts(bodies, {.special = {{"feed", {.restarts = {}}}}}).empty());
  CHECK_FALSE(with_facts(bodies, {.special = {{"feed", {.restarts = 3}}}}).empty());
}

TEST_CASE("a cooldown begins anew with all restarts, where the manifest has one") {
  std::vector<std::string> bodies{begins,
                                  start_of(feed, 1, "2"),
                                  exit_of(feed, 1, "0"),
                                  told("task_gave_up", 1, "0", feed, R"("outcome":"error",)"),
                                  told("task_restarting", 1, "2", feed, R"("delay_ms":5,"message":"cooldown",)"),
                                  start_of(feed, 2, "2"),
                                  by_signal,
                                  told("task_stopping", 2, "2", feed),
                                  told("task_stopped", 2, "2", feed, R"("outcome":"cancelled",)"),
                                  ends};
  const RunFacts facts{.special = {{"feed", {.restarts = 2, .on_give_up = "cooldown"}}}};
  CHECK(with_facts(bodies, facts).empty());
  CHECK_FALSE(with_facts(bodies, {.special = {{"feed", {.restarts = 2}}}}).empty());
  bodies[4] = told("task_restarting", 1, "1", feed, R"("delay_ms":5,"message":"cooldown",)");
  CHECK_FALSE(with_facts(bodies, facts).empty());
  bodies[4] = told("task_restarting", 1, "2", feed, R"("delay_ms":5,)");
  CHECK_FALSE(with_facts(bodies, facts).empty());
}

TEST_CASE("a repeat takes nothing from the budget, where the manifest has a rule for it") {
  std::vector<std::string> bodies{begins,
                                  start_of(feed, 1, "2"),
                                  exit_of(feed, 1, "2"),
                                  told("task_restarting", 1, "2", feed, R"("delay_ms":5,"message":"repeat",)"),
                                  start_of(feed, 2, "2"),
                                  by_signal,
                                  told("task_stopping", 2, "2", feed),
                                  told("task_stopped", 2, "2", feed, R"("outcome":"cancelled",)"),
                                  ends};
  const RunFacts facts{.special = {{"feed", {.restarts = 2, .exit_rules = true}}}};
  CHECK(with_facts(bodies, facts).empty());
  CHECK_FALSE(with_facts(bodies, {.special = {{"feed", {.restarts = 2}}}}).empty());
  bodies[3] = told("task_restarting", 1, "1", feed, R"("delay_ms":5,"message":"repeat",)");
  CHECK_FALSE(with_facts(bodies, facts).empty());
}

TEST_CASE("only groups, timeouts and operators stop a task while the host runs") {
  const std::vector<std::string> bodies{begins,
                                        start_of(feed, 1, "0"),
                                        told("task_stopping", 1, "0", feed),
                                        told("task_stopped", 1, "0", feed, R"("outcome":"cancelled",)"),
                                        start_of(feed, 2, "0"),
                                        by_signal,
                                        told("task_stopping", 2, "0", feed),
                                        told("task_stopped", 2, "0", feed, R"("outcome":"cancelled",)"),
                                        ends};
  CHECK_FALSE(with_facts(bodies, {}).empty());
  CHECK(with_facts(bodies, {.operated = true}).empty());
  CHECK(with_facts(bodies, {.special = {{"feed", {.in_group = true}}}}).empty());
  std::vector<std::string> failed = bodies;
  failed[3] = exit_of(feed, 1, "0");
  failed[4] = told("task_gave_up", 1, "0", feed, R"("outcome":"error",)");
  failed.resize(5);
  failed.push_back(R"("event":"host_stopping","reason":"budget_exhausted","task":"feed")");
  failed.push_back(R"("event":"host_stopped","status":1)");
  CHECK(with_facts(failed, {.status = 1, .special = {{"feed", {.may_fail_to_stop = true}}}}).empty());
  CHECK_FALSE(with_facts(failed, {.status = 1, .special = {{"feed", {.in_group = true}}}}).empty());
}

TEST_CASE("a skipped task comes after one that is over, and says so") {
  std::vector<std::string> bodies{begins,
                                  start_of(other, 1, "0"),
                                  exit_of(other, 1, "0"),
                                  told("task_gave_up", 1, "0", other, R"("outcome":"error",)"),
                                  told("task_discarded", 1, "0", other, R"("reason":"budget_exhausted",)"),
                                  told("task_discarded", 0, "0", third, R"("reason":"skipped","message":"other",)"),
                                  R"("event":"host_stopping","reason":"skipped","task":"third")",
                                  R"("event":"host_stopped","status":1)"};
  const RunFacts facts{.status = 1, .special = {{"third", {.after = {"other"}}}}};
  CHECK(with_facts(bodies, facts).empty());
  CHECK_FALSE(with_facts(bodies, {.status = 1}).empty());
  CHECK_FALSE(with_facts(bodies, {.status = 0, .special = facts.special}).empty());
  bodies[5] = told("task_discarded", 0, "0", third, R"("reason":"skipped",)");
  CHECK_FALSE(with_facts(bodies, facts).empty());
  bodies.erase(bodies.begin() + 4);
  CHECK_FALSE(with_facts(bodies, facts).empty());
}

TEST_CASE("a task is started after those it comes after, and they are asked to stop after it") {
  const std::string ready = told("task_ready", 1, "0", other);
  const std::string ask_other = told("task_stopping", 1, "0", other);
  const std::string ask_third = told("task_stopping", 1, "0", third);
  const std::string other_ends = told("task_stopped", 1, "0", other, R"("outcome":"cancelled",)");
  const std::string third_ends = told("task_stopped", 1, "0", third, R"("outcome":"cancelled",)");
  const RunFacts facts{.special = {{"other", {.notify = true}}, {"third", {.after = {"other"}}}}};
  CHECK(with_facts({begins, start_of(other, 1, "0"), ready, start_of(third, 1, "0"), by_signal, ask_third, third_ends,
                    ask_other, other_ends, ends},
                   facts)
            .empty());
  CHECK_FALSE(with_facts({begins, start_of(other, 1, "0"), start_of(third, 1, "0"), ready, by_signal, ask_third,
                          third_ends, ask_other, other_ends, ends},
                         facts)
                  .empty());
  CHECK_FALSE(with_facts({begins, start_of(other, 1, "0"), ready, start_of(third, 1, "0"), by_signal, ask_other,
                          ask_third, third_ends, other_ends, ends},
                         facts)
                  .empty());
}

TEST_CASE("an operator may start a task again that is over") {
  const std::string done = told("task_discarded", 1, "0", other, R"("reason":"ended",)");
  const std::vector<std::string> bodies{begins,
                                        start_of(other, 1, "0"),
                                        exit_of(other, 1, "0", "ok"),
                                        done,
                                        start_of(other, 2, "0"),
                                        exit_of(other, 2, "0", "ok"),
                                        told("task_discarded", 2, "0", other, R"("reason":"ended",)"),
                                        all_done,
                                        ends};
  CHECK(with_facts(bodies, {.operated = true}).empty());
  CHECK_FALSE(with_facts(bodies, {}).empty());
}
