// The supervisor: takes tasks in, spreads them over shards, and interprets what concerns the whole host: the first
// cause of a stop, its deadlines, and its result.
//
// Threads: one a shard, one control thread, and one for each blocking execution. add, start and wait belong to the
// owner; request_stop may come from any thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "taskhost/core/clock.hpp"
#include "taskhost/core/event.hpp"
#include "taskhost/core/limits.hpp"
#include "taskhost/core/task_list.hpp"

namespace taskhost {

inline constexpr std::size_t default_stack_size = std::size_t{8} * 1024 * 1024;

struct SupervisorOptions {
  unsigned shards = 1;  // 1 to max_shards
  // Of a whole stop. Absent: as long as the tasks' own stop_timeouts take.
  std::optional<std::chrono::nanoseconds> shutdown_timeout;
  // How long a call into a polled task may take until it counts as stalled, and another thread goes on with the other
  // tasks of its shard; at least min_stall_limit. And how many threads there may be for that, beyond one a shard.
  std::chrono::nanoseconds stall_limit = std::chrono::milliseconds(100);
  unsigned stall_threads = 64;
  unsigned blocking_threads = 4096;  // so many blocking executions at once
  // In bytes: of each blocking execution's thread, and of those that poll. 0: the system's default, which goes by
  // RLIMIT_STACK, and is less where that has no limit.
  std::size_t blocking_stack_size = default_stack_size;
  std::size_t poll_stack_size = default_stack_size;
  std::uint64_t seed = 0;       // of the jitter of backoffs; 0: another one each time
  bool complete_events = true;  // false: nobody listens to the stream; publish gets only what the log shows
  // [a thread of the supervisor's] An allocation failed without which it can't go on: says so, and ends the process.
  // Absent: std::terminate.
  std::function<void()> no_memory{};
};

enum class HostResult : std::uint8_t {
  success = 0,
  task_failed = 1,     // a task's policy stopped the host with failure
  stop_timed_out = 4,  // some task did not stop in time
};

// Why the host stops. The first cause counts; later ones are recorded.
struct StopCause {
  StopReason reason = StopReason::request;
  bool failure = false;
  std::string task;    // the one that caused it, if one did
  std::string detail;  // "signal SIGTERM", …; may be empty
};

class Supervisor {
 public:
  // `sink` and `clock` outlive the supervisor. Throws std::invalid_argument for a wrong option,
  // std::system_error if the system has no descriptor left.
  Supervisor(const SupervisorOptions& options, EventSink& sink, const Clock& clock);
  // Stops and waits first, if need be.
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Before start. Names are the caller's to keep unique. Returns the task's number, from 0.
  std::size_t add(const Task& task);
  // Those of a list, in its order, with their relations: for fleets, and for tasks that depend on each other.
  void add(TaskList tasks);
  std::size_t task_count() const noexcept;

  // prepare makes the threads and the tasks; start, which calls it if need be, lets them go. Throws
  // std::invalid_argument for a task whose policy has a problem (policy_check.hpp), std::system_error if the system
  // gives no thread, std::bad_alloc if it gives no memory: then nothing was started, and never will be.
  void prepare();
  void start();
  // Until everything has stopped. Once.
  HostResult wait();

  // [any thread] An operator's wish for one task, by its number. Charges nothing. What comes of it is told by events.
  // Does nothing before prepare, and once the host stops; before start it waits for that.
  void operate(std::size_t task, Operation operation);
  // [any thread] After start: the number and the name of each task, in no order. Names live as long as this.
  void for_each_name(const std::function<void(std::size_t, const char*)>& function) const;

  void request_stop(StopCause cause);
  // The stop ends now: what has not ended is dropped or abandoned, and the result is stop_timed_out.
  void expire_stop();

  // For operations of the host as a whole, such as signals: runs on the control thread, from start to the end of wait.
  boost::asio::io_context& control() noexcept;

  // True if blocking tasks were abandoned or a shard was stuck: their threads still use memory of this supervisor,
  // of its tasks' recipes, and the sink. The owner must never destroy it then (see leak()).
  bool abandoned_threads() const noexcept;

  // Keeps an object reachable for ever, for the case above.
  static void leak(std::shared_ptr<void> object);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace taskhost
