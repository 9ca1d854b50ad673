// The words of the contract, one for each enumerator.
#include "task_machine.hpp"
#include "taskhost/core/event.hpp"
#include "taskhost/core/outcome.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

std::string_view to_string(TaskType type) noexcept {
  switch (type) {
    case TaskType::shutdown_on_exit:
      return "shutdown_on_exit";
    case TaskType::mandatory:
      return "mandatory";
    case TaskType::detachable:
      return "detachable";
  }
  return "?";
}

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::ok:
      return "ok";
    case Outcome::error:
      return "error";
    case Outcome::panic:
      return "panic";
    case Outcome::crashed:
      return "crashed";
    case Outcome::cancelled:
      return "cancelled";
  }
  return "?";
}

std::string_view to_string(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::host_started:
      return "host_started";
    case EventKind::plugin_loaded:
      return "plugin_loaded";
    case EventKind::task_started:
      return "task_started";
    case EventKind::task_ready:
      return "task_ready";
    case EventKind::task_exited:
      return "task_exited";
    case EventKind::task_restarting:
      return "task_restarting";
    case EventKind::task_discarded:
      return "task_discarded";
    case EventKind::task_gave_up:
      return "task_gave_up";
    case EventKind::task_stopping:
      return "task_stopping";
    case EventKind::task_stopped:
      return "task_stopped";
    case EventKind::task_abandoned:
      return "task_abandoned";
    case EventKind::task_stalled:
      return "task_stalled";
    case EventKind::host_stopping:
      return "host_stopping";
    case EventKind::host_stopped:
      return "host_stopped";
  }
  return "?";
}

std::string_view to_string(StopReason reason) noexcept {
  switch (reason) {
    case StopReason::task_exit:
      return "task_exit";
    case StopReason::budget_exhausted:
      return "budget_exhausted";
    case StopReason::signal:
      return "signal";
    case StopReason::all_done:
      return "all_done";
    case StopReason::request:
      return "request";
    case StopReason::skipped:
      return "skipped";
    case StopReason::group:
      return "group";
    case StopReason::not_stopped:
      return "not_stopped";
  }
  return "?";
}

std::string_view to_string(ExitAction action) noexcept {
  switch (action) {
    case ExitAction::restart:
      return "restart";
    case ExitAction::discard:
      return "discard";
    case ExitAction::stop_host:
      return "stop_host";
    case ExitAction::fail_host:
      return "fail_host";
    case ExitAction::give_up:
      return "give_up";
    case ExitAction::repeat:
      return "repeat";
  }
  return "?";
}

std::string_view to_string(GiveUp action) noexcept {
  switch (action) {
    case GiveUp::by_type:
      return "default";
    case GiveUp::stop_host:
      return "stop_host";
    case GiveUp::discard:
      return "discard";
    case GiveUp::cooldown:
      return "cooldown";
  }
  return "?";
}

std::string_view to_string(WatchdogAction action) noexcept {
  switch (action) {
    case WatchdogAction::log:
      return "log";
    case WatchdogAction::restart:
      return "restart";
  }
  return "?";
}

std::string_view to_string(Strategy strategy) noexcept {
  switch (strategy) {
    case Strategy::one_for_one:
      return "one_for_one";
    case Strategy::one_for_all:
      return "one_for_all";
    case Strategy::rest_for_one:
      return "rest_for_one";
  }
  return "?";
}

std::string_view to_string(TaskState state) noexcept {
  switch (state) {
    case TaskState::waiting:
      return "waiting";
    case TaskState::delayed:
      return "delayed";
    case TaskState::starting:
      return "starting";
    case TaskState::running:
      return "running";
    case TaskState::stopping:
      return "stopping";
    case TaskState::stopped:
      return "stopped";
    case TaskState::ended:
      return "ended";
  }
  return "?";
}

std::string_view to_string(StopPurpose purpose) noexcept {
  switch (purpose) {
    case StopPurpose::host:
      return "host";
    case StopPurpose::operator_stop:
      return "operator";
    case StopPurpose::discard:
      return "discard";
    case StopPurpose::again:
      return "again";
    case StopPurpose::failure:
      return "failure";
  }
  return "?";
}

std::string_view to_string(Fresh fresh) noexcept {
  switch (fresh) {
    case Fresh::charged:
      return "";
    case Fresh::repeat:
      return "repeat";
    case Fresh::cooldown:
      return "cooldown";
  }
  return "?";
}

std::string_view to_string(Operation operation) noexcept {
  switch (operation) {
    case Operation::stop:
      return "stop";
    case Operation::start:
      return "start";
    case Operation::restart:
      return "restart";
  }
  return "?";
}

}  // namespace taskhost
