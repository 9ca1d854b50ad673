// The log: lines for people (or, as JSON, for machines), written by a thread of its own, so that a terminal that does
// not read never holds up the host. Its queue is limited: if the writer can't keep up, the oldest lines are dropped,
// and a line in their place says how many.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "events/history.hpp"
#include "taskhost/core/event.hpp"
#include "taskhost/core/home_process.hpp"

namespace taskhost {

enum class LogFormat : std::uint8_t { text, json };

class Log {
 public:
  // Receives finished lines on the log's thread. Empty: stderr, coloured on a terminal.
  using Receiver = std::function<void(LogLevel level, std::string_view line)>;

  // `kept` may be null; else it gets each line, with level and task, also those that the writer has to drop.
  Log(LogLevel level, LogFormat format, Receiver receiver, History* kept = nullptr);
  // Calls finish and close.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // The lowest level that is written.
  LogLevel level() const noexcept { return level_; }

  // Any thread. `task` may be null. Makes control characters and bytes that are not UTF-8 printable. A child of this
  // process has no writing thread: its lines go to stderr at once, marked with its process id.
  void write(LogLevel level, const char* task, std::string_view text) noexcept;

  // Any thread. How many lines were dropped.
  std::uint64_t lines_lost() const noexcept;

  // Any thread but the receiver's. After it returns the receiver is not called any more; lines are dropped. A call in
  // progress has five seconds to return.
  void close() noexcept;

  // Any thread. The process may end afterwards: flushes, then drops what stderr's reader has not taken and reports its
  // number, once. Later calls do the same without reporting.
  void finish() noexcept;

  // Any thread. Returns once everything written before has reached the receiver; false if that took nothing for a
  // second, or more than five seconds in all.
  bool flush() noexcept;

  // The same for a signal handler or a thread that has crashed: takes no lock, and waits a second at most.
  bool flush_in_handler() noexcept;

 private:
  void give_up();
  void keep(LogLevel level, const char* task, std::string_view text);

  const HomeProcess home_;
  const LogLevel level_;
  const bool has_receiver_;
  std::atomic<bool> closed_{false};
  struct Writer;
  std::shared_ptr<Writer> writer_;  // shared with the thread, which may outlive this object
  std::thread thread_;
  History* const kept_;
  std::mutex keep_mutex_;  // so that lines are kept in the order of their numbers
  std::uint64_t kept_sequence_ = 0;
};

}  // namespace taskhost
