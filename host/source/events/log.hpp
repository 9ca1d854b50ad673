// The log: lines for people (or, as JSON, for machines), written by a thread of its own, so that a terminal that does
// not read never holds up the host. Bounded: where the writer can't keep up, the oldest lines go, and a line in their
// place says how many.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "taskhost/core/event.hpp"
#include "taskhost/core/home_process.hpp"

namespace taskhost {

enum class LogFormat : std::uint8_t { text, json };

class Log {
 public:
  // Receives finished lines on the log's thread; empty: stderr, coloured on a terminal.
  using Receiver = std::function<void(LogLevel level, std::string_view line)>;

  Log(LogLevel level, LogFormat format, Receiver receiver);
  // finish, and close.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // The lowest that is written.
  LogLevel level() const noexcept { return level_; }

  // Any thread. `task` may be null. Control characters and bytes that are not UTF-8 are made printable.
  // A child of this process has no thread that writes: its lines go to stderr at once, marked with its id.
  void write(LogLevel level, const char* task, std::string_view text) noexcept;

  // Any thread but the receiver's. From its return on the receiver is not called any more; lines are thrown away. A
  // call that is going on has five seconds to return.
  void close() noexcept;

  // Any thread. The process may end after it: flush, and what stderr's reader has not taken then is thrown away and
  // counted there, once. Further lines go the same way, uncounted.
  void finish() noexcept;

  // Any thread. Returns once what was written before has reached the receiver; false: a second went by in which it took
  // nothing, or five in all.
  bool flush() noexcept;

  // The same for a signal handler and for a thread that has crashed: takes no lock, and waits a second at most.
  bool flush_in_handler() noexcept;

 private:
  void give_up();

  const HomeProcess home_;
  const LogLevel level_;
  const bool has_receiver_;
  std::atomic<bool> closed_{false};
  struct Writer;
  std::shared_ptr<Writer> writer_;  // shared with the thread, which may outlive this object
  std::thread thread_;
};

}  // namespace taskhost
