/* Operators' calls, and the optional fields of a task's policy. */
#include <stdlib.h>
#include <string.h>

#include "embedder.h"

static taskhost_task_options task_of(const char* name, const taskhost_factory* factory, int32_t type,
                                     uint32_t restarts) {
  taskhost_task_options task;
  memset(&task, 0, sizeof task);
  task.struct_size = sizeof task;
  task.type = type;
  task.name = name;
  task.factory = factory;
  task.restarts = restarts;
  return task;
}

static void must_add(stage* self, const taskhost_task_options* task) {
  const int32_t result = taskhost_add_task(self->host, task);
  if (result != TASKHOST_RESULT_OK) fprintf(stderr, "%s\n", taskhost_error(self->host));
  REQUIRE(result == TASKHOST_RESULT_OK);
}

static void must_refuse(stage* self, const taskhost_task_options* task, const char* words) {
  const size_t before = taskhost_task_count(self->host);
  REQUIRE(taskhost_add_task(self->host, task) == TASKHOST_RESULT_BAD_MANIFEST);
  if (!error_has(self, words)) fprintf(stderr, "%s\n", taskhost_error(self->host));
  REQUIRE(error_has(self, words));
  REQUIRE(taskhost_task_count(self->host) == before);
}

static void wait_until(const atomic_int* counter, int count) {
  while (atomic_load(counter) < count) pause_briefly();
}

static void operate_tasks(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 3) == TASKHOST_RESULT_OK);
  REQUIRE(add(&self, "writer", &idle_factory, TASKHOST_MANDATORY, 3) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_stop_task(self.host, "reader") == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 2);
  REQUIRE(taskhost_stop_task(self.host, "raeder") == TASKHOST_RESULT_UNKNOWN_TASK);
  REQUIRE(taskhost_stop_task(self.host, NULL) == TASKHOST_RESULT_UNKNOWN_TASK);
  REQUIRE(taskhost_stop_task(NULL, "reader") == TASKHOST_RESULT_WRONG_STATE);

  REQUIRE(taskhost_stop_task(self.host, "reader") == TASKHOST_RESULT_OK);
  wait_until(&self.stopped, 1);
  REQUIRE(taskhost_stop_task(self.host, "reader") == TASKHOST_RESULT_OK); /* has no effect when repeated */
  REQUIRE(taskhost_stop_task(self.host, "writer") == TASKHOST_RESULT_OK);
  wait_until(&self.stopped, 2);
  REQUIRE(taskhost_state(self.host) == TASKHOST_STATE_RUNNING); /* stopped tasks keep it running */

  REQUIRE(taskhost_start_task(self.host, "reader") == TASKHOST_RESULT_OK);
  wait_until(&self.started, 3);
  REQUIRE(taskhost_start_task(self.host, "reader") == TASKHOST_RESULT_OK); /* it runs already: no effect */
  REQUIRE(taskhost_restart_task(self.host, "reader") == TASKHOST_RESULT_OK);
  wait_until(&self.started, 4);
  REQUIRE(atomic_load(&self.stopped) == 3);
  REQUIRE(taskhost_restart_task(self.host, "writer") == TASKHOST_RESULT_OK); /* from stopped, like start */
  wait_until(&self.started, 5);

  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start_task(self.host, "reader") == TASKHOST_RESULT_WRONG_STATE);
  REQUIRE(atomic_load(&own.starts) == 5 && atomic_load(&own.drops) == 5);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void restart_once(void* user, const taskhost_event* event) {
  stage* self = user;
  if (strcmp(event->name, "task_started") == 0 && atomic_load(&self->started) == 1) {
    REQUIRE(taskhost_restart_task(self->host, event->task) == TASKHOST_RESULT_OK);
  }
}

static void operate_from_a_callback(void) {
  stage self;
  stage_open(&self, NULL);
  REQUIRE(taskhost_on_event(self.host, restart_once, &self) == TASKHOST_RESULT_OK);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  wait_until(&self.started, 2);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

/* A manifest's task can be operated by its name, too, and one that is over starts afresh. */
static void revive_a_task(void) {
  const char* manifest =
      "{\"tasks\": [{\"name\": \"once\", \"plugin\": \"probe\", \"type\": \"detachable\", \"config\": {\"end\": "
      "\"ok\"}},"
      " {\"name\": \"steady\", \"plugin\": \"probe\", \"type\": \"mandatory\"}]}";
  stage self;
  stage_open(&self, NULL);
  REQUIRE(taskhost_load_text(self.host, manifest, strlen(manifest), plugin_directory) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 2);
  for (int starts = 2; atomic_load(&self.started) < 5; pause_briefly()) {
    if (atomic_load(&self.started) < starts) continue; /* the last start is not reported yet */
    REQUIRE(taskhost_start_task(self.host, "once") == TASKHOST_RESULT_OK);
  }
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void restarts_without_end(void) {
  taskhost_options options;
  stage self;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.seed = 7;
  stage_open(&self, &options);
  taskhost_task_options task = task_of("pump", &failing_factory, TASKHOST_MANDATORY, TASKHOST_UNLIMITED);
  task.backoff_initial = TASKHOST_MILLISECOND;
  task.backoff_factor = 1100;
  task.backoff_jitter = 500;
  task.reset_after = TASKHOST_SECOND;
  must_add(&self, &task);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 10);
  REQUIRE(atomic_load(&self.gave_up) == 0);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void a_group_that_gives_up(void) {
  const char* const names[] = {"first"};
  stage self;
  stage_open(&self, NULL);
  taskhost_task_options task = task_of("first", &idle_factory, TASKHOST_DETACHABLE, 0);
  task.group = "pair";
  task.strategy = TASKHOST_ONE_FOR_ALL;
  must_add(&self, &task);
  task = task_of("second", &failing_factory, TASKHOST_DETACHABLE, 1);
  task.group = "pair";
  task.after = names;
  task.after_count = 1;
  task.window = TASKHOST_SECOND * 3600;
  must_add(&self, &task);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_TASK_FAILED);
  REQUIRE(atomic_load(&self.started) == 4);
  REQUIRE(atomic_load(&self.stopped) == 2);
  stage_close(&self, TASKHOST_RESULT_TASK_FAILED);
}

static void exit_rules(void) {
  taskhost_exit_rule rules[2];
  stage self;
  memset(rules, 0, sizeof rules);
  rules[0].struct_size = rules[1].struct_size = sizeof rules[0];
  rules[0].outcomes = TASKHOST_ON_OK | TASKHOST_ON_PANIC;
  rules[0].action = TASKHOST_EXIT_FAIL_HOST;
  rules[1].outcomes = TASKHOST_ON_ERROR;
  rules[1].message = "was told";
  rules[1].action = TASKHOST_EXIT_STOP_HOST;
  stage_open(&self, NULL);
  taskhost_task_options task = task_of("pump", &failing_factory, TASKHOST_MANDATORY, 3);
  task.exit_rules = rules;
  task.exit_rule_count = 2;
  must_add(&self, &task);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  REQUIRE(atomic_load(&self.started) == 1);
  stage_close(&self, TASKHOST_RESULT_OK);
}

/* It has no restarts, fails at once each time, and its rule says that this is not a failure. */
static void a_task_that_repeats(void) {
  taskhost_exit_rule rule;
  stage self;
  memset(&rule, 0, sizeof rule);
  rule.struct_size = sizeof rule;
  rule.outcomes = TASKHOST_ON_ERROR;
  rule.action = TASKHOST_EXIT_REPEAT;
  stage_open(&self, NULL);
  taskhost_task_options task = task_of("pump", &failing_factory, TASKHOST_MANDATORY, 0);
  task.exit_rules = &rule;
  task.exit_rule_count = 1;
  must_refuse(&self, &task, "\"repeat\" needs a \"backoff\"");
  task.backoff_initial = TASKHOST_MILLISECOND;
  must_add(&self, &task);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 5);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void timeouts_and_cooldown(void) {
  stage self;
  stage_open(&self, NULL);
  taskhost_task_options task = task_of("slow", &idle_factory, TASKHOST_DETACHABLE, 1);
  task.ready = TASKHOST_READY_NOTIFY;
  task.start_timeout = 5 * TASKHOST_MILLISECOND;
  must_add(&self, &task);
  task = task_of("silent", &idle_factory, TASKHOST_DETACHABLE, 0);
  task.watchdog_interval = 5 * TASKHOST_MILLISECOND;
  task.watchdog_action = TASKHOST_WATCHDOG_RESTART;
  task.on_give_up = TASKHOST_GIVE_UP_COOLDOWN;
  task.cooldown = TASKHOST_MILLISECOND;
  must_add(&self, &task);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  wait_until(&self.gave_up, 4);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void a_task_with_times(void) {
  taskhost_exit_rule rule;
  stage self;
  memset(&rule, 0, sizeof rule);
  rule.struct_size = sizeof rule;
  rule.outcomes = TASKHOST_ON_ERROR;
  rule.action = TASKHOST_EXIT_REPEAT;
  stage_open(&self, NULL);
  taskhost_task_options task = task_of("job", &failing_factory, TASKHOST_SHUTDOWN_ON_EXIT, 0);
  task.exit_rules = &rule;
  task.exit_rule_count = 1;
  task.repeat_every = TASKHOST_MILLISECOND;
  must_add(&self, &task);
  task = task_of("nightly", &idle_factory, TASKHOST_MANDATORY, 0);
  task.repeat_schedule = "0 3 * * mon-fri";
  task.repeat_time_zone = "Europe/Berlin";
  must_add(&self, &task);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 5);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void wrong_supervision(void) {
  const char* const names[] = {"nobody", "nobody"};
  taskhost_exit_rule rule;
  stage self;
  memset(&rule, 0, sizeof rule);
  stage_open(&self, NULL);
  const taskhost_task_options plain = task_of("a", &idle_factory, TASKHOST_MANDATORY, 3);

  taskhost_task_options task = plain;
  task.restarts = TASKHOST_UNLIMITED;
  must_refuse(&self, &task, "needs a \"backoff\"");
  task = plain;
  task.backoff_initial = TASKHOST_SECOND;
  task.window = 5 * TASKHOST_SECOND;
  must_refuse(&self, &task,
              "the first 3 delays add up to 7s, so the budget could never be used up within the window of 5s");
  task = plain;
  task.backoff_factor = 2000;
  must_refuse(&self, &task, "without backoff_initial");
  task = plain;
  task.backoff_initial = 1;
  task.backoff_factor = 999;
  must_refuse(&self, &task, "factor");
  task.backoff_factor = 0;
  task.backoff_jitter = 1001;
  must_refuse(&self, &task, "jitter");
  task = plain;
  task.restarts = 0;
  task.reset_after = 1;
  must_refuse(&self, &task, "needs restarts");
  task = plain;
  task.start_timeout = 1;
  must_refuse(&self, &task, "\"start_timeout\" needs");
  task = plain;
  task.ready = 2;
  must_refuse(&self, &task, "unknown ready 2");
  task = plain;
  task.watchdog_action = TASKHOST_WATCHDOG_RESTART;
  must_refuse(&self, &task, "without watchdog_interval");
  task = plain;
  task.on_give_up = TASKHOST_GIVE_UP_COOLDOWN;
  must_refuse(&self, &task, "needs a cooldown");
  task = plain;
  task.repeat_every = 1;
  must_refuse(&self, &task, "expected a time of 1ms or longer, found 1ns");
  task.repeat_schedule = "@daily";
  must_refuse(&self, &task, "repeat_every and repeat_schedule exclude each other");
  task.repeat_every = 0;
  task.repeat_schedule = "0 25 * * *";
  must_refuse(&self, &task, "repeat_schedule: in the hour \"25\": 25 is not from 0 to 23");
  task.repeat_schedule = "@daily";
  task.repeat_time_zone = "Europe/Berlni";
  must_refuse(&self, &task, "repeat_time_zone: unknown time zone \"Europe/Berlni\"; did you mean \"Europe/Berlin\"?");
  task.repeat_schedule = NULL;
  must_refuse(&self, &task, "repeat_time_zone without repeat_schedule");
  task = plain;
  task.after = names;
  task.after_count = 1;
  must_refuse(&self, &task, "no task \"nobody\" was added before it");
  task.after_count = 2;
  must_refuse(&self, &task, "twice");
  task = plain;
  task.group = "g";
  must_refuse(&self, &task, "is new and needs a strategy");
  task.strategy = TASKHOST_ONE_FOR_ALL;
  must_add(&self, &task);
  task.name = "b";
  task.strategy = TASKHOST_REST_FOR_ONE;
  must_refuse(&self, &task, "another strategy, one_for_all");
  task.group = NULL;
  must_refuse(&self, &task, "strategy without group");
  task = plain;
  task.name = "b";
  task.exit_rules = &rule;
  task.exit_rule_count = 1;
  must_refuse(&self, &task, "struct_size");
  rule.struct_size = sizeof rule;
  must_refuse(&self, &task, "unknown action of an exit rule 0");
  rule.action = TASKHOST_EXIT_DISCARD;
  rule.outcomes = 16;
  must_refuse(&self, &task, "outcomes");
  task = plain;
  task.name = "b";
  task.window = UINT64_MAX;
  must_refuse(&self, &task, "longer than 365 days");

  /* The manifest's group with that name has another strategy. */
  const char* manifest =
      "{\"groups\": {\"g\": {\"strategy\": \"rest_for_one\"}},"
      " \"tasks\": [{\"plugin\": \"probe\", \"type\": \"mandatory\", \"group\": \"g\", \"after\": [\"a\"]}]}";
  REQUIRE(taskhost_load_text(self.host, manifest, strlen(manifest), plugin_directory) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(error_has(&self, "/groups/g: the program gave this group another strategy, one_for_all"));
  taskhost_destroy(self.host);
  fclose(self.record);
}

/* A program built when the struct ended at stop_timeout. */
static void must_refuse_all(stage* self, const taskhost_task_options* task, const char* const* names, size_t count,
                            const char* words) {
  const size_t before = taskhost_task_count(self->host);
  REQUIRE(taskhost_add_tasks(self->host, task, names, count) == TASKHOST_RESULT_BAD_MANIFEST);
  if (!error_has(self, words)) fprintf(stderr, "%s\n", taskhost_error(self->host));
  REQUIRE(error_has(self, words));
  REQUIRE(taskhost_task_count(self->host) == before);
}

static void many_tasks_at_once(void) {
  stage self;
  stage_open(&self, NULL);
  taskhost_task_options task = task_of(NULL, &idle_factory, TASKHOST_MANDATORY, 3);
  const char* const twice[] = {"a", "b", "a"};
  must_refuse_all(&self, &task, twice, 3, "two tasks are named \"a\"");
  const char* const wrong[] = {"a", "b\n"};
  must_refuse_all(&self, &task, wrong, 2, "control characters");
  const char* const missing[] = {"a", NULL};
  must_refuse_all(&self, &task, missing, 2, "names[1] is NULL");
  must_refuse_all(&self, &task, NULL, 2, "no names");
  task.name = "a";
  must_refuse_all(&self, &task, twice, 2, "leave the task's own name NULL");
  task.name = NULL;
  REQUIRE(taskhost_add_tasks(self.host, &task, NULL, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_task_count(self.host) == 0);

  const char* const names[] = {"a", "b"}; /* those that were rejected have left these names free */
  task.group = "pair";
  must_refuse_all(&self, &task, names, 2, "needs a strategy");
  task.strategy = TASKHOST_ONE_FOR_ALL;
  REQUIRE(taskhost_add_tasks(self.host, &task, names, 2) == TASKHOST_RESULT_OK);
  must_refuse_all(&self, &task, names + 1, 1, "two tasks are named \"b\"");
  const char* const after[] = {"b"};
  const char* const later[] = {"c", "d"};
  taskhost_task_options dependent = task_of(NULL, &idle_factory, TASKHOST_MANDATORY, 3);
  dependent.after = after;
  dependent.after_count = 1;
  REQUIRE(taskhost_add_tasks(self.host, &dependent, later, 2) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_task_count(self.host) == 4);
  REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 4);
  REQUIRE(taskhost_restart_task(self.host, "d") == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&self, 5);
  REQUIRE(taskhost_add_tasks(self.host, &task, names, 2) == TASKHOST_RESULT_WRONG_STATE);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

static void an_older_struct(void) {
  taskhost_task_options task;
  stage self;
  stage_open(&self, NULL);
  memset(&task, 0xff, sizeof task);
  const taskhost_task_options plain = task_of("a", &idle_factory, TASKHOST_MANDATORY, 3);
  memcpy(&task, &plain, offsetof(taskhost_task_options, window));
  task.struct_size = offsetof(taskhost_task_options, window);
  must_add(&self, &task);
  taskhost_request_stop(self.host);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  stage_close(&self, TASKHOST_RESULT_OK);
}

/* Tasks of a manifest come after one of the program, which comes after none. */
static void a_manifest_after_an_own_task(void) {
  const char* manifest =
      "{\"tasks\": [{\"name\": \"last\", \"plugin\": \"probe\", \"type\": \"shutdown_on_exit\","
      " \"after\": [\"own\"], \"config\": {\"end\": \"ok\"}}]}";
  const char* text = NULL;
  stage self;
  stage_open(&self, NULL);
  const taskhost_task_options own_task_options = task_of("own", &idle_factory, TASKHOST_MANDATORY, 0);
  must_add(&self, &own_task_options);
  REQUIRE(taskhost_load_text(self.host, manifest, strlen(manifest), plugin_directory) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_explain(self.host, TASKHOST_LOG_FORMAT_TEXT, &text) == TASKHOST_RESULT_OK);
  REQUIRE(strstr(text, "it starts once 'own' is ready") != NULL);
  REQUIRE(strstr(text, "a stop takes 20s at worst") != NULL);
  REQUIRE(taskhost_explain(self.host, TASKHOST_LOG_FORMAT_JSON, &text) == TASKHOST_RESULT_OK);
  REQUIRE(text[0] == '{');
  REQUIRE(taskhost_explain(self.host, TASKHOST_LOG_FORMAT_JSON, NULL) == TASKHOST_RESULT_BAD_MANIFEST);
  REQUIRE(taskhost_run(self.host) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_explain(self.host, TASKHOST_LOG_FORMAT_TEXT, &text) == TASKHOST_RESULT_WRONG_STATE);
  stage_close(&self, TASKHOST_RESULT_OK);
}

const scenario supervision_scenarios[] = {{"operators", operate_tasks},
                                          {"many tasks at once", many_tasks_at_once},
                                          {"operators in a callback", operate_from_a_callback},
                                          {"a revived task", revive_a_task},
                                          {"restarts without end", restarts_without_end},
                                          {"a group that gives up", a_group_that_gives_up},
                                          {"exit rules", exit_rules},
                                          {"a task that repeats", a_task_that_repeats},
                                          {"a task with times", a_task_with_times},
                                          {"timeouts and cooldown", timeouts_and_cooldown},
                                          {"wrong supervision", wrong_supervision},
                                          {"an older struct", an_older_struct},
                                          {"a manifest after an own task", a_manifest_after_an_own_task},
                                          {NULL, NULL}};
