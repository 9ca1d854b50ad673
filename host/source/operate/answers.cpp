#include "operate/answers.hpp"

#include <array>

namespace taskhost {

const Json& field(const Json& object, std::string_view key) {
  static const Json none;
  if (!object.is_object()) return none;
  const auto found = object.find(std::string(key));
  return found == object.end() ? none : *found;
}

std::string text_field(const Json& object, std::string_view key) {
  const Json& value = field(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::optional<std::uint64_t> number_field(const Json& object, std::string_view key) {
  const Json& value = field(object, key);
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<std::uint64_t>();
}

bool flag_field(const Json& object, std::string_view key) {
  const Json& value = field(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::string json_text(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace) + '\n'; }

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
    return std::to_string(milliseconds / second) + '.' + std::to_string(milliseconds % second / 100) + 's';
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
