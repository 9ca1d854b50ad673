// One source, several good plugins that check what the host promises, or do what is allowed but rare. README.md lists
// them.
#include <cstdint>
#include <cstring>
#include <new>
#include <string>

#include "taskhost/plugin.h"

#if defined(GOOD_COUNTING)
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "taskhost/ext/config.h"
#elif defined(GOOD_TIME_LIMIT)
#include <chrono>
#include <thread>
#endif

#if defined(GOOD_WAITS_FOR_OTHERS)
#include <sys/timerfd.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#endif

namespace {

[[maybe_unused]] std::int32_t run_until_stopped(void*, const taskhost_exec* exec) {
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}
[[maybe_unused]] std::int32_t end_at_once(void*, const taskhost_exec*) { return TASKHOST_OK; }

[[maybe_unused]] taskhost_factory describe(const char* name) {
  taskhost_factory made{};
  made.struct_size = sizeof(taskhost_factory);
  made.name = name;
  made.version = "1.0";
  made.description = "a test plugin";
  made.poll = run_until_stopped;
  return made;
}

#if defined(GOOD_NEWER_MINOR)

// A plugin of a later minor version, as this host sees it: its descriptor is longer, and the host reads what it knows.
struct NewerFactory {
  taskhost_factory known;
  void (*appended)(void);
  std::uint64_t more[16];
};
NewerFactory newer;
const taskhost_factory* first_factory() {
  newer.known = describe(PLUGIN_NAME);
  newer.known.struct_size = sizeof(NewerFactory);
  std::memset(newer.more, 0xff, sizeof newer.more);
  return &newer.known;
}

#elif defined(GOOD_THREE_FACTORIES)

const taskhost_factory* first_factory() {
  static taskhost_factory third = describe("third");
  static taskhost_factory second = describe("second");
  static taskhost_factory first = describe("first");
  third.poll = end_at_once;
  second.next = &third;
  first.next = &second;
  return &first;
}

#elif defined(GOOD_MINIMAL)

// Only what a descriptor must have: no start, no drop, no state, no texts.
const taskhost_factory* first_factory() {
  static taskhost_factory made;
  made.struct_size = sizeof(taskhost_factory);
  made.name = PLUGIN_NAME;
  made.poll = end_at_once;
  return &made;
}

#elif defined(GOOD_TIME_LIMIT)

// Work that takes longer than the host usually waits before its clock jumps, and a limit that is far longer.
struct Limited {
  std::uint64_t end;
};
void work(void*) { std::this_thread::sleep_for(std::chrono::microseconds(300)); }
std::int32_t start(void* state, const taskhost_exec* exec) {
  static_cast<Limited*>(state)->end = taskhost_now(exec) + 3600 * TASKHOST_SECOND;
  taskhost_work offloaded{};
  offloaded.struct_size = sizeof offloaded;
  offloaded.run = work;
  return exec->services->offload(exec, &offloaded) == TASKHOST_OK ? TASKHOST_OK : taskhost_fail(exec, "no thread");
}
std::int32_t poll(void* state, const taskhost_exec* exec) {
  taskhost_ready ready;
  if (taskhost_stop_requested(exec) || exec->services->take_ready(exec, &ready, 1) == 1) return TASKHOST_OK;
  const std::uint64_t end = static_cast<Limited*>(state)->end;
  if (taskhost_now(exec) >= end) return taskhost_fail(exec, "the work took more than an hour");
  exec->services->wake_at(exec, end);
  return TASKHOST_PENDING;
}
const taskhost_factory* first_factory() {
  static taskhost_factory made = describe(PLUGIN_NAME);
  made.state_size = sizeof(Limited);
  made.start = start;
  made.poll = poll;
  return &made;
}

#elif defined(GOOD_ALIGNED)

std::int32_t start(void* state, const taskhost_exec* exec) {
  if (reinterpret_cast<std::uintptr_t>(state) % 4096 != 0) return taskhost_fail(exec, "the state is not aligned");
  return TASKHOST_OK;
}
const taskhost_factory* first_factory() {
  static taskhost_factory made = describe(PLUGIN_NAME);
  made.state_size = 100;
  made.state_align = 4096;
  made.start = start;
  made.poll = end_at_once;
  return &made;
}

#elif defined(GOOD_ZEROED)

// Each execution checks that its state is zeroed, and leaves it dirty. The first three fail, so that there are
// restarts.
constexpr std::size_t state_size = 1000;
std::int32_t start(void* state, const taskhost_exec* exec) {
  const auto* bytes = static_cast<const unsigned char*>(state);
  for (std::size_t index = 0; index < state_size; ++index) {
    if (bytes[index] != 0) return taskhost_fail(exec, "the state is not zeroed");
  }
  std::memset(state, 0xab, state_size);
  return TASKHOST_OK;
}
std::int32_t poll(void* state, const taskhost_exec* exec) {
  std::memset(state, 0xcd, state_size);
  return exec->services->execution_number(exec) < 4 ? taskhost_fail(exec, "the state was zeroed") : TASKHOST_OK;
}
const taskhost_factory* first_factory() {
  static taskhost_factory made = describe(PLUGIN_NAME);
  made.state_size = state_size;
  made.start = start;
  made.poll = poll;
  return &made;
}

#elif defined(GOOD_BIG_STATE)

constexpr std::size_t state_size = std::size_t{1} << 20;
std::int32_t poll(void* state, const taskhost_exec*) {
  std::memset(state, 0xcd, state_size);
  return TASKHOST_OK;
}
const taskhost_factory* first_factory() {
  static taskhost_factory made = describe(PLUGIN_NAME);
  made.state_size = state_size;
  made.poll = poll;
  return &made;
}

#elif defined(GOOD_WAITS_FOR_OTHERS)

// Waits, with a timeout, for a timer of the system's, which stands for a server, and at its end for offloaded work.
// Both take real time; the odd executions' server is slow.
struct Waiting {
  int answer;
  std::uint64_t deadline;
  bool is_ending;
};
void work_a_while(void*) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

std::int32_t start(void* state, const taskhost_exec* exec) {
  Waiting& self = *new (state) Waiting{};
  self.answer = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  itimerspec answers{};
  answers.it_value.tv_nsec = exec->services->execution_number(exec) % 2 == 1 ? 20'000'000 : 1;
  if (::timerfd_settime(self.answer, 0, &answers, nullptr) != 0) return taskhost_fail(exec, "no timer");
  self.deadline = taskhost_now(exec) + 20 * TASKHOST_SECOND;
  exec->services->wake_at(exec, self.deadline);
  return exec->services->watch(exec, self.answer, TASKHOST_READABLE, 0);
}
std::int32_t poll(void* state, const taskhost_exec* exec) {
  Waiting& self = *static_cast<Waiting*>(state);
  taskhost_ready ready;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  if (exec->services->take_ready(exec, &ready, 1) == 1) {
    exec->services->watch(exec, self.answer, 0, 0);
    self.deadline = TASKHOST_NEVER;
  }
  if (taskhost_now(exec) >= self.deadline) return taskhost_fail(exec, "no answer in 20 s");
  taskhost_wake_after(exec, 20 * TASKHOST_SECOND);
  return TASKHOST_PENDING;
}
std::int32_t finish(void* state, const taskhost_exec* exec) {
  Waiting& self = *static_cast<Waiting*>(state);
  taskhost_ready ready{};
  if (self.is_ending) {
    return exec->services->take_ready(exec, &ready, 1) == 1 && ready.what == TASKHOST_DONE ? TASKHOST_OK
                                                                                           : TASKHOST_PENDING;
  }
  self.is_ending = true;
  taskhost_work work{};
  work.struct_size = sizeof work;
  work.run = work_a_while;
  return exec->services->offload(exec, &work) == TASKHOST_OK ? TASKHOST_PENDING : TASKHOST_OK;
}
void drop(void* state, const taskhost_exec*) { ::close(static_cast<Waiting*>(state)->answer); }
const taskhost_factory* first_factory() {
  static taskhost_factory made = describe(PLUGIN_NAME);
  made.state_size = sizeof(Waiting);
  made.start = start;
  made.poll = poll;
  made.finish = finish;
  made.drop = drop;
  return &made;
}

#elif defined(GOOD_COUNTING)

// Appends a line to a file for each start and drop: "start 1", "drop 1". Config: {"file": path, "end": "ok" | "error"
// (ends at once; absent: runs until stopped), "refuse": true (writes "refuse 1" and fails the start)}.
struct Counting {
  int file;
  std::uint64_t number;
  bool ends;
  bool fails;
};

void write_line(int file, const char* word, std::uint64_t number) {
  const std::string line = std::string(word) + ' ' + std::to_string(number) + '\n';
  while (::write(file, line.data(), line.size()) < 0 && errno == EINTR) {
  }
}

std::int32_t start(void* state, const taskhost_exec* exec) {
  const auto* config = static_cast<const taskhost_config_reader*>(
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION));
  const char* path = "";
  const char* end = "";
  std::int32_t refuse = 0;
  if (config->keys(exec, "file end refuse") != TASKHOST_OK ||
      config->text(exec, "/file", &path, nullptr) != TASKHOST_OK ||
      config->text(exec, "/end", &end, nullptr) != TASKHOST_OK ||
      config->boolean(exec, "/refuse", &refuse) != TASKHOST_OK) {
    return TASKHOST_ERROR;
  }
  const int file = ::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return taskhost_fail(exec, "config: /file: can't be opened");
  const std::uint64_t number = exec->services->execution_number(exec);
  if (refuse != 0) {
    write_line(file, "refuse", number);
    ::close(file);
    return taskhost_fail(exec, "refused");
  }
  write_line(file, "start", number);
  new (state) Counting{file, number, end[0] != '\0', std::strcmp(end, "error") == 0};
  return TASKHOST_OK;
}

[[maybe_unused]] std::int32_t poll(void* state, const taskhost_exec* exec) {
  const auto* self = static_cast<const Counting*>(state);
  if (self->ends) return self->fails ? taskhost_fail(exec, "was told to fail") : TASKHOST_OK;
  return run_until_stopped(state, exec);
}

[[maybe_unused]] std::int32_t run(void* state, const taskhost_exec* exec) {
  for (;;) {
    const std::int32_t status = poll(state, exec);
    if (status != TASKHOST_PENDING) return status;
    exec->services->wait(exec, TASKHOST_NEVER);
  }
}

void drop(void* state, const taskhost_exec* /*exec*/) {
  auto* self = static_cast<Counting*>(state);
  write_line(self->file, "drop", self->number);
  ::close(self->file);
}

const taskhost_factory* first_factory() {
  static taskhost_factory made = describe(PLUGIN_NAME);
  made.state_size = sizeof(Counting);
  made.state_align = alignof(Counting);
  made.start = start;
#ifdef BLOCKING
  made.poll = nullptr;
  made.run = run;
#else
  made.poll = poll;
#endif
  made.drop = drop;
  return &made;
}

#endif

}  // namespace

extern "C" const taskhost_factory* taskhost_plugin_v1(void) { return first_factory(); }
