// Records every event as a line of text, in order; for tests that drive a shard step by step and for those with real
// threads.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "taskhost/core/event.hpp"

namespace taskhost::test {

// An event that stays valid after the names to which it refers.
struct Record {
  Event event;
  std::string task;  // "host" for events without a task
  std::string line;
};

class RecordingSink final : public EventSink {
 public:
  bool publish(Event&& event) noexcept override {
    const std::lock_guard lock(mutex_);
    if (event.kind == EventKind::host_stopping) stopping_ = true;
    if (event.kind == EventKind::task_started && stopping_) return false;
    Record record{std::move(event), {}, {}};
    record.task = is_of_task(record.event.kind) ? record.event.task : "host";
    record.line = line_of(record.event);
    record.event.task = nullptr;
    records_.push_back(std::move(record));
    changed_.notify_all();
    return true;
  }
  void summarize(const LogSummary& summary) noexcept override {
    const std::lock_guard lock(mutex_);
    summaries_.push_back(summary);
  }
  void log(LogLevel, const char* task, std::string_view text) noexcept override {
    const std::lock_guard lock(mutex_);
    logs_.push_back((task != nullptr ? std::string(task) + ": " : std::string()) + std::string(text));
    changed_.notify_all();
  }

  // From now on, no start is recorded, as after a host_stopping.
  void refuse_starts() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }

  std::vector<Record> records() const {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  // All lines, or those of one task.
  std::vector<std::string> lines(const std::string& task = {}) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> result;
    for (const Record& record : records_) {
      if (task.empty() || record.task == task) result.push_back(record.line);
    }
    return result;
  }
  std::size_t count(EventKind kind, const std::string& task = {}) const {
    const std::lock_guard lock(mutex_);
    std::size_t result = 0;
    for (const Record& record : records_) {
      if (record.event.kind == kind && (task.empty() || record.task == task)) ++result;
    }
    return result;
  }
  std::vector<std::string> logs() const {
    const std::lock_guard lock(mutex_);
    return logs_;
  }
  std::size_t log_count() const {
    const std::lock_guard lock(mutex_);
    return logs_.size();
  }
  bool logged(const std::string& part) const {
    const std::lock_guard lock(mutex_);
    return contains(logs_, part);
  }
  // Whether an event of the task has this message.
  bool told(const std::string& task, const std::string& message) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(records_.begin(), records_.end(),
                       [&](const Record& record) { return record.task == task && record.event.message == message; });
  }
  std::vector<LogSummary> summaries() const {
    const std::lock_guard lock(mutex_);
    return summaries_;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    records_.clear();
    logs_.clear();
  }

  // Waits until the stream has a line. False if it does not come within a time that is always enough.
  bool await(const std::string& line, int times = 1) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] {
      int found = 0;
      for (const Record& record : records_) found += record.line == line ? 1 : 0;
      return found >= times;
    });
  }
  // Waits until a line of the log contains this.
  bool await_log(const std::string& part) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return contains(logs_, part); });
  }

 private:
  static bool contains(const std::vector<std::string>& lines, const std::string& part) {
    for (const std::string& line : lines) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }

  static bool is_of_task(EventKind kind) {
    return kind != EventKind::host_started && kind != EventKind::host_stopping && kind != EventKind::host_stopped;
  }

  static std::string line_of(const Event& event) {
    std::string line = event.task != nullptr ? event.task : "host";
    std::string_view kind = to_string(event.kind);
    kind.remove_prefix(kind.find('_') + 1);
    line += ' ' + std::string(kind);
    switch (event.kind) {
      case EventKind::task_exited:
        line += ' ' + std::to_string(event.execution) + ' ' + std::string(to_string(event.outcome));
        break;
      case EventKind::task_started:
      case EventKind::task_ready:
      case EventKind::task_stopping:
      case EventKind::task_stopped:
      case EventKind::task_abandoned:
      case EventKind::task_stalled:
        line += ' ' + std::to_string(event.execution);
        break;
      case EventKind::host_stopping:
      case EventKind::host_stopped:
        line = "host " + std::string(kind) + ' ' + std::string(to_string(event.reason)) +
               (event.task != nullptr ? " by " + std::string(event.task) : "");
        break;
      case EventKind::host_started:
      case EventKind::task_restarting:
      case EventKind::task_discarded:
      case EventKind::task_gave_up:
        break;
    }
    return line;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<Record> records_;
  std::vector<LogSummary> summaries_;
  std::vector<std::string> logs_;
};

using Lines = std::vector<std::string>;

}  // namespace taskhost::test
