/*
 * taskhost/taskhost.h: to embed a task host in a program of any language with a C ABI. Library: libtaskhost.
 *
 * Conventions, for every function unless it says otherwise:
 *   1. Those tagged [owner] are called by one thread at a time; those tagged [any-thread] at any time, also meanwhile.
 *   2. A function that can fail returns a TASKHOST_RESULT_* code; taskhost_error gives the text.
 *   3. Texts passed in are UTF-8, NUL-terminated unless a size goes with them, and copied before the call returns.
 *   4. Texts given out belong to the host and stay valid until the next [owner] call on that host.
 *   5. Structs begin with struct_size, set by the caller; fields beyond it count as zero, and zero means the default.
 *   6. No C++ exception leaves a function.
 *
 * A host runs once: create, load or add, subscribe, run, destroy. Several hosts may live in one process.
 */
#ifndef TASKHOST_TASKHOST_H
#define TASKHOST_TASKHOST_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define TASKHOST_API
#elif defined(__GNUC__)
#define TASKHOST_API __attribute__((visibility("default")))
#else
#define TASKHOST_API
#endif

/* Results. 0 to 5 are the program's exit statuses; it ends with 5 for NO_MEMORY and INTERNAL, too. */
#define TASKHOST_RESULT_OK 0           /* done; of run and wait: stopped well */
#define TASKHOST_RESULT_TASK_FAILED 1  /* run, wait: a task's policy stopped the host with failure */
#define TASKHOST_RESULT_BAD_MANIFEST 2 /* a wrong manifest or argument; nothing was started */
#define TASKHOST_RESULT_BAD_PLUGIN 3   /* a plugin could not be loaded; nothing was started */
#define TASKHOST_RESULT_STOP_TIMEOUT 4 /* run, wait: some task did not stop in time */
#define TASKHOST_RESULT_SYSTEM 5       /* the system refused a descriptor, a thread, memory: the text names the limit */
#define TASKHOST_RESULT_NO_MEMORY 6
#define TASKHOST_RESULT_INTERNAL 7 /* a fault of taskhost itself; please report the text */
#define TASKHOST_RESULT_UNKNOWN_TASK 8
#define TASKHOST_RESULT_WRONG_STATE 9 /* not now: already started, not started, already loaded */

/* Task types, as in the manifest. */
#define TASKHOST_SHUTDOWN_ON_EXIT 1
#define TASKHOST_MANDATORY 2
#define TASKHOST_DETACHABLE 3

/* Optional fields of a task's policy, with the meanings that they have in the manifest. Zero is what is so without. */
#define TASKHOST_UNLIMITED 0xffffffffu /* restarts without end; needs a backoff */
#define TASKHOST_READY_STARTED 0
#define TASKHOST_READY_NOTIFY 1
#define TASKHOST_WATCHDOG_LOG 0
#define TASKHOST_WATCHDOG_RESTART 1
#define TASKHOST_GIVE_UP_DEFAULT 0
#define TASKHOST_GIVE_UP_STOP_HOST 1
#define TASKHOST_GIVE_UP_DISCARD 2
#define TASKHOST_GIVE_UP_COOLDOWN 3
#define TASKHOST_ON_OK 1u /* outcomes, to be combined */
#define TASKHOST_ON_ERROR 2u
#define TASKHOST_ON_PANIC 4u
#define TASKHOST_ON_CRASHED 8u
#define TASKHOST_EXIT_RESTART 1
#define TASKHOST_EXIT_DISCARD 2
#define TASKHOST_EXIT_STOP_HOST 3
#define TASKHOST_EXIT_FAIL_HOST 4
#define TASKHOST_EXIT_GIVE_UP 5
#define TASKHOST_EXIT_REPEAT 6 /* begin again after backoff_initial, uncharged; needs a backoff */
#define TASKHOST_ONE_FOR_ONE 1
#define TASKHOST_ONE_FOR_ALL 2
#define TASKHOST_REST_FOR_ONE 3

#define TASKHOST_LOG_OFF 5 /* beyond the levels of plugin.h */
#define TASKHOST_LOG_FORMAT_TEXT 0
#define TASKHOST_LOG_FORMAT_JSON 1

/* The host reacts to SIGINT, SIGTERM and SIGHUP from the first load or the start until it has stopped, and plugins may
 * subscribe to signals. One that comes before the start is a stop at the start: nothing is started. What was ignored
 * before stays so unless a task subscribes to it. A second SIGINT or SIGTERM ends the process with status 4 within a
 * second or so, until the host is destroyed; two within a second are one, but for a terminal's. SIGPIPE does nothing
 * from then on; the other signals have their former actions again when the host is destroyed, whatever threads it
 * leaves behind; one that came when no host was to act on it any more, as after a load that has failed or between wait
 * and destroy, is dropped. One such host of a process at a time: start of another is WRONG_STATE. Without it, signals
 * stay the program's. In a process with the id 1, orphans are the program's to reap.
 *
 * A plugin that calls exit or quick_exit ends the process with status 1. So does any thread while the host runs that
 * may be a plugin's, and a signal handler on one that is in run or wait. The main thread, and the one that loaded or
 * started the host, keep their status, and a line on stderr says that the host was running: its tasks are not stopped,
 * and after exit (not quick_exit) no further exit handlers run and stdio is not flushed. So call taskhost_destroy
 * first. */
#define TASKHOST_HANDLE_SIGNALS 1u
/* A crash (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGXCPU, SIGABRT) is told on stderr in one line, with the
 * task or the library that is being loaded; then what was set for it before follows. If that is a handler, such as a
 * runtime's, which may recover, a crash outside of tasks, loads and the host's threads is left to it and not told. From
 * create to destroy. The thread that creates the host, and those that it makes later, do not block these signals from
 * then on. A thread of a plugin's own that has used up its stack is told only if it has another one (sigaltstack).
 * TASKHOST_HANDLE_SIGNALS has it, too. */
#define TASKHOST_NAME_CRASHES 2u

/* States of a host. */
#define TASKHOST_STATE_CREATED 0
#define TASKHOST_STATE_RUNNING 1
#define TASKHOST_STATE_STOPPING 2
#define TASKHOST_STATE_STOPPED 3

/* What taskhost_verify says about a rule of the contract (abi/CONTRACT.md). */
#define TASKHOST_VERDICT_HOLDS 0          /* the test found nothing wrong */
#define TASKHOST_VERDICT_BROKEN 1         /* a rule is broken */
#define TASKHOST_VERDICT_UNPROVEN 2       /* it could not be shown: the text says why, and what to do */
#define TASKHOST_VERDICT_DOES_NOT_APPLY 3 /* there is nothing to show */
#define TASKHOST_VERDICT_NOTE 4           /* allowed, but worth a look */

typedef struct taskhost_host taskhost_host;

/* All fields may be zero. */
typedef struct taskhost_options {
  uint32_t struct_size;
  uint32_t flags;                 /* TASKHOST_HANDLE_SIGNALS, TASKHOST_NAME_CRASHES */
  uint32_t shards;                /* event loops; 0: the manifest's, or one for each processor. Up to 256 */
  uint32_t plugin_dir_count;      /* entries of plugin_dirs */
  const char *const *plugin_dirs; /* searched before the manifest's; relative to the working directory */
  int32_t log_level_plus_one;     /* 1 + TASKHOST_LOG_*; 0: info */
  int32_t log_format;             /* TASKHOST_LOG_FORMAT_* */
  /* Receives each line of the log, without a line end, instead of stderr. [called on any thread, one at a time] The
   * text is valid during the call. It calls no taskhost function. */
  void (*log)(void *user, int32_t level, const char *line, size_t size);
  void *log_user;
  uint64_t seed; /* of the chance in backoffs; 0: the manifest's, or another one each time */
} taskhost_options;

/* What an exit means, instead of what the task's type says. */
typedef struct taskhost_exit_rule {
  uint32_t struct_size; /* the same for all of an array */
  uint32_t outcomes;    /* TASKHOST_ON_*; 0: any */
  const char *message;  /* a part of the exit's message, or NULL: any */
  int32_t action;       /* TASKHOST_EXIT_* */
  uint32_t reserved;    /* 0 */
} taskhost_exit_rule;

/* A task of the calling program's own. */
typedef struct taskhost_task_options {
  uint32_t struct_size;
  int32_t type;                    /* TASKHOST_SHUTDOWN_ON_EXIT, TASKHOST_MANDATORY, TASKHOST_DETACHABLE */
  const char *name;                /* unique in this host; NULL: the factory's */
  const taskhost_factory *factory; /* the caller's; valid and unchanged until destroy. `next` is ignored */
  const char *config;              /* JSON text, or NULL */
  uint32_t restarts;               /* budget; must be 0 for TASKHOST_SHUTDOWN_ON_EXIT */
  uint32_t reserved;               /* 0 */
  uint64_t stop_timeout;           /* nanoseconds; 0: the manifest's default, or 10 seconds */

  /* Optional from here on: zero means that the field is not given. Times are nanoseconds. The manifest's "defaults" do
   * not concern these. */
  uint64_t window;
  uint64_t backoff_initial; /* 0: no backoff */
  uint64_t backoff_max;     /* 0: an hour */
  uint32_t backoff_factor;  /* in thousandths; 0: 2000, which is twice as long each time */
  uint32_t backoff_jitter;  /* in thousandths, up to 1000 */
  uint64_t reset_after;
  uint64_t start_timeout;
  uint64_t watchdog_interval;
  int32_t ready;            /* TASKHOST_READY_* */
  int32_t watchdog_action;  /* TASKHOST_WATCHDOG_* */
  uint64_t cooldown;        /* for TASKHOST_GIVE_UP_COOLDOWN */
  int32_t on_give_up;       /* TASKHOST_GIVE_UP_* */
  int32_t strategy;         /* TASKHOST_ONE_FOR_ONE, …: of the group; 0: as the group has it already */
  const char *group;        /* the first task that names a group makes it; a manifest's are there once it is loaded */
  const char *const *after; /* names of tasks that have been admitted before */
  const taskhost_exit_rule *exit_rules; /* the first that matches counts */
  size_t after_count;
  size_t exit_rule_count;
} taskhost_task_options;

/* One event; host/README.md lists them. Valid during the callback. */
typedef struct taskhost_event {
  uint32_t struct_size;
  uint32_t more;     /* non-zero: the next event follows at once; a writer may put off its flush */
  uint64_t sequence; /* from 1, without gaps */
  const char *name;  /* "task_started" */
  const char *task;  /* its task's name, or NULL */
  const char *json;  /* the whole event as one line of JSON, without the line end */
  size_t json_size;
} taskhost_event;

/* What to verify, and how. All but `plugin` may be zero. */
typedef struct taskhost_verify_options {
  uint32_t struct_size;
  uint32_t test_count;      /* entries of tests */
  const char *plugin;       /* path of its library */
  const char *task;         /* the factory; NULL: each of the plugin's */
  const char *config;       /* JSON text for the executions; NULL: "{}" */
  const char *const *tests; /* only these, by name: "drop at every pending poll", with blanks or hyphens */
  uint64_t seed;            /* for what the tests choose at random; 0 counts as 1 */
  uint64_t time_limit;      /* nanoseconds for each test; 0: 10 seconds; at least 100 milliseconds */
} taskhost_verify_options;

/* One verdict of taskhost_verify. Valid during the callback. */
typedef struct taskhost_verdict {
  uint32_t struct_size;
  int32_t judgement;   /* TASKHOST_VERDICT_* */
  const char *factory; /* whose it is, or NULL: the plugin's as a whole */
  const char *test;    /* "drop at every pending poll" */
  const char *rules;   /* of the contract: "3.5, 5.3"; of a broken one those that are broken */
  const char *text;    /* what was seen, on one line */
  const char *json;    /* the whole verdict as one line of JSON, without the line end */
} taskhost_verdict;

/* [any-thread] "1.2.3". Valid for ever. */
TASKHOST_API const char *taskhost_version(void);

/* [any-thread] A new host in *host, to be given to taskhost_destroy. `options` may be NULL. On failure *host is NULL;
 * BAD_MANIFEST for a wrong option, SYSTEM, NO_MEMORY; taskhost_error(NULL) has the text. Of the descriptors 0 to 2,
 * create and start make those that are closed /dev/null: what is printed there must not reach the host's own. */
TASKHOST_API int32_t taskhost_create(const taskhost_options *options, taskhost_host **host);

/* [owner] What the last failed call on this host found wrong: one fault a line, "" if nothing. Never NULL. For a NULL
 * host: what the calling thread's last taskhost_create found wrong, valid until its next one. */
TASKHOST_API const char *taskhost_error(const taskhost_host *host);

/* [owner] Reads a manifest, loads and checks its plugins, and admits its tasks. Starts nothing. All faults are found in
 * one go. At most one manifest or directory a host; if it fails the host is as before.
 * load_file takes "-" for stdin; relative paths in it, and in a file below /dev or /proc such as a pipe of the shell's,
 * count from the working directory. SYSTEM: a file could not be opened for lack of descriptors or memory.
 * load_text takes `size` bytes; relative paths in it count from `directory` (NULL: the working directory). */
TASKHOST_API int32_t taskhost_load_file(taskhost_host *host, const char *path);
TASKHOST_API int32_t taskhost_load_text(taskhost_host *host, const char *text, size_t size, const char *directory);

/* [owner] The same for a directory of plugins without a manifest: every task detachable with 3 restarts. */
TASKHOST_API int32_t taskhost_load_directory(taskhost_host *host, const char *path);

/* [owner] Admits a task from a factory in the calling program. Before start. */
TASKHOST_API int32_t taskhost_add_task(taskhost_host *host, const taskhost_task_options *task);

/* [owner] The same for `count` tasks that differ in their names only, in much less time. task->name is NULL; all
 * that the task has besides, what it comes after and its group too, goes for each. All are admitted, or none. */
TASKHOST_API int32_t taskhost_add_tasks(taskhost_host *host, const taskhost_task_options *task,
                                        const char *const *names, size_t count);

/* [owner] How many tasks are admitted. */
TASKHOST_API size_t taskhost_task_count(const taskhost_host *host);

/* [owner] Receives every event, in order, from a thread of the host's, one at a time. Before start; up to 16
 * subscribers. 65,536 events may wait. Then a subscriber that takes about 1,000 events a second or more slows the host
 * down; behind a slower one some are lost, and an "events_lost" event says how many. The last call comes before run or
 * wait returns. Once all has stopped, a call may take a second, and all that are left five; then those in the queue are
 * lost and counted, and "host_stopped" comes last. If a call does not return, run and wait do so without it, the log
 * says it, and the program has to leave user's memory alone until its end. It may call [any-thread] functions only. */
TASKHOST_API int32_t taskhost_on_event(taskhost_host *host, void (*callback)(void *user, const taskhost_event *event),
                                       void *user);

/* [owner] start returns at once, the host's own threads do the work; wait returns when all has stopped; run is both.
 * wait and run return OK, TASK_FAILED or STOP_TIMEOUT; or WRONG_STATE. start and run: SYSTEM if the system gives not
 * what the tasks need; nothing was started then, and never will be: all but destroy is WRONG_STATE from then on. */
TASKHOST_API int32_t taskhost_start(taskhost_host *host);
TASKHOST_API int32_t taskhost_wait(taskhost_host *host);
TASKHOST_API int32_t taskhost_run(taskhost_host *host);

/* [any-thread, async-signal-safe] Asks the host to stop; it ends with success unless a task stopped it before. A
 * request before start stops it as soon as it has started. Again: no effect. */
TASKHOST_API void taskhost_request_stop(taskhost_host *host);

/* [any-thread] An operator's wish for one task, by its name: to stop it, to start it again, to have a fresh execution.
 * They charge no budget; what comes of them is told by events. A stopped task keeps the host running. The first such
 * call on a host makes an index of its tasks. UNKNOWN_TASK; WRONG_STATE before start and once the host stops;
 * NO_MEMORY. taskhost_error has no text for them. */
TASKHOST_API int32_t taskhost_stop_task(taskhost_host *host, const char *name);
TASKHOST_API int32_t taskhost_start_task(taskhost_host *host, const char *name);
TASKHOST_API int32_t taskhost_restart_task(taskhost_host *host, const char *name);

/* [any-thread] TASKHOST_STATE_*. */
TASKHOST_API int32_t taskhost_state(const taskhost_host *host);

/* [any-thread] Once stopped: what run or wait returned. Before: WRONG_STATE. */
TASKHOST_API int32_t taskhost_status(const taskhost_host *host);

/* [owner] Loads a plugin, checks it, and describes what it exports, in TASKHOST_LOG_FORMAT_TEXT or _JSON, in *text.
 * BAD_PLUGIN with the reason in taskhost_error. */
TASKHOST_API int32_t taskhost_inspect(taskhost_host *host, const char *path, int32_t format, const char **text);

/* [owner] Describes what the supervision of the admitted tasks comes to, in plain words and exact numbers: delays, when
 * a task gives up, the order of start and stop. In TASKHOST_LOG_FORMAT_TEXT or _JSON, in *text. Before start. */
TASKHOST_API int32_t taskhost_explain(taskhost_host *host, int32_t format, const char **text);

/* [any-thread] Writes a line to the host's log, for programs that have no log of their own. */
TASKHOST_API void taskhost_log_line(taskhost_host *host, int32_t level, const char *text);

/* [any-thread] Does a plugin keep the contract (abi/CONTRACT.md)? Runs its executions in ways that a host does rarely,
 * each test in a child process with a time limit, and calls back with each verdict on the calling thread, between the
 * tests. It forks, so the process has no other threads at that time; and it reaps its children by their ids, so SIGCHLD
 * is not ignored. Nothing of the plugin is loaded into the calling process.
 * OK: all rules hold. TASK_FAILED: some are broken or unproven, a plugin that is refused when it is loaded included.
 * BAD_MANIFEST: a wrong option. BAD_PLUGIN: no such file, or no library of this machine. NO_MEMORY, INTERNAL.
 * `error`, if not NULL, is the caller's, and gets up to error_size bytes of text with a NUL: what was wrong, "" for the
 * first two. */
TASKHOST_API int32_t taskhost_verify(const taskhost_verify_options *options,
                                     void (*on_verdict)(void *user, const taskhost_verdict *verdict), void *user,
                                     char *error, size_t error_size);

/* [owner] Stops a running host first, and waits for it. NULL: no effect. Where tasks were abandoned, or a callback has
 * not returned, the host stays in memory, and their threads may still call it. The log's receiver is not called any
 * more after it: a call that is going on has five seconds to return; if it does not, the program has to leave
 * log_user's memory alone until its end. It waits for the destructors of thread-local data that plugins left in the
 * host's threads, however long they take (rule 5.4). */
TASKHOST_API void taskhost_destroy(taskhost_host *host);

#ifdef __cplusplus
}
#endif

#endif
