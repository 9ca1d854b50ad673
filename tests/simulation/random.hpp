// Random numbers that are the same for the same seed, on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace taskhost::simulation {

class Random {
 public:
  // An independent stream for each combination of numbers.
  template <class... Numbers>
  explicit constexpr Random(Numbers... numbers) noexcept {
    ((state_ = (state_ ^ static_cast<std::uint64_t>(numbers)) + 0x9e3779b97f4a7c15u, next()), ...);
  }

  constexpr std::uint64_t next() noexcept {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    std::uint64_t value = state_ ^ state_ >> 32;
    value *= 0xd6e8feb86659fd93u;
    return value ^ value >> 32;
  }
  constexpr std::uint64_t below(std::uint64_t limit) noexcept { return (next() >> 16) % limit; }
  constexpr bool percent(unsigned chance) noexcept { return below(100) < chance; }
  template <class Value, std::size_t Size>
  constexpr const Value& one_of(const std::array<Value, Size>& values) noexcept {
    return values[below(Size)];
  }

 private:
  std::uint64_t state_ = 0;
};

}  // namespace taskhost::simulation
