// The tests of polled tasks: an execution is dropped, stopped, woken and moved between threads at every possible
// moment.
#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <thread>

#include "verify/call_words.hpp"
#include "verify/test.hpp"

namespace taskhost::verify {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint64_t max_polls = 200;  // of one execution, in tests that need many
constexpr nanoseconds stop_timeout = std::chrono::seconds(10);

// For an execution that does nothing but ask for its next poll.
constexpr std::uint64_t busy_polls = 20'000;
constexpr nanoseconds busy_poll_time = std::chrono::microseconds(20);

void run_on_a_new_thread(const std::function<void()>& function) { std::thread(function).join(); }

// Keeps polling while each poll only asks for the next one, judges such an execution, and returns how it ended.
Status follow_busy_polls(TestContext& context, DrivenExecution& execution, const Budget& budget) {
  nanoseconds taken{};
  std::uint64_t polls = 0;
  Status outcome = Status::pending;
  while (polls < busy_polls && !budget.is_over() && outcome == Status::pending &&
         execution.cell().asked_for_itself_only()) {
    execution.rest(nanoseconds(0));
    outcome = context.poll(execution);
    taken += execution.last_call();
    ++polls;
  }
  if (polls == busy_polls && taken / busy_polls < busy_poll_time) {
    context.host().findings().broken(
        "3.12", "busy",
        std::to_string(polls) + " polls in a row, of " + duration_words(taken / polls) +
            " each, did nothing but ask for the next one: that keeps a processor busy. Let it sleep on "
            "a timer, a descriptor, or a waker that something holds");
  }
  return outcome;
}

// Polls up to this many times, with a rest between polls. Returns the last outcome.
Status poll_on(TestContext& context, DrivenExecution& execution, std::uint64_t polls) {
  Status outcome = Status::pending;
  for (std::uint64_t i = 0; i < polls && outcome == Status::pending; ++i) {
    if (i > 0 && context.rest(execution) == 0) break;  // nothing more happens by itself
    outcome = context.poll(execution);
  }
  return outcome;
}

// How the outcomes of undisturbed executions differ from those under a test's conditions: a test only reports what
// fails under its conditions and not without them.
bool fails_anyway(TestContext& context, std::uint64_t polls) {
  DrivenExecution execution(context.host(), context.factory(), context.next_number());
  if (!context.start(execution)) return true;
  const Status outcome = poll_on(context, execution, polls);
  return outcome == Status::error || outcome == Status::panic;
}

Verdict failed_only_here(DrivenExecution& execution, const char* rule, const std::string& when) {
  const std::string why = execution.cell().failure();
  return broken(rule, "it failed " + when + ", but not when it was left alone: " + (why.empty() ? "no text" : why));
}

// A task that waits for a server, or for work, with a timeout fails if the clock jumps over the answer. That proves
// nothing: the test goes on with a clock that does not jump.
bool failed_by_a_jump(TestContext& context, DrivenExecution& execution) {
  if (!execution.cell().may_have_timed_out()) return false;
  context.host().jump_never();
  return true;
}

bool has_failed(Status outcome) { return outcome == Status::error || outcome == Status::panic; }

struct WorstStop {
  StopTaken worst;
  std::uint64_t executions = 0;

  void add(const StopTaken& taken) {
    ++executions;
    if (taken.real + taken.simulated > worst.real + worst.simulated) worst = taken;
    worst.polls = std::max(worst.polls, taken.polls);
  }
  std::string words() const {
    std::string text = counted(executions, "execution") + ", the slowest ended after " + duration_words(worst.real);
    if (worst.simulated > milliseconds(1)) text += " (" + duration_words(worst.simulated) + " by its clock)";
    return text + ", up to " + counted(worst.polls, "poll");
  }
};

}  // namespace

std::string deaf_words(const StopTaken& taken) {
  return "asked to stop, it went on: after " + counted(taken.polls, "poll") + " and " + duration_words(taken.real) +
         " (" + duration_words(std::max(taken.real, taken.simulated)) +
         " by its clock) it had not ended. Check stop_requested in each poll";
}

StopTaken stop_polled(TestContext& context, DrivenExecution& execution) {
  constexpr std::uint64_t max_stop_polls = 100'000;
  const nanoseconds limit = context.stop_limit();
  StopTaken taken;
  taken.has_ended = !context.heeds_stop();
  if (taken.has_ended) return taken;
  const auto begin = Clock::now();
  const std::uint64_t simulated_begin = context.host().now();
  execution.request_stop();
  for (;;) {
    const Status outcome = context.poll(execution);
    ++taken.polls;
    taken.real = Clock::now() - begin;
    const auto simulated = nanoseconds(static_cast<std::int64_t>(context.host().now() - simulated_begin));
    taken.simulated = simulated > taken.real ? simulated - taken.real : nanoseconds(0);
    if (outcome != Status::pending) {
      taken.has_ended = simulated <= std::max(stop_timeout, taken.real);
      return taken;
    }
    if (taken.real >= limit || simulated >= stop_timeout || taken.polls >= max_stop_polls) return taken;
    if (execution.rest(limit - taken.real) == 0) {
      taken.real = Clock::now() - begin;
      return taken;
    }
  }
}

Verdict polled_runs_to_its_end(TestContext& context) {
  const Budget budget = context.budget(40);
  std::uint64_t executions = 0;
  std::uint64_t polls = 0;
  std::uint64_t ended = 0;
  std::uint64_t asleep = 0;
  while (executions < 6 && (executions < 1 || !budget.is_over())) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    ++executions;
    if (!context.start(execution)) continue;
    Status outcome = poll_on(context, execution, max_polls);
    if (outcome == Status::pending && execution.cell().asked_for_itself_only()) {
      outcome = follow_busy_polls(context, execution, budget);
    }
    if (outcome == Status::pending && execution.cell().send_signal()) {
      outcome = poll_on(context, execution, max_polls);
    }
    if (outcome != Status::pending) ++ended;
    if (outcome == Status::pending) ++asleep;
    polls += execution.polls();
  }
  std::string text = counted(executions, "execution") + ", " + counted(polls, "poll") + "; ";
  if (ended > 0) text += std::to_string(ended) + " ended by " + (ended == 1 ? "itself" : "themselves");
  if (asleep > 0) text += (ended > 0 ? ", " : "") + std::to_string(asleep) + " went on until dropped";
  return context.conclude(holds(text), false);
}

Verdict drop_at_every_pending_poll(TestContext& context) {
  constexpr std::uint64_t most = 50;
  const Budget budget = context.budget(50);
  std::uint64_t dropped = 0;
  std::uint64_t deepest = 0;
  for (std::uint64_t target = 1; target <= most && !budget.is_over(); ++target) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    if (!context.start(execution)) continue;
    std::uint64_t pending = 0;
    bool is_asleep = false;
    while (context.poll(execution) == Status::pending) {
      ++pending;
      if (pending == target) break;
      is_asleep = context.rest(execution) == 0;
      if (is_asleep) break;
    }
    if (pending > 0) ++dropped;
    deepest = std::max(deepest, pending);
    if (pending < target && target > 3) break;  // it ended or sleeps: there is no later pending poll
  }
  return context.conclude(
      holds(counted(dropped, "execution") + ", dropped after each of the first " + counted(deepest, "pending poll")),
      true);
}

Verdict polled_stop_before_first(TestContext& context) {
  const Budget budget = context.budget(30);
  WorstStop worst;
  for (int i = 0; i < 10 && (i < 1 || !budget.is_over()); ++i) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    if (!context.start(execution)) continue;
    const StopTaken taken = stop_polled(context, execution);
    if (!taken.has_ended) return broken("3.10", "stopped before its first poll: " + deaf_words(taken));
    worst.add(taken);
  }
  return context.conclude(holds(worst.words()), false);
}

Verdict polled_stop_at_any_time(TestContext& context) {
  const Budget budget = context.budget(40);
  WorstStop worst;
  for (int i = 0; i < 40 && (i < 1 || !budget.is_over()); ++i) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    if (!context.start(execution)) continue;
    if (poll_on(context, execution, i % 4 == 0 ? 1 : context.choose(1, 12)) != Status::pending) continue;
    // Sometimes from another thread, so that it comes in the middle of a poll.
    const std::uint64_t delay_us = context.choose(0, 200);
    std::thread asker;
    if (context.choose(0, 2) == 0) {
      asker = std::thread([&execution, delay_us] {
        std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
        execution.cell().request_stop();
      });
    }
    Status outcome = Status::pending;
    while (asker.joinable() && outcome == Status::pending && !execution.cell().stop_requested()) {
      outcome = context.poll(execution);
    }
    if (asker.joinable()) asker.join();
    if (outcome != Status::pending) continue;
    const StopTaken taken = stop_polled(context, execution);
    if (!taken.has_ended) {
      return broken("3.10",
                    "stopped after " + counted(execution.polls() - taken.polls, "poll") + ": " + deaf_words(taken));
    }
    worst.add(taken);
  }
  return context.conclude(holds(worst.words()), true);
}

Verdict spurious_wakes(TestContext& context) {
  constexpr int executions = 5;
  const Budget budget = context.budget(40);
  std::uint64_t polls = 0;
  for (int i = 0; i < executions && (i < 1 || !budget.is_over()); ++i) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    if (!context.start(execution)) continue;
    Status outcome = poll_on(context, execution, i % 2 == 0 ? 1 : context.choose(1, 4));
    for (std::uint64_t spurious = 0; spurious < max_polls && outcome == Status::pending; ++spurious) {
      outcome = context.poll(execution);
      ++polls;
    }
    if (has_failed(outcome) && execution.polls() > 1 && !failed_by_a_jump(context, execution) &&
        !fails_anyway(context, 5)) {
      return failed_only_here(execution, "4.3", "when it was polled although nothing had happened");
    }
  }
  return context.conclude(holds(counted(polls, "poll") + " for which nothing had happened"), true);
}

Verdict late_wakes(TestContext& context) {
  const Budget budget = context.budget(40);
  std::uint64_t polls = 0;
  for (int i = 0; i < 10 && (i < 1 || !budget.is_over()); ++i) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    if (!context.start(execution)) continue;
    Status outcome = context.poll(execution);
    for (int wakes = 0; wakes < 10 && outcome == Status::pending; ++wakes) {
      // From a little to an hour; the clock goes on even if no timer is set.
      const auto late = nanoseconds(static_cast<std::int64_t>(TASKHOST_MICROSECOND << context.choose(0, 31)));
      if (execution.rest(milliseconds(5), late) == 0) context.host().advance_by(late);
      outcome = context.poll(execution);
      ++polls;
    }
    if (outcome == Status::panic && !fails_anyway(context, 5)) {
      return failed_only_here(execution, "4.4", "when its timer came late");
    }
  }
  return context.conclude(holds(counted(polls, "poll") + " that came up to 36 minutes late"), true);
}

Verdict double_wakes(TestContext& context) {
  const Budget budget = context.budget(40);
  std::uint64_t polls = 0;
  taskhost_waker stale = 0;
  for (int i = 0; i < 10 && (i < 1 || !budget.is_over()); ++i) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    const taskhost_waker waker = execution.cell().waker();
    std::atomic<bool> over{false};
    // Twice in a row, before the start, during it and the polls, and for an execution that has ended.
    std::thread waking([&over, waker, stale] {
      while (!over) {
        for (const taskhost_waker each : {waker, waker, stale}) simulated_services.wake(each);
        std::this_thread::yield();
      }
    });
    Status outcome = Status::error;
    if (context.start(execution)) {
      outcome = Status::pending;
      for (std::uint64_t turn = 0; turn < max_polls && outcome == Status::pending; ++turn) {
        outcome = context.poll(execution);
        ++polls;
        if (outcome == Status::pending) execution.rest(milliseconds(1));
      }
      if (outcome == Status::pending) {
        outcome = stop_polled(context, execution).has_ended ? Status::ok : Status::pending;
      }
      execution.drop();
    }
    over = true;
    waking.join();
    stale = waker;
    if (execution.is_started() && execution.polls() > 1 && has_failed(outcome) &&
        !failed_by_a_jump(context, execution) && !fails_anyway(context, 5)) {
      return failed_only_here(execution, "4.3", "when it was woken more than once for each poll");
    }
  }
  return context.conclude(holds(counted(polls, "poll") + " while a thread woke it all the time, also after its end"),
                          false);
}

Verdict polled_on_other_threads(TestContext& context) {
  const Budget budget = context.budget(40);
  std::uint64_t calls = 0;
  for (int i = 0; i < 10 && (i < 1 || !budget.is_over()); ++i) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    bool is_started = false;
    run_on_a_new_thread([&] { is_started = context.start(execution); });
    ++calls;
    if (!is_started) continue;
    Status outcome = Status::pending;
    for (int polls = 0; polls < 20 && outcome == Status::pending; ++polls) {
      run_on_a_new_thread([&] { outcome = context.poll(execution); });
      ++calls;
      if (outcome == Status::pending && context.rest(execution) == 0) break;
    }
    if (has_failed(outcome) && execution.polls() > 1 && !failed_by_a_jump(context, execution) &&
        !fails_anyway(context, 20)) {
      return failed_only_here(execution, "3.13", "when each call came on another thread");
    }
    if (outcome == Status::pending) {
      execution.request_stop();
      run_on_a_new_thread([&] { context.poll(execution); });
      ++calls;
    }
    run_on_a_new_thread([&] { execution.drop(); });
    ++calls;
  }
  return context.conclude(holds(counted(calls, "call") + ", each on a thread of its own"), false);
}

Verdict polled_two_at_once(TestContext& context) {
  const Budget budget = context.budget(30);
  const bool fails_by_itself = fails_anyway(context, 20);
  std::atomic<std::uint64_t> executions{0};
  std::atomic<std::uint64_t> deaf{0};
  std::array<std::string, 2> failures;
  std::array<bool, 2> failed_start{};
  const auto play = [&](std::size_t which) {
    for (std::uint64_t i = 0; i < 100 && !budget.is_over() && (failures[which].empty() || fails_by_itself); ++i) {
      DrivenExecution execution(context.host(), context.factory(), context.next_number());
      if (!context.start(execution)) {
        failed_start[which] = true;
        failures[which] = execution.cell().failure() + " ";
        return;
      }
      ++executions;
      Status outcome = Status::pending;
      for (std::uint64_t polls = 0; polls < 1 + (i + which) % 8 && outcome == Status::pending; ++polls) {
        outcome = context.poll(execution);
        if (outcome == Status::pending && execution.rest(milliseconds(2)) == 0) break;
      }
      if (outcome == Status::pending && i % 2 == which && context.heeds_stop()) {
        execution.request_stop();
        const Budget patience(context.stop_limit() / 2);
        while ((outcome = context.poll(execution)) == Status::pending && !patience.is_over()) {
          execution.rest(milliseconds(50));
        }
        if (outcome == Status::pending) {
          ++deaf;
          return;
        }
      } else if (has_failed(outcome) && !failed_by_a_jump(context, execution)) {
        failures[which] = execution.cell().failure() + " ";
      }
    }
  };
  std::thread other([&] { play(1); });
  play(0);
  other.join();
  const std::string text = counted(executions, "execution") + " on two threads";
  for (std::size_t which = 0; which < 2; ++which) {
    if (failures[which].empty() || fails_by_itself) continue;
    if (failed_start[which]) {
      context.host().findings().note("5.3", "second start fails",
                                     "of two concurrent executions, one did not start: " + failures[which] +
                                         "- expected if two tasks can't share what the config names");
    } else {
      return broken("5.3", "of two concurrent executions, one failed, but none fails alone: " + failures[which] +
                               "- do they share a global?");
    }
  }
  if (deaf > 0) return broken("5.3, 3.10", "of two concurrent executions, one did not stop");
  return context.conclude(holds(text), false);
}

}  // namespace taskhost::verify
