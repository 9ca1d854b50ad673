// What executions say that they are doing, by their tasks. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace taskhost {

class StatusBoard {
 public:
  // Throws std::bad_alloc.
  void set(std::uint32_t task, std::uint64_t execution, std::string_view text) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[task];
    if (entry.execution != execution) entry = {.execution = execution, .text = {}};
    entry.text = text;
    for (char& character : entry.text) {  // it is one line
      if (static_cast<unsigned char>(character) < ' ' || character == '\x7f') character = ' ';
    }
  }
  // Empty if this execution has said nothing.
  std::string get(std::uint32_t task, std::uint64_t execution) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(task);
    return found != entries_.end() && found->second.execution == execution ? found->second.text : std::string();
  }
  // Whether this execution has been told of in the log for calls from elsewhere; from now on it has.
  bool was_told_off(std::uint32_t task, std::uint64_t execution) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[task];
    if (entry.execution != execution) entry = {.execution = execution, .text = {}};
    return std::exchange(entry.is_told_off, true);
  }
  // To be appended to a report on the task; or empty.
  std::string words(std::uint32_t task, std::uint64_t execution) const {
    const std::string status = get(task, execution);
    return status.empty() ? status : "; its last status was \"" + status + '"';
  }

 private:
  struct Entry {
    std::uint64_t execution = 0;
    std::string text;
    bool is_told_off = false;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::uint32_t, Entry> entries_;
};

}  // namespace taskhost
