// Records of the log and of events, for people.
#include "operate/record_words.hpp"

#include <cstdlib>
#include <ctime>

#include "support/catch.hpp"

using namespace taskhost;

namespace {

void use_zone(const char* zone) {
  ::setenv("TZ", zone, 1);
  ::tzset();
}

std::string log_line(const char* json) {
  use_zone("UTC");
  return log_words(Json::parse(json), {});
}
std::string event_line(const char* json) {
  use_zone("UTC");
  return event_words(Json::parse(json));
}

}  // namespace

TEST_CASE("a line of the log looks as it does in the log") {
  CHECK(log_line(R"({"time":"2026-01-31T12:00:00.5Z","seq":1,"level":"info","message":"started"})") ==
        "2026-01-31 12:00:00.5Z info    started\n");
  CHECK(log_line(R"({"time":"2026-01-31T12:00:00.500000Z","level":"warning","task":"feed","message":"a\nb"})") ==
        "2026-01-31 12:00:00.500 warning [feed] a\n2026-01-31 12:00:00.500 warning [feed]   | b\n");
  CHECK(log_line(R"({"seq":9,"lost":1})").starts_with("… 1 line is missing here"));
  CHECK(log_line(R"({"seq":9,"lost":12})").starts_with("… 12 lines are missing here"));
}

TEST_CASE("what tasks say can't control a terminal") {
  const std::string line =
      log_line(R"({"time":"\u001b[2J","level":"\u001b]0;x","task":"\u001b","message":"\u001b[31m\u0007"})");
  CHECK(line.find('\x1b') == std::string::npos);
  CHECK(line.find('\a') == std::string::npos);
  CHECK(event_line(R"({"event":"\u001b","\u001b":"\u001b","task":"\u001b"})").find('\x1b') == std::string::npos);
}

TEST_CASE("an event is told with its fields") {
  CHECK(event_line(R"({"time":"2026-01-31T12:00:00.500000Z","seq":7,"event":"task_exited","task":"feed","id":"x",)"
                   R"("execution":3,"outcome":"error","remaining":null,"message":"no route"})") ==
        "2026-01-31 12:00:00.500 task_exited feed: execution 3, outcome error, remaining none, message no route\n");
  CHECK(event_line(R"({"time":"2026-01-31T12:00:00.500000Z","event":"host_started"})") ==
        "2026-01-31 12:00:00.500 host_started\n");
  CHECK(event_line(R"({"event":"events_lost","count":2})").starts_with("… 2 events are missing here"));
}

TEST_CASE("records of other hosts, with fields of other types, are told as far as they can be read") {
  CHECK(log_line(R"({"time":5,"level":[],"message":{}})") == "         \n");
  CHECK_FALSE(event_line(R"({"event":3,"x":[1,{"y":"\u001b"}]})").empty());
}
