// One execution of a factory, driven call by call by a test. Each call is checked: how long it took, what it returned,
// what it threw, and whether the memory around the state is intact. Calls may come from different threads, one at a
// time, as the contract says.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "taskhost/core/outcome.hpp"
#include "verify/process_state.hpp"
#include "verify/simulated_host.hpp"
#include "verify/state_block.hpp"

namespace taskhost::verify {

// After each call: reports what it has changed in its thread.
void judge_thread(SimulatedHost& host, Phase phase, const ThreadState& before);

class DrivenExecution {
 public:
  // `factory` must outlive it.
  DrivenExecution(SimulatedHost& host, const taskhost_factory& factory, std::uint64_t number);
  ~DrivenExecution();  // drops it if that has not happened
  DrivenExecution(const DrivenExecution&) = delete;
  DrivenExecution& operator=(const DrivenExecution&) = delete;

  Status start();
  // Calls finish in its place once poll has ended the execution; pending as long as that takes.
  Status poll();
  Status run();
  void drop();  // once, if start succeeded

  // Waits for a wake; returns 0 if none came within `patience`, or nothing is arranged that could wake it.
  unsigned rest(nanoseconds patience, nanoseconds late = nanoseconds(0)) {
    const bool can_be_woken = cell_.stop_requested() || cell_.is_anything_arranged();
    return cell_.rest(TASKHOST_NEVER, can_be_woken ? patience : nanoseconds(0), late);
  }
  void request_stop();

  Cell& cell() noexcept { return cell_; }
  bool is_started() const noexcept { return is_started_; }
  std::uint64_t polls() const noexcept { return polls_; }
  bool has_been_pending() const noexcept { return has_been_pending_; }
  void mark_pending() noexcept { has_been_pending_ = true; }
  std::string failure() { return cell_.failure(); }
  // Of all that the state reaches, see digest_of_reached.
  std::optional<std::uint64_t> digest() const;
  nanoseconds last_call() const noexcept { return last_call_; }  // its duration

 private:
  void end();
  template <class Function>
  std::int32_t call(Phase phase, const Function& function);
  Status outcome_of(std::int32_t result, const char* function, const char* rule, bool may_be_pending);
  bool has_finished(std::int32_t result);
  Status pending();
  void judge_time(Phase phase, nanoseconds taken, nanoseconds waited_for_processor);

  SimulatedHost& host_;
  const taskhost_factory& factory_;
  Cell& cell_;
  StateBlock state_;
  OwnTexts texts_;
  std::optional<Status> ended_;  // how its poll ended it, while it finishes
  bool is_finished_ = false;
  bool is_started_ = false;
  bool is_dropped_ = false;
  bool is_ended_ = false;
  bool has_been_pending_ = false;
  std::uint64_t polls_ = 0;
  nanoseconds last_call_{};
};

// Tells when one call, or a whole test, has taken too long for another round.
class Budget {
 public:
  explicit Budget(nanoseconds limit) : end_(std::chrono::steady_clock::now() + limit) {}
  bool is_over() const { return std::chrono::steady_clock::now() >= end_; }

 private:
  std::chrono::steady_clock::time_point end_;
};

}  // namespace taskhost::verify
