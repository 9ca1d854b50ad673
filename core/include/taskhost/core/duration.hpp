// Durations as text. Pure functions; any thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace taskhost {

struct DurationUnit {
  std::string_view name;
  std::uint64_t nanoseconds;
};

// Longest first.
inline constexpr std::array<DurationUnit, 6> duration_units = {{{"h", 3'600'000'000'000},
                                                                {"m", 60'000'000'000},
                                                                {"s", 1'000'000'000},
                                                                {"ms", 1'000'000},
                                                                {"us", 1'000},
                                                                {"ns", 1}}};

// Of all times in a policy.
inline constexpr std::chrono::nanoseconds max_duration = std::chrono::hours(365 * 24);

// The shortest exact text with a single unit: "90s", "1.5s", "2h".
std::string print_duration(std::chrono::nanoseconds duration);

// For reading only: "17m 28.575s" instead of "1048.575s".
std::string duration_words(std::chrono::nanoseconds duration);

}  // namespace taskhost
