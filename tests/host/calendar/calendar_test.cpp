// Schedules in time zones: days on which clocks are set, and zones that do not exist.
#include "calendar/calendar.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace taskhost;

namespace {

constexpr Nanoseconds second = 1'000'000'000;

Nanoseconds utc(int year, int month, int day, int hour = 0, int minute = 0) {
  const auto moment = cctz::convert(cctz::civil_second(year, month, day, hour, minute), cctz::utc_time_zone());
  return static_cast<Nanoseconds>(moment.time_since_epoch().count()) * second;
}

// The next times after this one, as the zone's clocks show them.
std::vector<std::string> times(const std::string& schedule, const std::string& zone, Nanoseconds after,
                               std::size_t count) {
  const ScheduleReading reading = read_schedule(schedule, zone);
  INFO(schedule << ' ' << zone << reading.cron_problem << reading.zone_problem);
  REQUIRE(reading.value);
  std::vector<std::string> all;
  while (all.size() < count) {
    after = reading.value->next(after);
    all.push_back(reading.value->time_text(after));
  }
  return all;
}

using Times = std::vector<std::string>;

// A variable of the environment, for a while.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* const before = std::getenv(name)) before_ = before;
    ::setenv(name, value, 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* const name_;
  std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("a schedule is in the local time of its zone, all year round") {
  CHECK(times("0 3 * * mon-fri", "Europe/Berlin", utc(2026, 11, 27, 12), 2) ==
        Times{"Mon 2026-11-30 03:00:00 +01:00", "Tue 2026-12-01 03:00:00 +01:00"});
  CHECK(times("0 3 * * *", "Europe/Berlin", utc(2026, 7, 1), 1) == Times{"Wed 2026-07-01 03:00:00 +02:00"});
  CHECK(times("0 3 * * *", "Asia/Kolkata", utc(2026, 7, 1), 1) == Times{"Thu 2026-07-02 03:00:00 +05:30"});
}

TEST_CASE("the next time comes after the one given, be it the time itself or just before it") {
  const auto schedule = read_schedule("0 3 * * *", "UTC").value;
  REQUIRE(schedule);
  CHECK(schedule->next(utc(2026, 7, 1, 3)) == utc(2026, 7, 2, 3));
  CHECK(schedule->next(utc(2026, 7, 1, 3) - 1) == utc(2026, 7, 1, 3));
  CHECK(schedule->next(utc(2026, 7, 1, 3) + 1) == utc(2026, 7, 2, 3));
}

TEST_CASE("times that are skipped when clocks are set forward are due then, once") {
  CHECK(times("30 2 * * *", "Europe/Berlin", utc(2027, 3, 27), 3) ==
        Times{"Sat 2027-03-27 02:30:00 +01:00", "Sun 2027-03-28 03:00:00 +02:00", "Mon 2027-03-29 02:30:00 +02:00"});
  CHECK(times("0,15,30,45 2 * * *", "Europe/Berlin", utc(2027, 3, 28), 2) ==
        Times{"Sun 2027-03-28 03:00:00 +02:00", "Mon 2027-03-29 02:00:00 +02:00"});
  CHECK(times("0 2,3 * * *", "Europe/Berlin", utc(2027, 3, 28), 2) ==
        Times{"Sun 2027-03-28 03:00:00 +02:00", "Mon 2027-03-29 02:00:00 +02:00"});
  CHECK(times("30 2 * * *", "America/New_York", utc(2027, 3, 14), 2) ==
        Times{"Sun 2027-03-14 03:00:00 -04:00", "Mon 2027-03-15 02:30:00 -04:00"});
  CHECK(times("15 2 * * *", "Australia/Lord_Howe", utc(2026, 10, 3), 2) ==
        Times{"Sun 2026-10-04 02:30:00 +11:00", "Mon 2026-10-05 02:15:00 +11:00"});
}

TEST_CASE("times that come twice when clocks are set back are due the first time only") {
  CHECK(times("30 2 * * *", "Europe/Berlin", utc(2026, 10, 24, 12), 2) ==
        Times{"Sun 2026-10-25 02:30:00 +02:00", "Mon 2026-10-26 02:30:00 +01:00"});
  CHECK(times("30 1 * * *", "America/New_York", utc(2026, 10, 31, 12), 2) ==
        Times{"Sun 2026-11-01 01:30:00 -04:00", "Mon 2026-11-02 01:30:00 -05:00"});
  CHECK(times("45 1 * * *", "Australia/Lord_Howe", utc(2027, 4, 3, 0), 2) ==
        Times{"Sun 2027-04-04 01:45:00 +11:00", "Mon 2027-04-05 01:45:00 +10:30"});
}

TEST_CASE("from within the hour that comes again, the next time is tomorrow's") {
  // 02:10 for the second time; 02:30 was due an hour ago.
  CHECK(times("30 2 * * *", "Europe/Berlin", utc(2026, 10, 25, 1, 10), 1) == Times{"Mon 2026-10-26 02:30:00 +01:00"});
}

TEST_CASE("a schedule for each hour goes on through a change of the clocks") {
  CHECK(times("*/30 * * * *", "Europe/Berlin", utc(2026, 10, 25, 0), 5) ==
        Times{"Sun 2026-10-25 02:30:00 +02:00", "Sun 2026-10-25 02:00:00 +01:00", "Sun 2026-10-25 02:30:00 +01:00",
              "Sun 2026-10-25 03:00:00 +01:00", "Sun 2026-10-25 03:30:00 +01:00"});
  CHECK(times("*/30 * * * *", "Europe/Berlin", utc(2027, 3, 28, 0), 4) ==
        Times{"Sun 2027-03-28 01:30:00 +01:00", "Sun 2027-03-28 03:00:00 +02:00", "Sun 2027-03-28 03:30:00 +02:00",
              "Sun 2027-03-28 04:00:00 +02:00"});
  CHECK(times("45 * * * *", "Australia/Lord_Howe", utc(2027, 4, 3, 14), 4) ==
        Times{"Sun 2027-04-04 01:45:00 +11:00", "Sun 2027-04-04 01:45:00 +10:30", "Sun 2027-04-04 02:45:00 +10:30",
              "Sun 2027-04-04 03:45:00 +10:30"});
}

TEST_CASE("a schedule for each hour is never late, whatever the clocks do") {
  for (const char* zone : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"}) {
    INFO(zone);
    const auto schedule = read_schedule("* * * * *", zone).value;
    REQUIRE(schedule);
    for (const auto& [month, day] : {std::pair(3, 14), {3, 28}, {4, 4}, {10, 3}, {10, 31}, {11, 7}}) {
      Nanoseconds time = utc(2027, month, day) - 12 * 3600 * second;
      for (int minute = 0; minute < 48 * 60; ++minute) {
        const Nanoseconds next = schedule->next(time);
        if (next != time + 60 * second) FAIL(schedule->time_text(time) << " to " << schedule->time_text(next));
        time = next;
      }
    }
  }
}

TEST_CASE("the times of a schedule ascend, and the time before one leads to it") {
  for (const char* zone : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"}) {
    for (const char* text : {"0 0 * * *", "*/7 2,3 * * *", "30 1-2 * * sun", "15 */2 * * *", "59 23 31 12 *"}) {
      INFO(zone << ' ' << text);
      const auto schedule = read_schedule(text, zone).value;
      REQUIRE(schedule);
      Nanoseconds time = utc(2026, 1, 1);
      for (int i = 0; i < 400; ++i) {
        const Nanoseconds next = schedule->next(time);
        REQUIRE(next > time);
        REQUIRE(schedule->next(next - 1) == next);
        REQUIRE(schedule->next(time + (next - time) / 2) == next);
        time = next;
      }
    }
  }
}

TEST_CASE("after the last time that nanoseconds can count, there is none") {
  const auto schedule = read_schedule("0 0 1 1 *", "UTC").value;
  REQUIRE(schedule);
  CHECK(schedule->next(utc(2553, 6, 1)) == utc(2554, 1, 1));
  CHECK(schedule->next(utc(2554, 6, 1)) == never);
}

TEST_CASE("summer time goes on after 2037") {
  CHECK(times("0 3 * * *", "Europe/Berlin", utc(2060, 7, 1), 1) == Times{"Thu 2060-07-01 03:00:00 +02:00"});
}

TEST_CASE("an unknown time zone is named, with the one that may be meant") {
  const auto problem = [](const std::string& name) { return find_zone(name).problem; };
  CHECK(problem("Europe/Berlni") == "unknown time zone \"Europe/Berlni\"; did you mean \"Europe/Berlin\"?");
  CHECK(problem("europe/berlin") == "unknown time zone \"europe/berlin\"; did you mean \"Europe/Berlin\"?");
  CHECK(problem("Berlin") == "unknown time zone \"Berlin\"; did you mean \"Europe/Berlin\"?");
  for (const char* name :
       {"../../etc/passwd", "/etc/localtime", "file:/etc/localtime", "Middle_of/Nowhere9876", "CET "}) {
    INFO(name);
    CHECK(problem(name).starts_with("unknown time zone "));
  }
}

TEST_CASE("without time zones on the machine, only those that are named are a problem") {
  const Variable directory("TZDIR", "/nonexistent");
  CHECK(find_zone("Europe/Vaduz").problem ==
        "there are no time zones in /nonexistent: install them (Debian's package tzdata), or remove \"time_zone\"");
  CHECK(find_zone({}).value);
}

TEST_CASE("without a name, TZ says which zone it is, if it names one") {
  {
    const Variable zone("TZ", ":America/New_York");
    REQUIRE(find_zone({}).value);
    CHECK(read_schedule("0 3 * * *", {}).value->time_text(utc(2026, 7, 1)) == "Tue 2026-06-30 20:00:00 -04:00");
  }
  const Variable zone("TZ", "CET-1CEST");
  CHECK(find_zone({}).problem ==
        "the environment's TZ is \"CET-1CEST\", which is not the name of a time zone; add \"time_zone\", such as "
        "\"time_zone\": \"Europe/Berlin\"");
}

TEST_CASE("a schedule says for people what it is") {
  CHECK(read_schedule("0 3 * * mon-fri", "Europe/Berlin").value->text() == "\"0 3 * * mon-fri\" in Europe/Berlin");
  CHECK(read_schedule("@daily", {}).value->text() == "\"@daily\" in the system's time zone");
}
