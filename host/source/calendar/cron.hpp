// Times of day in cron's notation, without a time zone. Plain values; any thread.
#pragma once

#include <cctz/civil_time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace taskhost {

// Sets of numbers, one bit each.
struct Cron {
  std::uint64_t minutes = 0;
  std::uint64_t hours = 0;
  std::uint64_t days = 0;      // of the month, from 1
  std::uint64_t months = 0;    // from 1
  std::uint64_t weekdays = 0;  // from 0, which is Sunday
  // These begin with `*`. If neither day does, one that matches is enough.
  bool any_hour = false;
  bool any_day = false;
  bool any_weekday = false;

  bool operator==(const Cron&) const = default;
};

struct CronReading {
  std::optional<Cron> value;
  std::string problem;  // without a value
};
CronReading parse_cron(std::string_view text);

// The first minute from this one on that matches; nullopt if none does for decades.
std::optional<cctz::civil_minute> next_match(const Cron& cron, cctz::civil_minute from);

}  // namespace taskhost
