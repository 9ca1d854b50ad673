#include "control/metrics.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <string_view>

#include "taskhost_version.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

// Of a state that nobody knows, as in the status.
constexpr std::string_view unknown_state = "unknown";

// A label's value. Bytes that are not UTF-8, which would spoil the whole text, are written as \xXX.
std::string label_value(std::string_view text) {
  std::string value;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = character_size(text, at);
    const std::string_view character = text.substr(at, std::max<std::size_t>(size, 1));
    if (size == 0) {
      value.append("\\").append(printable_text(character));
    } else if (character == "\n") {
      value += "\\n";
    } else if (character == "\"" || character == "\\") {
      value.append("\\").append(character);
    } else {
      value += character;
    }
    at += character.size();
  }
  return value;
}

std::string label(std::string_view name, std::string_view value) {
  return std::string(name) + "=\"" + label_value(value) + '"';
}

// One family at a time: its head comes before its first sample, and is left out if there is none.
class MetricsWriter {
 public:
  explicit MetricsWriter(std::string& text) : text_(text) {}

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    type_ = type;
    help_ = help;
  }

  // Up to two labels, written already.
  void sample(std::string_view value, std::string_view first_label = {}, std::string_view second_label = {}) {
    if (!help_.empty()) {
      text_.append("# HELP ").append(name_).append(" ").append(help_).append("\n");
      text_.append("# TYPE ").append(name_).append(" ").append(type_).append("\n");
      help_ = {};
    }
    text_ += name_;
    if (!first_label.empty()) {
      text_.append("{").append(first_label);
      if (!second_label.empty()) text_.append(",").append(second_label);
      text_ += '}';
    }
    text_.append(" ").append(value).append("\n");
  }
  void count(std::uint64_t value, std::string_view first_label = {}, std::string_view second_label = {}) {
    sample(std::to_string(value), first_label, second_label);
  }
  void flag(bool value, std::string_view first_label = {}, std::string_view second_label = {}) {
    sample(value ? "1" : "0", first_label, second_label);
  }
  // Seconds since 1970, to the millisecond.
  void instant(std::int64_t time_us, std::string_view first_label = {}) {
    if (time_us < 0) return;
    const std::string thousandths = std::to_string(1'000 + time_us / 1'000 % 1'000).substr(1);
    sample(std::to_string(time_us / 1'000'000) + '.' + thousandths, first_label);
  }
  // If it is known.
  void number(double value) {
    if (std::isnan(value) || value < 0) return;
    if (std::isinf(value)) return sample("+Inf");
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    sample({digits.data(), static_cast<std::size_t>(end - digits.data())});
  }

 private:
  std::string& text_;
  std::string_view name_, type_, help_;
};

void add_host(MetricsWriter& metrics, const HostStatus& host) {
  metrics.family("taskhost_info", "gauge", "The host's name and taskhost's version.");
  metrics.sample("1", label("host", host.name), label("version", TASKHOST_VERSION));
  metrics.family("taskhost_start_timestamp_seconds", "gauge", "When the host was started.");
  if (host.since_us != 0) metrics.instant(host.since_us);
  metrics.family("taskhost_stopping", "gauge", "Whether the host is stopping, or has stopped.");
  metrics.flag(host.state == "stopping" || host.state == "stopped");
  metrics.family("taskhost_shards", "gauge", "Event loops.");
  metrics.count(host.shards);

  metrics.family("taskhost_tasks", "gauge", "Tasks by state; unknown: their shard did not answer in time.");
  for (const Word<TaskState>& state : words_of<TaskState>) {
    metrics.count(host.counts.by_state[static_cast<std::size_t>(state.value)], label("state", state.text));
  }
  metrics.count(host.counts.unanswered, label("state", unknown_state));
  metrics.family("taskhost_tasks_ready", "gauge", "Tasks that are ready.");
  metrics.count(host.counts.ready);
  metrics.family("taskhost_tasks_needed_unready", "gauge",
                 "Tasks that the host needs and that are neither ready, nor due later, nor over with success.");
  metrics.count(host.counts.needed_unready);

  metrics.family("taskhost_tasks_lost", "gauge", "Tasks that are over and have not ended well.");
  metrics.count(host.counts.lost);

  const bool is_whole = host.counts.unanswered == 0;
  metrics.family("taskhost_starts_total", "counter", "Executions of all tasks that have been started.");
  if (is_whole) metrics.count(host.counts.starts);
  metrics.family("taskhost_restarts_total", "counter", "Restarts of all tasks, with repeats.");
  if (is_whole) metrics.count(host.counts.restarts);
  metrics.family("taskhost_exits_total", "counter", "Executions that ended by themselves, by outcome.");
  for (const Word<Outcome>& outcome : words_of<Outcome>) {
    const std::uint64_t exits = host.counts.exits[static_cast<std::size_t>(outcome.value)];
    if (is_whole) metrics.count(exits, label("outcome", outcome.text));
  }
  metrics.family("taskhost_gave_up_total", "counter", "How often a task has given up.");
  if (is_whole) metrics.count(host.counts.gave_up);
  metrics.family("taskhost_stalls_total", "counter", "Calls into tasks that took longer than stall_limit.");
  if (is_whole) metrics.count(host.counts.stalls);
  metrics.family("taskhost_shard_turns_total", "counter",
                 "Turns of all event loops: each makes the calls that are due.");
  if (is_whole) metrics.count(host.counts.turns);
  metrics.family("taskhost_shard_sleeps_total", "counter", "How often event loops have waited for something to do.");
  if (is_whole) metrics.count(host.counts.sleeps);
  metrics.family("taskhost_shard_samples_total", "counter", "How often an event loop was looked at, after scrapes.");
  for (std::size_t i = 0; i < host.shard_samples.size(); ++i) {
    metrics.count(host.shard_samples[i].all, label("shard", std::to_string(i)));
  }
  metrics.family("taskhost_shard_busy_samples_total", "counter", "How often it was at work then.");
  for (std::size_t i = 0; i < host.shard_samples.size(); ++i) {
    metrics.count(host.shard_samples[i].busy, label("shard", std::to_string(i)));
  }
  metrics.family("taskhost_events_total", "counter", "Events.");
  metrics.count(host.events);
  metrics.family("taskhost_events_lost_total", "counter",
                 "Events that could not be written, or for which there was no memory.");
  metrics.count(host.events_lost);
  metrics.family("taskhost_log_lines_lost_total", "counter", "Lines of the log that could not be written.");
  metrics.count(host.log_lines_lost);
}

void add_tasks(MetricsWriter& metrics, std::span<const TaskStatus> tasks, std::int64_t clock_zero_us) {
  std::vector<std::string> names;
  names.reserve(tasks.size());
  for (const TaskStatus& task : tasks) names.push_back(label("task", task.report.name));
  const auto for_each = [&](auto&& add) {
    for (std::size_t i = 0; i < tasks.size(); ++i) add(tasks[i].report, names[i]);
  };
  const auto for_each_answered = [&](auto&& add) {
    for_each([&](const TaskReport& report, std::string_view task) {
      if (report.is_answered) add(report, task);
    });
  };

  std::vector<std::string> states;
  for (const Word<TaskState>& state : words_of<TaskState>) states.push_back(label("state", state.text));
  states.push_back(label("state", unknown_state));
  metrics.family("taskhost_task_state", "gauge", "1 for the state of a task, 0 for all others.");
  for_each([&](const TaskReport& report, std::string_view task) {
    const std::size_t current = report.is_answered ? static_cast<std::size_t>(report.state) : states.size() - 1;
    for (std::size_t i = 0; i < states.size(); ++i) metrics.flag(i == current, task, states[i]);
  });
  metrics.family("taskhost_task_ready", "gauge", "Whether a task is ready.");
  for_each_answered([&](const TaskReport& report, std::string_view task) { metrics.flag(report.ready, task); });
  metrics.family("taskhost_task_starts_total", "counter", "Executions of a task that have been started.");
  for_each_answered([&](const TaskReport& report, std::string_view task) { metrics.count(report.execution, task); });
  metrics.family("taskhost_task_stalls_total", "counter", "Calls into a task that took longer than stall_limit.");
  for_each_answered([&](const TaskReport& report, std::string_view task) { metrics.count(report.stalls, task); });
  metrics.family("taskhost_task_restarts_remaining", "gauge",
                 "Restarts left in a task's budget; absent if they are unlimited, or if its end stops the host.");
  for_each_answered([&](const TaskReport& report, std::string_view task) {
    if (report.remaining && report.type != TaskType::shutdown_on_exit) metrics.count(*report.remaining, task);
  });
  metrics.family("taskhost_task_start_timestamp_seconds", "gauge", "When a task's current execution was started.");
  for_each_answered([&](const TaskReport& report, std::string_view task) {
    if (!is_live(report.state) || report.started_at == 0) return;
    metrics.instant(clock_zero_us + static_cast<std::int64_t>(report.started_at / 1'000), task);
  });
}

void add_process(MetricsWriter& metrics, const ProcessFigures& process) {
  metrics.family("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
  metrics.number(process.cpu_seconds);
  metrics.family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
  metrics.number(process.resident_bytes);
  metrics.family("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.");
  metrics.number(process.virtual_bytes);
  metrics.family("process_open_fds", "gauge", "Number of open file descriptors.");
  metrics.number(process.open_fds);
  metrics.family("process_max_fds", "gauge", "Maximum number of open file descriptors.");
  metrics.number(process.max_fds);
  metrics.family("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.");
  metrics.number(process.start_time_seconds);
}

}  // namespace

std::string metrics_text(const HostStatus& host, const std::vector<TaskStatus>& tasks, std::size_t max_tasks,
                         const ProcessFigures& process, std::int64_t clock_zero_us) {
  const std::span<const TaskStatus> named = std::span(tasks).first(std::min(max_tasks, tasks.size()));
  std::string text;
  text.reserve(4'096 + named.size() * 1'024);
  MetricsWriter metrics(text);
  add_host(metrics, host);
  add_tasks(metrics, named, clock_zero_us);
  metrics.family("taskhost_metrics_tasks_omitted", "gauge",
                 "Tasks without series of their own, as there are too many.");
  metrics.count(tasks.size() - named.size());
  add_process(metrics, process);
  return text;
}

}  // namespace taskhost
