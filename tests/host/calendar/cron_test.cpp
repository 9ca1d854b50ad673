// Cron's notation: what it means, and the words for what is wrong in it.
#include "calendar/cron.hpp"

#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace taskhost;

namespace {

std::string words(const std::optional<cctz::civil_minute>& minute) {
  std::ostringstream text;
  if (minute) text << *minute;
  return text.str();
}

// The next times from this one on.
std::vector<std::string> times(const std::string& text, cctz::civil_minute from, std::size_t count = 3) {
  const CronReading reading = parse_cron(text);
  INFO(text << ": " << reading.problem);
  REQUIRE(reading.value);
  std::vector<std::string> all;
  while (all.size() < count) {
    const auto found = next_match(*reading.value, from);
    all.push_back(words(found));
    if (!found) break;
    from = *found + 1;
  }
  return all;
}

using Times = std::vector<std::string>;
const cctz::civil_minute monday(2026, 11, 30, 12, 0);

}  // namespace

TEST_CASE("each field of a schedule says when it is due") {
  CHECK(times("* * * * *", monday) == Times{"2026-11-30T12:00", "2026-11-30T12:01", "2026-11-30T12:02"});
  CHECK(times("30 * * * *", monday) == Times{"2026-11-30T12:30", "2026-11-30T13:30", "2026-11-30T14:30"});
  CHECK(times("0 3 * * *", monday) == Times{"2026-12-01T03:00", "2026-12-02T03:00", "2026-12-03T03:00"});
  CHECK(times("0 0 31 * *", monday) == Times{"2026-12-31T00:00", "2027-01-31T00:00", "2027-03-31T00:00"});
  CHECK(times("0 0 1 4 *", monday) == Times{"2027-04-01T00:00", "2028-04-01T00:00", "2029-04-01T00:00"});
  CHECK(times("0 0 * * 1", monday) == Times{"2026-12-07T00:00", "2026-12-14T00:00", "2026-12-21T00:00"});
}

TEST_CASE("a time that is just now matches") {
  CHECK(times("0 12 * * *", monday, 1) == Times{"2026-11-30T12:00"});
  CHECK(times("59 11 * * *", monday, 1) == Times{"2026-12-01T11:59"});
}

TEST_CASE("ranges, lists and steps are sets of numbers") {
  CHECK(parse_cron("0-10/5 * * * *").value->minutes == (1u | 1u << 5 | 1u << 10));
  CHECK(parse_cron("*/20 * * * *").value->minutes == (1ull | 1ull << 20 | 1ull << 40));
  CHECK(parse_cron("1,2,50-52 * * * *").value->minutes == (2ull | 4ull | 7ull << 50));
  CHECK(parse_cron("0-59 * * * *").value->minutes == parse_cron("* * * * *").value->minutes);
}

TEST_CASE("names of months and days mean their numbers, in any case") {
  CHECK(parse_cron("0 0 * jan-mar *").value == parse_cron("0 0 * 1-3 *").value);
  CHECK(parse_cron("0 0 * DEC *").value == parse_cron("0 0 * 12 *").value);
  CHECK(parse_cron("0 3 * * mon-fri").value == parse_cron("0 3 * * 1-5").value);
  CHECK(parse_cron("0 3 * * Sat,SUN").value == parse_cron("0 3 * * 6,0").value);
}

TEST_CASE("Sunday is 0 and 7, and the end of a range of days") {
  CHECK(parse_cron("0 0 * * 7").value == parse_cron("0 0 * * 0").value);
  CHECK(parse_cron("0 0 * * 5-7").value == parse_cron("0 0 * * 0,5,6").value);
  CHECK(parse_cron("0 0 * * fri-sun").value == parse_cron("0 0 * * 5-7").value);
  CHECK(parse_cron("0 0 * * sun-tue").value == parse_cron("0 0 * * 0-2").value);
  CHECK(parse_cron("0 0 * * 0-7").value->weekdays == parse_cron("0 0 * * *").value->weekdays);
}

TEST_CASE("the names with @ mean what they mean to cron") {
  CHECK(parse_cron("@hourly").value == parse_cron("0 * * * *").value);
  CHECK(parse_cron("@daily").value == parse_cron("0 0 * * *").value);
  CHECK(parse_cron("@midnight").value == parse_cron("0 0 * * *").value);
  CHECK(parse_cron("@weekly").value == parse_cron("0 0 * * 0").value);
  CHECK(parse_cron("@monthly").value == parse_cron("0 0 1 * *").value);
  CHECK(parse_cron("@yearly").value == parse_cron("0 0 1 1 *").value);
  CHECK(parse_cron("@annually").value == parse_cron("@yearly").value);
}

TEST_CASE("if both days are given, one of them is enough; a star with a step does not count as given") {
  CHECK(times("0 0 13 * fri", monday) == Times{"2026-12-04T00:00", "2026-12-11T00:00", "2026-12-13T00:00"});
  CHECK(times("0 0 13 * *", monday) == Times{"2026-12-13T00:00", "2027-01-13T00:00", "2027-02-13T00:00"});
  CHECK(times("0 0 */13 * tue", monday) == Times{"2026-12-01T00:00", "2027-04-27T00:00", "2027-06-01T00:00"});
}

TEST_CASE("a leap day is found, across the year 2100, and on a certain day of the week") {
  CHECK(times("0 0 29 2 *", monday, 2) == Times{"2028-02-29T00:00", "2032-02-29T00:00"});
  CHECK(times("0 0 29 2 *", cctz::civil_minute(2096, 3, 1), 1) == Times{"2104-02-29T00:00"});
  CHECK(times("0 0 */28 2 sun", cctz::civil_minute(2028, 3, 1), 1) == Times{"2032-02-01T00:00"});
}

TEST_CASE("tabs and several blanks may stand between fields") {
  CHECK(parse_cron("  0\t3  * * mon ").value == parse_cron("0 3 * * 1").value);
}

TEST_CASE("a day that no year has is an error, and one that leap years have is not") {
  const char* const never = "no year has such a day, so it would never be due";
  for (const char* text : {"0 0 30 2 *", "0 0 31 feb *", "0 0 31 4,6,9,11 *"}) {
    INFO(text);
    CHECK(parse_cron(text).problem == never);
  }
  CHECK(parse_cron("0 0 29 2 *").value);
  CHECK(parse_cron("0 0 31 2 mon").value);  // one of the two days is enough
}

TEST_CASE("what is wrong in a schedule is named, with its field and what to write") {
  const auto problem = [](const char* text) {
    INFO(text);
    CHECK_FALSE(parse_cron(text).value);
    return parse_cron(text).problem;
  };
  CHECK(problem("60 * * * *") == "in the minute \"60\": 60 is not from 0 to 59");
  CHECK(problem("0 24 * * *") == "in the hour \"24\": 24 is not from 0 to 23");
  CHECK(problem("0 0 0 * *") == "in the day of the month \"0\": 0 is not from 1 to 31");
  CHECK(problem("0 0 * 13 *") == "in the month \"13\": 13 is not from 1 to 12");
  CHECK(problem("0 0 * * 8") == "in the day of the week \"8\": 8 is not from 0 to 7");
  CHECK(problem("0 0 * * mo") ==
        "in the day of the week \"mo\": expected *, a number from 0 to 7, or a name such as sun, found \"mo\"");
  CHECK(problem("x * * * *") == "in the minute \"x\": expected * or a number from 0 to 59, found \"x\"");
  CHECK(problem("1, * * * *") == "in the minute \"1,\": expected * or a number from 0 to 59, found \"\"");
  CHECK(problem("-5 * * * *") == "in the minute \"-5\": expected * or a number from 0 to 59, found \"\"");
  CHECK(problem("99999999999 * * * *") ==
        "in the minute \"99999999999\": expected * or a number from 0 to 59, found \"99999999999\"");
  CHECK(problem("0 22-4 * * *") == "in the hour \"22-4\": 22-4 runs backwards; write it as two ranges, with a comma");
  CHECK(problem("5/15 * * * *") == "in the minute \"5/15\": a step needs a range; write 5-59/15");
  CHECK(problem("*/0 * * * *") == "in the minute \"*/0\": the step \"0\" is not a number from 1 to 59");
  CHECK(problem("*/90 * * * *") == "in the minute \"*/90\": the step \"90\" is not a number from 1 to 59");
  CHECK(problem("*/ * * * *") == "in the minute \"*/\": the step \"\" is not a number from 1 to 59");
  const std::string five =
      "expected five fields, minute, hour, day of the month, month and day of the week, such as \"0 3 * * mon-fri\", "
      "found ";
  CHECK(problem("0 3 * *") == five + "4");
  CHECK(problem("") == five + "0");
  CHECK(problem("0 0 3 * * *") == five + "6; seconds and years are not possible here");
  CHECK(problem("@dayly") == "unknown name \"@dayly\"; did you mean \"@daily\"?");
  CHECK(
      problem("@reboot") ==
      "unknown name \"@reboot\"; use \"@hourly\", \"@daily\", \"@midnight\", \"@weekly\", \"@monthly\", \"@yearly\" or "
      "\"@annually\"");
}
