#include "text/printable.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

namespace taskhost {
namespace {

bool continues_character(char byte) noexcept { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

bool is_c0_or_delete(char byte) noexcept { return static_cast<unsigned char>(byte) < 0x20U || byte == '\x7f'; }

// U+0080 to U+009F are C2 80 to C2 9F in UTF-8.
bool is_c1(std::string_view text, std::size_t at) noexcept {
  return at + 1 < text.size() && text[at] == '\xc2' && static_cast<unsigned char>(text[at + 1]) >= 0x80U &&
         static_cast<unsigned char>(text[at + 1]) < 0xA0U;
}

struct CodeRange {
  std::uint32_t first, last;
};
// Characters that reorder or hide what is around them, or can't be seen themselves.
constexpr std::array<CodeRange, 10> misleading = {{{0x00AD, 0x00AD},
                                                   {0x034F, 0x034F},
                                                   {0x061C, 0x061C},
                                                   {0x115F, 0x1160},
                                                   {0x180E, 0x180E},
                                                   {0x200B, 0x200F},
                                                   {0x2028, 0x202E},
                                                   {0x2060, 0x206F},
                                                   {0xFEFF, 0xFEFF},
                                                   {0xE0000, 0xE0FFF}}};

// Of a misleading character of two bytes or more; 0 for others.
std::uint32_t misleading_code(std::string_view character) noexcept {
  if (character.size() < 2) return 0;
  std::uint32_t code = static_cast<unsigned char>(character[0]) & (0x7fU >> character.size());
  for (const char byte : character.substr(1)) code = code << 6U | (static_cast<unsigned char>(byte) & 0x3fU);
  const bool is_one = std::any_of(misleading.begin(), misleading.end(),
                                  [code](const CodeRange& range) { return code >= range.first && code <= range.last; });
  return is_one ? code : 0;
}

void append_escaped(std::string& result, std::string_view prefix, unsigned code) {
  constexpr std::string_view digits = "0123456789abcdef";
  result += prefix;
  result += digits[code >> 4U];
  result += digits[code & 0xFU];
}

// "\u202e"; with braces if it needs more than four digits.
void append_code(std::string& result, std::uint32_t code) {
  std::array<char, 8> hex{};
  const auto end = std::to_chars(hex.data(), hex.data() + hex.size(), code, 16).ptr;
  const auto size = static_cast<std::size_t>(end - hex.data());
  result += size > 4 ? "\\u{" : "\\u";
  if (size < 4) result.append(4 - size, '0');
  result.append(hex.data(), size);
  if (size > 4) result += '}';
}

}  // namespace

std::size_t character_size(std::string_view text, std::size_t offset) noexcept {
  // The second byte's range excludes overlong forms, surrogates and code points above U+10FFFF.
  struct Form {
    unsigned char first, last, second_first, second_last;
    std::size_t size;
  };
  static constexpr std::array<Form, 9> forms = {{{0x00, 0x7f, 0, 0, 1},
                                                 {0xc2, 0xdf, 0x80, 0xbf, 2},
                                                 {0xe0, 0xe0, 0xa0, 0xbf, 3},
                                                 {0xe1, 0xec, 0x80, 0xbf, 3},
                                                 {0xed, 0xed, 0x80, 0x9f, 3},
                                                 {0xee, 0xef, 0x80, 0xbf, 3},
                                                 {0xf0, 0xf0, 0x90, 0xbf, 4},
                                                 {0xf1, 0xf3, 0x80, 0xbf, 4},
                                                 {0xf4, 0xf4, 0x80, 0x8f, 4}}};
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[offset + at]); };
  for (const Form& form : forms) {
    if (offset + form.size > text.size() || byte(0) < form.first || byte(0) > form.last) {
      continue;
    }
    if (form.size > 1 && (byte(1) < form.second_first || byte(1) > form.second_last)) {
      return 0;
    }
    for (std::size_t at = 2; at < form.size; ++at) {
      if (!continues_character(text[offset + at])) {
        return 0;
      }
    }
    return form.size;
  }
  return 0;
}

std::string printable_text(std::string_view text, std::size_t max_bytes) {
  const auto plain = std::find_if_not(text.begin(), text.end(), [](char byte) { return byte >= ' ' && byte < '\x7f'; });
  std::size_t at = std::min(static_cast<std::size_t>(plain - text.begin()), max_bytes);  // most texts are plain
  std::string result(text.substr(0, at));
  while (at < text.size()) {
    const std::size_t size = character_size(text, at);
    if (at + std::max<std::size_t>(size, 1) > max_bytes) {
      return result + "…";
    }
    const std::string_view character = text.substr(at, size);
    if (size == 0) {
      append_escaped(result, "\\x", static_cast<unsigned char>(text[at]));
    } else if (has_control_character(character)) {
      append_escaped(result, "\\u00", static_cast<unsigned char>(character.back()));
    } else if (const std::uint32_t code = misleading_code(character); code != 0) {
      append_code(result, code);
    } else {
      result += character;
    }
    at += std::max<std::size_t>(size, 1);
  }
  return result;
}

bool is_utf8(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = character_size(text, at);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

std::string quoted_text(std::string_view text) { return '"' + printable_text(text) + '"'; }

std::string printable_path(std::string_view path) { return printable_text(path, std::string_view::npos); }

std::string quoted_path(std::string_view path) { return '"' + printable_path(path) + '"'; }

std::string word_list(std::span<const std::string> words, std::string_view conjunction) {
  std::string list;
  for (std::size_t index = 0; index < words.size(); ++index) {
    if (index > 0) {
      list += index + 1 < words.size() ? ", " : ' ' + std::string(conjunction) + ' ';
    }
    list += words[index];
  }
  return list;
}

std::string quoted_list(std::span<const std::string_view> words, std::string_view conjunction) {
  std::vector<std::string> quoted;
  for (const std::string_view word : words) {
    quoted.push_back(quoted_text(word));
  }
  return word_list(quoted, conjunction);
}

std::string pointer_step(std::string_view key) {
  std::string step = "/";
  for (const char character : printable_text(key, 128)) {
    switch (character) {
      case '~':
        step += "~0";
        break;
      case '/':
        step += "~1";
        break;
      default:
        step += character;
    }
  }
  return step;
}

bool has_control_character(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (is_c0_or_delete(text[at]) || is_c1(text, at)) {
      return true;
    }
  }
  return false;
}

TextPosition position_in_text(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const std::size_t line_break = before.rfind('\n');
  const std::string_view line = line_break == std::string_view::npos ? before : before.substr(line_break + 1);
  TextPosition position;
  if (line.starts_with("\xef\xbb\xbf") && line.data() == text.data()) {
    position.column = 0;  // a byte order mark is not counted as a character
  }
  position.line += static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
  position.column += static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char byte) { return !continues_character(byte); }));
  return position;
}

std::string position_words(TextPosition position) {
  return "line " + std::to_string(position.line) + ", column " + std::to_string(position.column);
}

}  // namespace taskhost
