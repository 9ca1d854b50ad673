/* What a wake costs. A thread sends each byte back; the task sends the next one, `rounds` times, and logs the processor
 * time of its own thread. It is woken by the descriptor that it watches, or by the thread, through a waker; beside it
 * are `idle` watched descriptors on which nothing comes. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>
#include <time.h>
#include <unistd.h>

enum { most_idle = 10000 };

typedef struct pong {
  const taskhost_services* services;
  taskhost_waker waker; /* 0: by descriptor */
  int near, far;
  pthread_t thread;
  int64_t rounds, count, idle_count;
  int* idle;
  double begun;
} pong;

static void* send_back(void* argument) {
  const pong* self = argument;
  char byte;
  while (read(self->far, &byte, 1) == 1 && write(self->far, &byte, 1) == 1) {
    if (self->waker) self->services->wake(self->waker);
  }
  return NULL;
}

static double processor_microseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int32_t start(void* state, const taskhost_exec* exec) {
  pong* self = state;
  const taskhost_config_reader* config =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  const char* by = "descriptor";
  int pair[2];
  self->rounds = 10000;
  if (!config) return taskhost_fail(exec, "the host reads no configs");
  if (config->keys(exec, "by rounds idle") || config->text(exec, "/by", &by, NULL) ||
      config->integer(exec, "/rounds", 1, 100000000, &self->rounds) ||
      config->integer(exec, "/idle", 0, most_idle, &self->idle_count)) {
    return TASKHOST_ERROR;
  }
  self->services = exec->services;
  if (strcmp(by, "waker") == 0) self->waker = exec->services->waker(exec);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return taskhost_fail(exec, "no sockets");
  self->near = pair[0];
  self->far = pair[1];
  fcntl(self->near, F_SETFL, O_NONBLOCK);
  pthread_create(&self->thread, NULL, send_back, self);
  if (!self->waker) exec->services->watch(exec, self->near, TASKHOST_READABLE, 0);
  self->idle = calloc((size_t)self->idle_count + 1, sizeof *self->idle);
  for (int64_t index = 0; index < self->idle_count; ++index) {
    self->idle[index] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    exec->services->watch(exec, self->idle[index], TASKHOST_READABLE, 0);
  }
  return TASKHOST_OK;
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  pong* self = state;
  char byte = 'x', line[80];
  taskhost_ready ready;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  if (self->count == 0) self->begun = processor_microseconds();
  if (self->count > 0) {
    /* A waker's task needs no list: it reads. */
    if (!self->waker && exec->services->take_ready(exec, &ready, 1) == 0) return TASKHOST_PENDING;
    if (read(self->near, &byte, 1) != 1) return TASKHOST_PENDING;
  }
  if (self->count++ < self->rounds) {
    return write(self->near, &byte, 1) == 1 ? TASKHOST_PENDING : taskhost_fail(exec, "can't write");
  }
  snprintf(line, sizeof line, "%.3f microseconds for each wake",
           (processor_microseconds() - self->begun) / (double)self->rounds);
  taskhost_log(exec, TASKHOST_LOG_INFO, line);
  return TASKHOST_OK;
}

static void drop(void* state, const taskhost_exec* exec) {
  pong* self = state;
  (void)exec;
  shutdown(self->near, SHUT_RDWR); /* so that the thread ends at once */
  pthread_join(self->thread, NULL);
  close(self->near);
  close(self->far);
  for (int64_t index = 0; index < self->idle_count; ++index) close(self->idle[index]);
  free(self->idle);
}

static const taskhost_factory pong_factory = {.struct_size = sizeof pong_factory,
                                              .name = "pong",
                                              .state_size = sizeof(pong),
                                              .start = start,
                                              .poll = poll,
                                              .drop = drop};
TASKHOST_PLUGIN(pong_factory)
