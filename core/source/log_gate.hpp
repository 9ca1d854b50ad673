// Keeps storms out of the log: a token bucket for a shard's routine lines, and counts, with causes, of what it held
// back. Not thread-safe; used by the shard's owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "taskhost/core/clock.hpp"
#include "taskhost/core/event.hpp"

namespace taskhost {

class LogGate {
 public:
  static constexpr std::uint32_t burst = 120;          // lines at once
  static constexpr std::uint32_t lines_a_second = 12;  // after that, on average
  static constexpr Nanoseconds summary_interval = 2'000'000'000;
  static constexpr std::uint64_t storm = 1000;  // more lines than this held back between two summaries are a storm

  // `shown`: the lowest level that the log shows. Lines below it use no tokens, and are in no summary.
  explicit LogGate(LogLevel shown) noexcept : shown_(shown), passing_(shown) {}

  // Whether the log gets a line for this news, or for the event made from it. Lines that must never be missing pass.
  template <class News>
  bool admit(const News& news, const char* task, bool host_stops) noexcept {
    const LogLevel level = log_level(news, host_stops);
    const bool counts = level == LogLevel::error || news.kind == EventKind::task_stalled ||
                        (news.kind == EventKind::task_discarded && is_lost(news));
    return counts ? level >= shown_ : admit_again(news, task, host_stops);
  }
  // The same for news that must be shown the first time, but not when they are repeated.
  template <class News>
  bool admit_again(const News& news, const char* task, bool host_stops) noexcept {
    const LogLevel level = log_level(news, host_stops);
    if (level < shown_) return false;
    // While any line is held back, all are: a storm's log is a summary, without stray lines in between.
    if (tokens_ != 0 && !holds_back()) {
      --tokens_;
      return true;
    }
    begin_to_hold_back(task);
    held_.level = std::max(held_.level, level);
    if (!news.message.empty()) count_cause(news.message);
    switch (news.kind) {
      case EventKind::task_started:
        ++held_.starts;
        return false;
      case EventKind::task_exited:
        ++held_.exits;
        if (news.outcome != Outcome::ok) ++held_.failures;
        return false;
      case EventKind::task_restarting:
        ++held_.restarts;
        return false;
      case EventKind::task_stalled:
        ++held_.stalls;
        return false;
      case EventKind::host_started:
      case EventKind::task_ready:
      case EventKind::task_discarded:
      case EventKind::task_gave_up:
      case EventKind::task_stopping:
      case EventKind::task_stopped:
      case EventKind::task_abandoned:
      case EventKind::host_stopping:
      case EventKind::host_stopped:
        ++held_.ends;
        return false;
    }
    return false;
  }

  bool holds_back() const noexcept { return held_.last_task != nullptr; }

  // Whether the log may get a routine line of this level: not in a storm, and not below the level shown. If it may not,
  // a start, or an exit with its restart, may be counted by the two functions below, which cost next to nothing.
  bool passes(LogLevel level) const noexcept { return level >= passing_; }
  void hold_back_start() noexcept { ++starts_; }
  void hold_back_restart(Outcome outcome, const char* task, const std::string* message) noexcept {
    const bool failed = outcome != Outcome::ok;
    ++(failed ? bad_restarts_ : good_restarts_);
    if (shown_ > (failed ? LogLevel::warning : LogLevel::info)) return;
    begin_to_hold_back(task);
    if (failed && message != nullptr && !message->empty()) count_cause(*message);
  }

  // How often hold_back_restart was called, for exits that were ok, and for others.
  std::uint64_t all_good_restarts() const noexcept { return good_restarts_; }
  std::uint64_t all_bad_restarts() const noexcept { return bad_restarts_; }

  // Whether a summary is due.
  bool refill(Nanoseconds now) noexcept {
    if (tokens_ < burst) {
      const std::uint64_t earned = (now - refilled_) / (1'000'000'000 / lines_a_second);
      if (earned != 0) {
        tokens_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(burst, tokens_ + earned));
        refilled_ = now;
      }
    } else {
      refilled_ = now;
    }
    if (!holds_back()) return false;
    if (summary_due_ == never) {
      held_since_ = now;
      summary_due_ = now + summary_interval;
    }
    return now >= summary_due_;
  }

  // Returns what is held back, and starts anew. Only if it holds something back.
  LogSummary take(Nanoseconds now) noexcept {
    LogSummary summary = std::exchange(held_, LogSummary{});
    const bool with_routine = shown_ <= LogLevel::info;
    const std::uint64_t all_good = good_restarts_ - std::exchange(told_good_restarts_, good_restarts_);
    const std::uint64_t good = with_routine ? all_good : 0;
    const std::uint64_t bad = bad_restarts_ - std::exchange(told_bad_restarts_, bad_restarts_);
    if (with_routine) {
      summary.starts += starts_;
      summary.restarts += good + bad;
    }
    summary.exits += good + bad;
    summary.failures += bad;
    summary.level = std::max(summary.level, bad != 0 ? LogLevel::warning : LogLevel::info);
    summary.milliseconds = summary_due_ == never ? 0 : (now - held_since_) / 1'000'000;
    starts_ = 0;
    passing_ = shown_;
    summary_due_ = never;
    // During a storm no tokens are earned: its next lines are held back at once, for the next summary.
    if (summary.starts + summary.exits + summary.restarts + summary.stalls + summary.ends > storm) {
      tokens_ = 0;
      refilled_ = now;
    }
    return summary;
  }

  // When refill should be called next, or never.
  Nanoseconds next_deadline() const noexcept { return summary_due_; }

 private:
  // Not inlined: restarts mostly have no message.
  [[gnu::noinline]] void count_cause(std::string_view message) noexcept { held_.causes.count(message); }
  void begin_to_hold_back(const char* task) noexcept {
    held_.last_task = task;
    passing_ = LogLevel::error;
  }

  const LogLevel shown_;
  LogLevel passing_;
  std::uint32_t tokens_ = burst;
  Nanoseconds refilled_ = 0;
  Nanoseconds summary_due_ = never;
  Nanoseconds held_since_ = 0;
  std::uint64_t starts_ = 0;
  std::uint64_t good_restarts_ = 0;  // all of them
  std::uint64_t bad_restarts_ = 0;
  std::uint64_t told_good_restarts_ = 0;  // in summaries
  std::uint64_t told_bad_restarts_ = 0;
  LogSummary held_;
};

}  // namespace taskhost
