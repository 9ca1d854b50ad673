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
  bool waits_for_time = false;           // delayed: until its `repeat` is due
  bool waits_for_group = false;          // it must not start before its group is at rest
  std::vector<std::uint32_t> after{};    // the tasks that it comes after
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

  // Of its shard's time, from 0 to 1, lately; absent: it blocks, or there are too few samples. They are taken while
  // somebody asks for reports, and for five seconds afterwards.
  std::optional<double> share{};

  std::uint32_t restarts = 0;                // its budget
  std::optional<std::uint32_t> remaining{};  // restarts left in it; absent: unlimited
  std::optional<Outcome> last_outcome{};     // of the last execution that has ended
  std::string last_message{};
  std::optional<StopReason> over_for{};  // ended: why it was discarded; absent: it was not
  bool is_lost = false;                  // ended, and not because it ended well or the host stops
  bool abandoned = false;                // an execution that could not be ended still exists
};

// How often a shard was looked at, and found to be at work, since the start.
struct ShardSamples {
  std::uint64_t all = 0;
  std::uint64_t busy = 0;
};

using ByOutcome = std::array<std::uint64_t, words_of<Outcome>.size()>;

struct TaskCounts {
  std::array<std::size_t, words_of<TaskState>.size()> by_state{};
  std::size_t ready = 0;
  // Tasks that are not detachable and not ready, without those over and not lost, and those that wait until their
  // `repeat` is due.
  std::size_t needed_unready = 0;
  std::size_t waits_for_time = 0;  // delayed until their `repeat` is due
  std::size_t lost = 0;            // ended, and neither well nor because the host stops
  std::size_t stalled = 0;         // live, in a call that has lost its shard and not returned
  std::size_t unanswered = 0;      // of shards that did not answer in time; not counted elsewhere
  unsigned silent_shards = 0;      // did not answer in time, whatever tasks they have
  bool silent_control = false;     // nor did the control thread
  std::uint64_t starts = 0;
  std::uint64_t restarts = 0;  // after exits; operators' and those for the sake of a group are none
  ByOutcome exits{};           // of executions that ended by themselves
  std::uint64_t gave_up = 0;   // how often a task did
  std::uint64_t stalls = 0;    // calls that lost their shard
  std::uint64_t turns = 0;     // of all shards: each makes the calls that are due
  std::uint64_t sleeps = 0;    // of their threads

  void add(TaskType type, TaskState state, bool is_lost, bool until_due) noexcept {
    ++by_state[static_cast<std::size_t>(state)];
    const bool is_ready = state == TaskState::running;
    if (is_ready) ++ready;
    const bool is_well = (state == TaskState::ended && !is_lost) || until_due;
    if (until_due) ++waits_for_time;
    if (type != TaskType::detachable && !is_ready && !is_well) ++needed_unready;
    if (state == TaskState::ended && is_lost) ++lost;
  }
  TaskCounts& operator+=(const TaskCounts& other) noexcept {
    for (std::size_t i = 0; i < by_state.size(); ++i) by_state[i] += other.by_state[i];
    ready += other.ready;
    needed_unready += other.needed_unready;
    waits_for_time += other.waits_for_time;
    lost += other.lost;
    stalled += other.stalled;
    unanswered += other.unanswered;
    silent_shards += other.silent_shards;
    silent_control = silent_control || other.silent_control;
    starts += other.starts;
    restarts += other.restarts;
    for (std::size_t i = 0; i < exits.size(); ++i) exits[i] += other.exits[i];
    gave_up += other.gave_up;
    stalls += other.stalls;
    turns += other.turns;
    sleeps += other.sleeps;
    return *this;
  }
  bool operator==(const TaskCounts&) const = default;
};

}  // namespace taskhost
