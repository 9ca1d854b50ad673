// taskhost/sdk/coroutine/async.hpp: coroutines that tasks are composed of. Include taskhost/sdk/coroutine.hpp instead.
//
//   sdk::Async<std::string> read_line(int descriptor);
//   …
//   const std::string line = co_await read_line(descriptor);
#ifndef TASKHOST_SDK_COROUTINE_ASYNC_HPP
#define TASKHOST_SDK_COROUTINE_ASYNC_HPP

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "taskhost/sdk/coroutine/waits.hpp"

namespace taskhost::sdk {

namespace detail {

// Ends the execution from any depth: co_await failed("why").
struct EndOfExecution {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

template <class Wait>
class Awaiter;

// The common part of the promises of Task and Async.
class PromiseBase {
 public:
  Coroutine coroutine;
  Strand* strand = nullptr;
  bool finished = false;
  bool* caught_in_destroy = nullptr;

  static void* operator new(std::size_t size) { return new_frame(size, nullptr); }
  static void operator delete(void* frame) noexcept { delete_frame(frame); }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  template <class Wait>
  auto await_transform(Wait&& wait) noexcept {
    if constexpr (std::is_same_v<std::remove_cvref_t<Wait>, Failed>) {
      Execution& execution = strand->execution();
      execution.end(report_result(execution.context(), RunResult(std::forward<Wait>(wait))));
      return EndOfExecution();
    } else {
      static_assert(
          std::is_base_of_v<Waiting, std::remove_cvref_t<Wait>>,
          "co_await in a task takes what taskhost/sdk/coroutine.hpp has, and Async<T>: others would resume the "
          "task outside of its poll. From them, wake the task with Context::waker(), and wait with until()");
      return Awaiter<std::remove_reference_t<Wait>>(wait, *this);
    }
  }

 protected:
  // An exception from a destructor, while the frame is being destroyed, also ends up in unhandled_exception.
  bool note_destroying() noexcept {
    if (caught_in_destroy == nullptr) return false;
    *caught_in_destroy = true;
    if (strand != nullptr) log_exception(strand->execution().context());
    return true;
  }
};

// The awaiter that the language requires, on top of Waiting. It holds a reference to the awaited object, which lives at
// least until the co_await is over (g++ 12 would copy an object passed through await_transform). If the awaiting
// coroutine is destroyed in the meantime, the destructor here ends a wait that outlives it.
template <class Wait>
class Awaiter {
 public:
  Awaiter(Wait& wait, PromiseBase& promise) noexcept : wait_(wait), promise_(promise) {}
  Awaiter(const Awaiter&) = delete;
  Awaiter& operator=(const Awaiter&) = delete;
  ~Awaiter() {
    if (begun_) wait_.cancel();
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) {
    Strand& strand = *promise_.strand;
    bool over = false;
    if constexpr (requires { wait_.begin_for(strand, promise_.coroutine); }) {
      wait_.begin_for(strand, promise_.coroutine);
    } else {
      over = wait_.begin(strand);
      if (!over) strand.suspend(promise_.coroutine, wait_);
    }
    begun_ = true;
    return !over;
  }
  decltype(auto) await_resume() { return wait_.take(); }

 private:
  Wait& wait_;
  PromiseBase& promise_;
  bool begun_ = false;
};

// After an exception from a destructor the frame is at its final suspension, and the rest still has to be destroyed.
template <class Promise>
void destroy(Promise* promise) {
  if (promise == nullptr) return;
  bool caught = false;
  promise->caught_in_destroy = &caught;
  const Coroutine coroutine = promise->coroutine;
  coroutine.destroy();
  if (caught) coroutine.destroy();
}

class AsyncPromiseBase : public PromiseBase {
 public:
  Coroutine continuation;
  std::exception_ptr error;

  class FinalSuspend {
   public:
    explicit FinalSuspend(AsyncPromiseBase& promise) noexcept : promise_(promise) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept {
      promise_.finished = true;
      if (promise_.caught_in_destroy == nullptr) promise_.strand->go_on_with(promise_.continuation);
    }
    void await_resume() const noexcept {}

   private:
    AsyncPromiseBase& promise_;
  };
  FinalSuspend final_suspend() noexcept { return FinalSuspend(*this); }
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

// A coroutine that returns a T; a task or another Async awaits it once. It starts when it is awaited. The co_await
// throws its exceptions. Destroying the object destroys the coroutine where it is, and ends its waits. Each has a frame
// of its own on the heap.
template <class T = void>
class [[nodiscard]] Async : public detail::Waiting {
  static_assert(!std::is_reference_v<T>, "Async<T>: return a pointer or a std::reference_wrapper instead");

 public:
  class Promise : public detail::AsyncPromise<T> {
   public:
    Async get_return_object() noexcept {
      this->coroutine = detail::Coroutine(*this);
      return Async(this);
    }
  };

  using promise_type = Promise;  // the name that the language requires

  Async(Async&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}
  Async& operator=(Async&& other) noexcept {
    if (this != &other) detail::destroy(std::exchange(promise_, std::exchange(other.promise_, nullptr)));
    return *this;
  }
  ~Async() { detail::destroy(promise_); }

  // Awaited by a coroutine: becomes the next in its strand.
  void begin_for(detail::Strand& strand, detail::Coroutine awaiting) {
    take_strand(strand);
    promise_->continuation = awaiting;
    strand.go_on_with(promise_->coroutine);
  }
  // A branch of a combinator: becomes the first in a strand.
  bool begin(detail::Strand& strand) {
    take_strand(strand);
    strand.run(promise_->coroutine);
    return promise_->finished;
  }
  bool poll() {
    promise_->strand->go_on();
    return promise_->finished;
  }
  T take() {
    if (promise_->error) std::rethrow_exception(std::exchange(promise_->error, nullptr));
    return promise_->take();
  }
  bool failed() const noexcept { return promise_->error != nullptr; }
  void cancel() { detail::destroy(std::exchange(promise_, nullptr)); }

 private:
  explicit Async(Promise* promise) noexcept : promise_(promise) {}
  void take_strand(detail::Strand& strand) {
    if (promise_ == nullptr || promise_->strand != nullptr) throw std::logic_error("an Async is awaited once");
    promise_->strand = &strand;
  }

  Promise* promise_;
};

}  // namespace taskhost::sdk

#endif
