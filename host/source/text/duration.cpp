#include "text/duration.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace taskhost {
namespace {

constexpr std::uint64_t longest = static_cast<std::uint64_t>(longest_duration.count());
constexpr std::size_t most_decimals = 9;

bool is_digit(char character) { return character >= '0' && character <= '9'; }

std::size_t count_digits(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
}

DurationReading refuse(std::string problem) { return {std::nullopt, std::move(problem)}; }

DurationReading refuse_too_long() { return refuse("it is longer than 365 days, the most that is allowed"); }

// Saturates above `longest`: however many digits there are, the sum can't overflow.
std::uint64_t whole_number(std::string_view digits) {
  std::uint64_t value = 0;
  for (const char digit : digits) {
    value = std::min(value * 10 + static_cast<std::uint64_t>(digit - '0'), longest + 1);
  }
  return value;
}

std::string unit_problem(std::string_view unit) {
  if (unit.empty()) {
    return "the unit is missing (ns, us, ms, s, m or h)";
  }
  if (unit.front() == ' ' || unit.front() == '\t') {
    return "there is no space between number and unit";
  }
  if (unit.front() == ',') {
    return "decimals follow a point, not a comma";
  }
  if (unit.front() == '.') {
    return "at least one digit follows the point";
  }
  return "the unit is one of ns, us, ms, s, m and h, in lower case";
}

}  // namespace

DurationReading parse_duration(std::string_view text) {
  if (text.empty()) {
    return refuse("it is empty");
  }
  if (text.front() == '-' || text.front() == '+') {
    return refuse("it has no sign");
  }
  const std::string_view whole = text.substr(0, count_digits(text));
  if (whole.empty()) {
    return refuse("it begins with a digit");
  }
  text.remove_prefix(whole.size());

  std::string_view decimals;
  if (text.size() > 1 && text[0] == '.' && is_digit(text[1])) {
    decimals = text.substr(1, count_digits(text.substr(1)));
    text.remove_prefix(1 + decimals.size());
  }
  const auto unit = std::find_if(duration_units.begin(), duration_units.end(),
                                 [&](const DurationUnit& known) { return known.name == text; });
  if (unit == duration_units.end()) {
    return refuse(unit_problem(text));
  }
  if (decimals.size() > most_decimals) {
    return refuse("it has more than nine decimals");
  }

  const std::uint64_t count = whole_number(whole);
  if (count > longest / unit->nanoseconds) {
    return refuse_too_long();
  }
  std::uint64_t divisor = 1;
  for (std::size_t decimal = 0; decimal < decimals.size(); ++decimal) {
    divisor *= 10;
  }
  // Hours and nine decimals make 3.6e21, too much for 64 bits: whole billionths of the unit and the rest apart.
  const std::uint64_t fraction = whole_number(decimals);
  const std::uint64_t fraction_nanoseconds =
      fraction * (unit->nanoseconds / divisor) + fraction * (unit->nanoseconds % divisor) / divisor;
  const std::uint64_t sum = count * unit->nanoseconds + fraction_nanoseconds;
  if (sum > longest) {
    return refuse_too_long();
  }
  return {std::chrono::nanoseconds(static_cast<std::int64_t>(sum)), {}};
}

}  // namespace taskhost
