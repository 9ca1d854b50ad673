// A set of small numbers that finds its first and its last quickly: a bit for each number, and above each 64 bits one
// that says whether any of them is set. Only inserting a number larger than all before allocates. Every operation
// visits just the few levels, so the cost per task does not grow with the number of tasks. One thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace taskhost {

class PlaceSet {
 public:
  using Place = std::uint32_t;

  bool empty() const noexcept { return levels_.empty() || levels_.back()[0] == 0; }

  // Afterwards, inserting numbers below `count` does not allocate.
  void reserve(Place count) {
    if (count > capacity()) grow(count - 1);
  }

  void insert(Place place) {
    if (place >= capacity()) grow(place);
    std::size_t at = place;
    for (std::vector<std::uint64_t>& level : levels_) {
      std::uint64_t& word = level[at / bits];
      const bool was_empty = word == 0;
      word |= std::uint64_t{1} << at % bits;
      if (!was_empty) return;  // the levels above have the bit already
      at /= bits;
    }
  }

  void erase(Place place) noexcept {
    if (place >= capacity()) return;
    std::size_t at = place;
    for (std::vector<std::uint64_t>& level : levels_) {
      std::uint64_t& word = level[at / bits];
      word &= ~(std::uint64_t{1} << at % bits);
      if (word != 0) return;
      at /= bits;
    }
  }

  // The set must not be empty.
  Place first() const noexcept {
    std::size_t at = 0;
    for (std::size_t level = levels_.size(); level-- > 0;) {
      at = at * bits + static_cast<std::size_t>(std::countr_zero(levels_[level][at]));
    }
    return static_cast<Place>(at);
  }
  Place last() const noexcept {
    std::size_t at = 0;
    for (std::size_t level = levels_.size(); level-- > 0;) {
      at = at * bits + (bits - 1 - static_cast<std::size_t>(std::countl_zero(levels_[level][at])));
    }
    return static_cast<Place>(at);
  }

 private:
  static constexpr std::size_t bits = 64;

  std::size_t capacity() const noexcept { return levels_.empty() ? 0 : levels_[0].size() * bits; }

  void grow(Place place) {
    PlaceSet larger;
    std::size_t words = (place / bits + 1) * 2;
    while (words > 1) {
      larger.levels_.emplace_back(words);
      words = (words + bits - 1) / bits;
    }
    larger.levels_.emplace_back(1);
    for (; !empty(); erase(first())) larger.insert(first());
    levels_.swap(larger.levels_);
  }

  std::vector<std::vector<std::uint64_t>> levels_;  // from the numbers' own bits up to a single word
};

}  // namespace taskhost
