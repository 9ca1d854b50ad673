// Finds a running host's tasks by name, for operators' calls. Created when first needed, so that it costs other hosts
// nothing. Any thread.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>

#include "taskhost/core/supervisor.hpp"

namespace taskhost {

class TaskIndex {
 public:
  // The task's number. `supervisor` must have started, and be the same in each call. Throws std::bad_alloc.
  std::optional<std::size_t> find(std::string_view name, const Supervisor& supervisor) {
    const std::lock_guard lock(mutex_);
    if (numbers_.size() != supervisor.task_count()) {
      numbers_.reserve(supervisor.task_count());
      supervisor.for_each_name([this](std::size_t number, const char* of_task) {
        numbers_.emplace(of_task, static_cast<std::uint32_t>(number));
      });
    }
    const auto found = numbers_.find(name);
    return found != numbers_.end() ? std::optional<std::size_t>(found->second) : std::nullopt;
  }

 private:
  std::mutex mutex_;
  boost::unordered_flat_map<std::string_view, std::uint32_t> numbers_;  // the names belong to the supervisor
};

}  // namespace taskhost
