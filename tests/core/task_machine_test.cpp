// A task without optional fields: what each end leads to, by type, outcome, budget and the host's phase, and every
// state × operator's request. Everything else is in coordinator_table_test.cpp, since it is the same machine.
#include "task_machine.hpp"

#include "support/catch.hpp"

using namespace taskhost;

namespace {

using enum TaskState;

TaskOptions options_of(TaskType type, std::uint32_t restarts) {
  TaskOptions options;
  options.type = type;
  options.restarts = restarts;
  return options;
}

class Notes final : public TaskVoice {
 public:
  void tell(TaskNews&& news) override {
    add(std::string(to_string(news.kind)));
    if (news.kind == EventKind::task_discarded) text += " " + std::string(to_string(news.reason));
  }
  void stop_host(StopReason reason, bool failure, std::string_view) override {
    add(std::string("host: ") + (failure ? "failure" : "success") + " " + std::string(to_string(reason)));
  }
  std::string text;

 private:
  void add(const std::string& what) { text += (text.empty() ? "" : ", ") + what; }
};

struct Ended {
  std::string told;
  TaskMachine::Next next;
};

Ended end(const TaskOptions& options, TaskLife& life, const End& end, HostPhase host) {
  Notes notes;
  const bool is_exit = life.state != stopping && end.ending == Ending::returned;
  const TaskMachine::Next next = TaskMachine(options, life, nullptr).end(end, is_exit, host, 0, 0, notes);
  return {notes.text, next};
}

constexpr HostPhase all_phases[] = {HostPhase::running, HostPhase::closing, HostPhase::stopping};

}  // namespace

TEST_CASE("the exit of a plain task leads to what its type, outcome, budget and the host say") {
  constexpr auto restart = "task_exited, task_restarting";
  constexpr auto nothing = "task_exited";
  constexpr auto discard = "task_exited, task_discarded task_exit";
  constexpr auto gives_up = "task_exited, task_gave_up, task_discarded budget_exhausted";
  constexpr auto success = "task_exited, host: success task_exit";
  constexpr auto failure = "task_exited, host: failure task_exit";
  constexpr auto exhausted = "task_exited, task_gave_up, host: failure budget_exhausted";
  constexpr TaskType on_exit = TaskType::shutdown_on_exit;
  constexpr TaskType mandatory = TaskType::mandatory;
  constexpr TaskType detachable = TaskType::detachable;
  struct Row {
    TaskType type;
    std::uint32_t restarts;
    std::uint32_t used;
    bool host_runs;
    const char* ok;
    const char* error;
  };
  const Row rows[] = {
      {on_exit, 0, 0, true, success, failure},
      {on_exit, 0, 0, false, success, failure},  // the supervisor records a later cause

      {mandatory, 0, 0, true, exhausted, exhausted},
      {mandatory, 1, 0, true, restart, restart},
      {mandatory, 1, 1, true, exhausted, exhausted},
      {mandatory, 3, 0, true, restart, restart},
      {mandatory, 3, 2, true, restart, restart},
      {mandatory, 3, 3, true, exhausted, exhausted},
      {mandatory, 0, 0, false, exhausted, exhausted},
      {mandatory, 1, 0, false, nothing, nothing},
      {mandatory, 1, 1, false, exhausted, exhausted},
      {mandatory, 3, 2, false, nothing, nothing},
      {mandatory, 3, 3, false, exhausted, exhausted},

      {detachable, 0, 0, true, discard, gives_up},
      {detachable, 1, 0, true, discard, restart},
      {detachable, 1, 1, true, discard, gives_up},
      {detachable, 3, 0, true, discard, restart},
      {detachable, 3, 2, true, discard, restart},
      {detachable, 3, 3, true, discard, gives_up},
      {detachable, 0, 0, false, discard, gives_up},
      {detachable, 1, 0, false, discard, nothing},
      {detachable, 1, 1, false, discard, gives_up},
      {detachable, 3, 2, false, discard, nothing},
      {detachable, 3, 3, false, discard, gives_up},
  };
  for (const Row& row : rows) {
    for (const Outcome outcome : {Outcome::ok, Outcome::error, Outcome::panic, Outcome::crashed}) {
      for (const HostPhase host : all_phases) {
        if ((host == HostPhase::running) != row.host_runs) continue;
        INFO(to_string(row.type) << ", restarts " << row.restarts << ", used " << row.used << ", " << to_string(outcome)
                                 << (row.host_runs ? "" : ", host stopping"));
        const bool well = outcome == Outcome::ok;
        const std::string told = well ? row.ok : row.error;
        TaskLife life{.charged = row.used, .state = running};
        const TaskOptions options = options_of(row.type, row.restarts);
        const Ended ended = end(options, life, {.outcome = outcome}, host);
        CHECK(ended.told == told);
        CHECK(ended.next.state == (told == restart ? waiting : TaskState::ended));
        CHECK(ended.next.restarts == (told == restart));
        CHECK(ended.next.is_given_up == (told == gives_up));
        CHECK(ended.next.well == (well && (told == discard || told == success)));
        // Charged even if the host stops instead, when it no longer matters.
        const bool charged = told == restart || told == nothing;
        CHECK(life.charged == row.used + (charged ? 1 : 0));
        CHECK(TaskMachine(options, life, nullptr).remaining(0) == row.restarts - life.charged);
      }
    }
  }
}

TEST_CASE("the end of a plain task that was asked to end leads to what it was asked for") {
  struct Row {
    StopPurpose purpose;
    HostPhase host;
    TaskType type;
    const char* stopped;
    TaskState after_stopped;
    const char* abandoned;
  };
  constexpr auto ends = "task_stopped";
  constexpr auto lost = "task_abandoned";
  constexpr auto discarded = "task_abandoned, task_discarded not_stopped";
  constexpr auto needed = "task_abandoned, host: failure not_stopped";
  const Row rows[] = {
      {StopPurpose::host, HostPhase::stopping, TaskType::detachable, ends, ended, lost},
      {StopPurpose::host, HostPhase::stopping, TaskType::mandatory, ends, ended, lost},
      {StopPurpose::operator_stop, HostPhase::running, TaskType::detachable, ends, stopped, discarded},
      {StopPurpose::operator_stop, HostPhase::running, TaskType::mandatory, ends, stopped, needed},
      {StopPurpose::again, HostPhase::running, TaskType::detachable, ends, waiting, discarded},
      {StopPurpose::again, HostPhase::running, TaskType::shutdown_on_exit, ends, waiting, needed},
      {StopPurpose::operator_stop, HostPhase::closing, TaskType::detachable, ends, stopped, discarded},
  };
  for (const Row& row : rows) {
    for (const Ending ending : {Ending::returned, Ending::dropped, Ending::abandoned}) {
      INFO(to_string(row.purpose) << ", " << to_string(row.type) << ", ending " << static_cast<int>(ending));
      TaskLife life{.charged = 1, .state = stopping, .purpose = row.purpose};
      const bool abandoned = ending == Ending::abandoned;
      const Ended is = end(options_of(row.type, 3), life, {.ending = ending, .outcome = Outcome::error}, row.host);
      CHECK(is.told == (abandoned ? row.abandoned : row.stopped));
      CHECK(is.next.state == (abandoned ? ended : row.after_stopped));
      CHECK(life.unstoppable == abandoned);
      CHECK(life.charged == 1);
    }
  }
}

TEST_CASE("an operator's order does what the table says, in every state of a plain task") {
  using Step = TaskMachine::Step;
  struct Row {
    TaskState state;
    StopPurpose purpose;  // before and after, while it stops
    Step stop, start, restart;
    StopPurpose after_stop, after_start, after_restart;
  };
  using enum StopPurpose;
  const Row rows[] = {
      {waiting, host, Step::stop, Step::wait, Step::wait, host, host, host},
      {delayed, host, Step::stop, Step::wait, Step::wait, host, host, host},
      {starting, host, Step::ask, Step::nothing, Step::ask, operator_stop, host, again},
      {running, host, Step::ask, Step::nothing, Step::ask, operator_stop, host, again},
      {stopping, host, Step::nothing, Step::nothing, Step::nothing, host, host, host},
      {stopping, operator_stop, Step::nothing, Step::nothing, Step::nothing, operator_stop, again, again},
      {stopping, again, Step::nothing, Step::nothing, Step::nothing, operator_stop, again, again},
      {stopped, host, Step::nothing, Step::wait, Step::wait, host, host, host},
      {ended, host, Step::nothing, Step::wait, Step::wait, host, host, host},
  };
  for (const Row& row : rows) {
    const std::tuple<Operation, Step, StopPurpose> orders[] = {{Operation::stop, row.stop, row.after_stop},
                                                               {Operation::start, row.start, row.after_start},
                                                               {Operation::restart, row.restart, row.after_restart}};
    for (const auto& [operation, step, purpose] : orders) {
      INFO(to_string(row.state) << " for " << to_string(row.purpose) << ", " << to_string(operation));
      TaskLife life{.charged = 2, .state = row.state, .purpose = row.purpose};
      const TaskOptions options = options_of(TaskType::mandatory, 3);
      CHECK(TaskMachine(options, life, nullptr).operate(operation) == step);
      CHECK(life.purpose == purpose);
      CHECK(life.to_ask == (step == Step::ask));
      const bool anew = (row.state == stopped || row.state == ended) && step == Step::wait;
      CHECK(life.charged == (anew ? 0 : 2));
    }
  }
}

TEST_CASE("a task with an abandoned execution in it is never started again") {
  for (const Operation operation : {Operation::stop, Operation::start, Operation::restart}) {
    TaskLife life{.state = ended, .unstoppable = true};
    const TaskOptions options = options_of(TaskType::mandatory, 3);
    CHECK(TaskMachine(options, life, nullptr).operate(operation) == TaskMachine::Step::nothing);
  }
}
