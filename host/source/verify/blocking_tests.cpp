// The tests of blocking tasks. Each execution's run has a thread of its own, as in a host. One that does not end when
// asked to stop is left behind with its thread, and so is the test's process.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "verify/call_words.hpp"
#include "verify/comparison.hpp"
#include "verify/kit_thread.hpp"
#include "verify/test.hpp"

namespace taskhost::verify {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// An execution on its thread. Shared with the thread, which may never return.
class Running {
 public:
  explicit Running(std::shared_ptr<DrivenExecution> execution) : shared_(std::make_shared<Shared>()) {
    shared_->execution = std::move(execution);
    thread_ = std::thread([shared = shared_] {
      const KitThread mark;
      const Status outcome = shared->execution->run();
      const std::lock_guard lock(shared->mutex);
      shared->outcome = outcome;
      shared->ended.notify_all();
    });
  }
  ~Running() {
    if (!thread_.joinable()) return;
    if (has_ended()) {
      thread_.join();
    } else {
      thread_.detach();
    }
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  bool has_ended() { return wait(nanoseconds(0)).has_value(); }

  // The outcome, once it has ended; nothing if that takes longer than `limit`.
  std::optional<Status> wait(nanoseconds limit) {
    std::unique_lock lock(shared_->mutex);
    shared_->ended.wait_for(lock, limit, [this] { return shared_->outcome.has_value(); });
    return shared_->outcome;
  }

 private:
  struct Shared {
    std::shared_ptr<DrivenExecution> execution;
    std::mutex mutex;
    std::condition_variable ended;
    std::optional<Status> outcome;
  };
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

struct Play {
  bool is_started = false;
  bool has_ended = false;  // otherwise it ignores the stop and can't be dropped
  bool ended_by_itself = false;
  bool has_lived = false;
  bool may_have_timed_out = false;  // see Cell
  Status outcome = Status::error;
  nanoseconds stop_taken{};
  nanoseconds clock{};  // how long it took, by its own clock
  std::string failure;
};

// Start, run, stop after `run_for`, drop. `meanwhile` is called before the stop, on the calling thread.
template <class Meanwhile>
Play play(TestContext& context, nanoseconds run_for, const Meanwhile& meanwhile) {
  Play result;
  auto execution = std::make_shared<DrivenExecution>(context.host(), context.factory(), context.next_number());
  const std::uint64_t began = context.host().now();
  result.is_started = context.start(*execution);
  if (!result.is_started) return result;
  if (run_for < nanoseconds(0)) execution->request_stop();
  Running running(execution);
  meanwhile(*execution, running);
  result.ended_by_itself = run_for >= nanoseconds(0) && running.wait(run_for).has_value();
  const auto asked = Clock::now();
  const std::uint64_t simulated = context.host().now();
  execution->request_stop();
  const std::optional<Status> outcome = running.wait(context.stop_limit());
  result.stop_taken = std::max<nanoseconds>(Clock::now() - asked,
                                            nanoseconds(static_cast<std::int64_t>(context.host().now() - simulated)));
  if (!outcome) return result;  // the thread keeps the execution
  result.has_ended = true;
  result.outcome = *outcome;
  result.clock = nanoseconds(static_cast<std::int64_t>(context.host().now() - began));
  result.failure = execution->failure();
  result.may_have_timed_out = execution->cell().may_have_timed_out();
  result.has_lived = context.count_run(*execution, *outcome, result.ended_by_itself);
  execution->drop();
  return result;
}

Play play(TestContext& context, nanoseconds run_for) {
  return play(context, run_for, [](DrivenExecution&, Running&) {});
}

Verdict deaf(const Play& result, const std::string& when) {
  const std::string words = when + ": run had not returned " + duration_words(result.stop_taken) + " later";
  if (result.stop_taken < stop_timeout) return unproven(words + more_time_words());
  return broken("3.10", words + ". Check what wait returns, or stop_requested, and use wait to sleep");
}

// How many there were, and how long the slowest took.
struct Stops {
  std::uint64_t executions = 0;
  nanoseconds worst{};

  void add(const Play& result) {
    ++executions;
    worst = std::max(worst, result.stop_taken);
  }
  Verdict verdict() const {
    return holds(counted(executions, "execution") + ", the slowest ended after " + duration_words(worst), executions);
  }
};

Verdict deaf_elsewhere() { return unproven("it did not end when it was asked to: see \"stop at any time\""); }

}  // namespace

bool play_blocking(TestContext& context, nanoseconds run_for) {
  const Play result = play(context, run_for);
  return !result.is_started || result.has_ended;
}

Verdict blocking_runs_to_its_end(TestContext& context) {
  const Budget budget = context.budget(30);
  std::uint64_t executions = 0;
  std::uint64_t by_itself = 0;
  constexpr std::uint64_t most = 60;  // until one lives
  while ((executions < 6 || (context.tally().lived == 0 && executions < most)) &&
         (executions < 1 || !budget.is_over())) {
    const ProcessState before = ProcessState::take();
    const Play result = play(context, milliseconds(100), [&](DrivenExecution& execution, Running&) {
      std::this_thread::sleep_for(milliseconds(20));
      context.judge_process_wide(before);
      execution.cell().send_signal();
    });
    ++executions;
    if (!result.is_started) continue;
    if (!result.has_ended) return deaf_elsewhere();
    if (result.ended_by_itself) ++by_itself;
  }
  return holds(counted(executions, "execution") + ", " + std::to_string(by_itself) +
               " ended by themselves, the others when asked to stop");
}

Verdict blocking_stop_before_first(TestContext& context) {
  const Budget budget = context.budget(20);
  Stops stops;
  for (int i = 0; i < 10 && (i < 1 || !budget.is_over()); ++i) {
    const Play result = play(context, nanoseconds(-1));
    if (!result.is_started) continue;
    if (!result.has_ended) return deaf(result, "asked to stop before run was called");
    stops.add(result);
  }
  return stops.verdict();
}

Verdict blocking_stop_at_any_time(TestContext& context) {
  const Budget budget = context.budget(40);
  Stops stops;
  for (int i = 0; i < 40 && (i < 1 || !budget.is_over()); ++i) {
    const auto run_for = std::chrono::microseconds(context.choose(0, 20'000));
    const Play result = play(context, run_for);
    if (!result.is_started || result.ended_by_itself) continue;
    if (!result.has_ended) return deaf(result, "asked to stop " + duration_words(run_for) + " after run was called");
    if (result.has_lived) stops.add(result);
  }
  return stops.verdict();
}

Verdict blocking_spurious_wakes(TestContext& context) {
  Comparison test;
  test.rules = "4.3";
  test.when = "when it was woken although nothing had happened";
  test.executions = 24;  // on a busy machine most have waited long enough before they are woken
  bool is_deaf = false;
  EarlyEnds ends;
  test.treat = [&](int) {
    Went went;
    const Play result = play(context, nanoseconds(0), [&went](DrivenExecution& execution, Running& running) {
      constexpr auto moment = std::chrono::microseconds(100);
      for (int turn = 0; turn < 200 && !execution.cell().has_looked() && !running.has_ended(); ++turn) {
        running.wait(moment);
      }
      for (int turn = 0; turn < 100 && !running.has_ended(); ++turn) {
        if (execution.cell().has_looked()) went.tested += 2;
        execution.cell().wake(false);
        execution.cell().wake(false);
        std::this_thread::sleep_for(moment);
      }
    });
    if (!result.is_started) return Went{};
    is_deaf = is_deaf || !result.has_ended;
    went.has_failed = result.has_ended && result.ended_by_itself && has_failed(result.outcome);
    went.failure = result.failure;
    went.clock = result.clock;
    if (result.ended_by_itself && result.outcome == Status::ok) ends.add(went);
    if (went.has_failed && result.may_have_timed_out) {
      went.has_failed = false;
      context.host().jump_never();
    }
    return went;
  };
  test.fails_alone = [&](const Went&) {
    const Play calm = play(context, milliseconds(500));  // it takes this long only if it waits for something else
    return !calm.is_started || !calm.has_ended || (calm.ended_by_itself && has_failed(calm.outcome));
  };
  const Compared result = compare(context, test);
  if (is_deaf) return deaf_elsewhere();
  ends.judge(context, "woken", [&context] {
    const Play calm = play(context, milliseconds(20));
    Went went;
    went.outcome = calm.ended_by_itself ? calm.outcome : Status::pending;
    went.clock = calm.clock;
    return went;
  });
  if (result.tested == 0 && context.tally().lived > 0) {
    return inapplicable("run had ended, or had not waited once, when it was woken");
  }
  return result.verdict.value_or(
      holds(counted(result.tested, "wake") + " for which nothing had happened", result.tested));
}

Verdict blocking_on_other_threads(TestContext& context) {
  const Budget budget = context.budget(30);
  std::uint64_t calls = 0;
  for (int i = 0; i < 10 && (i < 1 || !budget.is_over()); ++i) {
    auto execution = std::make_shared<DrivenExecution>(context.host(), context.factory(), context.next_number());
    bool is_started = false;
    run_apart([&] { is_started = context.start(*execution); });
    ++calls;
    if (!is_started) continue;
    Running running(execution);
    running.wait(milliseconds(context.choose(0, 5)));
    execution->request_stop();
    const std::optional<Status> outcome = running.wait(context.stop_limit());
    if (!outcome) return deaf_elsewhere();
    context.count_run(*execution, *outcome);
    run_apart([&] { execution->drop(); });
    calls += 2;
  }
  return holds(counted(calls, "call") + ", start, run and drop on a thread of its own each");
}

Verdict blocking_two_at_once(TestContext& context) {
  const Budget budget = context.budget(30);
  std::uint64_t pairs = 0;
  for (int i = 0; i < 20 && (i < 1 || !budget.is_over()); ++i) {
    auto one = std::make_shared<DrivenExecution>(context.host(), context.factory(), context.next_number());
    auto other = std::make_shared<DrivenExecution>(context.host(), context.factory(), context.next_number());
    if (!context.start(*one)) continue;
    Running first(one);
    if (!context.start(*other)) {
      context.host().findings().note("5.3", "second start fails",
                                     "of two concurrent executions, one did not start: " + other->failure() +
                                         " - expected if two tasks can't share what the config names");
      one->request_stop();
      if (!first.wait(context.stop_limit())) return unproven("it did not end when it was asked to");
      continue;
    }
    Running second(other);
    const auto have_looked = [&] { return one->cell().has_looked() && other->cell().has_looked(); };
    for (int turn = 0; turn < 20 && !have_looked() && !first.has_ended() && !second.has_ended(); ++turn) {
      second.wait(milliseconds(1));
    }
    second.wait(milliseconds(context.choose(0, 5)));
    const bool are_two = have_looked() && !first.has_ended() && !second.has_ended();
    one->request_stop();
    const std::optional<Status> first_outcome = first.wait(context.stop_limit());
    if (first_outcome) one->drop();
    other->request_stop();
    const std::optional<Status> second_outcome = second.wait(first_outcome ? context.stop_limit() : nanoseconds(0));
    if (!first_outcome || !second_outcome) {
      if (i == 0 && !play(context, milliseconds(5)).has_ended) {
        return deaf_elsewhere();
      }
      const std::string words = "of two concurrent executions, one had not ended " +
                                duration_words(context.stop_limit()) + " after it was asked to stop";
      return context.stop_limit() >= stop_timeout ? broken("5.3, 3.10", words) : unproven(words + more_time_words());
    }
    context.count_run(*one, *first_outcome);
    context.count_run(*other, *second_outcome);
    other->drop();
    if (are_two) ++pairs;
  }
  if (pairs == 0 && context.tally().lived > 0) {
    return inapplicable("one had ended, or had not waited once, while the other ran");
  }
  return holds(counted(pairs, "pair") + " of executions on two threads", pairs);
}

}  // namespace taskhost::verify
