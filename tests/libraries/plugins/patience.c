/* Asks something that takes 5 ms on another thread, and gives it 10 s. An answer that is there counts, however late the
 * task is polled. */
#include <taskhost/plugin.h>
#include <time.h>

typedef struct asker {
  uint64_t end;
} asker;

static void answer(void* argument) {
  const struct timespec time = {0, 5000000};
  (void)argument;
  nanosleep(&time, NULL);
}

static int32_t start(void* state, const taskhost_exec* exec) {
  asker* self = state;
  const taskhost_work work = {.struct_size = sizeof work, .run = answer};
  self->end = taskhost_now(exec) + 10 * TASKHOST_SECOND;
  exec->services->wake_at(exec, self->end);
  return exec->services->offload(exec, &work) == TASKHOST_OK ? TASKHOST_OK : taskhost_fail(exec, "no thread");
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  const asker* self = state;
  taskhost_ready ready;
  if (exec->services->take_ready(exec, &ready, 1) || taskhost_stop_requested(exec)) return TASKHOST_OK;
  return taskhost_now(exec) < self->end ? TASKHOST_PENDING : taskhost_fail(exec, "no answer in 10 s");
}

static const taskhost_factory patience = {
    .struct_size = sizeof patience, .name = "patience", .state_size = sizeof(asker), .start = start, .poll = poll};
TASKHOST_PLUGIN(patience)
