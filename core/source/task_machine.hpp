// The life of one task, as SUPERVISION.md tells it: its states, the purpose of a stop, what its exits lead to, and its
// timers. Pure: facts, time and chance come in; the state that follows is returned, and what is to be told is told
// through a voice, within the call. A shard has such a machine for each of its tasks, the coordinator for those that
// relate to others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "restart_policy.hpp"
#include "taskhost/core/event.hpp"
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

// It holds an execution.
constexpr bool is_live(TaskState state) noexcept {
  return static_cast<unsigned>(state) - static_cast<unsigned>(TaskState::starting) <= 2;
}
static_assert(is_live(TaskState::starting) && is_live(TaskState::stopping) && !is_live(TaskState::delayed) &&
              !is_live(TaskState::stopped));

// How an execution came to its end, as its shard saw it.
enum class Ending : std::uint8_t {
  returned,   // it ended by itself, asked or not; a start that failed too
  dropped,    // a polled one, after its stop_timeout
  abandoned,  // a blocking one, or one whose call does not return: it is still there
  refused,    // it was not even begun, since the host stops
};
struct End {
  Ending ending = Ending::returned;
  Outcome outcome = Outcome::ok;
  std::string message{};
  Nanoseconds uptime = 0;  // of a start that failed: nothing
  Nanoseconds lived = 0;   // from readiness to the end, or to the request
};

// One of the coordinator's tasks, by its place in its list, from 0.
using Place = std::uint32_t;

// What people are told of a task.
struct TaskNews {
  EventKind kind = EventKind::task_started;
  Place task = 0;  // of the coordinator's; like execution and remaining, its owner's to fill in
  std::uint64_t execution = 0;
  Outcome outcome = Outcome::ok;
  StopReason reason = StopReason::task_exit;        // task_discarded
  Nanoseconds delay = 0;                            // task_restarting
  Nanoseconds uptime = 0;                           // task_exited, task_stopped, task_abandoned
  Nanoseconds silence = 0;                          // task_stalled: since the last sign of life
  std::optional<std::uint32_t> remaining{};         // absent: unlimited
  std::optional<Place> because{};                   // task_discarded: the task without which it can't be
  RestartKind restart_kind = RestartKind::charged;  // task_restarting
  std::string message{};
};

class TaskVoice {
 public:
  virtual void tell(TaskNews&& news) = 0;
  // The host is to stop, because of this task.
  virtual void stop_host(StopReason reason, bool failure, std::string_view message) = 0;

 protected:
  ~TaskVoice() = default;
};

// Where a task is in its life: all that most tasks need. Its owner sets the state, as the machine says.
struct TaskLife {
  std::uint32_t charged = 0;  // restarts, since the budget was given back; not of a supervised task
  TaskState state = TaskState::waiting;
  StopPurpose purpose = StopPurpose::host;  // while it is to stop
  bool to_ask : 1 = false;                  // it is to stop, and was not asked yet
  bool unstoppable : 1 = false;             // an abandoned execution is still there
  bool is_lost : 1 = false;                 // it is over, and did not end well: its owner's, to count them
};

// What the optional fields of a task need beyond that.
struct Supervision {
  RestartLedger ledger;
  Nanoseconds deadline = never;  // of a delay, of start_timeout, of the watchdog. Its owner has a timer for it
  Nanoseconds sign = 0;          // of life: readiness, or the last heartbeat seen
  bool begun = false;            // this execution
  bool start_over = false;       // with success
  bool said_ready = false;
  bool warned = false;      // of a missing heartbeat
  bool armed_anew = false;  // its timer, after a standstill
  std::string failure;      // purpose failure: what the exit will say
};

// What the host is at. closing: a task has stopped it, and that is on its way; nothing is started any more.
enum class HostPhase : std::uint8_t { running, closing, stopping };

// Works on one task, for one input. Functions that an input can't come to in the task's state do nothing.
class TaskMachine {
 public:
  // What follows from an end.
  struct Next {
    TaskState state = TaskState::ended;
    bool well = false;         // ended, with success
    bool restarts = false;     // an exit is followed by a fresh execution
    bool with_group = false;   // the same, and not as a repeat: what its group does, follows
    bool is_given_up = false;  // discarded, without success: the same
  };
  // What follows from a timer or an operator.
  enum class Step : std::uint8_t {
    nothing,
    wait,  // it is waiting
    stop,  // it is stopped
    ask,   // it is to be asked to end, if it was not yet
  };

  // `supervision` is null for a task without optional fields.
  TaskMachine(const TaskOptions& options, TaskLife& life, Supervision* supervision) noexcept
      : options_(options), life_(life), supervision_(supervision) {}

  bool is_to_stop() const noexcept { return life_.state == TaskState::stopping || life_.to_ask; }
  std::optional<std::uint32_t> remaining(Nanoseconds now) const noexcept;

  // A fresh execution is to be made; and it has begun.
  void prepare() noexcept;
  void begun(Nanoseconds now) noexcept;
  // Its start is over, with success, or it has said that it is ready: true if it is ready from now on.
  bool becomes_ready(Nanoseconds now) noexcept;
  // It is to end, for this too.
  void want_stop(StopPurpose purpose) noexcept;
  // `is_exit`: nobody asked for it. `random`, in [0, 1), is for the jitter of a backoff.
  Next end(const End& end, bool is_exit, HostPhase host, Nanoseconds now, double random, TaskVoice& voice);
  // Its deadline is over. `heartbeat`: when the last one of this execution came; 0 if none did.
  Step due(Nanoseconds now, Nanoseconds heartbeat, TaskVoice& voice);
  Step operate(Operation operation) noexcept;

 private:
  const SupervisionOptions& optional() const noexcept;
  Next exit(const End& end, HostPhase host, Nanoseconds now, double random, TaskVoice& voice);
  Consequence judge(const End& end, Nanoseconds now, double random);
  Next restart(Nanoseconds delay, RestartKind restart_kind, HostPhase host, Nanoseconds now, TaskVoice& voice);
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
