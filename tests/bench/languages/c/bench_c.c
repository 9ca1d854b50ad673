/* The bench's tasks in C, as in the other languages, whose cost is compared with these. */
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

typedef struct yielder {
  int64_t left;
} yielder;

/* Gives way to others as often as its config says: {"turns": N}, and ends. */
static int32_t start(void* state, const taskhost_exec* exec) {
  yielder* self = state;
  const taskhost_config_reader* config =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  if (config == NULL) return taskhost_fail(exec, "this host reads no configs (extension taskhost.config)");
  return config->integer(exec, "/turns", 0, INT64_MAX, &self->left);
}

static int32_t yielder_poll(void* state, const taskhost_exec* exec) {
  yielder* self = state;
  (void)exec;
  return self->left-- == 0 ? TASKHOST_OK : TASKHOST_AGAIN;
}

/* Idle until the stop. */
static int32_t sleeper_poll(void* state, const taskhost_exec* exec) {
  (void)state;
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}

static const taskhost_factory sleeper = {
    .struct_size = sizeof sleeper, .name = "sleeper", .state_size = 16, .poll = sleeper_poll};
static const taskhost_factory first = {.struct_size = sizeof first,
                                       .name = "yielder",
                                       .state_size = sizeof(yielder),
                                       .start = start,
                                       .poll = yielder_poll,
                                       .next = &sleeper};
TASKHOST_PLUGIN(first)
