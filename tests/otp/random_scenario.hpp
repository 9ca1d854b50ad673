// Random scenarios: the same seed gives the same scenario, on every machine.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "lockstep.hpp"

namespace taskhost::test {

class RandomScenario {
 public:
  explicit RandomScenario(std::uint64_t seed);

  const Setup& setup() const noexcept { return setup_; }
  // The next step from this state; the last one stops everything. It avoids known differences after which the two sides
  // can't be brought together again.
  Step next(const Lockstep& state);

 private:
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  std::optional<Step> candidate(const Lockstep& state);
  bool is_compared(const Lockstep& state, const Step& step) const;
  bool exit_is_compared(const Lockstep& state, const Step& step) const;
  bool start_is_blocked(const Lockstep& state, std::size_t child) const;
  bool may_be_charged(std::size_t child) const { return !one_failing_ || *one_failing_ == child; }

  std::mt19937_64 engine_;
  Setup setup_;
  std::optional<std::size_t> one_failing_;  // with a small budget, since OTP's is shared and taskhost's is not
  std::size_t steps_left_ = 0;
};

}  // namespace taskhost::test
