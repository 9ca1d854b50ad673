// What a test's process is doing, in memory that it shares with its parent: so that the parent can say what a plugin
// was doing when it crashed, hung or ended the process. Written with lock-free atomics only, by any thread and by
// signal handlers; with two executions at once the last writer wins.
#pragma once

#include <atomic>
#include <cstdint>

namespace taskhost::verify {

enum class Phase : std::uint32_t { none, load, entry, start, poll, run, finish, drop, check, work };

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
  }
  return "";
}

// What a crash hit, if that is known.
enum class Hit : std::uint32_t { unknown, behind_state, before_state, dropped_state, text, dropped_text };

struct Progress {
  std::atomic<Phase> phase{Phase::none};
  std::atomic<std::uint64_t> execution{0};  // its number
  std::atomic<std::uint64_t> call{0};       // number of the call to that function within the execution, from 1
  std::atomic<std::int64_t> call_began{0};  // by the steady clock, in nanoseconds
  std::atomic<bool> stop_requested{false};
  std::atomic<bool> exit_called{false};
  std::atomic<std::int64_t> alive{0};        // executions that were started and not dropped
  std::atomic<bool> child_returned{false};   // a process that a function forked came out of that function
  std::atomic<bool> crashed_outside{false};  // a thread outside of any call crashed: `phase` says nothing about it
  std::atomic<Hit> hit{Hit::unknown};
  std::atomic<std::int64_t> hit_offset{0};  // bytes from the border that was crossed, or from a dropped state's start
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace taskhost::verify
