/* A service that is called when or where it must not be ends the process, since a Go test could not catch anything
 * less. Executions are never freed, so that a late call is detected instead of crashing. */
#include "fakehost.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static fake_exec* self_of(const taskhost_exec* exec) { return (fake_exec*)exec; }

static void insist(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "fakehost: %s\n", what);
  abort();
}

/* [any-thread] */
static fake_exec* living(const taskhost_exec* exec) {
  insist(!self_of(exec)->dropped, "a service was called after drop");
  return self_of(exec);
}

/* [execution] */
static fake_exec* calling(const taskhost_exec* exec) {
  fake_exec* self = living(exec);
  insist(self->in_call && pthread_equal(self->thread, pthread_self()), "an [execution] service was called elsewhere");
  return self;
}

/* Not in a check, which has no execution. */
static fake_exec* executing(fake_exec* self) {
  insist(!self->checking, "a check called a service that needs an execution");
  return self;
}

static void keep(char* place, const char* text, size_t size) {
  if (size >= FAKE_TEXT) size = FAKE_TEXT - 1;
  memcpy(place, text, size);
  place[size] = '\0';
}

static void do_log(const taskhost_exec* exec, int32_t level, const char* text, size_t size) {
  fake_exec* self = living(exec);
  (void)level;
  pthread_mutex_lock(&self->mutex);
  ++self->logged;
  keep(self->line, text, size);
  pthread_mutex_unlock(&self->mutex);
}
static int32_t do_fail(const taskhost_exec* exec, const char* text, size_t size) {
  keep(calling(exec)->failure, text, size);
  return TASKHOST_ERROR;
}
static const char* do_config(const taskhost_exec* exec, size_t* size) {
  if (size != NULL) *size = strlen(living(exec)->config);
  return living(exec)->config;
}
static const char* do_name(const taskhost_exec* exec) { return living(exec)->factory->name; }
static uint64_t do_number(const taskhost_exec* exec) { return executing(living(exec)) != NULL; }
static int32_t do_stop_requested(const taskhost_exec* exec) { return executing(living(exec))->stop; }
static uint64_t do_now(void) { return 1; }
static taskhost_waker do_waker(const taskhost_exec* exec) {
  return (taskhost_waker)(uintptr_t)executing(calling(exec));
}
static void do_wake(taskhost_waker waker) { ++((fake_exec*)(uintptr_t)waker)->wakes; }
static void do_ready(const taskhost_exec* exec) { ++executing(living(exec))->ready; }
static void do_heartbeat(const taskhost_exec* exec) { ++executing(living(exec))->heartbeats; }
static void do_status(const taskhost_exec* exec, const char* text, size_t size) {
  fake_exec* self = executing(living(exec));
  pthread_mutex_lock(&self->mutex);
  keep(self->status, text, size);
  pthread_mutex_unlock(&self->mutex);
}

static const fake_answer* find(fake_exec* self, const char* pointer) {
  for (size_t index = 0; index < self->answer_count; ++index) {
    if (strcmp(self->answers[index].pointer, pointer) == 0) return &self->answers[index];
  }
  return NULL;
}
static const fake_answer* ask(const taskhost_exec* exec, const char* kind, const char* pointer) {
  fake_exec* self = calling(exec);
  snprintf(self->asked, sizeof self->asked, "%s %s", kind, pointer);
  return find(self, pointer);
}

static int32_t do_keys(const taskhost_exec* exec, const char* keys) {
  keep(calling(exec)->keys, keys, strlen(keys));
  return TASKHOST_OK;
}
static int32_t do_require(const taskhost_exec* exec, const char* pointer) {
  return ask(exec, "require", pointer) != NULL ? TASKHOST_OK : taskhost_fail(exec, "is missing");
}
static int32_t do_text(const taskhost_exec* exec, const char* pointer, const char** value, size_t* size) {
  const fake_answer* answer = ask(exec, "text", pointer);
  if (answer == NULL) return TASKHOST_OK;
  *value = answer->text;
  *size = strlen(answer->text);
  return TASKHOST_OK;
}
static int32_t do_integer(const taskhost_exec* exec, const char* pointer, int64_t least, int64_t most, int64_t* value) {
  const fake_answer* answer = ask(exec, "integer", pointer);
  fake_exec* self = self_of(exec);
  snprintf(self->asked, sizeof self->asked, "integer %s %" PRId64 " %" PRId64, pointer, least, most);
  if (answer != NULL) *value = (int64_t)answer->number;
  return TASKHOST_OK;
}
static int32_t do_number_value(const taskhost_exec* exec, const char* pointer, double* value) {
  const fake_answer* answer = ask(exec, "number", pointer);
  if (answer != NULL) *value = answer->number;
  return TASKHOST_OK;
}
static int32_t do_boolean(const taskhost_exec* exec, const char* pointer, int32_t* value) {
  const fake_answer* answer = ask(exec, "boolean", pointer);
  if (answer != NULL) *value = answer->number != 0;
  return TASKHOST_OK;
}
static int32_t do_duration(const taskhost_exec* exec, const char* pointer, uint64_t* value) {
  const fake_answer* answer = ask(exec, "duration", pointer);
  if (answer != NULL) *value = (uint64_t)answer->number;
  return TASKHOST_OK;
}
static int32_t do_count(const taskhost_exec* exec, const char* pointer, size_t* value) {
  const fake_answer* answer = ask(exec, "count", pointer);
  if (answer != NULL) *value = (size_t)answer->number;
  return TASKHOST_OK;
}

/* Knows one duration. */
static int32_t do_parse_duration(const char* text, size_t size, uint64_t* value) {
  if (size != 5 || memcmp(text, "250ms", size) != 0) return TASKHOST_ERROR;
  *value = 250 * TASKHOST_MILLISECOND;
  return TASKHOST_OK;
}

static const taskhost_config_reader reader = {
    sizeof reader,     TASKHOST_CONFIG_REVISION, do_keys,    do_require,  do_text,
    do_integer,        do_number_value,          do_boolean, do_duration, do_count,
    do_parse_duration,
};

static const void* do_extension(const taskhost_exec* exec, const char* id, uint32_t revision) {
  const int known = strcmp(id, TASKHOST_EXTENSION_CONFIG) == 0 && revision == TASKHOST_CONFIG_REVISION;
  return known && !living(exec)->no_extensions ? &reader : NULL;
}

static const taskhost_services services = {
    .struct_size = sizeof services,
    .log = do_log,
    .fail = do_fail,
    .config = do_config,
    .task_name = do_name,
    .execution_number = do_number,
    .stop_requested = do_stop_requested,
    .now = do_now,
    .waker = do_waker,
    .wake = do_wake,
    .ready = do_ready,
    .heartbeat = do_heartbeat,
    .status = do_status,
    .extension = do_extension,
};

fake_exec* fake_new(const taskhost_factory* factory, const char* config) {
  fake_exec* self = calloc(1, sizeof *self);
  insist(self != NULL && (self->state = calloc(1, factory->state_size)) != NULL, "no memory");
  self->exec.services = &services;
  self->factory = factory;
  self->config = config;
  pthread_mutex_init(&self->mutex, NULL);
  return self;
}

void fake_answer_with(fake_exec* self, const char* pointer, const char* text, double number) {
  insist(self->answer_count < FAKE_ANSWERS, "too many answers");
  self->answers[self->answer_count++] = (fake_answer){pointer, text, number};
}

static int32_t call(fake_exec* self, int32_t (*function)(void*, const taskhost_exec*)) {
  self->thread = pthread_self();
  self->in_call = 1;
  const int32_t result = function(self->state, &self->exec);
  self->in_call = 0;
  return result;
}
int32_t fake_start(fake_exec* self) { return call(self, self->factory->start); }
int32_t fake_poll(fake_exec* self) { return call(self, self->factory->poll); }
int32_t fake_check(fake_exec* self) {
  insist(self->factory->check != NULL, "it has no check");
  self->thread = pthread_self();
  self->in_call = self->checking = 1;
  const int32_t result = self->factory->check(&self->exec);
  self->in_call = self->checking = 0;
  return result;
}
void fake_stop(fake_exec* self) {
  self->stop = 1;
  ++self->wakes;
}
void fake_drop(fake_exec* self) {
  self->factory->drop(self->state, &self->exec);
  free(self->state);
  self->dropped = 1;
}

int fake_take_wakes(fake_exec* self) { return atomic_exchange(&self->wakes, 0); }

int fake_logged(fake_exec* self, char* line) {
  pthread_mutex_lock(&self->mutex);
  strcpy(line, self->line);
  const int logged = self->logged;
  pthread_mutex_unlock(&self->mutex);
  return logged;
}

void fake_status(fake_exec* self, char* text) {
  pthread_mutex_lock(&self->mutex);
  strcpy(text, self->status);
  pthread_mutex_unlock(&self->mutex);
}
