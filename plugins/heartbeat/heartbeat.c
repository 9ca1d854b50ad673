/* Logs a line every second: a polled task, which never blocks and shares its thread with others. */
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

typedef struct heartbeat {
  uint64_t interval;
  uint64_t next;
  const char* message; /* owned by the host */
} heartbeat;

static int32_t read_config(heartbeat* self, const taskhost_exec* exec) {
  const taskhost_config_reader* config = (const taskhost_config_reader*)exec->services->extension(
      exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  if (config == NULL) return taskhost_fail(exec, "this host reads no configs (extension taskhost.config)");
  self->interval = TASKHOST_SECOND;
  self->message = "beat";
  if (config->keys(exec, "interval message") != TASKHOST_OK ||
      config->duration(exec, "/interval", &self->interval) != TASKHOST_OK ||
      config->text(exec, "/message", &self->message, NULL) != TASKHOST_OK) {
    return TASKHOST_ERROR; /* the host has reported what is wrong */
  }
  if (self->interval < TASKHOST_MILLISECOND) return taskhost_fail(exec, "config: /interval: must be at least 1ms");
  return TASKHOST_OK;
}

static int32_t start(void* state, const taskhost_exec* exec) {
  heartbeat* self = (heartbeat*)state;
  if (read_config(self, exec) != TASKHOST_OK) return TASKHOST_ERROR;
  self->next = taskhost_now(exec);
  exec->services->ready(exec);
  return TASKHOST_OK;
}

/* Before anything starts: is this config one that works? */
static int32_t check(const taskhost_exec* exec) {
  heartbeat unused;
  return read_config(&unused, exec);
}

/* A wake may be spurious, so the clock decides, not the wake. Beats that were missed are not made up for. */
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
    .check = check,
};

TASKHOST_PLUGIN(factory)
