// Moments as hosts and people write them. Pure functions, but for the time zone; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace taskhost {

// Milliseconds since 1970 of "2026-01-02T03:04:05.678Z"; nothing if it is not understood.
std::optional<std::int64_t> time_of(const std::string& text);

// "2026-01-31T12:00:00.123456Z" as "2026-01-31 12:00:00.123", here; as it is if it is none.
std::string local_time(const std::string& time);

// Examples of what local_moment understands, for messages.
inline constexpr std::string_view moment_examples = "\"14:05\", \"14:05:30\" or \"2026-01-31 14:05\"";

// Whether the text is meant as a moment: it has a colon, or begins as a date.
bool looks_like_moment(std::string_view text) noexcept;

// Of a time of day, with or without seconds and their decimals, after a date or a T or alone, and of a date:
// milliseconds since 1970. A time of day alone is today's, or yesterday's if it is still to come today; or of a host's
// own time, with its Z. Nothing if it is none of these.
std::optional<std::int64_t> local_moment(const std::string& text, std::int64_t now_ms);

}  // namespace taskhost
