/*
 * probe_host PLUGIN.so: a host with one execution that drives the two tasks of a probe, and checks what they ask for.
 * README.md says what a probe does. Each round is on a thread of its own, as is offloaded work: so a language's runtime
 * meets threads that it has not made, and that end.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>
#include <unistd.h>

enum { rounds = 100, tag_of_input = 7, tag_of_work = 9 };

typedef struct host {
  taskhost_exec exec; /* the first field: a taskhost_exec is a host */
  int64_t fd;         /* the config: {"fd": N, "fail": 0 or 1} */
  int64_t fail;
  char lines[512]; /* what it has logged, a line each */
  char message[128];
  char status[128];
  taskhost_fd watched; /* -1: none */
  uint32_t interests;
  uint64_t tag;
  taskhost_work work;
  int has_work;
  int is_done;
} host;

static const char* plugin;

static void fail_test(int line, const char* what, const host* self) {
  fprintf(stderr, "%s: line %d: %s\nlog:\n%smessage: %s\nstatus: %s\n", plugin, line, what,
          self != NULL ? self->lines : "", self != NULL ? self->message : "", self != NULL ? self->status : "");
  exit(1);
}
#define CHECK(condition, self) \
  if (!(condition)) fail_test(__LINE__, #condition, self)

static host* host_of(const taskhost_exec* exec) { return (host*)exec; }

static void set_text(char* to, size_t capacity, const char* text, size_t size) {
  if (size >= capacity) size = capacity - 1;
  memcpy(to, text, size);
  to[size] = '\0';
}
static void log_line(const taskhost_exec* exec, int32_t level, const char* text, size_t size) {
  host* const self = host_of(exec);
  const size_t used = strlen(self->lines);
  (void)level;
  set_text(self->lines + used, sizeof self->lines - used - 1, text, size);
  strcat(self->lines, "\n");
}
static int32_t set_failure(const taskhost_exec* exec, const char* text, size_t size) {
  set_text(host_of(exec)->message, sizeof host_of(exec)->message, text, size);
  return TASKHOST_ERROR;
}
static const char* config(const taskhost_exec* exec, size_t* size) {
  (void)exec;
  if (size != NULL) *size = 2;
  return "{}";
}
static const char* task_name(const taskhost_exec* exec) { return (void)exec, "probe"; }
static uint64_t number(const taskhost_exec* exec) { return (void)exec, 1; }
static int32_t stop_requested(const taskhost_exec* exec) { return (void)exec, 0; }
static uint64_t now(void) { return TASKHOST_SECOND; }
static void wake(taskhost_waker waker) { (void)waker; }
static void set_time(const taskhost_exec* exec, uint64_t time) { (void)exec, (void)time; }
static int32_t watch(const taskhost_exec* exec, taskhost_fd fd, uint32_t interests, uint64_t tag) {
  host* const self = host_of(exec);
  if (fd != self->fd) return TASKHOST_REFUSED_CLOSED;
  self->watched = interests != 0 ? fd : -1;
  self->interests = interests;
  self->tag = tag;
  return TASKHOST_OK;
}
static size_t take_ready(const taskhost_exec* exec, taskhost_ready* list, size_t capacity) {
  host* const self = host_of(exec);
  size_t count = 0;
  CHECK(capacity >= 2, self);
  if (self->is_done) list[count++] = (taskhost_ready){self->work.tag, TASKHOST_DONE, 0};
  self->is_done = 0;
  if (self->watched >= 0) {
    struct pollfd polled = {(int)self->watched, POLLIN, 0};
    if (poll(&polled, 1, 0) == 1) list[count++] = (taskhost_ready){self->tag, TASKHOST_READABLE, 0};
  }
  return count;
}
static int32_t offload(const taskhost_exec* exec, const taskhost_work* work) {
  host* const self = host_of(exec);
  CHECK(work->struct_size == sizeof *work && work->reserved == 0 && work->run != NULL, self);
  CHECK(!self->has_work, self);
  self->work = *work;
  self->has_work = 1;
  return TASKHOST_OK;
}
static uint32_t wait_until(const taskhost_exec* exec, uint64_t time) { return (void)exec, (void)time, 4; }
static taskhost_fd wait_fd(const taskhost_exec* exec) { return (void)exec, 33; }
static void sign(const taskhost_exec* exec) { (void)exec; }
static void set_status(const taskhost_exec* exec, const char* text, size_t size) {
  set_text(host_of(exec)->status, sizeof host_of(exec)->status, text, size);
}

static int32_t ok_keys(const taskhost_exec* exec, const char* keys) { return (void)exec, (void)keys, TASKHOST_OK; }
static int32_t integer(const taskhost_exec* exec, const char* pointer, int64_t least, int64_t most, int64_t* value) {
  host* const self = host_of(exec);
  CHECK(least < most, self);
  if (strcmp(pointer, "/fd") == 0) *value = self->fd;
  if (strcmp(pointer, "/fail") == 0) *value = self->fail;
  return TASKHOST_OK;
}
/* Knows one duration. */
static int32_t parse_duration(const char* text, size_t size, uint64_t* value) {
  if (size != 5 || memcmp(text, "250ms", size) != 0) return TASKHOST_ERROR;
  *value = 250 * TASKHOST_MILLISECOND;
  return TASKHOST_OK;
}
static const taskhost_config_reader reader = {.struct_size = sizeof reader,
                                              .revision = TASKHOST_CONFIG_REVISION,
                                              .keys = ok_keys,
                                              .require = ok_keys,
                                              .integer = integer,
                                              .parse_duration = parse_duration};
static const void* extension(const taskhost_exec* exec, const char* id, uint32_t revision) {
  (void)exec;
  return strcmp(id, TASKHOST_EXTENSION_CONFIG) == 0 && revision == TASKHOST_CONFIG_REVISION ? &reader : NULL;
}

static const taskhost_services services = {sizeof services,
                                           TASKHOST_ABI_MINOR,
                                           log_line,
                                           set_failure,
                                           config,
                                           task_name,
                                           number,
                                           stop_requested,
                                           now,
                                           number,
                                           wake,
                                           set_time,
                                           set_time,
                                           watch,
                                           take_ready,
                                           offload,
                                           wait_until,
                                           wait_fd,
                                           sign,
                                           sign,
                                           set_status,
                                           extension};

static void* run_work(void* argument) {
  const taskhost_work* const work = argument;
  work->run(work->argument);
  return NULL;
}
static void* discard_work(void* argument) {
  const taskhost_work* const work = argument;
  if (work->discard != NULL) work->discard(work->argument);
  return NULL;
}
static void on_another_thread(void* (*function)(void*), void* argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, function, argument) != 0) exit(2);
  pthread_join(thread, NULL);
}

static const taskhost_factory* find(const taskhost_factory* first, const char* name) {
  for (const taskhost_factory* at = first; at != NULL; at = at->next) {
    CHECK(at->struct_size == sizeof *at, NULL);
    if (strcmp(at->name, name) == 0) return at;
  }
  fail_test(__LINE__, name, NULL);
  return NULL;
}

static void* new_state(const taskhost_factory* factory) {
  const size_t align = factory->state_align != 0 ? factory->state_align : 16;
  const size_t size = (factory->state_size + align - 1) / align * align + align;
  void* const state = aligned_alloc(align, size);
  if (state == NULL) exit(2);
  return memset(state, 0, size);
}

/* How a round of the probe ends. */
enum end { well, failing, told_nothing, never_run, last_end };

static void probe_round(const taskhost_factory* probe, enum end end) {
  int pipes[2];
  if (pipe(pipes) != 0) exit(2);
  host self = {.exec = {&services}, .fd = -1, .fail = end == failing, .watched = -1};
  CHECK(probe->check(&self.exec) == TASKHOST_ERROR, &self);
  CHECK(strcmp(self.message, "fd: must not be negative") == 0, &self);
  self.message[0] = '\0';
  self.fd = pipes[0];
  CHECK(probe->check(&self.exec) == TASKHOST_OK, &self);
  self.lines[0] = '\0'; /* in some languages an object is made for the check, and dropped */

  void* const state = new_state(probe);
  CHECK(probe->start(state, &self.exec) == TASKHOST_OK, &self);
  CHECK(self.watched == pipes[0] && self.interests == TASKHOST_READABLE && self.tag == tag_of_input, &self);
  CHECK(strcmp(self.status, "waiting") == 0, &self);
  CHECK(probe->poll(state, &self.exec) == TASKHOST_PENDING && self.lines[0] == '\0' && !self.has_work, &self);
  if (write(pipes[1], "x", 1) != 1) exit(2);
  CHECK(probe->poll(state, &self.exec) == TASKHOST_PENDING, &self);
  CHECK(strcmp(self.lines, "ready 7 1\n") == 0 && self.watched == -1 && self.has_work, &self);
  CHECK(strcmp(self.status, "working") == 0, &self);
  CHECK(probe->poll(state, &self.exec) == TASKHOST_PENDING, &self);

  if (end != never_run) on_another_thread(run_work, &self.work);
  if (end == well || end == failing) self.is_done = 1;
  if (end == failing) {
    CHECK(probe->poll(state, &self.exec) == TASKHOST_ERROR, &self);
    CHECK(strcmp(self.message, "the work failed") == 0, &self);
  } else if (end == well) {
    CHECK(probe->poll(state, &self.exec) == TASKHOST_AGAIN, &self);
    CHECK(strcmp(self.lines, "ready 7 1\ndone 9 42\n") == 0, &self);
    CHECK(probe->poll(state, &self.exec) == TASKHOST_OK, &self);
  } else {
    on_another_thread(discard_work, &self.work); /* so drop must not touch it */
  }
  CHECK(probe->finish(state, &self.exec) == TASKHOST_AGAIN, &self);
  CHECK(probe->finish(state, &self.exec) == TASKHOST_PENDING, &self);
  CHECK(probe->finish(state, &self.exec) == TASKHOST_OK, &self);
  CHECK(strstr(self.lines, "finishing\n") != NULL, &self);
  probe->drop(state, &self.exec);
  CHECK(strstr(self.lines, "dropped\n") != NULL, &self);
  free(state);
  close(pipes[0]);
  close(pipes[1]);
}

static void waiter_round(const taskhost_factory* waiter) {
  host self = {.exec = {&services}, .watched = -1};
  void* const state = new_state(waiter);
  CHECK(waiter->poll == NULL && waiter->finish == NULL, &self);
  CHECK(waiter->start == NULL || waiter->start(state, &self.exec) == TASKHOST_OK, &self);
  CHECK(waiter->run(state, &self.exec) == TASKHOST_OK, &self);
  CHECK(strcmp(self.lines, "wait_fd 33\n") == 0, &self);
  if (waiter->drop != NULL) waiter->drop(state, &self.exec);
  free(state);
}

static const taskhost_factory* first;

static void* one_round(void* argument) {
  const int round = *(const int*)argument;
  probe_round(find(first, "probe"), (enum end)(round % last_end));
  waiter_round(find(first, "waiter"));
  return NULL;
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  plugin = arguments[1];
  void* const library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
  const taskhost_factory* (*entry)(void) = NULL;
  *(void**)&entry = dlsym(library, TASKHOST_ENTRY_NAME);
  CHECK(entry != NULL, NULL);
  first = entry();
  CHECK(first == entry(), NULL);
  for (int round = 0; round < rounds; ++round) {
    if (round % 2 == 0) {
      on_another_thread(one_round, &round);
    } else {
      one_round(&round);
    }
  }
  printf("%s: %d rounds\n", plugin, (int)rounds);
  return 0;
}
