/* The task of services_test.cpp in C. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

typedef struct services {
  taskhost_fd fd;
  int polls;
  int ends;
} services;

static int32_t read_config(services* self, const taskhost_exec* exec) {
  char* end = NULL;
  self->fd = strtol(taskhost_config(exec), &end, 10);
  return *end == '\0' ? TASKHOST_OK : taskhost_fail(exec, "not a descriptor");
}

static int32_t check(const taskhost_exec* exec) {
  services tried = {0};
  return read_config(&tried, exec);
}

static void work(void* argument) { *(int*)argument = 6 * 7; }

static void read_duration(const taskhost_exec* exec, const char* text) {
  const taskhost_config_reader* reader =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  uint64_t value = 0;
  char line[64] = "no duration";
  if (reader->parse_duration(text, strlen(text), &value) == TASKHOST_OK) {
    snprintf(line, sizeof line, "%" PRIu64 " ns", value);
  }
  taskhost_log(exec, TASKHOST_LOG_INFO, line);
}

static int32_t start(void* state, const taskhost_exec* exec) {
  services* self = state;
  const int32_t result = read_config(self, exec);
  if (result != TASKHOST_OK) return result;
  if (exec->services->watch(exec, -1, TASKHOST_READABLE, 0) == TASKHOST_REFUSED_CLOSED) {
    taskhost_log(exec, TASKHOST_LOG_INFO, "refused");
  }
  read_duration(exec, "250ms");
  read_duration(exec, "soon");
  exec->services->status(exec, "working", 7);
  int* answer = malloc(sizeof *answer);
  const taskhost_work offer = {
      .struct_size = sizeof offer, .tag = (uintptr_t)answer, .argument = answer, .run = work, .discard = free};
  if (answer == NULL || exec->services->offload(exec, &offer) != TASKHOST_OK) {
    free(answer);
    return taskhost_fail(exec, "can't offload");
  }
  return exec->services->watch(exec, self->fd, TASKHOST_READABLE, 0);
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  services* self = state;
  taskhost_ready list[4];
  if (++self->polls == 1) {
    taskhost_log(exec, TASKHOST_LOG_INFO, "again");
    return TASKHOST_AGAIN;
  }
  const size_t count = exec->services->take_ready(exec, list, 4);
  for (size_t i = 0; i < count; ++i) {
    if (list[i].what == TASKHOST_DONE) {
      int* answer = (void*)(uintptr_t)list[i].tag;
      taskhost_log(exec, TASKHOST_LOG_INFO, *answer == 42 ? "answer 42" : "another answer");
      free(answer);
    } else {
      taskhost_log(exec, TASKHOST_LOG_INFO, "readable");
      exec->services->watch(exec, self->fd, 0, 0);
      return TASKHOST_OK;
    }
  }
  return TASKHOST_PENDING;
}

static int32_t finish(void* state, const taskhost_exec* exec) {
  services* self = state;
  if (++self->ends == 1) return TASKHOST_PENDING;
  taskhost_log(exec, TASKHOST_LOG_INFO, "finished");
  return TASKHOST_OK;
}

static void drop(void* state, const taskhost_exec* exec) {
  (void)state;
  taskhost_log(exec, TASKHOST_LOG_INFO, "dropped");
}

static const taskhost_factory factory = {
    .struct_size = sizeof factory,
    .name = "services",
    .state_size = sizeof(services),
    .start = start,
    .poll = poll,
    .finish = finish,
    .drop = drop,
    .check = check,
};
TASKHOST_PLUGIN(factory)
