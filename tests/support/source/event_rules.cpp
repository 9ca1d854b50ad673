#include "support/event_rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>

namespace taskhost::test {

namespace {

constexpr std::size_t most_complaints = 20;
constexpr double uptime_slack = 500;  // ms; a busy machine may come between a clock's reading and the event's

constexpr std::array<std::string_view, 15> known_events{
    "host_started",    "plugin_loaded",  "task_started",  "task_ready",    "task_exited",
    "task_restarting", "task_discarded", "task_gave_up",  "task_stopping", "task_stopped",
    "task_abandoned",  "task_stalled",   "host_stopping", "host_stopped",  "events_lost"};

template <std::size_t size>
bool is_one_of(const std::array<std::string_view, size>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// In a pattern, 'd' stands for a digit, 'x' for a hexadecimal one, 'v' for one of 89ab, anything else for itself.
bool looks_like(std::string_view pattern, std::string_view text) {
  return std::equal(pattern.begin(), pattern.end(), text.begin(), text.end(), [](char kind, char actual) {
    switch (kind) {
      case 'd':
        return actual >= '0' && actual <= '9';
      case 'x':
        return (actual >= '0' && actual <= '9') || (actual >= 'a' && actual <= 'f');
      case 'v':
        return std::string_view("89ab").find(actual) != std::string_view::npos;
      default:
        return kind == actual;
    }
  });
}

// Milliseconds from one event to a later one, less than a day apart.
double milliseconds_between(std::string_view earlier, std::string_view later) {
  const auto of_day = [](std::string_view time) {
    const auto part = [time](std::size_t at, std::size_t size) {
      double value = 0;
      for (const char digit : time.substr(at, size)) {
        value = value * 10 + (digit - '0');
      }
      return value;
    };
    return ((part(11, 2) * 60 + part(14, 2)) * 60 + part(17, 2)) * 1000 + part(20, 6) / 1000;
  };
  const double difference = of_day(later) - of_day(earlier);
  return difference < 0 ? difference + 24.0 * 3600 * 1000 : difference;
}

bool has_time(const Event& event) { return looks_like("dddd-dd-ddTdd:dd:dd.ddddddZ", event.time); }

enum class Phase {
  fresh,     // not started yet
  live,      // an execution runs
  ended,     // it has ended, nothing was decided yet
  waiting,   // will be started again
  finished,  // won't
};

struct Task {
  std::string id;
  std::string type;
  Phase phase = Phase::fresh;
  std::uint64_t executions = 0;
  std::string started{};  // time of the last start
  bool ready = false;
  bool stopping = false;  // the host has asked this execution to end
  bool gave_up = false;
  std::string outcome{};  // of the last exit
  std::optional<std::uint64_t> remaining{};
};

class Judge {
 public:
  Judge(const EventStream& stream, const RunFacts& facts) : stream_(stream), facts_(facts) {}

  std::string verdict();

 private:
  void complain(const Event& event, const std::string& what);
  void judge(const Event& event);
  void judge_frame(const Event& event);
  void judge_task(const Event& event);
  void judge_exit(const Event& event, Task& task);
  void judge_stall(const Event& event, const Task& task);
  void judge_decision(const Event& event, Task& task);
  void judge_stopping(const Event& event);
  void judge_end();

  const EventStream& stream_;
  const RunFacts& facts_;
  std::map<std::string, Task, std::less<>> tasks_;
  std::set<std::string> ids_;
  const Event* previous_ = nullptr;
  const Event* host_stopping_ = nullptr;
  bool any_task_event_ = false;
  bool any_abandoned_ = false;
  std::size_t complaint_count_ = 0;
  std::string complaints_;
};

void Judge::complain(const Event& event, const std::string& what) {
  if (++complaint_count_ <= most_complaints) {
    complaints_ += "seq " + std::to_string(event.seq) + " " + event.name +
                   (event.task.empty() ? "" : " of " + event.task) + ": " + what + "\n";
  }
}

std::string Judge::verdict() {
  for (const std::string& fault : stream_.faults()) {
    complaints_ += fault + "\n";
  }
  if (!stream_.unfinished_line().empty()) {
    complaints_ += "the last line has no end: " + stream_.unfinished_line().substr(0, 300) + "\n";
  }
  if (facts_.status == 2 || facts_.status == 3) {
    if (const Event* event = stream_.first("task_started")) {
      complain(*event, "nothing may be started with status " + std::to_string(facts_.status));
    }
    return complaints_;
  }
  if (stream_.events().empty()) {
    return complaints_ + "there are no events\n";
  }
  for (const Event& event : stream_.events()) {
    judge(event);
    previous_ = &event;
  }
  judge_end();
  return complaints_;
}

void Judge::judge(const Event& event) {
  if (event.seq != (previous_ == nullptr ? 1 : previous_->seq + 1)) {
    complain(event, "seq has a gap");
  }
  if (!has_time(event)) {
    complain(event, "time is not RFC 3339 in UTC with microseconds: " + event.time);
  } else if (previous_ != nullptr && event.time < previous_->time) {
    complain(event, "time goes back");
  }
  if (!is_one_of(known_events, event.name)) {
    complain(event, "unknown event");
  } else if (event.name == "events_lost") {
    complain(event, "events were lost");
  } else if (event.name.starts_with("task_")) {
    any_task_event_ = true;
    judge_task(event);
  } else {
    judge_frame(event);
  }
}

void Judge::judge_frame(const Event& event) {
  if ((event.name == "host_started") != (previous_ == nullptr)) {
    complain(event, "host_started is the first event, once");
  }
  if (previous_ != nullptr && previous_->name == "host_stopped") {
    complain(event, "host_stopped is the last event");
  }
  if (event.name == "plugin_loaded" && any_task_event_) {
    complain(event, "plugins are loaded before the first task is started");
  }
  if (event.name == "host_stopping") {
    judge_stopping(event);
  }
  if (event.name == "host_stopped") {
    if (host_stopping_ == nullptr) {
      complain(event, "without host_stopping");
    }
    if (event.status != facts_.status) {
      complain(event, "status is not the exit status, " + std::to_string(facts_.status));
    }
  }
}

void Judge::judge_task(const Event& event) {
  if (previous_ == nullptr || previous_->name == "host_stopped") {
    complain(event, "outside host_started and host_stopped");
  }
  if (event.task.empty()) {
    complain(event, "no task");
    return;
  }
  const auto [found, is_new] = tasks_.try_emplace(event.task);
  Task& task = found->second;
  if (is_new) {
    task.id = event.id;
    task.type = event.type;
    if (!looks_like("xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx", event.id)) {
      complain(event, "id is not a version 4 UUID: " + event.id);
    }
    if (!ids_.insert(event.id).second) {
      complain(event, "another task has this id");
    }
    if (!is_one_of(std::array<std::string_view, 3>{"shutdown_on_exit", "mandatory", "detachable"}, event.type)) {
      complain(event, "unknown type: " + event.type);
    }
  } else if (task.id != event.id || task.type != event.type) {
    complain(event, "id or type of the task has changed");
  }
  if (event.name == "task_restarting" || event.name == "task_gave_up" || event.name == "task_discarded") {
    judge_decision(event, task);
    return;
  }
  if (event.name == "task_started") {
    if (task.phase != Phase::fresh && task.phase != Phase::waiting) {
      complain(event, "nobody has announced this start");
    }
    if (host_stopping_ != nullptr) {
      complain(event, "started after host_stopping");
    }
    task = {.id = task.id, .type = task.type, .phase = Phase::live, .executions = task.executions + 1};
    if (has_time(event)) {
      task.started = event.time;
    }
    const auto budget = facts_.budgets.find(event.task);
    if (budget != facts_.budgets.end() && task.executions > std::uint64_t{budget->second} + 1) {
      complain(event, "more restarts than the budget of " + std::to_string(budget->second));
    }
  }
  if (event.execution != task.executions) {
    complain(event, "execution is not " + std::to_string(task.executions));
  }
  if (task.phase != Phase::live) {
    complain(event, "no execution is live");
    return;
  }
  if (event.name == "task_ready") {
    if (task.ready) {
      complain(event, "a second time for this execution");
    }
    task.ready = true;
  } else if (event.name == "task_stalled") {
    judge_stall(event, task);
  } else if (event.name == "task_stopping") {
    if (host_stopping_ == nullptr || task.stopping) {
      complain(event, "before host_stopping, or twice");
    }
    task.stopping = true;
  } else if (event.name == "task_exited") {
    judge_exit(event, task);
  } else if (event.name == "task_stopped" || event.name == "task_abandoned") {
    if (!task.stopping) {
      complain(event, "without task_stopping");
    }
    if (event.name == "task_stopped" && event.outcome != "cancelled") {
      complain(event, "outcome is not cancelled: " + event.outcome);
    }
    any_abandoned_ = any_abandoned_ || event.name == "task_abandoned";
    task.phase = Phase::finished;
  }
}

void Judge::judge_exit(const Event& event, Task& task) {
  task.phase = Phase::ended;
  task.outcome = event.outcome;
  task.remaining = event.remaining;
  if (!is_one_of(std::array<std::string_view, 3>{"ok", "error", "panic"}, event.outcome)) {
    complain(event, "unknown outcome: " + event.outcome);
  }
  if (!event.uptime_ms) {
    complain(event, "no uptime_ms");
  } else if (has_time(event) && !task.started.empty() &&
             *event.uptime_ms > milliseconds_between(task.started, event.time) + uptime_slack) {
    complain(event, "uptime_ms is longer than this execution lived: " + std::to_string(*event.uptime_ms));
  }
  if (task.stopping) {
    complain(event, "an end that the host asked for is no exit");
  }
  if (task.type == "shutdown_on_exit") {
    if (event.remaining || event.unlimited) {
      complain(event, "this type has no budget");
    }
  } else if (!event.remaining && !event.unlimited) {
    complain(event, "no remaining");
  }
  const auto budget = facts_.budgets.find(event.task);
  if (budget != facts_.budgets.end() && event.remaining &&
      *event.remaining + task.executions != std::uint64_t{budget->second} + 1) {
    complain(event, "remaining does not count down from the budget: " + std::to_string(*event.remaining));
  }
}

// An execution may stall again and again.
void Judge::judge_stall(const Event& event, const Task& task) {
  if (!event.stalled_ms || *event.stalled_ms <= 0) {
    complain(event, "no stalled_ms");
  } else if (has_time(event) && !task.started.empty() &&
             *event.stalled_ms > milliseconds_between(task.started, event.time) + uptime_slack) {
    complain(event, "stalled_ms is longer than this execution has lived: " + std::to_string(*event.stalled_ms));
  }
  if (event.message.empty()) {
    complain(event, "no message");
  }
}

void Judge::judge_decision(const Event& event, Task& task) {
  const bool due = task.phase == Phase::ended && task.type != "shutdown_on_exit";
  if (event.name == "task_restarting") {
    if (!due || task.gave_up || (task.type == "detachable" && task.outcome == "ok")) {
      complain(event, "this task is not to be restarted");
    }
    if (!event.delay_ms) {
      complain(event, "no delay_ms");
    }
    if (!event.unlimited && (!event.remaining || event.remaining.value() + 1 != task.remaining)) {
      complain(event, "remaining is not one less than at the exit");
    }
    task.phase = Phase::waiting;
  } else if (event.name == "task_gave_up") {
    if (!due || task.gave_up || task.remaining != 0) {
      complain(event, "its budget is not used up");
    }
    task.gave_up = true;
  } else {
    if (!due || task.type != "detachable") {
      complain(event, "this task is not to be discarded");
    }
    if (event.reason != (task.gave_up ? "budget_exhausted" : "ended")) {
      complain(event, "wrong reason: " + event.reason);
    }
    if (!task.gave_up && task.outcome != "ok") {
      complain(event, "it has budget left");
    }
    task.phase = Phase::finished;
  }
}

void Judge::judge_stopping(const Event& event) {
  if (host_stopping_ != nullptr) {
    complain(event, "a second time");
    return;
  }
  host_stopping_ = &event;
  const auto cause = tasks_.find(event.task);
  if (event.reason == "task_exit") {
    if (cause == tasks_.end() || cause->second.type != "shutdown_on_exit" || cause->second.phase != Phase::ended) {
      complain(event, "no task of type shutdown_on_exit has ended, or it is not named");
    }
  } else if (event.reason == "budget_exhausted") {
    if (cause == tasks_.end() || cause->second.type != "mandatory" || !cause->second.gave_up) {
      complain(event, "no task of type mandatory has given up, or it is not named");
    }
  } else if (event.reason == "all_done") {
    for (const auto& [name, task] : tasks_) {
      if (task.phase != Phase::finished) {
        complain(event, "not done: " + name);
      }
    }
  } else if (event.reason != "signal" && event.reason != "request") {
    complain(event, "unknown reason: " + event.reason);
  }
}

void Judge::judge_end() {
  if (facts_.cut_short) {
    return;
  }
  const Event& last = stream_.events().back();
  if (last.name != "host_stopped") {
    complain(last, "host_stopped is the last event");
  }
  for (const auto& [name, task] : tasks_) {
    if (task.phase == Phase::live) {
      complain(last,
               "the stream does not say how execution " + std::to_string(task.executions) + " of " + name + " ended");
    }
  }
  if (host_stopping_ == nullptr) {
    return;
  }
  const std::string& reason = host_stopping_->reason;
  const auto cause = tasks_.find(host_stopping_->task);
  const bool failure =
      reason == "budget_exhausted" || (reason == "task_exit" && cause != tasks_.end() && cause->second.outcome != "ok");
  if (facts_.status != 4 && facts_.status != (failure ? 1 : 0)) {
    complain(*host_stopping_, "exit status " + std::to_string(facts_.status) + " does not follow from the reason");
  }
  if (any_abandoned_ && facts_.status != 4) {
    complain(last, "a task was abandoned, so the exit status is 4");
  }
}

}  // namespace

std::string broken_event_rules(const EventStream& stream, const RunFacts& facts) {
  return Judge(stream, facts).verdict();
}

}  // namespace taskhost::test
