// taskhost/sdk/coroutine.hpp: write a task plugin as a C++20 coroutine. Header-only, over taskhost/sdk/task.hpp.
//
//   taskhost::sdk::Task beat(taskhost::sdk::Context context) {
//     for (;;) {
//       context.info("beat");
//       co_await taskhost::sdk::sleep(std::chrono::seconds(1));
//     }
//   }
//   TASKHOST_SDK_PLUGIN(taskhost::sdk::coroutine<beat>("beat"));
//
// Each call of the coroutine is one execution. It is called in start, where its body does not run yet, resumed in
// polls, and destroyed in drop. How it ends:
//   it returns                            ok
//   co_await failed("why")                error; also within an awaited Async; nothing after it runs but destructors
//   throw Failure("why")                  error; can be caught on the way
//   another exception leaves it           panic, with its what()
//   the host asks it to end               ok, destroyed at its co_await; unless it has asked about the stop: stopped()
// Use everything here only on the thread that is polling the execution, except a Waker.
//
// Write one co_await per statement: g++ 12 silently generates wrong code for a co_await in ?: or in a throw, or in an
// expression with a braced object that has a destructor, or a lambda that has captured one by value. (GCC bug 99576.)
#ifndef TASKHOST_SDK_COROUTINE_HPP
#define TASKHOST_SDK_COROUTINE_HPP

#if !defined(__cplusplus) || __cplusplus < 202002L
#error "taskhost/sdk/coroutine.hpp needs C++20: compile with -std=c++20. For C++17 there is taskhost/sdk/task.hpp."
#endif

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>
#include <type_traits>
#include <utility>

#include "taskhost/sdk/coroutine/async.hpp"
#include "taskhost/sdk/coroutine/combine.hpp"
#include "taskhost/sdk/coroutine/descriptors.hpp"
#include "taskhost/sdk/coroutine/execution.hpp"
#include "taskhost/sdk/coroutine/waits.hpp"

namespace taskhost::sdk {

namespace detail {

template <auto Function, std::size_t FrameSize>
struct CoroutineBorder;

}  // namespace detail

// What a task's coroutine returns.
class [[nodiscard]] Task {
 public:
  class Promise : public detail::PromiseBase {
   public:
    static void* operator new(std::size_t size) { return detail::new_frame(size, detail::frame_memory); }
    static void operator delete(void* frame) noexcept { detail::delete_frame(frame); }

    Task get_return_object() noexcept {
      coroutine = detail::Coroutine(*this);
      return Task(this);
    }
    std::suspend_always final_suspend() noexcept {
      finished = true;
      return {};
    }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept {
      if (note_destroying()) return;
      detail::Execution& execution = strand->execution();
      execution.end(detail::report_exception(execution.context()));
    }
  };

  using promise_type = Promise;  // the name that the language requires

  Task(Task&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() { detail::destroy(promise_); }

 private:
  template <auto Function, std::size_t FrameSize>
  friend struct detail::CoroutineBorder;

  explicit Task(Promise* promise) noexcept : promise_(promise) {}

  Promise* promise_;
};

namespace detail {

template <std::size_t FrameSize>
struct CoroutineCell {
  Execution execution;
  Task::Promise* promise = nullptr;
  bool begun = false;
  alignas(FrameHeader) std::byte frame[sizeof(FrameHeader) + FrameSize];

  explicit CoroutineCell(const taskhost_exec* exec) noexcept : execution(exec) {}
};

// The functions that the host calls for an execution.
template <auto Function, std::size_t FrameSize>
struct CoroutineBorder {
  using Cell = CoroutineCell<FrameSize>;

  static std::int32_t start(void* state, const taskhost_exec* exec) noexcept {
    Cell& cell = *::new (state) Cell(exec);
    const Context context = cell.execution.context();
    std::int32_t status = TASKHOST_OK;
    FrameMemory memory{cell.frame, sizeof cell.frame};
    frame_memory = &memory;
    cell.execution.set_polled(true);
    try {
      Task task = call(context);
      cell.promise = std::exchange(task.promise_, nullptr);
      cell.promise->strand = &cell.execution.first;
    } catch (const std::bad_alloc&) {
      status = report_result(context, RunResult(context.fail("no memory for the coroutine")));
    } catch (...) {
      status = report_exception(context);
    }
    frame_memory = nullptr;
    cell.execution.set_polled(false);
    if (status != TASKHOST_OK) {
      cell.~Cell();
    } else if (memory.too_large != 0) {
      tell(context, memory.too_large);
    }
    return status;
  }

  static std::int32_t poll(void* state, const taskhost_exec*) noexcept {
    Cell& cell = cell_of(state);
    Execution& execution = cell.execution;
    if (execution.stop_requested() && !execution.stop_asked()) return TASKHOST_OK;  // drop follows
    execution.set_polled(true);
    try {
      if (!std::exchange(cell.begun, true)) {
        execution.first.run(cell.promise->coroutine);
      } else {
        execution.fire();
        if (execution.first.take_mark()) execution.first.go_on();
      }
      // Coroutines that make each other's conditions true give way after so many times.
      constexpr int rounds_a_poll = 64;
      for (int round = 0; !execution.ended() && !cell.promise->finished && execution.fire_conditions(); ++round) {
        if (round == rounds_a_poll) {
          execution.wake();
          break;
        }
        if (execution.first.take_mark()) execution.first.go_on();
      }
    } catch (...) {
      execution.end(report_exception(execution.context()));
    }
    execution.set_polled(false);
    if (execution.ended()) return execution.status();
    if (cell.promise->finished) return TASKHOST_OK;
    execution.arm();
    return TASKHOST_PENDING;
  }

  static void drop(void* state, const taskhost_exec* /*exec*/) noexcept {
    Cell& cell = cell_of(state);
    try {
      destroy(cell.promise);
    } catch (...) {
      log_exception(cell.execution.context());
    }
    cell.~Cell();
  }

 private:
  static Cell& cell_of(void* state) noexcept { return *std::launder(static_cast<Cell*>(state)); }

  static Task call(Context context) {
    if constexpr (std::is_invocable_v<decltype(Function), Context>) {
      return Function(context);
    } else {
      return Function();
    }
  }

  static void tell(Context context, std::size_t size) noexcept {
    char text[128];
    const int length = std::snprintf(text, sizeof text, "the coroutine's frame has %zu bytes, %zu are reserved for it",
                                     size, FrameSize);
    if (length > 0) context.log(TASKHOST_LOG_TRACE, text);
  }
};

template <auto Function>
constexpr bool check_coroutine() {
  using Type = decltype(Function);
  static_assert(std::is_invocable_r_v<Task, Type, Context> || std::is_invocable_r_v<Task, Type>,
                "coroutine<function>: function must be a taskhost::sdk::Task function(taskhost::sdk::Context), or one "
                "without arguments");
  return true;
}

}  // namespace detail

// The recipe for a task that is a coroutine. Its frame is in the host's memory if it has at most `FrameSize` bytes, and
// otherwise on the heap. The size of a frame is not known at compile time; larger ones are logged, at level trace. The
// texts are kept as pointers: use literals.
template <auto Function, std::size_t FrameSize = 1024>
constexpr taskhost_factory coroutine(const char* name, const char* version = nullptr,
                                     const char* description = nullptr) noexcept {
  static_assert(detail::check_coroutine<Function>());
  using Border = detail::CoroutineBorder<Function, FrameSize>;
  taskhost_factory made{};
  made.struct_size = sizeof(taskhost_factory);
  made.name = name;
  made.version = version;
  made.description = description;
  made.state_size = sizeof(typename Border::Cell);
  made.state_align = alignof(typename Border::Cell);
  made.start = &Border::start;
  made.poll = &Border::poll;
  made.drop = &Border::drop;
  return made;
}

}  // namespace taskhost::sdk

#endif
