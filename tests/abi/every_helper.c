/* A plugin that uses every macro and helper of plugin.h: the header matrix compiles it in each dialect of C and C++. */
#include <taskhost/plugin.h>

typedef struct every_state {
  taskhost_waker waker;
} every_state;

static int32_t every_start(void* state, const taskhost_exec* exec) {
  every_state* every = (every_state*)state;
  size_t size = 0;
  every->waker = exec->services->waker(exec);
  exec->services->wake(every->waker);
  taskhost_log(exec, TASKHOST_LOG_INFO, taskhost_config(exec));
  return exec->services->config(exec, &size) == NULL ? taskhost_fail(exec, "no config") : TASKHOST_OK;
}

static int32_t every_poll(void* state, const taskhost_exec* exec) {
  (void)state;
  if (taskhost_stop_requested(exec) != 0 || taskhost_now(exec) == TASKHOST_NEVER) {
    return TASKHOST_OK;
  }
  taskhost_wake_after(exec, 5 * TASKHOST_MILLISECOND);
  return TASKHOST_PENDING;
}

static int32_t every_run(void* state, const taskhost_exec* exec) {
  (void)state;
  return (taskhost_wait_for(exec, TASKHOST_SECOND) & TASKHOST_WAIT_STOP) != 0 ? TASKHOST_OK : TASKHOST_ERROR;
}

static int32_t every_finish(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  return TASKHOST_OK;
}

static int32_t every_check(const taskhost_exec* exec) { return exec == NULL ? TASKHOST_ERROR : TASKHOST_OK; }

static void every_drop(void* state, const taskhost_exec* exec) {
  (void)exec;
  ((every_state*)state)->waker = 0;
}

static const taskhost_factory blocking = {sizeof(taskhost_factory),
                                          0,
                                          "blocking",
                                          "1.0",
                                          NULL,
                                          0,
                                          0,
                                          0,
                                          0,
                                          NULL,
                                          NULL,
                                          every_run,
                                          NULL,
                                          NULL,
                                          every_check,
                                          NULL};

static const taskhost_factory polled = {sizeof(taskhost_factory),
                                        0,
                                        "polled",
                                        NULL,
                                        "every helper",
                                        sizeof(every_state),
                                        0,
                                        0,
                                        0,
                                        every_start,
                                        every_poll,
                                        NULL,
                                        every_finish,
                                        every_drop,
                                        every_check,
                                        &blocking};

TASKHOST_PLUGIN(polled)
