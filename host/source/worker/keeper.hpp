// Starts workers, and buries them: a thread of its own, so that no shard waits for either. It lives as long as the
// host: workers are killed by the kernel if the thread that started them ends.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "taskhost/core/wake_port.hpp"
#include "worker/descriptor.hpp"
#include "worker/sessions.hpp"

namespace taskhost {

// A worker that is to be started, or has been. Shared by who wants it and the keeper.
struct WorkerProcess {
  bool is_counted = false;  // its user's processes are limited: what was killed counts until it is gone

  // Of the worker: its end of the channel, its stdout and stderr. Closed once it is there, or will never be.
  Descriptor channel{};
  Descriptor output{};
  Descriptor errors{};

  std::atomic<bool> is_settled{false};  // from here on, the rest is valid:
  std::string problem{};                // why it could not be started; empty: it was
  pid_t id = -1;                        // and of its process group
  Descriptor ended{};                   // a pidfd: readable once it has ended

  bool is_reaped = false;  // its end was taken: by who looks after it; or by the keeper, once it is buried
  std::chrono::steady_clock::time_point session_is_awaited_until{};
};

// How a process ended.
struct WorkerEnd {
  int status = 0;               // if it exited
  int signal = 0;               // that killed it; 0 if it exited
  bool has_core = false;        // it left a core dump
  bool is_status_lost = false;  // something in this process ignores SIGCHLD, or has waited for it

  std::string words() const;  // "killed by SIGSEGV (core dumped)", "ended the process with status 3"
};

// Whether it has ended, though a debugger may hold it, so that its end can't be taken yet. Any thread.
bool has_ended(const WorkerProcess& process) noexcept;

// Where the worker of this library is: beside it, as its plugins are; or what $TASKHOST_WORKER names.
std::filesystem::path worker_program();

class WorkerKeeper {
 public:
  WorkerKeeper() : program_(worker_program()) {}
  // Kills what it has started and still lives, and waits for a moment.
  ~WorkerKeeper();
  WorkerKeeper(const WorkerKeeper&) = delete;
  WorkerKeeper& operator=(const WorkerKeeper&) = delete;

  // Has it started soon, unless it has been; then wakes `who`. One whose processes are counted waits for the sessions
  // of those before it, for at most three seconds. Any thread. Throws std::system_error if there is no thread for it.
  void start(std::shared_ptr<WorkerProcess> process, Waker who);
  // The same, and waits for it.
  void start_now(const std::shared_ptr<WorkerProcess>& process);
  // Kills it with all that it has started and is of its session. It was started. Any thread.
  void kill(const WorkerProcess& process) const noexcept;
  // Takes the end of one that has ended: kills what is left of its session, and reaps it. Nothing: it still runs, or a
  // debugger holds it. To be called until it returns one, then no more. Any thread.
  std::optional<WorkerEnd> take_end(const WorkerProcess& process) const;
  // Kills it as kill() does, and reaps it, unless its end was taken. Nobody else looks at it any more. Any thread.
  void bury(std::shared_ptr<WorkerProcess> process) noexcept;

 private:
  struct Wanted {
    std::shared_ptr<WorkerProcess> process;
    Waker who;
  };

  void need_thread();
  bool kill_for_good(WorkerProcess& process) const noexcept;
  void work();
  void settle(const Wanted& one);
  void spawn(WorkerProcess& process) const;

  const std::filesystem::path program_;
  std::mutex mutex_;
  std::condition_variable settled_;
  std::vector<Wanted> wanted_;
  std::vector<std::shared_ptr<WorkerProcess>> dying_;  // to be killed
  bool is_over_ = false;
  std::optional<std::thread> thread_;
  Descriptor poke_;                   // an eventfd
  std::optional<Sessions> sessions_;  // with the thread
};

}  // namespace taskhost
