// Dies as its config says: {"how": …, "where": "start", "poll" (default), "drop" or "thread", "after": "10ms",
// "end": "ok" or "error"}; README.md lists the ways. After one that it survives it ends as `end` says; without `end` it
// goes on until the stop. As `dies` it is polled, as `dies_blocking` it blocks. While it is loaded it does what
// $DIES_WHEN_LOADED says, if the file $DIES_IF_EXISTS does, or none is named.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "taskhost/ext/config.h"
#include "taskhost/ext/manifest.h"
#include "taskhost/plugin.h"

namespace {

const taskhost_exec* its_exec = nullptr;  // of the function that runs; not in threads

void write_to_nowhere() {
  volatile int* volatile nowhere = nullptr;
  *nowhere = 1;
}

// A file that is shorter than what is mapped of it.
void bus_error() {
  const int file = ::memfd_create("short", 0);
  void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  *static_cast<volatile int*>(memory) = 1;
}

int deeper(volatile int* last) {
  volatile int here[256] = {*last};
  return here[0] < 0 ? 0 : deeper(here) + here[0];  // so that the compiler assumes an end
}

void overflow_stack() {
  volatile int zero = 0;
  (void)deeper(&zero);
}

void spin() {
  for (std::atomic<unsigned> rounds{0};;) ++rounds;
}

void lock_twice() {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  ::pthread_mutex_lock(&mutex);
  ::pthread_mutex_lock(&mutex);
}

void sleep_for_ever() {
  for (;;) ::pause();
}

// So that a test without a limit does not take the machine's memory.
void limit(__rlimit_resource resource, rlim_t most) {
  rlimit now{};
  ::getrlimit(resource, &now);
  if (now.rlim_cur <= most) return;
  now.rlim_cur = most;
  ::setrlimit(resource, &now);
}

void take_memory(std::size_t piece) {
  limit(RLIMIT_DATA, rlim_t{256} << 20);
  for (;;) std::memset(new char[piece], 1, piece);
}

void put(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(descriptor, text.data(), text.size());
    if (size < 0 && errno != EINTR) return;
    if (size > 0) text.remove_prefix(static_cast<std::size_t>(size));
  }
}

void take_descriptors() {
  limit(RLIMIT_NOFILE, 1024);
  while (::dup(0) >= 0) continue;
}

// For good: the rest of the process has none.
void hold_descriptors() {
  take_descriptors();
  put(STDERR_FILENO, "has all descriptors\n");
  sleep_for_ever();
}

// Only where few processes are allowed.
void fork_bomb() {
  rlimit allowed{};
  ::getrlimit(RLIMIT_NPROC, &allowed);
  if (allowed.rlim_cur > 100) throw std::runtime_error("no fork bomb without a limit of processes");
  for (;;) {
    if (::fork() < 0) ::usleep(1000);
  }
}

void close_all(unsigned first) { ::close_range(first, ~0U, 0); }

void write_garbage() {
  std::string garbage(100'000, '\0');
  unsigned number = 1;
  for (char& byte : garbage) byte = static_cast<char>((number = number * 1664525 + 1013904223) >> 24);
  for (int descriptor = 0; descriptor < 65536; ++descriptor) {
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0) continue;
    ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    for (const std::size_t size : {1UL, 16UL, 17UL, 4096UL, garbage.size()}) {
      [[maybe_unused]] const auto written = ::write(descriptor, garbage.data(), size);
    }
    ::fcntl(descriptor, F_SETFL, flags);
  }
}

// Only if its host leads a session of its own.
void kill_hosts_group() {
  const pid_t host = ::getppid();
  if (::getsid(host) != host) throw std::runtime_error("the host has no session of its own");
  ::kill(-::getpgid(host), SIGKILL);
}

// A child that lives on for ten minutes, with all of its parent's descriptors.
void leave_child(bool in_a_session, bool writes) {
  const pid_t child = ::fork();
  if (child != 0) {
    std::fprintf(stderr, "the child is %d\n", static_cast<int>(child));
    return;
  }
  if (in_a_session) ::setsid();
  ::signal(SIGALRM, SIG_DFL);
  ::alarm(600);
  for (;;) {
    if (!writes) ::pause();
    if (::write(STDOUT_FILENO, "and on\n", 7) < 0) ::_exit(1);
  }
}

void throw_in_thread() {
  std::thread([] { throw std::runtime_error("nobody catches this"); }).join();
}

// They use their memory and print until the end of the process.
void detach_threads() {
  for (int count = 0; count < 4; ++count) {
    std::thread([] {
      for (;;) {
        std::fputs("still here\n", stdout);
        ::usleep(1000);
      }
    }).detach();
  }
}

// By a thread that never gives it back.
void hold_a_stream() {
  std::atomic<bool> is_held{false};
  std::thread([&is_held] {
    ::flockfile(std::tmpfile());
    is_held = true;
    sleep_for_ever();
  }).detach();
  while (!is_held) std::this_thread::yield();
}

// Beyond the end of the execution.
void work_on() {
  const taskhost_work work = {
      sizeof work, 0, 0, nullptr, [](void*) { std::this_thread::sleep_for(std::chrono::seconds(3)); }, nullptr};
  if (its_exec->services->offload(its_exec, &work) != TASKHOST_OK) throw std::runtime_error("no work");
}

void block_signals() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  for (int number = 1; number < 32; ++number) ::signal(number, SIG_IGN);
}

void flood() {
  std::string lines;
  for (int number = 1; number <= 100'000; ++number) lines += "line " + std::to_string(number) + "\n";
  put(STDOUT_FILENO, lines);
}

void say_at_all_levels() {
  for (std::int32_t level = TASKHOST_LOG_TRACE; level <= TASKHOST_LOG_ERROR; ++level) {
    taskhost_log(its_exec, level, ("level " + std::to_string(level)).c_str());
  }
}

void log_flood() {
  for (int number = 1; number <= 100'000; ++number) {
    taskhost_log(its_exec, TASKHOST_LOG_INFO, ("line " + std::to_string(number)).c_str());
  }
}

void say_the_directory() {
  const auto* const manifest = static_cast<const taskhost_manifest*>(
      its_exec->services->extension(its_exec, TASKHOST_EXTENSION_MANIFEST, TASKHOST_MANIFEST_REVISION));
  taskhost_log(its_exec, TASKHOST_LOG_INFO, manifest->directory(its_exec));
}

void say_where_it_is() { its_exec->services->status(its_exec, "half way", 8); }

struct Way {
  const char* name;
  void (*go)();
};
int write_to_closed_pipe() {
  int ends[2];
  if (::pipe(ends) != 0) return 0;
  ::close(ends[0]);
  const auto written = static_cast<int>(::write(ends[1], "x", 1));
  ::close(ends[1]);
  return written;
}

constexpr Way ways[] = {
    {"none", [] {}},
    {"closed pipe", [] { std::printf("a write to a closed pipe returned %d\n", write_to_closed_pipe()); }},
    {"segv", write_to_nowhere},
    {"bus", bus_error},
    {"ill", [] { ::raise(SIGILL); }},
    {"trap", [] { __builtin_trap(); }},
    {"abort", [] { std::abort(); }},
    {"exit 0", [] { std::exit(0); }},
    {"exit 3", [] { std::exit(3); }},
    {"_exit 0", [] { ::_exit(0); }},
    {"_exit 3", [] { ::_exit(3); }},
    {"quick_exit 0", [] { std::quick_exit(0); }},
    {"quick_exit 3", [] { std::quick_exit(3); }},
    {"last words", [] { std::fputs("good\nthe disk is gone\n\n", stderr), std::abort(); }},
    {"throw", [] { throw std::runtime_error("thrown"); }},
    {"throw in a thread", throw_in_thread},
    {"terminate", [] { std::terminate(); }},
    {"pthread_exit", [] { ::pthread_exit(nullptr); }},
    {"stack", overflow_stack},
    {"spin", spin},
    {"lock", lock_twice},
    {"sleep", sleep_for_ever},
    {"sleep without signals", [] { block_signals(), sleep_for_ever(); }},
    {"memory", [] { take_memory(std::size_t{1} << 20); }},
    {"small memory", [] { take_memory(64); }},
    {"descriptors", take_descriptors},
    {"hold descriptors", hold_descriptors},
    {"fork bomb", fork_bomb},
    {"close all", [] { close_all(0); }},
    {"close others", [] { close_all(3); }},
    {"close all and sleep", [] { close_all(0), sleep_for_ever(); }},
    {"close stdout", [] { ::close(STDOUT_FILENO); }},
    {"garbage", write_garbage},
    {"sigstop", [] { ::raise(SIGSTOP); }},
    {"sigterm", [] { ::kill(::getpid(), SIGTERM), sleep_for_ever(); }},
    {"sigkill", [] { ::raise(SIGKILL); }},
    {"kill group", [] { ::kill(0, SIGKILL); }},
    {"terminate group", [] { ::kill(0, SIGTERM), sleep_for_ever(); }},
    {"kill the host's group", kill_hosts_group},
    {"child", [] { leave_child(false, false), ::_exit(3); }},
    {"child in a session", [] { leave_child(true, false), ::_exit(3); }},
    {"child in a session that writes", [] { leave_child(true, true), ::_exit(3); }},
    {"only a child", [] { leave_child(false, false); }},
    {"only a child in a session", [] { leave_child(true, false); }},
    {"holds a stream", hold_a_stream},
    {"works on", work_on},
    {"signals", block_signals},
    {"threads", detach_threads},
    {"setsid", [] { ::setsid(), ::setpgid(0, 0); }},
    {"part of a line", [] { put(STDOUT_FILENO, "one\ntwo"), put(STDERR_FILENO, "three"); }},
    {"buffered line", [] { std::fputs("still in the buffer", stdout), std::abort(); }},
    {"buffered line at exit", [] { std::fputs("still in the buffer", stdout), std::exit(3); }},
    {"binary", [] { put(STDOUT_FILENO, std::string_view("a\xff\0b\x1b[31m\xc3\n", 11)); }},
    {"long line", [] { put(STDOUT_FILENO, std::string(1'000'000, 'x')), put(STDOUT_FILENO, "\n"); }},
    {"flood", flood},
    {"log flood", log_flood},
    {"log levels", say_at_all_levels},
    {"status", say_where_it_is},
    {"directory", say_the_directory},
    {"nap", [] { std::this_thread::sleep_for(std::chrono::milliseconds(300)); }},
    {"endless flood",
     [] {
       for (;;) put(STDOUT_FILENO, "and so on\n");
     }},
};

void go(std::string_view how) {
  for (const Way& way : ways) {
    if (how == way.name) return way.go();
  }
  throw std::runtime_error("there is no such way to die: " + std::string(how));
}

[[gnu::constructor]] void when_loaded() {
  const char* const how = std::getenv("DIES_WHEN_LOADED");
  const char* const file = std::getenv("DIES_IF_EXISTS");
  if (how != nullptr && (file == nullptr || ::access(file, F_OK) == 0)) go(how);
}

struct State {
  const char* how;
  const char* where;
  const char* end;
  std::uint64_t due;
  int is_gone;
};

// What it does as a call of its own.
void go_from(const State& self, const taskhost_exec* exec, const char* where) {
  its_exec = exec;
  if (std::strcmp(self.where, where) == 0) go(self.how);
}

std::int32_t start(void* state, const taskhost_exec* exec) {
  State& self = *static_cast<State*>(state);
  const auto* const config = static_cast<const taskhost_config_reader*>(
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION));
  std::uint64_t after = 0;
  self = {"none", "poll", "", 0, 0};
  if (config->keys(exec, "how where after end") != TASKHOST_OK ||
      config->text(exec, "/how", &self.how, nullptr) != TASKHOST_OK ||
      config->text(exec, "/where", &self.where, nullptr) != TASKHOST_OK ||
      config->text(exec, "/end", &self.end, nullptr) != TASKHOST_OK ||
      config->duration(exec, "/after", &after) != TASKHOST_OK) {
    return TASKHOST_ERROR;
  }
  self.due = exec->services->now() + after;
  go_from(self, exec, "start");
  return TASKHOST_OK;
}

// Returns PENDING as long as it goes on.
std::int32_t go_on(State& self, const taskhost_exec* exec) {
  if (taskhost_now(exec) >= self.due && self.is_gone == 0) {
    self.is_gone = 1;
    go_from(self, exec, "poll");
    if (std::strcmp(self.where, "thread") == 0) std::thread([how = self.how] { go(how); }).detach();
  }
  if (self.is_gone != 0 && std::strcmp(self.end, "error") == 0) return taskhost_fail(exec, "it survived");
  if (self.is_gone != 0 && std::strcmp(self.end, "ok") == 0) return TASKHOST_OK;
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}

std::int32_t poll(void* state, const taskhost_exec* exec) {
  State& self = *static_cast<State*>(state);
  const std::int32_t result = go_on(self, exec);
  if (result == TASKHOST_PENDING && self.is_gone == 0) exec->services->wake_at(exec, self.due);
  return result;
}

std::int32_t run(void* state, const taskhost_exec* exec) {
  State& self = *static_cast<State*>(state);
  for (;;) {
    const std::int32_t result = go_on(self, exec);
    if (result != TASKHOST_PENDING) return result;
    exec->services->wait(exec, self.is_gone != 0 ? TASKHOST_NEVER : self.due);
  }
}

void drop(void* state, const taskhost_exec* exec) { go_from(*static_cast<State*>(state), exec, "drop"); }

taskhost_factory factory_named(const char* name) {
  taskhost_factory made{};
  made.struct_size = sizeof made;
  made.name = name;
  made.state_size = sizeof(State);
  made.start = start;
  made.drop = drop;
  return made;
}

const taskhost_factory blocking = [] {
  taskhost_factory made = factory_named("dies_blocking");
  made.run = run;
  return made;
}();
const taskhost_factory polled = [] {
  taskhost_factory made = factory_named("dies");
  made.poll = poll;
  made.next = &blocking;
  return made;
}();

}  // namespace

namespace dies {
TASKHOST_PLUGIN(polled)
}  // namespace dies
