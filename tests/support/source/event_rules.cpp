#include "support/event_rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>

namespace taskhost::test {

namespace {

constexpr std::size_t max_complaints = 20;
constexpr double uptime_slack = 500;  // ms; on a busy machine the event's clock reading may be that much later

constexpr std::array<std::string_view, 15> known_events{
    "host_started",    "plugin_loaded",  "task_started",  "task_ready",    "task_exited",
    "task_restarting", "task_discarded", "task_gave_up",  "task_stopping", "task_stopped",
    "task_abandoned",  "task_stalled",   "host_stopping", "host_stopped",  "events_lost"};

template <std::size_t size>
bool is_one_of(const std::array<std::string_view, size>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// In a pattern, 'd' means a digit, 'x' a hexadecimal digit, 'v' one of 89ab, and anything else itself.
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
  fresh,      // not started yet
  live,       // an execution runs
  ended,      // it has ended, and nothing is decided yet
  waiting,    // it will be started again
  stopped,    // it was stopped while the host runs: for its group, or by an operator
  abandoned,  // nothing is decided yet
  finished,   // it won't be started again
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
  bool was_ready = false;        // some execution was
  bool well = false;             // finished with ok
  std::string discard_reason{};  // why it is finished
  double uptime = 0;             // of the last exit
  std::string outcome{};         // of the last exit
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
  void judge_start(const Event& event, Task& task);
  void judge_ask(const Event& event, Task& task);
  void judge_stopped(const Event& event, Task& task);
  void judge_exit(const Event& event, Task& task);
  void judge_stall(const Event& event, const Task& task);
  void judge_remaining(const Event& event, const Task& task);
  void judge_restart(const Event& event, Task& task);
  void judge_decision(const Event& event, Task& task);
  void judge_discard(const Event& event, Task& task);
  const SpecialTask* special(std::string_view task) const;
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
  if (++complaint_count_ <= max_complaints) {
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
  } else if (previous_ != nullptr && event.time < previous_->time && !facts_.wild_clock) {
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
  judge_remaining(event, task);
  if (event.name == "task_restarting" || event.name == "task_gave_up") {
    judge_decision(event, task);
    return;
  }
  if (event.name == "task_discarded") {
    judge_discard(event, task);
    return;
  }
  if (event.name == "task_started") {
    judge_start(event, task);
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
    task.was_ready = true;
  } else if (event.name == "task_stalled") {
    judge_stall(event, task);
  } else if (event.name == "task_stopping") {
    judge_ask(event, task);
  } else if (event.name == "task_exited") {
    judge_exit(event, task);
  } else if (event.name == "task_stopped" || event.name == "task_abandoned") {
    judge_stopped(event, task);
  }
}

void Judge::judge_start(const Event& event, Task& task) {
  const bool again = task.phase == Phase::stopped || (facts_.operated && task.phase == Phase::finished);
  if (task.phase != Phase::fresh && task.phase != Phase::waiting && !again) {
    complain(event, "nobody has announced this start");
  }
  if (host_stopping_ != nullptr) {
    complain(event, "started after host_stopping");
  }
  task = {.id = task.id,
          .type = task.type,
          .phase = Phase::live,
          .executions = task.executions + 1,
          .was_ready = task.was_ready};
  if (has_time(event)) {
    task.started = event.time;
  }
  const SpecialTask* const facts = special(event.task);
  const auto budget = facts_.budgets.find(event.task);
  if (facts == nullptr && !facts_.operated && budget != facts_.budgets.end() &&
      task.executions > std::uint64_t{budget->second} + 1) {
    complain(event, "more restarts than the budget of " + std::to_string(budget->second));
  }
  if (facts == nullptr) {
    return;
  }
  for (const std::string& other : facts->after) {
    // They had to be ready when the start was ordered, but may be over by now.
    const auto found = tasks_.find(other);
    const SpecialTask* const other_facts = special(other);
    const bool notifies = other_facts != nullptr && other_facts->notify;
    if (found == tasks_.end() || (notifies && !found->second.was_ready && !found->second.well)) {
      complain(event, "started before " + other + " was ready");
    }
  }
}

void Judge::judge_ask(const Event& event, Task& task) {
  const SpecialTask* const facts = special(event.task);
  const bool may_be_asked = facts_.operated || (facts != nullptr && (facts->in_group || facts->may_fail_to_stop));
  if (task.stopping || (host_stopping_ == nullptr && !may_be_asked)) {
    complain(event, "before host_stopping, or twice");
  }
  task.stopping = true;
  if (host_stopping_ == nullptr || facts_.status == 4) {
    return;
  }
  for (const auto& [name, other] : facts_.special) {
    const auto found = tasks_.find(name);
    if (std::find(other.after.begin(), other.after.end(), event.task) != other.after.end() && found != tasks_.end() &&
        found->second.phase == Phase::live) {
      complain(event, "asked to stop before " + name + ", which comes after it, had ended");
    }
  }
}

void Judge::judge_stopped(const Event& event, Task& task) {
  if (!task.stopping) {
    complain(event, "without task_stopping");
  }
  if (event.name == "task_stopped" && event.outcome != "cancelled") {
    complain(event, "outcome is not cancelled: " + event.outcome);
  }
  if (event.name == "task_abandoned") {
    any_abandoned_ = true;
    task.phase = host_stopping_ == nullptr ? Phase::abandoned : Phase::finished;
  } else {
    task.phase = host_stopping_ == nullptr ? Phase::stopped : Phase::finished;
  }
}

const SpecialTask* Judge::special(std::string_view task) const {
  const auto found = facts_.special.find(std::string(task));
  return found == facts_.special.end() ? nullptr : &found->second;
}

// What must be true of every event of a task with optional fields.
void Judge::judge_remaining(const Event& event, const Task& task) {
  const SpecialTask* const facts = special(event.task);
  if (facts == nullptr || task.type == "shutdown_on_exit") {
    return;
  }
  if (event.unlimited != !facts->restarts) {
    complain(event, "remaining is null when there is no end of restarts, and only then");
  } else if (facts->restarts && event.remaining.value_or(0) > *facts->restarts) {
    complain(event, "remaining is more than the budget");
  }
}

void Judge::judge_exit(const Event& event, Task& task) {
  task.phase = Phase::ended;
  task.outcome = event.outcome;
  task.remaining = event.remaining;
  if (!is_one_of(std::array<std::string_view, 4>{"ok", "error", "panic", "crashed"}, event.outcome)) {
    complain(event, "unknown outcome: " + event.outcome);
  }
  if (!event.uptime_ms) {
    complain(event, "no uptime_ms");
  } else if (has_time(event) && !task.started.empty() &&
             *event.uptime_ms > milliseconds_between(task.started, event.time) + uptime_slack) {
    complain(event, "uptime_ms is longer than this execution lived: " + std::to_string(*event.uptime_ms));
  }
  task.uptime = event.uptime_ms.value_or(0);
  const SpecialTask* const facts = special(event.task);
  const bool failed_to_stop =
      facts != nullptr && facts->may_fail_to_stop && host_stopping_ == nullptr && event.outcome == "error";
  if (task.stopping && !failed_to_stop) {
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
  if (facts == nullptr && !facts_.operated && budget != facts_.budgets.end() && event.remaining &&
      *event.remaining + task.executions != std::uint64_t{budget->second} + 1) {
    complain(event, "remaining does not count down from the budget: " + std::to_string(*event.remaining));
  }
}

// An execution may stall any number of times.
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

// What an exit may lead to, by the task's type.
void Judge::judge_decision(const Event& event, Task& task) {
  const SpecialTask* const facts = special(event.task);
  const bool rules = facts != nullptr && facts->exit_rules;
  if (event.name == "task_restarting") {
    judge_restart(event, task);
    return;
  }
  if (task.phase != Phase::ended || task.type == "shutdown_on_exit" || task.gave_up ||
      (task.remaining != 0 && !rules)) {
    complain(event, "its budget is not used up");
  }
  task.gave_up = true;
}

void Judge::judge_restart(const Event& event, Task& task) {
  const SpecialTask* const facts = special(event.task);
  const bool rules = facts != nullptr && facts->exit_rules;
  const bool cooldown = event.message == "cooldown";
  const bool repeat = event.message == "repeat";
  const bool is_due_again = facts != nullptr && facts->repeat && repeat;
  if (task.phase != Phase::ended || (task.type == "shutdown_on_exit" && !is_due_again) || task.gave_up != cooldown ||
      (task.type == "detachable" && task.outcome == "ok" && !rules && !is_due_again)) {
    complain(event, "this task is not to be restarted");
  }
  if (cooldown && (facts == nullptr || facts->on_give_up != "cooldown" || event.delay_ms.value_or(0) <= 0)) {
    complain(event, "it has no cooldown");
  }
  if (repeat && !rules && !(is_due_again && task.outcome == "ok")) {
    complain(event, "it has no rule for that");
  }
  if (!event.delay_ms) {
    complain(event, "no delay_ms");
  }
  if (!event.unlimited && task.type != "shutdown_on_exit") {
    const unsigned charged = repeat ? 0 : 1;
    const bool given_back =
        facts != nullptr && facts->reset_after_ms && task.uptime + uptime_slack >= *facts->reset_after_ms;
    const bool counts_down = event.remaining && event.remaining.value() + charged == task.remaining;
    const bool is_new =
        given_back && event.remaining && event.remaining.value() + charged == facts->restarts.value_or(0);
    const bool is_whole = cooldown && facts != nullptr && event.remaining == facts->restarts;
    if (!is_whole && !is_new && (cooldown || !counts_down)) {
      complain(event,
               repeat ? "remaining is not the same as at the exit" : "remaining is not one less than at the exit");
    }
  }
  task.phase = Phase::waiting;
}

void Judge::judge_discard(const Event& event, Task& task) {
  const SpecialTask* const facts = special(event.task);
  const bool rests = task.phase == Phase::fresh || task.phase == Phase::waiting || task.phase == Phase::stopped;
  if (event.reason == "skipped") {
    const bool lost = facts != nullptr && std::any_of(facts->after.begin(), facts->after.end(), [&](const auto& name) {
                        const auto found = tasks_.find(name);
                        return found != tasks_.end() && found->second.phase == Phase::finished && !found->second.well;
                      });
    if (!rests || !lost || event.message.empty()) {
      complain(event, "none of the tasks that it comes after is over, or it is not named");
    }
  } else if (event.reason == "group") {
    if (!rests || facts == nullptr || !facts->in_group) {
      complain(event, "it has no group, or has not ended");
    }
  } else if (event.reason == "not_stopped") {
    if (task.phase != Phase::abandoned || task.type != "detachable") {
      complain(event, "it was not abandoned");
    }
  } else if (event.reason == "budget_exhausted") {
    const bool by_type = task.type == "detachable" && (facts == nullptr || facts->on_give_up == "default");
    if (task.phase != Phase::ended || !task.gave_up ||
        (!by_type && (facts == nullptr || facts->on_give_up != "discard"))) {
      complain(event, "this task is not to be discarded for giving up");
    }
  } else if (event.reason == "ended") {
    const bool by_type = task.type == "detachable" && task.outcome == "ok";
    if (task.phase != Phase::ended || task.gave_up || (!by_type && (facts == nullptr || !facts->exit_rules))) {
      complain(event, "this task is not to be discarded");
    }
  } else {
    complain(event, "wrong reason: " + event.reason);
  }
  task.well = event.reason == "ended" && task.outcome == "ok";
  task.discard_reason = event.reason;
  task.phase = Phase::finished;
}

void Judge::judge_stopping(const Event& event) {
  if (host_stopping_ != nullptr) {
    complain(event, "a second time");
    return;
  }
  host_stopping_ = &event;
  const auto found = tasks_.find(event.task);
  const Task* const cause = found == tasks_.end() ? nullptr : &found->second;
  const SpecialTask* const facts = special(event.task);
  const bool rules = facts != nullptr && facts->exit_rules;
  const bool needed = cause != nullptr && cause->type != "detachable";
  if (event.reason == "task_exit") {
    if (cause == nullptr || (cause->type != "shutdown_on_exit" && !rules) || cause->phase != Phase::ended) {
      complain(event, "no task that ends the host has ended, or it is not named");
    }
  } else if (event.reason == "budget_exhausted") {
    const bool by_type = cause != nullptr && cause->type == "mandatory";
    if (cause == nullptr || !cause->gave_up || (!by_type && (facts == nullptr || facts->on_give_up != "stop_host"))) {
      complain(event, "no task that the host can't do without has given up, or it is not named");
    }
  } else if (event.reason == "skipped") {
    if (!needed || cause->discard_reason != "skipped") {
      complain(event, "no task that the host can't do without was skipped, or it is not named");
    }
  } else if (event.reason == "group") {
    if (!needed || facts == nullptr || !facts->in_group) {
      complain(event, "no task that the host can't do without loses its group, or it is not named");
    }
  } else if (event.reason == "not_stopped") {
    if (!needed || cause->phase != Phase::abandoned) {
      complain(event, "no task that the host can't do without was abandoned, or it is not named");
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
  const bool none_well = !tasks_.empty() && std::none_of(tasks_.begin(), tasks_.end(),
                                                         [](const auto& entry) { return entry.second.well; });
  const bool failure = reason == "budget_exhausted" || (reason == "all_done" && none_well) || reason == "skipped" ||
                       reason == "group" || reason == "not_stopped" ||
                       (reason == "task_exit" && cause != tasks_.end() && cause->second.outcome != "ok");
  const SpecialTask* const cause_facts = special(host_stopping_->task);
  const bool by_rule = reason == "task_exit" && cause_facts != nullptr && cause_facts->exit_rules;
  if (by_rule && (facts_.status == 0 || facts_.status == 1)) {
    return;  // the rule decides
  }
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
