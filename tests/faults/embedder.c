/* A program that embeds a host with a task of its own and one of a plugin, and reports what was refused: embedder
 * PLUGIN_DIRECTORY MANIFEST */
#include <stdio.h>
#include <string.h>

#include "taskhost/taskhost.h"

static int32_t poll_once(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  return TASKHOST_OK;
}

static int32_t start(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  return TASKHOST_OK;
}

static void drop(void* state, const taskhost_exec* exec) { (void)state, (void)exec; }

static const taskhost_factory factory = {.struct_size = sizeof(taskhost_factory),
                                         .name = "own",
                                         .state_size = 8,
                                         .start = start,
                                         .poll = poll_once,
                                         .drop = drop};

static void count(void* user, const taskhost_event* event) {
  (void)event;
  ++*(unsigned*)user;
}

static int told(const taskhost_host* host, const char* what, int32_t result) {
  if (result == TASKHOST_RESULT_OK) return 0;
  const char* text = taskhost_error(host);
  const char* const of_none = result == TASKHOST_RESULT_NO_MEMORY ? "out of memory" : "no words";
  fprintf(stderr, "embedder: %s: result %d: %s\n", what, (int)result, text[0] != '\0' ? text : of_none);
  return 1;
}

static int run(taskhost_host* host, const char* manifest) {
  unsigned events = 0;
  taskhost_task_options task = {.struct_size = sizeof task, .type = TASKHOST_DETACHABLE, .factory = &factory};
  const int failed =
      told(host, "load", taskhost_load_file(host, manifest)) || told(host, "add", taskhost_add_task(host, &task)) ||
      told(host, "subscribe", taskhost_on_event(host, count, &events)) || told(host, "run", taskhost_run(host));
  return failed || (events == 0 && told(host, "events", TASKHOST_RESULT_INTERNAL));
}

int main(int argument_count, char** arguments) {
  taskhost_options options = {.struct_size = sizeof options, .plugin_dirs = (const char**)&arguments[1]};
  options.plugin_dir_count = 1;
  taskhost_host* host = NULL;
  if (argument_count != 3) return 2;
  const int failed = told(NULL, "create", taskhost_create(&options, &host)) || run(host, arguments[2]);
  taskhost_destroy(host);
  return failed;
}
