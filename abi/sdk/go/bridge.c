/* The plugin as the host sees it. Go can export neither constant data nor a function that C code does not call by its
 * own rules, and each call into Go costs about a microsecond: so poll stays on this side until there is news. */
#include "bridge.h"

#include <signal.h>
#include <stdlib.h>

#include "_cgo_export.h"

static int32_t start(uint32_t index, void* state, const taskhost_exec* exec) {
  taskhost_go_state* self = state;
  const taskhost_services* services = exec->services;
  size_t config_size = 0;
  const char* config = services->config(exec, &config_size);
  self->services = services;
  self->waker = services->waker(exec);
  return taskhostGoStart(index, self, (taskhost_exec*)exec, (char*)services->task_name(exec), (char*)config,
                         config_size, services->execution_number(exec));
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  taskhost_go_state* self = state;
  const int ended = atomic_load_explicit(&self->ended, memory_order_acquire);
  if (ended != 0) {
    if (self->text != NULL) self->services->fail(exec, self->text, self->text_size);
    return ended - 1;
  }
  if (!self->stop_told && taskhost_stop_requested(exec)) {
    self->stop_told = 1;
    taskhostGoStop(self->id);
  }
  return TASKHOST_PENDING;
}

static void drop(void* state) {
  taskhost_go_state* self = state;
  if (atomic_load_explicit(&self->ended, memory_order_acquire) == 0) taskhostGoDrop(self->id);
  free(self->text);
}

void taskhost_go_finish(taskhost_go_state* state, int32_t status, const char* text, size_t size) {
  const taskhost_services* services = state->services;
  const taskhost_waker waker = state->waker;
  if (size != 0 && (state->text = malloc(size)) != NULL) {
    memcpy(state->text, text, size);
    state->text_size = size;
  }
  atomic_store_explicit(&state->ended, 1 + status, memory_order_release);
  services->wake(waker);
}

int32_t taskhost_go_ignores_pipe_signal(void) {
  struct sigaction action;
  return sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* start_000 to start_077: the numbers are octal. */
/* clang-format off */
#define EIGHT_STARTS(tens) \
  START(tens##0) START(tens##1) START(tens##2) START(tens##3) START(tens##4) START(tens##5) START(tens##6) START(tens##7)
#define ALL_STARTS \
  EIGHT_STARTS(00) EIGHT_STARTS(01) EIGHT_STARTS(02) EIGHT_STARTS(03) \
  EIGHT_STARTS(04) EIGHT_STARTS(05) EIGHT_STARTS(06) EIGHT_STARTS(07)
/* clang-format on */

#define START(octal) \
  static int32_t start_##octal(void* state, const taskhost_exec* exec) { return start(octal, state, exec); }
ALL_STARTS
#undef START

#define START(octal) start_##octal,
static int32_t (*const starts[])(void*, const taskhost_exec*) = {ALL_STARTS};
#undef START
_Static_assert(sizeof starts / sizeof starts[0] == TASKHOST_GO_MOST_TASKS, "a start for each task");

static int32_t start_one_too_many(void* state, const taskhost_exec* exec) {
  (void)state;
  return taskhost_fail(exec, "a Go library can have 64 tasks; this is one too many");
}

taskhost_factory* taskhost_go_factory(uint32_t index, const char* name, const char* version, const char* description,
                                      const taskhost_factory* next) {
  taskhost_factory* factory = calloc(1, sizeof *factory);
  if (factory == NULL) return NULL;
  factory->struct_size = sizeof *factory;
  factory->name = name;
  factory->version = version;
  factory->description = description;
  factory->state_size = sizeof(taskhost_go_state);
  factory->start = index < TASKHOST_GO_MOST_TASKS ? starts[index] : start_one_too_many;
  factory->poll = poll;
  factory->drop = drop;
  factory->next = next;
  return factory;
}

const taskhost_factory* taskhost_plugin_v1(void) { return taskhostGoFactories(); }
