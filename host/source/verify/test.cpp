#include "verify/test.hpp"

#include <array>

#include "verify/call_words.hpp"

namespace taskhost::verify {

bool TestContext::start(DrivenExecution& execution) {
  const bool is_started = execution.start() == Status::ok;
  const std::lock_guard lock(mutex_);
  ++tally_.starts;
  if (is_started) return true;
  ++tally_.failed_starts;
  if (tally_.start_failure.empty()) tally_.start_failure = execution.cell().failure();
  return false;
}

Status TestContext::poll(DrivenExecution& execution) {
  const Status outcome = execution.poll();
  count_end(execution, outcome);
  return outcome;
}

unsigned TestContext::rest(DrivenExecution& execution) {
  // What a thread of the plugin does in real time happens within this time, or counts as never.
  constexpr nanoseconds quiet = std::chrono::milliseconds(30);
  constexpr nanoseconds short_quiet = std::chrono::milliseconds(3);
  constexpr int enough = 3;
  const unsigned causes = execution.rest(slept_on_ < enough ? quiet : short_quiet);
  if (causes == 0) ++slept_on_;
  return causes;
}

void TestContext::count_end(DrivenExecution& execution, Status outcome) {
  const std::lock_guard lock(mutex_);
  switch (outcome) {
    case Status::pending:
    case Status::again:
      ++tally_.pending_polls;
      return;
    case Status::ok:
      ++tally_.good_ends;
      return;
    case Status::error:
    case Status::panic:
      ++tally_.failed_ends;
      if (tally_.end_failure.empty()) tally_.end_failure = execution.cell().failure();
      return;
  }
}

Verdict TestContext::conclude(Verdict good, bool needs_pending) {
  if (tally_.failed_starts == tally_.starts) {
    const std::string why = tally_.start_failure.empty() ? "no text was given" : tally_.start_failure;
    return unproven("start failed: " + why + " (give it a config with which it starts: --config)");
  }
  if (!is_blocking() && tally_.pending_polls == 0 && tally_.failed_ends > 0 && tally_.good_ends == 0) {
    const std::string why = tally_.end_failure.empty() ? "no text was given" : tally_.end_failure;
    return unproven("each execution failed in its first poll: " + why +
                    " (give it a config with which it works: --config)");
  }
  if (needs_pending && tally_.pending_polls == 0 && tally_.good_ends > 0) {
    return inapplicable("it ends in its first poll, and is never pending");
  }
  if (needs_pending && good.text.starts_with("0 ")) {
    if (tally_.good_ends > 0) return inapplicable("it ends too soon for that");
    return unproven("no execution stayed pending long enough; give it a config with which it does: --config");
  }
  if (tally_.failed_starts > 0) {
    good.text += "; " + std::to_string(tally_.failed_starts) + " of " + counted(tally_.starts, "start") +
                 " failed: " + tally_.start_failure;
  }
  return good;
}

LeftBehind judge_left_behind(const ProcessState& before, const ProcessState& after, bool may_keep, bool brings_runtime,
                             const char* rule_of_threads, const char* rule_of_descriptors) {
  std::vector<Change> kept;
  std::vector<Change> threads;
  std::vector<Change> given_back;
  std::vector<Change> process_wide;
  for (const Change& change : changes(before, after)) {
    switch (change.kind) {
      case Change::Kind::thread:
        (may_keep || brings_runtime ? kept : threads).push_back(change);
        break;
      case Change::Kind::descriptor:
        (may_keep || brings_runtime ? kept : given_back).push_back(change);
        break;
      case Change::Kind::child:
        given_back.push_back(change);
        break;
      case Change::Kind::fault_signal:
        (brings_runtime ? kept : process_wide).push_back(change);
        break;
      case Change::Kind::signal:
      case Change::Kind::other:
        process_wide.push_back(change);
        break;
    }
  }
  LeftBehind left;
  const auto add = [&left](const std::string& rule, const std::vector<Change>& some, const std::string& verb) {
    if (some.empty()) return;
    left.broken_rules += (left.broken_rules.empty() ? "" : ", ") + rule;
    left.broken_words += (left.broken_words.empty() ? "" : "; ") + verb + change_words(some);
  };
  add(rule_of_threads, threads, "it leaves behind ");
  add(rule_of_descriptors, given_back, "it leaves behind ");
  add("5.1", process_wide, "it changes for the whole process ");
  left.kept = change_words(kept);
  return left;
}

std::span<const Test> factory_tests() {
  static constexpr std::array<Test, 14> tests = {{
      {"start, then drop", "3.1, 3.4, 3.5", start_then_drop, start_then_drop},
      {"run to its end", "3.2, 3.3", polled_runs_to_its_end, blocking_runs_to_its_end},
      {"drop at every pending poll", "3.5, 5.3", drop_at_every_pending_poll, nullptr},
      {"stop before it begins", "3.10", polled_stop_before_first, blocking_stop_before_first},
      {"stop at any time", "3.10", polled_stop_at_any_time, blocking_stop_at_any_time},
      {"spurious wakes", "4.3", spurious_wakes, blocking_spurious_wakes},
      {"late wakes", "4.4", late_wakes, nullptr},
      {"double wakes", "4.3", double_wakes, nullptr},
      {"calls on different threads", "3.13", polled_on_other_threads, blocking_on_other_threads},
      {"two executions at once", "5.3", polled_two_at_once, blocking_two_at_once},
      {"starts that fail", "3.1, 5.3", failing_starts, failing_starts},
      {"left behind", "5.1, 5.2, 5.3", left_behind, left_behind},
      {"many executions", "5.3", many_executions, many_executions},
      {"check of configs", "3.16", check_of_configs, check_of_configs},
  }};
  return tests;
}

}  // namespace taskhost::verify
