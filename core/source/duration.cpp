#include "taskhost/core/duration.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace taskhost {

std::string print_duration(std::chrono::nanoseconds duration) {
  if (duration.count() == 0) {
    return "0s";
  }
  const bool negative = duration.count() < 0;
  // Unsigned arithmetic, since the most negative value has no positive counterpart.
  const std::uint64_t size =
      negative ? 0 - static_cast<std::uint64_t>(duration.count()) : static_cast<std::uint64_t>(duration.count());
  // Hours and minutes only for whole numbers, since "90s" reads better than "1.5m"; below that, decimals are exact.
  const auto unit = std::find_if(duration_units.begin(), duration_units.end(), [&](const DurationUnit& known) {
    return size >= known.nanoseconds && (known.nanoseconds <= 1'000'000'000 || size % known.nanoseconds == 0);
  });
  std::string text = (negative ? "-" : "") + std::to_string(size / unit->nanoseconds);
  if (const std::uint64_t rest = size % unit->nanoseconds; rest != 0) {
    std::string decimals = std::to_string(unit->nanoseconds + rest);
    decimals.front() = '.';
    decimals.erase(decimals.find_last_not_of('0') + 1);
    text += decimals;
  }
  return text.append(unit->name);
}

std::string duration_words(std::chrono::nanoseconds duration) {
  using namespace std::chrono_literals;
  if (duration == std::chrono::nanoseconds::max()) return "more than 292 years";
  std::string text;
  for (const std::chrono::nanoseconds unit : {std::chrono::nanoseconds(1h), std::chrono::nanoseconds(1min)}) {
    if (duration < unit) continue;
    text += (text.empty() ? "" : " ") + print_duration(duration - duration % unit);
    duration %= unit;
  }
  if (text.empty()) return print_duration(duration);
  return duration.count() == 0 ? text : text + ' ' + print_duration(duration);
}

}  // namespace taskhost
