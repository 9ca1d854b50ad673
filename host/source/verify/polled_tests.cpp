// The tests of polled tasks: an execution is dropped, stopped, woken and moved between threads at every possible
// moment.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "verify/call_words.hpp"
#include "verify/comparison.hpp"
#include "verify/kit_thread.hpp"
#include "verify/test.hpp"
#include "verify/worker_thread.hpp"

namespace taskhost::verify {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint64_t max_polls = 200;  // of one execution, in tests that need many

// For an execution that does nothing but ask for its next poll.
constexpr std::uint64_t busy_polls = 10'000;
constexpr std::uint64_t unread_polls = 3000;
constexpr nanoseconds busy_poll_time = std::chrono::microseconds(20);

// Keeps polling while each poll is followed by the next at once, judges such an execution, and returns how it ended.
// Work in short slices is right, and mostly ends: what does nothing looks the same all the time, in all that it
// reaches.
Status follow_busy_polls(TestContext& context, DrivenExecution& execution, const Budget& budget) {
  constexpr std::uint64_t look_each = 1000;
  nanoseconds taken{};
  std::uint64_t polls = 0;
  std::uint64_t others = 0;
  std::uint64_t by_itself_only = 0;
  std::uint64_t by_descriptors = 0;
  bool has_worked = false;
  bool is_unread = true;
  std::optional<std::uint64_t> memory;
  const std::uint64_t transfers = context.host().transfers();
  std::string readiness;
  Status outcome = Status::pending;
  while (!budget.is_over() && outcome == Status::pending) {
    const bool by_itself = execution.cell().asked_for_itself_only();
    const unsigned causes = execution.rest(nanoseconds(0));
    // Others come in between, such as a timer; but most polls have to come at once.
    const bool comes_at_once = by_itself || (causes & by_descriptor) != 0;
    if (!comes_at_once && (causes == 0 || others++ > polls / 10)) break;
    if (polls == 0) {
      memory = execution.digest();
      has_worked = !memory;  // it can't be told
      readiness = execution.cell().readiness();
    }
    if (by_itself) ++by_itself_only;
    if (!by_itself && comes_at_once) ++by_descriptors;
    outcome = context.poll(execution);
    taken += execution.last_call();
    ++polls;
    if (polls % look_each != 0 || outcome != Status::pending) continue;
    has_worked = has_worked || context.host().transfers() != transfers || execution.digest() != memory;
    is_unread = is_unread && execution.cell().readiness() == readiness;
    const bool is_busy = !has_worked && (by_itself_only == 0 ? polls >= unread_polls && is_unread
                                                             : polls >= busy_polls && taken / polls < busy_poll_time);
    if (!is_busy) continue;
    const std::string much = std::to_string(polls) + " polls in a row, of " + duration_words(taken / polls) + " each, ";
    context.host().findings().broken(
        "3.12", "busy",
        by_itself_only == 0
            ? much +
                  "came because a watched descriptor was ready, and none of them changed that: that keeps "
                  "a processor busy. Read it, or take the interest away"
            : much +
                  "did nothing but ask for the next one: that keeps a processor busy. Let it sleep on a "
                  "timer, a descriptor, or a waker that something holds");
    return outcome;
  }
  if (outcome == Status::pending && polls >= busy_polls) {
    const std::string much =
        "of " + std::to_string(polls) + " polls in a row, of " + duration_words(taken / polls) + " each, ";
    context.host().findings().note(
        "3.12", "busy",
        by_descriptors > by_itself_only
            ? much + std::to_string(by_descriptors) + " came because a watched descriptor was ready" +
                  (is_unread ? ", and stayed as it was" : "") +
                  ": right for work in slices; else read it, or take the interest away, since that keeps a processor "
                  "busy"
            : much + std::to_string(by_itself_only) +
                  " were asked for by the one before, without an end: right for work in slices, and a processor kept "
                  "busy by anything else");
  }
  return outcome;
}

// What a test has seen of an execution that it treated. A failure after a jump proves nothing: a task that waits for a
// server, or for work, with a timeout fails if the clock jumps over the answer. The test goes on with a clock that does
// not jump.
Went went_of(TestContext& context, DrivenExecution& execution, Status outcome, std::uint64_t began,
             std::uint64_t tested) {
  Went went;
  went.has_failed = has_failed(outcome);
  went.outcome = outcome;
  went.polls = execution.polls();
  went.tested = tested;
  went.clock = nanoseconds(static_cast<std::int64_t>(context.host().now() - began));
  went.failure = execution.failure();
  if (went.has_failed && execution.cell().may_have_timed_out()) {
    went.has_failed = false;
    context.host().jump_never();
  }
  return went;
}

Comparison comparison(TestContext& context, const char* rules, std::string when, int executions) {
  Comparison made;
  made.rules = rules;
  made.when = std::move(when);
  made.executions = executions;
  made.fails_alone = [&context](const Went& treated) {
    return left_alone(context, treated.polls, treated.clock).has_failed;
  };
  return made;
}

}  // namespace

Status poll_on(TestContext& context, DrivenExecution& execution, std::uint64_t polls) {
  Status outcome = Status::pending;
  for (std::uint64_t i = 0; i < polls && outcome == Status::pending; ++i) {
    if (i > 0 && context.rest(execution) == 0) break;  // nothing more happens by itself
    outcome = context.poll(execution);
  }
  return outcome;
}

Verdict polled_runs_to_its_end(TestContext& context) {
  const Budget budget = context.budget(40);
  std::uint64_t executions = 0;
  std::uint64_t ended = 0;
  std::uint64_t asleep = 0;
  constexpr std::uint64_t most = 60;  // until one lives
  while ((executions < 6 || (context.tally().lived == 0 && executions < most)) &&
         (executions < 1 || !budget.is_over())) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    ++executions;
    const ProcessState before = ProcessState::take();
    if (!context.start(execution)) continue;
    Status outcome = poll_on(context, execution, max_polls);
    context.judge_process_wide(before);
    if (outcome == Status::pending) outcome = follow_busy_polls(context, execution, budget);
    if (outcome == Status::pending && execution.cell().send_signal()) {
      outcome = poll_on(context, execution, max_polls);
    }
    ++(outcome != Status::pending ? ended : asleep);
  }
  std::string text = counted(executions, "execution") + "; ";
  if (ended > 0) text += std::to_string(ended) + " ended by " + (ended == 1 ? "itself" : "themselves");
  if (asleep > 0) text += (ended > 0 ? ", " : "") + std::to_string(asleep) + " went on until dropped";
  return holds(text);
}

namespace {

void note_lost_timer(TestContext& context) {
  context.host().findings().note(
      "4.3", "lost timer",
      "a poll took away its timer before that was due, and left nothing but its waker to wake it: right if something "
      "holds the waker, or if it waits for the stop; else it sleeps for good");
}

}  // namespace

Verdict spurious_wakes(TestContext& context) {
  Comparison test = comparison(context, "4.3", "when it was polled although nothing had happened", 5);
  std::uint64_t ordinary = 0;
  EarlyEnds ends;
  test.treat = [&](int number) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    const std::uint64_t began = context.host().now();
    Status outcome = Status::error;
    if (!context.start(execution)) return Went{};
    ordinary = number % 2 == 0 ? 1 : context.choose(1, 4);
    bool has_lost_timer = false;
    std::uint64_t spurious = 0;
    const auto poll_at_once = [&] {
      const bool is_spurious = execution.rest(nanoseconds(0)) == 0;
      const bool had_timer = execution.cell().has_timer();
      outcome = context.poll(execution);
      const bool has_only_its_waker = outcome == Status::pending && execution.cell().has_only_its_waker();
      has_lost_timer = has_only_its_waker && (has_lost_timer || had_timer);
      return is_spurious;
    };
    poll_at_once();  // the first one always comes
    if (ordinary > 1 && outcome == Status::pending && context.rest(execution) != 0) {
      outcome = poll_on(context, execution, ordinary - 1);
    }
    const bool was_arranged = execution.cell().is_anything_arranged();
    for (std::uint64_t polls = 0; polls < max_polls && outcome == Status::pending; ++polls) {
      if (poll_at_once()) ++spurious;
    }
    Went went = went_of(context, execution, outcome, began, spurious);
    if (outcome == Status::pending && was_arranged && !execution.cell().is_anything_arranged()) {
      went.has_failed = true;
      went.failure = "what it had arranged was gone, so that nothing but the stop would have woken it again";
    }
    if (has_lost_timer) {
      went.has_failed = went.has_only_its_waker = true;
      went.failure =
          "its timer was gone before it was due, so that nothing but its waker and the stop would have "
          "woken it again";
    }
    if (outcome == Status::ok && spurious > 0) ends.add(went);
    return went;
  };
  test.fails_alone = [&](const Went& treated) {
    const Went alone = left_alone(context, treated.polls, treated.clock);
    const bool has_only_its_waker = treated.has_only_its_waker && alone.has_only_its_waker;
    if (has_only_its_waker) note_lost_timer(context);
    return alone.has_failed || alone.has_nothing_arranged || has_only_its_waker;
  };
  Compared result = compare(context, test);
  if (result.verdict) return *result.verdict;
  ends.judge(context, "polled", [&context] {
    constexpr std::uint64_t most = 100;
    return left_alone(context, most, nanoseconds(0));
  });
  if (result.tested == 0 && context.tally().pending > 0) {
    return inapplicable("something had happened before each of its polls, until it ended");
  }
  return holds(counted(result.tested, "poll") + " for which nothing had happened", result.tested);
}

Verdict late_wakes(TestContext& context) {
  Comparison test = comparison(context, "4.4", "when its timer came late", 10);
  std::uint64_t late_timers = 0;
  nanoseconds latest{};
  context.host().jump_at_once();  // to be as late as these, one that is left alone needs many polls
  test.treat = [&](int) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    const std::uint64_t began = context.host().now();
    if (!context.start(execution)) return Went{};
    Status outcome = context.poll(execution);
    // One that is pending counts, even if it has no timer: there may be none at all.
    const std::uint64_t tested = outcome == Status::pending ? 1 : 0;
    for (int wakes = 0; wakes < 10 && outcome == Status::pending; ++wakes) {
      const auto late = nanoseconds(static_cast<std::int64_t>(TASKHOST_MICROSECOND << context.choose(0, 31)));
      const unsigned causes = execution.rest(milliseconds(5), late);
      if (causes == 0) break;
      if ((causes & by_timer) != 0) {
        ++late_timers;
        latest = std::max(latest, late);
      }
      outcome = context.poll(execution);
    }
    return went_of(context, execution, outcome, began, tested);
  };
  Compared result = compare(context, test);
  if (result.verdict) return *result.verdict;
  if (result.tested > 0 && late_timers == 0) return inapplicable("no timer of its own ever came");
  return holds(counted(late_timers, "poll") + " whose timer came up to " + duration_words(latest) + " late",
               late_timers);
}

Verdict double_wakes(TestContext& context) {
  Comparison test = comparison(context, "4.3", "when it was woken more than once for each poll", 10);
  taskhost_waker stale = 0;
  test.treat = [&](int) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    const taskhost_waker waker = execution.cell().waker();
    const std::uint64_t began = context.host().now();
    std::uint64_t polls = 0;
    Status outcome = Status::error;
    // Twice in a row, before the start and after each call; and for an execution that has ended.
    const auto wake = [&] {
      for (const taskhost_waker each : {waker, waker, stale}) simulated_services.wake(each);
    };
    wake();
    const bool is_started = context.start(execution);
    outcome = is_started ? Status::pending : Status::ok;
    for (; polls < max_polls && outcome == Status::pending; ++polls) {
      wake();
      execution.rest(nanoseconds(0));
      outcome = context.poll(execution);
    }
    Went went = went_of(context, execution, outcome, began, polls);
    if (outcome == Status::pending) stop_polled(context, execution);
    execution.drop();
    wake();
    stale = waker;
    return went;
  };
  Compared result = compare(context, test);
  return result.verdict.value_or(
      holds(counted(result.tested, "poll") + ", woken twice for each, and once more after its end", result.tested));
}

Verdict polled_on_other_threads(TestContext& context) {
  Comparison test = comparison(context, "3.13", "when its calls came on different threads", 10);
  test.treat = [&](int number) {
    // Two that stay, or a new one for each call.
    std::array<WorkerThread, 2> workers;
    std::uint64_t calls = 0;
    const auto call = [&](const std::function<void()>& function) {
      if (number % 2 == 0) {
        workers[calls % 2].run(function);
      } else {
        run_apart(function);
      }
      ++calls;
    };
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    const std::uint64_t began = context.host().now();
    bool is_started = false;
    call([&] { is_started = context.start(execution); });
    if (!is_started) return Went{};
    Status outcome = Status::pending;
    bool sleeps_on = false;
    for (int polls = 0; polls < 20 && outcome == Status::pending; ++polls) {
      call([&] { outcome = context.poll(execution); });
      sleeps_on = outcome == Status::pending && !execution.cell().is_anything_arranged();
      if (outcome == Status::pending && context.rest(execution) == 0) break;
    }
    Went went = went_of(context, execution, outcome, began, 0);
    if (sleeps_on) {
      went.has_failed = went.has_nothing_arranged = true;
      went.failure = "it slept on, with nothing arranged that would wake it";
    }
    if (outcome == Status::pending) {
      execution.request_stop();
      call([&] { context.poll(execution); });
    }
    call([&] { execution.drop(); });
    went.tested = execution.has_been_pending() || outcome == Status::ok ? calls : 0;
    return went;
  };
  test.fails_alone = [&](const Went& treated) {
    constexpr std::uint64_t more = 100;  // polls in which one that is left alone may come to sleep on, too
    const Went alone = left_alone(context, treated.polls + (treated.has_nothing_arranged ? more : 0), treated.clock);
    return alone.has_failed || (treated.has_nothing_arranged && alone.has_nothing_arranged);
  };
  Compared result = compare(context, test);
  return result.verdict.value_or(
      holds(counted(result.tested, "call") + ", each on another thread than the one before", result.tested));
}

namespace {

// Executions that live at the same time, on as many threads.
struct Crowd {
  std::uint64_t executions = 0;
  std::uint64_t failures = 0;
  nanoseconds deaf{};  // how long one had not ended when it was asked to stop
  Went longest;        // of those that failed
  std::string start_failure;
};

Crowd live_at_once(TestContext& context, std::size_t threads, std::uint64_t each, const Budget& budget) {
  std::mutex mutex;
  Crowd crowd;
  const auto play = [&](std::size_t which) {
    for (std::uint64_t i = 0; i < each && !budget.is_over(); ++i) {
      const std::uint64_t began = context.host().now();
      DrivenExecution execution(context.host(), context.factory(), context.next_number());
      if (!context.start(execution)) {
        const std::lock_guard lock(mutex);
        crowd.start_failure = execution.failure() + " ";
        continue;
      }
      Status outcome = Status::pending;
      for (std::uint64_t polls = 0; polls < 1 + (i + which) % 8 && outcome == Status::pending; ++polls) {
        outcome = context.poll(execution);
        if (outcome == Status::pending && execution.rest(milliseconds(2)) == 0) break;
      }
      const Went went = went_of(context, execution, outcome, began, 1);
      nanoseconds deaf{};
      if (outcome == Status::pending && i % 2 == which % 2 && context.heeds_stop()) {
        execution.request_stop();
        // By the real clock only: theirs also jumps for the other one.
        const auto asked = Clock::now();
        while ((outcome = context.poll(execution)) == Status::pending && deaf < context.stop_limit()) {
          execution.rest(milliseconds(50));
          deaf = Clock::now() - asked;
        }
        if (outcome != Status::pending) deaf = nanoseconds(0);
      }
      const std::lock_guard lock(mutex);
      ++crowd.executions;
      if (went.has_failed) {
        ++crowd.failures;
        if (went.clock >= crowd.longest.clock) crowd.longest = went;
      }
      crowd.deaf = std::max(crowd.deaf, deaf);
      if (deaf > nanoseconds(0)) return;
    }
  };
  std::vector<std::thread> others;
  for (std::size_t which = 1; which < threads; ++which) {
    others.emplace_back([&play, which] {
      const KitThread mark;
      play(which);
    });
  }
  play(0);
  for (std::thread& other : others) other.join();
  return crowd;
}

}  // namespace

Verdict polled_two_at_once(TestContext& context) {
  const Budget budget = context.budget(40);
  Crowd pairs;
  std::uint64_t alone = 0;
  // If failures had nothing to do with being two, all would hit one of these as often by chance as in a comparison.
  const auto is_certain = [&] {
    const auto executions = static_cast<double>(pairs.executions);
    return std::log2((executions + static_cast<double>(alone)) / executions) * static_cast<double>(pairs.failures) >=
           16;
  };
  const bool fails_by_itself = live_at_once(context, 1, 50, context.budget(10)).failures > 0;
  do {
    const Crowd pair = live_at_once(context, 2, 100, context.budget(20));
    pairs.executions += pair.executions;
    pairs.failures += pair.failures;
    if (pair.deaf > nanoseconds(0)) {
      const std::string words = "of two concurrent executions, one had not ended " + duration_words(pair.deaf) +
                                " after it was asked to stop";
      return pair.deaf >= stop_timeout ? broken("5.3, 3.10", words) : unproven(words + more_time_words());
    }
    if (pair.failures > 0) pairs.longest = pair.longest;
    if (fails_by_itself) pairs.failures = 0;
    if (pairs.failures == 0 && pair.start_failure.empty()) break;
    const Crowd single = live_at_once(context, 1, std::max<std::uint64_t>(pair.executions, 20), context.budget(20));
    alone += single.executions;
    if (!pair.start_failure.empty() && single.start_failure.empty()) {
      context.host().findings().note("5.3", "second start fails",
                                     "of two concurrent executions, one did not start: " + pair.start_failure +
                                         "- expected if two tasks can't share what the config names");
    }
    // The clock that they share runs faster for two.
    const Went& longest = pairs.longest;
    if (single.failures > 0 || left_alone(context, longest.polls, longest.clock).has_failed) pairs.failures = 0;
    if (pairs.failures == 0) break;
  } while (!is_certain() && !budget.is_over());
  if (is_certain()) {
    return broken("5.3",
                  "of " + counted(pairs.executions, "execution") + " on two threads " + std::to_string(pairs.failures) +
                      " failed, and none of " + std::to_string(alone) + " alone: " + pairs.longest.failure +
                      " - do they share a global? If both need the same port or file, give them a config with which "
                      "both can run: --config");
  }
  if (pairs.failures > 0) {
    return unproven("of " + counted(pairs.executions, "execution") + " on two threads " +
                    std::to_string(pairs.failures) + " failed, and none of " + std::to_string(alone) +
                    " alone, which may be chance; try a longer --time-limit: " + pairs.longest.failure);
  }
  return holds(counted(pairs.executions, "execution") + " on two threads", pairs.executions);
}

}  // namespace taskhost::verify
