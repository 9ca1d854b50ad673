#include "operate/task_words.hpp"

#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "operate/time_words.hpp"
#include "support/catch.hpp"

using namespace taskhost;

namespace {

Json task(const char* changes) {
  Json json = Json::parse(R"({"name":"feed","type":"mandatory","state":"running","purpose":null,"since_ms":1500,
    "ready":true,"execution":2,"restarts":5,"remaining":3,"next_start_ms":null,"last_outcome":null,
    "last_message":null,"status":null,"stalled":false,"abandoned":false,"over_for":null,"waits_for":[],
    "situation":"it is ready"})");
  json.update(Json::parse(changes));
  return json;
}

std::string row_of(const Json& task) {
  std::string row;
  for (const Cell& cell : task_row(task)) row += cell.text + '|';
  row.pop_back();
  return row;
}

std::string fact(const Json& task, const std::string& label, const std::vector<std::string>& dependants = {}) {
  for (const auto& [its, value] : facts_of(task, dependants)) {
    if (its == label) return value;
  }
  return "none";
}

}  // namespace

TEST_CASE("a row tells of a task what an operator wants to know") {
  CHECK(row_of(task("{}")) == "feed|running|1.5s|1 (3 left)|");
  CHECK(row_of(task(R"({"status":"connected"})")) == "feed|running|1.5s|1 (3 left)|connected");
  CHECK(row_of(task(R"({"last_outcome":"error","last_message":"no route"})")) ==
        "feed|running|1.5s|1 (3 left)|before: error: no route");
  CHECK(row_of(task(R"({"state":"delayed","next_start_ms":2500,"last_outcome":"error","last_message":"no route"})")) ==
        "feed|delayed|1.5s|1 (3 left)|error: no route; starts in 2.5s");
  CHECK(row_of(task(R"({"state":"delayed","next_start_ms":2500,"last_outcome":"ok","waits_for_time":true})")) ==
        "feed|delayed|1.5s|1 (3 left)|due in 2.5s");
  CHECK(row_of(task(R"({"state":"ended","over_for":"budget_exhausted","last_outcome":"error"})")) ==
        "feed|ended|1.5s|1 (3 left)|gave up: error");
  CHECK(row_of(task(R"({"state":"waiting","waits_for":["a","b"],"restarts":null,"remaining":null})")) ==
        "feed|waiting|1.5s|1|waits for a, b");
  CHECK(row_of(task(R"({"state":"ended","over_for":"skipped","waits_for":["a"]})")) ==
        "feed|ended|1.5s|1 (3 left)|skipped, as a failed");
  CHECK(row_of(task(R"({"type":"shutdown_on_exit","stalled":true})")) ==
        "feed|running|1.5s|1|a call into it does not return");
}

TEST_CASE("what another version leaves out, or says in another way, does no harm") {
  CHECK(row_of(Json::parse(R"({"name":"x","shard":1,"state":"unknown"})")) ==
        "x|unknown|-|-|its shard does not answer");
  CHECK(row_of(Json::parse(R"({"name":7,"state":[],"waits_for":{"a":1},"since_ms":-1,"restarts":"many"})")) ==
        "||-|-|");
  CHECK(row_of(Json::parse("null")) == "||-|-|");
  CHECK(host_line(Json::parse("{}")) == ": , process ?; ? of 0 tasks ready");
}

TEST_CASE("tasks that failed or are stuck are not well; those that were stopped, or are on their way, are in between") {
  CHECK(health_of(task("{}")) == Health::well);
  CHECK(health_of(task(R"({"stalled":true})")) == Health::bad);
  CHECK(health_of(task(R"({"state":"delayed","last_outcome":"error"})")) == Health::bad);
  CHECK(health_of(task(R"({"state":"delayed","last_outcome":"ok"})")) == Health::passing);
  CHECK(health_of(task(R"({"state":"delayed","last_outcome":"ok","waits_for_time":true})")) == Health::well);
  CHECK(health_of(task(R"({"state":"starting"})")) == Health::passing);
  CHECK(health_of(task(R"({"state":"stopped"})")) == Health::passing);
  CHECK(health_of(task(R"({"state":"ended","over_for":"ended","last_outcome":"ok"})")) == Health::well);
  CHECK(health_of(task(R"({"state":"ended","over_for":"ended","last_outcome":"error"})")) == Health::bad);
  CHECK(health_of(task(R"({"state":"ended","over_for":"group","last_outcome":"ok"})")) == Health::bad);
  CHECK(health_of(task(R"({"state":"unknown"})")) == Health::bad);
}

TEST_CASE("facts leave out what is not there") {
  CHECK(fact(task(R"({"execution":8})"), "restarts") == "7 since the host started");
  CHECK(fact(task("{}"), "restarts left") == "3 of 5");
  CHECK(fact(task(R"({"restarts":null,"remaining":null})"), "restarts left") == "no limit");
  CHECK(fact(task(R"({"type":"shutdown_on_exit"})"), "restarts left") == "none");
  CHECK(fact(task("{}"), "group") == "none");
  CHECK(fact(task(R"({"group":"g"})"), "group") == "g");
  CHECK(fact(task(R"({"execution":0})"), "execution") == "none yet");
  CHECK(fact(task(R"({"uptime_ms":61000,"started":"T"})"), "execution") == "2, up 1m01s (since T)");
  ::setenv("TZ", "CET-1", 1);
  ::tzset();
  CHECK(fact(task(R"({"since":"2026-01-31T23:30:00.000000Z"})"), "state") ==
        "running for 1.5s (since 2026-02-01 00:30:00.000)");
  CHECK(fact(task(R"({"next_start_ms":500,"next_start":"2026-01-31T23:30:00.000000Z"})"), "next start") ==
        "in 500ms, at 2026-02-01 00:30:00.000");
  CHECK(fact(task(R"({"last_outcome":"crashed","last_message":"SIGSEGV"})"), "last end") == "crashed: SIGSEGV");
}

TEST_CASE("restarts are counted over the task's life, beside how many are left") {
  CHECK(restarts_cell(task(R"({"execution":0})")) == "0 (3 left)");
  CHECK(restarts_cell(task(R"({"execution":1})")) == "0 (3 left)");
  CHECK(restarts_cell(task(R"({"execution":13,"remaining":0})")) == "12 (0 left)");
}

TEST_CASE("what an operator's stop means to others is a fact") {
  const Json tasks = Json::parse(R"([{"name":"db","after":[]},{"name":"web","after":["cache","db"]},
    {"name":"mail","after":["db"]},{"name":"odd","after":7}])");
  CHECK(dependants_of(tasks, "db") == std::vector<std::string>{"web", "mail"});
  CHECK(dependants_of(tasks, "web").empty());
  CHECK(fact(task("{}"), "if stopped") == "no task comes after it");
  CHECK(fact(task("{}"), "if stopped", {"web"}) ==
        "\"web\" comes after it: what runs goes on, and starts again only once it is ready");
  CHECK(fact(task(R"({"group":"g"})"), "if stopped", {"web", "mail"}) ==
        "\"web\" and \"mail\" come after it: what runs goes on, and starts again only once it is ready; the others of "
        "its group go on");
}

TEST_CASE("the commands that a situation names are for the host that was named") {
  const Json skipped = task(R"({"situation":"it was skipped, because \"db\" is over; start that first, such as with )"
                            R"(taskhost start db, then taskhost start feed"})");
  CHECK(situation_of(skipped, "") == text_field(skipped, "situation"));
  CHECK(situation_of(skipped, "two hosts") ==
        "it was skipped, because \"db\" is over; start that first, such as with taskhost start --host 'two hosts' db, "
        "then taskhost start --host 'two hosts' feed");
  const Json quotes = task(R"({"situation":"it failed (try taskhost start db) and waits; more: taskhost explain db"})");
  CHECK(situation_of(quotes, "b") == "it failed (try taskhost start db) and waits; more: taskhost explain --host b db");
  CHECK(situation_of(task("{}"), "b") == "it is ready");
}

TEST_CASE("a host's line tells its age, how many tasks are ready, and what is not well") {
  const Json host = Json::parse(R"({"name":"demo","pid":7,"state":"running","since_ms":120500,
    "tasks":{"total":3,"ready":1,"needed_unready":1,"lost":1,"stalled":2,"stopped":1,"delayed":5,"waits_for_time":3},"events_lost":1})");
  CHECK(host_line(host) ==
        "demo: running for 2m00s, process 7; 1 of 3 tasks ready, 3 due later; 1 needed task is not ready, 1 task is "
        "lost, 2 tasks "
        "are in calls that do not return, 1 task was stopped by an operator, 2 tasks wait for their restart, 1 event "
        "was lost");
}
