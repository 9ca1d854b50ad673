/* Calls at a wrong time or with wrong arguments: they return a code and a message, and leave the host as it was. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embedder.h"

static int32_t load(stage* self, const char* text) {
  return taskhost_load_text(self->host, text, strlen(text), plugin_directory);
}

static void ignore_event(void* user, const taskhost_event* event) {
  (void)user;
  (void)event;
}

static void wrong_states(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(strcmp(taskhost_error(self.host), "") == 0);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_error(self.host)[0] != '\0');
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_error(self.host)[0] != '\0');
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_status(self.host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(add(&self, "late", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(load(&self, "{}") == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_on_event(self.host, ignore_event, NULL) == TASKHOST_RESULT_WRONG_STATE);
  stage_wait_for_starts(&self, 1);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_WRONG_STATE);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void run_until_started(stage* self) {
  REQUIRE(taskhost_start(self->host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(self, 1);
  taskhost_request_stop(self->host);
  REQUIRE(taskhost_wait(self->host) == TASKHOST_RESULT_OK);
  stage_close(self, TASKHOST_RESULT_OK);
}

static void run_as_daemon(void) {
  stage self;
  REQUIRE(setsid() >= 0);
  stage_open(&self, NULL);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  run_until_started(&self);
}

/* The host belongs to the parent, where it works as before. */
static void daemonise_after_load(void) {
  static const char manifest[] =
      "{\"tasks\": [{\"plugin\": \"probe\", \"type\": \"mandatory\", \"config\": {\"run_for\": \"1h\"}}]}";
  int status = -1;
  stage self;
  stage_open(&self, NULL);
  REQUIRE(load(&self, manifest) == TASKHOST_RESULT_OK);
  fflush(NULL);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(60);
    REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_WRONG_STATE);
    REQUIRE(error_has(&self, "create the host after the fork"));
    REQUIRE(add(&self, "own", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_WRONG_STATE);
    REQUIRE(taskhost_stop_task(self.host, "probe") == TASKHOST_RESULT_WRONG_STATE);
    taskhost_log_line(self.host, TASKHOST_LOG_ERROR, "nobody's");
    taskhost_request_stop(self.host);
    taskhost_destroy(self.host);
    stage_skip(1); /* its own record */
    run_as_daemon();
    return;
  }
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  run_until_started(&self);
}

static void daemonise_before_create(void) {
  int status = -1;
  fflush(NULL);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    run_as_daemon();
    return;
  }
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

static int child_marks = -1;
static void mark_end_of_child(void) {
  if (child_marks >= 0) (void)!write(child_marks, "x", 1);
}

/* Its own exit handlers all run, since none of its hosts is running. */
static void exit_of_a_child(void) {
  int ends[2];
  char mark = 0;
  int status = -1;
  stage self;
  REQUIRE(pipe(ends) == 0);
  REQUIRE(atexit(mark_end_of_child) == 0);
  stage_open(&self, NULL);
  REQUIRE(add(&self, "own", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 1);
  fflush(NULL);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(60);
    child_marks = ends[1];
    taskhost_destroy(self.host);
    stage_skip(1); /* its own record */
    run_as_daemon();
    return;
  }
  close(ends[1]);
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  REQUIRE(read(ends[0], &mark, 1) == 1);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

/* The failed start used up the tasks, so a second start would run without them. */
static void a_failed_start(void) {
  const struct rlimit little = {(rlim_t)2 << 30, RLIM_INFINITY};
  const struct rlimit enough = {RLIM_INFINITY, RLIM_INFINITY};
  stage self;
  stage_open(&self, NULL);
  REQUIRE(load(&self,
               "{\"poll_stack_kib\": 1048576, \"shards\": 8, \"tasks\": [{\"plugin\": \"probe\", \"type\": "
               "\"mandatory\"}]}") == TASKHOST_RESULT_OK);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(setrlimit(RLIMIT_AS, &little) == 0);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_SYSTEM);
  REQUIRE(setrlimit(RLIMIT_AS, &enough) == 0);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(error_has(&self, "the start of this host has failed; destroy it and create another one"));
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(add(&self, "late", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_on_event(self.host, ignore_event, NULL) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_state(self.host) == TASKHOST_STATE_CREATED);
  taskhost_destroy(self.host);
  REQUIRE(atomic_load(&own.starts) == 0);
  fclose(self.record);
}

static void never_started(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  taskhost_destroy(self.host);
  REQUIRE(atomic_load(&own.starts) == 0);
  fclose(self.record);
}

static void null_hosts(void) {
  taskhost_destroy(NULL);
  REQUIRE(taskhost_error(NULL) != NULL);
  REQUIRE(taskhost_version()[0] != '\0');
}

static void wrong_options(void) {
  static const char* const no_directory = NULL;
  taskhost_options options;
  taskhost_host* host = (taskhost_host*)&options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.shards = 257;
  REQUIRE(taskhost_create(&options, &host) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(strlen(taskhost_error(NULL)) > 0);
  REQUIRE(host == NULL);
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.log_level_plus_one = 99;
  REQUIRE(taskhost_create(&options, &host) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(host == NULL);
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.flags = 0x80000000u;
  REQUIRE(taskhost_create(&options, &host) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(host == NULL);
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.plugin_dir_count = 1;
  REQUIRE(taskhost_create(&options, &host) == TASKHOST_RESULT_BAD_MANIFEST);
  options.plugin_dirs = &no_directory;
  REQUIRE(taskhost_create(&options, &host) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(host == NULL);
}

/* Fields beyond struct_size count as zero, whatever they contain. */
static void short_options(void) {
  taskhost_options options;
  stage self;
  memset(&options, 0xff, sizeof options);
  options.struct_size = offsetof(taskhost_options, shards);
  options.flags = 0;
  stage_open(&self, &options);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void wrong_manifest_then_a_right_one(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(load(&self, "{\"tasks\": [{\"plugin\": \"probe\", \"type\": \"mandatry\"}, 7]}") ==
          TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(error_has(&self, "/tasks/0/type") && error_has(&self, "mandatory"));
  REQUIRE(error_has(&self, "/tasks/1"));
  REQUIRE(load(&self, "{\"tasks\": [") == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(error_has(&self, "line 1"));
  REQUIRE(load(&self, "{\"tasks\": [{\"plugin\": \"no_such\", \"type\": \"mandatory\"}]}") ==
          TASKHOST_RESULT_BAD_PLUGIN);
  REQUIRE(error_has(&self, "no_such"));
  REQUIRE(taskhost_load_file(self.host, "/no/such/manifest.json") == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(error_has(&self, "/no/such/manifest.json"));
  REQUIRE(taskhost_task_count(self.host) == 0);
  REQUIRE(
      load(&self,
           "{\"tasks\": [{\"plugin\": \"probe\", \"type\": \"shutdown_on_exit\", \"config\": {\"end\": \"ok\"}}]}") ==
      TASKHOST_RESULT_OK);
  REQUIRE(taskhost_task_count(self.host) == 1);
  REQUIRE(load(&self, "{\"tasks\": [{\"plugin\": \"ticker\", \"type\": \"mandatory\"}]}") ==
          TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(add(&self, "probe", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(error_has(&self, "probe"));
  REQUIRE(taskhost_task_count(self.host) == 1);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void wrong_tasks(void) {
  taskhost_factory factory = idle_factory;
  taskhost_task_options task;
  stage self;
  stage_open(&self, NULL);
  REQUIRE(add(&self, "a", &idle_factory, 9, 0) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(add(&self, "a", &idle_factory, TASKHOST_SHUTDOWN_ON_EXIT, 1) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(add(&self, "", &idle_factory, TASKHOST_MANDATORY, 1) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(add(&self, "a\nb", &idle_factory, TASKHOST_MANDATORY, 1) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(add(&self, "a", NULL, TASKHOST_MANDATORY, 1) != TASKHOST_RESULT_OK);
  factory.run = deaf_factory.run; /* both poll and run */
  REQUIRE(add(&self, "a", &factory, TASKHOST_MANDATORY, 1) != TASKHOST_RESULT_OK);
  REQUIRE(error_has(&self, "rule 2.7"));
  factory = idle_factory;
  factory.state_align = 3;
  REQUIRE(add(&self, "a", &factory, TASKHOST_MANDATORY, 1) != TASKHOST_RESULT_OK);
  REQUIRE(error_has(&self, "rule 2.6"));
  memset(&task, 0, sizeof task);
  task.struct_size = sizeof task;
  task.type = TASKHOST_MANDATORY;
  task.factory = &idle_factory;
  task.config = "{not json";
  REQUIRE(taskhost_add_task(self.host, &task) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(taskhost_task_count(self.host) == 0);
  REQUIRE(add(&self, NULL, &idle_factory, TASKHOST_MANDATORY, 1) == TASKHOST_RESULT_OK);
  REQUIRE(add(&self, NULL, &idle_factory, TASKHOST_MANDATORY, 1) == TASKHOST_RESULT_BAD_MANIFEST); /* the same name */
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void too_many_subscribers(void) {
  stage self;
  stage_open(&self, NULL); /* which is the first */
  for (int count = 1; count < 16; ++count) {
    REQUIRE(taskhost_on_event(self.host, ignore_event, NULL) == TASKHOST_RESULT_OK);
  }
  REQUIRE(taskhost_on_event(self.host, ignore_event, NULL) != TASKHOST_RESULT_OK);
  REQUIRE(taskhost_error(self.host)[0] != '\0');
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void a_directory(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(taskhost_load_directory(self.host, "/no/such/directory") == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(error_has(&self, "/no/such/directory"));
  REQUIRE(taskhost_load_directory(self.host, plugin_directory) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_task_count(self.host) > 0);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void inspection(void) {
  char path[4096];
  const char* text = NULL;
  stage self;
  stage_open(&self, NULL);
  snprintf(path, sizeof path, "%s/probe.so", plugin_directory);
  REQUIRE(taskhost_inspect(self.host, path, TASKHOST_LOG_FORMAT_TEXT, &text) == TASKHOST_RESULT_OK);
  REQUIRE(strstr(text, "probe") != NULL);
  REQUIRE(taskhost_inspect(self.host, path, TASKHOST_LOG_FORMAT_JSON, &text) == TASKHOST_RESULT_OK);
  REQUIRE(text[0] == '{');
  REQUIRE(taskhost_inspect(self.host, "/no/such.so", TASKHOST_LOG_FORMAT_TEXT, &text) == TASKHOST_RESULT_BAD_PLUGIN);
  REQUIRE(error_has(&self, "/no/such.so"));
  REQUIRE(taskhost_task_count(self.host) == 0);
  taskhost_destroy(self.host);
  fclose(self.record);
}

static void count_verdict(void* user, const taskhost_verdict* verdict) {
  int* counts = (int*)user;
  REQUIRE(verdict->struct_size == sizeof *verdict);
  REQUIRE(verdict->test[0] != '\0' && verdict->rules[0] != '\0' && verdict->text[0] != '\0');
  REQUIRE(verdict->json[0] == '{');
  ++counts[verdict->judgement];
}

static void verification(void) {
  static const char* const tests[] = {"start, then drop"};
  static const char* const wrong_tests[] = {"no such test"};
  char path[4096];
  char error[200];
  char short_error[8];
  int counts[TASKHOST_VERDICT_NOTE + 1] = {0};
  taskhost_verify_options options;
  snprintf(path, sizeof path, "%s/probe.so", plugin_directory);
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  REQUIRE(taskhost_verify(NULL, count_verdict, counts, error, sizeof error) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(error[0] != '\0');
  REQUIRE(taskhost_verify(&options, count_verdict, counts, NULL, 0) == TASKHOST_RESULT_BAD_MANIFEST); /* not a plugin */
  options.plugin = path;
  REQUIRE(taskhost_verify(&options, NULL, NULL, NULL, 0) == TASKHOST_RESULT_BAD_MANIFEST);
  options.tests = wrong_tests;
  options.test_count = 1;
  REQUIRE(taskhost_verify(&options, count_verdict, counts, short_error, sizeof short_error) ==
          TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(strlen(short_error) == sizeof short_error - 1);
  options.tests = tests;
  options.time_limit = TASKHOST_MILLISECOND;
  REQUIRE(taskhost_verify(&options, count_verdict, counts, error, sizeof error) == TASKHOST_RESULT_BAD_MANIFEST);
  options.time_limit = 0;
  options.plugin = "/no/such.so";
  REQUIRE(taskhost_verify(&options, count_verdict, counts, error, sizeof error) == TASKHOST_RESULT_BAD_PLUGIN);
  REQUIRE(strstr(error, "/no/such.so") != NULL);
  REQUIRE(counts[TASKHOST_VERDICT_HOLDS] == 0);
  options.plugin = path;
  REQUIRE(taskhost_verify(&options, count_verdict, counts, error, sizeof error) == TASKHOST_RESULT_OK);
  REQUIRE(strcmp(error, "") == 0);
  REQUIRE(counts[TASKHOST_VERDICT_HOLDS] == 2); /* the descriptor's is always there */
  options.config = "{\"no_such_key\": 1}";
  REQUIRE(taskhost_verify(&options, count_verdict, counts, error, sizeof error) == TASKHOST_RESULT_TASK_FAILED);
  REQUIRE(counts[TASKHOST_VERDICT_UNPROVEN] == 1);
}

const scenario fault_scenarios[] = {{"wrong states", wrong_states},
                                    {"a failed start", a_failed_start},
                                    {"daemonise after load", daemonise_after_load},
                                    {"daemonise before create", daemonise_before_create},
                                    {"exit of a child", exit_of_a_child},
                                    {"never started", never_started},
                                    {"null hosts", null_hosts},
                                    {"wrong options", wrong_options},
                                    {"short options", short_options},
                                    {"wrong manifest, then a right one", wrong_manifest_then_a_right_one},
                                    {"wrong tasks", wrong_tasks},
                                    {"too many subscribers", too_many_subscribers},
                                    {"a directory", a_directory},
                                    {"inspection", inspection},
                                    {"verification", verification},
                                    {NULL, NULL}};
