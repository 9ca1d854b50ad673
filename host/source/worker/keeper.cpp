#include "worker/keeper.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <system_error>

#include "taskhost/core/execution.hpp"
#include "taskhost/core/system_failure.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr int channel_place = 3;                     // the worker's descriptor of its channel
constexpr std::chrono::seconds burial_patience{1};   // for killed workers, when the host ends
constexpr std::chrono::seconds session_patience{3};  // for what was killed with a worker, and counts: init may be slow
constexpr int session_interval_ms = 2;               // between looks at that
constexpr int held_interval_ms = 100;                // and at what a debugger holds

const auto pidfd_type = static_cast<idtype_t>(3);  // P_PIDFD, which glibc has from 2.36 on

struct Found {
  bool is_ours = false;  // nobody else has waited for it
  siginfo_t end{};       // si_pid is 0 as long as it runs
};

Found look_at(const WorkerProcess& process, int options) noexcept {
  Found found;
  const auto id = static_cast<id_t>(process.ended.get());
  found.is_ours = ::waitid(pidfd_type, id, &found.end, WEXITED | WNOHANG | options) == 0;
  return found;
}

class SpawnAttributes {
 public:
  SpawnAttributes() {
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_init(&value_);
    ::posix_spawnattr_setsigmask(&value_, &none);
    ::posix_spawnattr_setsigdefault(&value_, &all);
    ::posix_spawnattr_setflags(&value_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&value_); }
  const posix_spawnattr_t* get() const noexcept { return &value_; }

 private:
  posix_spawnattr_t value_{};
};

class SpawnActions {
 public:
  explicit SpawnActions(const WorkerProcess& process) {
    ::posix_spawn_file_actions_init(&value_);
    ::posix_spawn_file_actions_addopen(&value_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&value_, process.output.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&value_, process.errors.get(), STDERR_FILENO);
    ::posix_spawn_file_actions_adddup2(&value_, process.channel.get(), channel_place);
    ::posix_spawn_file_actions_addclosefrom_np(&value_, channel_place + 1);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&value_); }
  const posix_spawn_file_actions_t* get() const noexcept { return &value_; }

 private:
  posix_spawn_file_actions_t value_{};
};

std::string refusal_of(int error, const std::filesystem::path& program) {
  std::string words =
      "can't start the worker " + quoted_path(program.native()) + ": " + std::generic_category().message(error);
  if (error == ENOENT) words += "; install it beside the library, or name it in $TASKHOST_WORKER";
  if (error == EAGAIN) words += ": the limit of processes (ulimit -u, TasksMax= of the service) is reached";
  return words;
}

}  // namespace

std::string WorkerEnd::words() const {
  if (is_status_lost) {
    return "ended, and its status is lost: something in this process ignores SIGCHLD, or waits for any child";
  }
  if (signal == 0) return "ended the process with status " + std::to_string(status);
  const char* const name = ::sigabbrev_np(signal);
  return "killed by " + (name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signal)) +
         (has_core ? " (core dumped)" : "");
}

bool has_ended(const WorkerProcess& process) noexcept {
  pollfd ended{.fd = process.ended.get(), .events = POLLIN, .revents = 0};
  const int count = ::poll(&ended, 1, 0);
  if (count >= 0 || errno != EINVAL) return count == 1;
  const Found found = look_at(process, WNOWAIT);  // a task has set RLIMIT_NOFILE to 0
  return !found.is_ours || found.end.si_pid != 0;
}

void WorkerKeeper::kill(const WorkerProcess& process) const noexcept {
  const bool is_reaped = ::syscall(SYS_pidfd_send_signal, process.ended.get(), SIGKILL, nullptr, 0) != 0;
  // By somebody else; what is left of its session or group keeps its number from being another's.
  if (is_reaped && ::kill(process.id, 0) == 0) return;
  ::kill(-process.id, SIGKILL);
  sessions_->kill(process.id);
}

std::optional<WorkerEnd> WorkerKeeper::take_end(const WorkerProcess& process) const {
  if (!has_ended(process)) return std::nullopt;
  const Found found = look_at(process, WNOWAIT);
  WorkerEnd end;
  if (found.is_ours && found.end.si_pid == 0) return std::nullopt;
  kill(process);  // before it is reaped
  if (!found.is_ours) {
    end.is_status_lost = true;
    return end;
  }
  look_at(process, 0);
  (found.end.si_code == CLD_EXITED ? end.status : end.signal) = found.end.si_status;
  end.has_core = found.end.si_code == CLD_DUMPED;
  return end;
}

// False: nothing is left to be done.
bool WorkerKeeper::kill_for_good(WorkerProcess& process) const noexcept {
  process.session_is_awaited_until = std::chrono::steady_clock::now() + session_patience;
  if (process.is_reaped) return true;
  if (!process.is_settled.load() || !process.problem.empty()) return false;
  kill(process);
  return look_at(process, WNOWAIT).is_ours;
}

WorkerKeeper::~WorkerKeeper() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  if (!thread_) return;
  ::eventfd_write(poke_.get(), 1);
  thread_->join();
}

void WorkerKeeper::need_thread() {
  if (thread_) return;
  poke_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!poke_.is_open()) throw system_failure(errno, "eventfd");
  sessions_.emplace();
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = new_thread([this] { work(); });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void WorkerKeeper::start(std::shared_ptr<WorkerProcess> process, Waker who) {
  const std::lock_guard lock(mutex_);
  need_thread();
  wanted_.push_back({std::move(process), who});
  ::eventfd_write(poke_.get(), 1);
}

void WorkerKeeper::start_now(const std::shared_ptr<WorkerProcess>& process) {
  start(process, 0);
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [&] { return process->is_settled.load(std::memory_order_acquire); });
}

void WorkerKeeper::bury(std::shared_ptr<WorkerProcess> process) noexcept {
  if (process->is_reaped && !process->is_counted) return;
  const std::lock_guard lock(mutex_);
  try {
    dying_.push_back(std::move(process));
  } catch (const std::bad_alloc&) {
    return;  // it dies with its channel, and leaves a zombie
  }
  ::eventfd_write(poke_.get(), 1);
}

void WorkerKeeper::spawn(WorkerProcess& process) const {
  const SpawnAttributes attributes;
  const SpawnActions actions(process);
  std::string name = program_.native();
  char* const arguments[] = {name.data(), nullptr};
  const int error = ::posix_spawn(&process.id, program_.c_str(), actions.get(), attributes.get(), arguments, ::environ);
  if (error != 0) {
    process.problem = refusal_of(error, program_);
  } else if (process.ended = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, process.id, 0)));
             !process.ended.is_open()) {
    process.problem = "can't watch a worker: " + std::generic_category().message(errno);
    ::kill(-process.id, SIGKILL);
    ::waitpid(process.id, nullptr, 0);
  }
  process.channel.close();
  process.output.close();
  process.errors.close();
}

void WorkerKeeper::work() {
  ::pthread_setname_np(::pthread_self(), "th-workers");
  std::vector<Wanted> wanted;                           // and not started yet
  std::vector<std::shared_ptr<WorkerProcess>> remains;  // have been killed, and are to be reaped, or their sessions are
  std::optional<std::chrono::steady_clock::time_point> give_up;
  for (;;) {
    std::vector<std::shared_ptr<WorkerProcess>> dying;
    {
      const std::lock_guard lock(mutex_);
      std::move(wanted_.begin(), wanted_.end(), std::back_inserter(wanted));
      wanted_.clear();
      dying.swap(dying_);
      if (is_over_ && !give_up) give_up = std::chrono::steady_clock::now() + burial_patience;
    }
    for (std::shared_ptr<WorkerProcess>& one : dying) {
      std::erase_if(wanted, [&one](const Wanted& other) { return other.process == one; });
      if (kill_for_good(*one)) remains.push_back(std::move(one));
    }
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(remains, [&](const auto& one) {
      if (!one->is_reaped) one->is_reaped = take_end(*one).has_value();
      const bool is_awaited = one->is_counted && !give_up && now < one->session_is_awaited_until;
      return one->is_reaped && !(is_awaited && (::kill(-one->id, 0) == 0 || sessions_->has_others(one->id)));
    });
    const bool is_full = std::any_of(remains.begin(), remains.end(), [](const auto& one) { return one->is_counted; });
    std::erase_if(wanted, [&](const Wanted& one) {
      if (one.process->is_counted && is_full) return false;
      settle(one);
      return true;
    });
    if (give_up && (remains.empty() || now >= *give_up)) return;

    // A debugger may hold one that has ended, whose descriptor is readable then.
    std::vector<pollfd> awaited{{.fd = poke_.get(), .events = POLLIN, .revents = 0}};
    int patience = give_up ? 10 : -1;
    for (const auto& one : remains) {
      const int interval = one->is_reaped ? session_interval_ms : has_ended(*one) ? held_interval_ms : -1;
      if (interval < 0) {
        awaited.push_back({.fd = one->ended.get(), .events = POLLIN, .revents = 0});
      } else if (patience < 0 || interval < patience) {
        patience = interval;
      }
    }
    if (::poll(awaited.data(), awaited.size(), patience) < 0) ::poll(nullptr, 0, session_interval_ms);
    eventfd_t pokes = 0;
    ::eventfd_read(poke_.get(), &pokes);
  }
}

void WorkerKeeper::settle(const Wanted& one) {
  if (!one.process->is_settled.load()) {
    spawn(*one.process);
    const std::lock_guard lock(mutex_);
    one.process->is_settled.store(true, std::memory_order_release);
  }
  settled_.notify_all();
  Execution::wake(one.who);
}

std::filesystem::path worker_program() {
  if (const char* const named = ::secure_getenv("TASKHOST_WORKER"); named != nullptr && *named != '\0') return named;
  Dl_info library{};
  if (::dladdr(reinterpret_cast<void*>(&worker_program), &library) == 0) return {};
  std::error_code error;
  const std::filesystem::path file = std::filesystem::canonical(library.dli_fname, error);
  return error ? std::filesystem::path() : file.parent_path() / "taskhost/taskhost-worker";
}

}  // namespace taskhost
