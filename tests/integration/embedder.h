/* Shared by the scenarios of the embedding program. Pure C; of taskhost it includes only taskhost.h. */
#ifndef TASKHOST_TEST_EMBEDDER_H
#define TASKHOST_TEST_EMBEDDER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <taskhost/taskhost.h>

/* Ends the program with 1 and reports where. */
#define REQUIRE(condition) require((condition) != 0, #condition, __FILE__, __LINE__)
void require(int holds, const char* condition, const char* file, int line);

/* One host and the record of its events, EVENTS.N for the N-th host of the process. */
typedef struct stage {
  taskhost_host* host;
  FILE* record;
  int number;
  uint64_t last_sequence; /* touched by the event callback only */
  atomic_int started;     /* task_started so far */
  atomic_int stopped;     /* task_stopped */
  atomic_int gave_up;     /* task_gave_up */
  atomic_int stopping;
} stage;

void stage_open(stage* self, const taskhost_options* options);
void stage_open_with(stage* self, uint32_t flags);
void stage_skip(int count);                    /* raises the next host's number by count */
void stage_close(stage* self, int32_t status); /* destroys the host; prints "host N status STATUS" */
void stage_wait_for_starts(stage* self, int count);
int error_has(const stage* self, const char* words);

/* A task of the program's own. Its functions count what happens in `own`. */
typedef struct own_task {
  atomic_int starts;
  atomic_int drops;
  atomic_int released; /* lets a deaf one end */
  atomic_int returned; /* it has */
  atomic_ullong waker; /* the latest execution's */
  const taskhost_services* _Atomic services;
} own_task;
extern own_task own;

extern const taskhost_factory idle_factory;    /* polled; ends when asked to */
extern const taskhost_factory failing_factory; /* polled; fails at once */
extern const taskhost_factory deaf_factory;    /* blocking; ends when released */

int32_t add(stage* self, const char* name, const taskhost_factory* factory, int32_t type, uint32_t restarts);

void pause_briefly(void);

extern const char* plugin_directory; /* where the bundled plugins are */

typedef struct scenario {
  const char* name;
  void (*play)(void);
} scenario;
extern const scenario run_scenarios[];   /* ends with {NULL, NULL} */
extern const scenario fault_scenarios[]; /* so does this */
extern const scenario supervision_scenarios[];
extern const scenario status_scenarios[];
extern const scenario end_scenarios[];
extern const scenario signal_scenarios[];
extern const scenario control_scenarios[];

#endif
