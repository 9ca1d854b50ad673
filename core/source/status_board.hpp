// What executions say that they are doing, by their tasks. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace taskhost {

class StatusBoard {
 public:
  // Throws std::bad_alloc.
  void set(std::uint32_t task, std::uint64_t execution, std::string_view text) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[task];
    entry.execution = execution;
    entry.text = text;
  }
  // Empty if this execution has said nothing.
  std::string get(std::uint32_t task, std::uint64_t execution) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(task);
    return found != entries_.end() && found->second.execution == execution ? found->second.text : std::string();
  }

 private:
  struct Entry {
    std::uint64_t execution = 0;
    std::string text;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::uint32_t, Entry> entries_;
};

}  // namespace taskhost
