#include "operate/task_words.hpp"

#include <string>
#include <vector>

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

std::string fact(const Json& task, const std::string& label) {
  for (const auto& [its, value] : facts_of(task)) {
    if (its == label) return value;
  }
  return "none";
}

}  // namespace

TEST_CASE("a row tells of a task what an operator wants to know") {
  CHECK(row_of(task("{}")) == "feed|running|1.5s|2 of 5|");
  CHECK(row_of(task(R"({"status":"connected"})")) == "feed|running|1.5s|2 of 5|connected");
  CHECK(row_of(task(R"({"last_outcome":"error","last_message":"no route"})")) ==
        "feed|running|1.5s|2 of 5|before: error: no route");
  CHECK(row_of(task(R"({"state":"delayed","next_start_ms":2500,"last_outcome":"error","last_message":"no route"})")) ==
        "feed|delayed|1.5s|2 of 5|error: no route; starts in 2.5s");
  CHECK(row_of(task(R"({"state":"ended","over_for":"budget_exhausted","last_outcome":"error"})")) ==
        "feed|ended|1.5s|2 of 5|gave up: error");
  CHECK(row_of(task(R"({"state":"waiting","waits_for":["a","b"],"restarts":null,"remaining":null})")) ==
        "feed|waiting|1.5s|no limit|waits for a, b");
  CHECK(row_of(task(R"({"state":"ended","over_for":"skipped","waits_for":["a"]})")) ==
        "feed|ended|1.5s|2 of 5|skipped, as a failed");
  CHECK(row_of(task(R"({"type":"shutdown_on_exit","stalled":true})")) ==
        "feed|running|1.5s|-|a call into it does not return");
}

TEST_CASE("what another version leaves out, or says in another way, does no harm") {
  CHECK(row_of(Json::parse(R"({"name":"x","shard":1,"state":"unknown"})")) ==
        "x|unknown|-|-|its shard does not answer");
  CHECK(row_of(Json::parse(R"({"name":7,"state":[],"waits_for":{"a":1},"since_ms":-1,"restarts":"many"})")) ==
        "||-|-|");
  CHECK(row_of(Json::parse("null")) == "||-|-|");
  CHECK(host_line(Json::parse("{}"), 0) == ": , process ?; ? of 0 tasks ready");
}

TEST_CASE("tasks that failed or are stuck are not well; those that were stopped, or are on their way, are in between") {
  CHECK(health_of(task("{}")) == Health::well);
  CHECK(health_of(task(R"({"stalled":true})")) == Health::bad);
  CHECK(health_of(task(R"({"state":"delayed","last_outcome":"error"})")) == Health::bad);
  CHECK(health_of(task(R"({"state":"delayed","last_outcome":"ok"})")) == Health::passing);
  CHECK(health_of(task(R"({"state":"starting"})")) == Health::passing);
  CHECK(health_of(task(R"({"state":"stopped"})")) == Health::passing);
  CHECK(health_of(task(R"({"state":"ended","over_for":"ended","last_outcome":"ok"})")) == Health::well);
  CHECK(health_of(task(R"({"state":"ended","over_for":"ended","last_outcome":"error"})")) == Health::bad);
  CHECK(health_of(task(R"({"state":"ended","over_for":"group","last_outcome":"ok"})")) == Health::bad);
  CHECK(health_of(task(R"({"state":"unknown"})")) == Health::bad);
}

TEST_CASE("facts leave out what is not there") {
  CHECK(fact(task("{}"), "restarts") == "2 of 5 used");
  CHECK(fact(task("{}"), "group") == "none");
  CHECK(fact(task(R"({"group":"g"})"), "group") == "g");
  CHECK(fact(task(R"({"execution":0})"), "execution") == "none yet");
  CHECK(fact(task(R"({"uptime_ms":61000,"started":"T"})"), "execution") == "2, up 1m01s (since T)");
  CHECK(fact(task(R"({"last_outcome":"crashed","last_message":"SIGSEGV"})"), "last end") == "crashed: SIGSEGV");
}

TEST_CASE("spans are rounded down to two units") {
  CHECK(span_text(0) == "0ms");
  CHECK(span_text(999) == "999ms");
  CHECK(span_text(3250) == "3.2s");
  CHECK(span_text(59'999) == "59s");
  CHECK(span_text(250'000) == "4m10s");
  CHECK(span_text(7'380'000) == "2h03m");
  CHECK(span_text(1'051'200'000) == "12d4h");
}

TEST_CASE("a host's line tells its age, how many tasks are ready, and what is not well") {
  const Json host = Json::parse(R"({"name":"demo","pid":7,"state":"running","since":"2026-01-02T03:04:05.000000Z",
    "tasks":{"total":3,"ready":1,"needed_unready":1,"delayed":2},"events_lost":1})");
  const std::int64_t later = *time_of("2026-01-02T03:06:05.500000Z");
  CHECK(host_line(host, later) ==
        "demo: running for 2m00s, process 7; 1 of 3 tasks ready; 1 needed task is not ready, 2 tasks wait for their "
        "restart, 1 event was lost");
  CHECK(time_of("1970-01-01T00:00:01.250000Z") == 1250);
  CHECK_FALSE(time_of("1970-13-01T00:00:01.250000Z"));
  CHECK_FALSE(time_of("yesterday"));
}
