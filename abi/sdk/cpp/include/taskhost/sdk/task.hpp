// taskhost/sdk/task.hpp: write a task plugin as a C++ class. Header-only, over taskhost/plugin.h; C++17 or later.
//
//   class Beat {
//    public:
//     explicit Beat(taskhost::sdk::Context context) : context_(context) {}  // a start; may throw
//     taskhost::sdk::PollResult poll() {                                    // or: RunResult run(), which may block
//       if (context_.stop_requested()) return taskhost::sdk::done;
//       context_.info("beat");
//       context_.wake_after(std::chrono::seconds(1));
//       return taskhost::sdk::pending;
//     }
//    private:
//     taskhost::sdk::Context context_;
//   };
//   TASKHOST_SDK_PLUGIN(taskhost::sdk::factory<Beat>("beat"))
//
// Each object is one execution, created in the host's memory and destroyed after the end. No exception leaves the
// plugin: a Failure becomes the outcome `error`, any other exception `panic`, both with what() as the message.
// Rule numbers are those of CONTRACT.md, thread tags those of plugin.h.
#ifndef TASKHOST_SDK_TASK_HPP
#define TASKHOST_SDK_TASK_HPP

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "taskhost/sdk/task.hpp needs C++17 or later: compile with -std=c++17. For older compilers use taskhost/plugin.h."
#endif
#if !defined(__cpp_exceptions)
#error "taskhost/sdk/task.hpp turns exceptions into outcomes: compile with -fexceptions, or use taskhost/plugin.h."
#endif

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "taskhost/plugin.h"

namespace taskhost::sdk {

using Duration = std::chrono::duration<std::int64_t, std::nano>;

// The host's monotonic clock. Its times are unrelated to the clocks of the standard library; get them by
// Context::now().
struct Clock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;
};
using Time = Clock::time_point;
inline constexpr Time never = Time::max();

// An expected failure: thrown anywhere in a task, it ends the execution with outcome `error`.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Pending {};
struct Again {};
struct Done {};
struct Failed {
  std::string text;
};
inline constexpr Pending pending{};  // not done; a wake has been arranged (rule 3.11)
inline constexpr Again again{};      // not done; to be polled again after all others that are due
inline constexpr Done done{};        // the execution ended well
inline Failed failed(std::string text) { return Failed{std::move(text)}; }

// The result of a blocking run().
class RunResult {
 public:
  RunResult(Done) noexcept {}
  RunResult(Failed failure) noexcept : status_(TASKHOST_ERROR), text_(std::move(failure.text)) {}
  std::int32_t status() const noexcept { return status_; }
  const std::string& text() const noexcept { return text_; }

 private:
  std::int32_t status_ = TASKHOST_OK;
  std::string text_;
};

// The result of a poll(): ended like a run, or pending. Not related to RunResult by inheritance, so that a run cannot
// be pending.
class PollResult {
 public:
  PollResult(Pending) noexcept : status_(TASKHOST_PENDING) {}
  PollResult(Again) noexcept : status_(TASKHOST_AGAIN) {}
  PollResult(Done) noexcept : status_(TASKHOST_OK) {}
  PollResult(Failed failure) noexcept : status_(TASKHOST_ERROR), text_(std::move(failure.text)) {}
  PollResult(const RunResult& result) : status_(result.status()), text_(result.text()) {}
  std::int32_t status() const noexcept { return status_; }
  const std::string& text() const noexcept { return text_; }

 private:
  std::int32_t status_;
  std::string text_;
};

// Wakes one execution. [anywhere] After the execution's end it does nothing. Copy it freely.
class Waker {
 public:
  Waker() = default;  // does nothing
  Waker(const taskhost_services& services, taskhost_waker value) noexcept : services_(&services), value_(value) {}
  void wake() const noexcept {
    if (services_ != nullptr) services_->wake(value_);
  }

 private:
  const taskhost_services* services_ = nullptr;  // lives as long as the process
  taskhost_waker value_ = 0;
};

// What ended a wait.
class Waited {
 public:
  explicit Waited(std::uint32_t bits) noexcept : bits_(bits) {}
  bool stop() const noexcept { return (bits_ & TASKHOST_WAIT_STOP) != 0; }
  bool wake() const noexcept { return (bits_ & TASKHOST_WAIT_WAKE) != 0; }
  bool time() const noexcept { return (bits_ & TASKHOST_WAIT_TIME) != 0; }

 private:
  std::uint32_t bits_;
};

namespace detail {

inline std::uint64_t nanoseconds(Duration duration) noexcept {
  if (duration == Duration::max()) return TASKHOST_NEVER;
  return duration.count() < 0 ? 0 : static_cast<std::uint64_t>(duration.count());
}
inline std::uint64_t nanoseconds(Time time) noexcept { return nanoseconds(time.time_since_epoch()); }

// Whole nanoseconds, rounded up. hours::max() becomes Duration::max() instead of overflowing.
template <class Rep, class Period>
Duration saturated(std::chrono::duration<Rep, Period> delay) noexcept {
  if (delay <= delay.zero()) return Duration::zero();
  using Wide = std::chrono::duration<double, std::nano>;
  if (Wide(delay) >= Wide(Duration::max())) return Duration::max();
  return std::chrono::ceil<Duration>(delay);
}

}  // namespace detail

namespace detail {

class Execution;

// What a coroutine's context notes for it: see coroutine.hpp.
struct Asked {
  std::atomic<bool> about_stop = false;
};

}  // namespace detail

// An execution's view of its host. It wraps a pointer: copy it freely, use it until the task's destructor returns.
class Context {
 public:
  explicit Context(const taskhost_exec* exec, detail::Asked* asked = nullptr) noexcept : exec_(exec), asked_(asked) {}

  // [any-thread]
  void log(std::int32_t level, std::string_view text) const noexcept {
    services().log(exec_, level, text.data(), text.size());
  }
  void debug(std::string_view text) const noexcept { log(TASKHOST_LOG_DEBUG, text); }
  void info(std::string_view text) const noexcept { log(TASKHOST_LOG_INFO, text); }
  void warning(std::string_view text) const noexcept { log(TASKHOST_LOG_WARNING, text); }
  void error(std::string_view text) const noexcept { log(TASKHOST_LOG_ERROR, text); }

  // [any-thread] The task's config: JSON text, "{}" if there is none. NUL-terminated.
  std::string_view config() const noexcept {
    std::size_t size = 0;
    const char* text = services().config(exec_, &size);
    return {text, size};
  }
  // [any-thread]
  std::string_view task_name() const noexcept { return services().task_name(exec_); }
  std::uint64_t execution_number() const noexcept { return services().execution_number(exec_); }
  bool stop_requested() const noexcept {
    if (asked_ != nullptr) asked_->about_stop.store(true, std::memory_order_relaxed);
    return services().stop_requested(exec_) != 0;
  }
  Time now() const noexcept { return Time(Duration(static_cast<std::int64_t>(services().now()))); }
  void ready() const noexcept { services().ready(exec_); }
  void heartbeat() const noexcept { services().heartbeat(exec_); }

  // [execution] The waker itself may be used on any thread.
  Waker waker() const noexcept { return {services(), services().waker(exec_)}; }

  // [execution] One timer per execution: a new time replaces the old one; `never`, or a delay that reaches it, clears
  // it.
  void wake_at(Time time) const noexcept { services().wake_at(exec_, detail::nanoseconds(time)); }
  template <class Rep, class Period>
  void wake_after(std::chrono::duration<Rep, Period> delay) const noexcept {
    services().wake_after(exec_, detail::nanoseconds(detail::saturated(delay)));
  }

  // [execution, poll only] Wakes the execution as long as the descriptor is ready for TASKHOST_READABLE,
  // TASKHOST_WRITABLE or both; replaces an earlier watch of it. TASKHOST_OK, or TASKHOST_REFUSED_*, which the host has
  // logged.
  std::int32_t watch(taskhost_fd descriptor, std::uint32_t interests, std::uint64_t tag = 0) const noexcept {
    return services().watch(exec_, descriptor, interests, tag);
  }
  // [execution, poll only; drop] Before the descriptor is closed.
  void forget(taskhost_fd descriptor) const noexcept { services().watch(exec_, descriptor, 0, 0); }
  // [execution, poll only] What is ready now: fills `list`, returns how many.
  std::size_t take_ready(taskhost_ready* list, std::size_t capacity) const noexcept {
    return services().take_ready(exec_, list, capacity);
  }
  // [execution, poll only] TASKHOST_OK, or TASKHOST_REFUSED_*.
  std::int32_t offload(const taskhost_work& work) const noexcept { return services().offload(exec_, &work); }
  // [any-thread] What the execution is doing, for operators: one line.
  void status(std::string_view text) const noexcept { services().status(exec_, text.data(), text.size()); }

  // [execution, run only] For a loop of the task's own: readable while a wait would return for a wake or the stop.
  taskhost_fd wait_fd() const noexcept { return services().wait_fd(exec_); }
  // [execution, run only]
  Waited wait_until(Time time) const noexcept { return Waited(services().wait(exec_, detail::nanoseconds(time))); }
  Waited wait() const noexcept { return wait_until(never); }
  template <class Rep, class Period>
  Waited wait_for(std::chrono::duration<Rep, Period> delay) const noexcept {
    const Duration rounded = detail::saturated(delay);
    const Time start = now();
    return wait_until(rounded > never - start ? never : start + rounded);
  }

  // [execution] Records the text of the failure, and returns what poll or run should return:
  // `return context.fail("…")`. Allocates nothing.
  [[nodiscard]] Failed fail(std::string_view text) const noexcept {
    services().fail(exec_, text.data(), text.size());
    return Failed{};
  }

  // [any-thread] An extension's table, or nullptr if this host lacks the extension: extension<taskhost_signals>(
  // TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION).
  template <class Table>
  const Table* extension(const char* id, std::uint32_t revision) const noexcept {
    return static_cast<const Table*>(services().extension(exec_, id, revision));
  }

  const taskhost_exec* exec() const noexcept { return exec_; }
  const taskhost_services& services() const noexcept { return *exec_->services; }

 private:
  friend class detail::Execution;

  const taskhost_exec* exec_;
  detail::Asked* asked_;  // a coroutine's Execution; null in a class
};

namespace detail {

template <class Task, class = void>
struct has_finish : std::false_type {};
template <class Task>
struct has_finish<Task, std::void_t<decltype(std::declval<Task&>().finish())>> : std::true_type {};

template <class Task, class = void>
struct has_check : std::false_type {};
template <class Task>
struct has_check<Task, std::void_t<decltype(Task::check(std::declval<Context>()))>> : std::true_type {};

template <class Task, class = void>
struct has_poll : std::false_type {};
template <class Task>
struct has_poll<Task, std::void_t<decltype(std::declval<Task&>().poll())>> : std::true_type {};
template <class Task, class = void>
struct has_run : std::false_type {};
template <class Task>
struct has_run<Task, std::void_t<decltype(std::declval<Task&>().run())>> : std::true_type {};

template <class Task>
constexpr bool check() {
  static_assert(std::is_class_v<Task> && !std::is_abstract_v<Task>,
                "factory<Task>: Task must be a class that can be made, not a pointer, a reference or an abstract one");
  static_assert(
      std::is_constructible_v<Task, Context> || std::is_default_constructible_v<Task>,
      "factory<Task>: Task needs a public constructor Task(taskhost::sdk::Context), or one without arguments");
  static_assert(std::is_destructible_v<Task>, "factory<Task>: Task needs a public destructor");
  static_assert(has_poll<Task>::value || has_run<Task>::value,
                "factory<Task>: Task needs a public `PollResult poll()`, which never blocks, or a public `RunResult "
                "run()`, which may");
  static_assert(!(has_poll<Task>::value && has_run<Task>::value),
                "factory<Task>: Task has both poll() and run(); keep one (rule 2.7)");
  static_assert(
      !(has_run<Task>::value && has_finish<Task>::value),
      "factory<Task>: Task has both run() and finish(), which would never be called; let run() wait for the end "
      "(rule 2.7)");
  if constexpr (has_poll<Task>::value) {
    static_assert(std::is_convertible_v<decltype(std::declval<Task&>().poll()), PollResult>,
                  "factory<Task>: poll() must return taskhost::sdk::PollResult: pending, done or failed(text)");
  }
  if constexpr (has_finish<Task>::value) {
    static_assert(std::is_convertible_v<decltype(std::declval<Task&>().finish()), PollResult>,
                  "factory<Task>: finish() must return taskhost::sdk::PollResult: pending or done");
  }
  if constexpr (has_run<Task>::value) {
    static_assert(std::is_void_v<decltype(std::declval<Task&>().run())> ||
                      std::is_convertible_v<decltype(std::declval<Task&>().run()), RunResult>,
                  "factory<Task>: run() must return void or taskhost::sdk::RunResult: done or failed(text). A run() is "
                  "never pending: it waits with Context::wait()");
  }
  static_assert(alignof(Task) <= 4096, "factory<Task>: the host aligns to 4096 bytes at most (rule 2.6)");
  static_assert(sizeof(Task) < (std::size_t{1} << 30), "factory<Task>: the host gives up to 1 GiB (rule 2.5)");
  return true;
}

// Call only within a catch block.
inline std::int32_t report_exception(Context context) noexcept {
  try {
    throw;
  } catch (const Failure& failure) {
    const std::string_view text = failure.what();
    // An empty text keeps the one that fail() has got before.
    if (!text.empty()) context.services().fail(context.exec(), text.data(), text.size());
    return TASKHOST_ERROR;
  } catch (const std::bad_alloc&) {
    const std::string_view text = "out of memory (std::bad_alloc)";
    context.services().fail(context.exec(), text.data(), text.size());
  } catch (const std::exception& exception) {
    const std::string_view text = exception.what();
    context.services().fail(context.exec(), text.data(), text.size());
  } catch (...) {
    const std::string_view text = "an exception that is not a std::exception";
    context.services().fail(context.exec(), text.data(), text.size());
  }
  return TASKHOST_PANIC;
}

// The same for an exception from finish or a destructor.
inline void log_exception(Context context) noexcept {
  try {
    throw;
  } catch (const std::exception& exception) {
    context.error("the task's end threw an exception (rule 3.7):");
    context.error(exception.what());
  } catch (...) {
    context.error("the task's end threw an exception that is not a std::exception (rule 3.7)");
  }
}

template <class Result>
std::int32_t report_result(Context context, const Result& result) noexcept {
  if (!result.text().empty()) context.services().fail(context.exec(), result.text().data(), result.text().size());
  return result.status();
}

// The functions that the host calls for an execution.
template <class Task>
struct Border {
  static std::int32_t start(void* state, const taskhost_exec* exec) noexcept {
    try {
      if constexpr (std::is_constructible_v<Task, Context>) {
        ::new (state) Task(Context(exec));
      } else {
        ::new (state) Task();
      }
      return TASKHOST_OK;
    } catch (...) {
      return report_exception(Context(exec));
    }
  }

  static std::int32_t poll(void* state, const taskhost_exec* exec) noexcept {
    try {
      const PollResult result = task(state).poll();
      return report_result(Context(exec), result);
    } catch (...) {
      return report_exception(Context(exec));
    }
  }

  static std::int32_t run(void* state, const taskhost_exec* exec) noexcept {
    try {
      if constexpr (std::is_void_v<decltype(std::declval<Task&>().run())>) {
        task(state).run();
        return TASKHOST_OK;
      } else {
        const RunResult result = task(state).run();
        return report_result(Context(exec), result);
      }
    } catch (...) {
      return report_exception(Context(exec));
    }
  }

  // The outcome is already decided, so what finish or a destructor throws can only be logged (rule 3.7).
  static std::int32_t finish(void* state, const taskhost_exec* exec) noexcept {
    try {
      const PollResult result = task(state).finish();
      if (result.status() != TASKHOST_ERROR) return result.status();
      Context(exec).error(result.text());
    } catch (...) {
      log_exception(Context(exec));
    }
    return TASKHOST_OK;
  }

  static void drop(void* state, const taskhost_exec* exec) noexcept {
    try {
      task(state).~Task();
    } catch (...) {
      log_exception(Context(exec));
    }
  }

  static std::int32_t check(const taskhost_exec* exec) noexcept {
    try {
      Task::check(Context(exec));
      return TASKHOST_OK;
    } catch (...) {
      return report_exception(Context(exec));
    }
  }

 private:
  static Task& task(void* state) noexcept { return *std::launder(static_cast<Task*>(state)); }
};

// All factories of a plugin, chained at compile time, so that a wrong name does not compile.
template <std::size_t Count>
class Plugin {
  static_assert(Count > 0, "TASKHOST_SDK_PLUGIN needs at least one taskhost::sdk::factory<Task>(\"name\")");

 public:
  template <class... Factories>
  explicit constexpr Plugin(const Factories&... factories) : factories_{factories...} {
    for (std::size_t index = 0; index < Count; ++index) {
      const std::string_view name = factories_[index].name;
      if (name.empty() || name.size() > 128) throw std::invalid_argument("a name has 1 to 128 bytes (rule 2.3)");
      for (std::size_t other = 0; other < index; ++other) {
        if (name == factories_[other].name) throw std::invalid_argument("two factories of one name (rule 2.9)");
      }
      if (index + 1 < Count) factories_[index].next = &factories_[index + 1];
    }
  }
  Plugin(const Plugin&) = delete;  // the chain points into it
  Plugin& operator=(const Plugin&) = delete;

  constexpr const taskhost_factory* first() const noexcept { return factories_; }

 private:
  taskhost_factory factories_[Count];
};
template <class... Factories>
Plugin(const Factories&...) -> Plugin<sizeof...(Factories)>;

}  // namespace detail

// The recipe for Task. The texts are kept as pointers: use literals.
template <class Task>
constexpr taskhost_factory factory(const char* name, const char* version = nullptr,
                                   const char* description = nullptr) noexcept {
  static_assert(detail::check<Task>());
  using Border = detail::Border<Task>;
  taskhost_factory made{};
  made.struct_size = sizeof(taskhost_factory);
  made.name = name;
  made.version = version;
  made.description = description;
  made.state_size = sizeof(Task);
  made.state_align = alignof(Task);
  made.start = &Border::start;
  if constexpr (detail::has_poll<Task>::value) made.poll = &Border::poll;
  if constexpr (detail::has_run<Task>::value) made.run = &Border::run;
  if constexpr (detail::has_finish<Task>::value) made.finish = &Border::finish;
  if constexpr (detail::has_check<Task>::value) made.check = &Border::check;
  made.drop = &Border::drop;
  return made;
}

// The same factory with a check of its configs: a function that throws a Failure for one that will not do (rule 3.16).
// A class has its own, `static void check(Context)`.
template <void (*Check)(Context)>
constexpr taskhost_factory with_check(taskhost_factory factory) noexcept {
  factory.check = [](const taskhost_exec* exec) noexcept -> std::int32_t {
    try {
      Check(Context(exec));
      return TASKHOST_OK;
    } catch (...) {
      return detail::report_exception(Context(exec));
    }
  };
  return factory;
}

}  // namespace taskhost::sdk

// Defines the plugin's entry: TASKHOST_SDK_PLUGIN(factory<A>("a"), factory<B>("b")). Use it once, in a source file, at
// global scope. The list is a constant, so the first call needs no initialisation and no guard.
#define TASKHOST_SDK_PLUGIN(...)                                                       \
  extern "C" TASKHOST_EXPORT const taskhost_factory* taskhost_plugin_v1(void) {        \
    static constexpr ::taskhost::sdk::detail::Plugin taskhost_sdk_plugin{__VA_ARGS__}; \
    return taskhost_sdk_plugin.first();                                                \
  }                                                                                    \
  static_assert(true, "")

#endif
