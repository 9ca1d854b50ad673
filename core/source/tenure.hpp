// One thread's time as the owner of a shard. It ends when the shard does, or when the monitor takes the shard away
// because a call into task code does not return. What such a call returns late is passed on through the tenure, too.
//
// The owner marks the beginning and the end of each call with a store, counts steps (a restart, or a poll), and checks
// once after each call whether its tenure is contested. When the monitor has seen one step take too long, it pins the
// call: from then on the call can't end until the monitor has taken the shard or let go. So the monitor may read the
// task, and publish its events in order. A handler of the loop, which may be one that a C++ task posted itself, is
// pinned in the same way; but no other thread can take over from it, so it is let go or given up.
//
//            pin                  take               come_back
//   held ─────────▶ contested ─────────▶ taken ───────────────▶ back       the result counts as usual
//     ◀─────────────────┤                  └──────────────────▶ abandoned  the stop was over: nobody waits for it
//           unpin       │                           abandon
//                       └───────────────▶ given_up                         nobody owns the shard any more
//                            give_up
//
// In a child that the owner forks, the tenure is marked as its parent's (`parents`), whatever state it was in.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "asymmetric_fence.hpp"
#include "call_frame.hpp"
#include "forked_child.hpp"
#include "taskhost/core/outcome.hpp"

namespace taskhost {

// What the monitor sees of a thread. Two equal ones mean that the same call, or the same handler, has been running all
// the time.
struct Sight {
  std::uint64_t step = 0;
  std::uint64_t loop = 0;       // odd: in Asio's loop, asleep or in a handler, which may contain a call
  std::optional<Stage> call{};  // each stage occurs at most once per step

  bool in_loop() const noexcept { return loop % 2 != 0; }
  bool operator==(const Sight&) const = default;
};

class Tenure {
 public:
  // [owner] What the running call asks for.
  CallFrame frame;

  // [owner] Begins a step: the calls of one restart, or one poll.
  [[gnu::always_inline]] void begin_step() noexcept {
    steps_.store(steps_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  [[gnu::always_inline]] void begin_call(TaskCell& cell, Stage stage) noexcept { frame.begin(cell, stage); }
  // [owner] False if the shard was taken over: then touch neither it nor the task, and call come_back.
  [[gnu::always_inline]] bool end_call() noexcept {
    frame.cell.store(nullptr, std::memory_order_release);
    light_fence();
    return state_.load(std::memory_order_acquire) == State::held || is_still_held();
  }
  // [owner] Around each handler of the loop and the sleep before it; the shard's own handlers begin with leave_loop.
  // leave_loop returns false if the thread has lost the shard, in this handler or in a call within it.
  void enter_loop() noexcept {
    loop_.store((loop_.load(std::memory_order_relaxed) + 1) | 1, std::memory_order_release);
  }
  bool leave_loop() noexcept {
    loop_.store((loop_.load(std::memory_order_relaxed) + 1) & ~std::uint64_t{1}, std::memory_order_release);
    light_fence();
    return state_.load(std::memory_order_acquire) == State::held || is_still_held();
  }

  // [owner, in a child that it forked] When the running call or handler returns, it ends the child.
  void mark_as_parents() noexcept {
    pinned_ = frame.task();
    state_.store(State::parents, std::memory_order_relaxed);
  }

  // [monitor] What the owner is doing. Exact while it is pinned; otherwise two moments may be mixed.
  Sight look() const noexcept {
    Sight sight;
    const bool in_call = frame.cell.load(std::memory_order_acquire) != nullptr;  // read first, so the rest is not older
    sight.loop = loop_.load(std::memory_order_acquire);
    sight.step = steps_.load(std::memory_order_acquire);
    if (in_call) sight.call = frame.stage();
    return sight;
  }

  // [monitor] True if that call or handler is still running. Then it can't end before unpin, take or give_up, and what
  // the owner wrote before it is visible.
  bool pin(const Sight& seen) {
    mutex_.lock();
    state_.store(State::contested, std::memory_order_relaxed);
    // Either the owner's end_call or leave_loop sees that store, or its own store is seen here.
    heavy_fence();
    if ((seen.call || seen.in_loop()) && look() == seen) {
      pinned_ = frame.cell.load(std::memory_order_relaxed);
      return true;
    }
    unpin();
    return false;
  }
  void unpin() {
    state_.store(initial(), std::memory_order_release);
    mutex_.unlock();
  }
  void take() {
    state_.store(State::taken, std::memory_order_relaxed);
    mutex_.unlock();
  }
  // When its thread returns, it touches neither shard nor task.
  void give_up() {
    state_.store(State::given_up, std::memory_order_relaxed);
    mutex_.unlock();
  }
  // While the call is pinned or taken: the log says that it stalled, so it has to say when it returns.
  void set_told() noexcept { told_ = true; }

  // [the thread that lost the shard] False if nobody waits for the result. Otherwise calls `tell`, when the new owner
  // may already be processing the result: neither `tell` nor anything afterwards may touch the shard.
  template <class Tell>
  bool come_back(Status late, Tell&& tell) {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != State::taken) return false;
    late_ = late;
    state_.store(State::back, std::memory_order_release);
    tell();
    return true;
  }

  // [any thread] May be called even while a call is pinned.
  bool is_back() const noexcept { return state_.load(std::memory_order_acquire) == State::back; }
  // [monitor, new owner] The task of the pinned call; null: it was a handler without a call.
  TaskCell* pinned() const noexcept { return pinned_; }
  // [new owner] Once back: what the call returned; for a drop, the status before it.
  Status late() const noexcept { return late_; }
  bool told() const noexcept { return told_; }
  // [new owner] False if the call is back.
  bool abandon() {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != State::taken) return false;
    state_.store(State::abandoned, std::memory_order_relaxed);
    return true;
  }
  // [monitor] If the call has not returned, calls function(), during which it can't return. False if it has returned.
  template <class Function>
  bool while_out(Function&& function) const {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != State::taken) return false;
    function();
    return true;
  }

 private:
  enum class State : std::uint8_t { held, contested, taken, back, abandoned, given_up, parents };
  // Without membarrier each call's end takes the slow path, with the mutex as a full fence.
  static State initial() noexcept { return light_fence_is_enough ? State::held : State::contested; }

  [[gnu::cold, gnu::noinline]] bool is_still_held() {
    // Checked before locking: another thread may have held the lock when the process was forked.
    if (state_.load(std::memory_order_relaxed) == State::parents) end_forked_child(pinned_);
    const std::lock_guard lock(mutex_);
    const State state = state_.load(std::memory_order_relaxed);
    return state == State::held || state == State::contested;
  }

  std::atomic<std::uint64_t> steps_{0};
  std::atomic<std::uint64_t> loop_{0};
  std::atomic<State> state_{initial()};
  TaskCell* pinned_ = nullptr;
  bool told_ = false;
  mutable std::mutex mutex_;  // guards every change of state_
  Status late_ = Status::pending;
};

}  // namespace taskhost
