#include "program/init_process.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "system/last_words.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

// The status as shells report it.
int status_of_end(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

// For crashes, too: their own last words name the task, but a stack overflow in a plugin's thread has none.
void tell_of_signal(int number) {
  std::array<char, 160> line;
  const int size = std::snprintf(
      line.data(), line.size(), "the host was ended by signal %d, status %d%s", number, 128 + number,
      number == SIGKILL ? "; if nobody sent this SIGKILL, memory was short: see dmesg, and memory.max" : "");
  last_words({line.data(), static_cast<std::size_t>(size)});
}

// Keeps the sender, which the host's log names.
void pass_on(pid_t child, siginfo_t info) {
  // A terminal signals the foreground group, which includes the child. Only a hangup goes to nobody but the session
  // leader.
  if (info.si_code == SI_KERNEL && info.si_signo != SIGHUP) return;
  if (info.si_code >= 0) info.si_code = SI_QUEUE;  // the only kind that may be sent in another's name
  if (::syscall(SYS_rt_sigqueueinfo, child, info.si_signo, &info) != 0) ::kill(child, info.si_signo);
}

[[noreturn]] void serve(pid_t child, const sigset_t& all) {
  ::prctl(PR_SET_NAME, "th-init");
  while (true) {
    int status = 0;
    for (pid_t ended = 0; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (ended != child) continue;
      if (WIFSIGNALED(status)) tell_of_signal(WTERMSIG(status));
      ::_exit(status_of_end(status));  // the kernel ends the processes that are left
    }
    siginfo_t info{};
    const int number = ::sigwaitinfo(&all, &info);
    if (number > 0 && number != SIGCHLD) pass_on(child, info);
  }
}

}  // namespace

void leave_first_process() {
  if (::getpid() != 1) return;
  sigset_t all;
  sigset_t inherited;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &inherited);
  // With SIGCHLD ignored, statuses would be lost.
  struct sigaction default_action {};
  struct sigaction of_children {};
  default_action.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &default_action, &of_children);
  const pid_t child = ::fork();
  if (child > 0) serve(child, all);
  if (child < 0) {
    const int error = errno;
    std::fprintf(stderr,
                 "taskhost: as PID 1 it needs a second process: fork: %s; raise ulimit -u or the cgroup's pids.max, or "
                 "run it under an init\n",
                 std::generic_category().message(error).c_str());
    ::_exit(TASKHOST_RESULT_SYSTEM);
  }
  ::sigaction(SIGCHLD, &of_children, nullptr);
  // "The main process": from now on, that is this one.
  if (const char* const watched = std::getenv("WATCHDOG_PID"); watched != nullptr && std::string_view(watched) == "1") {
    ::unsetenv("WATCHDOG_PID");  // NOLINT(concurrency-mt-unsafe): this is the only thread
  }
  ::pthread_sigmask(SIG_SETMASK, &inherited, nullptr);
}

}  // namespace taskhost
