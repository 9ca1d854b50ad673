#include "policy/delays.hpp"

#include <cmath>

#include "policy/rules.hpp"

namespace taskhost {

namespace {

using std::chrono::nanoseconds;

constexpr std::size_t max_listed = 12;

// Rounds sums of floating-point numbers to the microsecond: nobody waits for less.
nanoseconds rounded(Nanoseconds delay) {
  constexpr Nanoseconds step = 1000;
  const auto whole = static_cast<std::int64_t>(delay);
  if (delay < 1000 * step) return nanoseconds(whole);
  return nanoseconds(static_cast<std::int64_t>((delay + step / 2) / step * step));
}

DelayRange range_of(const Backoff& backoff, std::uint64_t restart) {
  return {rounded(backoff.delay(restart, 0)), rounded(backoff.delay(restart, 1))};
}

}  // namespace

RestartDelays restart_delays(const TaskOptions& options) {
  static const SupervisionOptions none;
  const SupervisionOptions& optional = options.optional ? *options.optional : none;
  RestartDelays delays;
  const std::uint64_t restarts = optional.unlimited ? ~std::uint64_t{0} : options.restarts;
  if (!optional.unlimited) {
    delays.gives_up_after = optional.backoff ? shortest_delays(*optional.backoff, restarts) : nanoseconds(0);
  }
  if (!optional.backoff || restarts == 0) return delays;
  for (std::uint64_t restart = 1; restart <= restarts; ++restart) {
    const DelayRange range = range_of(*optional.backoff, restart);
    if (!delays.first.empty() && range == delays.first.back()) {
      delays.rest = range;
      break;
    }
    if (delays.first.size() == max_listed) {
      delays.left_out = restarts - restart + 1;
      break;
    }
    delays.first.push_back(range);
  }
  return delays;
}

DelayRange repeat_delay(const Backoff& backoff) { return range_of(backoff, 1); }

}  // namespace taskhost
