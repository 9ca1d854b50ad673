// Shared by the targets: an input that breaks a promise ends the run with the promise's text. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "text/printable.hpp"

namespace taskhost::fuzz {

// Aborts if the promise does not hold; libFuzzer then keeps the input.
inline void require(bool holds, const char* promise, std::string_view text = {}) {
  if (holds) return;
  std::fprintf(stderr, "promise broken: %s: %.*s\n", promise, static_cast<int>(text.size()), text.data());
  std::abort();
}

inline bool is_one_printable_line(std::string_view text) { return is_utf8(text) && !has_control_character(text); }

// Takes an input apart, from its beginning.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  // Zero where the input has ended.
  template <class Number>
  Number number() {
    Number value{};
    const std::size_t size = rest_.size() < sizeof value ? rest_.size() : sizeof value;
    std::memcpy(&value, rest_.data(), size);
    rest_.remove_prefix(size);
    return value;
  }

  // Up to the next NUL.
  std::string_view text() {
    const std::string_view text = rest_.substr(0, rest_.find('\0'));
    rest_.remove_prefix(text.size() < rest_.size() ? text.size() + 1 : text.size());
    return text;
  }

  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace taskhost::fuzz
