// The life of one task, as SUPERVISION.md defines it: its states, the purpose of a stop, what its exits lead to, and
// its timers. Pure: facts, time and random numbers come in; the next state is returned, and news is reported through a
// voice, within the call. A shard uses such a machine for each of its tasks, the coordinator for those that relate to
// others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "restart_policy.hpp"
#include "taskhost/core/event.hpp"
#include "taskhost/core/task_state.hpp"

namespace taskhost {

// How an execution ended, as its shard saw it.
enum class Ending : std::uint8_t {
  returned,   // it ended by itself, asked or not; also a start that failed
  dropped,    // a polled one, after its stop_timeout
  abandoned,  // a blocking one, or one whose call does not return: it still exists
  refused,    // it did not begin, since the host stops
};
struct End {
  Ending ending = Ending::returned;
  Outcome outcome = Outcome::ok;
  std::string message{};
  Nanoseconds uptime = 0;  // 0 for a start that failed
  Nanoseconds lived = 0;   // from readiness to the end, or to the request to end
};

// One of the coordinator's tasks, by its place in the coordinator's list, from 0.
using Place = std::uint32_t;

// What is reported about a task.
struct TaskNews {
  EventKind kind = EventKind::task_started;
  Place task = 0;  // only for the coordinator's tasks. The owner sets this, execution and remaining
  std::uint64_t execution = 0;
  Outcome outcome = Outcome::ok;
  StopReason reason = StopReason::task_exit;        // task_discarded
  Nanoseconds delay = 0;                            // task_restarting
  Nanoseconds uptime = 0;                           // task_exited, task_stopped, task_abandoned
  Nanoseconds silence = 0;                          // task_stalled: since the last sign of life
  std::optional<std::uint32_t> remaining{};         // absent: unlimited
  std::optional<Place> because{};                   // task_discarded: the task because of which it is discarded
  RestartKind restart_kind = RestartKind::charged;  // task_restarting
  std::string message{};
};

class TaskVoice {
 public:
  virtual void tell(TaskNews&& news) = 0;
  // This task requires the host to stop.
  virtual void stop_host(StopReason reason, bool failure, std::string_view message) = 0;

 protected:
  ~TaskVoice() = default;
};

inline constexpr Outcome no_outcome{0xff};  // nothing has ended yet

// A task's place in its life cycle: all that most tasks need. The owner sets the state, as the machine says.
struct TaskLife {
  std::uint32_t charged = 0;  // restarts since the budget was reset; unused in a supervised task
  TaskState state = TaskState::waiting;
  StopPurpose purpose = StopPurpose::host;  // while it is to stop
  bool to_ask : 1 = false;                  // it is to stop, and has not been asked yet
  bool unstoppable : 1 = false;             // an abandoned execution still exists
  // Set by note_news.
  bool is_lost : 1 = false;  // if it is over: not because it ended well, or because the host stops
  bool is_discarded : 1 = false;
  StopReason discarded_for : 3 = StopReason::task_exit;
  Outcome last_outcome = no_outcome;  // of the last execution that has ended
};

// To be called by the owner with each of the task's news. True if this is an execution's end, with its message.
inline bool note_news(TaskLife& life, const TaskNews& news) noexcept {
  switch (news.kind) {
    case EventKind::task_exited:
    case EventKind::task_stopped:
    case EventKind::task_abandoned:
      life.last_outcome = news.outcome;
      life.is_lost = news.kind == EventKind::task_abandoned ||
                     (news.kind == EventKind::task_exited && news.outcome != Outcome::ok);
      return true;
    case EventKind::task_gave_up:
      life.is_lost = true;
      return false;
    case EventKind::task_restarting:
      life.is_lost = false;
      return false;
    case EventKind::task_discarded:
      life.is_lost = is_lost(news);
      life.is_discarded = true;
      life.discarded_for = news.reason;
      return false;
    case EventKind::host_started:
    case EventKind::task_started:
    case EventKind::task_ready:
    case EventKind::task_stopping:
    case EventKind::task_stalled:
    case EventKind::host_stopping:
    case EventKind::host_stopped:
      return false;
  }
  return false;
}
// The same when it is started again.
inline void forget_end(TaskLife& life) noexcept { life.is_lost = life.is_discarded = false; }

// What a task with optional fields needs in addition.
struct Supervision {
  RestartLedger ledger;
  Nanoseconds deadline = never;  // of a delay, start_timeout or the watchdog; the owner has a timer for it
  Nanoseconds sign = 0;          // the last sign of life: readiness, or a heartbeat
  Nanoseconds covered = never;   // with `repeat`: see repetition.hpp
  bool begun = false;            // this execution has begun
  bool start_over = false;       // its start has succeeded
  bool said_ready = false;
  bool warned = false;      // a missing heartbeat has been reported
  bool armed_anew = false;  // the timer was rearmed after a standstill
  bool until_due = false;   // its last delay is the wait until its repeat is due
  std::string failure;      // purpose failure: the message of the exit to come
};

// closing: a task has requested the stop, which has not begun yet; nothing is started any more.
enum class HostPhase : std::uint8_t { running, closing, stopping };

// Made for one task and one input. An input that does not fit the task's state does nothing.
class TaskMachine {
 public:
  // The consequence of an end.
  struct Next {
    TaskState state = TaskState::ended;
    bool well = false;         // it has ended with success
    bool restarts = false;     // the exit is followed by a fresh execution
    bool with_group = false;   // the same, and not a repeat: its group has to react
    bool is_given_up = false;  // it is discarded without success: its group has to react
  };
  // The consequence of a timer or an operator's request.
  enum class Step : std::uint8_t {
    nothing,
    wait,  // it is now waiting
    stop,  // it is now stopped
    ask,   // it is to be asked to end, unless it has been
  };

  // `supervision` is null for a task without optional fields.
  TaskMachine(const TaskOptions& options, TaskLife& life, Supervision* supervision) noexcept
      : options_(options), life_(life), supervision_(supervision) {}

  bool is_to_stop() const noexcept { return life_.state == TaskState::stopping || life_.to_ask; }
  // Whether all that it waits for is that its repeat is due.
  bool waits_for_time() const noexcept {
    return life_.state == TaskState::delayed && supervision_ != nullptr && supervision_->until_due;
  }
  // Of one that is delayed: when that is over, as of now.
  Nanoseconds next_start(Nanoseconds now) const noexcept;
  std::optional<std::uint32_t> remaining(Nanoseconds now) const noexcept;

  // Before a fresh execution is made, and when it has begun.
  void prepare() noexcept;
  void begun(Nanoseconds now) noexcept;
  // It has ended, and what its end still does is not watched.
  void step_ended() noexcept {
    if (supervision_ != nullptr) supervision_->deadline = never;
  }
  // When its start has succeeded, or it has said that it is ready. True if it is ready from now on.
  bool becomes_ready(Nanoseconds now) noexcept;
  // It is to end for this purpose, possibly among others.
  void want_stop(StopPurpose purpose) noexcept;
  // `is_exit`: nobody asked for the end. `random`, in [0, 1), is for backoff jitter.
  Next end(const End& end, bool is_exit, HostPhase host, Nanoseconds now, double random, TaskVoice& voice);
  // Its deadline has passed. `heartbeat`: the time of this execution's last one; 0 if there was none.
  Step due(Nanoseconds now, Nanoseconds heartbeat, TaskVoice& voice);
  Step operate(Operation operation) noexcept;

 private:
  const SupervisionOptions& optional() const noexcept;
  Next exit(const End& end, HostPhase host, Nanoseconds now, double random, TaskVoice& voice);
  Consequence judge(const End& end, Nanoseconds now, double random);
  Next restart(Nanoseconds delay, RestartKind restart_kind, HostPhase host, Nanoseconds now, TaskVoice& voice);
  Next repeat(HostPhase host, Nanoseconds now, TaskVoice& voice);
  void wait_until_due(Nanoseconds left, Nanoseconds now) noexcept;
  Next give_up(const End& end, HostPhase host, Nanoseconds now, TaskVoice& voice);
  Next could_not_stop(const End& end, HostPhase host, TaskVoice& voice);
  void arm_anew(std::chrono::nanoseconds duration, Nanoseconds now) noexcept;
  Step fail(std::string message) noexcept;
  Step watch(bool stood_still, Nanoseconds now, Nanoseconds heartbeat, TaskVoice& voice);
  void give_back() noexcept;

  const TaskOptions& options_;
  TaskLife& life_;
  Supervision* const supervision_;
};

}  // namespace taskhost
