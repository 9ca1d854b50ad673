/* Ends while it has a host: by exit, and by a crash in a program that recovers from its own crashes. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "embedder.h"

static void start_host(stage* self) {
  stage_open_with(self, TASKHOST_HANDLE_SIGNALS);
  REQUIRE(add(self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(taskhost_start(self->host) == TASKHOST_RESULT_OK);
  stage_wait_for_starts(self, 1);
}

static void exit_while_it_runs(void) {
  stage self;
  start_host(&self);
  exit(7);
}

static void quick_exit_while_it_runs(void) {
  stage self;
  start_host(&self);
  quick_exit(7);
}

static void* call_exit(void* unused) {
  (void)unused;
  exit(7);
}

static void exit_on_another_thread(void) {
  stage self;
  pthread_t thread;
  start_host(&self);
  REQUIRE(pthread_create(&thread, NULL, call_exit, NULL) == 0);
  pthread_join(thread, NULL);
}

static void exit_in_handler(int number) {
  (void)number;
  exit(0);
}

static pthread_t waiting_thread;
static void* send_alarm(void* user) {
  stage_wait_for_starts(user, 1);
  pthread_kill(waiting_thread, SIGALRM);
  return NULL;
}

static void exit_of_a_handler_while_it_waits(void) {
  stage self;
  pthread_t thread;
  waiting_thread = pthread_self();
  signal(SIGALRM, exit_in_handler);
  stage_open_with(&self, TASKHOST_HANDLE_SIGNALS);
  REQUIRE(add(&self, "reader", &idle_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(pthread_create(&thread, NULL, send_alarm, &self) == 0);
  taskhost_run(self.host);
}

static void exit_before_the_start(void) {
  static const char manifest[] = "{\"tasks\": [{\"plugin\": \"probe\", \"type\": \"mandatory\"}]}";
  stage self;
  stage_open_with(&self, TASKHOST_HANDLE_SIGNALS);
  REQUIRE(taskhost_load_text(self.host, manifest, strlen(manifest), plugin_directory) == TASKHOST_RESULT_OK);
  exit(7);
}

/* Like a runtime that turns expected crashes into errors of its language. */
static _Thread_local volatile sig_atomic_t is_expected;
static _Thread_local sigjmp_buf way_out;
static volatile char* page;

static void on_crash(int number, siginfo_t* info, void* context) {
  (void)context;
  if (is_expected) siglongjmp(way_out, 1);
  if (info->si_addr == page) {
    mprotect((void*)page, 4096, PROT_READ | PROT_WRITE);
  } else {
    signal(number, SIG_DFL);
  }
}

static void crash(void) {
  volatile char* volatile nowhere = NULL;
  *nowhere = 1;
}

static void crash_and_recover(void) {
  is_expected = 1;
  if (sigsetjmp(way_out, 1) == 0) crash();
  is_expected = 0;
}

static int32_t poll_crashing(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  crash();
  return TASKHOST_OK;
}

static atomic_int recovered;
static int32_t poll_recovering(void* state, const taskhost_exec* exec) {
  (void)state;
  crash_and_recover();
  atomic_store(&recovered, 1);
  return taskhost_stop_requested(exec) ? TASKHOST_OK : TASKHOST_PENDING;
}

static int32_t run_crashing(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  while (!atomic_load(&recovered)) pause_briefly();
  crash();
  return TASKHOST_OK;
}

static void start_recovering(stage* self) {
  const struct rlimit no_core = {0, 0};
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  REQUIRE(sigaction(SIGSEGV, &action, NULL) == 0);
  REQUIRE(setrlimit(RLIMIT_CORE, &no_core) == 0);
  page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  stage_open_with(self, TASKHOST_NAME_CRASHES);
}

static const taskhost_factory crashing_factory = {
    .struct_size = sizeof(taskhost_factory), .name = "crashing", .poll = poll_crashing};
static const taskhost_factory crashing_later_factory = {
    .struct_size = sizeof(taskhost_factory), .name = "crashing", .run = run_crashing};
static const taskhost_factory recovering_factory = {
    .struct_size = sizeof(taskhost_factory), .name = "recovering", .poll = poll_recovering};

static void recover_and_then_crash_in_a_task(void) {
  stage self;
  start_recovering(&self);
  REQUIRE(add(&self, "crashing", &crashing_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  crash_and_recover();
  crash_and_recover();
  *page = 1;
  taskhost_run(self.host);
}

static void recover_in_a_task_and_then_crash_in_another(void) {
  stage self;
  start_recovering(&self);
  REQUIRE(add(&self, "recovering", &recovering_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  REQUIRE(add(&self, "crashing", &crashing_later_factory, TASKHOST_MANDATORY, 0) == TASKHOST_RESULT_OK);
  taskhost_run(self.host);
}

const scenario end_scenarios[] = {
    {"exit while it runs", exit_while_it_runs},
    {"quick_exit while it runs", quick_exit_while_it_runs},
    {"exit on another thread", exit_on_another_thread},
    {"exit of a handler while it waits", exit_of_a_handler_while_it_waits},
    {"exit before the start", exit_before_the_start},
    {"a recovery, then a crash in a task", recover_and_then_crash_in_a_task},
    {"a recovery in a task, then a crash in another", recover_in_a_task_and_then_crash_in_another},
    {NULL, NULL}};
