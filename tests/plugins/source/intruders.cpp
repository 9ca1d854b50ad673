// Tasks that break one rule each, not by what they answer but by what they do beside it: to the test's process and its
// pipes, with processes and files of their own. tests/integration/collection_test.cpp says which test of
// `taskhost verify` has to find what.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "collection.hpp"

namespace {

using collection::State;
using collection::Task;

char description[32] = "breaks a rule";

// Bounded, whatever happens to the test.
bool is_left(int most) {
  static std::atomic<int>& made = *[] {
    void* shared = ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return new (shared) std::atomic<int>(0);
  }();
  return made++ < most;
}

// Its parent is gone at once.
void leave_a_process(bool in_own_session) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (in_own_session) ::setsid();
    if (::fork() == 0) ::sleep(20);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
}

// To all pipes that were there before it: as if a verdict came from the test.
void forge_messages() {
  const std::string lines =
      "{\"type\":1}\n[]\n17\n{\"type\":\"factories\"}\n"
      "{\"type\":\"verdict\",\"judgement\":77,\"rules\":\"\",\"text\":\"\",\"done\":\"\"}\n"
      "{\"type\":\"verdict\",\"judgement\":0,\"rules\":\"\",\"text\":\"all is well\",\"done\":\"\"}\n"
      "{\"type\":\"finished\"}\n{\"type\":";
  for (int fd = 3; fd < 64; ++fd) {
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) && ::write(fd, lines.data(), lines.size()) < 0) continue;
  }
}

constexpr Task tasks[] = {
    // The test's pipes
    {.name = "forges_messages",
     .start =
         [](State&) {
           forge_messages();
           return TASKHOST_OK;
         },
     .drop = [](State&) { std::raise(SIGSEGV); }},

    // Files, and what else outlives the process
    {.name = "leaves_files_in_a_folder",
     .start =
         [](State& self) {
           ::mkdir("left", 0700);
           ::mkdir("left/deep", 0700);
           char name[] = "left/deep/XXXXXX";
           const int file = ::mkstemp(name);
           ::close(file);
           return file >= 0 ? TASKHOST_OK : self.fail("no file");
         }},
    {.name = "leaves_segments",
     .start =
         [](State& self) {
           if (!is_left(100)) return TASKHOST_OK;
           const int segment = ::shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
           ::shmat(segment, nullptr, 0);
           // So that it is gone with the process.
           return ::shmctl(segment, IPC_RMID, nullptr) == 0 ? TASKHOST_OK : self.fail("no segment");
         }},

    // Processes
    {.name = "leaves_orphans",
     .start =
         [](State&) {
           if (is_left(3)) leave_a_process(false);
           return TASKHOST_OK;
         }},
    {.name = "leaves_a_sibling",
     .start =
         [](State&) {
           if (!is_left(1)) return TASKHOST_OK;
           if (::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr) == 0) {
             ::sleep(20);
             ::_exit(0);
           }
           return TASKHOST_OK;
         }},
    {.name = "starts_many_daemons",
     .start =
         [](State&) {
           while (is_left(200)) leave_a_process(true);
           return TASKHOST_OK;
         }},
    {.name = "leaves_a_chain",
     .start =
         [](State& self) {
           if (self.number() > 1) return TASKHOST_OK;
           const pid_t first = ::fork();
           if (first > 0) ::waitpid(first, nullptr, 0);
           if (first != 0) return TASKHOST_OK;
           ::setsid();
           const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
           while (std::chrono::steady_clock::now() < end) {
             if (::fork() != 0) ::_exit(0);
           }
           ::_exit(0);
         }},
    {.name = "kills_its_parent", .start = [](State&) { return ::kill(::getppid(), SIGKILL); }},
    {.name = "stops_its_parent_and_hangs",
     .start = [](State&) -> std::int32_t {
       ::kill(::getppid(), SIGSTOP);
       for (;;) ::pause();
     }},

    // The process
    {.name = "never_has_children",
     .start =
         [](State&) {
           struct sigaction action {};
           action.sa_flags = SA_NOCLDWAIT;
           return ::sigaction(SIGCHLD, &action, nullptr);
         }},
    {.name = "limits_pending_signals",
     .start =
         [](State&) {
           rlimit limit{};
           ::getrlimit(RLIMIT_SIGPENDING, &limit);
           --limit.rlim_cur;
           return ::setrlimit(RLIMIT_SIGPENDING, &limit);
         }},
    {.name = "adopts_orphans", .start = [](State&) { return ::prctl(PR_SET_CHILD_SUBREAPER, 1UL); }},
    {.name = "gains_no_privileges", .start = [](State&) { return ::prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL); }},
    {.name = "is_killed_first",
     .start =
         [](State& self) {
           const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
           const bool is_written = ::write(file, "900", 3) == 3;
           ::close(file);
           return is_written ? TASKHOST_OK : self.fail("no score");
         }},
    {.name = "locks_new_memory",
     .start = [](State&) { return ::mlockall(MCL_FUTURE); },
     .drop = [](State&) { ::munlockall(); }},
    {.name = "is_another_user", .start = [](State&) { return ::setreuid(65534, static_cast<uid_t>(-1)); }},
};

}  // namespace

COLLECTION_ENTRY(tasks, description)
