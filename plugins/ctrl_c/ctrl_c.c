/* Ends well on SIGINT or SIGTERM: as a shutdown_on_exit task it makes the signal stop the host. */
#include <taskhost/ext/signals.h>
#include <taskhost/plugin.h>

typedef struct ctrl_c {
  const taskhost_signals* signals;
} ctrl_c;

static int32_t start(void* state, const taskhost_exec* exec) {
  ctrl_c* self = (ctrl_c*)state;
  self->signals =
      (const taskhost_signals*)exec->services->extension(exec, TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION);
  if (self->signals == NULL) {
    return taskhost_fail(exec, "this host offers no signals (extension " TASKHOST_EXTENSION_SIGNALS
                               ", revision 1); the program around it keeps them to itself");
  }
  if (self->signals->subscribe(exec, TASKHOST_SIGNAL_INTERRUPT | TASKHOST_SIGNAL_TERMINATE) != TASKHOST_OK) {
    return taskhost_fail(exec, "this host does not deliver SIGINT and SIGTERM");
  }
  exec->services->ready(exec);
  return TASKHOST_OK;
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  const ctrl_c* self = (const ctrl_c*)state;
  const uint32_t taken = self->signals->take(exec);
  if (taken & TASKHOST_SIGNAL_INTERRUPT) taskhost_log(exec, TASKHOST_LOG_INFO, "SIGINT (Ctrl-C): done");
  if (taken & TASKHOST_SIGNAL_TERMINATE) taskhost_log(exec, TASKHOST_LOG_INFO, "SIGTERM: done");
  return taken != 0 || taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}

static const taskhost_factory factory = {
    .struct_size = sizeof(taskhost_factory),
    .name = "ctrl_c",
    .version = "1.0",
    .description = "ends well on SIGINT or SIGTERM",
    .state_size = sizeof(ctrl_c),
    .start = start,
    .poll = poll,
};

TASKHOST_PLUGIN(factory)
