#include "event_text.hpp"

#include "duration.hpp"

namespace taskhost {

namespace {

std::string counted(std::uint64_t count, std::string_view thing) {
  return std::to_string(count) + ' ' + std::string(thing) + (count == 1 ? "" : "s");
}

std::string after_uptime(const Event& event) {
  return " after " + print_duration(std::chrono::milliseconds(event.uptime_ms));
}

std::string with_message(const std::string& words, const Event& event) {
  return event.message.empty() ? words : words + ": " + event.message;
}

// "execution 3", for all but the first of a task.
std::string which(const Event& event) {
  return event.execution == 1 ? std::string() : " (execution " + std::to_string(event.execution) + ")";
}

std::string exit_words(const Event& event) {
  switch (event.outcome) {
    case Outcome::ok:
      return "ended ok";
    case Outcome::error:
      return "failed";
    case Outcome::panic:
      return "panicked";
    case Outcome::crashed:
      return "crashed";
    case Outcome::cancelled:
      return "was cancelled";
  }
  return "ended";
}

// Why the host stops, and which task caused it, in one line.
std::string stopping_words(const Event& event) {
  const std::string task = event.task != nullptr ? "task '" + std::string(event.task) + "'" : "a task";
  const auto needed = [&](const std::string& what) {
    return with_message("stopping: " + task + ' ' + what + ", and the host can't do without it", event);
  };
  switch (event.reason) {
    case StopReason::task_exit:
      return with_message(
          "stopping: " + task + " ended, and that ends the host" + (event.status == 1 ? " with failure" : ""), event);
    case StopReason::budget_exhausted:
      return needed("gave up");
    case StopReason::signal:
      return with_message("stopping", event);
    case StopReason::all_done:
      return with_message("stopping: no task is left", event);
    case StopReason::request:
      return with_message("stopping: the program around the host asked for it", event);
    case StopReason::skipped:
      return needed("was skipped");
    case StopReason::group:
      return needed("loses its group, of which a member gave up");
    case StopReason::not_stopped:
      return needed("could not be ended, so that it can't be started again");
  }
  return "stopping";
}

std::string restarting_words(const Event& event) {
  const std::string delay =
      event.delay_ms != 0 ? " in " + print_duration(std::chrono::milliseconds(event.delay_ms)) : std::string();
  if (event.message == "repeat") return "repeats" + delay;
  const std::string left = event.unlimited ? "" : "; " + counted(event.remaining, "restart") + " left";
  return (event.message == "cooldown" ? "begins anew" : "restarting") + delay + left;
}

std::string gave_up_words(const Event& event) {
  const std::string why = event.unlimited || event.remaining != 0 ? "gave up, as an exit rule says"
                          : event.execution == 1                  ? "gave up: it has no restarts"
                                                                  : "gave up: its restarts are used up";
  return event.outcome == Outcome::ok ? why + "; it ended ok" : with_message(why + "; the last failure", event);
}

std::string discarded_words(const Event& event) {
  switch (event.reason) {
    case StopReason::skipped:
      return with_message("skipped", event);
    case StopReason::group:
      return with_message("discarded", event);
    case StopReason::not_stopped:
      return "discarded, as it could not be ended; the other tasks go on";
    case StopReason::task_exit:
      if (event.outcome != Outcome::ok) return "discarded, as an exit rule says; the other tasks go on";
      break;
    default:
      break;
  }
  return "discarded; the other tasks go on";
}

std::string status_words(std::int32_t status) {
  switch (status) {
    case 0:
      return "well";
    case 1:
      return "with failure";
    case 4:
      return "with a task that did not stop in time";
    default:
      return "";
  }
}

}  // namespace

EventText event_text(const Event& event, bool host_stops) {
  // When the host stops, so do all: but while it runs, a task that stops is worth a line.
  const LogLevel routine = host_stops ? LogLevel::debug : LogLevel::info;
  switch (event.kind) {
    case EventKind::host_started:
      return {LogLevel::info, nullptr, with_message("started", event)};
    case EventKind::plugin_loaded:
      return {LogLevel::debug, nullptr, "loaded plugin '" + std::string(event.task) + "' from " + event.message};
    case EventKind::task_started:
      return {LogLevel::info, event.task, "started" + which(event)};
    case EventKind::task_ready:
      return {LogLevel::info, event.task, "ready"};
    case EventKind::task_exited:
      return {event.outcome == Outcome::ok ? LogLevel::info : LogLevel::warning, event.task,
              with_message(exit_words(event) + which(event) + after_uptime(event), event)};
    case EventKind::task_restarting:
      return {LogLevel::info, event.task, restarting_words(event)};
    case EventKind::task_discarded:
      return {event.outcome == Outcome::ok ? LogLevel::info : LogLevel::warning, event.task, discarded_words(event)};
    case EventKind::task_gave_up:
      return {LogLevel::error, event.task, gave_up_words(event)};
    case EventKind::task_stopping:
      return {routine, event.task, "asked to stop"};
    case EventKind::task_stopped:
      return {event.message.empty() ? routine : LogLevel::warning, event.task, with_message("stopped", event)};
    case EventKind::task_abandoned:
      return {LogLevel::error, event.task, with_message("did not stop in time and was abandoned", event)};
    case EventKind::task_stalled:
      return {LogLevel::warning, event.task, with_message("stalled", event)};
    case EventKind::host_stopping:
      return {event.status == 0 ? LogLevel::info : LogLevel::error, nullptr, stopping_words(event)};
    case EventKind::host_stopped:
      return {event.status == 0 ? LogLevel::info : LogLevel::error, nullptr,
              "stopped " + status_words(event.status) + " (status " + std::to_string(event.status) + ")"};
  }
  return {};
}

std::string summary_text(const LogSummary& summary) {
  std::string words;
  const auto add = [&words](std::uint64_t count, std::string_view thing) {
    if (count != 0) words += (words.empty() ? "" : ", ") + counted(count, thing);
  };
  add(summary.starts, "start");
  add(summary.exits, "exit");
  add(summary.restarts, "restart");
  add(summary.stalls, "stall");
  add(summary.ends, "stop");
  words = "not shown one by one: " + words;
  if (summary.milliseconds != 0) words += " in " + print_duration(std::chrono::milliseconds(summary.milliseconds));
  return words + "; the last of task '" + summary.last_task + "'";
}

}  // namespace taskhost
