// taskhost/sdk/coroutine/async.hpp: coroutines that a task is composed of. A part of taskhost/sdk/coroutine.hpp, which
// is what to include.
//
//   sdk::Async<std::string> read_line(int descriptor);
//   …
//   const std::string line = co_await read_line(descriptor);
#ifndef TASKHOST_SDK_COROUTINE_ASYNC_HPP
#define TASKHOST_SDK_COROUTINE_ASYNC_HPP

#include "taskhost/sdk/coroutine/waits.hpp"
// After it, which explains what is missing where there are no coroutines.
#include <coroutine>
#include <exception>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace taskhost::sdk {

namespace detail {

// The end of the execution, from any depth: co_await failed("why").
struct EndOfExecution {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

// What the compiler asks of an awaited object, over what Waiting has. It refers to the object, which lives until the
// co_await is over: g++ 12 would copy what await_transform hands through.
template <class Wait>
class Awaiter {
 public:
  explicit Awaiter(Wait& wait) noexcept : wait_(wait) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    Strand& strand = *handle.promise().strand;
    if constexpr (requires { wait_.begin_for(strand, handle); }) {
      wait_.begin_for(strand, handle);
      return true;
    } else {
      if (wait_.begin(strand)) return false;
      strand.suspend(handle, wait_);
      return true;
    }
  }
  decltype(auto) await_resume() { return wait_.take(); }

 private:
  Wait& wait_;
};

// What the promises of tasks and of Asyncs have in common.
class PromiseBase {
 public:
  Strand* strand = nullptr;
  bool* caught_in_destroy = nullptr;

  std::suspend_always initial_suspend() const noexcept { return {}; }

  template <class Wait>
  auto await_transform(Wait&& wait) const noexcept {
    if constexpr (std::is_same_v<std::remove_cvref_t<Wait>, Failed>) {
      Execution& execution = strand->execution();
      execution.end(report_result(execution.context(), RunResult(std::forward<Wait>(wait))));
      return EndOfExecution();
    } else {
      static_assert(
          std::is_base_of_v<Waiting, std::remove_cvref_t<Wait>>,
          "co_await in a task takes what taskhost/sdk/coroutine.hpp has, and Async<T>: others would resume the "
          "task outside of its poll. From them, wake the task with Context::waker(), and wait with until()");
      return Awaiter<std::remove_reference_t<Wait>>(wait);
    }
  }

 protected:
  // An exception out of a destructor, while the frame is destroyed, ends up in unhandled_exception too.
  bool note_destroying() noexcept {
    if (caught_in_destroy == nullptr) return false;
    *caught_in_destroy = true;
    if (strand != nullptr) log_exception(strand->execution().context());
    return true;
  }
};

// Such an exception leaves the frame at its final suspension, with what is left to be destroyed.
template <class Promise>
void destroy(std::coroutine_handle<Promise> handle) {
  if (!handle) return;
  bool caught = false;
  handle.promise().caught_in_destroy = &caught;
  handle.destroy();
  if (caught) handle.destroy();
}

class AsyncPromiseBase : public PromiseBase {
 public:
  std::coroutine_handle<> continuation;
  std::exception_ptr error;

  struct FinalSuspend {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
      AsyncPromiseBase& promise = handle.promise();
      if (promise.caught_in_destroy == nullptr) promise.strand->go_on_with(promise.continuation);
    }
    void await_resume() const noexcept {}
  };
  FinalSuspend final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept {
    if (!note_destroying()) error = std::current_exception();
  }
};

template <class T>
class AsyncPromise : public AsyncPromiseBase {
 public:
  template <class Value>
  void return_value(Value&& value) {
    value_.emplace(std::forward<Value>(value));
  }
  T take() {
    if (!value_) throw std::logic_error("an Async came to its end without a co_return");
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class AsyncPromise<void> : public AsyncPromiseBase {
 public:
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

// A coroutine that gives a T, awaited by a task or by another one, once. It starts when it is awaited. Its exceptions
// come out of the co_await. Destroying the object destroys the coroutine where it is, and ends its waits. Each has a
// frame of its own on the heap.
template <class T = void>
class [[nodiscard]] Async : public detail::Waiting {
  static_assert(!std::is_reference_v<T>, "Async<T>: return a pointer or a std::reference_wrapper instead");

 public:
  class promise_type : public detail::AsyncPromise<T> {
   public:
    Async get_return_object() noexcept { return Async(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };

  Async(Async&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Async& operator=(Async&& other) {
    if (this != &other) detail::destroy(std::exchange(handle_, std::exchange(other.handle_, nullptr)));
    return *this;
  }
  ~Async() { detail::destroy(handle_); }

  // As what a coroutine awaits: the next in its strand.
  void begin_for(detail::Strand& strand, std::coroutine_handle<> awaiting) {
    take_strand(strand);
    handle_.promise().continuation = awaiting;
    strand.go_on_with(handle_);
  }
  // As a branch of a combinator: the first in a strand.
  bool begin(detail::Strand& strand) {
    take_strand(strand);
    strand.run(handle_);
    return handle_.done();
  }
  bool poll() {
    handle_.promise().strand->go_on();
    return handle_.done();
  }
  T take() {
    if (handle_.promise().error) std::rethrow_exception(std::exchange(handle_.promise().error, nullptr));
    return handle_.promise().take();
  }
  bool failed() const noexcept { return handle_.promise().error != nullptr; }

 private:
  explicit Async(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  void take_strand(detail::Strand& strand) {
    if (!handle_ || handle_.promise().strand != nullptr) throw std::logic_error("an Async is awaited once");
    handle_.promise().strand = &strand;
  }

  std::coroutine_handle<promise_type> handle_;
};

}  // namespace taskhost::sdk

#endif
