// One execution as its task sees it: what the host does for it. The counterpart of the C ABI's services.
//
// Who may call what: [execution] only from within this execution's own start or step, on the thread that called it;
// [any thread] from start until drop returns.
//
// Services write to the execution and to the frame of the running call, never to the shard: what they ask for is done
// after the call has returned. So a call may come back late, on a thread that has lost its shard, and harm nothing.
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

enum Interest : unsigned { readable = 1, writable = 2 };
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
  // It is ready for what it is there for. Again: no effect.
  void ready() noexcept;

  // [execution] Why it is about to fail. Copied; the last one counts.
  void fail(std::string_view text) noexcept;

  // [execution] Never 0. Wake with WakePort's or this wake, from anywhere.
  Waker waker() noexcept;
  static void wake(Waker waker) noexcept;

  // [execution] One timer: a new time replaces the old, never clears it. wake_after counts from the end of the call.
  void wake_at(Nanoseconds time) noexcept;
  void wake_after(Nanoseconds delay) noexcept;

  // [execution] One wake when the descriptor is ready; no interests: forget it. False if it can't be waited for.
  bool wake_on_descriptor(int descriptor, unsigned interests) noexcept;

  // [execution, blocking] WaitResult bits; 0 at once for a polled execution.
  unsigned wait_until(Nanoseconds time) noexcept;

  // [any thread] The execution whose function runs on the calling thread, or null.
  static const Execution* current() noexcept;
  // [any thread, async-signal-safe] Which of its functions that is: "start", "poll", "run", "drop", or "handler"; "?".
  static std::string_view current_function() noexcept;

  // [execution, polled] The loop it lives on, for Asio's own operations. Their handlers run on the shard's thread, but
  // are no calls of the execution: there only what is tagged [any thread] works. A coroutine is on an executor of its
  // own, whose handlers run in its polls, one in each.
  boost::asio::any_io_executor executor() const;

 protected:
  explicit Execution(const void* services) noexcept : services_(services) {}
  ~Execution() = default;

 private:
  const void* services_;  // first word: a table of the world that the recipe comes from; core never reads it
};

}  // namespace taskhost
