// One thread's time as the owner of a shard. Whoever runs a shard has a tenure; it ends when the shard does, or when
// the monitor takes the shard away because a call into task code does not return. What the thread then brings back,
// late, goes through its tenure too.
//
// The owner marks the begin and the end of each call with a store, counts steps (a restart, or a poll), and looks once
// after each call whether somebody contests it. The monitor, which has seen one step take too long, pins the call: its
// end waits then, if it comes, until the monitor has taken the shard or let go. So the monitor may look at the task
// meanwhile, and publish its events in order. A handler of the loop, which may be one that a C++ task posted by itself,
// is pinned in the same way; but nobody can go on in its place, so it is let go or given up.
//
//            pin                  take                  come_back
//   held ─────────▶ contested ─────────▶ taken ──────────────────────▶ back       the result counts as usual
//     ◀─────────────────┤                  └─────────────────────────▶ abandoned  the stop was over; nobody waits for
//     it
//           unpin       │                          abandon
//                       └───────────────▶ given_up                                nobody owns the shard any more
//                            give_up
//
// In a child that the owner forks, the tenure is its parent's from then on, whatever it was.
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

// What the monitor sees of a thread. The same twice: the same call, or the same handler, all the while.
struct Sight {
  std::uint64_t step = 0;
  std::uint64_t loop = 0;       // odd: in Asio's loop, asleep or in a handler, which may contain a call
  std::optional<Stage> call{};  // of one step, each stage comes once at most

  bool in_loop() const noexcept { return loop % 2 != 0; }
  bool operator==(const Sight&) const = default;
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
  // [owner] Around each handler of the loop and the sleep before it; those of the shard's own begin with leave_loop.
  // False, as above: the thread has lost the shard, in this handler or in a call within it.
  void enter_loop() noexcept {
    loop_.store((loop_.load(std::memory_order_relaxed) + 1) | 1, std::memory_order_release);
  }
  bool leave_loop() noexcept {
    loop_.store((loop_.load(std::memory_order_relaxed) + 1) & ~std::uint64_t{1}, std::memory_order_release);
    light_fence();
    return state_.load(std::memory_order_acquire) == State::held || is_still_held();
  }

  // [owner, in a child that it forked] The call or handler that runs ends the child instead of going on.
  void mark_as_parents() noexcept {
    pinned_ = frame.task();
    state_.store(State::parents, std::memory_order_relaxed);
  }

  // [monitor] What the owner is at. Exact while it is pinned; else a moment may be mixed with the next one.
  Sight look() const noexcept {
    Sight sight;
    const bool in_call = frame.cell.load(std::memory_order_acquire) != nullptr;  // first: the rest is not older
    sight.loop = loop_.load(std::memory_order_acquire);
    sight.step = steps_.load(std::memory_order_acquire);
    if (in_call) sight.call = frame.stage();
    return sight;
  }

  // [monitor] True: that call is still running, or that handler. It can't end before unpin, take or give_up, and what
  // the owner wrote before it is visible.
  bool pin(const Sight& seen) {
    mutex_.lock();
    state_.store(State::contested, std::memory_order_relaxed);
    // Either the owner's end_call or leave_loop sees that, or its store is seen here.
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
  // When its thread comes back, it touches neither shard nor task.
  void give_up() {
    state_.store(State::given_up, std::memory_order_relaxed);
    mutex_.unlock();
  }
  // While it is pinned or out: the log tells that it stalled, and is to tell when it comes back.
  void set_told() noexcept { told_ = true; }

  // [the thread that lost the shard] False: nobody waits for the result. Else `tell` is called while the new owner may
  // be taking it in already: neither it nor anything afterwards may touch the shard.
  template <class Tell>
  bool come_back(Status late, Tell&& tell) {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != State::taken) return false;
    late_ = late;
    state_.store(State::back, std::memory_order_release);
    tell();
    return true;
  }

  // [any thread] Even while a call is pinned.
  bool is_back() const noexcept { return state_.load(std::memory_order_acquire) == State::back; }
  // [monitor, new owner] The task of the call that was pinned; null: it was a handler without a call.
  TaskCell* pinned() const noexcept { return pinned_; }
  // [new owner] Once back: what the call returned; of a drop, what was known before.
  Status late() const noexcept { return late_; }
  bool told() const noexcept { return told_; }
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
  enum class State : std::uint8_t { held, contested, taken, back, abandoned, given_up, parents };
  // Without membarrier each call's end takes the slow way, through a full fence: the mutex's.
  static State initial() noexcept { return light_fence_is_enough ? State::held : State::contested; }

  [[gnu::cold, gnu::noinline]] bool is_still_held() {
    // Before the lock, which another thread may have held when the process was forked.
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
