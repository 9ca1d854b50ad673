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
  // Reports that the execution is ready to do its job. Only the first call has an effect.
  void ready() noexcept;

  // [execution] The reason why it is about to fail. Copied; the last call counts.
  void fail(std::string_view text) noexcept;

  // [execution] 0 if there is no memory. Wake with this class's or WakePort's wake, from anywhere.
  Waker waker() noexcept;
  static void wake(Waker waker) noexcept;

  // [execution] There is one timer: a new time replaces the old one, `never` clears it. wake_after counts from the end
  // of the call.
  void wake_at(Nanoseconds time) noexcept;
  void wake_after(Nanoseconds delay) noexcept;

  // [execution] One wake when the descriptor is ready; without interests, stops waiting for it. False if the descriptor
  // can't be waited for.
  bool wake_on_descriptor(int descriptor, unsigned interests) noexcept;

  // [execution, blocking] Returns WaitResult bits; for a polled execution 0, at once.
  unsigned wait_until(Nanoseconds time) noexcept;

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
  const void* services_;  // first word: Recipe::services, a table for the recipe's functions; core never reads it
};

}  // namespace taskhost
