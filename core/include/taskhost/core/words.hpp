// Converts enumerators to words and back. Pure functions; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace taskhost {

template <class Enum>
struct Word {
  Enum value;
  std::string_view text;
};

// Specialized next to each enum that has words: one row for each enumerator, in order.
template <class Enum>
inline constexpr std::array<Word<Enum>, 0> words_of{};

template <class Enum>
constexpr bool are_words_in_order() {
  for (std::size_t place = 0; place < words_of<Enum>.size(); ++place) {
    if (words_of<Enum>[place].value != static_cast<Enum>(place)) return false;
  }
  return !words_of<Enum>.empty();
}

template <class Enum>
requires(are_words_in_order<Enum>()) constexpr std::string_view to_string(Enum value) noexcept {
  const auto place = static_cast<std::size_t>(value);
  return place < words_of<Enum>.size() ? words_of<Enum>[place].text : "?";
}

template <class Enum>
requires(are_words_in_order<Enum>()) constexpr std::optional<Enum> from_word(std::string_view text) noexcept {
  for (const Word<Enum>& word : words_of<Enum>) {
    if (word.text == text) return word.value;
  }
  return std::nullopt;
}

// The words without those of `omitted`: what an operator may write.
template <class Enum, Enum... omitted>
constexpr auto plain_words() {
  std::array<std::string_view, words_of<Enum>.size() - sizeof...(omitted)> texts;
  std::size_t count = 0;
  for (const Word<Enum>& word : words_of<Enum>) {
    if (((word.value != omitted) && ...)) texts[count++] = word.text;
  }
  return texts;
}

}  // namespace taskhost
