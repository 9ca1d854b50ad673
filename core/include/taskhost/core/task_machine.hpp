// The life of one task: state × event → action. Pure; the shard performs the actions and reports back.
//
//             start_due            exited: restart            stop_requested
//   waiting ─────────────▶ running ─────────────▶ restarting ────────────────▶ ended
//      │                    │   ▲                     │
//      │ stop_requested     │   └─────────────────────┘ start_due
//      ▼                    ├── exited: anything else ──▶ ended
//    ended                  └── stop_requested ──▶ stopping ── exited | stop_expired ──▶ ended
//
// An event that can't come in a state yields Action::none and changes nothing: a late timer or a second stop is
// harmless.
#pragma once

#include <cstdint>
#include <string_view>

#include "taskhost/core/policy.hpp"

namespace taskhost {

enum class TaskState : std::uint8_t {
  waiting,     // admitted, never started
  running,     // an execution is live
  restarting,  // the next start is due; none is live
  stopping,    // an execution is live and was asked to end
  ended,       // for good
};

enum class TaskEvent : std::uint8_t {
  start_due,       // its turn to start, for the first time or again
  exited,          // the execution ended (a failed start as well); with an Outcome
  stop_requested,  // the host, or an operator, wants the end
  stop_expired,    // its stop_timeout, or the host's, ran out
};

enum class Action : std::uint8_t {
  none,
  start,                // make an execution
  restart,              // charged: bring start_due later
  discard,              // say that it is done
  discard_exhausted,    // say that it gave up and is discarded
  stop_host_success,    //
  stop_host_failure,    //
  stop_host_exhausted,  // say that it gave up, and stop the host
  ask,                  // ask the live execution to end
  cancel,               // nothing is live; nothing more will be
  report_stopped,       // it ended after being asked
  remove,               // drop a polled execution, abandon a blocking one
};

std::string_view to_string(TaskState state) noexcept;
std::string_view to_string(TaskEvent event) noexcept;
std::string_view to_string(Action action) noexcept;

struct TaskMachine {
  std::uint32_t restarts_used = 0;  // charged when a restart is scheduled
  TaskState state = TaskState::waiting;

  // `outcome` counts only for exited. Once `host_stopping`, an exit restarts nothing: it only ends the task.
  [[gnu::always_inline]] constexpr Action resume(const TaskOptions& options, TaskEvent event,
                                                 Outcome outcome = Outcome::ok, bool host_stopping = false) noexcept {
    switch (event) {
      case TaskEvent::start_due:
        return start_due(host_stopping);
      case TaskEvent::exited:
        return exited(options, outcome, host_stopping);
      case TaskEvent::stop_requested:
        return stop_requested();
      case TaskEvent::stop_expired:
        if (state != TaskState::stopping) return Action::none;
        state = TaskState::ended;
        return Action::remove;
    }
    return Action::none;
  }

  // Budget left, before the next exit.
  constexpr std::uint32_t remaining(const TaskOptions& options) const noexcept {
    return options.restarts - restarts_used;
  }

 private:
  [[gnu::always_inline]] constexpr Action start_due(bool host_stopping) noexcept {
    if (state != TaskState::waiting && state != TaskState::restarting) return Action::none;
    state = host_stopping ? TaskState::ended : TaskState::running;
    return host_stopping ? Action::cancel : Action::start;
  }

  constexpr Action stop_requested() noexcept {
    switch (state) {
      case TaskState::waiting:
      case TaskState::restarting:
        state = TaskState::ended;
        return Action::cancel;
      case TaskState::running:
        state = TaskState::stopping;
        return Action::ask;
      case TaskState::stopping:
      case TaskState::ended:
        return Action::none;
    }
    return Action::none;
  }

  [[gnu::always_inline]] constexpr Action exited(const TaskOptions& options, Outcome outcome,
                                                 bool host_stopping) noexcept {
    if (state == TaskState::stopping) {
      state = TaskState::ended;
      return Action::report_stopped;
    }
    if (state != TaskState::running) return Action::none;
    const Verdict verdict = judge(options, restarts_used, outcome);
    state = TaskState::ended;
    switch (verdict) {
      case Verdict::restart:
        if (host_stopping) return Action::cancel;
        ++restarts_used;
        state = TaskState::restarting;
        return Action::restart;
      case Verdict::discard:
        return Action::discard;
      case Verdict::discard_exhausted:
        return Action::discard_exhausted;
      case Verdict::stop_host_success:
        return Action::stop_host_success;
      case Verdict::stop_host_failure:
        return Action::stop_host_failure;
      case Verdict::stop_host_exhausted:
        return Action::stop_host_exhausted;
    }
    return Action::none;
  }
};

}  // namespace taskhost
