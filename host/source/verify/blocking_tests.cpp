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
  Status outcome = Status::error;
  nanoseconds stop_taken{};
  std::string failure;
};

// Start, run, stop after `run_for`, drop. `meanwhile` is called before the stop, on the calling thread.
template <class Meanwhile>
Play play(TestContext& context, nanoseconds run_for, const Meanwhile& meanwhile) {
  Play result;
  auto execution = std::make_shared<DrivenExecution>(context.host(), context.factory(), context.next_number());
  result.is_started = context.start(*execution);
  if (!result.is_started) return result;
  if (run_for < nanoseconds(0)) execution->request_stop();
  Running running(execution);
  meanwhile(*execution);
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
  result.failure = execution->cell().failure();
  context.count_end(*execution, *outcome);
  execution->drop();
  return result;
}

Play play(TestContext& context, nanoseconds run_for) {
  return play(context, run_for, [](DrivenExecution&) {});
}

Verdict deaf(const Play& result, const std::string& when) {
  return broken("3.10", when + ": run had not returned " + duration_words(result.stop_taken) +
                            " later. Check what wait returns, or stop_requested, and use wait to sleep");
}

// If starts fail, or executions end by themselves with an error, a stop can't be tested.
bool only_fails(TestContext& context) {
  const Tally& tally = context.tally();
  return tally.failed_starts == tally.starts || (tally.failed_ends > 0 && tally.good_ends == 0);
}

Verdict conclude_stops(TestContext& context, std::uint64_t stopped, nanoseconds worst) {
  if (stopped == 0 && context.tally().starts > context.tally().failed_starts) {
    if (only_fails(context)) {
      return unproven("run failed at once each time: " +
                      (context.tally().end_failure.empty() ? "no text was given" : context.tally().end_failure) +
                      " (give it a config with which it works: --config)");
    }
    return inapplicable("it ends at once by itself");
  }
  return context.conclude(holds(counted(stopped, "execution") + ", the slowest ended after " + duration_words(worst)),
                          false);
}

}  // namespace

bool play_blocking(TestContext& context, nanoseconds run_for) {
  const Play result = play(context, run_for);
  return !result.is_started || result.has_ended;
}

Verdict blocking_runs_to_its_end(TestContext& context) {
  const Budget budget = context.budget(30);
  std::uint64_t executions = 0;
  std::uint64_t by_itself = 0;
  while (executions < 6 && (executions < 1 || !budget.is_over())) {
    const Play result = play(context, milliseconds(100), [](DrivenExecution& execution) {
      std::this_thread::sleep_for(milliseconds(20));
      execution.cell().send_signal();
    });
    ++executions;
    if (!result.is_started) continue;
    if (!result.has_ended) return unproven("it did not end when it was asked to: see \"stop at any time\"");
    if (result.ended_by_itself) ++by_itself;
  }
  if (context.tally().failed_ends > 0 && only_fails(context)) return conclude_stops(context, 0, {});
  return context.conclude(holds(counted(executions, "execution") + ", " + std::to_string(by_itself) +
                                " ended by themselves, the others when asked to stop"),
                          false);
}

Verdict blocking_stop_before_first(TestContext& context) {
  const Budget budget = context.budget(20);
  nanoseconds worst{};
  std::uint64_t stopped = 0;
  for (int i = 0; i < 10 && (i < 1 || !budget.is_over()); ++i) {
    const Play result = play(context, nanoseconds(-1));
    if (!result.is_started) continue;
    if (!result.has_ended) return deaf(result, "asked to stop before run was called");
    ++stopped;
    worst = std::max(worst, result.stop_taken);
  }
  return conclude_stops(context, only_fails(context) ? 0 : stopped, worst);
}

Verdict blocking_stop_at_any_time(TestContext& context) {
  const Budget budget = context.budget(40);
  nanoseconds worst{};
  std::uint64_t stopped = 0;
  for (int i = 0; i < 40 && (i < 1 || !budget.is_over()); ++i) {
    const auto run_for = std::chrono::microseconds(context.choose(0, 20'000));
    const Play result = play(context, run_for);
    if (!result.is_started || result.ended_by_itself) continue;
    if (!result.has_ended) return deaf(result, "asked to stop " + duration_words(run_for) + " after run was called");
    ++stopped;
    worst = std::max(worst, result.stop_taken);
  }
  return conclude_stops(context, stopped, worst);
}

Verdict blocking_spurious_wakes(TestContext& context) {
  const Budget budget = context.budget(30);
  std::uint64_t wakes = 0;
  for (int i = 0; i < 5 && (i < 1 || !budget.is_over()); ++i) {
    const Play result = play(context, nanoseconds(0), [&wakes](DrivenExecution& execution) {
      for (int turn = 0; turn < 100; ++turn, wakes += 2) {
        execution.cell().wake(false);
        execution.cell().wake(false);
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    });
    if (!result.is_started) continue;
    if (!result.has_ended) return unproven("it did not end when it was asked to: see \"stop at any time\"");
    if (result.outcome == Status::ok) continue;
    const Play calm = play(context, milliseconds(20));
    if (calm.is_started && calm.has_ended && calm.outcome == Status::ok) {
      return broken("4.3",
                    "run failed when it was woken although nothing had happened, but not when it was left alone: " +
                        result.failure);
    }
  }
  return context.conclude(holds(counted(wakes, "wake") + " for which nothing had happened"), false);
}

Verdict blocking_on_other_threads(TestContext& context) {
  const Budget budget = context.budget(30);
  std::uint64_t calls = 0;
  for (int i = 0; i < 10 && (i < 1 || !budget.is_over()); ++i) {
    auto execution = std::make_shared<DrivenExecution>(context.host(), context.factory(), context.next_number());
    bool is_started = false;
    std::thread([&] { is_started = context.start(*execution); }).join();
    ++calls;
    if (!is_started) continue;
    Running running(execution);
    running.wait(milliseconds(context.choose(0, 5)));
    execution->request_stop();
    const std::optional<Status> outcome = running.wait(context.stop_limit());
    if (!outcome) return unproven("it did not end when it was asked to: see \"stop at any time\"");
    context.count_end(*execution, *outcome);
    std::thread([&] { execution->drop(); }).join();
    calls += 2;
  }
  return context.conclude(holds(counted(calls, "call") + ", start, run and drop on a thread of its own each"), false);
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
                                     "of two concurrent executions, one did not start: " + other->cell().failure() +
                                         " - expected if two tasks can't share what the config names");
      one->request_stop();
      if (!first.wait(context.stop_limit())) return unproven("it did not end when it was asked to");
      continue;
    }
    Running second(other);
    second.wait(milliseconds(context.choose(0, 5)));
    one->request_stop();
    const std::optional<Status> first_outcome = first.wait(context.stop_limit() / 2);
    if (first_outcome) one->drop();
    other->request_stop();
    const std::optional<Status> second_outcome = second.wait(context.stop_limit() / 2);
    if (!first_outcome || !second_outcome) {
      if (i == 0 && !play(context, milliseconds(5)).has_ended) {
        return unproven("it did not end when it was asked to: see \"stop at any time\"");
      }
      return broken("5.3, 3.10", "of two concurrent executions, one did not stop");
    }
    context.count_end(*one, *first_outcome);
    context.count_end(*other, *second_outcome);
    other->drop();
    ++pairs;
  }
  return context.conclude(holds(counted(pairs, "pair") + " of executions on two threads"), false);
}

}  // namespace taskhost::verify
