#include "verify/driven_execution.hpp"

#include <cxxabi.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include "text/printable.hpp"
#include "verify/call_words.hpp"
#include "verify/reached_memory.hpp"

namespace taskhost::verify {

namespace {

using Clock = std::chrono::steady_clock;

// The host's default stall limit.
constexpr nanoseconds max_call_time = std::chrono::milliseconds(100);
// Distinguishes a runtime that wakes up with the very first start from a start that blocks each time.
constexpr nanoseconds max_first_start_time = std::chrono::seconds(1);

// Of a drop that may join what finish would have waited for.
constexpr nanoseconds max_drop_before_finish = std::chrono::seconds(2);

// How long this thread has waited for a processor so far: a busy machine is not the plugin's fault.
nanoseconds read_waited_for_processor() {
  const int file = ::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  char text[96];
  const ssize_t size = ::read(file, text, sizeof text - 1);
  ::close(file);
  if (size <= 0) return {};
  text[size] = '\0';
  char* end = nullptr;
  std::strtoull(text, &end, 10);
  return nanoseconds(static_cast<std::int64_t>(std::strtoull(end, nullptr, 10)));
}

// Uses the last value if it is recent, since reading it takes longer than a poll.
nanoseconds waited_before_call(Clock::time_point now) {
  thread_local Clock::time_point read_at;
  thread_local nanoseconds waited{};
  if (now - read_at > std::chrono::milliseconds(10)) {
    waited = read_waited_for_processor();
    read_at = now;
  }
  return waited;
}

// How long it takes now until a thread that sleeps for a moment has begun and ended: much, if the machine is busy.
nanoseconds delay_of_this_machine() {
  constexpr int probes = 4;
  nanoseconds worst{};
  for (int probe = 0; probe < probes; ++probe) {
    const auto begin = Clock::now();
    std::thread([] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }).join();
    worst = std::max<nanoseconds>(worst, Clock::now() - begin);
  }
  return worst;
}

std::size_t align_of(const taskhost_factory& factory) {
  return factory.state_align != 0 ? factory.state_align : alignof(std::max_align_t);
}

}  // namespace

DrivenExecution::DrivenExecution(SimulatedHost& host, const taskhost_factory& factory, std::uint64_t number)
    : host_(host),
      factory_(factory),
      cell_(host.claim()),
      state_(factory.state_size, align_of(factory)),
      texts_(host.config(), host.task_name(), host.directory()) {
  cell_.begin(number, factory.run != nullptr, texts_);
}

DrivenExecution::~DrivenExecution() {
  drop();
  end();
}

// Called once: after it, the cell may belong to another execution.
void DrivenExecution::end() {
  if (std::exchange(is_ended_, true)) return;
  cell_.end();
  texts_.wall();
}

template <class Function>
std::int32_t DrivenExecution::call(Phase phase, const Function& function) {
  const std::string where = phase_words(phase);
  Findings& findings = host_.findings();
  Progress& progress = host_.progress();
  const auto threw = [&](const std::string& what) {
    if (phase == Phase::drop) {
      findings.broken("3.7", "throws " + where, "drop threw an exception: " + what);
    } else {
      findings.broken("3.6", "throws " + where, function_name(phase) + (" threw an exception: " + what));
    }
    cell_.fail("an exception: " + what);
    return TASKHOST_PANIC;
  };
  progress.execution = cell_.number();
  progress.call = phase == Phase::poll ? polls_ : 1;
  progress.stop_requested = cell_.stop_requested();
  std::int32_t result = TASKHOST_PANIC;
  // Not for each of very many polls, where it would take longer than these.
  constexpr std::uint64_t many = 256;
  const bool looks_at_thread = polls_ < many || polls_ % many == 0;
  const ThreadState thread = looks_at_thread ? ThreadState::take() : ThreadState();
  const nanoseconds waited_before = waited_before_call(Clock::now());
  if (!cell_.stop_requested()) progress.stop_began = 0;
  const auto begin = Clock::now();
  progress.enter(phase);
  {
    const CallMark mark(&cell_, phase);
    try {
      result = function();
    } catch (const std::exception& error) {
      result = threw(error.what());
    } catch (const abi::__forced_unwind&) {
      findings.broken("3.8", "thread exit", function_name(phase) + std::string(" ended its thread (pthread_exit)"));
      throw;
    } catch (...) {
      result = threw("of no standard type");
    }
  }
  host_.end_returned_child();
  last_call_ = Clock::now() - begin;
  host_.count_call(phase);
  if (looks_at_thread) judge_thread(host_, phase, thread);
  if (phase != Phase::run && last_call_ >= max_call_time) {
    judge_time(phase, last_call_, read_waited_for_processor() - waited_before);
  }
  progress.phase = Phase::none;
  if (!state_.is_whole()) {
    findings.broken("2.5", "state overrun",
                    function_name(phase) + (" wrote outside of its state of " + std::to_string(factory_.state_size) +
                                            " bytes; is state_size the size of the type that is kept there?"));
  }
  return result;
}

void judge_thread(SimulatedHost& host, Phase phase, const ThreadState& before) {
  const ThreadState after = ThreadState::take();
  const std::string changed = differences(before, after);
  if (!changed.empty()) {
    const std::string words =
        function_name(phase) + (" did not leave its thread as it found it: " + changed + " changed");
    if (host.brings_runtime()) {
      host.findings().note("5.1", "thread changed", words + " (tolerated in a runtime that stays for good)");
    } else {
      host.findings().broken("5.1", "thread changed", words);
    }
  }
  if (before.name != after.name) {
    host.findings().note("5.1", "thread renamed",
                         function_name(phase) +
                             std::string(" gave its thread another name, though it is the host's: ") +
                             quoted_text(after.name.data()));
  }
}

std::optional<std::uint64_t> DrivenExecution::digest() const {
  return digest_of_reached(state_.get(), state_.size(), reinterpret_cast<const void*>(factory_.poll), host_);
}

void DrivenExecution::judge_time(Phase phase, nanoseconds taken, nanoseconds waited) {
  if (taken - waited < max_call_time) return;
  const std::string words =
      std::string(function_name(phase)) + " took " + duration_words(taken) + "; it shares its thread with other tasks";
  if (phase == Phase::start && cell_.number() == 1 && taken < max_first_start_time) {
    host_.findings().note("3.4", "slow first start",
                          words + " (tolerated, since it was the first start in the process)");
    return;
  }
  if (phase == Phase::drop && factory_.finish != nullptr && !is_finished_ && taken < max_drop_before_finish) {
    host_.findings().note("3.4, 5.2", "slow drop before finish",
                          words + " (right if it joins a thread, since its finish was not done)");
    return;
  }
  // What it waited for may have waited for a processor, too. That does not hit most calls, nor for long.
  const bool are_most_slow = host_.count_slow_call(phase);
  if (are_most_slow || taken - waited >= 2 * max_call_time + 4 * delay_of_this_machine()) {
    host_.findings().broken("3.4", std::string("slow ") + function_name(phase), words);
  } else {
    host_.findings().note("3.4", std::string("once slow ") + function_name(phase),
                          words + " (most calls did not, so this may be due to a busy machine)");
  }
}

Status DrivenExecution::outcome_of(std::int32_t result, const char* function, const char* rule, bool may_be_pending) {
  switch (result) {
    case TASKHOST_OK:
      return Status::ok;
    case TASKHOST_PENDING:
      if (may_be_pending) return Status::pending;
      break;
    case TASKHOST_AGAIN:
      if (may_be_pending) {
        cell_.wake(true);
        return Status::pending;
      }
      break;
    case TASKHOST_ERROR:
      if (cell_.failure().empty()) {
        host_.findings().note(rule, std::string("silent ") + function,
                              std::string(function) + " returned TASKHOST_ERROR without calling fail to say why");
      }
      return Status::error;
    case TASKHOST_PANIC:
      return Status::panic;
    default:
      break;
  }
  host_.findings().broken(rule, std::string("nonsense ") + function,
                          std::string(function) + " returned " +
                              (result == TASKHOST_PENDING ? "TASKHOST_PENDING" : std::to_string(result)) +
                              ", which is not a valid result there");
  cell_.fail(std::string(function) + " returned " + std::to_string(result));
  return Status::error;
}

Status DrivenExecution::start() {
  const std::int32_t result = call(
      Phase::start, [&] { return factory_.start != nullptr ? factory_.start(state_.get(), &cell_) : TASKHOST_OK; });
  const Status outcome = outcome_of(result, "start", "3.1", false);
  is_started_ = outcome == Status::ok;
  if (is_started_) {
    ++host_.progress().alive;
  } else {
    end();
    state_.wall();
  }
  return outcome;
}

Status DrivenExecution::poll() {
  ++polls_;
  cell_.begin_poll();
  if (!ended_) {
    const Status outcome =
        outcome_of(call(Phase::poll, [&] { return factory_.poll(state_.get(), &cell_); }), "poll", "3.2", true);
    if (outcome == Status::pending) return pending();
    if (factory_.finish == nullptr) return outcome;
    ended_ = outcome;
  }
  if (!has_finished(call(Phase::finish, [&] { return factory_.finish(state_.get(), &cell_); }))) return pending();
  is_finished_ = true;
  return *std::exchange(ended_, std::nullopt);
}

bool DrivenExecution::has_finished(std::int32_t result) {
  if (result == TASKHOST_AGAIN) cell_.wake(true);
  if (result == TASKHOST_PENDING || result == TASKHOST_AGAIN) return false;
  if (result != TASKHOST_OK && result != TASKHOST_PANIC) {  // a panic is told already
    host_.findings().broken("3.15", "nonsense finish",
                            "finish returned " + std::to_string(result) + ", which is not a valid result there");
  }
  return true;
}

Status DrivenExecution::pending() {
  for (const int descriptor : cell_.closed_descriptors()) {
    host_.findings().broken("4.5", "closed watched fd",
                            "descriptor " + std::to_string(descriptor) +
                                " was closed while it was watched; first call watch with 0 interests");
  }
  if (!cell_.is_anything_arranged()) {
    host_.findings().note(
        "3.11", "nothing arranged",
        "a poll returned TASKHOST_PENDING with nothing arranged that could wake it: from then on only the stop does. "
        "That is right for a task that waits for the stop; any other asks for a wake first (wake_after, watch, "
        "offload, or "
        "its waker)");
  }
  return Status::pending;
}

Status DrivenExecution::run() {
  return outcome_of(call(Phase::run, [&] { return factory_.run(state_.get(), &cell_); }), "run", "3.3", false);
}

void DrivenExecution::drop() {
  if (!is_started_ || is_dropped_) return;
  is_dropped_ = true;
  cell_.begin_drop();
  if (factory_.drop != nullptr) {
    call(Phase::drop, [&]() -> std::int32_t {
      factory_.drop(state_.get(), &cell_);
      return TASKHOST_OK;
    });
  }
  --host_.progress().alive;
  end();
  state_.wall();
}

void DrivenExecution::request_stop() {
  host_.progress().stop_began = Progress::steady_time();
  host_.progress().stop_requested = true;
  cell_.request_stop();
}

}  // namespace taskhost::verify
