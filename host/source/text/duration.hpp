// Durations as an operator writes them: a decimal number and a unit, "250ms", "10s", "1.5h". Pure functions; any
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "taskhost/core/duration.hpp"

namespace taskhost {

struct DurationReading {
  std::optional<std::chrono::nanoseconds> value;
  std::string problem;  // if there is no value: what is wrong with the text, phrased to follow a semicolon
  std::string meant;    // if there is no value: the duration probably meant, such as "10s" for "10 s"
};

// Examples of durations, for messages.
inline constexpr std::string_view duration_examples = "\"250ms\", \"10s\" or \"1.5h\"";

// Units are ns, us, ms, s, m and h; no sign, no spaces, at most nine decimals, at most 365 days. Fractions of a
// nanosecond are cut off. print_duration writes the same format.
DurationReading parse_duration(std::string_view text);

// How long something has gone on or will, for people: rounded down, in two units at most. "250ms", "3.2s", "42s",
// "4m10s", "2h03m", "12d4h".
std::string span_text(std::uint64_t milliseconds);

}  // namespace taskhost
