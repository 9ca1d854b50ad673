#include "control/metrics.hpp"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "support/catch.hpp"
#include "taskhost_version.hpp"
#include "text/printable.hpp"

using namespace taskhost;

namespace {

// --- a strict reader of the text format 0.0.4 -----------------------------------------------------------------------

using Labels = std::map<std::string, std::string>;
struct Family {
  std::string type;
  std::map<Labels, double> samples;
};

class Reader {
 public:
  explicit Reader(std::string_view text) {
    REQUIRE_FALSE(text.empty());
    REQUIRE(text.back() == '\n');
    while (!text.empty()) {
      line_ = text.substr(0, text.find('\n'));
      text.remove_prefix(line_.size() + 1);
      read_line();
    }
    for (const auto& [name, family] : families_) {
      INFO(name);
      CHECK_FALSE(family.samples.empty());
    }
  }

  const Family& family(const std::string& name) const {
    INFO(name);
    REQUIRE(families_.contains(name));
    return families_.at(name);
  }
  double value(const std::string& name, const Labels& labels = {}) const {
    const auto& samples = family(name).samples;
    INFO(name);
    REQUIRE(samples.contains(labels));
    return samples.at(labels);
  }
  bool has(const std::string& name) const { return families_.contains(name); }
  bool has(const std::string& name, const Labels& labels) const {
    return has(name) && families_.at(name).samples.contains(labels);
  }
  const std::map<std::string, Family>& families() const { return families_; }

 private:
  static bool is_name_character(char c, bool first) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
  }

  void fail(const std::string& problem) const { FAIL(problem + ": " + std::string(line_)); }
  void expect(char c) {
    if (line_.empty() || line_.front() != c) fail(std::string("expected ") + c);
    line_.remove_prefix(1);
  }
  std::string name() {
    std::size_t size = 0;
    while (size < line_.size() && is_name_character(line_[size], size == 0)) ++size;
    if (size == 0) fail("expected a name");
    const std::string name(line_.substr(0, size));
    line_.remove_prefix(size);
    return name;
  }
  std::string quoted() {
    expect('"');
    std::string value;
    while (!line_.empty() && line_.front() != '"') {
      if (line_.front() == '\\') {
        line_.remove_prefix(1);
        const std::size_t which = std::string_view("\\\"n").find(line_.empty() ? '?' : line_.front());
        if (which == std::string_view::npos) fail("an escape that is none");
        value += which == 2 ? '\n' : line_.front();
        line_.remove_prefix(1);
        continue;
      }
      const std::size_t size = character_size(line_, 0);
      if (size == 0) fail("not UTF-8");
      value += line_.substr(0, size);
      line_.remove_prefix(size);
    }
    expect('"');
    return value;
  }
  Labels labels() {
    Labels labels;
    if (line_.empty() || line_.front() != '{') return labels;
    char before = '{';
    do {
      expect(before);
      const std::string label = name();
      expect('=');
      if (!labels.emplace(label, quoted()).second) fail("a label twice");
      before = ',';
    } while (!line_.empty() && line_.front() == ',');
    expect('}');
    return labels;
  }
  double number() {
    const std::string text(line_);
    if (text == "+Inf") return std::numeric_limits<double>::infinity();
    if (text.empty() || text.find_first_not_of("0123456789.e+-") != std::string::npos) fail("not a number");
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (*end != '\0') fail("not a number");
    return value;
  }

  void read_line() {
    if (line_.starts_with("# HELP ")) {
      line_.remove_prefix(7);
      current_ = name();
      expect(' ');
      if (line_.empty() || line_.find('\\') != std::string_view::npos) fail("a bad HELP");
      if (!families_.emplace(current_, Family{}).second) fail("a family in two places");
      return;
    }
    if (line_.starts_with("# TYPE ")) {
      line_.remove_prefix(7);
      if (name() != current_ || !families_[current_].type.empty()) fail("TYPE of another family");
      expect(' ');
      families_[current_].type = line_;
      if (line_ != "gauge" && line_ != "counter") fail("an unknown type");
      if ((line_ == "counter") != current_.ends_with("_total")) fail("a counter ends in _total, nothing else does");
      return;
    }
    const std::string whole(line_);
    if (name() != current_ || families_[current_].type.empty()) fail("a sample of another family");
    const Labels with = labels();
    expect(' ');
    const double value = number();
    if (value < 0) fail("negative: " + whole);
    if (!families_[current_].samples.emplace(with, value).second) fail("a series twice: " + whole);
  }

  std::string_view line_;
  std::string current_;
  std::map<std::string, Family> families_;
};

// --- what is measured -----------------------------------------------------------------------------------------------

constexpr std::int64_t zero_us = 1'700'000'000'000'000;

TaskStatus task(const char* name, TaskState state) {
  TaskStatus status;
  status.report.name = name;
  status.report.type = TaskType::detachable;
  status.report.state = state;
  status.report.ready = state == TaskState::running;
  status.report.execution = 3;
  status.report.stalls = 2;
  status.report.restarts = 5;
  status.report.remaining = 4;
  if (is_live(state)) status.report.started_at = 12'345'678'999;
  return status;
}

HostStatus host_with(const std::vector<TaskStatus>& tasks) {
  HostStatus host;
  host.name = "feeds";
  host.state = "running";
  host.since_us = zero_us + 1'234'567;
  host.shards = 2;
  host.tasks = tasks.size();
  for (const TaskStatus& status : tasks) {
    if (status.report.is_answered) {
      host.counts.add(status.report.type, status.report.state, status.report.is_lost, status.report.waits_for_time);
    } else {
      ++host.counts.unanswered;
    }
  }
  host.counts.starts = 17;
  host.counts.restarts = 9;
  host.counts.exits[static_cast<std::size_t>(Outcome::error)] = 6;
  host.counts.gave_up = 3;
  host.counts.stalls = 4;
  host.counts.turns = 5;
  host.counts.sleeps = 6;
  host.shard_samples = {{50, 10}, {50, 20}};
  host.events = 100;
  host.events_lost = 1;
  host.log_lines_lost = 2;
  return host;
}

Reader read(const std::vector<TaskStatus>& tasks, std::size_t max_tasks = 1000, const ProcessFigures& process = {}) {
  return Reader(metrics_text(host_with(tasks), tasks, max_tasks, process, zero_us));
}

}  // namespace

TEST_CASE("metrics of the host are sums over all tasks") {
  const Reader metrics =
      read({task("a", TaskState::running), task("b", TaskState::running), task("c", TaskState::delayed)});
  CHECK(metrics.value("taskhost_info", {{"host", "feeds"}, {"version", TASKHOST_VERSION}}) == 1);
  CHECK(metrics.value("taskhost_start_timestamp_seconds") == 1'700'000'001.234);
  CHECK(metrics.value("taskhost_stopping") == 0);
  CHECK(metrics.value("taskhost_shards") == 2);
  CHECK(metrics.value("taskhost_tasks", {{"state", "running"}}) == 2);
  CHECK(metrics.value("taskhost_tasks", {{"state", "delayed"}}) == 1);
  CHECK(metrics.value("taskhost_tasks", {{"state", "ended"}}) == 0);
  CHECK(metrics.value("taskhost_tasks", {{"state", "unknown"}}) == 0);
  CHECK(metrics.family("taskhost_tasks").samples.size() == words_of<TaskState>.size() + 1);
  CHECK(metrics.value("taskhost_tasks_ready") == 2);
  CHECK(metrics.value("taskhost_tasks_needed_unready") == 0);
  CHECK(metrics.value("taskhost_starts_total") == 17);
  CHECK(metrics.value("taskhost_restarts_total") == 9);
  CHECK(metrics.value("taskhost_exits_total", {{"outcome", "error"}}) == 6);
  CHECK(metrics.value("taskhost_exits_total", {{"outcome", "ok"}}) == 0);
  CHECK(metrics.value("taskhost_gave_up_total") == 3);
  CHECK(metrics.value("taskhost_stalls_total") == 4);
  CHECK(metrics.value("taskhost_shard_turns_total") == 5);
  CHECK(metrics.value("taskhost_shard_sleeps_total") == 6);
  CHECK(metrics.value("taskhost_shard_samples_total", {{"shard", "1"}}) == 50);
  CHECK(metrics.value("taskhost_shard_busy_samples_total", {{"shard", "1"}}) == 20);
  CHECK(metrics.value("taskhost_events_total") == 100);
  CHECK(metrics.value("taskhost_events_lost_total") == 1);
  CHECK(metrics.value("taskhost_log_lines_lost_total") == 2);
  CHECK(metrics.value("taskhost_metrics_tasks_omitted") == 0);
}

TEST_CASE("a task has one series for each state, of which one is 1") {
  const Reader metrics = read({task("a", TaskState::running), task("b", TaskState::ended)});
  for (const char* name : {"a", "b"}) {
    double sum = 0;
    for (const Word<TaskState>& state : words_of<TaskState>) {
      sum += metrics.value("taskhost_task_state", {{"task", name}, {"state", std::string(state.text)}});
    }
    CHECK(sum == 1);
    CHECK(metrics.value("taskhost_task_state", {{"task", name}, {"state", "unknown"}}) == 0);
  }
  CHECK(metrics.value("taskhost_task_state", {{"task", "a"}, {"state", "running"}}) == 1);
  CHECK(metrics.value("taskhost_task_state", {{"task", "b"}, {"state", "ended"}}) == 1);
  CHECK(metrics.value("taskhost_task_ready", {{"task", "a"}}) == 1);
  CHECK(metrics.value("taskhost_task_ready", {{"task", "b"}}) == 0);
}

TEST_CASE("a task's starts, stalls and restarts are its own") {
  std::vector<TaskStatus> tasks = {task("a", TaskState::running), task("b", TaskState::delayed),
                                   task("c", TaskState::running)};
  tasks[1].report.remaining.reset();
  tasks[2].report.type = TaskType::shutdown_on_exit;
  const Reader metrics = read(tasks);
  CHECK(metrics.value("taskhost_task_starts_total", {{"task", "b"}}) == 3);
  CHECK(metrics.value("taskhost_task_stalls_total", {{"task", "b"}}) == 2);
  CHECK(metrics.value("taskhost_task_restarts_remaining", {{"task", "a"}}) == 4);
  CHECK_FALSE(metrics.has("taskhost_task_restarts_remaining", {{"task", "b"}}));
  CHECK_FALSE(metrics.has("taskhost_task_restarts_remaining", {{"task", "c"}}));
  CHECK(metrics.value("taskhost_task_start_timestamp_seconds", {{"task", "a"}}) == 1'700'000'012.345);
  CHECK_FALSE(metrics.has("taskhost_task_start_timestamp_seconds", {{"task", "b"}}));
}

TEST_CASE("what a shard did not tell has no series, and no counter goes back because of it") {
  std::vector<TaskStatus> tasks = {task("a", TaskState::running), task("b", TaskState::running)};
  tasks[1].report.is_answered = false;
  const Reader metrics = read(tasks);
  CHECK(metrics.value("taskhost_tasks", {{"state", "unknown"}}) == 1);
  CHECK(metrics.value("taskhost_task_state", {{"task", "b"}, {"state", "unknown"}}) == 1);
  CHECK(metrics.value("taskhost_task_state", {{"task", "b"}, {"state", "running"}}) == 0);
  CHECK_FALSE(metrics.has("taskhost_task_ready", {{"task", "b"}}));
  CHECK_FALSE(metrics.has("taskhost_task_starts_total", {{"task", "b"}}));
  CHECK(metrics.has("taskhost_task_starts_total", {{"task", "a"}}));
  CHECK_FALSE(metrics.has("taskhost_starts_total"));
  CHECK_FALSE(metrics.has("taskhost_restarts_total"));
  CHECK(metrics.has("taskhost_events_total"));
}

TEST_CASE("figures of the process are given as far as they are known") {
  ProcessFigures process;
  CHECK_FALSE(read({}, 0, process).has("process_cpu_seconds_total"));
  process.cpu_seconds = 1.25;
  process.resident_bytes = 123'456'789;
  process.max_fds = std::numeric_limits<double>::infinity();
  process.start_time_seconds = 1'700'000'000.25;
  process.virtual_bytes = std::nan("");
  const Reader metrics = read({}, 0, process);
  CHECK(metrics.value("process_cpu_seconds_total") == 1.25);
  CHECK(metrics.value("process_resident_memory_bytes") == 123'456'789);
  CHECK(metrics.value("process_max_fds") == std::numeric_limits<double>::infinity());
  CHECK(metrics.value("process_start_time_seconds") == 1'700'000'000.25);
  CHECK_FALSE(metrics.has("process_open_fds"));
  CHECK_FALSE(metrics.has("process_virtual_memory_bytes"));
}

TEST_CASE("names are escaped, and make valid text whatever they are") {
  const Reader metrics = read({task("a \"b\" \\c", TaskState::running), task("two\nlines", TaskState::running),
                               task("über", TaskState::running), task("\xff", TaskState::running)});
  CHECK(metrics.has("taskhost_task_ready", {{"task", "a \"b\" \\c"}}));
  CHECK(metrics.has("taskhost_task_ready", {{"task", "two\nlines"}}));
  CHECK(metrics.has("taskhost_task_ready", {{"task", "über"}}));
  CHECK(metrics.has("taskhost_task_ready", {{"task", "\\xff"}}));
}

TEST_CASE("tasks beyond the limit have no series, and are counted") {
  const std::vector<TaskStatus> tasks = {task("a", TaskState::running), task("b", TaskState::running),
                                         task("c", TaskState::running)};
  const Reader some = read(tasks, 2);
  CHECK(some.family("taskhost_task_ready").samples.size() == 2);
  CHECK(some.value("taskhost_metrics_tasks_omitted") == 1);
  CHECK(some.value("taskhost_tasks", {{"state", "running"}}) == 3);
  const Reader none = read(tasks, 0);
  CHECK_FALSE(none.has("taskhost_task_ready"));
  CHECK(none.value("taskhost_metrics_tasks_omitted") == 3);
}

TEST_CASE("metrics of ten thousand tasks are of limited size") {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < 10'000; ++i) {
    names.push_back(std::to_string(i) + std::string(128 - std::to_string(i).size(), '"'));
  }
  std::vector<TaskStatus> tasks;
  for (const std::string& name : names) tasks.push_back(task(name.c_str(), TaskState::running));
  const HostStatus host = host_with(tasks);
  const std::string text = metrics_text(host, tasks, 1000, {}, zero_us);
  CHECK(text.size() < 5'000'000);
  CHECK(Reader(text).family("taskhost_task_state").samples.size() == 1000 * (words_of<TaskState>.size() + 1));
}
