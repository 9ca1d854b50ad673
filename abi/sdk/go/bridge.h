/* Between the host's C interface and the Go functions of this package: what bridge.c has for them. */
#ifndef TASKHOST_GO_BRIDGE_H
#define TASKHOST_GO_BRIDGE_H

#include <stdatomic.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

/* How many tasks one library may have: start is not told whose it is, so each has a function of its own. */
#define TASKHOST_GO_MOST_TASKS 64

/* One execution, in the host's memory. A goroutine touches it only under its task's lock, and not after drop. */
typedef struct taskhost_go_state {
  uint64_t id; /* of the goroutine; never used again */
  const taskhost_services* services;
  taskhost_waker waker;
  char* text; /* of the failure */
  size_t text_size;
  int32_t stop_told;
  atomic_int ended; /* 0 while the goroutine lives, then 1 + how it ended */
} taskhost_go_state;

/* A factory, put in front of the others. The texts stay as they are for ever. */
taskhost_factory* taskhost_go_factory(uint32_t index, const char* name, const char* version, const char* description,
                                      const taskhost_factory* next);

/* The goroutine has ended. Wakes the host; afterwards `state` may be gone at any time. */
void taskhost_go_finish(taskhost_go_state* state, int32_t status, const char* text, size_t size);

int32_t taskhost_go_ignores_pipe_signal(void);

#endif
