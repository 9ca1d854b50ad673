/* The workloads' tasks: as small as possible, so that the host is what is measured. taskhost-bench loads it from its
 * file, for the host, the floor and the Asio baseline alike. */
#define _POSIX_C_SOURCE 200809L
#include "bench_plugin.h"

#include <taskhost/plugin.h>
#include <time.h>

bench_setting bench_settings = {0, UINT64_MAX, 0};
bench_row bench_rows[BENCH_ROWS];
uint32_t bench_late[BENCH_LATE_BUCKETS];
bench_listener bench_listeners[BENCH_LISTENERS];
uint32_t bench_listening;
uint32_t bench_threads;
void (*bench_wake)(uint64_t);

static __thread bench_row* own_row;

/* Each thread has its own row of counts. Atomic since others read it meanwhile, but no thread waits for another. */
static bench_row* row(void) {
  if (own_row == NULL) own_row = &bench_rows[__atomic_fetch_add(&bench_threads, 1, __ATOMIC_RELAXED) % BENCH_ROWS];
  return own_row;
}
static void count(uint64_t* counter) {
  __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

/* Sixteen bytes, as in each workload's floor. */
typedef struct bench_state {
  uint64_t word;
  uint32_t polls;
  uint32_t number;
} bench_state;

static int32_t start(void* state, const taskhost_exec* exec) {
  (void)exec;
  ((bench_state*)state)->polls = 0;
  count(&row()->starts);
  return TASKHOST_OK;
}

static void drop(void* state, const taskhost_exec* exec) {
  (void)exec;
  ((bench_state*)state)->polls = UINT32_MAX;
}

/* w1: fails at once. */
static int32_t fail_poll(void* state, const taskhost_exec* exec) {
  (void)exec;
  ((bench_state*)state)->polls++;
  return TASKHOST_ERROR;
}

/* w2: idle until the stop. */
static int32_t idle_poll(void* state, const taskhost_exec* exec) {
  if (((bench_state*)state)->polls++ == 0) count(&row()->polls);
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}

/* w3: sleeps a millisecond, repeatedly. One in 16 of a thread's tasks checks how late it was woken. */
static int32_t tick_start(void* state, const taskhost_exec* exec) {
  const int32_t result = start(state, exec);
  ((bench_state*)state)->number = (uint32_t)row()->starts;
  return result;
}
static int32_t tick_poll(void* state, const taskhost_exec* exec) {
  bench_state* self = (bench_state*)state;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  if (self->polls++ == bench_settings.ticks) return TASKHOST_OK;
  count(&row()->polls);
  exec->services->wake_after(exec, TASKHOST_MILLISECOND);
  if (self->number % 16 == 0) {
    const uint64_t now = taskhost_now(exec);
    if (self->word != 0) {
      const uint64_t late = now > self->word ? (now - self->word) / TASKHOST_MICROSECOND : 0;
      __atomic_fetch_add(&bench_late[late < BENCH_LATE_BUCKETS ? late : BENCH_LATE_BUCKETS - 1], 1, __ATOMIC_RELAXED);
    }
    self->word = now + TASKHOST_MILLISECOND;
  }
  return TASKHOST_PENDING;
}

/* w4: wakes itself this many times. */
static int32_t yield_poll(void* state, const taskhost_exec* exec) {
  bench_state* self = (bench_state*)state;
  if (self->polls == 0) self->word = exec->services->waker(exec);
  if (self->polls++ == bench_settings.yields) return TASKHOST_OK;
  exec->services->wake(self->word);
  return TASKHOST_PENDING;
}

/* w5: fails a millisecond later. */
static int32_t later_poll(void* state, const taskhost_exec* exec) {
  if (((bench_state*)state)->polls++ != 0) return TASKHOST_ERROR;
  exec->services->wake_after(exec, TASKHOST_MILLISECOND);
  return TASKHOST_PENDING;
}

/* wake: publishes its waker, then counts its wakes and notes their times. */
static int32_t listen_poll(void* state, const taskhost_exec* exec) {
  bench_state* self = (bench_state*)state;
  bench_listener* listener;
  if (self->polls++ == 0) {
    self->number = __atomic_fetch_add(&bench_listening, 1, __ATOMIC_RELAXED) % BENCH_LISTENERS;
    __atomic_store_n(&bench_wake, exec->services->wake, __ATOMIC_RELAXED);
    __atomic_store_n(&bench_listeners[self->number].waker, exec->services->waker(exec), __ATOMIC_RELEASE);
    return TASKHOST_PENDING;
  }
  listener = &bench_listeners[self->number];
  if (bench_settings.stamps) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    __atomic_store_n(&listener->polled_at, (uint64_t)now.tv_sec * TASKHOST_SECOND + (uint64_t)now.tv_nsec,
                     __ATOMIC_RELEASE);
  }
  count(&row()->polls);
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}

/* wake: keeps its shard busy until the stop. */
static int32_t spin_poll(void* state, const taskhost_exec* exec) {
  bench_state* self = (bench_state*)state;
  if (self->polls++ == 0) self->word = exec->services->waker(exec);
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  exec->services->wake(self->word);
  return TASKHOST_PENDING;
}

/* isolated: is ready, and waits. */
static int32_t ready_poll(void* state, const taskhost_exec* exec) {
  exec->services->ready(exec);
  return idle_poll(state, exec);
}

/* isolated: logs 100,000 lines, a thousand at a time. */
static int32_t log_poll(void* state, const taskhost_exec* exec) {
  bench_state* self = state;
  int i;
  if (taskhost_stop_requested(exec) || self->word == 0) return TASKHOST_OK;
  for (i = 0; i < 1000; ++i, --self->word)
    taskhost_log(exec, TASKHOST_LOG_INFO, "a line of forty bytes, as tasks log them");
  return TASKHOST_AGAIN;
}
static int32_t log_start(void* state, const taskhost_exec* exec) {
  bench_state* self = state;
  const int32_t result = start(state, exec);
  self->word = 100000;
  return result;
}

#define BENCH_FACTORY(factory_name, start_function, poll_function, next_factory)                      \
  {                                                                                                   \
    .struct_size = sizeof(taskhost_factory), .name = factory_name, .state_size = sizeof(bench_state), \
    .start = start_function, .poll = poll_function, .drop = drop, .next = next_factory                \
  }
static const taskhost_factory log_lines = BENCH_FACTORY("log", log_start, log_poll, NULL);
static const taskhost_factory ready = BENCH_FACTORY("ready", start, ready_poll, &log_lines);
static const taskhost_factory spin = BENCH_FACTORY("spin", start, spin_poll, &ready);
static const taskhost_factory listen = BENCH_FACTORY("listen", start, listen_poll, &spin);
static const taskhost_factory later = BENCH_FACTORY("later", start, later_poll, &listen);
static const taskhost_factory yield = BENCH_FACTORY("yield", start, yield_poll, &later);
static const taskhost_factory tick = BENCH_FACTORY("tick", tick_start, tick_poll, &yield);
static const taskhost_factory idle = BENCH_FACTORY("idle", start, idle_poll, &tick);
static const taskhost_factory fail = BENCH_FACTORY("fail", start, fail_poll, &idle);
TASKHOST_PLUGIN(fail)
