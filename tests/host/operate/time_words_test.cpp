// Moments as hosts and people write them.
#include "operate/time_words.hpp"

#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>

#include "support/catch.hpp"

using namespace taskhost;

namespace {

struct Zone {
  explicit Zone(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
};

// In the host's own form.
std::optional<std::int64_t> utc(const std::string& time) { return time_of(time + "Z"); }

}  // namespace

TEST_CASE("a time of a host is understood") {
  CHECK(time_of("1970-01-01T00:00:01.250000Z") == 1250);
  CHECK_FALSE(time_of("1970-13-01T00:00:01.250000Z"));
  CHECK_FALSE(time_of("yesterday"));
}

TEST_CASE("times are those of the reader's place") {
  const Zone utc("UTC");
  CHECK(local_time("2026-01-31T12:00:00.123456Z") == "2026-01-31 12:00:00.123");
  const Zone there("CET-1");
  CHECK(local_time("2026-01-31T23:30:00.000000Z") == "2026-02-01 00:30:00.000");
  CHECK(local_time("soon\n") == "soon\\u000a");
  CHECK(local_time("").empty());
}

TEST_CASE("a time of day is today's here, or yesterday's if it is still to come") {
  const Zone there("CET-1");
  const std::int64_t now = *utc("2026-03-01T11:30:00.000");  // 12:30 there
  CHECK(local_moment("12:05", now) == utc("2026-03-01T11:05:00.000"));
  CHECK(local_moment("12:30", now) == now);
  CHECK(local_moment("12:30:00.001", now) == utc("2026-02-28T11:30:00.001"));
  CHECK(local_moment("23:59:59", now) == utc("2026-02-28T22:59:59.000"));
  CHECK(local_moment("0:00", now) == utc("2026-02-28T23:00:00.000"));
  CHECK(local_moment("9:05", now) == utc("2026-03-01T08:05:00.000"));
}

TEST_CASE("a date may come before a time of day, or stand alone; and times may be as a host writes them") {
  const Zone there("CET-1CEST,M3.5.0,M10.5.0/3");
  const std::int64_t now = *utc("2026-11-30T11:30:00.000");
  CHECK(local_moment("2026-11-29 14:05", now) == utc("2026-11-29T13:05:00.000"));
  CHECK(local_moment("2026-07-01 14:05:30", now) == utc("2026-07-01T12:05:30.000"));
  CHECK(local_moment("2026-11-29T14:05:30.1234", now) == utc("2026-11-29T13:05:30.123"));
  CHECK(local_moment("2026-11-29T14:05:30.123456Z", now) == utc("2026-11-29T14:05:30.123"));
  CHECK(local_moment("2026-11-29", now) == utc("2026-11-28T23:00:00.000"));
  CHECK(local_moment("2027-01-01 00:00", now) == utc("2026-12-31T23:00:00.000"));
}

TEST_CASE("what is no time of day and no date is not understood") {
  const Zone there("UTC");
  for (const char* text : {"",
                           "24:00",
                           "12:60",
                           "12:30:60",
                           "12",
                           "12:",
                           "12:5",
                           "12:30:",
                           "12:30:5",
                           "12:30:05.",
                           "x:30",
                           ":30",
                           "123:30",
                           "12:30 ",
                           " 12:30",
                           "2026-02-30",
                           "2026-13-01",
                           "2026-00-10",
                           "2026-1-1",
                           "2026-01-01 ",
                           "2026-01-01  12:30",
                           "2026-01-01x12:30",
                           "2026-01-01 25:00",
                           "12:30Z",
                           "2026-01-31Z",
                           "2026-13-31T12:00:00.123456Z",
                           "12:30:05.1x"}) {
    INFO(text);
    CHECK_FALSE(local_moment(text, 1'767'312'000'000));
  }
  CHECK(looks_like_moment("24:00"));
  CHECK(looks_like_moment("2026-02-30"));
  CHECK_FALSE(looks_like_moment("10m"));
  CHECK_FALSE(looks_like_moment("-10m"));
}
