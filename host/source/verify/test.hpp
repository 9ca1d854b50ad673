// One test of `taskhost verify`: its input and its helpers. It runs in a process of its own.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>

#include "verify/driven_execution.hpp"
#include "verify/process_state.hpp"
#include "verify/simulated_host.hpp"
#include "verify/verdict.hpp"

namespace taskhost::verify {

// What happened to a test's executions.
struct Tally {
  std::uint64_t starts = 0;
  std::uint64_t failed_starts = 0;
  std::uint64_t lived = 0;    // those that were pending, waited, or ended well
  std::uint64_t pending = 0;  // those that were pending at least once
  std::uint64_t ready = 0;    // those that said that they are ready
  std::uint64_t polls = 0;
  std::uint64_t good_ends = 0;
  std::uint64_t ended_alone = 0;  // blocking ones that ended before they were asked to
  std::uint64_t failed_ends = 0;
  std::uint64_t jumped_ends = 0;                  // failed once the clock had jumped over what they waited for
  std::map<std::string, std::uint64_t> failures;  // how often each text was given
  std::string start_failure;                      // the text of the first failed start
  std::string end_failure;
};

// What has to have happened in a test, if its verdict is to be more than "unproven".
enum class Needs : std::uint8_t {
  nothing,
  starts,   // an execution has started
  life,     // one has lived
  pending,  // one has been pending
};

class TestContext {
 public:
  struct Terms {
    std::uint64_t seed = 1;
    nanoseconds time_limit{};
    Needs needs = Needs::nothing;
    bool brings_runtime = false;
    bool heeds_stop = true;
  };
  TestContext(SimulatedHost& host, const taskhost_factory& factory, const Terms& terms)
      : host_(host), factory_(factory), random_(terms.seed), terms_(terms) {}

  SimulatedHost& host() noexcept { return host_; }
  const taskhost_factory& factory() const noexcept { return factory_; }
  bool is_blocking() const noexcept { return factory_.run != nullptr; }
  // On the test's own thread, while no other one counts.
  const Tally& tally() const noexcept { return tally_; }

  // A number from `least` to `most`.
  std::uint64_t choose(std::uint64_t least, std::uint64_t most) {
    return least + random_() % (most - least + 1);  // the same on every machine, unlike the standard's distributions
  }

  // This share of the time that the test may take, in percent.
  Budget budget(int percent) const { return Budget(terms_.time_limit * percent / 100); }
  // How long a test waits for the end of an execution that was asked to stop: stop_timeout, if there is time for it.
  // Only one that takes as long breaks a rule.
  nanoseconds stop_limit() const { return terms_.time_limit >= stop_timeout ? stop_timeout : terms_.time_limit / 2; }

  // Whether the library is marked to stay loaded: it brings a runtime, whose threads and fault handlers stay, too.
  bool brings_runtime() const noexcept { return terms_.brings_runtime; }

  // False if an earlier test has shown that it ignores stops, so there is no point in waiting for its end.
  bool heeds_stop() const noexcept { return terms_.heeds_stop; }

  // Whether the clock does not jump while an execution stops, since what was there to wait for took real time.
  bool stops_in_real_time() const noexcept { return stops_in_real_time_; }
  void stop_in_real_time() noexcept { stops_in_real_time_ = true; }

  // Reports what is process-wide and differs from `before`, while an execution lives.
  void judge_process_wide(const ProcessState& before);

  std::uint64_t next_number() noexcept { return ++number_; }

  // After the plugin's destructors have run, nothing of it may be called.
  void end_plugin() noexcept { is_plugin_over_ = true; }
  bool is_plugin_over() const noexcept { return is_plugin_over_; }

  // Starts the execution, and counts that. Any thread.
  bool start(DrivenExecution& execution);
  Status poll(DrivenExecution& execution);
  // Waits until it wakes by itself; 0 if it sleeps on. Less patient after it has slept on several times.
  unsigned rest(DrivenExecution& execution);
  // Counts how the run of a blocking one ended, and returns whether it has lived.
  bool count_run(DrivenExecution& execution, Status outcome, bool ended_by_itself = false);

  // Waits for threads that outlived a drop, of which a rule allows those that own all they use. Whether they have ended
  // by themselves, which is a note.
  bool have_gone(const std::function<bool()>& are_gone);
  bool threads_have_gone(std::size_t before) {
    return have_gone([before] { return count_threads() <= before; });
  }

  // Whether memory that has become more than `before` is given back a moment later, by a thread that all share.
  bool memory_goes(std::size_t before) const;

  // Turns "holds" into "unproven", or into "does not apply", if no execution lived long enough to show anything. Adds
  // what was done to each verdict.
  Verdict conclude(Verdict verdict) const;

 private:
  // How long what is about to go has time for it.
  nanoseconds patience() const { return std::min<nanoseconds>(std::chrono::seconds(3), terms_.time_limit / 3); }
  Verdict proven(Verdict good) const;
  void count_end(DrivenExecution& execution, Status outcome);
  void count_failure(DrivenExecution& execution);

  SimulatedHost& host_;
  const taskhost_factory& factory_;
  std::mt19937_64 random_;
  const Terms terms_;
  std::atomic<std::uint64_t> number_{0};
  int slept_on_ = 0;
  bool is_plugin_over_ = false;
  bool stops_in_real_time_ = false;
  bool threads_stay_ = false;  // there is no point in waiting for them again
  std::mutex mutex_;
  Tally tally_;
};

struct Test {
  const char* name;
  const char* rules;
  Needs needs;
  Verdict (*polled)(TestContext& context);  // null: not for such tasks
  Verdict (*blocking)(TestContext& context);
};

// Runs it on a thread of its own. What malloc keeps for a thread, and counts as used, is given back when that ends: so
// this comes before memory is compared, and allocates nothing itself.
void run_apart(const std::function<void()>& function);

inline bool has_failed(Status outcome) { return outcome == Status::error || outcome == Status::panic; }

// In the order in which they run.
std::span<const Test> factory_tests();

// The differences since `before`, sorted by what they mean.
struct LeftBehind {
  std::string broken_rules;  // empty if no rule is broken
  std::string broken_words;
  std::string kept;  // threads and descriptors that may stay
  std::string process_wide;
};
// `may_keep`: threads and descriptors may stay, if they are created once and for all. `brings_runtime`: these, and
// handlers of faults.
LeftBehind judge_left_behind(const ProcessState& before, const ProcessState& after, bool may_keep, bool brings_runtime,
                             const char* rule_of_threads, const char* rule_of_descriptors);

// depth_test.cpp
Verdict drop_at_every_pending_poll(TestContext& context);

// polled_tests.cpp
Verdict polled_runs_to_its_end(TestContext& context);
Verdict spurious_wakes(TestContext& context);
Verdict late_wakes(TestContext& context);
Verdict double_wakes(TestContext& context);
Verdict polled_on_other_threads(TestContext& context);
Verdict polled_two_at_once(TestContext& context);
// Polls up to this many times, with a rest between polls. Returns the last outcome.
Status poll_on(TestContext& context, DrivenExecution& execution, std::uint64_t polls);

// stop_tests.cpp
Verdict polled_stop_before_first(TestContext& context);
Verdict polled_stop_at_any_time(TestContext& context);

// blocking_tests.cpp
Verdict blocking_runs_to_its_end(TestContext& context);
Verdict blocking_stop_before_first(TestContext& context);
Verdict blocking_stop_at_any_time(TestContext& context);
Verdict blocking_spurious_wakes(TestContext& context);
Verdict blocking_on_other_threads(TestContext& context);
Verdict blocking_two_at_once(TestContext& context);
// One execution from start to drop, stopped after `run_for`. False if it did not stop and can't be dropped.
bool play_blocking(TestContext& context, nanoseconds run_for);

// life_tests.cpp
Verdict start_then_drop(TestContext& context);
Verdict failing_starts(TestContext& context);
Verdict many_executions(TestContext& context);
Verdict left_behind(TestContext& context);
struct WrongConfigs {
  std::vector<std::string> list;
  std::size_t possible = 0;
  std::string words() const;  // how many of how many; empty if all
};
WrongConfigs wrong_configs(TestContext& context);
int patience_ms(const TestContext& context);
ProcessState settle(TestContext& context, const ProcessState& before);

// check_tests.cpp
Verdict check_of_configs(TestContext& context);

// end_test.cpp
Verdict end_of_the_process(TestContext& context);

// How long a stop took.
struct StopTaken {
  bool has_ended = false;
  bool is_deaf = false;          // it had stop_timeout, or sleeps on; otherwise more time may show that it ends
  bool sleeps_too_long = false;  // only its timer would wake it, after stop_timeout
  bool is_undecided = false;     // it took long only by a clock that had jumped
  nanoseconds real{};
  nanoseconds simulated{};  // what the clock has jumped besides
  std::uint64_t polls = 0;

  nanoseconds by_clock() const { return real + simulated; }
};
// Asks for the stop, and polls like a host. Does not drop the execution.
StopTaken stop_polled(TestContext& context, DrivenExecution& execution);

// Of an execution that had not ended. `when`: "stopped before its first poll"
Verdict deaf_verdict(const StopTaken& taken, const std::string& when);
// What to do if there was no time for the whole stop_timeout.
std::string more_time_words();

}  // namespace taskhost::verify
