/* Logs a line every second: a blocking task, with a thread of its own, written as a plain loop. */
#include <taskhost/plugin.h>

#include "plugin_support/config.h"

typedef struct ticker {
  uint64_t interval;
  char message[256];
} ticker;

static int32_t start(void* state, const taskhost_exec* exec) {
  ticker* self = (ticker*)state;
  config_reader reader;
  config_open(&reader, taskhost_config(exec));
  self->interval = config_duration(&reader, "interval", TASKHOST_SECOND);
  config_string(&reader, "message", "tick", self->message, sizeof self->message);
  if (!config_close(&reader)) return taskhost_fail(exec, reader.problem);
  if (self->interval < TASKHOST_MILLISECOND) return taskhost_fail(exec, "config: \"interval\" must be at least 1ms");
  return TASKHOST_OK;
}

/* wait, not sleep: it ends at once when the host asks for the end. */
static int32_t run(void* state, const taskhost_exec* exec) {
  const ticker* self = (const ticker*)state;
  uint64_t next = taskhost_now(exec);
  exec->services->ready(exec);
  while ((exec->services->wait(exec, next) & TASKHOST_WAIT_STOP) == 0) {
    const uint64_t now = taskhost_now(exec);
    if (now < next) continue;
    taskhost_log(exec, TASKHOST_LOG_INFO, self->message);
    exec->services->heartbeat(exec);
    next += ((now - next) / self->interval + 1) * self->interval;
  }
  return TASKHOST_OK;
}

static const taskhost_factory factory = {
    .struct_size = sizeof(taskhost_factory),
    .name = "ticker",
    .version = "1.0",
    .description = "logs a line at a steady pace; blocking",
    .state_size = sizeof(ticker),
    .start = start,
    .run = run,
};

TASKHOST_PLUGIN(factory)
