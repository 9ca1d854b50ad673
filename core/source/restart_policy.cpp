#include "restart_policy.hpp"

#include <algorithm>
#include <cmath>

#include "taskhost/core/duration.hpp"

namespace taskhost {

namespace {

// splitmix64's finalizer: bits that look random, but are always the same for the same input.
constexpr std::uint64_t mix(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

// How many of the times lie in the window. Older ones are erased once they are the majority.
std::size_t count_within(std::vector<Nanoseconds>& times, Nanoseconds window, Nanoseconds now) {
  if (times.empty() || later(times.front(), window) >= now) return times.size();  // the usual case
  const auto first = std::partition_point(times.begin(), times.end(),
                                          [=](Nanoseconds charged) { return later(charged, window) < now; });
  const auto count = static_cast<std::size_t>(times.end() - first);
  if (count < times.size() / 2) times.erase(times.begin(), first);
  return count;
}

std::uint32_t charged_at(RestartLedger& ledger, const SupervisionOptions& optional, Nanoseconds now) noexcept {
  if (!optional.window) return ledger.charged;
  return static_cast<std::uint32_t>(count_within(ledger.times, to_nanoseconds(*optional.window), now));
}

ExitAction action_by_type(TaskType type, Outcome outcome) noexcept {
  switch (type) {
    case TaskType::shutdown_on_exit:
      return outcome == Outcome::ok ? ExitAction::stop_host : ExitAction::fail_host;
    case TaskType::mandatory:
      return ExitAction::restart;
    case TaskType::detachable:
      return outcome == Outcome::ok ? ExitAction::discard : ExitAction::restart;
  }
  return ExitAction::fail_host;  // not a TaskType
}

}  // namespace

Nanoseconds Backoff::delay(std::uint64_t restart, double random) const noexcept {
  if (initial.count() <= 0) return 0;  // below, an infinite factor times 0 would not be a number
  const auto longest = static_cast<double>(max.count());
  const double steps = std::pow(factor, static_cast<double>(restart - 1));  // may be infinite
  const double plain = std::min(longest, static_cast<double>(initial.count()) * steps);
  const double jittered = std::min(longest, plain + plain * jitter * random);
  return static_cast<Nanoseconds>(std::round(jittered));  // powers are not exact
}

bool ExitRule::matches(Outcome outcome, std::string_view its_message) const noexcept {
  const bool outcome_fits = outcomes.empty() || std::find(outcomes.begin(), outcomes.end(), outcome) != outcomes.end();
  return outcome_fits && its_message.find(message) != std::string_view::npos;
}

bool SupervisionOptions::repeats_after_delay() const noexcept {
  return !repeat && std::any_of(exit_rules.begin(), exit_rules.end(),
                                [](const ExitRule& rule) { return rule.action == ExitAction::repeat; });
}

void RestartLedger::give_back() noexcept {
  charged = 0;
  times.clear();
  in_a_row = 0;
}

void give_back_after(const TaskOptions& options, RestartLedger& ledger, Nanoseconds uptime) noexcept {
  const SupervisionOptions& optional = options.supervision();
  if (optional.reset_after && uptime >= to_nanoseconds(*optional.reset_after)) ledger.give_back();
}

ExitAction action_on_exit(const TaskOptions& options, Outcome outcome, std::string_view message) noexcept {
  const SupervisionOptions& optional = options.supervision();
  const auto rule = std::find_if(optional.exit_rules.begin(), optional.exit_rules.end(),
                                 [&](const ExitRule& candidate) { return candidate.matches(outcome, message); });
  if (rule != optional.exit_rules.end()) return rule->action;
  if (optional.repeat && outcome == Outcome::ok) return ExitAction::repeat;
  return action_by_type(options.type, outcome);
}

std::string lateness_message(std::chrono::nanoseconds start_timeout) {
  return "was not ready within " + print_duration(start_timeout);
}
std::string silence_message(std::chrono::nanoseconds interval) {
  return "no heartbeat for " + print_duration(interval);
}

Consequence judge_exit(const TaskOptions& options, RestartLedger& ledger, Outcome outcome, std::string_view message,
                       Nanoseconds now, double random) {
  const SupervisionOptions& optional = options.supervision();
  switch (action_on_exit(options, outcome, message)) {
    case ExitAction::discard:
      return {Consequence::Kind::discard};
    case ExitAction::stop_host:
      return {Consequence::Kind::stop_host_success};
    case ExitAction::fail_host:
      return {Consequence::Kind::stop_host_failure};
    case ExitAction::give_up:
      return {Consequence::Kind::give_up};
    case ExitAction::repeat:
      ++ledger.lifetime;
      return {Consequence::Kind::repeat, optional.backoff ? optional.backoff->delay(1, random) : 0};
    case ExitAction::restart:
      break;
  }
  if (!optional.unlimited && charged_at(ledger, optional, now) >= options.restarts) return {Consequence::Kind::give_up};
  if (optional.window && !optional.unlimited) {
    ledger.times.push_back(now);
  } else if (!optional.unlimited) {
    ++ledger.charged;
  }
  ++ledger.in_a_row;
  ++ledger.lifetime;
  return {Consequence::Kind::restart, optional.backoff ? optional.backoff->delay(ledger.in_a_row, random) : 0};
}

double chance(std::uint64_t seed, std::uint64_t task, std::uint64_t restart) noexcept {
  return static_cast<double>(mix(mix(seed ^ task) ^ restart) >> 11) * 0x1p-53;
}

GiveUp after_giving_up(const TaskOptions& options) noexcept {
  const GiveUp chosen = options.supervision().on_give_up;
  if (chosen != GiveUp::by_type) return chosen;
  return options.type == TaskType::detachable ? GiveUp::discard : GiveUp::stop_host;
}

std::optional<std::uint32_t> remaining_restarts(const TaskOptions& options, RestartLedger& ledger,
                                                Nanoseconds now) noexcept {
  const SupervisionOptions& optional = options.supervision();
  if (optional.unlimited) return std::nullopt;
  return options.restarts - std::min(options.restarts, charged_at(ledger, optional, now));
}

}  // namespace taskhost
