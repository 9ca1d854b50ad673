// Counts causes by their text: one count for each of the first few texts, and one for all others.
// A plain value of fixed size, so counting never fails.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskhost {

class CauseCounts {
 public:
  static constexpr std::size_t max_named = 4;
  static constexpr std::size_t longest = 160;  // bytes kept of each text's first line

  struct Cause {
    std::uint64_t count = 0;
    std::array<char, longest> bytes{};
    std::size_t size = 0;

    std::string_view text() const noexcept { return {bytes.data(), size}; }
  };

  void count(std::string_view cause) noexcept {
    cause = beginning_of(cause);
    for (Cause& known : causes_) {
      if (known.count == 0) {
        known.size = cause.copy(known.bytes.data(), cause.size());
      } else if (known.text() != cause) {
        continue;
      }
      ++known.count;
      return;
    }
    ++others_;
  }

  bool empty() const noexcept { return causes_.front().count == 0; }
  // In order of arrival; entries with a count of 0 are unused.
  const std::array<Cause, max_named>& causes() const noexcept { return causes_; }
  std::uint64_t others() const noexcept { return others_; }

 private:
  static std::string_view beginning_of(std::string_view text) noexcept {
    text = text.substr(0, text.find('\n'));
    if (text.size() <= longest) return text;
    std::size_t size = longest;
    while (size != 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;  // don't split a character
    return text.substr(0, size);
  }

  std::array<Cause, max_named> causes_{};
  std::uint64_t others_ = 0;
};

}  // namespace taskhost
