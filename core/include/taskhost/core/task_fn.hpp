// TaskFn: the type-erased recipe of a task. Unlike a future, it can be run any number of times: each start makes a
// fresh execution in memory that the caller provides. Copyable and immutable; any thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "taskhost/core/execution.hpp"

struct taskhost_exec;  // the C ABI's

namespace taskhost {

// The functions of a C factory, called directly: they may return nonsense, and may throw. Their exec points to an
// Execution.
struct RawFunctions {
  std::int32_t (*start)(void* state, const taskhost_exec* exec) = nullptr;
  std::int32_t (*step)(void* state, const taskhost_exec* exec) = nullptr;
  void (*drop)(void* state, const taskhost_exec* exec) = nullptr;
  std::int32_t (*finish)(void* state, const taskhost_exec* exec) = nullptr;  // null: no end takes time
};

// The functions of one kind of execution. To add a kind of tasks, derive from this: override start, step and drop, or
// provide the raw functions, and override explain to describe results that they must not return. All may throw:
// the caller turns that into a panic.
class Recipe : public std::enable_shared_from_this<Recipe> {
 public:
  virtual ~Recipe() = default;
  Recipe(const Recipe&) = delete;
  Recipe& operator=(const Recipe&) = delete;

  const std::size_t state_size;
  const std::size_t state_align;  // a power of two
  const bool blocking;            // step blocks, and needs a thread of its own
  const void* const services;     // the first word of its executions
  const RawFunctions raw;         // null: the virtual functions below are called
  // Polled: a start that returned ok goes on until a step calls Execution::started.
  virtual bool starts_later() const noexcept { return false; }

  // Makes a fresh execution in `state`, which is zeroed. Unless it returns ok, nothing was made.
  virtual Status start(void* state, Execution& execution) const;
  // Polled: runs as far as possible without blocking. Blocking: runs to the end.
  virtual Status step(void* state, Execution& execution) const;
  // Whether an end takes time, and that end: called like step once that has ended the execution, until it returns ok.
  virtual bool finishes() const noexcept { return raw.finish != nullptr; }
  virtual Status finish(void* state, Execution& execution) const;
  // Called exactly once for each start that returned ok.
  virtual void drop(void* state) const;
  // Tells the operator what is wrong with the result of a raw function: "start", "step" or "finish".
  virtual std::string explain(std::string_view function, std::int32_t result) const;

 protected:
  Recipe(std::size_t size, std::size_t align, bool blocks) noexcept
      : state_size(size), state_align(align), blocking(blocks), services(nullptr) {}
  Recipe(std::size_t size, std::size_t align, bool blocks, const void* table, RawFunctions functions) noexcept
      : state_size(size), state_align(align), blocking(blocks), services(table), raw(functions) {}
};

// What a task written in C++ returns if it reports failure as a value. Returning void instead means success.
class TaskResult {
 public:
  TaskResult() = default;  // ok
  static TaskResult ok() { return TaskResult(Status::ok, {}); }
  static TaskResult failed(std::string why) { return TaskResult(Status::error, std::move(why)); }

  Status status() const noexcept { return status_; }
  const std::string& message() const noexcept { return message_; }

 private:
  TaskResult(Status status, std::string message) : status_(status), message_(std::move(message)) {}
  Status status_ = Status::ok;
  std::string message_;
};

// A blocking function's access to its host. Valid while the function runs.
class BlockingContext {
 public:
  explicit BlockingContext(Execution& execution) noexcept : execution_(execution) {}

  bool stop_requested() const noexcept { return execution_.stop_requested(); }
  // Sleeps until the time has passed, a wake arrives, or a stop is requested; returns false once one is.
  bool wait_for(std::chrono::nanoseconds duration) noexcept;
  Execution& execution() noexcept { return execution_; }

 private:
  Execution& execution_;
};

class TaskFn {
 public:
  // The recipe is shared by all tasks made from the same factory, on several shards, and by copies of a TaskFn.
  explicit TaskFn(std::shared_ptr<const Recipe> recipe) : recipe_(std::move(recipe)) {}

  // From a function that returns a fresh asio::awaitable<void> or asio::awaitable<TaskResult>; called without arguments
  // or with Execution&. When the host asks it to end, what the coroutine awaits is cancelled (terminal); when it is
  // dropped, its frame is destroyed and none of its code runs any more. An exception that escapes from it, or from what
  // it posts to its executor, is a panic.
  template <class Factory>
  static TaskFn from_awaitable(Factory factory);

  // From a function that blocks; called without arguments or with BlockingContext&; returns void or TaskResult.
  template <class Function>
  static TaskFn from_blocking(Function function);

  const Recipe& recipe() const noexcept { return *recipe_; }
  const std::shared_ptr<const Recipe>& share() const noexcept { return recipe_; }

 private:
  std::shared_ptr<const Recipe> recipe_;
};

namespace detail {

using AwaitableFactory = std::function<boost::asio::awaitable<TaskResult>(Execution&)>;
using BlockingFunction = std::function<TaskResult(BlockingContext&)>;

std::shared_ptr<const Recipe> awaitable_recipe(AwaitableFactory factory);
std::shared_ptr<const Recipe> blocking_recipe(BlockingFunction function);

template <class Callable, class Argument>
decltype(auto) call_with(const Callable& callable, Argument& argument) {
  if constexpr (std::is_invocable_v<const Callable&, Argument&>) {
    return callable(argument);
  } else {
    return callable();
  }
}

template <class Factory>
boost::asio::awaitable<TaskResult> await_result(std::shared_ptr<const Factory> factory, Execution& execution) {
  if constexpr (std::is_same_v<decltype(call_with(*factory, execution)), boost::asio::awaitable<TaskResult>>) {
    co_return co_await call_with(*factory, execution);
  } else {
    co_await call_with(*factory, execution);
    co_return TaskResult::ok();
  }
}

}  // namespace detail

template <class Factory>
TaskFn TaskFn::from_awaitable(Factory factory) {
  // Shared with every coroutine, so that captures outlive the last frame.
  auto shared = std::make_shared<const Factory>(std::move(factory));
  return TaskFn(detail::awaitable_recipe(
      [shared](Execution& execution) { return detail::await_result<Factory>(shared, execution); }));
}

template <class Function>
TaskFn TaskFn::from_blocking(Function function) {
  return TaskFn(detail::blocking_recipe([function = std::move(function)](BlockingContext& context) -> TaskResult {
    if constexpr (std::is_same_v<decltype(detail::call_with(function, context)), TaskResult>) {
      return detail::call_with(function, context);
    } else {
      detail::call_with(function, context);
      return TaskResult::ok();
    }
  }));
}

}  // namespace taskhost
