// Events as values, and the interface of whoever receives them. Events are ordered by the calls to publish.
#pragma once

#include <boost/uuid/uuid.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "taskhost/core/cause_counts.hpp"
#include "taskhost/core/outcome.hpp"
#include "taskhost/core/task_type.hpp"
#include "taskhost/core/words.hpp"

namespace taskhost {

enum class EventKind : std::uint8_t {
  host_started,
  task_started,
  task_ready,
  task_exited,
  task_restarting,
  task_discarded,
  task_gave_up,
  task_stopping,
  task_stopped,
  task_abandoned,
  task_stalled,
  host_stopping,
  host_stopped,
};

enum class StopReason : std::uint8_t {
  task_exit,
  budget_exhausted,
  signal,
  all_done,
  request,
  skipped,      // a task that it comes after is over for good
  group,        // a member of its group gave up
  not_stopped,  // an execution could not be ended
};

// Why a task starts again, and what that takes from its budget.
enum class RestartKind : std::uint8_t {
  charged,   // a restart of its budget
  repeat,    // an exit rule repeats it: free
  cooldown,  // it had given up; after its cooldown it begins anew, with its whole budget
};

template <>
inline constexpr auto words_of<EventKind> =
    std::to_array<Word<EventKind>>({{EventKind::host_started, "host_started"},
                                    {EventKind::task_started, "task_started"},
                                    {EventKind::task_ready, "task_ready"},
                                    {EventKind::task_exited, "task_exited"},
                                    {EventKind::task_restarting, "task_restarting"},
                                    {EventKind::task_discarded, "task_discarded"},
                                    {EventKind::task_gave_up, "task_gave_up"},
                                    {EventKind::task_stopping, "task_stopping"},
                                    {EventKind::task_stopped, "task_stopped"},
                                    {EventKind::task_abandoned, "task_abandoned"},
                                    {EventKind::task_stalled, "task_stalled"},
                                    {EventKind::host_stopping, "host_stopping"},
                                    {EventKind::host_stopped, "host_stopped"}});
template <>
inline constexpr auto words_of<StopReason> =
    std::to_array<Word<StopReason>>({{StopReason::task_exit, "task_exit"},
                                     {StopReason::budget_exhausted, "budget_exhausted"},
                                     {StopReason::signal, "signal"},
                                     {StopReason::all_done, "all_done"},
                                     {StopReason::request, "request"},
                                     {StopReason::skipped, "skipped"},
                                     {StopReason::group, "group"},
                                     {StopReason::not_stopped, "not_stopped"}});

template <>
inline constexpr auto words_of<RestartKind> = std::to_array<Word<RestartKind>>({{RestartKind::charged, "charged"},
                                                                                {RestartKind::repeat, "repeat"},
                                                                                {RestartKind::cooldown, "cooldown"}});

// Fields that do not apply to the kind keep their defaults.
struct Event {
  EventKind kind = EventKind::host_started;
  TaskType type = TaskType::detachable;
  Outcome outcome = Outcome::ok;
  StopReason reason = StopReason::request;          // host_stopping, host_stopped
  RestartKind restart_kind = RestartKind::charged;  // task_restarting
  bool for_log = true;                              // false: not in the log, or only as a part of a summary
  std::int32_t status = 0;                          // host_stopped: the exit status
  const char* task = nullptr;  // name, valid as long as the supervisor; null: an event of the host itself
  boost::uuids::uuid id{};
  std::uint64_t execution = 0;
  std::uint32_t remaining = 0;   // restarts left in the budget
  bool unlimited = false;        // the budget is unlimited
  std::uint64_t delay_ms = 0;    // task_restarting
  std::uint64_t uptime_ms = 0;   // task_exited, task_stopped, task_abandoned
  std::uint64_t stalled_ms = 0;  // task_stalled: duration so far
  std::string message;           // the reason, as text
};

enum class LogLevel : std::int32_t { trace, debug, info, warning, error, off };
template <>
inline constexpr auto words_of<LogLevel> = std::to_array<Word<LogLevel>>({{LogLevel::trace, "trace"},
                                                                          {LogLevel::debug, "debug"},
                                                                          {LogLevel::info, "info"},
                                                                          {LogLevel::warning, "warning"},
                                                                          {LogLevel::error, "error"},
                                                                          {LogLevel::off, "off"}});

// Whether a task_discarded means anything but success: the task failed, gave up, was skipped, went with its group, or
// could not be ended. Takes the event, or the news from which one is made.
template <class News>
bool is_lost(const News& news) noexcept {
  return news.outcome != Outcome::ok || news.reason != StopReason::task_exit;
}

// The level of the log line for a task's event, or for the news from which one is made. `host_stops`: the host's stop
// has begun.
template <class News>
LogLevel log_level(const News& news, bool host_stops) noexcept {
  // While the host runs, a task that stops is worth a line; when the host stops, all of them do.
  const LogLevel routine = host_stops ? LogLevel::debug : LogLevel::info;
  switch (news.kind) {
    case EventKind::task_gave_up:
    case EventKind::task_abandoned:
      return LogLevel::error;
    case EventKind::task_stalled:
      return LogLevel::warning;
    case EventKind::task_exited:
      return news.outcome == Outcome::ok ? LogLevel::info : LogLevel::warning;
    case EventKind::task_discarded:
      return is_lost(news) ? LogLevel::warning : LogLevel::info;
    case EventKind::task_stopping:
      return routine;
    case EventKind::task_stopped:
      return news.message.empty() ? routine : LogLevel::warning;
    case EventKind::host_started:
    case EventKind::task_started:
    case EventKind::task_ready:
    case EventKind::task_restarting:
    case EventKind::host_stopping:
    case EventKind::host_stopped:
      return LogLevel::info;
  }
  return LogLevel::info;
}

// What the log would have shown, but held back during a storm, since the last summary.
struct LogSummary {
  std::uint64_t starts = 0;
  std::uint64_t exits = 0;
  std::uint64_t failures = 0;  // how many of the exits were failures
  std::uint64_t restarts = 0;
  std::uint64_t stalls = 0;          // further stalls of tasks whose first one was shown
  std::uint64_t ends = 0;            // stopping, stopped, discarded
  LogLevel level = LogLevel::trace;  // the highest level held back
  CauseCounts causes;                // of exits and ends
  const char* last_task = nullptr;
  std::uint64_t milliseconds = 0;  // the time that the summary covers
};

// Called from every shard's thread and from the control thread. Must not throw or call back into the supervisor.
class EventSink {
 public:
  virtual ~EventSink() = default;

  // False only for a task_started that comes after a host_stopping: it is not recorded, and the task must not start.
  // So the sink's order alone decides what was started before the stop.
  virtual bool publish(Event&& event) noexcept = 0;

  // The lowest level that the log shows: nothing below it need be published for the log. Never changes.
  virtual LogLevel log_level() const noexcept { return LogLevel::trace; }

  virtual void summarize(const LogSummary& summary) noexcept = 0;

  // A line that a task logs, or (task null) the supervisor.
  virtual void log(LogLevel level, const char* task, std::string_view text) noexcept = 0;
};

}  // namespace taskhost
