#include "verify/comparison.hpp"

#include <algorithm>

#include "verify/call_words.hpp"

namespace taskhost::verify {

namespace {

// If failures have nothing to do with the test, each is as likely to hit an execution that is left alone: that the
// first sixteen all hit the others has a probability of 1 in 65,536.
constexpr int certain = 16;
constexpr int most = 100;  // with fewer failures than that, they are too rare to tell
// Of the test's time, to decide about a failure on a busy machine. The process has even more.
constexpr int percent_to_decide = 150;

}  // namespace

Went left_alone(TestContext& context, std::uint64_t polls, nanoseconds clock) {
  constexpr std::uint64_t most = 5000;
  Went went;
  DrivenExecution execution(context.host(), context.factory(), context.next_number());
  if (!context.start(execution)) {
    went.has_failed = true;
    went.failure = execution.failure();
    return went;
  }
  const std::uint64_t began = context.host().now();
  Status outcome = Status::pending;
  while (went.polls < most) {
    outcome = context.poll(execution);
    ++went.polls;
    went.clock = nanoseconds(static_cast<std::int64_t>(context.host().now() - began));
    if (outcome != Status::pending || (went.polls >= polls && went.clock >= clock)) break;
    if (context.rest(execution) == 0) break;  // nothing more happens by itself
  }
  went.has_failed = has_failed(outcome);
  went.outcome = outcome;
  went.has_only_its_waker = outcome == Status::pending && execution.cell().has_only_its_waker();
  went.has_nothing_arranged = outcome == Status::pending && !execution.cell().is_anything_arranged();
  went.failure = execution.failure();
  return went;
}

Compared compare(TestContext& context, const Comparison& comparison) {
  const Budget budget = context.budget(comparison.percent);
  const Budget budget_to_decide = context.budget(percent_to_decide);
  Compared result;
  bool fails_anyway = false;
  int failures = 0;
  int alone = 0;
  Went latest;
  Went last_failed;
  const auto goes_on = [&](int number) {
    if (number < comparison.executions) return true;
    if (result.tested == 0 && number < most) return true;  // none has lived so far
    return failures > 0 && !fails_anyway && failures < certain;
  };
  const auto leave_alone = [&](int number) {
    ++alone;
    fails_anyway = comparison.fails_alone(latest) || number >= most;
  };
  for (int number = 0; goes_on(number); ++number) {
    const bool is_undecided = failures > 0 && !fails_anyway;
    if (number > 0 && (is_undecided ? budget_to_decide : budget).is_over()) break;
    // In an order that is chosen at random: every other execution may fail, whoever comes to be that one.
    const bool alone_comes_first = is_undecided && context.choose(0, 1) == 0;
    if (alone_comes_first) leave_alone(number);
    latest = comparison.treat(number);
    result.tested += latest.tested;
    if (latest.has_failed) {
      last_failed = latest;
      ++failures;
    }
    if (failures > 0 && !fails_anyway && !alone_comes_first) leave_alone(number);
  }
  if (failures == 0 || fails_anyway) return result;
  const std::string why = last_failed.failure.empty() ? "no text was given" : last_failed.failure;
  if (failures >= certain) {
    result.verdict = broken(comparison.rules, "it failed " + comparison.when + ", but not when it was left alone, " +
                                                  counted(alone, "time") + ": " + why);
  } else {
    result.verdict = unproven("it failed " + comparison.when + ", " + counted(failures, "time") +
                              ", and not when it was left alone as often, which may be chance; try a longer "
                              "--time-limit: " +
                              why);
  }
  return result;
}

void EarlyEnds::judge(TestContext& context, const char* done, const std::function<Went()>& leave_alone) const {
  constexpr std::size_t enough = 3;
  if (clocks_.size() < enough) return;
  nanoseconds soonest = nanoseconds::max();
  for (std::size_t turn = 0; turn < enough; ++turn) {
    const Went alone = leave_alone();
    if (alone.outcome != Status::ok) return;
    soonest = std::min(soonest, alone.clock);
  }
  if (soonest < std::chrono::milliseconds(100)) return;
  // On a busy machine a time may come before a wake.
  nanoseconds latest{};
  std::size_t early = 0;
  for (const nanoseconds clock : clocks_) {
    if (10 * clock > soonest) continue;
    ++early;
    latest = std::max(latest, clock);
  }
  if (early < enough) return;
  const std::string each(done);
  context.host().findings().note(
      "4.3", "early end",
      each + " although nothing had happened, it ended well after " + duration_words(latest) +
          " by its clock, left alone after " + duration_words(soonest) + ": right if it counts how often it is " +
          each + ", wrong if it takes any time for the one that its timer has caused. Look at the clock");
}

}  // namespace taskhost::verify
