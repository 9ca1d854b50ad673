// The host as a plugin under test sees it: the services under full control of a test, with checks of how each is used.
// Its clock is the real one plus a skew: if an execution sleeps on its timer and nothing else wakes it, the clock
// jumps, so that an hour's sleep takes a millisecond, and threads that wake in real time still work.
//
// One per process, since a waker and the clock come without an exec. Created before the plugin is loaded, and never
// destroyed: a plugin's threads may call it until the end of the process.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "plugin/config_values.hpp"
#include "taskhost/plugin.h"
#include "verify/findings.hpp"
#include "verify/progress.hpp"

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
  void begin(std::uint64_t number, bool is_blocking);
  void begin_drop();  // forgets what the execution asked for
  void end();
  bool is_alive() const noexcept { return alive_; }

  // Sleeps until a wake, `time`, or the stop, but no longer than `patience` in real time. Returns the causes as bits, 0
  // if there were none. `late`: by how much a timer is late. Clears what it reports, except for the stop of a blocking
  // execution.
  unsigned rest(std::uint64_t time, nanoseconds patience, nanoseconds late = nanoseconds(0));

  // Whether anything but a stop may wake it.
  bool is_anything_arranged();
  // Whether there is nothing to wait for: it asked for its next poll itself, in the previous poll, and nothing else has
  // come.
  bool asked_for_itself_only();
  void begin_poll();
  // Descriptors that are being waited for although they were closed or replaced by another.
  std::vector<int> closed_descriptors();

  taskhost_waker waker() const noexcept;
  void wake(bool by_itself);
  void request_stop();
  bool stop_requested() const noexcept { return stop_; }
  bool is_blocking() const noexcept { return is_blocking_; }
  // Sends one of the signals that it subscribed to; false if there is none.
  bool send_signal();

  SimulatedHost& host() const noexcept { return *host_; }
  std::uint64_t number() const noexcept { return number_; }
  std::uint64_t generation() const noexcept { return generation_; }
  std::string failure();
  std::uint64_t logs() const noexcept { return logs_; }

  // For the services.
  void fail(std::string text);
  void count_log() noexcept { ++logs_; }
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

  SimulatedHost* host_;
  const unsigned index_;
  const int bell_;  // an eventfd
  std::atomic<bool> alive_{false};
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::uint64_t> number_{0};
  std::atomic<std::uint64_t> logs_{0};
  std::atomic<bool> waker_given_{false};

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

class SimulatedHost {
 public:
  // `config`: JSON text. Wakers and the clock belong to the first one created.
  SimulatedHost(Progress& progress, std::string config, std::string task_name,
                std::function<void(const Finding&)> on_finding);
  SimulatedHost(const SimulatedHost&) = delete;
  SimulatedHost& operator=(const SimulatedHost&) = delete;

  static SimulatedHost* current() noexcept;

  std::uint64_t now() const noexcept;
  void advance_to(std::uint64_t time) noexcept;
  void advance_by(nanoseconds time) noexcept { advance_to(now() + static_cast<std::uint64_t>(time.count())); }

  // How long an execution with a timer waits for something else before the clock jumps: less, once it has jumped often
  // enough to show that nothing else comes.
  nanoseconds grace() const noexcept;
  void jump_to(std::uint64_t time) noexcept;
  void jump_at_once() noexcept { jumps_at_once_ = true; }

  // Offloaded work takes real time. While there is some, the clock does not jump: otherwise the time limit that a task
  // sets for it would be over before it could end.
  void begin_work() noexcept { ++works_; }
  void end_work() noexcept { --works_; }
  bool is_work_going_on() const noexcept { return works_ > 0; }

  Cell& claim();
  Cell* cell_of(const taskhost_exec* exec) noexcept;
  void wake(taskhost_waker waker);

  const std::string& config() const noexcept { return *config_; }
  const ConfigValues& config_values() const noexcept { return *values_; }
  // For executions that begin from now on; the old one stays valid.
  void set_config(std::string config);
  const std::string& task_name() const noexcept { return task_name_; }
  // Stands for the manifest's directory: the working directory when this was created.
  const std::string& directory() const noexcept { return directory_; }
  Progress& progress() noexcept { return progress_; }
  Findings& findings() noexcept { return findings_; }

  // Wakes for executions that have ended.
  std::uint64_t stale_wakes() const noexcept { return stale_wakes_; }

  // Whether the kernel can wait for the descriptor.
  bool can_wait_for(int descriptor) const noexcept;

 private:
  Progress& progress_;
  std::deque<std::unique_ptr<std::string>> configs_;
  std::deque<std::unique_ptr<ConfigValues>> values_kept_;
  const std::string* config_ = nullptr;
  const ConfigValues* values_ = nullptr;
  const std::string task_name_;
  const std::string directory_;
  Findings findings_;
  std::deque<Cell> cells_;
  std::mutex claim_mutex_;
  std::size_t next_cell_ = 0;
  std::atomic<std::uint64_t> skew_{0};
  std::atomic<unsigned> jumps_{0};
  std::atomic<bool> jumps_at_once_{false};
  std::atomic<unsigned> works_{0};
  std::atomic<std::uint64_t> stale_wakes_{0};
  const int epoll_;
};

// The call of a plugin's function that the calling thread is in.
struct CurrentCall {
  Cell* cell = nullptr;
  Phase phase = Phase::none;
};
CurrentCall& current_call() noexcept;

extern const taskhost_services simulated_services;

}  // namespace taskhost::verify
