// The optional fields of a task's policy, all absent by default; SUPERVISION.md defines them. Plain values; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taskhost/core/clock.hpp"
#include "taskhost/core/outcome.hpp"
#include "taskhost/core/repetition.hpp"
#include "taskhost/core/words.hpp"

namespace taskhost {

// The delay before the k-th restart in a row.
struct Backoff {
  std::chrono::nanoseconds initial{0};
  double factor = 2;  // at least 1
  std::chrono::nanoseconds max = std::chrono::hours(1);
  double jitter = 0;  // 0 to 1

  // `restart` counts from 1; `random` is in [0, 1). The result, in nanoseconds, is at most `max`.
  Nanoseconds delay(std::uint64_t restart, double random) const noexcept;
  bool operator==(const Backoff&) const = default;
};

enum class ExitAction : std::uint8_t {
  restart,    // while the budget allows it
  discard,    // the other tasks go on
  stop_host,  // with success
  fail_host,  // with failure
  give_up,    // as if the budget were used up
  repeat,     // begin again, uncharged: when the repetition says, or after the backoff's first delay; needs one of them
};
template <>
inline constexpr auto words_of<ExitAction> = std::to_array<Word<ExitAction>>({{ExitAction::restart, "restart"},
                                                                              {ExitAction::discard, "discard"},
                                                                              {ExitAction::stop_host, "stop_host"},
                                                                              {ExitAction::fail_host, "fail_host"},
                                                                              {ExitAction::give_up, "give_up"},
                                                                              {ExitAction::repeat, "repeat"}});

// Overrides what the task's type says about an exit of this kind.
struct ExitRule {
  std::vector<Outcome> outcomes{};  // empty: any
  std::string message{};            // text that the exit's message contains; empty: any message
  ExitAction action = ExitAction::restart;

  bool matches(Outcome outcome, std::string_view its_message) const noexcept;
  bool operator==(const ExitRule&) const = default;
};

enum class GiveUp : std::uint8_t {
  by_type,    // mandatory: stop_host; detachable: discard
  stop_host,  // with failure
  discard,
  cooldown,  // wait, then start afresh
};
template <>
inline constexpr auto words_of<GiveUp> = std::to_array<Word<GiveUp>>({{GiveUp::by_type, "default"},
                                                                      {GiveUp::stop_host, "stop_host"},
                                                                      {GiveUp::discard, "discard"},
                                                                      {GiveUp::cooldown, "cooldown"}});

enum class WatchdogAction : std::uint8_t { log, restart };
template <>
inline constexpr auto words_of<WatchdogAction> =
    std::to_array<Word<WatchdogAction>>({{WatchdogAction::log, "log"}, {WatchdogAction::restart, "restart"}});

struct Watchdog {
  std::chrono::nanoseconds interval{0};
  WatchdogAction action = WatchdogAction::log;
  bool operator==(const Watchdog&) const = default;
};

struct SupervisionOptions {
  bool unlimited = false;                                   // no limit on restarts; needs a backoff
  std::optional<std::chrono::nanoseconds> window{};         // only restarts within it count towards the budget
  std::optional<Backoff> backoff{};                         // absent: restarts are immediate
  std::optional<std::chrono::nanoseconds> reset_after{};    // one that lived this long resets budget and backoff
  bool isolated = false;                                    // each execution in a process of its own, which may crash
  bool notify = false;                                      // ready when it says so, not when it has started
  std::optional<std::chrono::nanoseconds> start_timeout{};  // from the start until it is ready
  std::optional<Watchdog> watchdog{};
  GiveUp on_give_up = GiveUp::by_type;
  std::chrono::nanoseconds cooldown{0};
  std::vector<ExitRule> exit_rules{};  // the first that matches counts
  std::optional<Repetition> repeat{};  // an exit that is ok is a repeat, and this says when repeats are due

  bool repeats_after_delay() const noexcept;  // whether some exit rule's repeat waits for the backoff's first delay
  bool operator==(const SupervisionOptions&) const = default;
};

// Which members of a group restart together: Erlang/OTP's strategies.
enum class Strategy : std::uint8_t { one_for_one, one_for_all, rest_for_one };
template <>
inline constexpr auto words_of<Strategy> = std::to_array<Word<Strategy>>({{Strategy::one_for_one, "one_for_one"},
                                                                          {Strategy::one_for_all, "one_for_all"},
                                                                          {Strategy::rest_for_one, "rest_for_one"}});

}  // namespace taskhost
