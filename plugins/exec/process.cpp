#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <vector>

namespace exec {

namespace {

constexpr int kill_patience_ms = 50;  // what a drop may take, at most

const auto pidfd_type = static_cast<idtype_t>(3);  // P_PIDFD, which glibc has from 2.36 on

struct Found {
  bool is_ours = false;  // nobody else has waited for it
  siginfo_t end{};       // si_pid is 0 as long as it runs
};

Found look_at(const Descriptor& process, int options) noexcept {
  Found found;
  found.is_ours = ::waitid(pidfd_type, static_cast<id_t>(process.get()), &found.end, WEXITED | WNOHANG | options) == 0;
  return found;
}

// What has been killed and did not end in time: in the middle of a core dump, or in a call that can't be interrupted.
class Remains {
 public:
  void keep(Descriptor process) {
    const std::lock_guard lock(mutex_);
    processes_.push_back(std::move(process));
  }
  void reap() {
    const std::lock_guard lock(mutex_);
    std::erase_if(processes_, [](const Descriptor& process) {
      const Found found = look_at(process, 0);
      return !found.is_ours || found.end.si_pid != 0;
    });
  }

 private:
  std::mutex mutex_;
  std::vector<Descriptor> processes_;
};
Remains& remains() {
  static Remains all;
  return all;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// This process leads a session, in which nobody has a terminal: an isolated task's, or a service's. Programs stay in
// it, and can be found by it however this process ends. In any other, Ctrl-C and the end of a terminal would reach
// them.
bool leads_session() noexcept {
  if (::getsid(0) != ::getpid()) return false;
  return !Descriptor(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC)).is_open();
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
    const int group = leads_session() ? POSIX_SPAWN_SETPGROUP : POSIX_SPAWN_SETSID;
    ::posix_spawnattr_setflags(&value_, static_cast<short>(group | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
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
  SpawnActions(const std::string& directory, const Descriptor& output, const Descriptor& errors) {
    ::posix_spawn_file_actions_init(&value_);
    ::posix_spawn_file_actions_addopen(&value_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&value_, output.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&value_, errors.get(), STDERR_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&value_, STDERR_FILENO + 1);
    ::posix_spawn_file_actions_addchdir_np(&value_, directory.c_str());
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&value_); }
  const posix_spawn_file_actions_t* get() const noexcept { return &value_; }

 private:
  posix_spawn_file_actions_t value_{};
};

std::string words_of(int error, const std::string& program) {
  std::string words = std::generic_category().message(error);
  if (error == ENOENT && ::access(program.c_str(), F_OK) == 0) {
    words +=
        ": not the program, but the interpreter in its first line (does it end in a carriage return?), or its loader";
  }
  if (error == ETXTBSY) words += ": somebody has it open for writing; move a new version in place of the old one";
  if (error == E2BIG) words += ": its arguments and its environment are too long";
  if (error == ENOEXEC) words += ": neither a program for this machine, nor a script that begins with #!";
  if (error == EAGAIN) {
    words += ": the limit of processes (ulimit -u, TasksMax= of the service, the task's limits.processes) is reached";
  }
  return words;
}

}  // namespace

std::string End::words() const {
  if (is_status_lost) {
    return "ended, and its status is lost: something in this process ignores SIGCHLD, or waits for any child";
  }
  if (signal == 0) return "ended with status " + std::to_string(status);
  const char* const name = ::sigabbrev_np(signal);
  return "killed by " + (name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signal)) +
         (has_core ? " (core dumped)" : "");
}

Process::Process(const Settings& settings, const Descriptor& output, const Descriptor& errors) {
  remains().reap();
  const SpawnAttributes attributes;
  const SpawnActions actions(settings.directory, output, errors);
  const int error = ::posix_spawn(&id_, settings.program.c_str(), actions.get(), attributes.get(),
                                  pointers_to(settings.arguments).data(), pointers_to(settings.environment).data());
  if (error != 0) {
    throw taskhost::sdk::Failure("can't start " + settings.program + ": " + words_of(error, settings.program));
  }
  descriptor_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, id_, 0)));
  if (descriptor_.is_open()) return;
  const int reason = errno;
  ::kill(-id_, SIGKILL);
  ::waitpid(id_, nullptr, 0);
  errno = reason;
  throw system_failure("can't watch " + settings.program);
}

Process::~Process() {
  // As long as it is not reaped, the group's number is nobody else's.
  if (is_over_ || !look_at(descriptor_, WNOWAIT).is_ours) return;
  ::kill(-id_, SIGKILL);
  pollfd ended{.fd = descriptor_.get(), .events = POLLIN, .revents = 0};
  ::poll(&ended, 1, kill_patience_ms);
  const Found found = look_at(descriptor_, 0);
  if (found.is_ours && found.end.si_pid == 0) remains().keep(std::move(descriptor_));
}

int Process::send(int signal) const noexcept {
  const long result = ::syscall(SYS_pidfd_send_signal, descriptor_.get(), signal, nullptr, 0);
  const int error = result == 0 ? 0 : errno;
  ::syscall(SYS_pidfd_send_signal, descriptor_.get(), SIGCONT, nullptr, 0);  // one that is stopped hears no other
  return error;
}

bool Process::take_end(End& end) {
  pollfd ended{.fd = descriptor_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, 0) != 1) return false;
  const Found found = look_at(descriptor_, WNOWAIT);
  is_held_ = found.is_ours && found.end.si_pid == 0;
  if (is_held_) return false;
  is_over_ = true;
  if (!found.is_ours) {
    end.is_status_lost = true;
    return true;
  }
  ::kill(-id_, SIGKILL);  // before it is reaped
  look_at(descriptor_, 0);
  (found.end.si_code == CLD_EXITED ? end.status : end.signal) = found.end.si_status;
  end.has_core = found.end.si_code == CLD_DUMPED;
  return true;
}

}  // namespace exec
