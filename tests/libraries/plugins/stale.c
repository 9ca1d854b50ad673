/* What a careless library does: it closes a descriptor that is watched, and opens another one that gets its number. */
#include <stdio.h>
#include <sys/socket.h>
#include <taskhost/plugin.h>
#include <unistd.h>

typedef struct careless {
  int old_pair[2], new_pair[2];
  int step;
} careless;

static int32_t poll(void* state, const taskhost_exec* exec) {
  careless* self = state;
  taskhost_ready ready = {0};
  char line[80];
  const size_t count = exec->services->take_ready(exec, &ready, 1);
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  switch (self->step++) {
    case 0:
      if (socketpair(AF_UNIX, SOCK_STREAM, 0, self->old_pair) != 0) return taskhost_fail(exec, "no sockets");
      exec->services->watch(exec, self->old_pair[0], TASKHOST_READABLE, 1);
      taskhost_wake_after(exec, TASKHOST_MILLISECOND);
      return TASKHOST_PENDING;
    case 1:
      if (socketpair(AF_UNIX, SOCK_STREAM, 0, self->new_pair) != 0) return taskhost_fail(exec, "no sockets");
      dup2(self->new_pair[0], self->old_pair[0]); /* as if it had been closed, but no other thread can get the number */
      close(self->new_pair[0]);
      self->new_pair[0] = self->old_pair[0];
      close(self->old_pair[1]);
      exec->services->watch(exec, self->new_pair[0], TASKHOST_READABLE, 2);
      if (write(self->new_pair[1], "x", 1) != 1) return taskhost_fail(exec, "can't write");
      taskhost_wake_after(exec, 5 * TASKHOST_SECOND);
      return TASKHOST_PENDING;
    default:
      snprintf(line, sizeof line, "%s number, tag %d", self->new_pair[0] == self->old_pair[0] ? "the same" : "another",
               (int)ready.tag);
      taskhost_log(exec, TASKHOST_LOG_INFO, line);
      return count == 1 ? TASKHOST_OK : taskhost_fail(exec, "what is ready was not noticed");
  }
}

static void drop(void* state, const taskhost_exec* exec) {
  const careless* self = state;
  (void)exec;
  if (self->step == 1) close(self->old_pair[0]), close(self->old_pair[1]);
  if (self->step > 1) close(self->new_pair[0]), close(self->new_pair[1]);
}

static const taskhost_factory stale = {
    .struct_size = sizeof stale, .name = "stale", .state_size = sizeof(careless), .poll = poll, .drop = drop};
TASKHOST_PLUGIN(stale)
