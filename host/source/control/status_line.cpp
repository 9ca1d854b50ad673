#include "control/status_line.hpp"

#include <algorithm>
#include <array>

#include "control/health.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::size_t max_status_bytes = 500;
constexpr std::size_t max_named_in_line = 3;
constexpr std::size_t max_status_name_bytes = 60;
constexpr std::size_t max_status_message_bytes = 80;

struct StateWords {
  TaskState state;
  std::string_view one;
  std::string_view several;
  bool is_remarkable = true;  // worth naming
};
constexpr std::array<StateWords, 7> all_state_words = {
    {{TaskState::running, " runs", " run", false},
     {TaskState::starting, " starts", " start"},
     {TaskState::waiting, " waits to start", " wait to start"},
     {TaskState::delayed, " waits to start again", " wait to start again"},
     {TaskState::stopping, " is stopping", " are stopping"},
     {TaskState::stopped, " is stopped", " are stopped"},
     {TaskState::ended, " is over", " are over", false}}};

std::string names_in_state(const std::vector<TaskStatus>& tasks, TaskState state) {
  std::string names;
  std::size_t named = 0;
  for (const TaskStatus& task : tasks) {
    const TaskReport& report = task.report;
    if (!report.is_answered || report.state != state) continue;
    if (named++ == max_named_in_line) {
      names += " and more";
      break;
    }
    names += (names.empty() ? ": " : ", ") + printable_text(report.name, max_status_name_bytes);
    if (state == TaskState::delayed && !report.last_message.empty()) {
      names += " (" + printable_text(report.last_message, max_status_message_bytes) + ")";
    }
  }
  return names;
}

}  // namespace

bool has_remarkable_tasks(const HostStatus& host) {
  return std::any_of(all_state_words.begin(), all_state_words.end(), [&](const StateWords& words) {
    return words.is_remarkable && host.counts.by_state[static_cast<std::size_t>(words.state)] != 0;
  });
}

std::string status_line(const HostStatus& host, const std::vector<TaskStatus>& tasks) {
  std::string line;
  if (host.state == "stopping") line = "stopping: ";
  bool is_first = true;
  const auto add = [&](std::size_t count, const StateWords& words) {
    if (!is_first) line += ", ";
    line += std::to_string(count) + (is_first ? count == 1 ? " task" : " tasks" : "");
    line += count == 1 ? words.one : words.several;
    is_first = false;
  };
  for (const StateWords& words : all_state_words) {
    const std::size_t count = host.counts.by_state[static_cast<std::size_t>(words.state)];
    if (count == 0) continue;
    add(count, words);
    if (words.is_remarkable) line += names_in_state(tasks, words.state);
  }
  if (is_first) line += "no task has answered";
  if (const std::string problem = live_problem(host); !problem.empty()) line += "; " + problem;
  return printable_text(line, max_status_bytes);
}

}  // namespace taskhost
