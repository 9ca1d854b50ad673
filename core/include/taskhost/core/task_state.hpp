// The states of a task, and the purposes for which one is stopped, as SUPERVISION.md defines them. Plain values; any
// thread.
#pragma once

#include <cstdint>

#include "taskhost/core/words.hpp"

namespace taskhost {

enum class TaskState : std::uint8_t { waiting, delayed, starting, running, stopping, stopped, ended };
// In the order of SUPERVISION.md: an earlier one replaces a later one.
enum class StopPurpose : std::uint8_t { host, operator_stop, discard, again, failure };

template <>
inline constexpr auto words_of<TaskState> = std::to_array<Word<TaskState>>({{TaskState::waiting, "waiting"},
                                                                            {TaskState::delayed, "delayed"},
                                                                            {TaskState::starting, "starting"},
                                                                            {TaskState::running, "running"},
                                                                            {TaskState::stopping, "stopping"},
                                                                            {TaskState::stopped, "stopped"},
                                                                            {TaskState::ended, "ended"}});
template <>
inline constexpr auto words_of<StopPurpose> = std::to_array<Word<StopPurpose>>({{StopPurpose::host, "host"},
                                                                                {StopPurpose::operator_stop,
                                                                                 "operator"},
                                                                                {StopPurpose::discard, "discard"},
                                                                                {StopPurpose::again, "again"},
                                                                                {StopPurpose::failure, "failure"}});

// Whether a task in this state has an execution.
constexpr bool is_live(TaskState state) noexcept {
  return static_cast<unsigned>(state) - static_cast<unsigned>(TaskState::starting) <= 2;
}
static_assert(is_live(TaskState::starting) && is_live(TaskState::stopping) && !is_live(TaskState::delayed) &&
              !is_live(TaskState::stopped));

}  // namespace taskhost
