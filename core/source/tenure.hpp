// One thread's time as the owner of a shard. Whoever runs a shard has a tenure; it ends when the shard does, or when
// the monitor takes the shard away because a call into task code does not return. What the thread then brings back,
// late, goes through its tenure too.
//
// The owner marks the begin and the end of each call with a store, counts steps (a restart, or a poll), and looks once
// after each call whether somebody contests it. The monitor, which has seen one step take too long, pins the call: its
// end waits then, if it comes, until the monitor has taken the shard or let go. So the monitor may look at the task
// meanwhile, and publish its events in order.
//
//            pin                  take                  come_back
//   held ─────────▶ contested ─────────▶ taken ──────────────────────▶ back      the result counts as usual
//     ◀─────────────────┘                  └─────────────────────────▶ abandoned  the stop was over; nobody waits for
//     it
//           unpin                                  abandon
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "asymmetric_fence.hpp"
#include "call_frame.hpp"
#include "taskhost/core/outcome.hpp"

namespace taskhost {

// What a call that came back late had to say.
struct LateResult {
  Status status = Status::pending;  // start, poll
  Outcome outcome = Outcome::ok;    // drop after an exit: of that exit
  bool after_exit = false;          // drop: else after a stop that ran out of time
};

class Tenure {
 public:
  // [owner] What the call that runs asks for.
  CallFrame frame;

  // [owner] Before the calls of one restart, or one poll: together they are a step.
  [[gnu::always_inline]] void begin_step() noexcept {
    steps_.store(steps_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  [[gnu::always_inline]] void begin_call(TaskCell& cell, Stage stage) noexcept { frame.begin(cell, stage); }
  // [owner] False: the shard was taken over; touch neither it nor the task, and call come_back.
  [[gnu::always_inline]] bool end_call() noexcept {
    frame.cell.store(nullptr, std::memory_order_release);
    light_fence();
    return state_.load(std::memory_order_acquire) == State::held || is_still_held();
  }

  // [monitor] Grows with each step; and whether a call runs.
  std::uint64_t steps() const noexcept { return steps_.load(std::memory_order_acquire); }
  bool in_call() const noexcept { return frame.cell.load(std::memory_order_acquire) != nullptr; }

  // [monitor] Not null: the task whose call is still running in this step. The call can't end before unpin or take, and
  // what the owner wrote before it is visible.
  TaskCell* pin(std::uint64_t step) {
    mutex_.lock();
    state_.store(State::contested, std::memory_order_relaxed);
    // Either the owner's end_call sees that, or its store of null is seen here.
    heavy_fence();
    if (steps() == step) {
      pinned_ = frame.cell.load(std::memory_order_acquire);
      if (pinned_ != nullptr && steps() == step) return pinned_;
    }
    unpin();
    return nullptr;
  }
  void unpin() {
    state_.store(initial(), std::memory_order_release);
    mutex_.unlock();
  }
  void take() {
    state_.store(State::taken, std::memory_order_relaxed);
    mutex_.unlock();
  }

  // [the thread that lost the shard] False: nobody waits for the result. Else `tell` is called while the new owner may
  // be taking it in already: neither it nor anything afterwards may touch the shard.
  template <class Tell>
  bool come_back(const LateResult& late, Tell&& tell) {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != State::taken) return false;
    late_ = late;
    state_.store(State::back, std::memory_order_release);
    tell();
    return true;
  }

  // [any thread] Even while a call is pinned.
  bool is_back() const noexcept { return state_.load(std::memory_order_acquire) == State::back; }
  // [monitor, new owner] The task of the call that was pinned.
  TaskCell& pinned() const noexcept { return *pinned_; }
  // [new owner] Once back.
  const LateResult& late() const noexcept { return late_; }
  // [new owner] False: it is back.
  bool abandon() {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != State::taken) return false;
    state_.store(State::abandoned, std::memory_order_relaxed);
    return true;
  }
  // [monitor] Calls function() while the call is still out, and can't come back.
  template <class Function>
  bool while_out(Function&& function) const {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != State::taken) return false;
    function();
    return true;
  }

 private:
  enum class State : std::uint8_t { held, contested, taken, back, abandoned };
  // Without membarrier each call's end takes the slow way, through a full fence: the mutex's.
  static State initial() noexcept { return light_fence_is_enough ? State::held : State::contested; }

  [[gnu::cold, gnu::noinline]] bool is_still_held() {
    const std::lock_guard lock(mutex_);
    const State state = state_.load(std::memory_order_relaxed);
    return state != State::taken && state != State::abandoned;
  }

  std::atomic<std::uint64_t> steps_{0};
  std::atomic<State> state_{initial()};
  TaskCell* pinned_ = nullptr;
  mutable std::mutex mutex_;  // guards every change of state_
  LateResult late_;
};

}  // namespace taskhost
