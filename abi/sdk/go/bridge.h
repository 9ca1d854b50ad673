/* Between the host's C interface and the Go functions of this package.
 *
 * No thread of the host enters Go for an execution. Such a call would have to wait for Go's scheduler, which takes a
 * tenth of a second when there are more busy goroutines than processors, and start, poll and drop must not block (rule
 * 3.4). Instead they leave a note in the execution's record, in C, and go on; a goroutine, the dispatcher, reads the
 * notes. In the other direction, goroutines call the host's services under the record's lock, and only while the record
 * still belongs to their execution. The entry and checks, which concern no execution, do enter Go. */
#ifndef TASKHOST_GO_BRIDGE_H
#define TASKHOST_GO_BRIDGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

/* Limit of tasks in one library: start and check do not get to know their task, so each task has its own functions. */
#define TASKHOST_GO_MOST_TASKS 64

/* A value of a config, and how to read it. Created when the library is loaded, and never freed. */
typedef struct taskhost_go_field taskhost_go_field;
struct taskhost_go_field {
  const char* key; /* with its slash, escaped: "/every"; NULL for the elements of an array */
  int32_t kind;
  int32_t required;
  int64_t least, most;            /* for WHOLE */
  const taskhost_go_field* inner; /* STRUCT: the first field; ARRAY: the element */
  const taskhost_go_field* next;
};
#define TASKHOST_GO_TEXT 0
#define TASKHOST_GO_BOOLEAN 1
#define TASKHOST_GO_WHOLE 2
#define TASKHOST_GO_NUMBER 3
#define TASKHOST_GO_DURATION 4
#define TASKHOST_GO_STRUCT 5
#define TASKHOST_GO_ARRAY 6

/* How a task's config is read. */
typedef struct taskhost_go_plan {
  const char* problem; /* why it cannot be read, or NULL */
  const char* keys;    /* that the config may have, separated by blanks */
  const taskhost_go_field* first;
  int32_t has_check; /* the struct has a method Check */
} taskhost_go_plan;

/* The values that were read, in the order of the fields: for each 0 if there is none, or 1 and the value. A text is its
 * size and as many words as it needs; an array its size and the elements; a struct only its fields. */
typedef struct taskhost_go_words {
  uint64_t* words;
  size_t count, capacity;
} taskhost_go_words;

/* One execution, from its start until the dispatcher has seen its drop; then the record is reused. Never freed, so that
 * a goroutine that outlives its execution can still look at it, and finds another id or no exec. */
typedef struct taskhost_go_record taskhost_go_record;
struct taskhost_go_record {
  pthread_mutex_t mutex; /* guards id, exec and text; drop waits for a service call in progress */
  uint64_t id;           /* never reused */
  const taskhost_exec* exec;
  taskhost_waker waker;
  atomic_int ended; /* 0 while the goroutine lives, then 1 + its status */
  char* text;       /* of the failure */
  size_t text_size;
  int32_t stop_told; /* used by the host's threads only */

  taskhost_go_record* next; /* guarded by the lock of the notes */
  uint32_t notes;
  taskhost_go_record* taken_next; /* used by the dispatcher */
  uint32_t taken;

  /* For the dispatcher: written before the note START. */
  uint32_t index;
  uint64_t number;
  char* name; /* the name, followed by the config */
  size_t name_size, config_size;
  taskhost_go_words values;
};
#define TASKHOST_GO_START 1u
#define TASKHOST_GO_STOP 2u
#define TASKHOST_GO_DROP 4u /* the last */

/* Reads a config, on the host's thread in start and check. If it does not return OK, fail() has been called. */
int32_t taskhost_go_read_config(const taskhost_go_plan* plan, const taskhost_exec* exec, taskhost_go_words* values);

/* Inserts a factory before the others. The texts and the plan, which may be NULL, must never be freed. */
taskhost_factory* taskhost_go_factory(uint32_t index, const char* name, const char* version, const char* description,
                                      const taskhost_go_plan* plan, const taskhost_factory* next);

/* In Go: the first factory. */
taskhost_factory* taskhostGoFactories(void);
/* In Go: whether the method Check of a task's struct accepts the words that were read. If not, *text receives the
 * reason, NUL-terminated, to be freed. */
int32_t taskhostGoCheck(uint32_t index, uint64_t* words, size_t count, char** text);

/* Returns the descriptor that becomes readable when there are notes, or -1 if it cannot be opened. Call it once. */
int32_t taskhost_go_open(void);
/* Returns the records that have notes, linked by `taken_next`; the notes are in `taken`. For the dispatcher. */
taskhost_go_record* taskhost_go_take_notes(void);
/* Makes a record available again, after DROP. */
void taskhost_go_recycle(taskhost_go_record* record);

/* Services, for goroutines. log returns false if the execution is over. */
int32_t taskhost_go_log(taskhost_go_record* record, uint64_t id, int32_t level, const char* text, size_t size);
void taskhost_go_ready(taskhost_go_record* record, uint64_t id);
void taskhost_go_heartbeat(taskhost_go_record* record, uint64_t id);
void taskhost_go_status(taskhost_go_record* record, uint64_t id, const char* text, size_t size);
/* Returns false, and leaves *value as it is, if the text is no duration, or the execution is over. */
int32_t taskhost_go_parse_duration(taskhost_go_record* record, uint64_t id, const char* text, size_t size,
                                   uint64_t* value);
/* The goroutine has ended. */
void taskhost_go_finish(taskhost_go_record* record, uint64_t id, int32_t status, const char* text, size_t size);

int32_t taskhost_go_ignores_pipe_signal(void);

#endif
