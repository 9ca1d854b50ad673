// Keeps a storm out of the log: a token bucket for a shard's routine lines, and a count of what it held back.
// Not thread-safe; the shard's.
#pragma once

#include <algorithm>
#include <cstdint>

#include "taskhost/core/clock.hpp"
#include "taskhost/core/event.hpp"

namespace taskhost {

class LogGate {
 public:
  static constexpr std::uint32_t burst = 120;          // lines at once
  static constexpr std::uint32_t lines_a_second = 12;  // after that, on average
  static constexpr Nanoseconds summary_interval = 2'000'000'000;
  static constexpr std::uint64_t storm = 1000;  // held back between two summaries

  // Whether an event of this kind goes to the log. What must never be missing always does.
  bool admit(EventKind kind, Outcome outcome, const char* task) noexcept {
    const bool counts = kind == EventKind::task_abandoned || kind == EventKind::task_stalled ||
                        kind == EventKind::task_gave_up ||
                        (kind == EventKind::task_discarded && outcome != Outcome::ok);
    return counts || admit_again(kind, task);
  }
  // Of what is never missing the first time, but may be when it comes again and again.
  bool admit_again(EventKind kind, const char* task) noexcept {
    // While lines are held back, all are: a storm's log is a summary, with no odd line in between.
    if (tokens_ != 0 && held_.last_task == nullptr) {
      --tokens_;
      return true;
    }
    hold_back(kind, task);
    return false;
  }

  // A storm: admit would hold back all but what must never be missing.
  bool holds_back() const noexcept { return held_.last_task != nullptr; }
  void hold_back(EventKind kind, const char* task) noexcept {
    held_.last_task = task;
    switch (kind) {
      case EventKind::task_started:
        ++held_.starts;
        return;
      case EventKind::task_exited:
        ++held_.exits;
        return;
      case EventKind::task_restarting:
        ++held_.restarts;
        return;
      case EventKind::task_stalled:
        ++held_.stalls;
        return;
      case EventKind::host_started:
      case EventKind::plugin_loaded:
      case EventKind::task_ready:
      case EventKind::task_discarded:
      case EventKind::task_gave_up:
      case EventKind::task_stopping:
      case EventKind::task_stopped:
      case EventKind::task_abandoned:
      case EventKind::host_stopping:
      case EventKind::host_stopped:
        ++held_.ends;
        return;
    }
  }

  // While it holds back: a start; and an exit with its restart.
  void hold_back_start() noexcept { ++held_.starts; }
  void hold_back_restart(const char* task) noexcept {
    held_.last_task = task;
    ++exits_and_restarts_;
  }

  // Returns true and fills `summary` when one is due.
  bool refill(Nanoseconds now, LogSummary& summary) noexcept {
    if (tokens_ < burst) {
      const std::uint64_t earned = (now - refilled_) / (1'000'000'000 / lines_a_second);
      if (earned != 0) {
        tokens_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(burst, tokens_ + earned));
        refilled_ = now;
      }
    } else {
      refilled_ = now;
    }
    if (held_.last_task == nullptr) return false;
    if (summary_due_ == never) {
      held_since_ = now;
      summary_due_ = now + summary_interval;
    }
    if (now < summary_due_ || !take(now, summary)) return false;
    // A storm that still rages earns nothing: its next lines are held back at once, for the next summary.
    if (summary.starts + summary.exits + summary.restarts + summary.stalls + summary.ends > storm) {
      tokens_ = 0;
      refilled_ = now;
    }
    return true;
  }

  // What is held back, at once: for the end.
  bool take(Nanoseconds now, LogSummary& summary) noexcept {
    if (held_.last_task == nullptr) return false;
    summary = held_;
    summary.exits += exits_and_restarts_;
    summary.restarts += exits_and_restarts_;
    exits_and_restarts_ = 0;
    summary.milliseconds = summary_due_ == never ? 0 : (now - held_since_) / 1'000'000;
    held_ = LogSummary{};
    summary_due_ = never;
    return true;
  }

  // When refill should be called next, or never.
  Nanoseconds next_deadline() const noexcept { return summary_due_; }

 private:
  std::uint32_t tokens_ = burst;
  Nanoseconds refilled_ = 0;
  Nanoseconds summary_due_ = never;
  Nanoseconds held_since_ = 0;
  LogSummary held_;
  std::uint64_t exits_and_restarts_ = 0;
};

}  // namespace taskhost
