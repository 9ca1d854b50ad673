/* What a program learns about its host and tasks as data. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embedder.h"

/* What the callback was given, with texts of its own. */
typedef struct seen {
  stage* self;
  int count;
  char order[256]; /* all names */
  taskhost_task_status last;
  char message[64];
  char doing[64];
  char group[64];
  char waits_for[64];
  char factory[64];
  char plugin[4096];
} seen;

static void note(char* target, size_t size, const char* text) { snprintf(target, size, "%s", text ? text : "(NULL)"); }

static void see(void* user, const taskhost_task_status* status) {
  seen* all = user;
  REQUIRE(status->struct_size >= sizeof *status);
  REQUIRE(status->name != NULL && status->factory != NULL && status->last_message != NULL && status->doing != NULL);
  ++all->count;
  strncat(all->order, status->name, sizeof all->order - strlen(all->order) - 2);
  strcat(all->order, " ");
  all->last = *status;
  note(all->message, sizeof all->message, status->last_message);
  note(all->doing, sizeof all->doing, status->doing);
  note(all->group, sizeof all->group, status->group);
  note(all->factory, sizeof all->factory, status->factory);
  note(all->plugin, sizeof all->plugin, status->plugin);
  all->waits_for[0] = '\0';
  for (size_t i = 0; i < status->waits_for_count; ++i) {
    strncat(all->waits_for, status->waits_for[i], sizeof all->waits_for - strlen(all->waits_for) - 2);
    strcat(all->waits_for, " ");
  }
  /* It may call any-thread functions, these included. */
  REQUIRE(taskhost_state(all->self->host) != TASKHOST_STATE_CREATED);
  REQUIRE(taskhost_describe_tasks(all->self->host, "nobody", see, user) == TASKHOST_RESULT_UNKNOWN_TASK);
}

static seen described(stage* self, const char* name) {
  seen all;
  memset(&all, 0, sizeof all);
  all.self = self;
  REQUIRE(taskhost_describe_tasks(self->host, name, see, &all) == TASKHOST_RESULT_OK);
  return all;
}

static seen await_state(stage* self, const char* name, int32_t state) {
  for (;; pause_briefly()) {
    const seen one = described(self, name);
    REQUIRE(one.count == 1);
    if (one.last.state == state) return one;
  }
}

static taskhost_host_status host_status(stage* self) {
  taskhost_host_status status;
  memset(&status, 0xff, sizeof status);
  status.struct_size = sizeof status;
  REQUIRE(taskhost_describe_host(self->host, &status) == TASKHOST_RESULT_OK);
  REQUIRE(status.struct_size == sizeof status);
  REQUIRE(status.tasks == status.unknown + status.waiting + status.delayed + status.starting + status.running +
                              status.stopping + status.stopped + status.ended);
  REQUIRE(status.events_lost == 0 && status.log_lines_lost == 0);
  return status;
}

static taskhost_task_options task_of(const char* name, const taskhost_factory* factory, int32_t type) {
  taskhost_task_options task;
  memset(&task, 0, sizeof task);
  task.struct_size = sizeof task;
  task.type = type;
  task.name = name;
  task.factory = factory;
  return task;
}

static void must_add(stage* self, const taskhost_task_options* task) {
  REQUIRE(taskhost_add_task(self->host, task) == TASKHOST_RESULT_OK);
}

/* A task that says what it is doing, and stops when it is let. */
static int32_t poll_talking(void* state, const taskhost_exec* exec) {
  (void)state;
  exec->services->status(exec, "counting", 8);
  taskhost_wake_after(exec, TASKHOST_MILLISECOND);
  return taskhost_stop_requested(exec) && atomic_load(&own.released) ? TASKHOST_OK : TASKHOST_PENDING;
}
static const taskhost_factory talking_factory = {
    .struct_size = sizeof(taskhost_factory), .name = "talking", .poll = poll_talking};

static void add_all(stage* self) {
  static const char* const after_talker[] = {"talker"};
  static const char* const after_failed[] = {"failed"};
  taskhost_task_options task = task_of("talker", &talking_factory, TASKHOST_MANDATORY);
  task.stop_timeout = 60 * TASKHOST_SECOND;
  task.restarts = 7;
  must_add(self, &task);
  task = task_of("failed", &failing_factory, TASKHOST_DETACHABLE);
  task.restarts = 2;
  task.ready = TASKHOST_READY_NOTIFY; /* which it never is, so what comes after it can't start */
  must_add(self, &task);
  task = task_of("delayed", &failing_factory, TASKHOST_MANDATORY);
  task.restarts = TASKHOST_UNLIMITED;
  task.backoff_initial = 3600 * TASKHOST_SECOND;
  task.backoff_max = 3600 * TASKHOST_SECOND;
  must_add(self, &task);
  task = task_of("member", &idle_factory, TASKHOST_MANDATORY);
  task.group = "pair";
  task.strategy = TASKHOST_ONE_FOR_ALL;
  task.after = after_talker;
  task.after_count = 1;
  must_add(self, &task);
  task = task_of("skipped", &idle_factory, TASKHOST_DETACHABLE);
  task.after = after_failed;
  task.after_count = 1;
  must_add(self, &task);
}

static void descriptions_of_tasks(void) {
  const uint64_t hour = 3600 * TASKHOST_SECOND;
  stage self;
  stage_open(&self, NULL);
  add_all(&self);
  taskhost_task_options task = task_of("waits", &idle_factory, TASKHOST_MANDATORY);
  task.ready = TASKHOST_READY_NOTIFY;
  must_add(&self, &task);

  /* Before the start. */
  REQUIRE(taskhost_describe_tasks(self.host, NULL, see, NULL) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_describe_tasks(self.host, "talker", see, NULL) == TASKHOST_RESULT_WRONG_STATE);
  taskhost_host_status host = host_status(&self);
  REQUIRE(host.state == TASKHOST_STATE_CREATED && host.tasks == 6 && host.waiting == 6);
  REQUIRE(host.starts == 0 && host.restarts == 0 && host.not_ready == 0);

  /* Wrong calls. */
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_describe_tasks(self.host, NULL, NULL, NULL) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(taskhost_describe_tasks(NULL, NULL, see, NULL) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_describe_tasks(self.host, "takler", see, NULL) == TASKHOST_RESULT_UNKNOWN_TASK);
  REQUIRE(taskhost_describe_tasks(self.host, "", see, NULL) == TASKHOST_RESULT_UNKNOWN_TASK);
  REQUIRE(taskhost_describe_host(self.host, NULL) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(taskhost_describe_host(NULL, &host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(strcmp(taskhost_error(self.host), "") == 0);

  /* Each task. */
  seen one = await_state(&self, "member", TASKHOST_TASK_RUNNING);
  REQUIRE(strcmp(one.group, "pair") == 0 && strcmp(one.factory, "idle") == 0);
  one = await_state(&self, "talker", TASKHOST_TASK_RUNNING);
  while (strcmp(one.doing, "counting") != 0) one = described(&self, "talker");
  REQUIRE(one.last.type == TASKHOST_MANDATORY && one.last.facts == TASKHOST_TASK_IS_READY);
  REQUIRE(one.last.execution == 1 && one.last.uptime > 0 && one.last.uptime < hour && one.last.state_age > 0);
  REQUIRE(one.last.restarts == 7 && one.last.remaining == 7 && one.last.last_end == 0 && one.last.stalls == 0);
  REQUIRE(strcmp(one.message, "") == 0 && strcmp(one.group, "(NULL)") == 0 && strcmp(one.plugin, "(NULL)") == 0);
  REQUIRE(strcmp(one.factory, "talking") == 0 && one.last.start_in == 0 && one.last.waits_for_count == 0);

  one = await_state(&self, "failed", TASKHOST_TASK_ENDED);
  REQUIRE(one.last.facts == TASKHOST_TASK_IS_LOST && one.last.last_end == TASKHOST_ON_ERROR);
  REQUIRE(one.last.execution == 3 && one.last.restarts == 2 && one.last.remaining == 0 && one.last.uptime == 0);
  REQUIRE(strcmp(one.message, "as it was told") == 0 && strcmp(one.factory, "failing") == 0);

  one = await_state(&self, "delayed", TASKHOST_TASK_DELAYED);
  REQUIRE(one.last.start_in > hour / 2 && one.last.start_in <= hour);
  REQUIRE(one.last.restarts == TASKHOST_UNLIMITED && one.last.remaining == TASKHOST_UNLIMITED);
  REQUIRE(one.last.execution == 1 && one.last.last_end == TASKHOST_ON_ERROR && one.last.facts == 0);

  one = await_state(&self, "skipped", TASKHOST_TASK_ENDED);
  REQUIRE(one.last.facts == TASKHOST_TASK_IS_LOST && one.last.execution == 0 && one.last.last_end == 0);
  REQUIRE(strcmp(one.waits_for, "failed ") == 0);

  one = await_state(&self, "waits", TASKHOST_TASK_STARTING);
  REQUIRE(one.last.facts == 0 && one.last.execution == 1 && one.last.uptime > 0);

  one = described(&self, NULL);
  REQUIRE(one.count == 6 && strcmp(one.order, "talker failed delayed member skipped waits ") == 0);
  host = host_status(&self);
  REQUIRE(host.state == TASKHOST_STATE_RUNNING && host.tasks == 6 && host.unknown == 0);
  REQUIRE(host.running == 2 && host.ended == 2 && host.delayed == 1 && host.starting == 1);
  REQUIRE(host.not_ready == 2 && host.starts == 7 && host.restarts == 3);

  /* An operator's stop, for which the task takes its time. */
  REQUIRE(taskhost_stop_task(self.host, "talker") == TASKHOST_RESULT_OK);
  one = await_state(&self, "talker", TASKHOST_TASK_STOPPING);
  REQUIRE(one.last.facts == 0 && one.last.uptime >= one.last.state_age);
  atomic_store(&own.released, 1);
  one = await_state(&self, "talker", TASKHOST_TASK_STOPPED);
  REQUIRE(one.last.last_end == 0 && one.last.uptime == 0 && strcmp(one.doing, "") == 0);
  REQUIRE(taskhost_restart_task(self.host, "member") == TASKHOST_RESULT_OK);
  one = await_state(&self, "member", TASKHOST_TASK_WAITING);
  REQUIRE(strcmp(one.waits_for, "talker ") == 0 && one.last.execution == 1);
  atomic_store(&own.released, 0);
  REQUIRE(taskhost_start_task(self.host, "talker") == TASKHOST_RESULT_OK);
  one = await_state(&self, "member", TASKHOST_TASK_RUNNING);
  REQUIRE(one.last.execution == 2 && one.last.waits_for_count == 0);

  /* A struct of an older program. */
  taskhost_host_status older;
  memset(&older, 0xff, sizeof older);
  older.struct_size = offsetof(taskhost_host_status, unknown);
  REQUIRE(taskhost_describe_host(self.host, &older) == TASKHOST_RESULT_OK);
  REQUIRE(older.state == TASKHOST_STATE_RUNNING && older.tasks == 6);
  REQUIRE(older.unknown == UINT64_MAX && older.log_lines_lost == UINT64_MAX);
  REQUIRE(older.struct_size == offsetof(taskhost_host_status, unknown));

  /* While it stops, and afterwards. */
  taskhost_request_stop(self.host);
  while (taskhost_state(self.host) != TASKHOST_STATE_STOPPING) pause_briefly();
  one = await_state(&self, "talker", TASKHOST_TASK_STOPPING);
  host = host_status(&self);
  REQUIRE(host.state == TASKHOST_STATE_STOPPING && host.stopping >= 1 && host.waiting == 0 && host.delayed == 0);
  atomic_store(&own.released, 1);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  host = host_status(&self);
  REQUIRE(host.state == TASKHOST_STATE_STOPPED && host.ended == 6 && host.not_ready == 0 && host.starts == 9);
  one = described(&self, NULL);
  REQUIRE(one.count == 6);
  one = described(&self, "talker");
  REQUIRE(one.last.state == TASKHOST_TASK_ENDED && one.last.facts == 0 && one.last.execution == 2);
  REQUIRE(described(&self, "failed").last.facts == TASKHOST_TASK_IS_LOST);
  stage_close(&self, TASKHOST_RESULT_OK);
}

/* A task of a plugin has its path; a deaf one is abandoned. */
static void descriptions_of_a_plugin(void) {
  static const char manifest[] =
      "{\"tasks\": [{\"name\": \"steady\", \"plugin\": \"probe\", \"type\": "
      "\"mandatory\"}]}";
  stage self;
  stage_open(&self, NULL);
  const int32_t loaded = taskhost_load_text(self.host, manifest, strlen(manifest), plugin_directory);
  if (loaded != TASKHOST_RESULT_OK) fprintf(stderr, "%s\n", taskhost_error(self.host));
  REQUIRE(loaded == TASKHOST_RESULT_OK);
  REQUIRE(add(&self, "deaf", &deaf_factory, TASKHOST_DETACHABLE, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  seen one = await_state(&self, "steady", TASKHOST_TASK_RUNNING);
  REQUIRE(strstr(one.plugin, "probe.so") != NULL && strcmp(one.factory, "probe") == 0);
  one = await_state(&self, "deaf", TASKHOST_TASK_RUNNING);
  REQUIRE(strcmp(one.plugin, "(NULL)") == 0 && strcmp(one.factory, "deaf") == 0);
  REQUIRE(taskhost_stop_task(self.host, "deaf") == TASKHOST_RESULT_OK);
  one = await_state(&self, "deaf", TASKHOST_TASK_ENDED);
  REQUIRE(one.last.facts == (TASKHOST_TASK_IS_ABANDONED | TASKHOST_TASK_IS_LOST));
  REQUIRE(strcmp(one.message, "its blocking function did not return") == 0);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_STOP_TIMEOUT);
  REQUIRE(described(&self, "deaf").last.facts == (TASKHOST_TASK_IS_ABANDONED | TASKHOST_TASK_IS_LOST));
  stage_close(&self, TASKHOST_RESULT_STOP_TIMEOUT);
  atomic_store(&own.released, 1);
  while (atomic_load(&own.returned) == 0) pause_briefly();
}

static void descriptions_in_a_child(void) {
  int status = -1;
  stage self;
  stage_open(&self, NULL);
  REQUIRE(add(&self, "own", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  await_state(&self, "own", TASKHOST_TASK_RUNNING);
  fflush(NULL);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    taskhost_host_status host = {.struct_size = sizeof host};
    alarm(60);
    REQUIRE(taskhost_describe_tasks(self.host, NULL, see, NULL) == TASKHOST_RESULT_WRONG_STATE);
    REQUIRE(taskhost_describe_host(self.host, &host) == TASKHOST_RESULT_WRONG_STATE);
    REQUIRE(host.tasks == 0);
    _exit(0);
  }
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

const scenario status_scenarios[] = {{"descriptions of tasks", descriptions_of_tasks},
                                     {"descriptions of a plugin", descriptions_of_a_plugin},
                                     {"descriptions in a child", descriptions_in_a_child},
                                     {NULL, NULL}};
