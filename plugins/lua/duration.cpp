// Reads durations as they are written in the manifest: "250ms", "1.5h".
#include <charconv>
#include <cmath>
#include <string_view>

#include "execution.hpp"

namespace lua_plugin {

bool read_duration(const char* text, std::size_t size, std::uint64_t& nanoseconds) noexcept {
  struct Unit {
    std::string_view name;
    double nanoseconds;
  };
  static constexpr Unit units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  if (size == 0 || text[0] < '0' || text[0] > '9') return false;
  double value = 0;
  const auto [end, problem] = std::from_chars(text, text + size, value, std::chars_format::fixed);
  if (problem != std::errc()) return false;
  const std::string_view name(end, static_cast<std::size_t>(text + size - end));
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    const double all = value * unit.nanoseconds;
    nanoseconds = all < 9e18 ? static_cast<std::uint64_t>(std::llround(all)) : TASKHOST_NEVER;
    return true;
  }
  return false;
}

}  // namespace lua_plugin
