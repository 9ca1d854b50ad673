// One source, many plugins that look good to a host: each runs until it is stopped, and breaks one rule in a way that
// nobody notices, or only under stress. `taskhost verify` has to detect them. The table in README.md says what each
// breaks.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "taskhost/plugin.h"

namespace {

struct State {
  const taskhost_exec* exec;
  std::uint64_t polls;
  std::uint64_t due;
  int descriptor;
  void* memory;
  std::thread* thread;
};

[[maybe_unused]] void pause_ms(int time) { std::this_thread::sleep_for(std::chrono::milliseconds(time)); }

// What each does in its start, polls and drop; `poll` runs only while no stop is requested.
std::int32_t start_more([[maybe_unused]] State& self) {
#if defined(SLY_LEAKS_MEMORY)
  self.memory = std::malloc(100);
#elif defined(SLY_LEAKS_DESCRIPTORS) || defined(SLY_CLOSES_WATCHED)
  self.descriptor = ::eventfd(0, EFD_CLOEXEC);
#elif defined(SLY_LEAKS_THREADS)
  std::thread([] { pause_ms(3'600'000); }).detach();
#elif defined(SLY_INSTALLS_HANDLER)
  std::signal(SIGTERM, [](int) {});
#elif defined(SLY_CHANGES_LOCALE)
  std::setlocale(LC_ALL, "C.UTF-8");
#elif defined(SLY_CHANGES_ENVIRONMENT)
  ::setenv("SLY_PLUGIN", "was here", 1);
#elif defined(SLY_LEAVES_CHILD)
  if (::fork() == 0) {
    for (;;) ::pause();
  }
#elif defined(SLY_THREAD_USES_SERVICES)
  // Joined in drop, but still wrong: wake_after is only for the execution's own calls.
  self.thread = new std::thread([exec = self.exec] { taskhost_wake_after(exec, TASKHOST_SECOND); });
#elif defined(SLY_LOGS_AFTER_DROP)
  std::thread([exec = self.exec] {
    pause_ms(10);
    taskhost_log(exec, TASKHOST_LOG_INFO, "too late");
  }).detach();
#elif defined(SLY_TOUCHES_DROPPED_STATE)
  std::thread([state = &self] {
    pause_ms(10);
    *const_cast<volatile std::uint64_t*>(&state->polls) = 1;
  }).detach();
#elif defined(SLY_FAILED_START_LEAKS)
  if (std::strcmp(taskhost_config(self.exec), "{}") != 0) {
    (void)::eventfd(0, EFD_CLOEXEC);
    return taskhost_fail(self.exec, "takes no config");
  }
#elif defined(SLY_WORK_USES_EXEC)
  taskhost_work work{};
  work.struct_size = sizeof work;
  work.argument = const_cast<taskhost_exec*>(self.exec);
  work.run = [](void* exec) { taskhost_log(static_cast<const taskhost_exec*>(exec), TASKHOST_LOG_INFO, "working"); };
  return self.exec->services->offload(self.exec, &work) == TASKHOST_OK ? TASKHOST_OK : TASKHOST_ERROR;
#elif defined(SLY_SHARES_GLOBAL)
  static State* the_only_one;
  the_only_one = &self;
  self.memory = &the_only_one;
#elif defined(SLY_NEEDS_ITS_THREAD)
  self.memory = std::strcpy(static_cast<char*>(std::malloc(64)), "");
#endif
  return TASKHOST_OK;
}

std::int32_t poll_more([[maybe_unused]] State& self) {
  ++self.polls;
#if defined(SLY_OVERRUNS_STATE)
  std::memset(&self + 1, 0, 1);
#elif defined(SLY_CLOSES_WATCHED)
  if (self.polls == 1) {
    self.exec->services->watch(self.exec, self.descriptor, TASKHOST_READABLE, 0);
    ::close(self.descriptor);
    self.descriptor = -1;
  }
#elif defined(SLY_FAILS_WHEN_SPURIOUS)
  // Takes every poll for its timer.
  if (self.polls > 1 && taskhost_now(self.exec) < self.due) return taskhost_fail(self.exec, "the timer came early");
  self.due = taskhost_now(self.exec) + 60 * TASKHOST_SECOND;
  self.exec->services->wake_at(self.exec, self.due);
#elif defined(SLY_PANICS_WHEN_LATE)
  // Like a subtraction that must not overflow.
  const std::uint64_t now = taskhost_now(self.exec);
  if (self.due != 0 && now > self.due + TASKHOST_SECOND) {
    taskhost_fail(self.exec, "attempt to subtract with overflow");
    return TASKHOST_PANIC;
  }
  self.due = now + 60 * TASKHOST_SECOND;
  self.exec->services->wake_at(self.exec, self.due);
#elif defined(SLY_SPINS_ON_TIMER)
  --self.polls;  // nothing changes
  taskhost_wake_after(self.exec, 0);
#elif defined(SLY_CRASHES_LATER)
  if (self.polls == 3) std::raise(SIGSEGV);
  taskhost_wake_after(self.exec, TASKHOST_SECOND);
#elif defined(SLY_SHARES_GLOBAL)
  if (*static_cast<State**>(self.memory) != &self) return taskhost_fail(self.exec, "this is not my state");
  taskhost_wake_after(self.exec, TASKHOST_MILLISECOND);
#elif defined(SLY_NEEDS_ITS_THREAD)
  thread_local std::uint64_t seen = 0;
  if (++seen < self.polls) return taskhost_fail(self.exec, "where is my thread-local?");
  taskhost_wake_after(self.exec, TASKHOST_SECOND);
#elif defined(SLY_MAKES_UP_WAKER)
  // As in a language whose numbers are doubles.
  const auto rounded = static_cast<double>(self.exec->services->waker(self.exec));
  if (self.polls == 1) self.exec->services->wake(static_cast<taskhost_waker>(rounded));
#elif defined(SLY_STOPS_LATE)
  taskhost_wake_after(self.exec, TASKHOST_SECOND);
#endif
  return TASKHOST_PENDING;
}

std::int32_t start(void* state, const taskhost_exec* exec) {
  auto* self = new (state) State{exec, 0, 0, -1, nullptr, nullptr};
  return start_more(*self);
}

std::int32_t poll(void* state, const taskhost_exec* exec) {
  auto* self = static_cast<State*>(state);
#if defined(SLY_STOPS_LATE)
  if (taskhost_stop_requested(exec)) {
    if (self->due == 0) self->due = taskhost_now(exec) + 60 * TASKHOST_SECOND;
    if (taskhost_now(exec) >= self->due) return TASKHOST_OK;
    taskhost_wake_after(exec, 60 * TASKHOST_SECOND);
    return TASKHOST_PENDING;
  }
#else
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
#endif
  return poll_more(*self);
}

void drop(void* state, const taskhost_exec* /*exec*/) {
  auto* self = static_cast<State*>(state);
#if defined(SLY_NEEDS_ITS_THREAD)
  std::free(self->memory);
#elif defined(SLY_CLOSES_WATCHED)
  if (self->descriptor >= 0) ::close(self->descriptor);
#elif defined(SLY_DROP_BLOCKS)
  pause_ms(150);
#elif defined(SLY_DROP_USES_SERVICES)
  self->exec->services->waker(self->exec);
#endif
  if (self->thread != nullptr) self->thread->join();
  delete self->thread;
}

#if defined(SLY_FINISH_FAILS)
#define FINISH finish
std::int32_t finish(void* /*state*/, const taskhost_exec* exec) {
  taskhost_fail(exec, "the end went wrong");
  return TASKHOST_OK;
}
#endif

#if defined(SLY_CHECK_STARTS_THREAD) || defined(SLY_CHECK_LEAKS_DESCRIPTORS) || defined(SLY_CHECK_USES_WAKER) || \
    defined(SLY_CHECK_IS_READY) || defined(SLY_CHECK_REFUSES_WHAT_STARTS)
#define CHECK check
std::int32_t check([[maybe_unused]] const taskhost_exec* exec) {
#if defined(SLY_CHECK_STARTS_THREAD)
  std::thread([] { pause_ms(3'600'000); }).detach();
#elif defined(SLY_CHECK_LEAKS_DESCRIPTORS)
  (void)::eventfd(0, EFD_CLOEXEC);
#elif defined(SLY_CHECK_USES_WAKER)
  exec->services->wake(exec->services->waker(exec));
#elif defined(SLY_CHECK_IS_READY)
  exec->services->ready(exec);
#elif defined(SLY_CHECK_REFUSES_WHAT_STARTS)
  if (std::strcmp(taskhost_config(exec), "{}") == 0) return taskhost_fail(exec, "config: /path: is missing");
#endif
  return TASKHOST_OK;
}
#endif

#if defined(SLY_PRINTS_WHEN_LOADED)
[[maybe_unused]] const int printed = std::puts("sly plugin 1.0, all rights reserved");
#elif defined(SLY_STARTS_THREAD_WHEN_LOADED)
[[maybe_unused]] const bool started = (std::thread([] { pause_ms(3'600'000); }).detach(), true);
#endif

taskhost_factory describe() {
  taskhost_factory made{};
  made.struct_size = sizeof(taskhost_factory);
  made.name = PLUGIN_NAME;
  made.version = "1.0";
  made.description = "a test plugin";
  made.state_size = sizeof(State);
  made.state_align = alignof(State);
  made.start = start;
  made.poll = poll;
  made.drop = drop;
#ifdef FINISH
  made.finish = FINISH;
#endif
#ifdef CHECK
  made.check = CHECK;
#endif
  return made;
}

}  // namespace

extern "C" const taskhost_factory* taskhost_plugin_v1(void) {
#if defined(SLY_ENTRY_DIFFERS)
  static taskhost_factory two[2] = {describe(), describe()};
  static std::atomic<unsigned> calls{0};
  return &two[calls++ % 2];
#elif defined(SLY_DESCRIPTOR_CHANGES)
  static std::atomic<unsigned> calls{0};
  static taskhost_factory made;
  made = describe();
  made.description = calls++ % 2 == 0 ? "a test plugin" : "another";
  return &made;
#else
  static taskhost_factory made = describe();
  return &made;
#endif
}
