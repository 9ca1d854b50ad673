/* Logs a line every second: a polled task, which never blocks and shares its thread with others. */
#include <taskhost/plugin.h>

#include "plugin_support/config.h"

typedef struct heartbeat {
  uint64_t interval;
  uint64_t next;
  char message[256];
} heartbeat;

static int32_t start(void* state, const taskhost_exec* exec) {
  heartbeat* self = (heartbeat*)state;
  config_reader reader;
  config_open(&reader, taskhost_config(exec));
  self->interval = config_duration(&reader, "interval", TASKHOST_SECOND);
  config_string(&reader, "message", "beat", self->message, sizeof self->message);
  if (!config_close(&reader)) return taskhost_fail(exec, reader.problem);
  if (self->interval < TASKHOST_MILLISECOND) return taskhost_fail(exec, "config: \"interval\" must be at least 1ms");
  self->next = taskhost_now(exec);
  exec->services->ready(exec);
  return TASKHOST_OK;
}

/* A wake may be spurious, so the clock decides, not the wake. A beat missed for long is left out, not made up for. */
static int32_t poll(void* state, const taskhost_exec* exec) {
  heartbeat* self = (heartbeat*)state;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  const uint64_t now = taskhost_now(exec);
  if (now >= self->next) {
    taskhost_log(exec, TASKHOST_LOG_INFO, self->message);
    exec->services->heartbeat(exec);
    self->next += ((now - self->next) / self->interval + 1) * self->interval;
  }
  exec->services->wake_at(exec, self->next);
  return TASKHOST_PENDING;
}

static const taskhost_factory factory = {
    .struct_size = sizeof(taskhost_factory),
    .name = "heartbeat",
    .version = "1.0",
    .description = "logs a line at a steady pace; polled",
    .state_size = sizeof(heartbeat),
    .start = start,
    .poll = poll,
};

TASKHOST_PLUGIN(factory)
