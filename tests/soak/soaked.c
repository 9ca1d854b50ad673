/* The host under test: tasks of all types that keep failing, stalling, hanging and forking, and an operator who stops,
 * starts and restarts them, until SIGTERM: soaked PLUGIN_DIRECTORY. Writes its events to stdout. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "taskhost/taskhost.h"

#define FOR_EVER \
  "\"restarts\": \"unlimited\", \"backoff\": {\"initial\": \"20ms\", \"max\": \"100ms\", \"jitter\": 0.5}"

static const char manifest[] =
    "{\"shards\": 2, \"stall_limit\": \"20ms\", \"stall_threads\": 8, \"defaults\": {\"stop_timeout\": \"2s\"},\n"
    " \"groups\": {\"pair\": {\"strategy\": \"one_for_all\"}, \"chain\": {\"strategy\": \"rest_for_one\"}},\n"
    " \"tasks\": [\n"
    "  {\"name\": \"keeper\", \"plugin\": \"probe\", \"type\": \"shutdown_on_exit\", \"config\": {\"heartbeat\": "
    "\"100ms\"}},\n"
    "  {\"name\": \"needed\", \"plugin\": \"probe\", \"type\": \"mandatory\", " FOR_EVER
    ", \"config\": {\"run_for\": \"30ms\", \"end\": \"error\", \"message\": \"no route\\nto host\"}},\n"
    "  {\"name\": \"throws\", \"plugin\": \"probe\", \"type\": \"detachable\", " FOR_EVER
    ", \"config\": {\"run_for\": \"40ms\", \"end\": \"throw\"}},\n"
    "  {\"name\": \"blocks\", \"plugin\": \"probe_blocking\", \"type\": \"mandatory\", " FOR_EVER
    ", \"config\": {\"run_for\": \"50ms\", \"end\": \"error\"}},\n"
    "  {\"name\": \"silent\", \"plugin\": \"probe\", \"type\": \"detachable\", " FOR_EVER
    ", \"watchdog\": {\"interval\": \"100ms\", \"action\": \"restart\"},\n"
    "   \"config\": {\"heartbeat\": \"20ms\", \"silent_after\": \"200ms\"}},\n"
    "  {\"name\": \"silent_blocking\", \"plugin\": \"probe_blocking\", \"type\": \"detachable\", " FOR_EVER
    ", \"watchdog\": {\"interval\": \"100ms\", \"action\": \"restart\"},\n"
    "   \"config\": {\"heartbeat\": \"20ms\", \"silent_after\": \"200ms\"}},\n"
    "  {\"name\": \"never_ready\", \"plugin\": \"probe\", \"type\": \"detachable\", " FOR_EVER
    ", \"ready\": \"notify\", \"start_timeout\": \"80ms\"},\n"
    "  {\"name\": \"deaf\", \"plugin\": \"probe\", \"type\": \"detachable\", \"stop_timeout\": \"50ms\", " FOR_EVER
    ", \"watchdog\": {\"interval\": \"100ms\", \"action\": \"restart\"},\n"
    "   \"config\": {\"deaf\": true, \"heartbeat\": \"20ms\", \"silent_after\": \"100ms\"}},\n"
    "  {\"name\": \"gives_up\", \"plugin\": \"flaky\", \"type\": \"detachable\", \"restarts\": 2, \"on_give_up\": "
    "{\"cooldown\": \"200ms\"}, \"config\": {\"run_for\": \"10ms\"}},\n"
    "  {\"name\": \"pair_fails\", \"plugin\": \"flaky\", \"type\": \"detachable\", \"group\": \"pair\", " FOR_EVER
    ", \"config\": {\"run_for\": \"150ms\"}},\n"
    "  {\"name\": \"pair_beats\", \"plugin\": \"heartbeat\", \"type\": \"detachable\", \"group\": \"pair\", " FOR_EVER
    ", \"config\": {\"interval\": \"50ms\"}},\n"
    "  {\"name\": \"chain_first\", \"plugin\": \"probe\", \"type\": \"detachable\", \"group\": \"chain\", " FOR_EVER
    ", \"ready\": \"notify\", \"config\": {\"ready_after\": \"20ms\", \"run_for\": \"300ms\", \"end\": \"error\"}},\n"
    "  {\"name\": \"chain_last\", \"plugin\": \"probe_blocking\", \"type\": \"detachable\", \"group\": \"chain\", "
    "\"after\": [\"chain_first\"], " FOR_EVER "}]}\n";

static const char* const operated[] = {
    "needed",     "throws",     "blocks",      "silent",     "silent_blocking", "never_ready", "deaf",    "gives_up",
    "pair_fails", "pair_beats", "chain_first", "chain_last", "stalls",          "forks",       "listens", "talks"};
enum { operated_count = sizeof operated / sizeof operated[0] };

static void sleep_ms(long milliseconds) {
  const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, NULL);
}

/* --- tasks
 * ----------------------------------------------------------------------------------------------------------*/

typedef struct own_state {
  uint64_t count;
  uint64_t next;
  int descriptor_plus_one;
} own_state;

static int32_t start(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  return TASKHOST_OK;
}

static void drop(void* state, const taskhost_exec* exec) {
  (void)exec;
  const own_state* self = state;
  if (self->descriptor_plus_one != 0) close(self->descriptor_plus_one - 1);
}

/* One call in ten blocks its thread for longer than the limit. */
static int32_t poll_stalls(void* state, const taskhost_exec* exec) {
  own_state* self = state;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  if (taskhost_now(exec) >= self->next) {
    if (++self->count % 10 == 0) sleep_ms(60);
    self->next = taskhost_now(exec) + 50 * TASKHOST_MILLISECOND;
  }
  exec->services->wake_at(exec, self->next);
  return TASKHOST_PENDING;
}

static int32_t run_forks(void* state, const taskhost_exec* exec) {
  (void)state;
  while ((taskhost_wait_for(exec, 200 * TASKHOST_MILLISECOND) & TASKHOST_WAIT_STOP) == 0) {
    const pid_t child = fork();
    if (child < 0) return taskhost_fail(exec, "no child");
    if (child == 0) {
      sleep_ms(20);
      _exit(0);
    }
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
  }
  return TASKHOST_OK;
}

/* Ends after a hundred ticks of a descriptor of its own. */
static int32_t start_listens(void* state, const taskhost_exec* exec) {
  own_state* self = state;
  const struct itimerspec every = {{0, 10000000}, {0, 10000000}};
  const int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (descriptor < 0) return taskhost_fail(exec, "no timer");
  self->descriptor_plus_one = descriptor + 1;
  timerfd_settime(descriptor, 0, &every, NULL);
  return TASKHOST_OK;
}

static int32_t poll_listens(void* state, const taskhost_exec* exec) {
  own_state* self = state;
  uint64_t ticks;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  if (read(self->descriptor_plus_one - 1, &ticks, sizeof ticks) == sizeof ticks) self->count += ticks;
  if (self->count >= 100) return taskhost_fail(exec, "a hundred ticks");
  if (exec->services->watch(exec, self->descriptor_plus_one - 1, TASKHOST_READABLE, 0) != TASKHOST_OK) {
    return taskhost_fail(exec, "no watch");
  }
  return TASKHOST_PENDING;
}

/* More than a pausing reader takes. */
static int32_t poll_talks(void* state, const taskhost_exec* exec) {
  own_state* self = state;
  char line[1024];
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  memset(line, 'x', sizeof line - 1);
  line[sizeof line - 1] = '\0';
  line[200] = '\n';
  for (int i = 0; i < 5; ++i) taskhost_log(exec, TASKHOST_LOG_INFO, line + ++self->count % 500);
  taskhost_wake_after(exec, 20 * TASKHOST_MILLISECOND);
  return TASKHOST_PENDING;
}

#define FACTORY(NAME) \
  .struct_size = sizeof(taskhost_factory), .name = NAME, .state_size = sizeof(own_state), .drop = drop
static const taskhost_factory factories[] = {
    {FACTORY("stalls"), .start = start, .poll = poll_stalls},
    {FACTORY("forks"), .start = start, .run = run_forks},
    {FACTORY("listens"), .start = start_listens, .poll = poll_listens},
    {FACTORY("talks"), .start = start, .poll = poll_talks},
};

/* --- the host
 * -------------------------------------------------------------------------------------------------------*/

static void write_event(void* unused, const taskhost_event* event) {
  (void)unused;
  static char line[16384];
  size_t left = event->json_size < sizeof line - 1 ? event->json_size : sizeof line - 1;
  memcpy(line, event->json, left);
  line[left++] = '\n';
  for (const char* next = line; left != 0;) {
    const ssize_t written = write(STDOUT_FILENO, next, left);
    if (written < 0 && errno != EINTR) return;
    if (written > 0) next += written, left -= (size_t)written;
  }
}

static void must(const taskhost_host* host, const char* what, int32_t result) {
  if (result == TASKHOST_RESULT_OK) return;
  fprintf(stderr, "soaked: %s: result %d: %s\n", what, (int)result, taskhost_error(host));
  exit(2);
}

static void operate(taskhost_host* host) {
  unsigned chance = 1;
  while (taskhost_state(host) == TASKHOST_STATE_RUNNING) {
    const char* const task = operated[rand_r(&chance) % operated_count];
    switch (rand_r(&chance) % 4) {
      case 0:
        taskhost_stop_task(host, task);
        break;
      case 1:
        taskhost_restart_task(host, task);
        break;
      default:
        taskhost_start_task(host, task);
    }
    sleep_ms(50);
  }
}

int main(int argument_count, char** arguments) {
  if (argument_count != 2) return 2;
  const char* const plugins[] = {arguments[1]};
  const taskhost_options options = {.struct_size = sizeof options,
                                    .flags = TASKHOST_HANDLE_SIGNALS,
                                    .plugin_dir_count = 1,
                                    .plugin_dirs = plugins,
                                    .seed = 1};
  taskhost_host* host = NULL;
  must(NULL, "create", taskhost_create(&options, &host));
  must(host, "load", taskhost_load_text(host, manifest, sizeof manifest - 1, "."));
  for (size_t i = 0; i < sizeof factories / sizeof factories[0]; ++i) {
    const taskhost_task_options task = {.struct_size = sizeof task,
                                        .type = TASKHOST_DETACHABLE,
                                        .factory = &factories[i],
                                        .restarts = 1,
                                        .on_give_up = TASKHOST_GIVE_UP_COOLDOWN,
                                        .cooldown = 100 * TASKHOST_MILLISECOND};
    must(host, "add", taskhost_add_task(host, &task));
  }
  must(host, "subscribe", taskhost_on_event(host, write_event, NULL));
  must(host, "start", taskhost_start(host));
  operate(host);
  const int32_t result = taskhost_wait(host);
  taskhost_destroy(host);
  return result;
}
