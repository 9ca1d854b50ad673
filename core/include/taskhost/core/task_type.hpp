// What the end of a task means to the system, as configured by the operator. Plain values; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "taskhost/core/supervision_options.hpp"
#include "taskhost/core/words.hpp"

namespace taskhost {

enum class TaskType : std::uint8_t {
  shutdown_on_exit,  // its end stops the host
  mandatory,         // restarted while budget remains; the host can't do without it
  detachable,        // restarted while budget remains; the host goes on without it
};

template <>
inline constexpr auto words_of<TaskType> = std::to_array<Word<TaskType>>({{TaskType::shutdown_on_exit,
                                                                           "shutdown_on_exit"},
                                                                          {TaskType::mandatory, "mandatory"},
                                                                          {TaskType::detachable, "detachable"}});

// What an operator can ask for a task.
enum class Operation : std::uint8_t { stop, start, restart };
template <>
inline constexpr auto words_of<Operation> = std::to_array<Word<Operation>>({{Operation::stop, "stop"},
                                                                            {Operation::start, "start"},
                                                                            {Operation::restart, "restart"}});

// The policy of a task. Tasks with the same policy share it.
struct TaskOptions {
  TaskType type = TaskType::detachable;
  std::uint32_t restarts = 0;  // budget: one initial start and up to this many restarts; 0 for shutdown_on_exit
  std::chrono::nanoseconds stop_timeout = std::chrono::seconds(10);  // from the request to the drop or abandonment
  // The optional fields; null if none is given. Shared by all tasks whose policy they are part of.
  std::shared_ptr<const SupervisionOptions> optional{};

  // What they say; their defaults if none is given.
  const SupervisionOptions& supervision() const noexcept {
    static const SupervisionOptions none;
    return optional ? *optional : none;
  }

  bool operator==(const TaskOptions& other) const noexcept {
    return type == other.type && restarts == other.restarts && stop_timeout == other.stop_timeout &&
           (optional == other.optional || (optional && other.optional && *optional == *other.optional));
  }
};

}  // namespace taskhost
