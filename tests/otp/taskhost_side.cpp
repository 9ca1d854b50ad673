#include "taskhost_side.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <stdexcept>

#include "support/process.hpp"

namespace taskhost::test {

struct TaskhostSide::Member {
  unsigned failures = 0;
  std::optional<Reason> order;
  Waker also_wake = 0;  // in the step that carries out the order
  bool released = false;
  Waker waker = 0;
  std::size_t shard = 0;
  bool blocking = false;
  bool alive = false;     // an execution exists, and has not been dropped
  std::size_t steps = 0;  // of all executions
};

// Shared by the supervisor's threads and the owner. Outlives an abandoned execution.
struct TaskhostSide::Shared {
  struct Raw {
    EventKind kind;
    std::string task;
    std::uint64_t execution;
  };

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Member> members;
  std::vector<Raw> raw;
  std::vector<std::string> told;
  std::set<std::pair<std::string, std::uint64_t>> failed;     // starts
  std::map<std::size_t, boost::asio::any_io_executor> loops;  // of the shards
  std::size_t pings = 0;
  bool stopping = false;
  bool stopped = false;
  std::string reason;
  bool doubled = false;  // a second execution of a task was made while it had one
};

class TaskhostSide::Sink final : public EventSink {
 public:
  explicit Sink(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  bool publish(Event&& event) noexcept override {
    const std::lock_guard lock(shared_->mutex);
    if (event.kind == EventKind::task_started && shared_->stopping) return false;
    switch (event.kind) {
      case EventKind::host_stopping:
        shared_->stopping = true;
        break;
      case EventKind::host_stopped:
        shared_->stopped = true;
        shared_->reason = std::string(to_string(event.reason)) + ' ' + std::to_string(event.status);
        break;
      case EventKind::task_started:
      case EventKind::task_exited:
      case EventKind::task_stopping:
      case EventKind::task_stopped:
      case EventKind::task_abandoned:
        shared_->raw.push_back({event.kind, event.task, event.execution});
        break;
      default:
        std::string text(to_string(event.kind));
        if (event.task != nullptr) text += ':' + std::string(event.task);
        if (event.kind == EventKind::task_discarded) text += ' ' + std::string(to_string(event.reason));
        shared_->told.push_back(std::move(text));
    }
    shared_->changed.notify_all();
    return true;
  }
  void summarize(const LogSummary&) noexcept override {}
  void log(LogLevel, const char*, std::string_view) noexcept override {}

 private:
  const std::shared_ptr<Shared> shared_;
};

class TaskhostSide::Recipe final : public taskhost::Recipe {
 public:
  Recipe(std::shared_ptr<Shared> shared, std::size_t index, Ending ending)
      : taskhost::Recipe(1, 1, ending == Ending::stuck), shared_(std::move(shared)), index_(index), ending_(ending) {}

  Status start(void*, Execution& execution) const override {
    const std::lock_guard lock(shared_->mutex);
    Member& member = shared_->members[index_];
    if (!blocking) shared_->loops.try_emplace(member.shard, execution.executor());
    if (member.failures > 0) {
      --member.failures;
      shared_->failed.emplace(execution.task_name(), execution.number());
      execution.fail("planned");
      return Status::error;
    }
    if (std::exchange(member.alive, true)) shared_->doubled = true;
    member.order.reset();
    member.released = false;
    member.waker = execution.waker();
    return Status::ok;
  }

  Status step(void*, Execution& execution) const override {
    std::unique_lock lock(shared_->mutex);
    Member& member = shared_->members[index_];
    ++member.steps;
    shared_->changed.notify_all();
    if (blocking) shared_->changed.wait(lock, [&] { return member.released; });
    if (member.order) {
      if (const Waker other = std::exchange(member.also_wake, 0)) Execution::wake(other);
      switch (*member.order) {
        case Reason::normal:
        case Reason::shutdown:
        case Reason::shutdown_term:
          return Status::ok;
        case Reason::crash:
        case Reason::failure:
          execution.fail("planned");
          return Status::error;
        case Reason::killed:
          throw std::runtime_error("planned");
      }
    }
    if (member.released) return Status::ok;
    if (!execution.stop_requested()) return Status::pending;
    if (ending_ == Ending::orderly) return Status::ok;
    return ending_ == Ending::failing ? Status::error : Status::pending;
  }

  void drop(void*) const override {
    const std::lock_guard lock(shared_->mutex);
    shared_->members[index_].alive = false;
    shared_->changed.notify_all();
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const std::size_t index_;
  const Ending ending_;
};

namespace {

TaskOptions options_of(const Setup& setup, const Child& child) {
  TaskOptions options;
  options.type = child.restart == Restart::permanent ? TaskType::mandatory : TaskType::detachable;
  options.restarts = child.restart == Restart::temporary ? 0 : setup.intensity;
  options.stop_timeout = stop_timeout_of(child);
  if (setup.by_the_table) return options;
  SupervisionOptions optional;
  if (child.restart == Restart::temporary) {
    optional.exit_rules = {{.outcomes = {}, .message = {}, .action = ExitAction::discard}};
  } else if (setup.windowed) {
    optional.window = setup.period;
  }
  if (child.restart == Restart::transient) optional.on_give_up = GiveUp::stop_host;
  if (optional != SupervisionOptions()) options.optional = std::make_shared<const SupervisionOptions>(optional);
  return options;
}

}  // namespace

TaskhostSide::TaskhostSide(const Setup& setup, std::size_t failing, unsigned failures)
    : shared_(std::make_shared<Shared>()) {
  shared_->members.resize(setup.children.size());
  if (failures != 0) shared_->members[failing].failures = failures;
  TaskList tasks;
  if (setup.grouped) tasks.groups = {setup.strategy};
  for (std::size_t i = 0; i < setup.children.size(); ++i) {
    shared_->members[i].shard = i % setup.shards;
    shared_->members[i].blocking = setup.children[i].ending == Ending::stuck;
    const auto recipe = std::make_shared<const Recipe>(shared_, i, setup.children[i].ending);
    tasks.add(name_of(i), TaskFn(recipe), options_of(setup, setup.children[i]));
    if (!setup.grouped && !setup.ordered) continue;
    TaskList::Relation relation;
    relation.task = static_cast<std::uint32_t>(i);
    if (setup.grouped) relation.group = 0;
    for (std::uint32_t before = 0; setup.ordered && before < i; ++before) relation.after.push_back(before);
    tasks.relations.push_back(std::move(relation));
  }
  // On a busy machine, a task that waits for its turn must not count as stalled.
  SupervisorOptions options;
  options.shards = setup.shards;
  options.stall_limit = std::chrono::hours(1);
  static const SteadyClock clock;  // static like the sink, for the thread of an abandoned execution
  auto sink = std::make_shared<Sink>(shared_);
  Supervisor::leak(sink);
  supervisor_ = std::make_unique<Supervisor>(options, *sink, clock);
  supervisor_->add(std::move(tasks));
  supervisor_->start();
}

TaskhostSide::~TaskhostSide() {
  supervisor_->request_stop({});
  for (std::size_t i = 0; i < shared_->members.size(); ++i) release(i);
  supervisor_->wait();
}

void TaskhostSide::fail(std::size_t child, unsigned failures) {
  const std::lock_guard lock(shared_->mutex);
  shared_->members[child].failures = failures;
}

void TaskhostSide::exit(std::size_t child, Reason reason) {
  const std::lock_guard lock(shared_->mutex);
  shared_->members[child].order = reason;
  Execution::wake(shared_->members[child].waker);
}

void TaskhostSide::exit_both(std::size_t first, Reason first_reason, std::size_t second, Reason second_reason) {
  const std::lock_guard lock(shared_->mutex);
  shared_->members[second].order = second_reason;
  shared_->members[first].order = first_reason;
  shared_->members[first].also_wake = shared_->members[second].waker;
  Execution::wake(shared_->members[first].waker);
}

void TaskhostSide::operate(std::size_t child, Operation operation) { supervisor_->operate(child, operation); }

void TaskhostSide::stop() { supervisor_->request_stop({}); }

void TaskhostSide::release(std::size_t child) {
  const std::lock_guard lock(shared_->mutex);
  shared_->members[child].released = true;
  if (shared_->members[child].waker != 0) Execution::wake(shared_->members[child].waker);
  shared_->changed.notify_all();
}

std::vector<std::string> TaskhostSide::told() {
  const std::lock_guard lock(shared_->mutex);
  return shared_->told;
}

bool TaskhostSide::has_told(const std::string& what) {
  const std::vector<std::string> all = told();
  return std::find(all.begin(), all.end(), what) != all.end();
}

Settled TaskhostSide::current() {
  Settled settled;
  std::set<std::string> live;
  for (std::size_t i = 0; i < shared_->raw.size(); ++i) {
    const Shared::Raw& raw = shared_->raw[i];
    const bool failed = shared_->failed.contains({raw.task, raw.execution});
    const char* what = nullptr;
    switch (raw.kind) {
      case EventKind::task_started:
        what = failed ? "failed:" : "start:";
        if (!failed) live.insert(raw.task);
        break;
      case EventKind::task_exited:
      case EventKind::task_stopped:
        what = raw.kind == EventKind::task_exited ? "exit:" : "end:";
        live.erase(raw.task);
        break;
      case EventKind::task_stopping:
        what = "ask:";
        break;
      default:
        what = "abandoned:";
        live.erase(raw.task);
    }
    // A failed start is one event on the other side, and has no end there.
    if (i >= settled_ && (!failed || raw.kind == EventKind::task_started)) settled.events.push_back(what + raw.task);
  }
  settled.up = !shared_->stopped;
  settled.reason = shared_->reason;
  settled.live.assign(live.begin(), live.end());
  return settled;
}

bool TaskhostSide::await(const std::string& event) {
  std::unique_lock lock(shared_->mutex);
  return shared_->changed.wait_for(lock, patience, [&] {
    const Settled now = current();
    return std::find(now.events.begin(), now.events.end(), event) != now.events.end();
  });
}

// Pending work is a message to the control thread or to a shard, or a task in a shard's queue. All of it has moved on
// once a message to each of these threads, and a wake of a task on each shard, have been processed.
bool TaskhostSide::move_on() {
  std::unique_lock lock(shared_->mutex);
  const std::size_t before = shared_->raw.size() + shared_->told.size();
  const auto wait_until = [&](const auto& passed) {
    shared_->changed.wait_for(lock, patience, [&] { return shared_->stopped || passed(); });
  };
  const auto pass = [&](const boost::asio::any_io_executor& executor) {
    if (shared_->stopped) return;
    const std::size_t ping = shared_->pings + 1;
    boost::asio::post(executor, [shared = shared_] {
      const std::lock_guard guard(shared->mutex);
      ++shared->pings;
      shared->changed.notify_all();
    });
    wait_until([&] { return shared_->pings >= ping; });
  };
  pass(supervisor_->control().get_executor());
  const std::map<std::size_t, boost::asio::any_io_executor> loops = shared_->loops;
  for (const auto& [number, loop] : loops) {
    pass(loop);
    for (Member& member : shared_->members) {
      if (member.shard != number || !member.alive || member.blocking) continue;
      const std::size_t steps = member.steps;
      Execution::wake(member.waker);
      wait_until([&] { return member.steps > steps || !member.alive; });
      break;
    }
  }
  return shared_->raw.size() + shared_->told.size() != before;
}

// A start is reported before the execution is made, and an end after it was dropped.
std::string TaskhostSide::contradiction(const Settled& settled) const {
  for (std::size_t i = 0; i < shared_->members.size(); ++i) {
    const Member& member = shared_->members[i];
    const bool told = std::binary_search(settled.live.begin(), settled.live.end(), name_of(i));
    const bool abandoned = member.blocking && !told;  // perhaps
    if (member.alive != told && !abandoned) return " (the events and the executions differ in " + name_of(i) + ")";
  }
  return shared_->doubled ? " (two executions of a task at once)" : "";
}

Settled TaskhostSide::settle(const std::function<bool(const Settled&)>& enough) {
  const auto wait_for = [this](const std::function<bool(const Settled&)>& holds) {
    std::unique_lock lock(shared_->mutex);
    // What is wrong stays wrong, so this waits less than for what must come in the end.
    shared_->changed.wait_for(lock, patience / 6, [&] {
      const Settled now = current();
      return holds(now) && contradiction(now).empty();
    });
  };
  wait_for(enough);
  for (int quiet = 0; quiet < 4;) quiet = move_on() ? 0 : quiet + 1;
  wait_for([](const Settled&) { return true; });
  const std::lock_guard lock(shared_->mutex);
  Settled settled = current();
  settled_ = shared_->raw.size();
  settled.reason += contradiction(settled);
  return settled;
}

}  // namespace taskhost::test
