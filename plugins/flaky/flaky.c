/* Fails on purpose, always in the same way: the first executions fail after a while, the later ones run until they are
 * stopped. It demonstrates task types and budgets. */
#include <inttypes.h>
#include <stdio.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

typedef struct flaky {
  uint64_t deadline;   /* TASKHOST_NEVER: this execution does not fail */
  const char* message; /* owned by the host */
} flaky;

static int32_t read_config(const taskhost_exec* exec, uint64_t* run_for, int64_t* fail_first, const char** message) {
  const taskhost_config_reader* config = (const taskhost_config_reader*)exec->services->extension(
      exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  if (config == NULL) return taskhost_fail(exec, "this host reads no configs (extension taskhost.config)");
  *run_for = 2 * TASKHOST_SECOND;
  *fail_first = INT64_MAX;
  *message = "failed on purpose";
  if (config->keys(exec, "run_for fail_first message") != TASKHOST_OK ||
      config->duration(exec, "/run_for", run_for) != TASKHOST_OK ||
      config->integer(exec, "/fail_first", 0, INT64_MAX, fail_first) != TASKHOST_OK ||
      config->text(exec, "/message", message, NULL) != TASKHOST_OK) {
    return TASKHOST_ERROR; /* the host has reported what is wrong */
  }
  return TASKHOST_OK;
}

/* Before anything starts: is this config one that works? */
static int32_t check(const taskhost_exec* exec) {
  uint64_t run_for;
  int64_t fail_first;
  const char* message;
  return read_config(exec, &run_for, &fail_first, &message);
}

static int32_t start(void* state, const taskhost_exec* exec) {
  flaky* self = (flaky*)state;
  uint64_t run_for;
  int64_t fail_first;
  if (read_config(exec, &run_for, &fail_first, &self->message) != TASKHOST_OK) return TASKHOST_ERROR;
  const uint64_t number = exec->services->execution_number(exec);
  const int fails = number <= (uint64_t)fail_first;
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
    .check = check,
};

TASKHOST_PLUGIN(factory)
