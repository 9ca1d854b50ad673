// The stop of polled tasks: how long it takes, before the first poll, between polls and in the midst of one.
#include <algorithm>

#include "verify/call_words.hpp"
#include "verify/test.hpp"

namespace taskhost::verify {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct WorstStop {
  StopTaken worst;
  std::uint64_t executions = 0;

  void add(const StopTaken& taken) {
    if (taken.is_undecided) return;
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

// While it exists, the clock does not jump, if that has been found to be necessary.
class RealTime {
 public:
  explicit RealTime(TestContext& context)
      : host_(context.host()), has_changed_it_(context.stops_in_real_time() && !host_.jump_never()) {}
  ~RealTime() {
    if (has_changed_it_) host_.jump_again();
  }
  RealTime(const RealTime&) = delete;
  RealTime& operator=(const RealTime&) = delete;

 private:
  SimulatedHost& host_;
  const bool has_changed_it_;
};

}  // namespace

std::string more_time_words() {
  return "; a host gives it stop_timeout, by default " + duration_words(stop_timeout) +
         ": with a --time-limit of at least that, this can be decided";
}

Verdict deaf_verdict(const StopTaken& taken, const std::string& when) {
  const std::string words = when + ": asked to stop, it went on: after " + counted(taken.polls, "poll") + " and " +
                            duration_words(taken.real) + " (" + duration_words(taken.by_clock()) +
                            " by its clock) it had not ended";
  if (!taken.is_deaf) return unproven(words + more_time_words());
  if (taken.sleeps_too_long) {
    return broken("3.10", words + ", and only its timer would wake it, which is set to a time after its " +
                              duration_words(stop_timeout) + " are over. Check stop_requested in each poll");
  }
  if (taken.by_clock() < stop_timeout) {
    return broken("3.10", words + ", and nothing was arranged that would wake it again");
  }
  return broken("3.10", words + ". Check stop_requested in each poll");
}

StopTaken stop_polled(TestContext& context, DrivenExecution& execution) {
  const nanoseconds limit = context.stop_limit();
  StopTaken taken;
  taken.has_ended = !context.heeds_stop();
  if (taken.has_ended) return taken;
  const RealTime real_time(context);
  const auto begin = Clock::now();
  const std::uint64_t simulated_begin = context.host().now();
  constexpr auto too_late = static_cast<std::uint64_t>(stop_timeout.count());
  execution.request_stop();
  Status outcome = Status::pending;
  // What ends in real time, such as a child process or a thread, seems to take for ever by a clock that jumps over it:
  // only one whose clock did not jump tells.
  const unsigned jumps = context.host().jumps();
  const auto judged = [&](bool has_ended) {
    taken.has_ended = has_ended;
    if (has_ended) return taken;
    taken.is_deaf = taken.real >= stop_timeout || taken.sleeps_too_long ||
                    (outcome == Status::pending && !execution.cell().is_anything_arranged());
    if (taken.is_deaf || taken.real >= limit || context.host().jumps() == jumps) return taken;
    taken.has_ended = taken.is_undecided = true;
    context.stop_in_real_time();  // so that the next one tells
    return taken;
  };
  for (;;) {
    outcome = context.poll(execution);
    ++taken.polls;
    taken.real = Clock::now() - begin;
    const auto simulated = nanoseconds(static_cast<std::int64_t>(context.host().now() - simulated_begin));
    taken.simulated = simulated > taken.real ? simulated - taken.real : nanoseconds(0);
    if (outcome != Status::pending) return judged(simulated <= std::max(stop_timeout, taken.real));
    taken.sleeps_too_long =
        context.host().jumps() == jumps && execution.cell().sleeps_until(simulated_begin + too_late);
    const bool is_over = taken.real >= limit || simulated >= stop_timeout;
    if (is_over || taken.sleeps_too_long || !execution.cell().is_anything_arranged()) return judged(false);
    if (execution.rest(limit - taken.real) == 0) {
      taken.real = Clock::now() - begin;
      return judged(false);
    }
  }
}

Verdict polled_stop_before_first(TestContext& context) {
  const Budget budget = context.budget(30);
  WorstStop worst;
  for (int i = 0; i < 10 && (i < 1 || !budget.is_over()); ++i) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    if (!context.start(execution)) continue;
    const StopTaken taken = stop_polled(context, execution);
    if (!taken.has_ended) return deaf_verdict(taken, "stopped before its first poll");
    worst.add(taken);
  }
  return holds(worst.words(), worst.executions);
}

Verdict polled_stop_at_any_time(TestContext& context) {
  const Budget budget = context.budget(40);
  WorstStop worst;
  // More, if those that fail by chance have left none to stop.
  for (int i = 0; i < (worst.executions > 0 ? 40 : 400) && (i < 1 || !budget.is_over()); ++i) {
    const std::uint64_t polls = context.choose(1, 12);
    const auto calls = static_cast<unsigned>(context.choose(0, 8));
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    if (!context.start(execution)) continue;
    if (poll_on(context, execution, i % 4 == 0 ? 1 : polls) != Status::pending) continue;
    // Sometimes in the middle of a poll, between two of its calls of services.
    if (calls > 0 && calls < 5) {
      execution.cell().stop_at_call(calls);
      if (context.poll(execution) != Status::pending) continue;
    }
    const StopTaken taken = stop_polled(context, execution);
    if (!taken.has_ended) {
      return deaf_verdict(taken, "stopped after " + counted(execution.polls() - taken.polls, "poll"));
    }
    worst.add(taken);
  }
  return holds(worst.words(), worst.executions);
}

}  // namespace taskhost::verify
