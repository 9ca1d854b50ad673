/* The program's own signals, together with those of its hosts. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embedder.h"

static void* destroy(void* host) {
  taskhost_destroy(host);
  return NULL;
}

/* Writes more to its stack than a signal's frame needs. */
static void write_to_stack(int number) {
  volatile char used[4096];
  size_t i;
  for (i = 0; i < sizeof used; ++i) used[i] = (char)number;
}

/* Of all sizes, so that one reuses what was freed. */
static size_t size_of_block(int number) { return 4000 + (size_t)(number % 8) * 8000; }

/* Its owner may be another thread than the one that made it, which keeps its stack for handlers. */
static void handler_after_its_host_is_destroyed_elsewhere(void) {
  enum { blocks = 1000 };
  static char* block[blocks];
  struct sigaction action;
  pthread_t thread;
  stage self;
  int i;
  size_t k;
  stage_open_with(&self, TASKHOST_NAME_CRASHES);
  REQUIRE(pthread_create(&thread, NULL, destroy, self.host) == 0);
  pthread_join(thread, NULL);
  for (i = 0; i < blocks; ++i) REQUIRE((block[i] = calloc(1, size_of_block(i))) != NULL);
  memset(&action, 0, sizeof action);
  action.sa_handler = write_to_stack;
  action.sa_flags = SA_ONSTACK;
  REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
  raise(SIGUSR1);
  for (i = 0; i < blocks; ++i) {
    for (k = 0; k < size_of_block(i); ++k) REQUIRE(block[i][k] == 0);
    free(block[i]);
  }
  fclose(self.record);
}

static int32_t write_to_nobody(void* state, const taskhost_exec* exec) {
  int ends[2];
  (void)state;
  (void)exec;
  if (pipe(ends) != 0) return TASKHOST_ERROR;
  close(ends[0]);
  if (write(ends[1], "x", 1) >= 0) return TASKHOST_ERROR;
  close(ends[1]);
  return TASKHOST_OK;
}
static const taskhost_factory writer_factory = {
    .struct_size = sizeof(taskhost_factory), .name = "writer", .poll = write_to_nobody};

static void sigpipe_set_anew_between_hosts(void) {
  int i;
  for (i = 0; i < 2; ++i) {
    stage self;
    signal(SIGPIPE, SIG_DFL);
    stage_open_with(&self, TASKHOST_HANDLE_SIGNALS);
    REQUIRE(add(&self, "writer", &writer_factory, TASKHOST_SHUTDOWN_ON_EXIT, 0) == TASKHOST_RESULT_OK);
    stage_close(&self, taskhost_run(self.host));
  }
}

/* As a daemon begins: with the default actions. */
static void sigterm_set_anew_in_a_child(void) {
  stage parents;
  pid_t child;
  int status = 0;
  stage_open_with(&parents, TASKHOST_HANDLE_SIGNALS);
  REQUIRE(add(&parents, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(parents.host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(&parents, 1);
  child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    stage childs;
    signal(SIGTERM, SIG_DFL);
    stage_skip(1);
    stage_open_with(&childs, TASKHOST_HANDLE_SIGNALS);
    REQUIRE(add(&childs, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
    REQUIRE(taskhost_start(childs.host) == TASKHOST_RESULT_OK);
    stage_wait_for_starts(&childs, 1);
    kill(getpid(), SIGTERM);
    _exit(taskhost_wait(childs.host) == TASKHOST_RESULT_OK ? 77 : 1);
  }
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 77);
  taskhost_request_stop(parents.host);
  stage_close(&parents, taskhost_wait(parents.host));
}

const scenario signal_scenarios[] = {
    {"a handler after its host is destroyed elsewhere", handler_after_its_host_is_destroyed_elsewhere},
    {"SIGPIPE set anew between hosts", sigpipe_set_anew_between_hosts},
    {"SIGTERM set anew in a child", sigterm_set_anew_in_a_child},
    {NULL, NULL}};
