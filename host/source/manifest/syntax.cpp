#include "manifest/syntax.hpp"

#include <algorithm>
#include <array>

#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {
namespace {

constexpr std::size_t npos = std::string_view::npos;

bool is_word(char character) {
  return is_digit(character) || (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         std::string_view("_+-.").find(character) != npos;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != npos; }

std::string code_words(std::string_view prefix, unsigned char byte) {
  constexpr std::string_view digits = "0123456789abcdef";
  return std::string(prefix) + digits[byte >> 4U] + digits[byte & 0xFU];
}

// Walks from the last token that was understood to the one that was not.
class Explainer {
 public:
  Explainer(std::string_view text, const SyntaxState& state, std::size_t position, std::string_view reason)
      : text_(text), state_(state), position_(position), reason_(reason), at_(state.read_to) {}

  SyntaxFault explain() {
    skip_blanks();
    switch (state_.last_token) {
      case LastToken::none:
        return explain_value();
      case LastToken::opening:
        return wants_key() ? explain_key() : explain_value();
      case LastToken::key:
        if (!skip(':')) {
          return fault_here("expected \":\" after the field's name, found " + found());
        }
        return explain_value();
      case LastToken::value:
        return explain_after_value();
    }
    return fault_here("not valid JSON");
  }

 private:
  bool wants_key() const { return state_.container == NodeKind::object; }
  bool at_end() const { return at_ >= text_.size(); }
  char here() const { return text_[at_]; }
  std::string_view closing() const { return wants_key() ? "}" : "]"; }

  SyntaxFault fault_here(std::string message) const {
    if (at_end()) {
      return explain_end();
    }
    if (here() == '/') {
      return explain_comment();
    }
    return {at_, std::move(message)};
  }

  SyntaxFault explain_end() const {
    if (!state_.container) {
      return {0, "the file contains no JSON; a manifest is an object, such as {\"tasks\": [...]}"};
    }
    return {text_.size(), "the file ends too early: the " + std::string(wants_key() ? "object" : "array") +
                              " that begins at " + position_words(position_in_text(text_, state_.container_offset)) +
                              " is not closed with \"" + std::string(closing()) + '"'};
  }

  SyntaxFault explain_comment() const {
    if (text_.substr(at_).starts_with("/*")) {
      return {at_, "close this comment with */"};
    }
    return {at_, "unexpected \"/\"; write comments as // ... or /* ... */"};
  }

  SyntaxFault explain_after_value() {
    if (!state_.container) {
      return fault_here("expected nothing after the manifest's closing \"}\", found " + found());
    }
    const std::size_t comma = at_;
    if (!skip(',')) {
      if (!at_end() && is_word(here()) && is_word(text_[at_ - 1])) {
        return explain_word_after_number();
      }
      const bool begins_value = !at_end() && (is_word(here()) || std::string_view("\"{[").find(here()) != npos);
      const std::string hint = begins_value ? "; is a comma missing?" : "";
      return fault_here("expected \",\" or \"" + std::string(closing()) + "\" after this value, found " + found() +
                        hint);
    }
    if (!at_end() && closing().front() == here()) {
      return {comma, "remove the comma before \"" + std::string(closing()) + '"'};
    }
    return wants_key() ? explain_key() : explain_value();
  }

  // For 10s or 007, where the number alone was valid.
  SyntaxFault explain_word_after_number() {
    while (is_word(text_[at_ - 1])) {
      --at_;
    }
    const std::string_view digits = word().substr(word().front() == '-' ? 1 : 0);
    if (std::all_of(digits.begin(), digits.end(), is_digit)) {
      return {at_, "write this number without its leading 0"};
    }
    return explain_value();
  }

  SyntaxFault explain_key() {
    if (!at_end() && here() == '"') {
      return explain_string();
    }
    return fault_here("expected a field's name in double quotes, found " + found());
  }

  SyntaxFault explain_value() {
    if (at_end()) {
      return explain_end();
    }
    if (here() == '"') {
      return explain_string();
    }
    if (contains(reason_, "number overflow")) {
      return {at_, "the number " + found() + " is too large"};
    }
    const std::string_view written = word();
    if (written.empty()) {
      const std::string hint = here() == '\'' ? "; put strings in double quotes" : "";
      return fault_here("expected a value, found " + found() + hint);
    }
    if (is_digit(written.front()) || written.front() == '-' || written.front() == '+' || written.front() == '.') {
      return {at_, quoted_text(written) + " is not a valid number in JSON; if it is a string, put it in double quotes"};
    }
    static constexpr std::array<std::string_view, 3> literals = {"true", "false", "null"};
    const std::string_view nearest = nearest_word(written, literals);
    return {at_,
            "expected a value, found " + quoted_text(written) +
                (nearest.empty() ? "; put strings in double quotes" : "; did you mean " + std::string(nearest) + '?')};
  }

  SyntaxFault explain_string() const {
    const std::size_t bad = position_ == 0 ? 0 : std::min(position_, text_.size()) - 1;
    const auto byte = static_cast<unsigned char>(text_[bad]);
    if (contains(reason_, "missing closing quote")) {
      return {at_, "close this string with a double quote"};
    }
    if (contains(reason_, "control character")) {
      if (byte == '\n' || byte == '\r') {
        return {at_, "close this string on its line; write a line break within a string as \\n"};
      }
      return {bad, "a control character in a string; write it as " + code_words("\\u00", byte)};
    }
    if (contains(reason_, "UTF-8")) {
      return {bad, "invalid UTF-8 (" + code_words("byte 0x", byte) + "); save the file as UTF-8"};
    }
    if (contains(reason_, "surrogate")) {
      return {bad, "half of a surrogate pair; write the character as two \\u escapes, or unescaped in UTF-8"};
    }
    if (contains(reason_, "hex digits")) {
      return {bad, "\\u must be followed by four hexadecimal digits"};
    }
    if (contains(reason_, "backslash")) {
      return {bad, "\"\\" + printable_text(character(bad)) +
                       "\" is not a valid escape in JSON; write a backslash itself as \\\\"};
    }
    return {at_, "this string is not valid JSON"};
  }

  void skip_blanks() {
    while (!at_end()) {
      std::size_t comment_end = npos;
      if (std::string_view(" \t\r\n").find(here()) != npos) {
        ++at_;
        continue;
      }
      if (at_ == 0 && text_.starts_with("\xef\xbb\xbf")) {
        at_ = 3;
        continue;
      }
      if (text_.substr(at_).starts_with("//")) {
        comment_end = std::min(text_.find('\n', at_), text_.size());
      } else if (text_.substr(at_).starts_with("/*") && text_.find("*/", at_ + 2) != npos) {
        comment_end = text_.find("*/", at_ + 2) + 2;
      }
      if (comment_end == npos) {
        return;
      }
      at_ = comment_end;
    }
  }

  bool skip(char wanted) {
    if (at_end() || here() != wanted) {
      return false;
    }
    ++at_;
    skip_blanks();
    return true;
  }

  std::string_view word() const {
    const std::string_view rest = text_.substr(at_);
    return rest.substr(0, static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), is_word) - rest.begin()));
  }

  // The whole character at `offset`, or the single byte if that is not UTF-8.
  std::string_view character(std::size_t offset) const {
    return text_.substr(offset, std::max<std::size_t>(1, character_size(text_, offset)));
  }

  std::string found() const {
    if (at_end()) {
      return "the end";
    }
    if (const std::string_view written = word(); !written.empty()) {
      return quoted_text(written);
    }
    if (here() == '"') {
      const std::size_t quote = text_.find('"', at_ + 1);
      return "the string " + quoted_text(text_.substr(at_ + 1, std::min(quote, text_.size()) - at_ - 1));
    }
    if (here() == '\'') {
      return "a single quote";
    }
    return quoted_text(character(at_));
  }

  std::string_view text_;
  const SyntaxState& state_;
  std::size_t position_;
  std::string_view reason_;
  std::size_t at_;
};

}  // namespace

SyntaxFault explain_syntax_error(std::string_view text, const SyntaxState& state, std::size_t position,
                                 std::string_view reason) {
  return Explainer(text, state, position, reason).explain();
}

}  // namespace taskhost
