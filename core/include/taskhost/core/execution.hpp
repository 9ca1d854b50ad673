// One execution as its task sees it: the services of the host. The counterpart of the C ABI's services.
//
// Who may call what: [execution] only from within this execution's own start or step, on the thread that called it;
// [any thread] from the start until drop returns.
//
// Services write to the execution and to the frame of the running call, never to the shard, which carries out the
// requests after the call has returned. So a call that returns late, on a thread that has lost its shard, does no harm.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <string_view>

#include "taskhost/core/clock.hpp"
#include "taskhost/core/event.hpp"
#include "taskhost/core/limits.hpp"
#include "taskhost/core/outcome.hpp"
#include "taskhost/core/wake_port.hpp"

namespace taskhost {

class Recipe;

// What a descriptor is watched for, and what it is ready for. broken: there was an error, or the other side is gone; it
// is always watched for, and comes with both others, since neither a read nor a write would block.
enum Interest : unsigned { readable = 1, writable = 2, broken = 4, work_done = 8 };
// A watched descriptor that is ready.
struct Ready {
  std::uint64_t tag = 0;   // of its watch
  std::uint32_t what = 0;  // Interest bits
  std::uint32_t reserved = 0;
};

// Why a service does not do what it was asked for. The numbers are those of the C ABI.
enum class Refusal : std::int32_t {
  none = 0,
  wrong_call = 16,     // it is not for this function, thread or kind of execution
  bad_argument = 17,   // an unknown bit
  not_open = 18,       // no such descriptor
  always_ready = 19,   // a regular file, a directory, a device like /dev/null
  loop = 20,           // a set of descriptors that contains itself, or too many of them inside each other
  no_descriptor = 21,  // the process has as many as it may have
  no_memory = 22,
  no_thread = 23,
  watched_by_many = 24,  // more executions than the system allows watch this descriptor
};

// Work that blocks. `run` is called once, on a thread that may block; `discard`, which may be null, after it or in its
// place if the execution has ended before take_ready told it that the work is done.
struct Work {
  std::uint64_t tag = 0;
  void* argument = nullptr;
  void (*run)(void* argument) = nullptr;
  void (*discard)(void* argument) = nullptr;
};

enum WaitResult : unsigned { wait_stop = 1, wait_wake = 2, wait_time = 4 };

class Execution {
 public:
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  // [any thread]
  void log(LogLevel level, std::string_view text) const noexcept;
  std::string_view task_name() const noexcept;
  std::uint64_t number() const noexcept;
  bool stop_requested() const noexcept;
  const Recipe& recipe() const noexcept;
  void heartbeat() noexcept;
  // Reports that the execution is ready to do its job. Only the first call has an effect.
  void ready() noexcept;
  // What it is doing, in one line, for operators. Replaces the last one; copied, and cut at max_status_bytes.
  void set_status(std::string_view text) noexcept;

  // [execution] The reason why it is about to fail. Copied; the last call counts.
  void fail(std::string_view text) noexcept;
  // [execution, polled] The same, for one that lives in another process, which has died: if it returns an error now,
  // its outcome is `crashed`.
  void crashed(std::string_view text) noexcept;
  // [execution, polled] For a recipe that starts later: its start is over.
  void started() noexcept;

  // [execution] 0 if there is no memory. Wake with this class's or WakePort's wake, from anywhere.
  Waker waker() noexcept;
  static void wake(Waker waker) noexcept;

  // [execution] There is one timer: a new time replaces the old one, `never` clears it. wake_after counts from the end
  // of the call.
  void wake_at(Nanoseconds time) noexcept;
  void wake_after(Nanoseconds delay) noexcept;

  // [execution, polled] Watches a descriptor: wakes the execution as long as it is ready for one of the interests,
  // which replace earlier ones. No interests: forgets it. What is refused is logged, once for each reason and
  // execution.
  Refusal watch(std::int64_t descriptor, unsigned interests, std::uint64_t tag) noexcept;
  // [execution, polled] Puts what is ready now into `list`, up to `capacity`: work that is done, each once, and watched
  // descriptors. Returns how many.
  std::size_t take_ready(Ready* list, std::size_t capacity) noexcept;

  // [execution, polled] Has the work run on another thread, and wakes the execution when it is done.
  Refusal offload(const Work& work) noexcept;

  // [execution, blocking] Returns WaitResult bits; for a polled execution 0, at once.
  unsigned wait_until(Nanoseconds time) noexcept;
  // [execution, blocking] For a loop of the task's own: a descriptor that is readable while wait_until would return for
  // the stop or a wake. wait_until(0) takes the wake. The host's, valid until drop returns; -1 if there is none to be
  // had.
  int wait_descriptor() noexcept;

  // [any thread] The execution whose function runs on the calling thread, or null.
  static const Execution* current() noexcept;
  // [any thread, async-signal-safe] Which function that is: "start", "poll", "run", "drop" or "handler"; "?" if none.
  static std::string_view current_function() noexcept;

  // [execution, polled] The shard's loop, for Asio operations. Their handlers run on the shard's thread, but not as
  // calls of the execution: only what is tagged [any thread] works in them. A coroutine has an executor of its own,
  // whose handlers run in its polls, one in each.
  boost::asio::any_io_executor executor() const;

 protected:
  explicit Execution(const void* services) noexcept : services_(services) {}
  ~Execution() = default;

 private:
  Refusal refuse_call(const char* service) const noexcept;

  const void* services_;  // first word: Recipe::services, a table for the recipe's functions; core never reads it
};

}  // namespace taskhost
