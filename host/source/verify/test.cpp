#include "verify/test.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "verify/call_words.hpp"
#include "verify/kit_thread.hpp"

namespace taskhost::verify {

namespace {

constexpr std::size_t kept_failures = 20;

std::string why_words(const std::string& text) { return text.empty() ? "no text was given" : text; }

// "40 started, 40 lived, 213 polls, 38 ended well, 2 failed (the weather, 2 times)"
std::string done_words(const Tally& tally) {
  std::string words = std::to_string(tally.starts - tally.failed_starts) + " started";
  const auto add = [&words](std::uint64_t count, const std::string& more) {
    if (count > 0) words += ", " + more;
  };
  add(tally.failed_starts, counted(tally.failed_starts, "start") + " failed");
  add(tally.lived, std::to_string(tally.lived) + " lived");
  add(tally.ready, std::to_string(tally.ready) + " got ready");
  add(tally.polls, counted(tally.polls, "poll"));
  add(tally.good_ends, std::to_string(tally.good_ends) + " ended well");
  add(tally.failed_ends, std::to_string(tally.failed_ends) + " failed");
  add(tally.jumped_ends,
      std::to_string(tally.jumped_ends) + " failed after the clock had jumped, which does not count");
  constexpr std::size_t most = 2;
  std::vector<std::pair<std::uint64_t, std::string>> failures;
  for (const auto& [text, count] : tally.failures) failures.emplace_back(count, why_words(text));
  std::sort(failures.begin(), failures.end(), std::greater<>());
  for (std::size_t i = 0; i < std::min(most, failures.size()); ++i) {
    words += (i == 0 ? " (" : "; ") + failures[i].second;
    if (failures[i].first > 1) words += ", " + std::to_string(failures[i].first) + " times";
  }
  if (!failures.empty()) words += failures.size() > most ? "; …)" : ")";
  return words;
}

std::string done_json(const Tally& tally) {
  nlohmann::json failures = nlohmann::json::object();
  for (const auto& [text, count] : tally.failures) failures[text] = count;
  return nlohmann::json{{"executions", tally.starts - tally.failed_starts},
                        {"failed_starts", tally.failed_starts},
                        {"lived", tally.lived},
                        {"ready", tally.ready},
                        {"polls", tally.polls},
                        {"ended_well", tally.good_ends},
                        {"failed", tally.failed_ends},
                        {"failed_after_jump", tally.jumped_ends},
                        {"failures", std::move(failures)}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

bool TestContext::start(DrivenExecution& execution) {
  const bool is_started = execution.start() == Status::ok;
  const std::lock_guard lock(mutex_);
  ++tally_.starts;
  if (is_started) return true;
  ++tally_.failed_starts;
  if (tally_.start_failure.empty()) tally_.start_failure = execution.failure();
  count_failure(execution);
  return false;
}

Status TestContext::poll(DrivenExecution& execution) {
  const Status outcome = execution.poll();
  const std::lock_guard lock(mutex_);
  ++tally_.polls;
  const bool is_pending = outcome == Status::pending || outcome == Status::again;
  if (!execution.has_been_pending()) {
    if (is_pending) ++tally_.pending;
    if (is_pending || outcome == Status::ok) ++tally_.lived;
  }
  if (is_pending) {
    execution.mark_pending();
  } else {
    count_end(execution, outcome);
  }
  return outcome;
}

bool TestContext::count_run(DrivenExecution& execution, Status outcome, bool ended_by_itself) {
  const std::lock_guard lock(mutex_);
  if (ended_by_itself) ++tally_.ended_alone;
  const bool has_lived = outcome == Status::ok || execution.cell().has_waited();
  if (has_lived) ++tally_.lived;
  count_end(execution, outcome);
  return has_lived;
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
  if (outcome == Status::ok) {
    ++tally_.good_ends;
    return;
  }
  if (execution.cell().may_have_timed_out()) {
    ++tally_.jumped_ends;
  } else {
    ++tally_.failed_ends;
    if (tally_.end_failure.empty()) tally_.end_failure = execution.failure();
  }
  count_failure(execution);
}

void TestContext::count_failure(DrivenExecution& execution) {
  const std::string text = execution.failure();
  if (tally_.failures.size() < kept_failures || tally_.failures.contains(text)) ++tally_.failures[text];
}

void TestContext::judge_process_wide(const ProcessState& before) {
  const LeftBehind now = judge_left_behind(before, ProcessState::take(), true, brings_runtime(), "5.2", "5.3");
  if (now.process_wide.empty()) return;
  host_.findings().broken("5.1", "process-wide",
                          "while an execution lives, it changes for the whole process " + now.process_wide);
}

bool TestContext::have_gone(const std::function<bool()>& are_gone) {
  if (are_gone()) return true;
  if (threads_stay_ || brings_runtime()) return false;
  const Budget time(patience());
  while (!time.is_over() && !are_gone()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  threads_stay_ = !are_gone();
  if (threads_stay_) return false;
  host_.findings().note("5.2", "threads outlive",
                        "threads outlived the drop of their execution for a while, and then ended by themselves: right "
                        "if they own all that they use");
  return true;
}

bool TestContext::memory_goes(std::size_t before) const {
  const std::size_t now = memory_in_use().allocated;
  constexpr std::size_t little = 2048;
  if (now < before + little) return false;  // what has grown is of another kind
  const std::size_t much = before + (now - before) / 2;
  for (const Budget time(patience()); !time.is_over();) {
    if (memory_in_use().allocated <= much) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

Verdict TestContext::proven(Verdict good) const {
  const Needs needs = terms_.needs;
  if (needs == Needs::nothing) return good;
  if (tally_.failed_starts == tally_.starts) {
    return unproven("start failed: " + why_words(tally_.start_failure) +
                    " (give it a config with which it starts: --config, or the manifest's)");
  }
  if (needs == Needs::starts && good.tested > 0) return good;
  if (tally_.lived == 0) {
    return unproven(
        std::string(is_blocking() ? "run failed at once each time: " : "each execution failed in its first poll: ") +
        why_words(tally_.end_failure) + " (give it a config with which it works: --config)");
  }
  if (needs == Needs::pending && tally_.pending == 0 && !is_blocking()) {
    return inapplicable("it ends in its first poll, and is never pending");
  }
  if (good.tested > 0) return good;
  if (tally_.good_ends > 0) return inapplicable("it ends too soon for that");
  return unproven("no execution lived long enough for that; give it a config with which it does: --config");
}

Verdict TestContext::conclude(Verdict verdict) const {
  if (verdict.judgement == Judgement::holds) verdict = proven(std::move(verdict));
  if (tally_.starts == 0) return verdict;
  Tally tally = tally_;
  tally.ready = host_.ready_executions();
  verdict.done = done_json(tally);
  if (verdict.judgement == Judgement::holds) verdict.text += ". In all: " + done_words(tally);
  return verdict;
}

void run_apart(const std::function<void()>& function) {
  struct Job {
    const std::function<void()>& function;
    pid_t thread = 0;
  };
  const auto run = [](void* pointer) -> void* {
    const KitThread mark;
    Job& job = *static_cast<Job*>(pointer);
    job.thread = ::gettid();
    job.function();
    return nullptr;
  };
  pthread_t thread{};
  Job job{function};
  if (::pthread_create(&thread, nullptr, run, &job) != 0) return function();
  ::pthread_join(thread, nullptr);
  // The kernel counts a thread for a moment after it was joined; who compares numbers must not find it.
  const auto is_there = [&] { return ::syscall(SYS_tgkill, ::getpid(), job.thread, 0) == 0; };
  for (int tries = 0; tries < 10'000 && is_there(); ++tries) std::this_thread::sleep_for(std::chrono::microseconds(50));
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
      case Change::Kind::acquired:
        (may_keep ? kept : given_back).push_back(change);
        break;
      case Change::Kind::of_runtime:
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
  left.process_wide = change_words(process_wide);
  left.kept = change_words(kept);
  return left;
}

std::span<const Test> factory_tests() {
  static constexpr std::array<Test, 15> tests = {{
      {"start, then drop", "3.1, 3.4, 3.5", Needs::starts, start_then_drop, start_then_drop},
      {"run to its end", "3.2, 3.3", Needs::life, polled_runs_to_its_end, blocking_runs_to_its_end},
      {"drop at every pending poll", "3.5, 5.3", Needs::pending, drop_at_every_pending_poll, nullptr},
      {"stop before it begins", "3.10", Needs::starts, polled_stop_before_first, blocking_stop_before_first},
      {"stop at any time", "3.10", Needs::pending, polled_stop_at_any_time, blocking_stop_at_any_time},
      {"spurious wakes", "4.3", Needs::pending, spurious_wakes, blocking_spurious_wakes},
      {"late wakes", "4.4", Needs::pending, late_wakes, nullptr},
      {"double wakes", "4.3", Needs::life, double_wakes, nullptr},
      {"calls on different threads", "3.13", Needs::life, polled_on_other_threads, blocking_on_other_threads},
      {"two executions at once", "5.3", Needs::life, polled_two_at_once, blocking_two_at_once},
      {"starts that fail", "3.1, 5.3", Needs::nothing, failing_starts, failing_starts},
      {"left behind", "5.1, 5.2, 5.3", Needs::life, left_behind, left_behind},
      {"many executions", "5.3", Needs::life, many_executions, many_executions},
      {"check of configs", "3.16", Needs::nothing, check_of_configs, check_of_configs},
      {"end of the process", "5.4", Needs::nothing, end_of_the_process, end_of_the_process},
  }};
  return tests;
}

}  // namespace taskhost::verify
