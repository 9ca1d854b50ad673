/* A plugin from outside the tree: logs its config, says that it is ready, sleeps once, and ends well. */
#include <taskhost/plugin.h>

static int32_t outside_poll(void* state, const taskhost_exec* exec) {
  int32_t* slept = (int32_t*)state;
  if (*slept != 0) return TASKHOST_OK;
  *slept = 1;
  taskhost_log(exec, TASKHOST_LOG_INFO, taskhost_config(exec));
  exec->services->ready(exec);
  taskhost_wake_after(exec, TASKHOST_MILLISECOND);
  return TASKHOST_PENDING;
}

static const taskhost_factory outside = {
    .struct_size = sizeof(outside), .name = "outside", .state_size = sizeof(int32_t), .poll = outside_poll};

TASKHOST_PLUGIN(outside)
