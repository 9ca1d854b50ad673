#include "text/duration.hpp"

#include <chrono>
#include <string>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using taskhost::parse_duration;
using taskhost::print_duration;

namespace {

nanoseconds parsed(const std::string& text) {
  INFO(text);
  const auto reading = parse_duration(text);
  REQUIRE(reading.value.has_value());
  CHECK(reading.problem.empty());
  return *reading.value;
}

std::string problem(const std::string& text) {
  INFO(text);
  const auto reading = parse_duration(text);
  REQUIRE_FALSE(reading.value.has_value());
  return reading.problem;
}

}  // namespace

TEST_CASE("a duration is a number and a unit") {
  CHECK(parsed("7ns") == 7ns);
  CHECK(parsed("7us") == 7us);
  CHECK(parsed("250ms") == 250ms);
  CHECK(parsed("10s") == 10s);
  CHECK(parsed("5m") == 5min);
  CHECK(parsed("2h") == 2h);
  CHECK(parsed("0s") == 0ns);
  CHECK(parsed("007s") == 7s);
}

TEST_CASE("a duration may have up to nine decimals") {
  CHECK(parsed("1.5s") == 1500ms);
  CHECK(parsed("0.25h") == 15min);
  CHECK(parsed("1.123456789s") == 1'123'456'789ns);
  CHECK(parsed("0.000000001h") == 3600ns);
  CHECK(parsed("8759.999999999h") == 8760h - 3600ns);
  CHECK(problem("1.1234567891s") == "write nine decimals at most");
}

TEST_CASE("what is finer than a nanosecond is cut off") {
  CHECK(parsed("1.9ns") == 1ns);
  CHECK(parsed("0.0001us") == 0ns);
  CHECK(parsed("0.000000999ms") == 0ns);
}

TEST_CASE("a duration of 365 days is the longest") {
  CHECK(parsed("8760h") == taskhost::max_duration);
  CHECK(parsed("525600m") == taskhost::max_duration);
  CHECK(parsed("31536000000000000ns") == taskhost::max_duration);
  for (const char* text : {"8760.000000001h", "8761h", "31536000000000001ns", "99999999999999999999999999h",
                           "18446744073709551617ns", "5124095576030431h"}) {
    CHECK(problem(text) == "write 365 days (\"8760h\") at most");
  }
}

TEST_CASE("what to do about a text that is no duration is said in words, with the right one where it is clear") {
  const std::string any = "write a number and a unit (ns, us, ms, s, m or h), such as \"10s\"";
  const std::string unit = "add a unit (ns, us, ms, s, m or h), as in ";
  CHECK(problem("10") == unit + "\"10s\"");
  CHECK(problem("1.5") == unit + "\"1.5s\"");
  CHECK(problem("-1s") == "a duration can't be negative");
  CHECK(problem("+1s") == "leave out the sign: \"1s\"");
  CHECK(problem(".5s") == "begin with a digit: \"0.5s\"");
  CHECK(problem(" 1s") == "remove the space: \"1s\"");
  CHECK(problem("1 s") == "remove the space: \"1s\"");
  CHECK(problem("1s ") == "remove the space: \"1s\"");
  CHECK(problem("1,5s") == "write a point for the comma: \"1.5s\"");
  CHECK(problem("1S") == "write the unit in lower case: \"1s\"");
  CHECK(parse_duration("10 s").meant == "10s");
  CHECK(parse_duration("soon").meant.empty());
  for (const char* text : {"", "s", "1.s", "1sec", "1d", "1h30m", "1e3s", "0x1s", "1.5.5s", "+-1s"}) {
    CAPTURE(text);
    CHECK(problem(text) == any);
  }
  CHECK(problem(std::string("1s\0", 3)) == any);
}

TEST_CASE("a duration is printed in the largest unit that suits it") {
  CHECK(print_duration(0ns) == "0s");
  CHECK(print_duration(1ns) == "1ns");
  CHECK(print_duration(1500ns) == "1.5us");
  CHECK(print_duration(250ms) == "250ms");
  CHECK(print_duration(1500ms) == "1.5s");
  CHECK(print_duration(90s) == "90s");
  CHECK(print_duration(10s) == "10s");
  CHECK(print_duration(5min) == "5m");
  CHECK(print_duration(90min) == "90m");
  CHECK(print_duration(2h) == "2h");
  CHECK(print_duration(1h + 1ns) == "3600.000000001s");
  CHECK(print_duration(-1500ms) == "-1.5s");
}

TEST_CASE("any number of nanoseconds can be printed") {
  CHECK(print_duration(nanoseconds::max()) == "9223372036.854775807s");
  CHECK(print_duration(nanoseconds::min()) == "-9223372036.854775808s");
}

TEST_CASE("a printed duration reads back as the same duration") {
  for (nanoseconds duration = 1ns; duration < 8760h; duration = duration * 7 + 3ns) {
    CHECK(parsed(print_duration(duration)) == duration);
  }
  CHECK(parsed(print_duration(taskhost::max_duration)) == taskhost::max_duration);
}

TEST_CASE("spans for people are rounded down to two units") {
  using taskhost::span_text;
  CHECK(span_text(0) == "0ms");
  CHECK(span_text(999) == "999ms");
  CHECK(span_text(3250) == "3.2s");
  CHECK(span_text(4099) == "4s");
  CHECK(span_text(59'999) == "59s");
  CHECK(span_text(250'000) == "4m10s");
  CHECK(span_text(7'380'000) == "2h03m");
  CHECK(span_text(1'051'200'000) == "12d4h");
}
