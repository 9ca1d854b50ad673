// Decides what an exit of a task with optional fields means, from its rules, type, budget and backoff. Pure: time and
// random numbers are passed in. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taskhost/core/supervision_options.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

// What a task has used up.
struct RestartLedger {
  std::uint32_t charged = 0;       // without a window: restarts since the budget was reset
  std::vector<Nanoseconds> times;  // with a window: times of the restarts that may still lie in it, oldest first
  std::uint64_t in_a_row = 0;      // restarts since the backoff was reset
  std::uint64_t lifetime = 0;      // restarts and repeats ever

  void give_back() noexcept;
};

// The consequence of an exit.
struct Consequence {
  enum class Kind : std::uint8_t { restart, repeat, discard, stop_host_success, stop_host_failure, give_up };
  Kind kind = Kind::discard;
  Nanoseconds delay = 0;  // of a restart or repeat; of the latter only if the task has no times of its own
};

// To be called first: resets the ledger if the execution lived long enough.
void give_back_after(const TaskOptions& options, RestartLedger& ledger, Nanoseconds uptime) noexcept;

// Then judges the exit at `now`. A restart is charged; `random`, in [0, 1), is for its jitter.
Consequence judge_exit(const TaskOptions& options, RestartLedger& ledger, Outcome outcome, std::string_view message,
                       Nanoseconds now, double random);

// The action of the first exit rule that matches, or else that of `repeat` or the type.
ExitAction action_on_exit(const TaskOptions& options, Outcome outcome, std::string_view message) noexcept;

// The failure messages of an execution that was not ready in time, or gave no heartbeat.
std::string lateness_message(std::chrono::nanoseconds start_timeout);
std::string silence_message(std::chrono::nanoseconds interval);

// For a task's jitter: a number in [0, 1) that looks random, but is always the same for the same seed, task and
// restart.
double chance(std::uint64_t seed, std::uint64_t task, std::uint64_t restart) noexcept;

// What giving up leads to; never GiveUp::by_type.
GiveUp after_giving_up(const TaskOptions& options) noexcept;

// The budget left at `now`; nullopt if it is unlimited.
std::optional<std::uint32_t> remaining_restarts(const TaskOptions& options, RestartLedger& ledger,
                                                Nanoseconds now) noexcept;

}  // namespace taskhost
