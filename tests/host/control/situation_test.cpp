#include "control/situation.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "text/printable.hpp"

using namespace taskhost;

namespace {

constexpr Nanoseconds ms = 1'000'000;
constexpr Nanoseconds s = 1000 * ms;
constexpr Nanoseconds now = 10'000'000 * s;

// A task of which nothing is known but its state, which began 4 s ago.
TaskStatus task_in(TaskState state, const char* name = "feed") {
  TaskStatus task;
  task.report.name = name;
  task.report.state = state;
  task.report.at = now;
  task.report.since = now - 4 * s;
  task.report.restarts = 5;
  task.report.remaining = 2;
  task.report.execution = 1;
  return task;
}

TaskStatus after(Outcome outcome, TaskStatus task, const char* message = "") {
  task.report.last_outcome = outcome;
  task.report.last_message = message;
  return task;
}

TaskStatus waiting_for(std::vector<std::string_view> names, TaskStatus task) {
  task.waits_for = std::move(names);
  return task;
}

TaskStatus to_stop(StopPurpose purpose, TaskStatus task) {
  task.report.purpose = purpose;
  task.stop_timeout = 10 * s;
  return task;
}

TaskStatus discarded(StopReason reason, TaskStatus task) {
  task.report.over_for = reason;
  task.report.is_lost = reason != StopReason::task_exit || task.report.last_outcome != Outcome::ok;
  return task;
}

template <class Change>
TaskStatus with(TaskStatus task, Change change) {
  change(task);
  return task;
}

struct Row {
  TaskStatus task;
  std::string text;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) CHECK(situation(row.task) == row.text);
}

const auto in_group = [](TaskStatus& task) { task.group = "net"; };
const auto held = [](TaskStatus& task) {
  task.group = "net";
  task.report.waits_for_group = true;
};
const auto at_unknown_time = [](TaskStatus& task) { task.report.since = 0; };
const auto in_second_execution = [](TaskStatus& task) { task.report.execution = 2; };

}  // namespace

TEST_CASE("a task that waits says for what, since when, and what the last execution came to") {
  const TaskStatus waits = task_in(TaskState::waiting);
  check({
      {waits, "it is about to start"},
      {with(waits, at_unknown_time), "it is about to start"},
      {after(Outcome::error, waits, "no route to host"), "it failed (no route to host), and is about to start"},
      {after(Outcome::cancelled, waits), "it was stopped, and is about to start"},
      {waiting_for({"db"}, waits),
       "it has waited 4s for \"db\", which it comes after; it starts when that is ready or has ended well; more: "
       "taskhost explain db"},
      {waiting_for({"db"}, with(waits, at_unknown_time)),
       "it waits for \"db\", which it comes after; it starts when that is ready or has ended well; more: taskhost "
       "explain db"},
      {waiting_for({"my db", "b"}, after(Outcome::panic, waits, "null")),
       "it panicked (null), and has waited 4s for \"my db\" and \"b\", which it comes after; it starts when they are "
       "ready or have ended well; more: taskhost explain 'my db'"},
      {waiting_for({"a", "b", "c", "d", "e"}, waits),
       "it has waited 4s for \"a\", \"b\", \"c\", \"d\" and \"e\", which it comes after; it starts when they are "
       "ready "
       "or have ended well; more: taskhost explain a"},
      {waiting_for({"a", "b", "c", "d", "e", "f", "g"}, waits),
       "it has waited 4s for \"a\", \"b\", \"c\", \"d\", \"e\" and 2 more, which it comes after; it starts when they "
       "are ready or have ended well; more: taskhost explain a"},
      {with(after(Outcome::cancelled, waits), held),
       "it was stopped, and has waited 4s for its group \"net\" to be at rest; it starts when the members that "
       "restart "
       "have ended and their delay is over"},
      {waiting_for({"db"}, with(waits, held)),
       "it has waited 4s for \"db\", which it comes after, and for its group \"net\" to be at rest; it starts when "
       "that "
       "is ready or has ended well and the members that restart have ended and their delay is over; more: taskhost "
       "explain db"},
  });
}

TEST_CASE("a task that waits for its time says when it is due, and how to run it before") {
  const TaskStatus due = with(after(Outcome::ok, task_in(TaskState::delayed)), [](TaskStatus& task) {
    task.report.waits_for_time = true;
    task.report.next_start = now + 3200 * ms;
  });
  const std::string end = "; to run it now: taskhost start feed";
  check({
      {due, "it ended well 4s ago and is due again in 3.2s" + end},
      {after(Outcome::error, due, "nothing to do"), "it failed (nothing to do) 4s ago and is due again in 3.2s" + end},
      {waiting_for({"db"}, due),
       "it ended well 4s ago and is due again in 3.2s, if \"db\", which it comes after, is ready or has ended well by "
       "then" +
           end},
  });
}

TEST_CASE("a task that is delayed says after what, until when, and what is left of its budget") {
  const TaskStatus delayed =
      with(task_in(TaskState::delayed), [](TaskStatus& task) { task.report.next_start = now + 3200 * ms; });
  const TaskStatus failed = after(Outcome::error, delayed, "no route to host");
  const auto remaining = [](std::uint32_t restarts, std::optional<std::uint32_t> left) {
    return [restarts, left](TaskStatus& task) {
      task.report.restarts = restarts;
      task.report.remaining = left;
    };
  };
  const std::string begin = "it failed (no route to host) 4s ago and starts again ";
  const std::string end = "; to end the delay: taskhost start feed";
  check({
      {failed, begin + "in 3.2s; 2 of 5 restarts are left" + end},
      {with(failed, remaining(5, 1)), begin + "in 3.2s; 1 of 5 restarts is left" + end},
      {with(failed, remaining(1, 0)), begin + "in 3.2s; that is its last restart" + end},
      {with(failed, remaining(0, 0)), begin + "in 3.2s" + end},
      {with(failed, remaining(0, std::nullopt)), begin + "in 3.2s; its restarts are unlimited" + end},
      {after(Outcome::ok, delayed), "it ended well 4s ago and starts again in 3.2s; 2 of 5 restarts are left" + end},
      {after(Outcome::crashed, with(delayed, at_unknown_time)),
       "it crashed and starts again in 3.2s; 2 of 5 restarts are left" + end},
      {delayed, "it starts in 3.2s; 2 of 5 restarts are left" + end},
      {with(failed, [](TaskStatus& task) { task.report.next_start = now; }),
       begin + "now; 2 of 5 restarts are left" + end},
      {with(failed, [](TaskStatus& task) { task.report.next_start = never; }),
       begin + "after a delay; 2 of 5 restarts are left" + end},
      {waiting_for({"db"}, failed),
       begin +
           "in 3.2s, if \"db\", which it comes after, is ready or has ended well by then; 2 of 5 restarts are left" +
           end},
      {waiting_for({"db", "c"}, with(failed, held)),
       begin +
           "in 3.2s, if \"db\" and \"c\", which it comes after, are ready or have ended well by then and its group "
           "\"net\" is at rest; 2 of 5 restarts are left" +
           end},
      {with(failed, held), begin + "in 3.2s, if its group \"net\" is at rest by then; 2 of 5 restarts are left" + end},
  });
}

TEST_CASE("a task that starts says what it is about, and how long it may take") {
  const TaskStatus plain = task_in(TaskState::starting);
  const TaskStatus notifies = with(plain, [](TaskStatus& task) {
    task.notifies = true;
    task.report.started_at = task.report.since;
  });
  const TaskStatus limited = with(notifies, [](TaskStatus& task) { task.start_timeout = 10 * s; });
  const std::string end = "; 2 of 5 restarts are left; to begin anew: taskhost restart feed";
  check({
      {plain, "it has been starting for 4s"},
      {with(plain, at_unknown_time), "it is being started"},
      {with(after(Outcome::error, plain, "no"), in_second_execution),
       "it has been starting for 4s; execution 2, after one that failed (no)"},
      {with(after(Outcome::ok, plain), in_second_execution), "it has been starting for 4s; execution 2"},
      {notifies, "it has run for 4s without saying that it is ready; no start_timeout limits that" + end},
      {with(limited, [](TaskStatus& task) { task.report.status = "connecting"; }),
       "it has run for 4s without saying that it is ready; it says \"connecting\"; if it does not within 6s "
       "(start_timeout 10s), it is stopped, which counts as a failure" +
           end},
      {with(limited, [](TaskStatus& task) { task.start_timeout = 4 * s; }),
       "it has run for 4s without saying that it is ready; start_timeout 4s is over, so it is stopped unless the host "
       "stood still meanwhile" +
           end},
      {with(limited, [](TaskStatus& task) { task.report.type = TaskType::shutdown_on_exit; }),
       "it has run for 4s without saying that it is ready; if it does not within 6s (start_timeout 10s), it is "
       "stopped, which counts as a failure; to begin anew: taskhost restart feed"},
  });
}

TEST_CASE("a task that runs says how long it has been ready, and what was wrong before") {
  const TaskStatus runs = task_in(TaskState::running);
  check({
      {runs, "it has been ready for 4s"},
      {with(runs, at_unknown_time), "it is ready"},
      {after(Outcome::ok, with(runs, in_second_execution)), "it has been ready for 4s; execution 2"},
      {after(Outcome::error, with(runs, in_second_execution), "no route to host"),
       "it has been ready for 4s; execution 2, after one that failed (no route to host); 2 of 5 restarts are left"},
      {with(runs, [](TaskStatus& task) { task.report.status = "3 clients"; }),
       "it has been ready for 4s; it says \"3 clients\""},
      {with(runs, [](TaskStatus& task) { task.report.stalls = 1; }),
       "it has been ready for 4s; 1 call into it took longer than stall_limit"},
      {with(runs,
            [](TaskStatus& task) {
              task.report.stalls = 3;
              task.report.stalled = true;
              task.stop_timeout = 10 * s;
            }),
       "it has been ready for 4s; a call into it has not returned for longer than stall_limit, and keeps a thread; "
       "its shard's other tasks go on; a stop or restart waits stop_timeout 10s for that call, then the task is "
       "abandoned for good, with its thread"},
      {with(runs, [](TaskStatus& task) { task.report.stalled = true; }),
       "it has been ready for 4s; a call into it has not returned for longer than stall_limit, and keeps a thread; "
       "its shard's other tasks go on"},
  });
}

TEST_CASE("a task that is to stop says why, and which tasks have to end before it is asked") {
  const TaskStatus runs = task_in(TaskState::running);
  const TaskStatus starts = task_in(TaskState::starting);
  check({
      {waiting_for({"web"}, to_stop(StopPurpose::host, runs)),
       "it is to stop, because the host stops, and is asked when \"web\", which comes after it, has ended; once it has "
       "ended, it is over"},
      {waiting_for({"web", "mail"}, to_stop(StopPurpose::again, with(runs, in_group))),
       "it is to stop, because an operator or its group \"net\" restarts it, and is asked when \"web\" and \"mail\", "
       "which come after it, have ended; once it has ended, it starts again"},
      {to_stop(StopPurpose::operator_stop, starts),
       "it is to stop, because an operator stopped it, and is about to be asked; once it has ended, it stays stopped; "
       "to "
       "start it: taskhost start feed"},
  });
}

TEST_CASE("a task that stops says why, what happens if it does not, and what comes next") {
  const TaskStatus stops = task_in(TaskState::stopping);
  const std::string limit = "; if it has not ended in 6s (stop_timeout 10s), it is dropped";
  check({
      {stops, "it was asked to stop 4s ago"},
      {to_stop(StopPurpose::host, stops),
       "it was asked to stop 4s ago, because the host stops" + limit + "; once it has ended, it is over"},
      {to_stop(StopPurpose::operator_stop, stops),
       "it was asked to stop 4s ago, because an operator stopped it" + limit +
           "; once it has ended, it stays stopped; to start it: taskhost start feed"},
      {to_stop(StopPurpose::discard, with(stops, in_group)),
       "it was asked to stop 4s ago, because a member of its group \"net\" gave up" + limit +
           "; once it has ended, it is over"},
      {to_stop(StopPurpose::again, stops),
       "it was asked to stop 4s ago, because an operator restarts it" + limit + "; once it has ended, it starts again"},
      {to_stop(StopPurpose::failure, stops),
       "it was asked to stop 4s ago, because it was not ready in time or gave no heartbeat" + limit +
           "; once it has ended, that counts as a failure; 2 of 5 restarts are left"},
      {to_stop(StopPurpose::again, with(stops, [](TaskStatus& task) { task.report.blocking = true; })),
       "it was asked to stop 4s ago, because an operator restarts it; if it has not ended in 6s (stop_timeout 10s), "
       "it "
       "is abandoned for good, with its thread; once it has ended, it starts again"},
      {to_stop(StopPurpose::host, with(stops,
                                       [](TaskStatus& task) {
                                         task.report.stalled = true;
                                         task.report.since = now - 11 * s;
                                       })),
       "it was asked to stop 11s ago, because the host stops; a call into it has not returned for longer than "
       "stall_limit, and keeps a thread; its shard's other tasks go on; stop_timeout 10s is over, so it is about to be "
       "abandoned for good, with its thread; once it has ended, it is over"},
      {to_stop(StopPurpose::host, with(stops, at_unknown_time)),
       "it was asked to stop, because the host stops; once it has ended, it is over"},
  });
}

TEST_CASE("a task that an operator stopped says how it is started") {
  const TaskStatus stopped = task_in(TaskState::stopped);
  check({
      {stopped, "an operator stopped it 4s ago; to start it: taskhost start feed"},
      {with(stopped, at_unknown_time), "an operator stopped it; to start it: taskhost start feed"},
      {after(Outcome::cancelled, stopped), "an operator stopped it 4s ago; to start it: taskhost start feed"},
      {after(Outcome::error, stopped, "no"),
       "an operator stopped it 4s ago; before that it failed (no); to start it: taskhost start feed"},
  });
}

TEST_CASE("a task that is over says why, and whether it can be started") {
  const TaskStatus ended = task_in(TaskState::ended);
  const TaskStatus failed = after(Outcome::error, ended, "no route to host");
  const TaskStatus never_started = with(ended, [](TaskStatus& task) { task.report.execution = 0; });
  const auto remaining = [](std::uint32_t restarts, std::optional<std::uint32_t> left) {
    return [restarts, left](TaskStatus& task) {
      task.report.restarts = restarts;
      task.report.remaining = left;
    };
  };
  const std::string anew = "; to start it anew: taskhost start feed";
  const std::string gave_up = "it failed (no route to host) 4s ago and gave up: ";
  check({
      {discarded(StopReason::task_exit, after(Outcome::ok, ended)), "it ended well 4s ago, and is over" + anew},
      {discarded(StopReason::task_exit, failed),
       "it failed (no route to host) 4s ago, and is over, because an exit rule discards it" + anew},
      {discarded(StopReason::budget_exhausted, with(failed, remaining(5, 0))),
       gave_up + "its 5 restarts are used up" + anew},
      {discarded(StopReason::budget_exhausted, with(failed, remaining(1, 0))),
       gave_up + "its restart is used up" + anew},
      {discarded(StopReason::budget_exhausted, with(failed, remaining(0, 0))), gave_up + "it has no restarts" + anew},
      {discarded(StopReason::budget_exhausted, with(failed, remaining(5, 2))),
       gave_up + "its restarts were used up, or an exit rule says so" + anew},
      {discarded(StopReason::budget_exhausted, with(failed, remaining(0, std::nullopt))),
       gave_up + "an exit rule says so" + anew},
      {discarded(StopReason::skipped, waiting_for({"db"}, never_started)),
       "it was skipped 4s ago, because \"db\", which it comes after, is over without success; start that first, such "
       "as "
       "with taskhost start db, then taskhost start feed"},
      {discarded(StopReason::skipped, waiting_for({"db", "mq"}, failed)),
       "it was skipped 4s ago, because \"db\" and \"mq\", which it comes after, are over without success; start those "
       "first, such as with taskhost start db, then taskhost start feed"},
      {discarded(StopReason::skipped, never_started),
       "it was skipped 4s ago, because a task that it comes after was over without success; to start it: taskhost "
       "start feed"},
      {discarded(StopReason::group, with(after(Outcome::cancelled, ended), in_group)),
       "it was discarded 4s ago, because a member of its group \"net\" gave up" + anew},
      {discarded(StopReason::request, failed), "it has been over for 4s; it failed (no route to host)" + anew},
      {failed, "it has been over for 4s, because the host stops; it failed (no route to host)"},
      {after(Outcome::cancelled, ended, "was dropped"),
       "it has been over for 4s, because the host stops; it was stopped (was dropped)"},
      {with(never_started, at_unknown_time), "it is over, because the host stops; it was never started"},
      {discarded(StopReason::not_stopped, with(after(Outcome::cancelled, ended),
                                               [](TaskStatus& task) {
                                                 task.report.abandoned = true;
                                                 task.stop_timeout = 10 * s;
                                               })),
       "it did not stop within stop_timeout 10s and was abandoned 4s ago: its thread is left behind, and it can't be "
       "started again as long as this host runs"},
      {with(ended, [](TaskStatus& task) { task.report.abandoned = true; }),
       "it did not stop in time and was abandoned 4s ago: its thread is left behind, and it can't be started again as "
       "long as this host runs"},
  });
}

TEST_CASE("a task whose shard does not answer says so, and nothing else") {
  check({{with(task_in(TaskState::running),
               [](TaskStatus& task) {
                 task.report.is_answered = false;
                 task.report.shard = 3;
               }),
          "unknown: shard 3 did not answer in time; a task may be holding it up: ask again, or see which one: "
          "taskhost logs --level warning"}});
}

TEST_CASE("spans of time are rounded as those of the fields, and written as everywhere") {
  struct Span {
    Nanoseconds span;
    std::string text;
  };
  for (const Span& row : {Span{0, "0ms"}, Span{1'999'999, "1ms"}, Span{3'240 * ms, "3.2s"}, Span{90 * s, "1m30s"}}) {
    TaskStatus task = task_in(TaskState::running);
    task.report.since = now - row.span;
    CHECK(situation(task) == "it has been ready for " + row.text);
  }
  TaskStatus task = task_in(TaskState::delayed);
  task.report.next_start = now + 1;
  CHECK(situation(task).starts_with("it starts in 1ms;"));  // "0ms" would be due
}

TEST_CASE("names in commands are quoted where a shell would read them differently") {
  const auto command = [](const char* name) {
    const std::string text = situation(task_in(TaskState::stopped, name));
    return text.substr(text.find("taskhost"));
  };
  CHECK(command("a-b_c.d/e:1@x") == "taskhost start a-b_c.d/e:1@x");
  CHECK(command("two words") == "taskhost start 'two words'");
  CHECK(command("$(rm -r x)") == "taskhost start '$(rm -r x)'");
  CHECK(command("it's") == "taskhost start 'it'\\''s'");
  CHECK(command("über") == "taskhost start 'über'");
  CHECK(command("-v") == "taskhost start -- -v");
}

TEST_CASE("every combination is a line of limited length, whatever tasks say") {
  const std::string hostile = "\x1b[2J\n\"\xff" + std::string(100'000, 'x');
  const std::vector<std::string_view> many(1000, std::string_view(hostile).substr(0, 128));
  std::size_t combinations = 0;
  for (const Word<TaskState>& state : words_of<TaskState>) {
    for (std::size_t purpose = 0; purpose <= words_of<StopPurpose>.size(); ++purpose) {
      for (std::size_t outcome = 0; outcome <= words_of<Outcome>.size(); ++outcome) {
        for (std::size_t reason = 0; reason <= words_of<StopReason>.size(); ++reason) {
          for (unsigned flags = 0; flags < 64; ++flags) {
            TaskStatus task = task_in(state.value);
            if (purpose > 0) task.report.purpose = static_cast<StopPurpose>(purpose - 1);
            if (outcome > 0) task.report.last_outcome = static_cast<Outcome>(outcome - 1);
            if (reason > 0) task.report.over_for = static_cast<StopReason>(reason - 1);
            task.report.abandoned = (flags & 1) != 0;
            task.report.stalled = (flags & 2) != 0;
            task.report.waits_for_group = (flags & 4) != 0;
            task.notifies = (flags & 8) != 0;
            if ((flags & 16) != 0) task.waits_for = many;
            if ((flags & 32) != 0) {
              task.group = hostile;
              task.report.last_message = hostile;
              task.report.status = hostile;
            }
            const std::string text = situation(task);
            ++combinations;
            const bool is_line = !text.empty() && text.size() < 3000 && !has_control_character(text) &&
                                 text.find("  ") == std::string::npos;
            if (!is_line) FAIL(text);
          }
        }
      }
    }
  }
  CHECK(combinations == 7 * 6 * 6 * 9 * 64);
}
