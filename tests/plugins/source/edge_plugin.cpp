// Plugins that affect the process around them: signals, other processes, its end. One for each macro; README.md lists
// them.
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "taskhost/ext/signals.h"
#include "taskhost/plugin.h"

namespace {

#if defined(EDGE_LOAD_THROWS)
const struct Throws {
  Throws() { throw std::runtime_error("a constructor threw"); }
} throws;
#elif defined(EDGE_LOAD_CRASHES)
const struct Crashes {
  Crashes() { std::raise(SIGSEGV); }
} crashes;
#elif defined(EDGE_LOAD_TAKES_LONG)
const struct TakesLong {
  TakesLong() {
    std::fputs("loading slowly\n", stderr);
    std::this_thread::sleep_for(std::chrono::seconds(2));  // resumes after a signal
  }
} takes_long;
#elif defined(EDGE_LOAD_FORKS)
const struct Forks {
  Forks() { (void)!::fork(); }
} forks;
#elif defined(EDGE_GLOBAL_DESTROYED)
const struct Global {
  ~Global() { std::fputs("the global is destroyed\n", stderr); }
} global;
#elif defined(EDGE_GLOBAL_EXITS)
const struct Exits {
  ~Exits() { std::exit(0); }
} exits;
#elif defined(EDGE_GLOBAL_IN_WORK)
const struct Global {
  ~Global() { std::fputs("the global is destroyed\n", stderr); }
} global;
#elif defined(EDGE_GLOBAL_FORKS)
const struct Forks {
  ~Forks() {
    const pid_t child = ::fork();
    if (child == 0) std::exit(3);
    int status = 0;
    ::waitpid(child, &status, 0);
    std::fprintf(stderr, "the child's status: %d\n", WEXITSTATUS(status));
  }
} forks;
#elif defined(EDGE_DESTRUCTOR_QUICK_EXITS)
[[gnu::destructor]] void leave() { std::quick_exit(0); }
#elif defined(EDGE_EXIT_TAKES_A_SECOND)
const struct TakesASecond {
  ~TakesASecond() {
    std::fputs("destroying the global\n", stderr);
    for (int i = 0; i < 20; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));  // a pause does not count
    std::fputs("the global is destroyed\n", stderr);
  }
} takes_a_second;
#elif defined(EDGE_EXIT_HANGS_DEAF)
const struct HangsDeaf {
  ~HangsDeaf() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::signal(SIGALRM, SIG_IGN);
    std::this_thread::sleep_for(std::chrono::hours(1));
  }
} hangs_deaf;
#elif defined(EDGE_EXIT_HANGS)
const struct Hangs {
  ~Hangs() {
    ::close(STDERR_FILENO);
    std::this_thread::sleep_for(std::chrono::hours(1));
  }
} hangs;
#endif

[[maybe_unused]] void say(const taskhost_exec* exec, const std::string& text) {
  taskhost_log(exec, TASKHOST_LOG_INFO, text.c_str());
}

[[maybe_unused]] std::string end_of(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                             : "status " + std::to_string(WEXITSTATUS(status));
}

#if defined(EDGE_CHILD_CALLS) || defined(EDGE_CHILD_CALLS_BLOCKING)
// How many services do something for a child, or do not return.
int wrong_in_child(const taskhost_exec* exec, taskhost_waker waker) {
  const taskhost_services& host = *exec->services;
  ::alarm(10);
  say(exec, "said by a child");
  host.wake(waker);
  host.ready(exec);
  host.heartbeat(exec);
  host.wake_after(exec, 0);
  taskhost_fail(exec, "failed in a child");
  int ends[2] = {-1, -1};
  int wrong = ::pipe(ends) == 0 ? 0 : 1;
  wrong += host.watch(exec, ends[0], TASKHOST_READABLE, 0) == TASKHOST_REFUSED_CALL ? 0 : 1;
  taskhost_ready ready;
  wrong += host.take_ready(exec, &ready, 1) == 0 ? 0 : 1;
  const taskhost_work work = {sizeof(taskhost_work), 0, 0, nullptr, [](void*) { ::_exit(1); }, nullptr};
  wrong += host.offload(exec, &work) == TASKHOST_REFUSED_CALL ? 0 : 1;
  wrong += host.wait_fd(exec) == -1 ? 0 : 1;
  host.status(exec, "in a child", 10);
  wrong += host.waker(exec) == 0 ? 0 : 1;
  wrong += host.wait(exec, TASKHOST_NEVER) == TASKHOST_WAIT_STOP ? 0 : 1;
  const auto* signals =
      static_cast<const taskhost_signals*>(host.extension(exec, TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION));
  wrong += signals->subscribe(exec, TASKHOST_SIGNAL_USER1) == TASKHOST_ERROR ? 0 : 1;
  wrong += signals->take(exec) == 0 ? 0 : 1;
  return wrong;
}

void call_in_child(const taskhost_exec* exec) {
  const taskhost_waker waker = exec->services->waker(exec);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(wrong_in_child(exec, waker));
  say(exec, "child: " + end_of(child));
}
#endif

#if defined(EDGE_STACK_OVERFLOWS)
int deeper(volatile int* last) {
  volatile int here[256] = {*last};
  return here[0] < 0 ? 0 : deeper(here) + here[0];  // so that the compiler assumes an end
}
#endif

#if defined(EDGE_CRASHES_TOGETHER) || defined(EDGE_EXITS_TOGETHER)
// Blocking: acts at almost the same time as another one.
int32_t run(void* /*state*/, const taskhost_exec* /*exec*/) {
  static std::atomic<int> here{0};
  ++here;
  while (here < 2) std::this_thread::yield();
#if defined(EDGE_EXITS_TOGETHER)
  std::exit(0);
#else
  volatile int* volatile nowhere = nullptr;
  *nowhere = 1;
  return TASKHOST_OK;
#endif
}
#elif defined(EDGE_CHILD_CALLS_BLOCKING)
int32_t run(void* /*state*/, const taskhost_exec* exec) {
  call_in_child(exec);
  while ((exec->services->wait(exec, TASKHOST_NEVER) & TASKHOST_WAIT_STOP) == 0) continue;
  return TASKHOST_OK;
}
#elif defined(EDGE_CLOSES_DESCRIPTORS_BLOCKING)
int32_t run(void* /*state*/, const taskhost_exec*) {
  ::usleep(300'000);  // until its shard sleeps
  for (int descriptor = 3; descriptor < 1024; ++descriptor) ::close(descriptor);
  std::fputs("closed them\n", stderr);
  while (true) ::pause();
}
#else
// Polled; waits for the stop unless stated otherwise.
int32_t poll(void* /*state*/, const taskhost_exec* exec) {
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
#if defined(EDGE_LIMITS_DESCRIPTORS) || defined(EDGE_LIMITS_DESCRIPTORS_AND_CRASHES)
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_NOFILE, &none);
  say(exec, "no more descriptors");
#endif
#if defined(EDGE_POLL_CRASHES) || defined(EDGE_LIMITS_DESCRIPTORS_AND_CRASHES)
  say(exec, "the last line before");
  volatile int* volatile nowhere = nullptr;
  *nowhere = 1;
#elif defined(EDGE_POLL_RAISES)
  const int number = std::atoi(taskhost_config(exec));
#if defined(__x86_64__)
  if (number == SIGTRAP) __asm__("int3");  // unlike a crash, it does not repeat by itself
#endif
  std::raise(number);
#elif defined(EDGE_GLOBAL_EXITS) || defined(EDGE_DESTRUCTOR_QUICK_EXITS)
  return TASKHOST_ERROR;
#elif defined(EDGE_POLL_QUICK_EXITS)
  std::quick_exit(0);
#elif defined(EDGE_POLL_ABORTS)
  std::abort();
#elif defined(EDGE_EXITS_LATE)
  std::thread([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    std::exit(0);
  }).detach();
  return exec->services->fail(exec, "broken", 6);
#elif defined(EDGE_THREAD_CRASHES)
  std::thread([] {
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
  }).detach();
#elif defined(EDGE_POLL_LEAVES_THREAD)
  ::pthread_exit(nullptr);
#elif defined(EDGE_STACK_OVERFLOWS)
  volatile int zero = 0;
  return deeper(&zero);
#elif defined(EDGE_PRINTS_FOR_EVER)
  while (true) std::puts("and so on");
#elif defined(EDGE_TAKES_TERMINATE)
  std::signal(SIGTERM, [](int) {});
#elif defined(EDGE_IGNORES_INTERRUPT)
  std::signal(SIGINT, SIG_IGN);
#elif defined(EDGE_WORK_CRASHES) || defined(EDGE_WORK_EXITS) || defined(EDGE_WORK_FORKS) || \
    defined(EDGE_WORK_FORKS_AND_THROWS)
  taskhost_work work{};
  work.struct_size = sizeof work;
  work.run = [](void*) {
#if defined(EDGE_WORK_CRASHES)
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
#elif defined(EDGE_WORK_EXITS)
    std::exit(0);
#else
    const pid_t child = ::fork();
    if (child > 0) {
      int status = 0;
      ::waitpid(child, &status, 0);
      std::fprintf(stderr, "the child's status: %d\n", WEXITSTATUS(status));
      return;
    }
    ::alarm(10);
#if defined(EDGE_WORK_FORKS_AND_THROWS)
    throw std::runtime_error("out of a child");
#endif
#endif
  };
  exec->services->offload(exec, &work);
#elif defined(EDGE_OFFLOADS_FOR_EVER) || defined(EDGE_GLOBAL_IN_WORK)
  taskhost_work work{};
  work.struct_size = sizeof work;
  work.run = [](void*) {
    std::fputs("the work has begun\n", stderr);
    while (true) ::pause();
  };
  say(exec, "offloaded: " + std::to_string(exec->services->offload(exec, &work)));
#elif defined(EDGE_CLOSES_DESCRIPTORS)
  for (int descriptor = 3; descriptor < 1024; ++descriptor) ::close(descriptor);
  std::fputs("closed them\n", stderr);
#elif defined(EDGE_CHILD_EXITS)
  const pid_t child = ::fork();
  if (child == 0) std::exit(77);
  say(exec, "child: " + end_of(child));
#elif defined(EDGE_CHILD_GETS_TERMINATE)
  const pid_t child = ::fork();
  if (child == 0) {
    while (true) ::pause();
  }
  ::kill(child, SIGTERM);
  say(exec, "child: " + end_of(child));
#elif defined(EDGE_CHILD_WRITES_TO_NOBODY)
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) return TASKHOST_PENDING;
  ::close(ends[0]);
  const pid_t child = ::fork();
  if (child == 0) {
    for (int i = 0; i < 2; ++i) [[maybe_unused]] const auto written = ::write(ends[1], "x", 1);
    ::_exit(0);
  }
  ::close(ends[1]);
  say(exec, "child: " + end_of(child));
#elif defined(EDGE_CHILD_EXECUTES)
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c",
            "grep -E 'Sig(Ign|Blk)' /proc/self/status >&2 && ! env | grep -E '^(NOTIFY|WATCHDOG)_' >&2", nullptr);
    ::_exit(1);
  }
  say(exec, "child: " + end_of(child));
#elif defined(EDGE_CHILD_STAYS)
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGALRM, SIG_DFL);
    ::alarm(600);
    while (true) ::pause();
  }
  say(exec, "child: " + std::to_string(child));
#elif defined(EDGE_CHILD_CALLS)
  call_in_child(exec);
#elif defined(EDGE_CHILD_RETURNS)
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);
    return TASKHOST_PENDING;
  }
  say(exec, "child: " + end_of(child));
#elif defined(EDGE_LEAVES_ORPHAN)
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) return TASKHOST_PENDING;
  const pid_t child = ::fork();
  if (child == 0) {
    const pid_t orphan = ::fork();
    if (orphan != 0) [[maybe_unused]]
      const auto told = ::write(ends[1], &orphan, sizeof orphan);
    ::_exit(0);
  }
  pid_t orphan = 0;
  [[maybe_unused]] const auto got = ::read(ends[0], &orphan, sizeof orphan);
  end_of(child);
  for (int tries = 0; tries < 1000 && ::kill(orphan, 0) == 0; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  say(exec, ::kill(orphan, 0) == 0 ? "the orphan is a zombie" : "the orphan is reaped");
#elif defined(EDGE_EATS_MEMORY)
  for (const std::size_t piece : {std::size_t{1} << 20, std::size_t{4096}, std::size_t{16}}) {
    // Never freed; kept in sight of the compiler, which may leave out an allocation that nobody uses.
    void* volatile taken = nullptr;
    do {
      taken = std::malloc(piece);
    } while (taken != nullptr);
  }
  ::kill(::getpid(), SIGTERM);
  return taskhost_fail(exec, "it ate all there is");
#elif defined(EDGE_HANGUP_ONCE)
  const auto* signals = static_cast<const taskhost_signals*>(
      exec->services->extension(exec, TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION));
  signals->subscribe(exec, TASKHOST_SIGNAL_HANGUP);
  if (signals->take(exec) != 0) return TASKHOST_OK;
#endif
  return TASKHOST_PENDING;
}
#endif

#if defined(EDGE_CHECK_CRASHES) || defined(EDGE_CHECK_EXITS) || defined(EDGE_CHECK_FORKS) || \
    defined(EDGE_CHECK_FORKS_AND_THROWS) || defined(EDGE_CHECK_HANGS)
int32_t check(const taskhost_exec* /*exec*/) {
#if defined(EDGE_CHECK_CRASHES)
  volatile int* volatile nowhere = nullptr;
  *nowhere = 1;
#elif defined(EDGE_CHECK_EXITS)
  std::exit(0);
#elif defined(EDGE_CHECK_FORKS)
  if (::fork() > 0) (void)::wait(nullptr);
#elif defined(EDGE_CHECK_FORKS_AND_THROWS)
  if (::fork() == 0) throw std::runtime_error("in the child");
  (void)::wait(nullptr);
#else
  std::fputs("checking slowly\n", stderr);
  while (true) ::pause();
#endif
  return TASKHOST_OK;
}
#define CHECK check
#endif

#if defined(EDGE_START_CRASHES) || defined(EDGE_DROP_CRASHES)
void crash() {
  volatile int* volatile nowhere = nullptr;
  *nowhere = 1;
}
#endif

const taskhost_factory factory = [] {
  taskhost_factory made{};
  made.struct_size = sizeof made;
  made.name = PLUGIN_NAME;
#if defined(EDGE_CRASHES_TOGETHER) || defined(EDGE_EXITS_TOGETHER) || defined(EDGE_CHILD_CALLS_BLOCKING) || \
    defined(EDGE_CLOSES_DESCRIPTORS_BLOCKING)
  made.run = run;
#else
  made.poll = poll;
#endif
#ifdef CHECK
  made.check = CHECK;
#endif
#if defined(EDGE_START_CRASHES)
  made.start = [](void* /*state*/, const taskhost_exec* /*exec*/) -> int32_t {
    crash();
    return TASKHOST_OK;
  };
#elif defined(EDGE_DROP_CRASHES)
  made.drop = [](void* /*state*/, const taskhost_exec* /*exec*/) { crash(); };
#endif
  return made;
}();

}  // namespace

// The macro may stand in a namespace.
namespace edge {
TASKHOST_PLUGIN(factory)
}  // namespace edge
