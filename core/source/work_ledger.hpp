// Which tasks' offloaded work is running, so that the end of a host can name them: their code must stay. Any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "taskhost/core/event.hpp"

namespace taskhost {

class WorkLedger {
 public:
  // Work of this task that is to run, or is running.
  class Entry {
   public:
    // Throws std::bad_alloc.
    Entry(std::shared_ptr<WorkLedger> ledger, const std::string& task) : ledger_(std::move(ledger)) {
      const std::lock_guard lock(ledger_->mutex_);
      place_ = ledger_->running_.try_emplace(task, 0).first;
      ++place_->second;
    }
    ~Entry() { end(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    // It runs no code of the task any more.
    void end() noexcept {
      if (ledger_ == nullptr) return;
      {
        const std::lock_guard lock(ledger_->mutex_);
        if (--place_->second == 0) ledger_->running_.erase(place_);
      }
      ledger_->changed_.notify_all();
      ledger_ = nullptr;
    }

   private:
    std::shared_ptr<WorkLedger> ledger_;  // a thread that is left behind outlives its host
    std::map<std::string, std::size_t>::iterator place_;
  };

  // `sink` gets what log is given, until it is replaced by null.
  void set_sink(EventSink* sink) noexcept {
    const std::lock_guard lock(mutex_);
    sink_ = sink;
  }
  // An error of this task's work. Lost once the host is gone.
  void log(const std::string& task, std::string_view text) noexcept {
    const std::lock_guard lock(mutex_);
    if (sink_ != nullptr) sink_->log(LogLevel::error, task.c_str(), text);
  }

  // The tasks whose work is running even after `patience`. Throws std::bad_alloc.
  std::vector<std::string> still_running(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [this] { return running_.empty(); });
    std::vector<std::string> tasks;
    for (const auto& [task, count] : running_) tasks.push_back(task);
    return tasks;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::size_t> running_;
  EventSink* sink_ = nullptr;
};

}  // namespace taskhost
