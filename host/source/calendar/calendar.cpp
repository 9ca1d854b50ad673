#include "calendar/calendar.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

namespace fs = std::filesystem;
using cctz::civil_minute;
using cctz::civil_second;
using Civil = cctz::time_zone::civil_lookup;
using Moment = cctz::time_point<cctz::seconds>;

constexpr Nanoseconds second = 1'000'000'000;
constexpr std::chrono::hours longest_change{3};  // of a zone's offset

Moment moment(Nanoseconds wall) { return Moment(cctz::seconds(static_cast<std::int64_t>(wall / second))); }
Nanoseconds nanoseconds_of(Moment moment) {
  const auto seconds = static_cast<Nanoseconds>(moment.time_since_epoch().count());
  return seconds > never / second ? never : seconds * second;
}

fs::path zone_directory() {
  const char* const given = std::getenv("TZDIR");
  return given != nullptr && *given != '\0' ? given : "/usr/share/zoneinfo";
}

// cctz would also take a path.
bool is_name(std::string_view text) {
  return !text.empty() && text.find("..") == std::string_view::npos && text.front() != '/' &&
         std::all_of(text.begin(), text.end(), [](unsigned char letter) {
           return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                  (letter >= '0' && letter <= '9') || letter == '/' || letter == '_' || letter == '-' || letter == '+';
         });
}

// Empty if none are installed.
std::vector<std::string> zone_names() {
  std::vector<std::string> names;
  const fs::path directory = zone_directory();
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().lexically_relative(directory).string();
    const bool is_zone = name.front() >= 'A' && name.front() <= 'Z' && name.find('.') == std::string::npos;
    if (!is_zone) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file(error)) {
      names.push_back(name);
    }
  }
  return names;
}

// By its whole name, or by that of its city.
std::string_view nearest_zone(std::string_view name, const std::vector<std::string>& names) {
  std::vector<std::string_view> words(names.begin(), names.end());
  if (const std::string_view nearest = nearest_word(name, words); !nearest.empty()) return nearest;
  for (std::string_view& word : words) word.remove_prefix(word.rfind('/') + 1);
  const std::string_view city = nearest_word(name, words);
  const auto at =
      std::find_if(words.begin(), words.end(), [city](std::string_view word) { return word.data() == city.data(); });
  return at == words.end() ? std::string_view() : names[static_cast<std::size_t>(at - words.begin())];
}

}  // namespace

Nanoseconds Calendar::wall_time(Nanoseconds) const noexcept {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return to_nanoseconds(std::chrono::duration_cast<std::chrono::nanoseconds>(now));
}

Nanoseconds Calendar::next(Nanoseconds after) const noexcept {
  const Moment from = moment(after);
  if (cron_.any_hour) {
    const std::optional<Moment> found = next_of_clock(from);
    return found ? nanoseconds_of(*found) : never;
  }
  civil_minute minute = civil_minute(zone_.lookup(from).cs) + 1;
  for (;; ++minute) {
    const std::optional<civil_minute> match = next_match(cron_, minute);
    if (!match) return never;
    minute = *match;
    const Civil found = zone_.lookup(civil_second(minute));
    const Moment at = found.kind == Civil::SKIPPED ? found.trans : found.pre;
    if (at > from) return nanoseconds_of(at);
  }
}

std::optional<Calendar::Moment> Calendar::next_of_clock(Moment from) const {
  const auto here = zone_.lookup(from);
  civil_minute minute(here.cs);
  // The clock may be set back soon, and show earlier times again.
  if (zone_.lookup(from + longest_change).offset != here.offset) minute -= std::chrono::minutes(longest_change).count();
  std::optional<Moment> best;
  for (;; ++minute) {
    const std::optional<civil_minute> match = next_match(cron_, minute);
    if (!match) return best;
    minute = *match;
    const Civil found = zone_.lookup(civil_second(minute));
    const Moment first = found.kind == Civil::SKIPPED ? found.trans : found.pre;
    if (found.kind != Civil::SKIPPED) {
      for (const Moment at : {found.pre, found.post}) {
        if (at > from && (!best || at < *best)) best = at;
      }
    }
    if (best && *best <= first) return best;
  }
}

std::string Calendar::time_text(Nanoseconds wall) const {
  return cctz::format("%a %Y-%m-%d %H:%M:%S %Ez", moment(wall), zone_);
}

ZoneReading find_zone(const std::optional<std::string>& name) {
  cctz::time_zone zone;
  if (!name) {
    // cctz would take UTC instead of what it does not know.
    const char* given = std::getenv("TZ");
    if (given != nullptr && *given == ':') ++given;
    if (given == nullptr || *given == '\0' || cctz::load_time_zone(given, &zone)) return {cctz::local_time_zone(), {}};
    return {{},
            "the environment's TZ is " + quoted_text(given) +
                ", which is not the name of a time zone; add \"time_zone\", such as \"time_zone\": \"Europe/Berlin\""};
  }
  if (is_name(*name) && cctz::load_time_zone(*name, &zone)) return {zone, {}};
  const std::vector<std::string> names = zone_names();
  if (names.empty()) {
    return {{},
            "there are no time zones in " + printable_path(zone_directory().string()) +
                ": install them (Debian's package tzdata), or remove \"time_zone\""};
  }
  const std::string_view nearest = nearest_zone(*name, names);
  return {{},
          "unknown time zone " + quoted_text(*name) +
              (nearest.empty() ? "; use a name such as \"Europe/Berlin\" (timedatectl list-timezones lists all)"
                               : "; did you mean " + quoted_text(nearest) + '?')};
}

ScheduleReading read_schedule(const std::string& text, const std::optional<std::string>& zone_name) {
  const CronReading cron = parse_cron(text);
  const ZoneReading zone = find_zone(zone_name);
  if (!cron.value || !zone.value) return {nullptr, cron.problem, zone.problem};
  const std::string place = zone_name ? " in " + *zone_name : " in the system's time zone";
  return {std::make_shared<const Calendar>(quoted_text(text) + place, *cron.value, *zone.value), {}, {}};
}

}  // namespace taskhost
