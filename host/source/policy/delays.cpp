#include "policy/delays.hpp"

#include <algorithm>

#include "taskhost/core/policy_check.hpp"

namespace taskhost {

namespace {

using std::chrono::nanoseconds;

constexpr std::size_t max_listed = 12;

nanoseconds duration_of(Nanoseconds delay) { return nanoseconds(static_cast<std::int64_t>(delay)); }

DelayRange range_of(const Backoff& backoff, std::uint64_t restart) {
  return {duration_of(backoff.delay(restart, 0)), duration_of(backoff.delay(restart, 1))};
}

// The first restart whose delay is that of all later ones, up to `restarts`.
std::optional<std::uint64_t> first_of_rest(const Backoff& backoff, std::uint64_t restarts) {
  if (backoff.factor == 1) return 1;
  const auto is_longest = [&](std::uint64_t restart) {
    return backoff.delay(restart, 0) >= to_nanoseconds(backoff.max);
  };
  std::uint64_t least = 1;
  std::uint64_t most = restarts;
  if (!is_longest(most)) return std::nullopt;
  while (least < most) {
    const std::uint64_t middle = least + (most - least) / 2;
    if (is_longest(middle)) {
      most = middle;
    } else {
      least = middle + 1;
    }
  }
  return most;
}

// Whether all delays and finishes, if each is as long as it can be, are too long for the window.
bool may_exceed_window(const SupervisionOptions& optional, std::uint64_t restarts, nanoseconds finish) {
  const Backoff backoff = optional.backoff.value_or(Backoff{.initial = nanoseconds(0), .factor = 1});
  if (!optional.window || !(backoff.jitter > 0 || finish.count() > 0)) return false;
  const auto window = static_cast<double>(optional.window->count());
  double sum = 0;
  for (std::uint64_t restart = 1; restart <= restarts && sum < window; ++restart) {
    const DelayRange range = range_of(backoff, restart);
    const bool is_rest = backoff.factor == 1 || range.least >= backoff.max;
    const auto count = static_cast<double>(is_rest ? restarts - restart + 1 : 1);
    sum += count * static_cast<double>((range.most + std::max(min_execution_time, finish)).count());
    if (is_rest) break;
  }
  return sum >= window;
}

// Whether so many delays, from the given one on, fit into the window.
bool fit(const Backoff& backoff, std::uint64_t from, std::uint64_t restarts, nanoseconds window) {
  const Nanoseconds room = to_nanoseconds(window);
  Nanoseconds sum = 0;
  for (std::uint64_t restart = from; restart < from + restarts && sum <= room; ++restart) {
    const Nanoseconds delay = backoff.delay(restart, 0);
    if (delay >= to_nanoseconds(backoff.max) || backoff.factor == 1) {
      return delay <= (room - sum) / (from + restarts - restart);
    }
    sum += delay;
  }
  return sum <= room;
}

// `rest`: the first restart whose delay is the longest.
void find_most_restarts(const TaskOptions& options, std::uint64_t rest, RestartDelays& delays) {
  const SupervisionOptions& optional = options.supervision();
  const Backoff& backoff = *optional.backoff;
  if (fit(backoff, rest, options.restarts, *optional.window)) return;
  std::uint64_t most = rest;  // from there they do not
  std::uint64_t least = 1;    // from there they do, or the window would have been refused
  while (least + 1 < most) {
    const std::uint64_t middle = least + (most - least) / 2;
    (fit(backoff, middle, options.restarts, *optional.window) ? least : most) = middle;
  }
  delays.most_restarts = least + options.restarts - 1;
  // Executions take time, too.
  const nanoseconds longest = *optional.window / options.restarts - min_execution_time;
  const nanoseconds exact = longest - nanoseconds(1);
  const nanoseconds coarse = exact - exact % std::chrono::milliseconds(1);
  if (exact > backoff.initial) delays.fitting_max = coarse > backoff.initial ? coarse : exact;
}

}  // namespace

RestartDelays restart_delays(const TaskOptions& options, nanoseconds finish) {
  const SupervisionOptions& optional = options.supervision();
  RestartDelays delays;
  const bool is_endless = optional.unlimited || (optional.window && options.restarts != 0);
  const std::uint64_t restarts = is_endless ? ~std::uint64_t{0} : options.restarts;  // those that may have a delay
  if (!optional.unlimited) {
    delays.may_never = may_exceed_window(optional, options.restarts, finish);
    delays.used_up_after = optional.backoff ? shortest_delays(*optional.backoff, options.restarts) : nanoseconds(0);
  }
  if (!optional.backoff || optional.backoff->initial.count() == 0 || restarts == 0) return delays;
  const Backoff& backoff = *optional.backoff;
  const std::optional<std::uint64_t> rest = first_of_rest(backoff, restarts);
  if (rest) delays.rest = {*rest, range_of(backoff, *rest)};
  delays.saturates = rest.value_or(1) > 1;
  const std::uint64_t added = optional.unlimited ? restarts : options.restarts;
  delays.is_about = std::min(added, rest.value_or(added)) > max_added_delays;
  if (rest && optional.window && !optional.unlimited) find_most_restarts(options, *rest, delays);
  const std::uint64_t different = rest ? *rest - 1 : restarts;  // those before the rest
  const std::uint64_t listed = std::min<std::uint64_t>(different, max_listed);
  for (std::uint64_t restart = 1; restart <= listed; ++restart) delays.first.push_back(range_of(backoff, restart));
  if (!rest && different > listed && !is_endless) delays.last = {restarts, range_of(backoff, restarts)};
  return delays;
}

std::vector<Nanoseconds> next_times(const Schedule& schedule, Nanoseconds now) {
  constexpr std::size_t most = 5;
  std::vector<Nanoseconds> times;
  Nanoseconds last = schedule.wall_time(now);
  while (times.size() < most && (last = schedule.next(last)) != never) times.push_back(last);
  return times;
}

DelayRange repeat_delay(const Backoff& backoff) { return range_of(backoff, 1); }

std::optional<nanoseconds> longest_counted_execution(const TaskOptions& options, bool full_delays) {
  if (!options.optional || !options.optional->window || options.optional->unlimited || options.restarts == 0) {
    return std::nullopt;
  }
  const SupervisionOptions& optional = *options.optional;
  const nanoseconds delays =
      optional.backoff && full_delays ? shortest_delays(*optional.backoff, options.restarts) : nanoseconds(0);
  return std::max(nanoseconds(0), *optional.window - delays) / options.restarts;
}

}  // namespace taskhost
