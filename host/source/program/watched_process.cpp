#include "program/watched_process.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <new>
#include <string>

#include "system/last_words.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

constexpr int not_told = -1;
std::atomic<int>* told_status = nullptr;  // shared with the parent
pid_t working_process = 0;

[[noreturn]] void end_as(int signal) {
  const rlimit no_core{0, 0};  // the child has left one
  ::setrlimit(RLIMIT_CORE, &no_core);
  std::signal(signal, SIG_DFL);
  sigset_t all;
  ::sigemptyset(&all);
  ::sigaddset(&all, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &all, nullptr);
  ::raise(signal);
  ::_exit(128 + signal);
}

[[noreturn]] void watch(pid_t child, const char* what) {
  ::prctl(PR_SET_NAME, "th-watch");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) end_as(WTERMSIG(status));
  if (*told_status != not_told) ::_exit(*told_status);
  const int its = WEXITSTATUS(status);
  // Those that the host ends with after a line about it.
  if (its == TASKHOST_RESULT_BAD_PLUGIN || its == TASKHOST_RESULT_SYSTEM) ::_exit(its);
  last_words("a plugin ended the process with status " + std::to_string(its) +
             ", by _exit or the end of its last thread, while it was loaded or in its check (rules 1.3, 3.8): the " +
             what + " is not done; taskhost verify PLUGIN says of each one whether it does that");
  ::_exit(TASKHOST_RESULT_BAD_PLUGIN);
}

}  // namespace

void continue_in_watched_process(const char* what) {
  void* const shared =
      ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return;
  told_status = new (shared) std::atomic<int>(not_told);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child > 0) watch(child, what);
  if (child < 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(TASKHOST_RESULT_SYSTEM);
  working_process = ::getpid();
}

void tell_watcher(int status) noexcept {
  if (told_status != nullptr && ::getpid() == working_process) *told_status = status;
}

}  // namespace taskhost
