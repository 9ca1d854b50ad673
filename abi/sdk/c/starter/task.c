/* @NAME@: greets at an interval, until it is stopped or has greeted "times" times. */
#include <string.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

/* One execution; the host provides it zeroed. */
typedef struct greeter {
  const char* greeting;
  const char* end;
  uint64_t every;
  int64_t times; /* 0: unlimited */
  int64_t done;
  uint64_t next; /* time of the next greeting */
} greeter;

static int32_t read_config(greeter* self, const taskhost_exec* exec) {
  const taskhost_config_reader* config =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  if (config == NULL) return taskhost_fail(exec, "this host reads no configs (extension taskhost.config)");
  self->greeting = "hello from C";
  self->end = "ok";
  self->every = TASKHOST_SECOND;
  if (config->keys(exec, "greeting every times end") != TASKHOST_OK ||
      config->text(exec, "/greeting", &self->greeting, NULL) != TASKHOST_OK ||
      config->duration(exec, "/every", &self->every) != TASKHOST_OK ||
      config->integer(exec, "/times", 0, INT64_MAX, &self->times) != TASKHOST_OK ||
      config->text(exec, "/end", &self->end, NULL) != TASKHOST_OK) {
    return TASKHOST_ERROR; /* the host has already reported what is wrong */
  }
  if (strcmp(self->end, "ok") != 0 && strcmp(self->end, "error") != 0) {
    return taskhost_fail(exec, "config: /end: must be \"ok\" or \"error\"");
  }
  return TASKHOST_OK;
}

/* Called by `taskhost check`, and before the host starts: there is no execution. */
static int32_t check(const taskhost_exec* exec) {
  greeter tried = {0};
  return read_config(&tried, exec);
}

static int32_t start(void* state, const taskhost_exec* exec) { return read_config(state, exec); }

/* Called once after the start, then after each wake: by the timer, by the stop, or for no reason at all. */
static int32_t poll(void* state, const taskhost_exec* exec) {
  greeter* self = state;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  const uint64_t now = taskhost_now(exec);
  if (now >= self->next) {
    taskhost_log(exec, TASKHOST_LOG_INFO, self->greeting);
    exec->services->ready(exec);
    if (++self->done == self->times) {
      return strcmp(self->end, "ok") == 0 ? TASKHOST_OK : taskhost_fail(exec, "was told to fail");
    }
    self->next = now + self->every;
  }
  exec->services->wake_at(exec, self->next);
  return TASKHOST_PENDING;
}

static const taskhost_factory factory = {
    .struct_size = sizeof factory,
    .name = "@NAME@",
    .version = "1.0",
    .description = "greets at an interval",
    .state_size = sizeof(greeter),
    .start = start,
    .poll = poll,
    .check = check,
};

TASKHOST_PLUGIN(factory)
