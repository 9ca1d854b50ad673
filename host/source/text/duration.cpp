#include "text/duration.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "text/printable.hpp"

namespace taskhost {
namespace {

constexpr std::uint64_t longest = static_cast<std::uint64_t>(max_duration.count());
constexpr std::size_t max_decimals = 9;

std::size_t count_digits(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
}

DurationReading refuse(std::string problem) { return {std::nullopt, std::move(problem), {}}; }

DurationReading refuse_too_long() { return refuse("write 365 days (\"8760h\") at most"); }

// Saturates above `longest`, so the sum can't overflow, however many digits there are.
std::uint64_t whole_number(std::string_view digits) {
  std::uint64_t value = 0;
  for (const char digit : digits) {
    value = std::min(value * 10 + static_cast<std::uint64_t>(digit - '0'), longest + 1);
  }
  return value;
}

// No value and no problem means that it is not a duration.
DurationReading read(std::string_view text) {
  const std::string_view whole = text.substr(0, count_digits(text));
  if (whole.empty()) {
    return {};
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
    return {};
  }
  if (decimals.size() > max_decimals) {
    return refuse("write nine decimals at most");
  }

  const std::uint64_t count = whole_number(whole);
  if (count > longest / unit->nanoseconds) {
    return refuse_too_long();
  }
  std::uint64_t divisor = 1;
  for (std::size_t decimal = 0; decimal < decimals.size(); ++decimal) {
    divisor *= 10;
  }
  // Hours with nine decimals make 3.6e21, too much for 64 bits, so billionths of the unit and the rest are separate.
  const std::uint64_t fraction = whole_number(decimals);
  const std::uint64_t fraction_nanoseconds =
      fraction * (unit->nanoseconds / divisor) + fraction * (unit->nanoseconds % divisor) / divisor;
  const std::uint64_t sum = count * unit->nanoseconds + fraction_nanoseconds;
  if (sum > longest) {
    return refuse_too_long();
  }
  return {std::chrono::nanoseconds(static_cast<std::int64_t>(sum)), {}, {}};
}

// What to do about a text that is not a duration; ideally, the duration that was meant.
DurationReading advise(std::string_view text) {
  struct Slip {
    const char* what_to_do;
    std::string right;
  };
  std::string squeezed;
  std::string pointed(text);
  std::string lowered(text);
  std::copy_if(text.begin(), text.end(), std::back_inserter(squeezed), [](char c) { return c != ' ' && c != '\t'; });
  std::replace(pointed.begin(), pointed.end(), ',', '.');
  for (char& c : lowered) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const std::string rest(text.substr(text.empty() ? 0 : 1));
  for (const Slip& slip : {Slip{"remove the space: ", squeezed}, Slip{"write a point for the comma: ", pointed},
                           Slip{"write the unit in lower case: ", lowered},
                           Slip{"begin with a digit: ", text.starts_with('.') ? '0' + pointed : ""},
                           Slip{"leave out the sign: ", text.starts_with('+') ? rest : ""},
                           Slip{"add a unit (ns, us, ms, s, m or h), as in ", pointed + 's'}}) {
    if (read(slip.right).value) {
      return {std::nullopt, slip.what_to_do + quoted_text(slip.right), slip.right};
    }
  }
  if (text.starts_with('-')) return refuse("a duration can't be negative");
  return refuse("write a number and a unit (ns, us, ms, s, m or h), such as \"10s\"");
}

}  // namespace

DurationReading parse_duration(std::string_view text) {
  DurationReading reading = read(text);
  return reading.value || !reading.problem.empty() ? reading : advise(text);
}

std::string span_text(std::uint64_t milliseconds) {
  constexpr std::uint64_t second = 1000;
  constexpr std::uint64_t minute = 60 * second;
  constexpr std::uint64_t hour = 60 * minute;
  constexpr std::uint64_t day = 24 * hour;
  struct Pair {
    std::uint64_t large, small;
    const char* large_name;
    const char* small_name;
    bool has_two_digits;
  };
  static constexpr std::array<Pair, 3> pairs = {
      {{day, hour, "d", "h", false}, {hour, minute, "h", "m", true}, {minute, second, "m", "s", true}}};
  if (milliseconds < second) return std::to_string(milliseconds) + "ms";
  if (milliseconds < 10 * second) {
    const std::uint64_t tenth = milliseconds % second / 100;
    return std::to_string(milliseconds / second) + (tenth != 0 ? '.' + std::to_string(tenth) : "") + 's';
  }
  for (const Pair& pair : pairs) {
    if (milliseconds < pair.large) continue;
    const std::uint64_t rest = milliseconds % pair.large / pair.small;
    return std::to_string(milliseconds / pair.large) + pair.large_name + (pair.has_two_digits && rest < 10 ? "0" : "") +
           std::to_string(rest) + pair.small_name;
  }
  return std::to_string(milliseconds / second) + 's';
}

}  // namespace taskhost
