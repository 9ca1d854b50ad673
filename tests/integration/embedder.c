/* A program that embeds a task host: embedder SCENARIO EVENTS PLUGIN_DIRECTORY. Ends with 0 if everything is as
 * expected. */
#include "embedder.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const char* plugin_directory;
own_task own;

static const char* events_path;
static atomic_int stage_count;

void require(int holds, const char* condition, const char* file, int line) {
  if (!holds) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    fflush(NULL);
    _Exit(1);
  }
}

void pause_briefly(void) {
  const struct timespec millisecond = {0, 1000000};
  nanosleep(&millisecond, NULL);
}

static void record(void* user, const taskhost_event* event) {
  stage* self = user;
  REQUIRE(event->struct_size >= sizeof(taskhost_event));
  REQUIRE(event->sequence == self->last_sequence + 1);
  REQUIRE(event->json_size == strlen(event->json));
  REQUIRE(memchr(event->json, '\n', event->json_size) == NULL);
  REQUIRE(strncmp(event->name, "task_", 5) != 0 || event->task != NULL);
  self->last_sequence = event->sequence;
  fprintf(self->record, "%s\n", event->json);
  if (strcmp(event->name, "task_started") == 0) {
    atomic_fetch_add(&self->started, 1);
  } else if (strcmp(event->name, "task_stopped") == 0) {
    atomic_fetch_add(&self->stopped, 1);
  } else if (strcmp(event->name, "task_gave_up") == 0) {
    atomic_fetch_add(&self->gave_up, 1);
  } else if (strcmp(event->name, "host_stopping") == 0) {
    atomic_store(&self->stopping, 1);
  }
}

void stage_open(stage* self, const taskhost_options* options) {
  char path[4096];
  memset(self, 0, sizeof *self);
  self->number = atomic_fetch_add(&stage_count, 1) + 1;
  snprintf(path, sizeof path, "%s.%d", events_path, self->number);
  self->record = fopen(path, "w");
  REQUIRE(self->record != NULL);
  REQUIRE(taskhost_create(options, &self->host) == TASKHOST_RESULT_OK);
  REQUIRE(self->host != NULL);
  REQUIRE(taskhost_state(self->host) == TASKHOST_STATE_CREATED);
  REQUIRE(taskhost_status(self->host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_on_event(self->host, record, self) == TASKHOST_RESULT_OK);
}

void stage_open_with(stage* self, uint32_t flags) {
  taskhost_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.flags = flags;
  stage_open(self, &options);
}

void stage_skip(int count) { atomic_fetch_add(&stage_count, count); }

void stage_close(stage* self, int32_t status) {
  REQUIRE(taskhost_state(self->host) == TASKHOST_STATE_STOPPED);
  REQUIRE(taskhost_status(self->host) == status);
  fclose(self->record); /* the last event came before run or wait returned */
  taskhost_destroy(self->host);
  printf("host %d status %d\n", self->number, (int)status);
}

void stage_wait_for_starts(stage* self, int count) {
  while (atomic_load(&self->started) < count) pause_briefly();
}

int error_has(const stage* self, const char* words) { return strstr(taskhost_error(self->host), words) != NULL; }

int32_t add(stage* self, const char* name, const taskhost_factory* factory, int32_t type, uint32_t restarts) {
  taskhost_task_options task;
  memset(&task, 0, sizeof task);
  task.struct_size = sizeof task;
  task.type = type;
  task.name = name;
  task.factory = factory;
  task.restarts = restarts;
  task.stop_timeout = factory == &deaf_factory ? 50 * TASKHOST_MILLISECOND : 0;
  return taskhost_add_task(self->host, &task);
}

typedef struct own_state {
  uint64_t number;
} own_state;

static int32_t start(void* state, const taskhost_exec* exec) {
  own_state* self = state;
  REQUIRE(self->number == 0); /* zeroed memory */
  self->number = exec->services->execution_number(exec);
  atomic_fetch_add(&own.starts, 1);
  atomic_store(&own.waker, exec->services->waker(exec));
  atomic_store(&own.services, exec->services);
  return TASKHOST_OK;
}

static void drop(void* state, const taskhost_exec* exec) {
  (void)exec;
  REQUIRE(((own_state*)state)->number > 0);
  atomic_fetch_add(&own.drops, 1);
}

static int32_t poll_idle(void* state, const taskhost_exec* exec) {
  REQUIRE(((own_state*)state)->number == exec->services->execution_number(exec));
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}

static int32_t poll_failing(void* state, const taskhost_exec* exec) {
  (void)state;
  return taskhost_fail(exec, "as it was told");
}

static int32_t run_deaf(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  while (!atomic_load(&own.released)) pause_briefly();
  atomic_store(&own.returned, 1);
  return TASKHOST_OK;
}

const taskhost_factory idle_factory = {.struct_size = sizeof(taskhost_factory),
                                       .name = "idle",
                                       .state_size = sizeof(own_state),
                                       .start = start,
                                       .poll = poll_idle,
                                       .drop = drop};
const taskhost_factory failing_factory = {.struct_size = sizeof(taskhost_factory),
                                          .name = "failing",
                                          .state_size = sizeof(own_state),
                                          .start = start,
                                          .poll = poll_failing,
                                          .drop = drop};
const taskhost_factory deaf_factory = {.struct_size = sizeof(taskhost_factory),
                                       .name = "deaf",
                                       .state_size = sizeof(own_state),
                                       .start = start,
                                       .run = run_deaf,
                                       .drop = drop};

static void play(const scenario* scenarios, const char* name) {
  for (; scenarios->name != NULL; ++scenarios) {
    if (strcmp(scenarios->name, name) == 0) {
      scenarios->play();
      exit(EXIT_SUCCESS);
    }
  }
}

int main(int count, char** arguments) {
  REQUIRE(count == 4);
  events_path = arguments[2];
  plugin_directory = arguments[3];
  play(run_scenarios, arguments[1]);
  play(fault_scenarios, arguments[1]);
  play(end_scenarios, arguments[1]);
  play(signal_scenarios, arguments[1]);
  play(supervision_scenarios, arguments[1]);
  play(status_scenarios, arguments[1]);
  play(control_scenarios, arguments[1]);
  REQUIRE(!"no such scenario");
}
