// The host as a plugin under test sees it: the services under full control of a test, with checks of how each is used.
// Its clock is the real one plus a skew: if an execution sleeps on its timer and nothing else wakes it, the clock
// jumps, so that an hour's sleep takes a millisecond, and threads that wake in real time still work.
//
// One per process, since a waker and the clock come without an exec. Created before the plugin is loaded, and never
// destroyed: a plugin's threads may call it until the end of the process.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "plugin/config_values.hpp"
#include "taskhost/plugin.h"
#include "verify/findings.hpp"
#include "verify/progress.hpp"
#include "verify/state_block.hpp"

namespace taskhost::verify {

using std::chrono::nanoseconds;

class SimulatedHost;

// What ended a rest, as bits.
enum Cause : unsigned { by_stop = 1, by_wake = 2, by_time = 4, by_timer = 8, by_descriptor = 16, by_signal = 32 };

// One execution as its plugin sees it: what `exec` points to. Type-stable: a dead one is only reused after many others,
// and until then late calls for it are noticed.
class Cell : public taskhost_exec {
 public:
  explicit Cell(SimulatedHost& host, unsigned index);
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  // Called by the test, between the execution's calls. `number` counts from 1.
  void reserve() noexcept { alive_ = true; }
  void begin(std::uint64_t number, bool is_blocking, OwnTexts& texts);
  void begin_check(OwnTexts& texts);  // stands for the exec of a check, behind which there is no execution
  bool is_check() const noexcept { return is_check_; }
  void begin_drop();  // forgets what the execution asked for
  void end();
  bool is_alive() const noexcept { return alive_; }

  // Sleeps until a wake, `time`, or the stop, but no longer than `patience` in real time. Returns the causes as bits, 0
  // if there were none. `late`: by how much a timer is late. Clears what it reports, except for the stop of a blocking
  // execution.
  unsigned rest(std::uint64_t time, nanoseconds patience, nanoseconds late = nanoseconds(0));

  // Whether anything but a stop may wake it.
  bool is_anything_arranged();
  bool has_timer();
  // Whether nothing but its timer wakes it, and that not before `time`.
  bool sleeps_until(std::uint64_t time);
  // Whether nothing but its waker may wake it, if something holds that.
  bool has_only_its_waker();
  // Whether there is nothing to wait for: it asked for its next poll itself, in the previous poll, and nothing else has
  // come.
  bool asked_for_itself_only();
  void begin_poll();
  // Whether the clock has jumped since it began, and it has waited for what takes real time, a descriptor, offloaded
  // work or another's wake: then a timeout of its own may be over only because of the jump.
  bool may_have_timed_out() const noexcept;
  // Descriptors that are being waited for although they were closed or replaced by another.
  std::vector<int> closed_descriptors();
  // What the system says of the watched descriptors that are ready: the same, as long as nobody reads them.
  std::string readiness();

  taskhost_waker waker() const noexcept;
  void wake(bool by_itself);
  void request_stop();
  bool stop_requested() const noexcept { return stop_; }
  bool is_blocking() const noexcept { return is_blocking_; }
  // Sends one of the signals that it subscribed to; false if there is none.
  bool send_signal();
  // The stop comes in the midst of a call, when that calls its `calls`-th service from now on.
  void stop_at_call(unsigned calls) noexcept { calls_before_stop_ = calls; }
  // Whether a blocking one has called wait or wait_fd, or looked for the stop.
  bool has_looked() const noexcept { return waits_ > 0; }
  // Whether a blocking one has called wait or wait_fd, or looked for the stop again.
  bool has_waited() const noexcept { return waits_ > 1; }

  SimulatedHost& host() const noexcept { return *host_; }
  std::uint64_t number() const noexcept { return number_; }
  std::uint64_t generation() const noexcept { return generation_; }
  std::string failure();
  std::uint64_t logs() const noexcept { return logs_; }

  // For the services.
  OwnTexts& texts() const noexcept { return *texts_; }
  void fail(std::string_view text);
  void count_log() noexcept { ++logs_; }
  void be_ready() noexcept;  // only the first time counts
  void count_call() noexcept {
    if (calls_before_stop_ != 0 && --calls_before_stop_ == 0) request_stop();
  }
  void count_wait(unsigned weight) noexcept { waits_ += weight; }
  void give_waker() noexcept { waker_given_ = true; }
  void set_timer(std::uint64_t time);
  std::int32_t watch(int descriptor, std::uint32_t interests, std::uint64_t tag);
  std::size_t take_ready(taskhost_ready* list, std::size_t capacity);
  void offload(const taskhost_work& work);
  int bell() const noexcept { return bell_; }  // readable while wait would return for a wake or the stop
  bool subscribe(std::uint32_t signals);
  std::uint32_t take_signals();

 private:
  struct Watch {
    int descriptor;
    int duplicate;
    std::uint32_t interests;
    std::uint64_t tag;
  };
  struct Offloaded {
    taskhost_work work;
    std::thread thread;
    bool is_done = false;
    bool is_told = false;
  };
  void ring() noexcept;
  unsigned take_causes(std::uint64_t time, std::uint64_t late);
  unsigned wait_for_descriptors(nanoseconds timeout);
  void forget_watches();
  void end_offloads();
  bool has_work_going_on();
  bool is_work_going_on() const;
  void wake_locked(bool by_itself);
  bool waits_for_a_descriptor();

  SimulatedHost* host_;
  const unsigned index_;
  const int bell_;  // an eventfd
  std::atomic<bool> alive_{false};
  std::atomic<bool> stop_{false};
  std::atomic<bool> is_ready_{false};
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::uint64_t> number_{0};
  std::atomic<std::uint64_t> logs_{0};
  std::atomic<bool> waker_given_{false};
  std::atomic<bool> is_check_{false};
  std::atomic<bool> waits_for_others_{false};
  std::atomic<unsigned> jumps_before_{0};
  std::atomic<unsigned> calls_before_stop_{0};
  std::atomic<unsigned> waits_{0};
  std::atomic<OwnTexts*> texts_{nullptr};

  std::mutex mutex_;  // protects what follows
  bool woken_ = false;
  bool woken_by_others_ = false;
  bool is_blocking_ = false;
  bool stop_told_ = false;
  std::uint64_t timer_ = TASKHOST_NEVER;
  bool timer_was_due_ = false;  // when it was set
  std::vector<Watch> watches_;
  std::deque<Offloaded> offloaded_;
  std::uint32_t signals_wanted_ = 0;
  std::uint32_t signals_come_ = 0;
  std::string failure_;
};

// What a manifest says of the task whose executions are tested.
struct SimulatedTask {
  std::string config;  // JSON text
  std::string name;
  std::string directory;  // the manifest's
  bool has_secrets = false;
};

class SimulatedHost {
 public:
  // Wakers and the clock belong to the first one created.
  SimulatedHost(Progress& progress, SimulatedTask task, std::function<void(const Finding&)> on_finding);
  SimulatedHost(const SimulatedHost&) = delete;
  SimulatedHost& operator=(const SimulatedHost&) = delete;

  static SimulatedHost* current() noexcept;

  std::uint64_t now() const noexcept;
  void advance_to(std::uint64_t time) noexcept;
  void advance_by(nanoseconds time) noexcept { jump_to(now() + static_cast<std::uint64_t>(time.count()), false); }

  // How long an execution with a timer waits for something else before the clock jumps: less, once it has jumped often
  // enough to show that nothing else comes. Longer if it waits for what may still come in real time, a descriptor or
  // offloaded work: several times as long as the slowest of these has taken so far.
  nanoseconds grace(bool waits_for_others) const noexcept;
  void note_answer(nanoseconds taken) noexcept;  // of a descriptor or offloaded work that came
  void jump_to(std::uint64_t time, bool over_others) noexcept;
  void set_longest_grace(nanoseconds longest) noexcept { longest_grace_ = longest.count(); }
  void jump_at_once() noexcept { jumps_at_once_ = true; }
  bool jump_never() noexcept { return jumps_never_.exchange(true); }  // returns whether it did not before, either
  void jump_again() noexcept { jumps_never_ = false; }
  unsigned jumps() const noexcept { return jumps_; }

  Cell& claim();
  Cell* cell_of(const taskhost_exec* exec) noexcept;
  bool owns(const void* address) const noexcept;       // it lies in what an exec points to
  pid_t process() const noexcept { return process_; }  // that created this
  // Does not return in a child of the plugin's that has left the function in which it was forked: the test is not its
  // own.
  void end_returned_child() noexcept;
  void wake(taskhost_waker waker);

  const std::string& config() const noexcept { return *config_; }
  const ConfigValues& config_values() const noexcept { return *values_; }
  // For executions that begin from now on; earlier ones stay valid, and cost nothing when they come again.
  void set_config(std::string config);
  // A config for a verdict; if it may have secrets, words that stand for it.
  std::string config_words(const std::string& config) const;
  const std::string& task_name() const noexcept { return task_name_; }
  // Stands for the manifest's directory: the working directory when this was created.
  const std::string& directory() const noexcept { return directory_; }
  Progress& progress() noexcept { return progress_; }
  Findings& findings() noexcept { return findings_; }

  // Whether the library is marked to stay loaded: its runtime may change more than others.
  bool brings_runtime() const noexcept { return brings_runtime_; }
  void set_brings_runtime(bool brings) noexcept { brings_runtime_ = brings; }

  // Counts calls of a function, and slow ones. Whether at least three have been slow, and most have.
  void count_call(Phase phase) noexcept { ++calls_[static_cast<std::size_t>(phase)]; }
  bool count_slow_call(Phase phase) noexcept {
    const auto index = static_cast<std::size_t>(phase);
    return ++slow_calls_[index] >= 3 && 2 * slow_calls_[index] >= calls_[index];
  }

  // Executions that have said that they are ready.
  std::uint64_t ready_executions() const noexcept { return ready_executions_; }
  void count_ready() noexcept { ++ready_executions_; }

  // Bytes that polls have sent, received, written or read leave no trace in memory: how often that was.
  std::uint64_t transfers() const noexcept { return transfers_; }
  void count_transfer() noexcept { ++transfers_; }

  // Wakes for executions that have ended.
  std::uint64_t stale_wakes() const noexcept { return stale_wakes_; }

  // Whether the kernel can wait for the descriptor.
  bool can_wait_for(int descriptor) const noexcept;

 private:
  Progress& progress_;
  std::map<std::string, std::unique_ptr<ConfigValues>> configs_;  // each that has been used
  const std::string* config_ = nullptr;
  const ConfigValues* values_ = nullptr;
  const std::string task_name_;
  const std::string directory_;
  Findings findings_;
  const bool has_secrets_;
  std::deque<Cell> cells_;
  std::mutex claim_mutex_;
  std::size_t next_cell_ = 0;
  std::atomic<std::uint64_t> skew_{0};
  std::atomic<unsigned> jumps_{0};
  std::atomic<unsigned> jumps_over_others_{0};
  std::atomic<std::int64_t> slowest_answer_{0};           // nanoseconds
  std::atomic<std::int64_t> longest_grace_{100'000'000};  //
  std::atomic<bool> jumps_at_once_{false};
  std::array<std::atomic<unsigned>, static_cast<std::size_t>(Phase::work) + 1> calls_{};
  std::array<std::atomic<unsigned>, static_cast<std::size_t>(Phase::work) + 1> slow_calls_{};
  std::atomic<bool> jumps_never_{false};
  std::atomic<bool> brings_runtime_{false};
  std::atomic<std::uint64_t> ready_executions_{0};
  std::atomic<std::uint64_t> stale_wakes_{0};
  std::atomic<std::uint64_t> transfers_{0};
  const int epoll_;
  const pid_t process_;
};

// The call of a plugin's function that the calling thread is in.
struct CurrentCall {
  Cell* cell = nullptr;
  Phase phase = Phase::none;
};
CurrentCall& current_call() noexcept;
// Sets it, as long as this object exists.
struct CallMark {
  CallMark(Cell* cell, Phase phase) { current_call() = {cell, phase}; }
  ~CallMark() { current_call() = {}; }
  CallMark(const CallMark&) = delete;
  CallMark& operator=(const CallMark&) = delete;
};

extern const taskhost_services simulated_services;

}  // namespace taskhost::verify
