// Tasks that each change something of the process or of the thread that they were called on, for good or for a moment
// (rule 5.1). tests/integration/collection_test.cpp says which test of `taskhost verify` has to find what.
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cfenv>
#include <clocale>
#include <csignal>
#include <exception>
#include <fstream>
#include <iostream>
#include <locale>

#include "collection.hpp"

namespace {

using collection::State;
using collection::Task;

char description[] = "changes what is not its own";

void wait_for_stop(State& self) {
  while ((self.services().wait(self.exec, TASKHOST_NEVER) & TASKHOST_WAIT_STOP) == 0) {
  }
}

struct Comma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
};

constexpr Task tasks[] = {
    // The process
    {.name = "limits_files",
     .start =
         [](State&) {
           rlimit limit{};
           ::getrlimit(RLIMIT_NOFILE, &limit);
           limit.rlim_cur = 200;
           ::setrlimit(RLIMIT_NOFILE, &limit);
           return TASKHOST_OK;
         }},
    {.name = "takes_terminate",
     .start =
         [](State&) {
           std::set_terminate([] { ::_exit(3); });
           return TASKHOST_OK;
         }},
    {.name = "starts_interval_timer",
     .start =
         [](State&) {
           itimerval timer{};
           timer.it_value.tv_sec = 3600;
           ::setitimer(ITIMER_REAL, &timer, nullptr);
           return TASKHOST_OK;
         }},
    {.name = "closes_stdin",
     .start =
         [](State&) {
           ::close(0);
           return TASKHOST_OK;
         }},
    {.name = "ignores_children",
     .poll =
         [](State& self) {
           if (self.polls == 3) std::signal(SIGCHLD, SIG_IGN);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "changes_umask_for_a_while",
     .start =
         [](State& self) {
           self.other = static_cast<int>(::umask(0));
           return TASKHOST_OK;
         },
     .drop = [](State& self) { ::umask(static_cast<mode_t>(self.other)); }},
    {.name = "changes_directory",
     .start = [](State& self) { return ::chdir("/") == 0 ? TASKHOST_OK : self.fail("no directory"); }},
    {.name = "changes_process_locale",
     .start =
         [](State&) {
           std::setlocale(LC_ALL, "C.UTF-8");
           return TASKHOST_OK;
         }},
    {.name = "run_changes_umask",
     .run =
         [](State& self) {
           const mode_t former = ::umask(0);
           wait_for_stop(self);
           ::umask(former);
           return TASKHOST_OK;
         }},

    // What one call changes in the process, and restores
    {.name = "changes_locale_for_a_moment",
     .start =
         [](State&) {
           const std::string former = std::setlocale(LC_ALL, nullptr);
           std::setlocale(LC_ALL, "C.UTF-8");
           std::setlocale(LC_ALL, former.c_str());
           return TASKHOST_OK;
         }},
    {.name = "changes_cpp_locale_for_a_moment",
     .poll =
         [](State& self) {
           std::locale::global(std::locale::global(std::locale("C.UTF-8")));
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "asks_for_the_umask_by_changing_it", .drop = [](State&) { ::umask(::umask(077)); }},
    {.name = "is_elsewhere_for_a_moment",
     .start =
         [](State& self) {
           self.fd = ::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
           const bool is_back = ::chdir("/") == 0 && ::fchdir(self.fd) == 0;
           ::close(self.fd);
           return is_back ? TASKHOST_OK : self.fail("no directory");
         }},
    {.name = "changes_environment_for_a_moment",
     .poll =
         [](State& self) {
           ::setenv("BREAKER", "1", 1);
           ::unsetenv("BREAKER");
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "lowers_a_limit_for_a_moment",
     .start =
         [](State&) {
           rlimit former{};
           ::getrlimit(RLIMIT_CPU, &former);
           const rlimit lower{1000, former.rlim_max};
           ::setrlimit(RLIMIT_CPU, &lower);
           ::setrlimit(RLIMIT_CPU, &former);
           return TASKHOST_OK;
         }},
    {.name = "handles_a_signal_for_a_moment",
     .poll =
         [](State& self) {
           struct sigaction action {};
           struct sigaction former {};
           action.sa_handler = [](int) {};
           ::sigaction(SIGALRM, &action, &former);
           ::alarm(1000);
           ::alarm(0);
           ::sigaction(SIGALRM, &former, nullptr);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "runs_a_shell",
     .run =
         [](State& self) {
           if (std::system(":") != 0) return self.fail("no shell");
           wait_for_stop(self);
           return TASKHOST_OK;
         }},
    {.name = "a_thread_changes_umask_for_a_moment",
     .start =
         [](State& self) {
           self.thread = std::thread([] { ::umask(::umask(0)); });
           return TASKHOST_OK;
         }},
    {.name = "has_a_cpp_locale",
     .start =
         [](State&) {
           std::locale::global(std::locale(std::locale::classic(), new Comma));
           return TASKHOST_OK;
         }},
    {.name = "redirects_stderr",
     .start =
         [](State& self) {
           self.fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
           const int file = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
           ::dup2(file, STDERR_FILENO);
           ::close(file);
           return TASKHOST_OK;
         },
     .drop =
         [](State& self) {
           ::dup2(self.fd, STDERR_FILENO);
           ::close(self.fd);
         }},
    {.name = "makes_stdout_nonblocking",
     .start =
         [](State&) {
           ::fcntl(STDOUT_FILENO, F_SETFL, ::fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
           return TASKHOST_OK;
         }},
    {.name = "writes_cout_elsewhere",
     .start =
         [](State&) {
           static std::ofstream file("/dev/null");
           std::cout.rdbuf(file.rdbuf());
           return TASKHOST_OK;
         }},
    {.name = "ends_with_its_parent",
     .start =
         [](State&) {
           ::prctl(PR_SET_PDEATHSIG, SIGTERM);
           return TASKHOST_OK;
         }},
    {.name = "calls_atexit",
     .start =
         [](State&) {
           static const int once = std::atexit([] {});
           return once == 0 ? TASKHOST_OK : TASKHOST_ERROR;
         }},

    // The thread that a call came on
    {.name = "cannot_be_cancelled",
     .poll =
         [](State& self) {
           ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "has_a_signal_stack",
     .poll =
         [](State& self) {
           static std::array<char, 65536> memory;
           stack_t stack{};
           stack.ss_sp = memory.data();
           stack.ss_size = memory.size();
           ::sigaltstack(&stack, nullptr);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "has_late_timers",
     .poll =
         [](State& self) {
           ::prctl(PR_SET_TIMERSLACK, 1'000'000UL);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "is_nice",
     .start =
         [](State&) {
           ::setpriority(PRIO_PROCESS, 0, 5);
           return TASKHOST_OK;
         }},
    {.name = "rounds_up",
     .poll =
         [](State& self) {
           std::fesetround(FE_UPWARD);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "blocks_a_signal",
     .poll =
         [](State& self) {
           sigset_t set;
           sigemptyset(&set);
           sigaddset(&set, SIGTERM);
           if (self.polls == 3) pthread_sigmask(SIG_BLOCK, &set, nullptr);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "stays_on_a_processor",
     .poll =
         [](State& self) {
           cpu_set_t set;
           CPU_ZERO(&set);
           CPU_SET(static_cast<unsigned>(::sched_getcpu()), &set);
           ::sched_setaffinity(0, sizeof set, &set);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "uses_a_locale",
     .poll =
         [](State& self) {
           static const locale_t locale = ::newlocale(LC_ALL_MASK, "C.UTF-8", nullptr);
           ::uselocale(locale);
           return self.sleep(TASKHOST_SECOND);
         }},
};

}  // namespace

COLLECTION_ENTRY(tasks, description)
