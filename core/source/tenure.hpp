// One thread's time as the owner of a shard. Whoever runs a shard has a tenure; it ends when the shard does, or when the
// monitor takes the shard away because a call into task code does not return. What the thread then brings back, late,
// goes through its tenure too.
//
// The owner marks the begin and the end of each call with a store each, and looks once whether somebody contests it. The
// monitor, which has seen the same call run for too long, pins it: the call's end waits then, if it comes, until the
// monitor has taken the shard or let go. So the monitor may look at the task meanwhile, and publish its events in order.
//
//            pin                  take                  come_back
//   held ─────────▶ contested ─────────▶ taken ──────────────────────▶ back      the result counts as usual
//     ◀─────────────────┘                  └─────────────────────────▶ abandoned  the stop was over; nobody waits for it
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
  Status status = Status::pending;    // start, poll
  Outcome outcome = Outcome::ok;      // drop after an exit: of that exit
  bool after_exit = false;            // drop: else after a stop that ran out of time
  bool drop_failed = false;           // drop
  bool counts = false;                // handler: it was the current execution's
};

class Tenure {
 public:
  using Call = std::uint64_t;  // odd

  // [owner] What the call that runs asks for.
  CallFrame frame;

  // [owner]
  void begin_call(TaskCell& cell, Stage stage) noexcept {
    frame.begin(cell, stage);
    word_.store(word_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  // [owner] False: the shard was taken over; touch neither it nor the task, and call come_back.
  bool end_call() noexcept {
    word_.store(word_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    light_fence();
    if (state_.load(std::memory_order_relaxed) != State::held) [[unlikely]] {
      if (!is_still_held()) return false;
    }
    frame.cell = nullptr;
    return true;
  }

  // [monitor] The call that runs, or 0; and a number that changes with each call.
  Call running() const noexcept {
    const Call word = word_.load(std::memory_order_acquire);
    return (word & 1) != 0 ? word : 0;
  }
  std::uint64_t steps() const noexcept { return word_.load(std::memory_order_relaxed); }

  // [monitor] True: that call is still running, and can't end before unpin or take. What the owner wrote before the
  // call is visible, frame.cell and frame.stage with it.
  bool pin(Call call) {
    mutex_.lock();
    state_.store(State::contested, std::memory_order_relaxed);
    heavy_fence();
    if (word_.load(std::memory_order_acquire) == call) return true;
    unpin();
    return false;
  }
  void unpin() {
    state_.store(State::held, std::memory_order_relaxed);
    mutex_.unlock();
  }
  void take() {
    state_.store(State::taken, std::memory_order_relaxed);
    mutex_.unlock();
  }

  // [the thread that lost the shard] False: nobody waits for the result. Else `tell` is called before the new owner can
  // see it, and may still touch the shard; nothing may afterwards.
  template <class Tell>
  bool come_back(const LateResult& late, Tell&& tell) {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != State::taken) return false;
    late_ = late;
    state_.store(State::back, std::memory_order_relaxed);
    tell();
    return true;
  }

  // [any thread]
  bool is_back() const {
    const std::lock_guard lock(mutex_);
    return state_.load(std::memory_order_relaxed) == State::back;
  }
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

  bool is_still_held() {
    const std::lock_guard lock(mutex_);
    return state_.load(std::memory_order_relaxed) != State::taken && state_.load(std::memory_order_relaxed) != State::abandoned;
  }

  std::atomic<std::uint64_t> word_{0};  // begins and ends of calls so far: odd within one
  std::atomic<State> state_{State::held};
  mutable std::mutex mutex_;  // guards every change of state_
  LateResult late_;
};

}  // namespace taskhost
