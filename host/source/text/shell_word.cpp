#include "text/shell_word.hpp"

#include <algorithm>

#include "text/printable.hpp"

namespace taskhost {

std::string shell_word(std::string_view name) {
  static constexpr std::string_view plain = "_-.,:/@+%=";
  const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || plain.find(c) != std::string_view::npos;
  });
  std::string word = name.starts_with('-') ? "-- " : "";
  if (is_plain && !name.empty()) return word.append(name);
  word += '\'';
  for (const char c : printable_path(name)) word += c == '\'' ? "'\\''" : std::string(1, c);
  return word + '\'';
}

}  // namespace taskhost
