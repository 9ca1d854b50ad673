#include "events/event_text.hpp"

#include <algorithm>
#include <vector>

#include "text/counted.hpp"
#include "text/duration.hpp"

namespace taskhost {

namespace {

std::string after_uptime(const Event& event) {
  return " after " + print_duration(std::chrono::milliseconds(event.uptime_ms));
}

std::string with_message(const std::string& words, const Event& event) {
  return event.message.empty() ? words : words + ": " + event.message;
}

// "execution 3", except for a task's first one.
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

// Why the host stops, and which task is the cause, in one line.
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
      if (!event.message.empty()) return "stopping: " + event.message + ", asked for it";
      return "stopping: the embedding program asked for it";
    case StopReason::skipped:
      return needed("was skipped");
    case StopReason::group:
      return needed("was stopped with its group");
    case StopReason::not_stopped:
      return needed("did not stop, so it can't be started again");
  }
  return "stopping";
}

std::string restarting_words(const Event& event) {
  const std::string delay =
      event.delay_ms != 0 ? " in " + print_duration(std::chrono::milliseconds(event.delay_ms)) : std::string();
  if (event.restart_kind == RestartKind::repeat) return "repeating" + delay;
  const std::string left = event.unlimited ? "" : "; " + counted(event.remaining, "restart") + " left";
  return (event.restart_kind == RestartKind::cooldown ? "starting over" : "restarting") + delay + left;
}

std::string gave_up_words(const Event& event) {
  const std::string why = event.unlimited || event.remaining != 0 ? "gave up because of an exit rule"
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
      return "discarded, because it did not stop";
    case StopReason::task_exit:
      if (event.outcome != Outcome::ok) return "discarded because of an exit rule";
      break;
    default:
      break;
  }
  return "discarded";
}

std::string status_words(std::int32_t status) {
  switch (status) {
    case 0:
      return " well";
    case 1:
      return " with failure";
    case 4:
      return ", but a task did not stop in time";
    default:
      return "";
  }
}

}  // namespace

EventText event_text(const PluginLoaded& loaded) {
  return {LogLevel::debug, nullptr, "loaded plugin '" + loaded.name + "' from " + loaded.path};
}

EventText event_text(const Event& event, bool host_stops) {
  const LogLevel level = log_level(event, host_stops);
  const LogLevel of_host = event.status == 0 ? LogLevel::info : LogLevel::error;
  switch (event.kind) {
    case EventKind::host_started:
      return {level, nullptr, with_message("started", event)};
    case EventKind::task_started:
      return {level, event.task, "started" + which(event)};
    case EventKind::task_ready:
      return {level, event.task, "ready"};
    case EventKind::task_exited:
      return {level, event.task, with_message(exit_words(event) + which(event) + after_uptime(event), event)};
    case EventKind::task_restarting:
      return {level, event.task, restarting_words(event)};
    case EventKind::task_discarded:
      return {level, event.task, discarded_words(event)};
    case EventKind::task_gave_up:
      return {level, event.task, gave_up_words(event)};
    case EventKind::task_stopping:
      return {level, event.task, "asked to stop"};
    case EventKind::task_stopped:
      return {level, event.task, with_message("stopped", event)};
    case EventKind::task_abandoned:  // the supervisor logs it as well, with the tasks that waited for it
      return {LogLevel::debug, event.task, with_message("did not stop in time and was abandoned", event)};
    case EventKind::task_stalled:
      return {level, event.task, with_message("stalled", event)};
    case EventKind::host_stopping:
      return {of_host, nullptr, stopping_words(event)};
    case EventKind::host_stopped:
      return {
          of_host, nullptr,
          "stopped" + status_words(event.status) +
              (event.status == 1 && event.task != nullptr ? ", caused by task '" + std::string(event.task) + "'" : "") +
              " (status " + std::to_string(event.status) + ")"};
  }
  return {};
}

std::string causes_text(const CauseCounts& causes) {
  std::vector<CauseCounts::Cause> named(causes.causes().begin(), causes.causes().end());
  std::stable_sort(named.begin(), named.end(), [](const auto& a, const auto& b) { return a.count > b.count; });
  std::string words;
  const auto add = [&words](const std::string& part) { words += (words.empty() ? "" : ", ") + part; };
  for (const CauseCounts::Cause& cause : named) {
    if (cause.count == 0) continue;
    const std::string often = cause.count == 1 ? "once" : std::to_string(cause.count) + " times";
    add(often + " \"" + std::string(cause.text()) + '"');
  }
  if (causes.others() != 0) add(counted(causes.others(), "other"));
  return words;
}

std::string summary_text(const LogSummary& summary) {
  std::string words;
  const auto add = [&words](std::uint64_t count, std::string_view thing) {
    if (count != 0) words += (words.empty() ? "" : ", ") + counted(count, thing);
  };
  add(summary.starts, "start");
  add(summary.failures, "failure");
  add(summary.exits - summary.failures, "good end");
  add(summary.restarts, "restart");
  add(summary.stalls, "stall");
  add(summary.ends, "stop");
  words = "not logged one by one: " + words;
  if (summary.milliseconds != 0) words += " in " + print_duration(std::chrono::milliseconds(summary.milliseconds));
  words += "; the last one by task '" + std::string(summary.last_task) + "'";
  return summary.causes.empty() ? words : words + "; causes: " + causes_text(summary.causes);
}

}  // namespace taskhost
