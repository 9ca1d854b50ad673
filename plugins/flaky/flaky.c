/* Fails on purpose, always in the same way: the first executions fail after a while, the later ones run until they are
 * stopped. For demonstrations of what task types and budgets mean. */
#include <inttypes.h>
#include <stdio.h>
#include <taskhost/plugin.h>

#include "plugin_support/config.h"

typedef struct flaky {
  uint64_t deadline; /* TASKHOST_NEVER: this execution does not fail */
  char message[256];
} flaky;

static int32_t start(void* state, const taskhost_exec* exec) {
  flaky* self = (flaky*)state;
  config_reader reader;
  config_open(&reader, taskhost_config(exec));
  const uint64_t run_for = config_duration(&reader, "run_for", 2 * TASKHOST_SECOND);
  const uint64_t fail_first = config_whole(&reader, "fail_first", UINT64_MAX, 0, UINT64_MAX);
  config_string(&reader, "message", "failed on purpose", self->message, sizeof self->message);
  if (!config_close(&reader)) return taskhost_fail(exec, reader.problem);

  const uint64_t number = exec->services->execution_number(exec);
  const int fails = number <= fail_first;
  self->deadline = fails ? taskhost_now(exec) + run_for : TASKHOST_NEVER;
  char line[128];
  snprintf(line, sizeof line, "execution %" PRIu64 " started; this one %s", number,
           fails ? "is going to fail" : "stays well");
  taskhost_log(exec, TASKHOST_LOG_INFO, line);
  return TASKHOST_OK;
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  const flaky* self = (const flaky*)state;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  if (taskhost_now(exec) >= self->deadline) return taskhost_fail(exec, self->message);
  exec->services->wake_at(exec, self->deadline);
  return TASKHOST_PENDING;
}

static const taskhost_factory factory = {
    .struct_size = sizeof(taskhost_factory),
    .name = "flaky",
    .version = "1.0",
    .description = "its first executions fail, the later ones run until stopped",
    .state_size = sizeof(flaky),
    .start = start,
    .poll = poll,
};

TASKHOST_PLUGIN(factory)
