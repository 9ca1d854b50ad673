// One source, many bad plugins: a good plugin that runs until it is stopped, in which one macro breaks one thing. The
// table in README.md says what each breaks and what the host must do about it.
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "taskhost/plugin.h"

#if defined(BAD_WAKES_FROM_THREADS) || defined(BAD_STALE_WAKER)
#include <atomic>
#include <mutex>
#include <vector>
#endif

namespace {

// --- One execution ---------------------------------------------------------------------------------------------------

[[maybe_unused]] std::int32_t good_poll(void*, const taskhost_exec* exec) {
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}

[[maybe_unused]] std::int32_t good_run(void*, const taskhost_exec* exec) {
  while (!(exec->services->wait(exec, TASKHOST_NEVER) & TASKHOST_WAIT_STOP)) {
  }
  return TASKHOST_OK;
}

#if defined(BAD_START_FAILS)
#define START bad_start
std::int32_t bad_start(void*, const taskhost_exec* exec) { return taskhost_fail(exec, "start was told to fail"); }
#elif defined(BAD_START_THROWS)
#define START bad_start
std::int32_t bad_start(void*, const taskhost_exec*) { throw std::runtime_error("start threw"); }
#elif defined(BAD_START_EXITS)
#define START bad_start
std::int32_t bad_start(void*, const taskhost_exec*) { std::exit(0); }
#elif defined(BAD_START_NONSENSE)
#define START bad_start
std::int32_t bad_start(void*, const taskhost_exec*) { return 17; }
#elif defined(BAD_START_PENDING)
#define START bad_start
std::int32_t bad_start(void*, const taskhost_exec*) { return TASKHOST_PENDING; }
#elif defined(BAD_START_PANICS)
#define START bad_start
std::int32_t bad_start(void*, const taskhost_exec* exec) {
  taskhost_fail(exec, "start panicked");
  return TASKHOST_PANIC;
}
#elif defined(BAD_START_BLOCKS)
#define START bad_start
std::int32_t bad_start(void*, const taskhost_exec*) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return TASKHOST_OK;
}
#endif

#if defined(BAD_POLL_FAILS)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec* exec) { return taskhost_fail(exec, "poll was told to fail"); }
#elif defined(BAD_POLL_FAILS_SILENTLY)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) { return TASKHOST_ERROR; }
#elif defined(BAD_POLL_PANICS)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  taskhost_fail(exec, "poll panicked");
  return TASKHOST_PANIC;
}
#elif defined(BAD_POLL_THROWS)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) { throw std::runtime_error("poll threw"); }
#elif defined(BAD_POLL_THROWS_INT)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) { throw 17; }
#elif defined(BAD_POLL_NONSENSE)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) { return 17; }
#elif defined(BAD_POLL_NEGATIVE)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) { return -1; }
#elif defined(BAD_POLL_BLOCKS)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return TASKHOST_OK;
}
#elif defined(BAD_POLL_EXITS)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) { std::exit(0); }
#elif defined(BAD_POLL_WAITS)
#define POLL bad_poll
// Rule 4.7: here wait must return 0 at once.
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  const std::uint32_t bits = taskhost_wait_for(exec, 60 * TASKHOST_SECOND);
  return bits == 0 ? taskhost_fail(exec, "wait returned 0") : taskhost_fail(exec, "wait waited in poll");
}
#elif defined(BAD_NEVER_WAKES)
#define POLL bad_poll
// Only a stop can end it, and only because the host then wakes it.
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}
#elif defined(BAD_ALWAYS_WAKES)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  exec->services->wake(exec->services->waker(exec));
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}
#elif defined(BAD_DEAF_POLLED)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) { return TASKHOST_PENDING; }
#elif defined(BAD_FAILS_NOT_UTF8)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  static const char text[] = "good \xff\xfe\xc3( \x00 bad";
  return exec->services->fail(exec, text, sizeof text - 1);
}
#elif defined(BAD_FAILS_LONG)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  const std::string text(1 << 20, 'x');
  return exec->services->fail(exec, text.data(), text.size());
}
#elif defined(BAD_LOGS_BADLY)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  const std::string text(1 << 20, 'x');
  exec->services->log(exec, TASKHOST_LOG_INFO, text.data(), text.size());
  static const char forged[] = "not \xff\xfe text \x1b[31m\n[error] forged";
  exec->services->log(exec, TASKHOST_LOG_INFO, forged, sizeof forged - 1);
  exec->services->log(exec, 17, "no such level", 13);
  exec->services->log(exec, -1, "", 0);
  return TASKHOST_OK;
}
#elif defined(BAD_WATCHES_CLOSED_FD)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  const bool refused = exec->services->watch(exec, -1, TASKHOST_READABLE, 0) == TASKHOST_REFUSED_CLOSED &&
                       exec->services->watch(exec, 1000000, TASKHOST_READABLE, 0) == TASKHOST_REFUSED_CLOSED;
  return refused ? taskhost_fail(exec, "refused") : taskhost_fail(exec, "a closed descriptor was taken");
}
#elif defined(BAD_ASKS_FOR_NOTHING)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  const taskhost_services* services = exec->services;
  const bool none = services->extension(exec, "no.such.extension", 1) == nullptr &&
                    services->extension(exec, "taskhost.signals", 4000000000u) == nullptr &&
                    services->extension(exec, "", 0) == nullptr;
  services->wake(0);
  services->wake(~taskhost_waker{0});
  services->wake(0x123456789abcdefull);
  return none ? taskhost_fail(exec, "none") : taskhost_fail(exec, "an extension that nobody knows was given");
}
#elif defined(BAD_WAKES_FROM_THREADS)
// Four threads wake the execution at the same time, each twice in a row, many times. It ends well when all are done.
#define POLL bad_poll
#define START bad_start
#define DROP bad_drop
struct Storm {
  std::atomic<int> finished{0};
  std::vector<std::thread> threads;
};
#define STATE_TYPE Storm
std::int32_t bad_start(void* state, const taskhost_exec* exec) {
  auto* storm = new (state) Storm;
  const taskhost_services* services = exec->services;
  const taskhost_waker waker = services->waker(exec);
  for (int index = 0; index < 4; ++index) {
    storm->threads.emplace_back([storm, services, waker] {
      for (int turn = 0; turn < 1000; ++turn) {
        services->wake(waker);
        services->wake(waker);
      }
      storm->finished.fetch_add(1);
      services->wake(waker);
    });
  }
  return TASKHOST_OK;
}
std::int32_t bad_poll(void* state, const taskhost_exec* exec) {
  const bool finished = static_cast<Storm*>(state)->finished.load() == 4;
  return finished || taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}
void bad_drop(void* state, const taskhost_exec* /*exec*/) {
  auto* storm = static_cast<Storm*>(state);
  for (std::thread& thread : storm->threads) thread.join();
  storm->~Storm();
}
#elif defined(BAD_STALE_WAKER)
// A thread that outlives every execution, breaking rule 5.2, and wakes those that have ended, as long as the process
// lives. Each execution ends at once with an error.
#define POLL bad_poll
struct Haunting {
  std::mutex mutex;
  std::vector<taskhost_waker> wakers;
};
Haunting* haunting = nullptr;  // never freed, since the thread never ends
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  static std::once_flag once;
  const taskhost_services* services = exec->services;
  std::call_once(once, [services] {
    haunting = new Haunting;
    std::thread([services] {
      for (;;) {
        {
          const std::lock_guard lock(haunting->mutex);
          for (const taskhost_waker waker : haunting->wakers) services->wake(waker);
        }
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    }).detach();
  });
  const std::lock_guard lock(haunting->mutex);
  if (haunting->wakers.size() < 1000) haunting->wakers.push_back(services->waker(exec));
  return taskhost_fail(exec, "haunted from now on");
}
#endif

#if defined(BAD_RUN_THROWS)
#define RUN bad_run
std::int32_t bad_run(void*, const taskhost_exec*) { throw std::runtime_error("run threw"); }
#elif defined(BAD_RUN_FAILS)
#define RUN bad_run
std::int32_t bad_run(void*, const taskhost_exec* exec) { return taskhost_fail(exec, "run was told to fail"); }
#elif defined(BAD_RUN_PENDING)
#define RUN bad_run
std::int32_t bad_run(void*, const taskhost_exec*) { return TASKHOST_PENDING; }
#elif defined(BAD_RUN_NONSENSE)
#define RUN bad_run
std::int32_t bad_run(void*, const taskhost_exec*) { return 17; }
#elif defined(BAD_RUN_EXITS)
#define RUN bad_run
std::int32_t bad_run(void*, const taskhost_exec*) { std::exit(0); }
#elif defined(BAD_DEAF_BLOCKING)
#define RUN bad_run
std::int32_t bad_run(void*, const taskhost_exec*) {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}
#endif

#if defined(BAD_DROP_THROWS)
#define DROP bad_drop
void bad_drop(void*, const taskhost_exec* /*exec*/) { throw std::runtime_error("drop threw"); }
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) { return TASKHOST_OK; }
#elif defined(BAD_DROP_THROWS_ON_STOP)
#define DROP bad_drop
void bad_drop(void*, const taskhost_exec* /*exec*/) { throw std::runtime_error("drop threw"); }
#elif defined(BAD_DROP_EXITS)
#define DROP bad_drop
void bad_drop(void*, const taskhost_exec* /*exec*/) { std::exit(0); }
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec*) { return TASKHOST_OK; }
#endif

#if defined(BAD_FINISH_NONSENSE)
#define FINISH bad_finish
std::int32_t bad_finish(void*, const taskhost_exec*) { return 17; }
#elif defined(BAD_FINISH_THROWS)
#define FINISH bad_finish
std::int32_t bad_finish(void*, const taskhost_exec*) { throw std::runtime_error("finish threw"); }
#elif defined(BAD_FINISH_NEVER_ENDS)
#define FINISH bad_finish
std::int32_t bad_finish(void*, const taskhost_exec*) { return TASKHOST_PENDING; }
#elif defined(BAD_WORK_THROWS)
#define POLL bad_poll
std::int32_t bad_poll(void*, const taskhost_exec* exec) {
  taskhost_ready ready;
  if (exec->services->take_ready(exec, &ready, 1) == 1) return taskhost_fail(exec, "told that the work is done");
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  const taskhost_work work = {sizeof work, 0, 0, nullptr, [](void*) { throw std::runtime_error("the work threw"); },
                              nullptr};
  return exec->services->offload(exec, &work) == TASKHOST_OK ? TASKHOST_PENDING : TASKHOST_ERROR;
}
#endif

#if defined(BAD_CHECK_FAILS)
#define CHECK bad_check
std::int32_t bad_check(const taskhost_exec* exec) {
  return taskhost_fail(exec, "config: /number: must be even; write 2 instead of 1");
}
#elif defined(BAD_CHECK_FAILS_SILENTLY)
#define CHECK bad_check
std::int32_t bad_check(const taskhost_exec*) { return TASKHOST_ERROR; }
#elif defined(BAD_CHECK_PANICS)
#define CHECK bad_check
std::int32_t bad_check(const taskhost_exec* exec) {
  taskhost_fail(exec, "check panicked");
  return TASKHOST_PANIC;
}
#elif defined(BAD_CHECK_NONSENSE)
#define CHECK bad_check
std::int32_t bad_check(const taskhost_exec*) { return TASKHOST_PENDING; }
#elif defined(BAD_CHECK_THROWS)
#define CHECK bad_check
std::int32_t bad_check(const taskhost_exec*) { throw std::runtime_error("check threw"); }
#endif

// --- The descriptor --------------------------------------------------------------------------------------------------

taskhost_factory describe() {
  taskhost_factory made{};
  made.struct_size = sizeof(taskhost_factory);
  made.name = PLUGIN_NAME;
  made.version = "1.0";
  made.description = "a test plugin";
  made.state_size = 64;
#ifdef STATE_TYPE
  made.state_size = sizeof(STATE_TYPE);
  made.state_align = alignof(STATE_TYPE);
#endif
#ifdef START
  made.start = START;
#endif
#if defined(RUN)
  made.run = RUN;
#elif defined(POLL)
  made.poll = POLL;
#else
  made.poll = good_poll;
#endif
#ifdef FINISH
  made.finish = FINISH;
#endif
#ifdef DROP
  made.drop = DROP;
#endif
#ifdef CHECK
  made.check = CHECK;
#endif

#if defined(BAD_REQUIRES_NEWER_MINOR)
  made.required_minor = 1000000;
#elif defined(BAD_SIZE_ZERO)
  made.struct_size = 0;
#elif defined(BAD_SIZE_SHORT)
  made.struct_size = offsetof(taskhost_factory, next);
#elif defined(BAD_SIZE_HUGE)
  made.struct_size = 0xffffffffu;
#elif defined(BAD_SIZE_ABOVE_LIMIT)
  made.struct_size = 65537;
#elif defined(BAD_STATE_HUGE)
  made.state_size = SIZE_MAX;
#elif defined(BAD_STATE_ABOVE_LIMIT)
  made.state_size = (std::size_t{1} << 30) + 1;
#elif defined(BAD_ALIGN_THREE)
  made.state_align = 3;
#elif defined(BAD_ALIGN_8192)
  made.state_align = 8192;
#elif defined(BAD_POLL_AND_RUN)
  made.run = good_run;
#elif defined(BAD_RUN_AND_FINISH)
  made.poll = nullptr;
  made.run = good_run;
  made.finish = good_poll;
#elif defined(BAD_NO_FUNCTION)
  made.poll = nullptr;
#elif defined(BAD_NAME_NULL)
  made.name = nullptr;
#elif defined(BAD_NAME_EMPTY)
  made.name = "";
#elif defined(BAD_NAME_NOT_UTF8)
  made.name = "caf\xe9";
#elif defined(BAD_NAME_OVERLONG_UTF8)
  made.name = "a\xc0\xaf";
#elif defined(BAD_NAME_ENDLESS)
  static char endless[65536];
  for (char& character : endless) character = 'a';
  made.name = endless;
#elif defined(BAD_NAME_TOO_LONG)
  static const std::string long_name(129, 'a');
  made.name = long_name.c_str();
#elif defined(BAD_NAME_CONTROL)
  made.name = "bad\x1b[31m\nname";
#elif defined(BAD_VERSION_TOO_LONG)
  static const std::string long_version(65, '1');
  made.version = long_version.c_str();
#elif defined(BAD_VERSION_NOT_UTF8)
  made.version = "1.\xff";
#elif defined(BAD_DESCRIPTION_TOO_LONG)
  static const std::string long_description(1025, 'd');
  made.description = long_description.c_str();
#elif defined(BAD_DESCRIPTION_NOT_UTF8)
  made.description = "na\xefve";
#elif defined(BAD_FLAGS_UNKNOWN)
  made.flags = 0x80000000u;
#elif defined(BAD_RESERVED_USED)
  made.reserved = 1;
#endif
  return made;
}

[[maybe_unused]] const taskhost_factory* first_factory() {
  static taskhost_factory first = describe();
#if defined(BAD_DUPLICATE_NAMES)
  static taskhost_factory second = describe();
  first.next = &second;
#elif defined(BAD_ENDLESS_CHAIN)
  first.next = &first;
#elif defined(BAD_LONG_CHAIN)
  static taskhost_factory links[1024];
  static std::string names[1024];
  for (int index = 0; index < 1024; ++index) {
    links[index] = describe();
    names[index] = "link " + std::to_string(index);
    links[index].name = names[index].c_str();
    links[index].next = index + 1 < 1024 ? &links[index + 1] : nullptr;
  }
  first.next = links;
#elif defined(BAD_SECOND_FACTORY)
  static taskhost_factory second = describe();
  second.name = "second";
  second.state_align = 3;
  first.next = &second;
#endif
  return &first;
}

}  // namespace

// --- The entry -------------------------------------------------------------------------------------------------------

#if defined(BAD_NO_ENTRY)
extern "C" TASKHOST_EXPORT const taskhost_factory* taskhost_plugin(void) { return first_factory(); }
#elif defined(BAD_ENTRY_V0)
extern "C" TASKHOST_EXPORT const taskhost_factory* taskhost_plugin_v0(void) { return first_factory(); }
#elif defined(BAD_ENTRY_V2)
extern "C" TASKHOST_EXPORT const taskhost_factory* taskhost_plugin_v2(void) { return first_factory(); }
#elif defined(BAD_ENTRY_NULL)
extern "C" const taskhost_factory* taskhost_plugin_v1(void) { return nullptr; }
#elif defined(BAD_ENTRY_THROWS)
extern "C" const taskhost_factory* taskhost_plugin_v1(void) { throw std::runtime_error("the entry threw"); }
#elif defined(BAD_ENTRY_THROWS_INT)
extern "C" const taskhost_factory* taskhost_plugin_v1(void) { throw 17; }
#elif defined(BAD_ENTRY_EXITS)
extern "C" const taskhost_factory* taskhost_plugin_v1(void) { std::exit(0); }
#elif defined(BAD_UNRESOLVED)
extern "C" void taskhost_test_function_that_nobody_has(void);
extern "C" const taskhost_factory* taskhost_plugin_v1(void) {
  taskhost_test_function_that_nobody_has();
  return first_factory();
}
#else
extern "C" const taskhost_factory* taskhost_plugin_v1(void) { return first_factory(); }
#endif
