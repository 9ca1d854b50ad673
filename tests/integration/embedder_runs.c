/* Hosts that run as they should: who stops them, and what they return. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "embedder.h"

static void* request_stop_once_started(void* user) {
  stage* self = user;
  stage_wait_for_starts(self, 1);
  REQUIRE(taskhost_state(self->host) == TASKHOST_STATE_RUNNING);
  taskhost_request_stop(self->host);
  return NULL;
}

static void run_and_stop_from_a_thread(void) {
  stage self;
  pthread_t thread;
  const int drops = atomic_load(&own.drops);
  stage_open(&self, NULL);
  REQUIRE(add(&self, NULL, &idle_factory, TASKHOST_MANDATORY, 3) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_task_count(self.host) == 1);
  REQUIRE(pthread_create(&thread, NULL, request_stop_once_started, &self) == 0);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  REQUIRE(pthread_join(thread, NULL) == 0);
  REQUIRE(atomic_load(&own.drops) == drops + 1);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void run_many_times(void) {
  for (int repetition = 0; repetition < 20; ++repetition) run_and_stop_from_a_thread();
}

static taskhost_host* signalled_host;
static void on_signal(int number) {
  (void)number;
  taskhost_request_stop(signalled_host);
}

static void stop_from_a_signal_handler(void) {
  struct sigaction action;
  stage self;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  REQUIRE(sigaction(SIGTERM, &action, NULL) == 0);
  stage_open(&self, NULL);
  signalled_host = self.host;
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 1);
  REQUIRE(raise(SIGTERM) == 0);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void stop_at_first_start(void* user, const taskhost_event* event) {
  if (strcmp(event->name, "task_started") == 0) taskhost_request_stop(user);
}

static void stop_from_an_event_callback(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(taskhost_on_event(self.host, stop_at_first_start, self.host) == TASKHOST_RESULT_OK);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void stop_before_the_start(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  taskhost_request_stop(self.host);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  taskhost_request_stop(self.host);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void no_tasks(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void a_failing_task(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(add(&self, "bystander", &idle_factory, TASKHOST_DETACHABLE, 3) == TASKHOST_RESULT_OK);
  REQUIRE(add(&self, "failing", &failing_factory, TASKHOST_MANDATORY, 2) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_TASK_FAILED);
  REQUIRE(atomic_load(&own.starts) >= 3);
  REQUIRE(atomic_load(&own.starts) == atomic_load(&own.drops));
  stage_close(&self, TASKHOST_RESULT_TASK_FAILED);
}

static void a_deaf_task(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(add(&self, "deaf", &deaf_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  while (atomic_load(&own.starts) == 0) pause_briefly();
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_STOP_TIMEOUT);
  stage_close(&self, TASKHOST_RESULT_STOP_TIMEOUT);
  /* The abandoned thread goes on in memory that the host leaves to it; its execution is not dropped (rule 3.5). */
  atomic_store(&own.released, 1);
  while (atomic_load(&own.returned) == 0) pause_briefly();
  REQUIRE(atomic_load(&own.drops) == 0);
}

static int is_null_device(int descriptor) {
  char path[64];
  char target[64];
  ssize_t size;
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  size = readlink(path, target, sizeof target - 1);
  if (size < 0) return 0;
  target[size] = '\0';
  return strcmp(target, "/dev/null") == 0;
}

static void close_standard_streams(void) {
  int descriptor;
  for (descriptor = 0; descriptor <= 2; ++descriptor) close(descriptor);
}

static int all_standard_streams_are_null_devices(void) {
  return is_null_device(0) && is_null_device(1) && is_null_device(2);
}

/* What is printed there must not get into what the host has opened. */
static void closed_standard_streams(void) {
  stage self;
  close_standard_streams();
  REQUIRE(taskhost_create(NULL, &self.host) == TASKHOST_RESULT_OK);
  REQUIRE(all_standard_streams_are_null_devices());
  REQUIRE(write(2, "warning\n", 8) < 0);
  close_standard_streams();
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  REQUIRE(all_standard_streams_are_null_devices());
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  taskhost_destroy(self.host);
}

static atomic_int is_destroyed;
static atomic_int late_calls_returned;
static taskhost_host* host_of_the_late;

static void call_the_host_after_its_end(void* user, const taskhost_event* event) {
  taskhost_host* host = host_of_the_late;
  (void)user;
  if (strcmp(event->name, "task_started") != 0) return;
  while (!atomic_load(&is_destroyed)) pause_briefly();
  REQUIRE(taskhost_state(host) == TASKHOST_STATE_STOPPED);
  REQUIRE(taskhost_status(host) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_stop_task(host, "reader") == TASKHOST_RESULT_WRONG_STATE);
  taskhost_request_stop(host);
  taskhost_log_line(host, TASKHOST_LOG_WARNING, "too late to be read");
  atomic_store(&late_calls_returned, 1);
}

/* Of all sizes, so that one reuses what was freed. */
static void fill_freed_memory(void) {
  size_t size;
  for (size = 16; size < 4096; size += 16) {
    void* volatile block = malloc(size);
    REQUIRE(block != NULL);
    memset(block, 'A', size);
    free(block);
  }
}

static void a_callback_that_outlives_its_host(void) {
  stage self;
  REQUIRE(taskhost_create(NULL, &self.host) == TASKHOST_RESULT_OK);
  host_of_the_late = self.host;
  REQUIRE(taskhost_on_event(self.host, call_the_host_after_its_end, NULL) == TASKHOST_RESULT_OK);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  while (atomic_load(&own.starts) == 0) pause_briefly();
  taskhost_destroy(self.host);
  fill_freed_memory();
  atomic_store(&is_destroyed, 1);
  while (atomic_load(&late_calls_returned) == 0) pause_briefly();
}

static void signals_after_a_deaf_task(void) {
  const taskhost_options options = {.struct_size = sizeof options, .flags = TASKHOST_HANDLE_SIGNALS};
  struct sigaction action;
  stage self;
  stage_open(&self, &options);
  REQUIRE(add(&self, "deaf", &deaf_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  while (atomic_load(&own.starts) == 0) pause_briefly();
  REQUIRE(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler != SIG_DFL);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_STOP_TIMEOUT);
  stage_close(&self, TASKHOST_RESULT_STOP_TIMEOUT);
  REQUIRE(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
  atomic_store(&own.released, 1);
  while (atomic_load(&own.returned) == 0) pause_briefly();
}

static void* run_to_its_end(void* user) {
  stage* self = user;
  REQUIRE(taskhost_run(self->host) == TASKHOST_RESULT_OK);
  return NULL;
}

static void two_hosts_at_once(void) {
  stage stages[2];
  pthread_t threads[2];
  for (int index = 0; index < 2; ++index) {
    stage_open(&stages[index], NULL);
    REQUIRE(add(&stages[index], "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
    REQUIRE(add(&stages[index], "failing", &failing_factory, TASKHOST_DETACHABLE, 100) == TASKHOST_RESULT_OK);
    REQUIRE(pthread_create(&threads[index], NULL, run_to_its_end, &stages[index]) == 0);
  }
  for (int index = 0; index < 2; ++index) stage_wait_for_starts(&stages[index], 102);
  for (int index = 0; index < 2; ++index) {
    REQUIRE(taskhost_state(stages[index].host) == TASKHOST_STATE_RUNNING);
    taskhost_request_stop(stages[index].host);
    REQUIRE(pthread_join(threads[index], NULL) == 0);
    stage_close(&stages[index], TASKHOST_RESULT_OK);
  }
}

static void destroy_a_running_host(void) {
  stage self;
  const int drops = atomic_load(&own.drops);
  stage_open(&self, NULL);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 1);
  taskhost_destroy(self.host);
  REQUIRE(atomic_load(&own.drops) == drops + 1);
  fclose(self.record);
  printf("host %d status %d\n", self.number, TASKHOST_RESULT_OK);
}

static void wake_from_outside_and_after_the_end(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  while (atomic_load(&own.services) == NULL) pause_briefly();
  const taskhost_services* services = atomic_load(&own.services);
  const taskhost_waker waker = atomic_load(&own.waker);
  REQUIRE(waker != 0);
  for (int wake = 0; wake < 1000; ++wake) services->wake(waker);
  services->wake(0);
  stage_wait_for_starts(&self, 1);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  services->wake(waker);
  stage_close(&self, TASKHOST_RESULT_OK);
  for (int wake = 0; wake < 1000; ++wake) services->wake(waker); /* the host is gone */
  REQUIRE(services->now() > 0);
}

static void a_manifest_beside_an_own_task(void) {
  static const char text[] =
      "{\"tasks\": [{\"name\": \"job\", \"plugin\": \"probe\", \"type\": \"shutdown_on_exit\","
      " \"config\": {\"run_for\": \"20ms\", \"end\": \"ok\"}}]} and what is beyond the size";
  stage self;
  stage_open(&self, NULL);
  REQUIRE(taskhost_load_text(self.host, text, strstr(text, " and what") - text, plugin_directory) ==
          TASKHOST_RESULT_OK);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_task_count(self.host) == 2);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void write_file(const char* directory, const char* name, const char* text) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE* const file = fopen(path, "w");
  REQUIRE(file != NULL && fputs(text, file) >= 0);
  REQUIRE(fclose(file) == 0);
}

/* Relative names count from the directory that was given, and everything is read before the call returns. */
static void a_manifest_of_several_files(void) {
  static const char text[] =
      "{\"include\": [\"${env:EMBEDDER_FILES}.json\"], \"tasks\": [{\"name\": \"main\", \"plugin\": \"probe\","
      " \"type\": \"mandatory\", \"config\": {\"message\": {\"$file\": \"value\"}}}]}";
  char directory[] = "/tmp/taskhost-embedder-XXXXXX";
  char more[4096];
  stage self;
  REQUIRE(mkdtemp(directory) != NULL);
  snprintf(more, sizeof more,
           "{\"plugin_dirs\": [\"%s\"], \"tasks\": [{\"name\": \"${env:EMBEDDER_FILES}\", \"plugin\": \"probe\","
           " \"type\": \"shutdown_on_exit\", \"config\": {\"end\": {\"$file\": \"value\"}}}]}",
           plugin_directory);
  write_file(directory, "more.json", more);
  write_file(directory, "value", "ok\n");
  stage_open(&self,
             &(taskhost_options){
                 .struct_size = sizeof(taskhost_options), .plugin_dir_count = 1, .plugin_dirs = &plugin_directory});
  REQUIRE(taskhost_load_text(self.host, text, strlen(text), directory) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(error_has(&self, "manifest: /include/0 (line 1): the environment variable \"EMBEDDER_FILES\" is not set"));
  REQUIRE(setenv("EMBEDDER_FILES", "more", 1) == 0);
  REQUIRE(taskhost_load_text(self.host, text, strlen(text), directory) == TASKHOST_RESULT_OK);
  REQUIRE(unsetenv("EMBEDDER_FILES") == 0);
  char path[4096];
  for (int i = 0; i < 2; ++i) {
    snprintf(path, sizeof path, "%s/%s", directory, i == 0 ? "more.json" : "value");
    REQUIRE(remove(path) == 0);
  }
  REQUIRE(remove(directory) == 0);
  REQUIRE(taskhost_task_count(self.host) == 2);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static int32_t check_config(void* state, const taskhost_exec* exec) {
  size_t size = 0;
  (void)state;
  REQUIRE(strcmp(exec->services->config(exec, &size), "{\"depth\": [1, 2]}") == 0);
  REQUIRE(size == strlen("{\"depth\": [1, 2]}"));
  REQUIRE(strcmp(exec->services->task_name(exec), "with config") == 0);
  return TASKHOST_OK;
}

static void config_and_name_reach_the_task(void) {
  static const taskhost_factory factory = {
      .struct_size = sizeof(taskhost_factory), .name = "checking", .poll = check_config};
  taskhost_task_options task = {.struct_size = sizeof task,
                                .type = TASKHOST_SHUTDOWN_ON_EXIT,
                                .name = "with config",
                                .factory = &factory,
                                .config = "{\"depth\": [1, 2]}"};
  stage self;
  stage_open(&self, NULL);
  REQUIRE(taskhost_add_task(self.host, &task) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void count_line(void* user, int32_t level, const char* line, size_t size) {
  REQUIRE(level >= TASKHOST_LOG_TRACE && level <= TASKHOST_LOG_ERROR);
  REQUIRE(memchr(line, '\n', size) == NULL);
  atomic_fetch_add((atomic_int*)user, 1);
}

static void the_log_goes_to_a_callback(void) {
  atomic_int lines = 0;
  taskhost_options options;
  stage self;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.shards = 2;
  options.log_level_plus_one = 1 + TASKHOST_LOG_DEBUG;
  options.log = count_line;
  options.log_user = &lines;
  stage_open(&self, &options);
  REQUIRE(add(&self, "failing", &failing_factory, TASKHOST_MANDATORY, 2) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_TASK_FAILED);
  REQUIRE(atomic_load(&lines) > 0);
  const int before = atomic_load(&lines);
  taskhost_log_line(self.host, TASKHOST_LOG_INFO, "a line of the program's own");
  stage_close(&self, TASKHOST_RESULT_TASK_FAILED);
  REQUIRE(atomic_load(&lines) > before);
}

enum { wakes_to_come = 2000 };

/* A polled task; a thread waits for each of its wakes. */
static struct {
  taskhost_waker waker;
  void (*wake)(taskhost_waker);
  atomic_int polls;
} woken;

static void* wake_one_by_one(void* user) {
  (void)user;
  for (int i = 1; i <= wakes_to_come; ++i) {
    const struct timespec until_it_sleeps = {0, 100000};
    nanosleep(&until_it_sleeps, NULL); /* only a sleeping shard needs its descriptor */
    woken.wake(woken.waker);
    for (int waits = 0; atomic_load(&woken.polls) <= i; ++waits) {
      REQUIRE(waits < 10000);
      nanosleep(&until_it_sleeps, NULL);
    }
  }
  return NULL;
}

static pthread_t waking_thread;
static int32_t poll_woken(void* state, const taskhost_exec* exec) {
  (void)state;
  if (atomic_fetch_add(&woken.polls, 1) == 0) {
    woken.waker = exec->services->waker(exec);
    woken.wake = exec->services->wake;
    REQUIRE(pthread_create(&waking_thread, NULL, wake_one_by_one, NULL) == 0);
  }
  return atomic_load(&woken.polls) > wakes_to_come || taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}

static void run_woken(void) {
  const taskhost_factory factory = {.struct_size = sizeof factory, .name = "woken", .poll = poll_woken};
  taskhost_options options;
  stage self;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.shards = 1;
  stage_open(&self, &options);
  REQUIRE(add(&self, NULL, &factory, TASKHOST_SHUTDOWN_ON_EXIT, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  REQUIRE(pthread_join(waking_thread, NULL) == 0);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void fork_between_hosts(void) {
  int status = -1;
  run_and_stop_from_a_thread();
  fflush(NULL);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  stage_skip(child == 0); /* each its own record */
  run_woken();
  if (child == 0) return;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

const scenario run_scenarios[] = {{"stop from a thread", run_and_stop_from_a_thread},
                                  {"many times", run_many_times},
                                  {"stop from a signal handler", stop_from_a_signal_handler},
                                  {"stop from an event callback", stop_from_an_event_callback},
                                  {"closed standard streams", closed_standard_streams},
                                  {"stop before the start", stop_before_the_start},
                                  {"no tasks", no_tasks},
                                  {"a failing task", a_failing_task},
                                  {"a deaf task", a_deaf_task},
                                  {"a callback that outlives its host", a_callback_that_outlives_its_host},
                                  {"signals after a deaf task", signals_after_a_deaf_task},
                                  {"two hosts at once", two_hosts_at_once},
                                  {"destroy a running host", destroy_a_running_host},
                                  {"stale wakers", wake_from_outside_and_after_the_end},
                                  {"a manifest beside an own task", a_manifest_beside_an_own_task},
                                  {"a manifest of several files", a_manifest_of_several_files},
                                  {"config and name", config_and_name_reach_the_task},
                                  {"log callback", the_log_goes_to_a_callback},
                                  {"fork between hosts", fork_between_hosts},
                                  {NULL, NULL}};
