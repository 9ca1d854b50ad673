// The supervisor accepts tasks, spreads them over shards, and decides what concerns the whole host: the first cause of
// a stop, the stop's deadlines, and its result.
//
// Threads: one per shard, one control thread, and one for each blocking execution. add, start and wait are for the
// owner; request_stop may be called from any thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "taskhost/core/clock.hpp"
#include "taskhost/core/event.hpp"
#include "taskhost/core/limits.hpp"
#include "taskhost/core/task_list.hpp"
#include "taskhost/core/task_report.hpp"

namespace taskhost {

inline constexpr std::size_t default_stack_size = std::size_t{8} * 1024 * 1024;

struct SupervisorOptions {
  unsigned shards = 1;  // 1 to max_shards
  // For the whole stop. Absent: only the tasks' own stop_timeouts limit it.
  std::optional<std::chrono::nanoseconds> shutdown_timeout;
  // After this time, at least min_stall_limit, a call into a polled task counts as stalled, and another thread
  // goes on with the other tasks of its shard. stall_threads limits the threads for that, beyond one per shard.
  std::chrono::nanoseconds stall_limit = std::chrono::milliseconds(100);
  unsigned stall_threads = 64;
  unsigned blocking_threads = 4096;  // limit of concurrent blocking executions
  // Stack sizes in bytes, for the threads of blocking executions and for those that poll. 0: the system's default,
  // which follows RLIMIT_STACK, and is smaller where that is unlimited.
  std::size_t blocking_stack_size = default_stack_size;
  std::size_t poll_stack_size = default_stack_size;
  std::uint64_t seed = 0;               // random seed for backoff jitter; 0: a different one each time
  std::uint64_t executions_before = 0;  // of each task, in another process: the first one here has the next number
  const char* abandonment = "it is abandoned";  // what the log says of an execution that does not return
  bool complete_events = true;  // false: nobody listens to the stream; publish gets only what the log shows
  // [one of the supervisor's threads] Called when an allocation fails without which the supervisor can't go on; reports
  // it and ends the process. Absent: std::terminate.
  std::function<void()> no_memory{};
  // [control thread] Called within a moment after tasks may have changed their states, and when the stop begins. Not
  // for each change, and also when nothing has changed. Must not block.
  std::function<void()> active{};
};

enum class HostResult : std::uint8_t {
  success = 0,
  task_failed = 1,     // a task's policy stopped the host with failure
  stop_timed_out = 4,  // some task did not stop in time
};

// Why the host stops. The first cause decides the result; later ones are only recorded.
struct StopCause {
  StopReason reason = StopReason::request;
  bool failure = false;
  std::string task;    // the task that caused it, if any
  std::string detail;  // "signal SIGTERM", …; may be empty
};

class Supervisor {
 public:
  // `sink` and `clock` must outlive the supervisor. Throws std::invalid_argument for a wrong option,
  // std::system_error if the system has no descriptor left.
  Supervisor(const SupervisorOptions& options, EventSink& sink, const Clock& clock);
  // If the host still runs, stops it and waits.
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Before start. The caller ensures that names are unique. Returns the task's number, from 0.
  std::size_t add(const Task& task);
  // Adds a list's tasks, in its order and with their relations: for many tasks, and for tasks that depend on each
  // other.
  void add(TaskList tasks);
  std::size_t task_count() const noexcept;

  // prepare creates the threads and the tasks; start, which calls it if necessary, sets them going. Throws
  // std::invalid_argument for a task whose policy has a problem (policy_check.hpp), std::system_error if the system
  // provides no thread, std::bad_alloc if it has no memory: then nothing was started, and never will be.
  void prepare();
  void start();
  // Waits until everything has stopped. To be called once.
  HostResult wait();

  // [any thread] An operator's request for one task, by its number. It charges nothing; events report its effect.
  // Before start it takes effect at the start. Before prepare, and once the host stops, it is ignored.
  void operate(std::size_t task, Operation operation);
  // [any thread] After start: the number and name of each task, in no particular order. Names live as long as this.
  void for_each_name(const std::function<void(std::size_t, const char*)>& function) const;

  // [any thread] After start: the name of a task, by its number, and the id that events give it.
  const char* name(std::size_t task) const;
  boost::uuids::uuid id(std::size_t task) const noexcept;

  // [any thread but the supervisor's own and those of task code] After start, and also once everything has stopped:
  // what one task, by its number, or all of them are doing. No shard waits for this: each answers between its calls,
  // some hundred tasks at a time, so the reports are true at slightly different moments (`at`), each in itself. Those
  // of a shard that has not answered within `patience` say so. Throws std::bad_alloc.
  // `with_shares`: and what part of its shard's time it takes, for which shards are looked at for some seconds.
  std::vector<TaskReport> report(std::optional<std::size_t> task, std::chrono::nanoseconds patience,
                                 bool with_shares = true) const;
  // [any thread] After start: of each shard, what was sampled while somebody asked for reports; empty: nobody has.
  std::vector<ShardSamples> shard_samples() const;
  // [the same threads] How many tasks are doing what.
  TaskCounts count(std::chrono::nanoseconds patience) const;

  // [any thread] Changes the option of this name. An execution that runs meanwhile may lack the event of its start.
  void set_complete_events(bool complete) noexcept;

  void request_stop(StopCause cause);
  // Ends the stop now: what has not ended is dropped or abandoned, and the result is stop_timed_out.
  void expire_stop();

  // For operations that concern the whole host, such as signals. Runs on the control thread, from start to the end of
  // wait.
  boost::asio::io_context& control() noexcept;

  // True if blocking tasks were abandoned or a shard was stuck: their threads still use this supervisor, its tasks'
  // recipes and the sink, so the owner must never destroy these (see leak()).
  bool abandoned_threads() const noexcept;

  // For that case: keeps an object reachable for ever.
  static void leak(std::shared_ptr<void> object);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace taskhost
