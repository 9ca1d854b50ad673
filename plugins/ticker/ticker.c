/* Logs a line every second: a blocking task, which has a thread of its own and is written as a plain loop. */
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

typedef struct ticker {
  uint64_t interval;
  const char* message; /* owned by the host */
} ticker;

static int32_t read_config(ticker* self, const taskhost_exec* exec) {
  const taskhost_config_reader* config = (const taskhost_config_reader*)exec->services->extension(
      exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  if (config == NULL) return taskhost_fail(exec, "this host reads no configs (extension taskhost.config)");
  self->interval = TASKHOST_SECOND;
  self->message = "tick";
  if (config->keys(exec, "interval message") != TASKHOST_OK ||
      config->duration(exec, "/interval", &self->interval) != TASKHOST_OK ||
      config->text(exec, "/message", &self->message, NULL) != TASKHOST_OK) {
    return TASKHOST_ERROR; /* the host has reported what is wrong */
  }
  if (self->interval < TASKHOST_MILLISECOND) return taskhost_fail(exec, "config: /interval: must be at least 1ms");
  return TASKHOST_OK;
}

static int32_t start(void* state, const taskhost_exec* exec) { return read_config((ticker*)state, exec); }

/* Before anything starts: is this config one that works? */
static int32_t check(const taskhost_exec* exec) {
  ticker unused;
  return read_config(&unused, exec);
}

/* Waits with wait instead of a sleep, since it returns at once when the host asks the task to stop. */
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
    .check = check,
};

TASKHOST_PLUGIN(factory)
