// Makes foreign text in messages printable: on one line, of limited length. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace taskhost {

// The size in bytes of the UTF-8 character that begins at `offset`; 0 if there is none.
std::size_t character_size(std::string_view text, std::size_t offset) noexcept;

bool is_utf8(std::string_view text) noexcept;

// ASCII digits, regardless of the locale.
constexpr bool is_digit(char character) noexcept { return character >= '0' && character <= '9'; }

// Writes control characters, and marks that reorder or hide text, as \uXXXX and bytes that are not UTF-8 as \xXX; keeps
// at most `max_bytes` of the text, with "…" where some was left out.
std::string printable_text(std::string_view text, std::size_t max_bytes = 60);

// The same, in double quotes.
std::string quoted_text(std::string_view text);

// Paths, and names in data, are made printable as well, but never cut.
std::string printable_path(std::string_view path);
std::string quoted_path(std::string_view path);

// "a, b or c"
std::string word_list(std::span<const std::string> words, std::string_view conjunction);

// The same, with each word in double quotes.
std::string quoted_list(std::span<const std::string_view> words, std::string_view conjunction);

// One more step of a JSON pointer (RFC 6901), made printable.
std::string pointer_step(std::string_view key);

// C0, DEL and C1: they would break log lines or control the reader's terminal. The text is valid UTF-8.
bool has_control_character(std::string_view text) noexcept;

struct TextPosition {
  std::size_t line = 1;
  std::size_t column = 1;  // in characters, as editors count
};

// The position of the byte at `offset`, which may be the end of the text.
TextPosition position_in_text(std::string_view text, std::size_t offset);

// "line 3, column 7"
std::string position_words(TextPosition position);

}  // namespace taskhost
