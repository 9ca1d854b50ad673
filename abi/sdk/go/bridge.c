/* The plugin that the host sees, and the services that goroutines see; bridge.h explains how they are connected. */
#define _GNU_SOURCE /* dladdr */
#include "bridge.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* An execution's state, in the host's memory, which no goroutine ever accesses. */
typedef struct state {
  taskhost_go_record* record;
} state;

static const taskhost_go_plan* plans[TASKHOST_GO_MOST_TASKS];

static pthread_mutex_t notes_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the following, and the records' notes */
static taskhost_go_record* first_noted;
static taskhost_go_record** last_noted = &first_noted;
static taskhost_go_record* unused;
static uint64_t last_id;
static int descriptor = -1;

int32_t taskhost_go_open(void) { return descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

static void leave_note(taskhost_go_record* record, uint32_t note) {
  const uint64_t one = 1;
  pthread_mutex_lock(&notes_mutex);
  const int is_first = first_noted == NULL;
  if (record->notes == 0) {
    record->next = NULL;
    *last_noted = record;
    last_noted = &record->next;
  }
  record->notes |= note;
  pthread_mutex_unlock(&notes_mutex);
  if (is_first) {
    while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {
    }
  }
}

taskhost_go_record* taskhost_go_take_notes(void) {
  pthread_mutex_lock(&notes_mutex);
  taskhost_go_record* const first = first_noted;
  for (taskhost_go_record* record = first; record != NULL; record = record->next) {
    record->taken = record->notes;
    record->taken_next = record->next;
    record->notes = 0;
  }
  first_noted = NULL;
  last_noted = &first_noted;
  pthread_mutex_unlock(&notes_mutex);
  return first;
}

void taskhost_go_recycle(taskhost_go_record* record) {
  free(record->name);
  free(record->values.words);
  record->name = NULL;
  record->values = (taskhost_go_words){NULL, 0, 0};
  pthread_mutex_lock(&notes_mutex);
  record->next = unused;
  unused = record;
  pthread_mutex_unlock(&notes_mutex);
}

static taskhost_go_record* take_record(uint64_t* id) {
  pthread_mutex_lock(&notes_mutex);
  taskhost_go_record* record = unused;
  if (record != NULL) unused = record->next;
  *id = ++last_id;
  pthread_mutex_unlock(&notes_mutex);
  if (record != NULL) return record;
  record = calloc(1, sizeof *record);
  if (record != NULL) pthread_mutex_init(&record->mutex, NULL);
  return record;
}

static int32_t start(uint32_t index, void* memory, const taskhost_exec* exec) {
  const taskhost_services* const services = exec->services;
  taskhost_go_words values = {NULL, 0, 0};
  if (plans[index] != NULL) {
    const int32_t result = taskhost_go_read_config(plans[index], exec, &values);
    if (result != TASKHOST_OK) {
      free(values.words);
      return result;
    }
  }
  size_t config_size = 0;
  const char* const config = services->config(exec, &config_size);
  const char* const name = services->task_name(exec);
  const size_t name_size = strlen(name);
  char* const texts = malloc(name_size + config_size + 1);
  uint64_t id = 0;
  taskhost_go_record* const record = texts != NULL ? take_record(&id) : NULL;
  if (record == NULL) {
    free(texts);
    free(values.words);
    return taskhost_fail(exec, "there is no memory for another execution");
  }
  memcpy(texts, name, name_size);
  memcpy(texts + name_size, config, config_size);
  record->index = index;
  record->number = services->execution_number(exec);
  record->name = texts;
  record->name_size = name_size;
  record->config_size = config_size;
  record->values = values;
  record->stop_told = 0;
  atomic_store_explicit(&record->ended, 0, memory_order_relaxed);
  pthread_mutex_lock(&record->mutex);
  record->id = id;
  record->waker = services->waker(exec);
  record->exec = exec;
  pthread_mutex_unlock(&record->mutex);
  ((state*)memory)->record = record;
  leave_note(record, TASKHOST_GO_START);
  return TASKHOST_OK;
}

static int32_t check(uint32_t index, const taskhost_exec* exec) {
  const taskhost_go_plan* const plan = plans[index];
  taskhost_go_words values = {NULL, 0, 0};
  int32_t result = taskhost_go_read_config(plan, exec, &values);
  if (result == TASKHOST_OK && plan->has_check) {
    char* text = NULL;
    result = taskhostGoCheck(index, values.words, values.count, &text);
    if (text != NULL) taskhost_fail(exec, text);
    free(text);
  }
  free(values.words);
  return result;
}

static int32_t poll(void* memory, const taskhost_exec* exec) {
  taskhost_go_record* const record = ((state*)memory)->record;
  const int ended = atomic_load_explicit(&record->ended, memory_order_acquire);
  if (ended != 0) {
    if (record->text != NULL) exec->services->fail(exec, record->text, record->text_size);
    return ended - 1;
  }
  if (!record->stop_told && taskhost_stop_requested(exec)) {
    record->stop_told = 1;
    leave_note(record, TASKHOST_GO_STOP);
  }
  return TASKHOST_PENDING;
}

static void drop(void* memory, const taskhost_exec* exec) {
  (void)exec;
  taskhost_go_record* const record = ((state*)memory)->record;
  pthread_mutex_lock(&record->mutex);
  record->exec = NULL;
  free(record->text);
  record->text = NULL;
  pthread_mutex_unlock(&record->mutex);
  leave_note(record, TASKHOST_GO_DROP);
}

/* If it returns an exec, the record's lock is held. */
static const taskhost_exec* lock_living(taskhost_go_record* record, uint64_t id) {
  pthread_mutex_lock(&record->mutex);
  if (record->id == id && record->exec != NULL) return record->exec;
  pthread_mutex_unlock(&record->mutex);
  return NULL;
}

int32_t taskhost_go_log(taskhost_go_record* record, uint64_t id, int32_t level, const char* text, size_t size) {
  const taskhost_exec* const exec = lock_living(record, id);
  if (exec == NULL) return 0;
  exec->services->log(exec, level, text, size);
  pthread_mutex_unlock(&record->mutex);
  return 1;
}

void taskhost_go_ready(taskhost_go_record* record, uint64_t id) {
  const taskhost_exec* const exec = lock_living(record, id);
  if (exec == NULL) return;
  exec->services->ready(exec);
  pthread_mutex_unlock(&record->mutex);
}

void taskhost_go_heartbeat(taskhost_go_record* record, uint64_t id) {
  const taskhost_exec* const exec = lock_living(record, id);
  if (exec == NULL) return;
  exec->services->heartbeat(exec);
  pthread_mutex_unlock(&record->mutex);
}

void taskhost_go_status(taskhost_go_record* record, uint64_t id, const char* text, size_t size) {
  const taskhost_exec* const exec = lock_living(record, id);
  if (exec == NULL) return;
  exec->services->status(exec, text, size);
  pthread_mutex_unlock(&record->mutex);
}

int32_t taskhost_go_parse_duration(taskhost_go_record* record, uint64_t id, const char* text, size_t size,
                                   uint64_t* value) {
  const taskhost_exec* const exec = lock_living(record, id);
  if (exec == NULL) return 0;
  const taskhost_config_reader* const config =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  const int32_t is_one = config != NULL && config->parse_duration(text, size, value) == TASKHOST_OK;
  pthread_mutex_unlock(&record->mutex);
  return is_one;
}

void taskhost_go_finish(taskhost_go_record* record, uint64_t id, int32_t status, const char* text, size_t size) {
  const taskhost_exec* const exec = lock_living(record, id);
  if (exec == NULL) return;
  if (size != 0 && (record->text = malloc(size)) != NULL) {
    memcpy(record->text, text, size);
    record->text_size = size;
  }
  record->exec = NULL; /* disables goroutines that it has left behind */
  const taskhost_waker waker = record->waker;
  atomic_store_explicit(&record->ended, 1 + status, memory_order_release);
  exec->services->wake(waker); /* exec is still there: drop waits for the lock */
  pthread_mutex_unlock(&record->mutex);
}

/* SIGPIPE counts as ignored with SIG_IGN, or with a handler other than the one that Go has installed. */
int32_t taskhost_go_ignores_pipe_signal(void) {
  struct sigaction action;
  Dl_info its, own;
  if (sigaction(SIGPIPE, NULL, &action) != 0 || action.sa_handler == SIG_DFL) return 0;
  if (action.sa_handler == SIG_IGN) return 1;
  return dladdr((void*)action.sa_handler, &its) != 0 && dladdr((void*)taskhost_go_ignores_pipe_signal, &own) != 0 &&
         its.dli_fbase != own.dli_fbase;
}

/* start_000 to start_077, and check_000 to check_077: the numbers are octal. */
/* clang-format off */
#define EIGHT_TASKS(tens) \
  TASK(tens##0) TASK(tens##1) TASK(tens##2) TASK(tens##3) \
  TASK(tens##4) TASK(tens##5) TASK(tens##6) TASK(tens##7)
#define ALL_TASKS \
  EIGHT_TASKS(00) EIGHT_TASKS(01) EIGHT_TASKS(02) EIGHT_TASKS(03) \
  EIGHT_TASKS(04) EIGHT_TASKS(05) EIGHT_TASKS(06) EIGHT_TASKS(07)
/* clang-format on */

#define TASK(octal)                                                                                            \
  static int32_t start_##octal(void* memory, const taskhost_exec* exec) { return start(octal, memory, exec); } \
  static int32_t check_##octal(const taskhost_exec* exec) { return check(octal, exec); }
ALL_TASKS
#undef TASK

#define TASK(octal) start_##octal,
static int32_t (*const starts[])(void*, const taskhost_exec*) = {ALL_TASKS};
#undef TASK
#define TASK(octal) check_##octal,
static int32_t (*const checks[])(const taskhost_exec*) = {ALL_TASKS};
#undef TASK
_Static_assert(sizeof starts / sizeof starts[0] == TASKHOST_GO_MOST_TASKS, "a start for each task");

static int32_t start_one_too_many(void* memory, const taskhost_exec* exec) {
  (void)memory;
  return taskhost_fail(exec, "a Go library can have 64 tasks; this is one too many");
}

static int32_t start_without_descriptor(void* memory, const taskhost_exec* exec) {
  (void)memory;
  return taskhost_fail(exec, "there was no descriptor left to reach the goroutines by (eventfd)");
}

taskhost_factory* taskhost_go_factory(uint32_t index, const char* name, const char* version, const char* description,
                                      const taskhost_go_plan* plan, const taskhost_factory* next) {
  taskhost_factory* const factory = calloc(1, sizeof *factory);
  if (factory == NULL) return NULL;
  factory->struct_size = sizeof *factory;
  factory->name = name;
  factory->version = version;
  factory->description = description;
  factory->state_size = sizeof(state);
  factory->start = start_one_too_many;
  if (index < TASKHOST_GO_MOST_TASKS) {
    plans[index] = plan;
    factory->start = descriptor >= 0 ? starts[index] : start_without_descriptor;
    factory->check = plan != NULL ? checks[index] : NULL;
  }
  factory->poll = poll;
  factory->drop = drop;
  factory->next = next;
  return factory;
}

const taskhost_factory* taskhost_plugin_v1(void) { return taskhostGoFactories(); }
