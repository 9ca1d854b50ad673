// Every state × event, the impossible ones included, and what each end of a running task leads to.
#include "taskhost/core/task_machine.hpp"

#include <ostream>

#include "support/catch.hpp"

namespace taskhost {
// Found by Catch2 when a check fails.
static std::ostream& operator<<(std::ostream& out, TaskState state) { return out << to_string(state); }
static std::ostream& operator<<(std::ostream& out, Action action) { return out << to_string(action); }
}  // namespace taskhost

using taskhost::Action;
using taskhost::Outcome;
using taskhost::TaskEvent;
using taskhost::TaskMachine;
using taskhost::TaskOptions;
using taskhost::TaskState;
using taskhost::TaskType;

namespace {

using enum TaskState;
using enum TaskEvent;

TaskOptions options_of(TaskType type, std::uint32_t restarts) {
  TaskOptions options;
  options.type = type;
  options.restarts = restarts;
  return options;
}

constexpr Outcome all_outcomes[] = {Outcome::ok, Outcome::error, Outcome::panic, Outcome::crashed, Outcome::cancelled};

}  // namespace

TEST_CASE("every event but the exit of a running task leads to one action and one state, whatever the policy") {
  struct Row {
    TaskState state;
    TaskEvent event;
    bool host_stopping;
    Action action;
    TaskState next;
  };
  const Row rows[] = {
      {waiting, start_due, false, Action::start, running},
      {waiting, start_due, true, Action::cancel, ended},
      {waiting, exited, false, Action::none, waiting},  // impossible
      {waiting, exited, true, Action::none, waiting},   // impossible
      {waiting, stop_requested, false, Action::cancel, ended},
      {waiting, stop_requested, true, Action::cancel, ended},
      {waiting, stop_expired, false, Action::none, waiting},  // impossible
      {waiting, stop_expired, true, Action::none, waiting},   // impossible

      {running, start_due, false, Action::none, running},  // impossible
      {running, start_due, true, Action::none, running},   // impossible
      {running, stop_requested, false, Action::ask, stopping},
      {running, stop_requested, true, Action::ask, stopping},
      {running, stop_expired, false, Action::none, running},  // impossible
      {running, stop_expired, true, Action::none, running},   // impossible

      {restarting, start_due, false, Action::start, running},
      {restarting, start_due, true, Action::cancel, ended},
      {restarting, exited, false, Action::none, restarting},  // impossible
      {restarting, exited, true, Action::none, restarting},   // impossible
      {restarting, stop_requested, false, Action::cancel, ended},
      {restarting, stop_requested, true, Action::cancel, ended},
      {restarting, stop_expired, false, Action::none, restarting},  // impossible
      {restarting, stop_expired, true, Action::none, restarting},   // impossible

      {stopping, start_due, false, Action::none, stopping},  // impossible
      {stopping, start_due, true, Action::none, stopping},   // impossible
      {stopping, exited, false, Action::report_stopped, ended},
      {stopping, exited, true, Action::report_stopped, ended},
      {stopping, stop_requested, false, Action::none, stopping},  // a second request
      {stopping, stop_requested, true, Action::none, stopping},   // a second request
      {stopping, stop_expired, false, Action::remove, ended},
      {stopping, stop_expired, true, Action::remove, ended},

      {ended, start_due, false, Action::none, ended},  // a late restart
      {ended, start_due, true, Action::none, ended},
      {ended, exited, false, Action::none, ended},  // an exit reported twice
      {ended, exited, true, Action::none, ended},
      {ended, stop_requested, false, Action::none, ended},
      {ended, stop_requested, true, Action::none, ended},
      {ended, stop_expired, false, Action::none, ended},  // a late timer
      {ended, stop_expired, true, Action::none, ended},
  };
  for (const Row& row : rows) {
    for (const TaskType type : {TaskType::shutdown_on_exit, TaskType::mandatory, TaskType::detachable}) {
      for (const Outcome outcome : all_outcomes) {
        INFO(to_string(row.state) << ", " << to_string(row.event) << (row.host_stopping ? ", host stopping" : "")
                                  << ", " << to_string(type) << ", " << to_string(outcome));
        TaskMachine machine{1, row.state};
        CHECK(machine.resume(options_of(type, 3), row.event, outcome, row.host_stopping) == row.action);
        CHECK(machine.state == row.next);
        CHECK(machine.restarts_used == 1);  // nothing of this is charged
      }
    }
  }
}

TEST_CASE("the exit of a running task leads to what its type, outcome, budget and the host's state say") {
  constexpr Action restart = Action::restart;
  constexpr Action discard = Action::discard;
  constexpr Action gives_up = Action::discard_exhausted;
  constexpr Action success = Action::stop_host_success;
  constexpr Action failure = Action::stop_host_failure;
  constexpr Action exhausted = Action::stop_host_exhausted;
  constexpr Action cancel = Action::cancel;
  constexpr TaskType on_exit = TaskType::shutdown_on_exit;
  constexpr TaskType mandatory = TaskType::mandatory;
  constexpr TaskType detachable = TaskType::detachable;
  struct Row {
    TaskType type;
    std::uint32_t restarts;
    std::uint32_t used;
    bool host_stopping;
    Action ok;
    Action error;
    Action panic;
  };
  const Row rows[] = {
      {on_exit, 0, 0, false, success, failure, failure},
      {on_exit, 0, 0, true, success, failure, failure},  // the supervisor records a later cause

      {mandatory, 0, 0, false, exhausted, exhausted, exhausted},
      {mandatory, 1, 0, false, restart, restart, restart},
      {mandatory, 1, 1, false, exhausted, exhausted, exhausted},
      {mandatory, 3, 0, false, restart, restart, restart},
      {mandatory, 3, 1, false, restart, restart, restart},
      {mandatory, 3, 2, false, restart, restart, restart},
      {mandatory, 3, 3, false, exhausted, exhausted, exhausted},
      {mandatory, 0, 0, true, exhausted, exhausted, exhausted},
      {mandatory, 1, 0, true, cancel, cancel, cancel},
      {mandatory, 1, 1, true, exhausted, exhausted, exhausted},
      {mandatory, 3, 0, true, cancel, cancel, cancel},
      {mandatory, 3, 1, true, cancel, cancel, cancel},
      {mandatory, 3, 2, true, cancel, cancel, cancel},
      {mandatory, 3, 3, true, exhausted, exhausted, exhausted},

      {detachable, 0, 0, false, discard, gives_up, gives_up},
      {detachable, 1, 0, false, discard, restart, restart},
      {detachable, 1, 1, false, discard, gives_up, gives_up},
      {detachable, 3, 0, false, discard, restart, restart},
      {detachable, 3, 1, false, discard, restart, restart},
      {detachable, 3, 2, false, discard, restart, restart},
      {detachable, 3, 3, false, discard, gives_up, gives_up},
      {detachable, 0, 0, true, discard, gives_up, gives_up},
      {detachable, 1, 0, true, discard, cancel, cancel},
      {detachable, 1, 1, true, discard, gives_up, gives_up},
      {detachable, 3, 0, true, discard, cancel, cancel},
      {detachable, 3, 1, true, discard, cancel, cancel},
      {detachable, 3, 2, true, discard, cancel, cancel},
      {detachable, 3, 3, true, discard, gives_up, gives_up},
  };
  for (const Row& row : rows) {
    const std::pair<Outcome, Action> ends[] = {
        {Outcome::ok, row.ok}, {Outcome::error, row.error}, {Outcome::panic, row.panic}, {Outcome::crashed, row.error}};
    for (const auto& [outcome, action] : ends) {
      INFO(to_string(row.type) << ", restarts " << row.restarts << ", used " << row.used << ", " << to_string(outcome)
                               << (row.host_stopping ? ", host stopping" : ""));
      TaskMachine machine{row.used, running};
      CHECK(machine.resume(options_of(row.type, row.restarts), exited, outcome, row.host_stopping) == action);
      CHECK(machine.state == (action == restart ? restarting : ended));
      CHECK(machine.restarts_used == row.used + (action == restart ? 1 : 0));
    }
  }
}

TEST_CASE("a budget of n gives one start and n restarts, and counts down to nothing left") {
  for (const std::uint32_t budget : {0u, 1u, 3u}) {
    const TaskOptions options = options_of(TaskType::detachable, budget);
    TaskMachine machine;
    std::uint32_t starts = 0;
    while (machine.state != ended && starts < 100) {
      REQUIRE(machine.resume(options, start_due) == Action::start);
      CHECK(machine.remaining(options) == budget - starts);
      ++starts;
      machine.resume(options, exited, Outcome::error);
    }
    CHECK(starts == 1 + budget);
    CHECK(machine.remaining(options) == 0);
  }
}

TEST_CASE("an event that does not exist changes nothing") {
  for (const TaskState state : {waiting, running, restarting, stopping, ended}) {
    TaskMachine machine{1, state};
    CHECK(machine.resume(options_of(TaskType::mandatory, 3), static_cast<TaskEvent>(99)) == Action::none);
    CHECK(machine.state == state);
  }
}
