#include "operate/time_words.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "operate/table.hpp"

namespace taskhost {

namespace {

// The number of exactly so many digits, which it takes off; nothing if there are others.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count || !std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(count), is_digit)) {
    return std::nullopt;
  }
  int number = 0;
  for (const char digit : text.substr(0, count)) number = number * 10 + (digit - '0');
  text.remove_prefix(count);
  return number;
}

bool take(std::string_view& text, char wanted) {
  if (!text.starts_with(wanted)) return false;
  text.remove_prefix(1);
  return true;
}

bool take_date(std::string_view& text, std::tm& parts) {
  const std::optional<int> year = take_digits(text, 4);
  const std::optional<int> month = year && take(text, '-') ? take_digits(text, 2) : std::nullopt;
  const std::optional<int> day = month && take(text, '-') ? take_digits(text, 2) : std::nullopt;
  if (!day) return false;
  parts.tm_year = *year - 1900;
  parts.tm_mon = *month - 1;
  parts.tm_mday = *day;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  return date.ok();
}

// Up to the text's end. An hour of one digit is one, too.
bool take_time(std::string_view text, std::tm& parts, std::int64_t& milliseconds) {
  const std::optional<int> hour = take_digits(text, text.find(':') == 1 ? 1 : 2);
  const std::optional<int> minute = hour && take(text, ':') ? take_digits(text, 2) : std::nullopt;
  if (!minute || *hour > 23 || *minute > 59) return false;
  parts.tm_hour = *hour;
  parts.tm_min = *minute;
  if (text.empty()) return true;
  const std::optional<int> second = take(text, ':') ? take_digits(text, 2) : std::nullopt;
  if (!second || *second > 59) return false;
  parts.tm_sec = *second;
  if (text.empty()) return true;
  if (!take(text, '.') || text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return false;
  std::string decimals(text.substr(0, 3));
  decimals.resize(3, '0');
  milliseconds = std::stoi(decimals);
  return true;
}

// Of local time, whatever daylight saving says then.
std::optional<std::int64_t> moment_of(std::tm parts, std::int64_t milliseconds) {
  parts.tm_isdst = -1;
  const std::time_t seconds = std::mktime(&parts);
  if (seconds == -1) return std::nullopt;
  return std::int64_t{seconds} * 1000 + milliseconds;
}

}  // namespace

std::optional<std::int64_t> time_of(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  unsigned milliseconds = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2uT%2u:%2u:%2u.%3u", &year, &month, &day, &hour, &minute, &second,
                  &milliseconds) != 7) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const auto at = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
                  std::chrono::seconds(second) + std::chrono::milliseconds(milliseconds);
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

std::string local_time(const std::string& time) {
  std::tm parts{};
  const char* const rest = ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return terminal_text(time, 40);
  const std::time_t seconds = ::timegm(&parts);
  std::tm here{};
  std::array<char, 32> text{};
  if (::localtime_r(&seconds, &here) == nullptr) return terminal_text(time, 40);
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &here);
  const std::string_view fraction = std::string_view(rest).substr(0, 4);  // ".123"
  return std::string(text.data(), size) + (fraction.starts_with('.') ? terminal_text(fraction) : "");
}

bool looks_like_moment(std::string_view text) noexcept {
  return text.find(':') != std::string_view::npos || (text.size() > 4 && text[4] == '-');
}

std::optional<std::int64_t> local_moment(const std::string& text, std::int64_t now_ms) {
  if (text.ends_with('Z')) return time_of(text);
  const std::time_t now = now_ms / 1000;
  std::tm today{};
  if (::localtime_r(&now, &today) == nullptr) return std::nullopt;
  std::string_view left = text;
  std::int64_t milliseconds = 0;
  std::tm parts{};
  if (take_date(left, parts)) {
    if (left.empty()) return moment_of(parts, 0);
    const bool is_one = (take(left, ' ') || take(left, 'T')) && take_time(left, parts, milliseconds);
    return is_one ? moment_of(parts, milliseconds) : std::nullopt;
  }
  parts = {};
  parts.tm_year = today.tm_year;
  parts.tm_mon = today.tm_mon;
  parts.tm_mday = today.tm_mday;
  if (!take_time(text, parts, milliseconds)) return std::nullopt;
  const std::optional<std::int64_t> moment = moment_of(parts, milliseconds);
  if (moment && *moment <= now_ms) return moment;
  --parts.tm_mday;
  return moment_of(parts, milliseconds);
}

}  // namespace taskhost
