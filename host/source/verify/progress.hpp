// What a test's process is doing, in memory that it shares with its parent: so that the parent can say what a plugin
// was doing when it crashed, hung or ended the process. Written with lock-free atomics only, by any thread and by
// signal handlers; with two executions at once the last writer wins.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace taskhost::verify {

enum class Phase : std::uint32_t { none, load, entry, start, poll, run, finish, drop, check, work, unload };

inline const char* phase_words(Phase phase) {
  switch (phase) {
    case Phase::none:
      return "outside of any call";
    case Phase::load:
      return "while the library was being loaded";
    case Phase::entry:
      return "in its entry";
    case Phase::start:
      return "in start";
    case Phase::poll:
      return "in poll";
    case Phase::run:
      return "in run";
    case Phase::finish:
      return "in finish";
    case Phase::drop:
      return "in drop";
    case Phase::check:
      return "in check";
    case Phase::work:
      return "in offloaded work";
    case Phase::unload:
      return "in its destructors and exit handlers";
  }
  return "";
}

// What a crash hit, if that is known.
enum class Hit : std::uint32_t { unknown, behind_state, before_state, dropped_state, text, dropped_text };

// The host's default: how long an execution that is asked to stop may take.
constexpr std::chrono::nanoseconds stop_timeout = std::chrono::seconds(10);

struct Progress {
  std::atomic<Phase> phase{Phase::none};
  std::atomic<std::uint64_t> execution{0};  // its number
  std::atomic<std::uint64_t> call{0};       // number of the call to that function within the execution, from 1
  std::atomic<std::int64_t> call_began{0};  // by the steady clock, in nanoseconds
  std::atomic<bool> stop_requested{false};
  std::atomic<std::int64_t> stop_began{0};  // by the steady clock: when that was; 0 if it was not
  std::atomic<bool> exit_called{false};
  std::atomic<bool> sent_kill{false};   // it has sent a SIGKILL, perhaps to itself
  std::atomic<std::int64_t> alive{0};   // executions that were started and not dropped
  std::atomic<bool> is_refused{false};  // the kit itself could not go on: `refusal`, an errno, or 0 for none
  std::atomic<int> refusal{0};
  std::atomic<bool> has_used_it_up{false};     // the plugin holds so much of it that this may be the reason
  std::atomic<bool> child_returned{false};     // a process that a function forked came out of that function
  std::atomic<bool> crashed_outside{false};    // a thread outside of any call crashed: `phase` says nothing about it
  std::atomic<bool> crashed_elsewhere{false};  // it was none of the kit's
  std::atomic<int> own_threads{0};             // the plugin's own that ran when it crashed
  std::atomic<Hit> hit{Hit::unknown};
  std::atomic<std::int64_t> hit_offset{0};  // bytes from the border that was crossed, or from a dropped state's start

  static std::int64_t steady_time() noexcept { return std::chrono::steady_clock::now().time_since_epoch().count(); }
  void enter(Phase call_phase) noexcept {
    call_began = steady_time();
    phase = call_phase;
  }
};

// For how long it has been in a call; in a run, which may last, since that was asked to stop.
inline std::chrono::nanoseconds time_in_call(const Progress& progress) noexcept {
  const Phase phase = progress.phase;
  const std::int64_t began = phase == Phase::run ? progress.stop_began.load() : progress.call_began.load();
  return std::chrono::nanoseconds(phase == Phase::none || began == 0 ? 0 : Progress::steady_time() - began);
}

// Whether it is in a call that should have returned long ago, however slow the machine is.
inline bool is_stuck(const Progress& progress, std::chrono::nanoseconds time_limit) noexcept {
  constexpr std::chrono::nanoseconds long_call = std::chrono::seconds(2);
  if (progress.phase == Phase::run) return time_in_call(progress) >= stop_timeout + long_call;
  return time_in_call(progress) >= (time_limit / 2 > long_call ? time_limit / 2 : long_call);
}

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace taskhost::verify
