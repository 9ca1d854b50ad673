// What a task is doing, and how many tasks do what: values that the owners of tasks fill in when somebody asks. Times
// are the supervisor's clock; 0 means that there is none. Plain values; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "taskhost/core/clock.hpp"
#include "taskhost/core/event.hpp"
#include "taskhost/core/outcome.hpp"
#include "taskhost/core/task_state.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

struct TaskReport {
  std::uint32_t task = 0;      // its number
  const char* name = nullptr;  // valid as long as the supervisor
  bool is_answered = true;     // false: its shard did not answer in time, and only number and shard are known
  TaskType type = TaskType::detachable;
  const TaskOptions* options = nullptr;  // valid as long as the supervisor; null: it is not answered
  bool blocking = false;
  unsigned shard = 0;
  std::size_t state_size = 0;  // bytes of an execution's state

  TaskState state = TaskState::waiting;
  std::optional<StopPurpose> purpose{};  // if it is to stop, also before it is asked
  Nanoseconds at = 0;                    // when this was true
  Nanoseconds since = 0;                 // when its state began
  Nanoseconds next_start = 0;            // delayed: when the delay is over
  bool waits_for_group = false;          // it must not start before its group is at rest
  // waiting, delayed: those in `after` that are not satisfied; skipped: those that are over; if it is to be asked to
  // end: those that must have ended before.
  std::vector<std::uint32_t> waits_for{};
  std::optional<std::uint32_t> group{};  // its place among the supervisor's groups

  std::uint64_t execution = 0;  // number of the current or last one; 0: none has begun
  Nanoseconds started_at = 0;   // of the live execution
  bool ready = false;
  bool stalled = false;      // a thread is stuck in a call of it
  std::uint32_t stalls = 0;  // how often one of its calls lost its shard
  std::string status{};      // what the live execution says that it is doing

  std::uint32_t restarts = 0;                // its budget
  std::optional<std::uint32_t> remaining{};  // restarts left in it; absent: unlimited
  std::optional<Outcome> last_outcome{};     // of the last execution that has ended
  std::string last_message{};
  std::optional<StopReason> over_for{};  // ended: why it was discarded; absent: it was not
  bool is_lost = false;                  // ended, and not because it ended well or the host stops
  bool abandoned = false;                // an execution that could not be ended still exists
};

struct TaskCounts {
  std::array<std::size_t, words_of<TaskState>.size()> by_state{};
  std::size_t ready = 0;
  std::size_t needed_unready = 0;  // tasks that are not detachable and not ready, without those over and not lost
  std::size_t unanswered = 0;      // of shards that did not answer in time; not counted elsewhere
  std::uint64_t starts = 0;
  std::uint64_t restarts = 0;  // after exits; operators' and those for the sake of a group are none

  void add(TaskType type, TaskState state, bool is_lost) noexcept {
    ++by_state[static_cast<std::size_t>(state)];
    const bool is_ready = state == TaskState::running;
    if (is_ready) ++ready;
    const bool is_well = state == TaskState::ended && !is_lost;
    if (type != TaskType::detachable && !is_ready && !is_well) ++needed_unready;
  }
  TaskCounts& operator+=(const TaskCounts& other) noexcept {
    for (std::size_t i = 0; i < by_state.size(); ++i) by_state[i] += other.by_state[i];
    ready += other.ready;
    needed_unready += other.needed_unready;
    unanswered += other.unanswered;
    starts += other.starts;
    restarts += other.restarts;
    return *this;
  }
  bool operator==(const TaskCounts&) const = default;
};

}  // namespace taskhost
