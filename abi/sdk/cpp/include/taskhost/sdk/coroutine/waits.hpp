// taskhost/sdk/coroutine/waits.hpp: what a coroutine can wait for. Include taskhost/sdk/coroutine.hpp instead.
//
// Each function returns an object to be awaited. Nothing happens before it, or the combinator that contains it, is
// awaited: a sleep counts from there. An object may be awaited again, but for an offload.
#ifndef TASKHOST_SDK_COROUTINE_WAITS_HPP
#define TASKHOST_SDK_COROUTINE_WAITS_HPP

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
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
    strand_->execution().wait_for_condition(node_, *strand_);
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

inline const char* problem_of(std::int32_t refusal) noexcept {
  switch (refusal) {
    case TASKHOST_OK:
    case TASKHOST_REFUSED_ALWAYS:  // the wait is over
      return nullptr;
    case TASKHOST_REFUSED_CLOSED:
      return "it is not open";
    case TASKHOST_REFUSED_DESCRIPTORS:
      return "the process has no descriptor left";
    default:
      return "the host refuses it, and has logged why";
  }
}
inline Failure cant_wait(int descriptor, const char* problem) {
  return Failure("can't wait for descriptor " + std::to_string(descriptor) + ": " + problem);
}

class [[nodiscard]] Ready : public Waiting {
 public:
  Ready(int descriptor, std::uint32_t interests) noexcept : node_(descriptor, interests) {}
  Ready(Ready&&) = default;
  Ready& operator=(Ready&&) = delete;
  ~Ready() { cancel(); }

  bool begin(Strand& strand) noexcept {
    const std::int32_t refusal = strand.execution().wait_for_descriptor(node_, strand);
    problem_ = problem_of(refusal);
    return refusal != TASKHOST_OK;
  }
  bool poll() const noexcept { return node_.fired(); }
  void take() const {
    if (problem_ != nullptr) throw cant_wait(node_.descriptor, problem_);
  }
  bool failed() const noexcept { return problem_ != nullptr; }
  void cancel() noexcept {
    if (node_.listed) node_.execution().forget(node_);
  }

 private:
  DescriptorNode node_;
  const char* problem_ = nullptr;
};

// Where the result of offloaded work lies. void becomes an empty struct.
template <class Function>
struct OffloadedResult final : OffloadedState {
  using Value = std::invoke_result_t<Function&>;
  struct Nothing {};
  using Kept = std::conditional_t<std::is_void_v<Value>, Nothing, Value>;

  explicit OffloadedResult(Function&& its_function) : function(std::move(its_function)) {}
  void run() noexcept override {
    try {
      if constexpr (std::is_void_v<Value>) {
        function();
        value.emplace();
      } else {
        value.emplace(function());
      }
    } catch (...) {
      error = std::current_exception();
    }
  }

  Function function;
  std::optional<Kept> value;
  std::exception_ptr error;
};

template <class Function>
class [[nodiscard]] Offloaded : public Waiting {
  using State = OffloadedResult<Function>;

 public:
  explicit Offloaded(Function&& function) : function_(std::move(function)) {}
  explicit Offloaded(const Function& function) : function_(function) {}
  Offloaded(Offloaded&& other) noexcept : function_(std::move(other.function_)) {}  // before it is awaited
  Offloaded& operator=(Offloaded&&) = delete;
  ~Offloaded() { cancel(); }

  bool begin(Strand& strand) noexcept {
    try {
      if (std::exchange(is_begun_, true)) throw std::logic_error("offloaded work can't be awaited a second time");
      auto state = std::make_unique<State>(std::move(function_));
      refusal_ = strand.execution().offload(*state, node_, strand);
      if (refusal_ == TASKHOST_OK) state_ = state.release();
    } catch (...) {
      error_ = std::current_exception();
    }
    return state_ == nullptr;
  }
  bool poll() const noexcept { return node_.fired(); }
  typename State::Value take() {
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    if (refusal_ != TASKHOST_OK) throw Failure("no thread for work that blocks: the host's log says why");
    struct Release {
      void operator()(State* state) const noexcept { state->release(); }
    };
    const std::unique_ptr<State, Release> mine(std::exchange(state_, nullptr));
    if (mine->error) std::rethrow_exception(mine->error);
    if constexpr (!std::is_void_v<typename State::Value>) return std::move(*mine->value);
  }
  bool failed() const noexcept {
    return error_ != nullptr || refusal_ != TASKHOST_OK || (state_ != nullptr && state_->error != nullptr);
  }
  // Work that is going on goes on; its result is thrown away.
  void cancel() noexcept {
    State* const state = std::exchange(state_, nullptr);
    if (state == nullptr) return;
    state->node = nullptr;
    node_.unlink();
    state->release();
  }

 private:
  Function function_;
  State* state_ = nullptr;  // shared with the host until the node has fired
  std::int32_t refusal_ = TASKHOST_OK;
  std::exception_ptr error_;
  bool is_begun_ = false;
  Node node_;
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
// reader or writer may be faster, so use non-blocking mode. As many descriptors as there is memory for, with any number
// of waits for each. Throws a Failure for a descriptor that is closed or cannot be waited for.
inline detail::Ready readable(int descriptor) noexcept { return {descriptor, TASKHOST_READABLE}; }
inline detail::Ready writable(int descriptor) noexcept { return {descriptor, TASKHOST_WRITABLE}; }

// Calls the function on another thread, which it may block, and gives what it returns or throws. It owns all that it
// uses (no references into the coroutine), since it goes on when the wait or the execution ends; its result is thrown
// away then. Of a task's context it uses only what is tagged [anywhere]. Throws a Failure if the host has no thread.
template <class Function>
detail::Offloaded<std::remove_cvref_t<Function>> offload(Function&& function) {
  static_assert(std::is_invocable_v<std::remove_cvref_t<Function>&>, "offload() takes a function without arguments");
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
  static_assert(std::is_lvalue_reference_v<Function> || std::is_trivially_destructible_v<Function>,
                "g++ before 13 destroys twice what a lambda within a co_await has captured (GCC bug 99576): give the "
                "lambda a name in a line before, and pass that");
#endif
  return detail::Offloaded<std::remove_cvref_t<Function>>(std::forward<Function>(function));
}

// Waits until the thread's other tasks have had their turn.
inline detail::Woken yield() noexcept { return detail::Woken(true); }

// Waits until the execution is woken: by its waker (Context::waker(), for other threads and callbacks), or by something
// else. So check whether there is something to do, before as well as after.
inline detail::Woken woken() noexcept { return detail::Woken(false); }

// Waits until a condition holds. It is checked at once, after each wake, and after each coroutine of the same execution
// that has gone on; so only others, such as threads, must wake the execution when they make it true. The co_await
// throws what the condition throws.
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
