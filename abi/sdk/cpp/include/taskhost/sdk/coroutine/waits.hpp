// taskhost/sdk/coroutine/waits.hpp: what a coroutine can wait for. Include taskhost/sdk/coroutine.hpp instead.
//
// Each function returns an object to be awaited. Nothing happens before it, or the combinator that contains it, is
// awaited: a sleep counts from there. An object may be awaited again.
#ifndef TASKHOST_SDK_COROUTINE_WAITS_HPP
#define TASKHOST_SDK_COROUTINE_WAITS_HPP

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include "taskhost/sdk/coroutine/execution.hpp"

namespace taskhost::sdk {

namespace detail {

// Base class of everything that can be awaited in a task. Strands and combinators require these functions:
//   bool begin(Strand&)   starts to wait in this strand; true if the wait is over at once
//   bool poll()           called after the strand was marked; true if the wait is over
//   T take()              returns the result, once; may throw
//   bool failed()         true if take() would throw
//   void cancel()         ends the wait; after take() there is nothing left to cancel
struct Waiting {
  static bool failed() noexcept { return false; }
};

class [[nodiscard]] Sleep : public Waiting {
 public:
  explicit Sleep(Duration delay) noexcept : delay_(delay) {}

  bool begin(Strand& strand) noexcept {
    const std::uint64_t now = strand.execution().now();
    const std::uint64_t delay = nanoseconds(delay_);
    if (delay >= TASKHOST_NEVER - now) return false;  // for ever
    node_.time = now + delay;
    strand.execution().wait_for_time(node_, strand);
    return false;
  }
  bool poll() const noexcept { return node_.fired(); }
  void take() const noexcept {}
  void cancel() noexcept { node_.unlink(); }

 private:
  Duration delay_;
  TimeNode node_;
};

class [[nodiscard]] SleepUntil : public Waiting {
 public:
  explicit SleepUntil(Time time) noexcept { node_.time = nanoseconds(time); }

  bool begin(Strand& strand) noexcept {
    if (node_.time != TASKHOST_NEVER) strand.execution().wait_for_time(node_, strand);
    return false;
  }
  bool poll() const noexcept { return node_.fired(); }
  void take() const noexcept {}
  void cancel() noexcept { node_.unlink(); }

 private:
  TimeNode node_;
};

class [[nodiscard]] Stopped : public Waiting {
 public:
  bool begin(Strand& strand) noexcept {
    Execution& execution = strand.execution();
    execution.ask_about_stop();
    if (execution.stop_requested()) return true;
    execution.wait_for_stop(node_, strand);
    return false;
  }
  bool poll() const noexcept { return node_.fired(); }
  void take() const noexcept {}
  void cancel() noexcept { node_.unlink(); }

 private:
  Node node_;
};

class [[nodiscard]] Woken : public Waiting {
 public:
  explicit Woken(bool wakes_itself) noexcept : wakes_itself_(wakes_itself) {}

  bool begin(Strand& strand) noexcept {
    strand.execution().wait_for_wake(node_, strand);
    if (wakes_itself_) strand.execution().wake();
    return false;
  }
  bool poll() const noexcept { return node_.fired(); }
  void take() const noexcept {}
  void cancel() noexcept { node_.unlink(); }

 private:
  bool wakes_itself_;
  Node node_;
};

template <class Condition>
class [[nodiscard]] Until : public Waiting {
 public:
  explicit Until(Condition&& condition) : condition_(std::move(condition)) {}
  explicit Until(const Condition& condition) : condition_(condition) {}

  bool begin(Strand& strand) noexcept {
    strand_ = &strand;
    return poll();
  }
  bool poll() noexcept {
    try {
      if (condition_()) return true;
    } catch (...) {
      error_ = std::current_exception();
      return true;
    }
    strand_->execution().wait_for_wake(node_, *strand_);
    return false;
  }
  void take() {
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }
  bool failed() const noexcept { return error_ != nullptr; }
  void cancel() noexcept { node_.unlink(); }

 private:
  Condition condition_;
  Strand* strand_ = nullptr;
  Node node_;
  std::exception_ptr error_;
};

class [[nodiscard]] Ready : public Waiting {
 public:
  Ready(int descriptor, std::uint32_t interests) noexcept : node_(descriptor, interests) {}
  Ready(Ready&&) = default;
  Ready& operator=(Ready&&) = delete;
  ~Ready() { cancel(); }

  bool begin(Strand& strand) noexcept {
    problem_ = nullptr;
    Look look(node_.descriptor, node_.interests);
    if (::poll(&look, 1, 0) < 0) return fail("poll(2) fails");
    if (look.closed()) return fail("it is not open");
    if (look.revents != 0) return true;
    if (!strand.execution().wait_for_descriptor(node_, strand)) return fail("the host can't, or not for so many");
    return false;
  }
  bool poll() const noexcept { return node_.fired(); }
  void take() const {
    if (problem_ == nullptr) return;
    throw Failure("can't wait for descriptor " + std::to_string(node_.descriptor) + ": " + problem_);
  }
  bool failed() const noexcept { return problem_ != nullptr; }
  // The host's wait must be cancelled before the descriptor is closed. During a drop the host has already done that.
  void cancel() noexcept {
    if (node_.alone()) return;
    node_.unlink();
    if (node_.execution().polled()) node_.execution().ask_anew(node_.descriptor);
  }

 private:
  bool fail(const char* problem) noexcept {
    problem_ = problem;
    return true;
  }
  DescriptorNode node_;
  const char* problem_ = nullptr;
};

}  // namespace detail

// Waits for `delay` from the co_await, never less. A delay beyond the clock's range never ends; 0 lets the thread's
// other tasks have a turn.
template <class Rep, class Period>
detail::Sleep sleep(std::chrono::duration<Rep, Period> delay) noexcept {
  return detail::Sleep(detail::saturated(delay));
}

// Waits until a time of the host's clock (Context::now()), never less. `never` waits for ever.
inline detail::SleepUntil sleep_until(Time time) noexcept { return detail::SleepUntil(time); }

// Waits until the host asks this execution to end; over at once if it already has. An execution that asks about the
// stop, here or with Context::stop_requested(), ends by itself: from then on it is not dropped at a co_await when the
// host asks it to end, but has its stop_timeout to do so, and may still wait for things.
inline detail::Stopped stopped() noexcept { return {}; }

// Waits until the descriptor can be read or written without blocking, was closed by the peer, or has an error. Another
// reader or writer may be faster, so use non-blocking mode. Up to 64 descriptors at a time, with any number of waits
// for each. Throws a Failure for a descriptor that is closed or cannot be waited for.
inline detail::Ready readable(int descriptor) noexcept { return {descriptor, TASKHOST_READABLE}; }
inline detail::Ready writable(int descriptor) noexcept { return {descriptor, TASKHOST_WRITABLE}; }

// Waits until the thread's other tasks have had their turn.
inline detail::Woken yield() noexcept { return detail::Woken(true); }

// Waits until the execution is woken: by its waker (Context::waker(), for other threads and callbacks), or by something
// else. So check whether there is something to do, before as well as after.
inline detail::Woken woken() noexcept { return detail::Woken(false); }

// Waits until a condition holds. It is checked at once and after each wake, so whoever makes it true must then wake the
// execution. The co_await throws what the condition throws.
template <class Condition>
detail::Until<std::remove_cvref_t<Condition>> until(Condition&& condition) {
  static_assert(std::is_invocable_r_v<bool, std::remove_cvref_t<Condition>&>,
                "until() takes a function without arguments that gives a bool");
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
  static_assert(std::is_lvalue_reference_v<Condition> || std::is_trivially_destructible_v<Condition>,
                "g++ before 13 destroys twice what a lambda within a co_await has captured (GCC bug 99576): capture by "
                "reference, or give the lambda a name in a line before, and pass that");
#endif
  return detail::Until<std::remove_cvref_t<Condition>>(std::forward<Condition>(condition));
}

}  // namespace taskhost::sdk

#endif
