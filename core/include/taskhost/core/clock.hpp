// Monotonic time, passed in by the caller. No decision in core depends on the wall clock. Any thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace taskhost {

// Nanoseconds since an arbitrary point, as in the C ABI.
using Nanoseconds = std::uint64_t;
inline constexpr Nanoseconds never = ~Nanoseconds{0};

constexpr Nanoseconds to_nanoseconds(std::chrono::nanoseconds duration) noexcept {
  return duration.count() < 0 ? 0 : static_cast<Nanoseconds>(duration.count());
}

// a + b, or `never` if that would overflow.
constexpr Nanoseconds later(Nanoseconds a, Nanoseconds b) noexcept { return b > never - a ? never : a + b; }

// In nanoseconds. A supervision timer that is checked later than this after it was due means that the process or thread
// was not running (SIGSTOP, a suspended machine, a debugger, a starved container), and says nothing about the task. So
// it is rearmed, once.
inline constexpr Nanoseconds standstill = 10'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Nanoseconds now() const noexcept = 0;
};

class SteadyClock final : public Clock {
 public:
  static Nanoseconds read() noexcept {
    return static_cast<Nanoseconds>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count());
  }
  Nanoseconds now() const noexcept override { return read(); }
};

}  // namespace taskhost
