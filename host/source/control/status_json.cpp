#include "control/status_json.hpp"

#include <array>
#include <charconv>
#include <string_view>

#include "control/situation.hpp"
#include "events/event_json.hpp"
#include "taskhost_version.hpp"

namespace taskhost {

namespace {

// Writes the members of one object, in the order of the calls.
class JsonObject {
 public:
  explicit JsonObject(std::string& json) : json_(json) { json_ += '{'; }

  std::string& key(std::string_view name) {
    if (json_.back() != '{') json_ += ',';
    return json_.append("\"").append(name).append("\":");
  }
  void null(std::string_view name) { key(name).append("null"); }
  void number(std::string_view name, std::uint64_t value) { key(name).append(std::to_string(value)); }
  void flag(std::string_view name, bool value) { key(name).append(value ? "true" : "false"); }
  void text(std::string_view name, std::string_view value) { append_json_string(key(name), value); }
  void text_or_null(std::string_view name, std::string_view value) { value.empty() ? null(name) : text(name, value); }
  void time(std::string_view name, std::int64_t time_us) {
    append_time(key(name).append("\""), time_us);
    json_ += '"';
  }
  void end() { json_ += '}'; }

 private:
  std::string& json_;
};

// Times of a report as those of the wall clock, and as distances from the report.
class Times {
 public:
  Times(const TaskReport& report, std::int64_t wall_us) : at_(report.at), wall_us_(wall_us) {}

  std::int64_t wall_time(Nanoseconds time) const noexcept {
    return wall_us_ + microseconds(time) - microseconds(at_);  // so that a moment looks the same in each answer
  }
  // To the millisecond: the two clocks are not read at once, and 3 o'clock is not 02:59:59.999.
  std::int64_t due_time(Nanoseconds time) const noexcept { return (wall_time(time) + 500) / 1000 * 1000; }
  std::uint64_t ms_since(Nanoseconds time) const noexcept { return time >= at_ ? 0 : (at_ - time) / 1'000'000; }
  // Rounded up, so that it is 0 only when it is due.
  std::uint64_t ms_until(Nanoseconds time) const noexcept { return time <= at_ ? 0 : (time - at_ - 1) / 1'000'000 + 1; }

 private:
  static std::int64_t microseconds(Nanoseconds duration) noexcept {
    return static_cast<std::int64_t>(duration / 1'000);
  }

  Nanoseconds at_;
  std::int64_t wall_us_;
};

std::string_view word_of_reason(StopReason reason) noexcept {
  return reason == StopReason::task_exit ? "ended" : to_string(reason);
}

void add_identity(JsonObject& object, const TaskStatus& task) {
  object.text("name", task.report.name);
  object.text("id", task.id);
  if (task.report.is_answered) object.text("type", to_string(task.report.type));
  object.text_or_null("plugin", task.plugin);
  object.text_or_null("factory", task.factory);
  if (task.process != 0) {
    object.number("pid", static_cast<std::uint64_t>(task.process));
  } else {
    object.null("pid");
  }
  object.number("shard", task.report.shard);
  object.text("state", task.report.is_answered ? to_string(task.report.state) : "unknown");
}

void add_times(JsonObject& object, const TaskReport& report, const Times& times) {
  if (report.since != 0) {
    object.time("since", times.wall_time(report.since));
    object.number("since_ms", times.ms_since(report.since));
  } else {
    object.null("since");
    object.null("since_ms");
  }
  object.flag("ready", report.ready);
  object.flag("blocking", report.blocking);
  object.number("execution", report.execution);
  if (is_live(report.state) && report.started_at != 0) {
    object.time("started", times.wall_time(report.started_at));
    object.number("uptime_ms", times.ms_since(report.started_at));
  } else {
    object.null("started");
    object.null("uptime_ms");
  }
}

void add_restarts(JsonObject& object, const TaskReport& report, const Times& times) {
  const bool restarts = report.type != TaskType::shutdown_on_exit;
  if (restarts && !report.remaining) {
    object.null("restarts");
    object.null("remaining");
  } else {
    object.number("restarts", restarts ? report.restarts : 0);
    object.number("remaining", restarts ? *report.remaining : 0);
  }
  if (report.state == TaskState::delayed && report.next_start != 0 && report.next_start != never) {
    object.time("next_start", times.due_time(report.next_start));
    object.number("next_start_ms", times.ms_until(report.next_start));
  } else {
    object.null("next_start");
    object.null("next_start_ms");
  }
}

// With three digits: it is a sample.
void append_share(std::string& json, double share) {
  std::array<char, 8> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), share, std::chars_format::fixed, 3).ptr;
  json.append(digits.data(), end);
}

void add_names(JsonObject& object, std::string_view key, const std::vector<std::string_view>& names) {
  std::string& json = object.key(key);
  json += '[';
  for (const std::string_view name : names) {
    if (json.back() != '[') json += ',';
    append_json_string(json, name);
  }
  json += ']';
}

}  // namespace

void append_task_json(std::string& json, const TaskStatus& task, std::int64_t wall_us) {
  const TaskReport& report = task.report;
  JsonObject object(json);
  add_identity(object, task);
  if (report.is_answered) {
    const Times times(report, wall_us);
    report.purpose ? object.text("purpose", to_string(*report.purpose)) : object.null("purpose");
    add_times(object, report, times);
    add_restarts(object, report, times);
    object.text_or_null("last_outcome", report.last_outcome ? to_string(*report.last_outcome) : "");
    object.text_or_null("last_message", report.last_message);
    object.text_or_null("status", report.status);
    object.flag("stalled", report.stalled);
    object.number("stalls", report.stalls);
    if (report.share) {
      append_share(object.key("share"), *report.share);
    } else {
      object.null("share");
    }
    object.flag("abandoned", report.abandoned);
    object.text_or_null("group", task.group);
    add_names(object, "after", task.after);
    add_names(object, "waits_for", task.waits_for);
    object.flag("waits_for_group", report.waits_for_group);
    object.flag("waits_for_time", report.waits_for_time);
    object.text_or_null("over_for", report.over_for ? word_of_reason(*report.over_for) : "");
    object.number("state_bytes", report.state_size);
  }
  object.text("situation", situation(task));
  object.end();
}

void append_host_json(std::string& json, const HostStatus& host) {
  JsonObject object(json);
  object.text("name", host.name);
  object.text("version", TASKHOST_VERSION);
  object.text_or_null("instance", host.instance);
  object.number("pid", host.pid < 0 ? 0 : static_cast<std::uint64_t>(host.pid));
  object.text("state", host.state);
  host.since_us != 0 ? object.time("since", host.since_us) : object.null("since");
  host.since_us != 0 ? object.number("since_ms", host.age / 1'000'000) : object.null("since_ms");
  object.text_or_null("manifest", host.manifest);
  object.number("shards", host.shards);
  JsonObject tasks(object.key("tasks"));
  tasks.number("total", host.tasks);
  tasks.number("ready", host.counts.ready);
  tasks.number("needed_unready", host.counts.needed_unready);
  tasks.number("waits_for_time", host.counts.waits_for_time);
  tasks.number("lost", host.counts.lost);
  tasks.number("stalled", host.counts.stalled);
  tasks.number("unanswered", host.counts.unanswered);
  for (const Word<TaskState>& state : words_of<TaskState>) {
    tasks.number(state.text, host.counts.by_state[static_cast<std::size_t>(state.value)]);
  }
  tasks.end();
  object.number("starts", host.counts.starts);
  object.number("restarts", host.counts.restarts);
  object.number("events", host.events);
  object.number("events_lost", host.events_lost);
  object.number("log_lines_lost", host.log_lines_lost);
  if (!host.orders.empty()) object.text("orders", host.orders);
  object.end();
}

}  // namespace taskhost
