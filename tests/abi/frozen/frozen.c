/*
 * Small plugins, one for each promise of the host that a plugin of version 1.0 relies on. Compiled once for each minor
 * version, by `build`, and kept: every later host has to run the old binaries. Each ends OK if the promise is kept, and
 * otherwise fails with what it saw.
 */
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "taskhost/ext/config.h"
#include "taskhost/ext/manifest.h"
#include "taskhost/ext/signals.h"
#include "taskhost/plugin.h"

#define EXPECT(condition)                                     \
  do {                                                        \
    if (!(condition)) return taskhost_fail(exec, #condition); \
  } while (0)

struct state {
  uint64_t polls;
  int ends[2];
  taskhost_waker waker;
  uint64_t due;
};

#if defined(RULE_2_5) /* state is zeroed, aligned, and stays where it is */
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  struct state* self = (struct state*)state;
  EXPECT((uintptr_t)state % 512 == 0);
  EXPECT(self->polls == 0 || self->waker == (taskhost_waker)(uintptr_t)state);
  self->waker = (taskhost_waker)(uintptr_t)state;
  EXPECT(self->polls == 0 || self->ends[0] == 7);
  self->ends[0] = 7;
  return ++self->polls < 3 ? TASKHOST_AGAIN : TASKHOST_OK;
}
#define ALIGN 512
#elif defined(RULE_3_2)  /* PENDING waits for a wake, AGAIN does not */
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  struct state* self = (struct state*)state;
  switch (++self->polls) {
    case 1:
      return TASKHOST_AGAIN;
    case 2:
      exec->services->wake(exec->services->waker(exec));
      return TASKHOST_PENDING;
    default:
      return TASKHOST_OK;
  }
}
#elif defined(RULE_3_3)  /* run blocks, and wait tells why it returns */
static int32_t run_task(void* state, const taskhost_exec* exec) {
  struct pollfd polled;
  (void)state;
  EXPECT(taskhost_wait_for(exec, 2 * TASKHOST_MILLISECOND) == TASKHOST_WAIT_TIME);
  polled.fd = (int)exec->services->wait_fd(exec);
  polled.events = POLLIN;
  EXPECT(polled.fd >= 0);
  EXPECT(poll(&polled, 1, 0) == 0);
  exec->services->wake(exec->services->waker(exec));
  EXPECT(poll(&polled, 1, 10000) == 1);
  EXPECT(exec->services->wait(exec, 0) & TASKHOST_WAIT_WAKE);
  EXPECT(exec->services->watch(exec, polled.fd, TASKHOST_READABLE, 0) == TASKHOST_REFUSED_CALL);
  return TASKHOST_OK;
}
#elif defined(RULE_3_15) /* finish comes after the end, until it returns OK; drop comes after it */
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  struct state* self = (struct state*)state;
  EXPECT(self->polls == 0);
  self->polls = 1;
  return TASKHOST_OK;
}
static int32_t finish_task(void* state, const taskhost_exec* exec) {
  struct state* self = (struct state*)state;
  (void)exec;
  if (self->polls == 0) return 99; /* said in the log, with rule 3.15 */
  return ++self->polls < 4 ? TASKHOST_AGAIN : TASKHOST_OK;
}
#define FINISH finish_task
static void drop_task(void* state, const taskhost_exec* exec) {
  const struct state* self = (const struct state*)state;
  taskhost_log(exec, TASKHOST_LOG_INFO, self->polls == 4 ? "dropped after finish" : "dropped before finish was done");
}
#define DROP drop_task
#elif defined(RULE_3_16) /* check has the config and what it needs to judge it */
static int32_t check_task(const taskhost_exec* exec) {
  const taskhost_config_reader* config = (const taskhost_config_reader*)exec->services->extension(
      exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  EXPECT(config != NULL);
  EXPECT(exec->services->extension(exec, TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION) == NULL);
  EXPECT(strcmp(exec->services->task_name(exec), "rule_3_16") == 0);
  EXPECT(exec->services->waker(exec) == 0);
  EXPECT(exec->services->now() != 0);
  return TASKHOST_OK;
}
#define CHECK check_task
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  return TASKHOST_OK;
}
#elif defined(RULE_4_3) /* a waker is a value, and harmless once its execution has ended */
static taskhost_waker former;
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  struct state* self = (struct state*)state;
  exec->services->wake(former);
  exec->services->wake(0);
  former = exec->services->waker(exec);
  EXPECT(former != 0);
  EXPECT(former == exec->services->waker(exec));
  if (++self->polls == 1) {
    exec->services->wake(former);
    return TASKHOST_PENDING;
  }
  if (exec->services->execution_number(exec) < 3) return taskhost_fail(exec, "restart me");
  return TASKHOST_OK;
}
#elif defined(RULE_4_4) /* the timer is never early, and a new time replaces the old one */
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  struct state* self = (struct state*)state;
  uint64_t now = taskhost_now(exec);
  if (self->due == 0) {
    self->due = now + 5 * TASKHOST_MILLISECOND;
    taskhost_wake_after(exec, 1);
    exec->services->wake_at(exec, self->due);
    return TASKHOST_PENDING;
  }
  EXPECT(now >= self->due);
  return TASKHOST_OK;
}
#elif defined(RULE_4_5) /* a watch stays, tells its tag, and refuses with a reason */
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  struct state* self = (struct state*)state;
  const taskhost_services* host = exec->services;
  taskhost_ready ready[2];
  size_t count;
  if (++self->polls == 1) {
    int null = 0;
    EXPECT(pipe(self->ends) == 0);
    EXPECT(host->watch(exec, -1, TASKHOST_READABLE, 0) == TASKHOST_REFUSED_CLOSED);
    EXPECT(host->watch(exec, self->ends[0], 64, 0) == TASKHOST_REFUSED_ARGUMENT);
    EXPECT(host->watch(exec, null, 0, 0) == TASKHOST_OK);
    EXPECT(host->watch(exec, self->ends[0], TASKHOST_READABLE, 41) == TASKHOST_OK);
    EXPECT(host->watch(exec, self->ends[0], TASKHOST_READABLE, 42) == TASKHOST_OK);
    EXPECT(host->watch(exec, self->ends[1], TASKHOST_BROKEN, 43) == TASKHOST_OK);
    EXPECT(host->take_ready(exec, ready, 2) == 0);
    EXPECT(write(self->ends[1], "x", 1) == 1);
    return TASKHOST_PENDING;
  }
  count = host->take_ready(exec, ready, 2);
  if (count == 0) return TASKHOST_PENDING;
  EXPECT(count == 1);
  if (self->polls < 5 && ready[0].tag == 42) {
    EXPECT((ready[0].what & TASKHOST_READABLE) != 0);
    return TASKHOST_PENDING; /* it is told again as long as it is not read */
  }
  if (ready[0].tag == 42) {
    EXPECT(host->watch(exec, self->ends[0], 0, 0) == TASKHOST_OK);
    close(self->ends[0]);
    return TASKHOST_PENDING;
  }
  EXPECT(ready[0].tag == 43);
  EXPECT((ready[0].what & TASKHOST_BROKEN) != 0);
  return TASKHOST_OK;
}
static void drop_task(void* state, const taskhost_exec* exec) {
  struct state* self = (struct state*)state;
  exec->services->watch(exec, self->ends[1], 0, 0);
  close(self->ends[1]);
}
#define DROP drop_task
#elif defined(RULE_4_7)  /* what is for run only does nothing in poll */
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  (void)state;
  EXPECT(exec->services->wait(exec, TASKHOST_NEVER) == 0);
  EXPECT(exec->services->wait_fd(exec) == -1);
  return TASKHOST_OK;
}
#elif defined(RULE_4_8)  /* all services of this version are there */
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  (void)state;
  EXPECT(exec->services->struct_size >= sizeof(taskhost_services));
  EXPECT(exec->services->abi_minor + 1 > TASKHOST_ABI_MINOR);
  exec->services->ready(exec);
  exec->services->heartbeat(exec);
  exec->services->status(exec, "looking at the table", 20);
  EXPECT(strcmp(taskhost_config(exec), "{}") == 0);
  EXPECT(!taskhost_stop_requested(exec));
  return TASKHOST_OK;
}
#elif defined(RULE_4_9)  /* published revisions of extensions stay */
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  const taskhost_signals* signals =
      (const taskhost_signals*)exec->services->extension(exec, TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION);
  const taskhost_config_reader* config = (const taskhost_config_reader*)exec->services->extension(
      exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  const taskhost_manifest* manifest = (const taskhost_manifest*)exec->services->extension(
      exec, TASKHOST_EXTENSION_MANIFEST, TASKHOST_MANIFEST_REVISION);
  (void)state;
  EXPECT(signals != NULL && config != NULL && manifest != NULL);
  EXPECT(signals->take(exec) == 0);
  EXPECT(manifest->directory(exec)[0] == '/');
  EXPECT(exec->services->extension(exec, "no.such.extension", 1) == NULL);
  return TASKHOST_OK;
}
#elif defined(RULE_4_11) /* offloaded work is run on another thread, and told once; or discarded */
static int answer;
static void work(void* argument) { *(int*)argument = 42; }
static int32_t poll_task(void* state, const taskhost_exec* exec) {
  struct state* self = (struct state*)state;
  taskhost_ready ready;
  if (self->polls++ == 0) {
    taskhost_work one;
    memset(&one, 0, sizeof one);
    EXPECT(exec->services->offload(exec, &one) == TASKHOST_REFUSED_ARGUMENT);
    one.struct_size = sizeof one;
    one.tag = 5;
    one.argument = &answer;
    one.run = work;
    EXPECT(exec->services->offload(exec, &one) == TASKHOST_OK);
  }
  if (exec->services->take_ready(exec, &ready, 1) == 0) return TASKHOST_PENDING;
  EXPECT(ready.tag == 5 && ready.what == TASKHOST_DONE);
  EXPECT(answer == 42);
  EXPECT(exec->services->take_ready(exec, &ready, 1) == 0);
  return TASKHOST_OK;
}
#endif

static const taskhost_factory factory = {
    sizeof(taskhost_factory),
    0,
    NAME,
    "1.0",
    NULL,
    sizeof(struct state),
#ifdef ALIGN
    ALIGN,
#else
    0,
#endif
    0,
    0,
    NULL,
#ifdef RULE_3_3
    NULL,
    run_task,
#else
    poll_task,
    NULL,
#endif
#ifdef FINISH
    FINISH,
#else
    NULL,
#endif
#ifdef DROP
    DROP,
#else
    NULL,
#endif
#ifdef CHECK
    CHECK,
#else
    NULL,
#endif
    NULL,
};

TASKHOST_PLUGIN(factory)
