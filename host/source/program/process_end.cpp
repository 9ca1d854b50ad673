#include "program/process_end.hpp"

#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <system_error>

#include "system/emergency_thread.hpp"
#include "system/last_words.hpp"
#include "taskhost/taskhost.h"

// Like at_quick_exit, but not tied to a library: the program's own handlers are removed when its destructors run.
extern "C" int __cxa_at_quick_exit(void (*handler)(void*), void* library);  // NOLINT(readability-identifier-naming)

namespace taskhost {

namespace {

constexpr int patience_s = 5;
constexpr int flush_patience_s = 1;
constexpr int steps_per_s = 10;
bool ready = false;
sem_t leaving;  // orders memory: what is written before posting is seen after waiting
constexpr int undecided = -1;
std::atomic<int> final_status{undecided};
pid_t final_process = 0;  // written before the status; child processes end as they like
int steps = 0;

// Destructors, exit handlers and leftover threads of plugins may call exit, too; that must not change the status.
void keep_status() {
  if (final_status == undecided || final_process != ::getpid()) return;
  std::fflush(nullptr);
  ::_exit(final_status);
}

// Handlers run in reverse order: one registered before all libraries' constructors runs after their destructors.
void keep_status_at_exit(int /*argument_count*/, char** /*arguments*/, char** /*environment*/) {
  ::on_exit(
      [](int status, void* /*unused*/) {
        if (status != final_status) keep_status();
      },
      nullptr);
  ::__cxa_at_quick_exit([](void* /*unused*/) { keep_status(); }, nullptr);
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_all)(int, char**, char**) = keep_status_at_exit;

[[noreturn]] void end_at_once() {
  last_words(
      "ended without waiting any longer: nobody reads stdout, a task keeps it locked, or exit handlers or destructors "
      "of a plugin's globals take too long (rule 5.4)");
  ::_exit(final_status);
}

// Waits in small steps, so that time in which the process stood still (SIGSTOP, a suspended machine) hardly counts.
void* wait_for_the_end(void* /*unused*/) {
  ::prctl(PR_SET_NAME, "th-exit");
  while (::sem_wait(&leaving) != 0) {
  }
  for (int step = 0; step < steps; ++step) {
    const timespec duration{.tv_sec = 0, .tv_nsec = 1'000'000'000 / steps_per_s};
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, nullptr);
  }
  end_at_once();
}

// The same words as the library uses for its own threads.
std::string words_of_refusal(int error) {
  if (error != EAGAIN) {
    return "a seccomp filter or a container's profile seems to block a call that the host needs; allow it: clone3, for "
           "a thread";
  }
  rlimit limit{};
  const bool is_limited = ::getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return "can't create another thread: RLIMIT_NPROC is " + (is_limited ? std::to_string(limit.rlim_cur) : "unlimited") +
         "; raise it (ulimit -u) or the cgroup's pids.max, or provide more memory for stacks";
}

void end_after(int duration_s) {
  steps = duration_s * steps_per_s;
  if (ready) ::sem_post(&leaving);
}

}  // namespace

void prepare_exit() {
  ::sem_init(&leaving, 0, 0);
  sigset_t all;  // shields this thread from what plugins do to handlers and masks
  ::sigfillset(&all);
  if (const int error = make_emergency_thread(wait_for_the_end, all); error != 0) {
    throw std::system_error(error, std::generic_category(), words_of_refusal(error));
  }
  ready = true;
}

void exit_in_time(int status, bool code_still_runs) {
  final_process = ::getpid();
  final_status = status;
  if (status == TASKHOST_RESULT_STOP_TIMEOUT || code_still_runs) {
    end_after(flush_patience_s);
    std::fflush(nullptr);
    ::_exit(status);
  }
  end_after(patience_s);
  std::exit(status);  // NOLINT(concurrency-mt-unsafe): all threads of tasks have ended
}

}  // namespace taskhost
