/*
 * taskhost/taskhost.h: embeds a task host in a program, in any language with a C ABI. Library: libtaskhost.
 *
 * Conventions, for every function unless it says otherwise:
 *   1. [owner]: call it from one thread at a time. [any-thread]: call it at any time, also during an [owner] call.
 *   2. A function that can fail returns a TASKHOST_RESULT_* code; taskhost_error has the text.
 *   3. Texts passed in are UTF-8, NUL-terminated unless a size goes with them, and copied before the call returns.
 *   4. Texts returned belong to the host and stay valid until the next [owner] call on that host.
 *   5. Structs begin with struct_size, set by the caller; fields beyond it count as zero, and zero means the default.
 *   6. No C++ exception leaves a function.
 *
 * A host runs once: create, load or add, subscribe, run, destroy. A process may have several hosts.
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

/* Results. 0 to 5 are the program's exit statuses; NO_MEMORY and INTERNAL also make it end with 5. */
#define TASKHOST_RESULT_OK 0           /* done; from run and wait: stopped well */
#define TASKHOST_RESULT_TASK_FAILED 1  /* run, wait: a task's policy stopped the host with failure */
#define TASKHOST_RESULT_BAD_MANIFEST 2 /* a wrong manifest or argument; nothing was started */
#define TASKHOST_RESULT_BAD_PLUGIN 3   /* a plugin could not be loaded; nothing was started */
#define TASKHOST_RESULT_STOP_TIMEOUT 4 /* run, wait: some task did not stop in time */
#define TASKHOST_RESULT_SYSTEM 5       /* the system refused a descriptor, thread or memory: the text names the limit */
#define TASKHOST_RESULT_NO_MEMORY 6
#define TASKHOST_RESULT_INTERNAL 7 /* a bug in taskhost; please report the text */
#define TASKHOST_RESULT_UNKNOWN_TASK 8
#define TASKHOST_RESULT_WRONG_STATE 9 /* not allowed now: already started, not started, already loaded */

/* Task types, as in the manifest. */
#define TASKHOST_SHUTDOWN_ON_EXIT 1
#define TASKHOST_MANDATORY 2
#define TASKHOST_DETACHABLE 3

/* Optional fields of a task's policy, with the same meanings as in the manifest. Zero is the default. */
#define TASKHOST_UNLIMITED 0xffffffffu /* unlimited restarts; needs a backoff */
#define TASKHOST_READY_STARTED 0
#define TASKHOST_READY_NOTIFY 1
#define TASKHOST_WATCHDOG_LOG 0
#define TASKHOST_WATCHDOG_RESTART 1
#define TASKHOST_GIVE_UP_DEFAULT 0
#define TASKHOST_GIVE_UP_STOP_HOST 1
#define TASKHOST_GIVE_UP_DISCARD 2
#define TASKHOST_GIVE_UP_COOLDOWN 3
#define TASKHOST_ON_OK 1u /* outcomes; combine them with | */
#define TASKHOST_ON_ERROR 2u
#define TASKHOST_ON_PANIC 4u
#define TASKHOST_ON_CRASHED 8u
#define TASKHOST_EXIT_RESTART 1
#define TASKHOST_EXIT_DISCARD 2
#define TASKHOST_EXIT_STOP_HOST 3
#define TASKHOST_EXIT_FAIL_HOST 4
#define TASKHOST_EXIT_GIVE_UP 5
#define TASKHOST_EXIT_REPEAT 6 /* start again after backoff_initial, without using up a restart; needs a backoff */
#define TASKHOST_ONE_FOR_ONE 1
#define TASKHOST_ONE_FOR_ALL 2
#define TASKHOST_REST_FOR_ONE 3

#define TASKHOST_LOG_OFF 5 /* logs nothing; the levels are in plugin.h */
#define TASKHOST_LOG_FORMAT_TEXT 0
#define TASKHOST_LOG_FORMAT_JSON 1

/* The host reacts to SIGINT, SIGTERM and SIGHUP from the first load or the start until it has stopped, and plugins may
 * subscribe to signals. After a signal that comes before the start, the host stops at the start, and starts no task. A
 * signal that was ignored before stays ignored unless a task subscribes to it. SIGHUP stops it only if its terminal was
 * closed: sent by a process it is kept for reloading, and a line in the log says so. Until the host is destroyed, a
 * second SIGINT or SIGTERM ends the process with status 4 within about a second; two within a second count as one,
 * unless they come from the terminal. SIGPIPE has no effect from then on; destroying the host restores the former
 * actions of the other signals, whatever threads it leaves behind. A signal that comes when no host can act on it any
 * more, such as after a failed load or between wait and destroy, is dropped. Only one host in a process can have this
 * flag at a time: starting another is WRONG_STATE. Without the flag, signals are left to the program. If the process
 * has the id 1, the program must reap orphans itself.
 *
 * A plugin that calls exit or quick_exit ends the process with status 1. So does such a call, while the host runs, on
 * any thread that may be a plugin's, and in a signal handler on a thread that is in run or wait. On the main thread,
 * and on the one that loaded or started the host, the call keeps its status, and a line on stderr says that the host
 * was running: its tasks are not stopped, and after exit (not quick_exit) no further exit handlers run and stdio is not
 * flushed. So call taskhost_destroy first. */
#define TASKHOST_HANDLE_SIGNALS 1u
/* From create to destroy, a crash (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGXCPU, SIGABRT) is reported on
 * stderr in one line, with the task or the library that is being loaded; then the signal's previous action follows. If
 * that is a handler, such as a runtime's, which may recover, crashes outside of tasks, loads and the host's threads are
 * left to it and not reported. The thread that creates the host, and those that it creates later, do not block these
 * signals from then on. A stack overflow on a plugin's own thread is reported only if the thread has an alternate stack
 * (sigaltstack). TASKHOST_HANDLE_SIGNALS includes this flag. */
#define TASKHOST_NAME_CRASHES 2u
/* The host tells a service manager such as systemd when it is ready, how its tasks are, that it stops, and, if wanted,
 * that it is live, as sd_notify(3) describes it. create removes NOTIFY_SOCKET, WATCHDOG_PID and WATCHDOG_USEC from the
 * environment, so that programs which plugins execute do not speak for the host: call it while no other thread uses the
 * environment. Without these variables the flag has no effect. Only for one host in a process. STOPPING=1 is sent when
 * the host begins to stop, and to a service manager that is the end of the service: end the process soon after its
 * host, or the manager ends it when its own limit (TimeoutStopSec) is over. */
#define TASKHOST_NOTIFY 4u

/* States of a host. */
#define TASKHOST_STATE_CREATED 0
#define TASKHOST_STATE_RUNNING 1
#define TASKHOST_STATE_STOPPING 2
#define TASKHOST_STATE_STOPPED 3

/* States of a task; core/SUPERVISION.md says what is true in each. */
#define TASKHOST_TASK_UNKNOWN 0 /* its shard did not answer within a second */
#define TASKHOST_TASK_WAITING 1
#define TASKHOST_TASK_DELAYED 2
#define TASKHOST_TASK_STARTING 3
#define TASKHOST_TASK_RUNNING 4
#define TASKHOST_TASK_STOPPING 5
#define TASKHOST_TASK_STOPPED 6
#define TASKHOST_TASK_ENDED 7

/* Facts about a task. */
#define TASKHOST_TASK_IS_READY 1u     /* it is ready */
#define TASKHOST_TASK_IS_STALLED 2u   /* a call into it has not returned, and its shard goes on without it */
#define TASKHOST_TASK_IS_ABANDONED 4u /* an execution that could not be ended still exists */
#define TASKHOST_TASK_IS_LOST 8u      /* it is over, and not because it ended well or the host stops */
#define TASKHOST_TASK_IS_REPEATED 16u /* it is DELAYED until its repeat is due, and not because it failed */

/* Verdicts of taskhost_verify on rules of the contract (abi/CONTRACT.md). */
#define TASKHOST_VERDICT_HOLDS 0          /* the test found nothing wrong */
#define TASKHOST_VERDICT_BROKEN 1         /* a rule is broken */
#define TASKHOST_VERDICT_UNPROVEN 2       /* the test could not decide: the text says why, and what to do */
#define TASKHOST_VERDICT_DOES_NOT_APPLY 3 /* the test has nothing to check in this plugin */
#define TASKHOST_VERDICT_NOTE 4           /* allowed, but worth a look */

typedef struct taskhost_host taskhost_host;

/* All fields may be zero. */
typedef struct taskhost_options {
  uint32_t struct_size;
  uint32_t flags;                 /* TASKHOST_HANDLE_SIGNALS, TASKHOST_NAME_CRASHES, TASKHOST_NOTIFY */
  uint32_t shards;                /* event loops, up to 256; 0: as in the manifest, or one for each processor */
  uint32_t plugin_dir_count;      /* entries of plugin_dirs */
  const char *const *plugin_dirs; /* searched before those of the manifest; relative to the working directory */
  int32_t log_level_plus_one;     /* 1 + TASKHOST_LOG_*; 0: info */
  int32_t log_format;             /* TASKHOST_LOG_FORMAT_* */
  /* Receives each line of the log, without a line end, instead of stderr. Called on any thread, one call at a time. The
   * text is valid during the call. Must not call taskhost functions. */
  void (*log)(void *user, int32_t level, const char *line, size_t size);
  void *log_user;
  uint64_t seed; /* random seed for backoff jitter; 0: as in the manifest, or a different one each time */
  /* For operators, from start until the host has stopped: host/README.md describes the API. */
  const char *name;              /* the host's; NULL: the manifest's, or that of its file */
  const char *control;           /* path of its control socket; "": the usual place; NULL: none */
  const char *listen;            /* address and port for the API on TCP, like "127.0.0.1:8080"; NULL: none */
  const char *listen_token_file; /* for changes over TCP; NULL: it only answers questions */
} taskhost_options;

/* What an exit means, instead of what the task's type says. */
typedef struct taskhost_exit_rule {
  uint32_t struct_size; /* the same for all elements of an array */
  uint32_t outcomes;    /* TASKHOST_ON_*; 0: any */
  const char *message;  /* a part of the exit's message; NULL: any */
  int32_t action;       /* TASKHOST_EXIT_* */
  uint32_t reserved;    /* 0 */
} taskhost_exit_rule;

/* A task that the calling program provides itself. */
typedef struct taskhost_task_options {
  uint32_t struct_size;
  int32_t type;                    /* TASKHOST_SHUTDOWN_ON_EXIT, TASKHOST_MANDATORY, TASKHOST_DETACHABLE */
  const char *name;                /* unique in this host; NULL: the factory's */
  const taskhost_factory *factory; /* owned by the caller; valid and unchanged until destroy. `next` is ignored */
  const char *config;              /* JSON text, or NULL */
  uint32_t restarts;               /* budget; must be 0 for TASKHOST_SHUTDOWN_ON_EXIT */
  uint32_t reserved;               /* 0 */
  uint64_t stop_timeout;           /* nanoseconds; 0: the manifest's default, or 10 seconds */

  /* The rest is optional: zero means that the field is not given. Times are nanoseconds. The manifest's "defaults" do
   * not apply to these fields. */
  uint64_t window;
  uint64_t backoff_initial; /* 0: no backoff */
  uint64_t backoff_max;     /* 0: an hour */
  uint32_t backoff_factor;  /* in thousandths; 0: 2000, which doubles the delay each time */
  uint32_t backoff_jitter;  /* in thousandths, up to 1000 */
  uint64_t reset_after;
  uint64_t start_timeout;
  uint64_t watchdog_interval;
  int32_t ready;            /* TASKHOST_READY_* */
  int32_t watchdog_action;  /* TASKHOST_WATCHDOG_* */
  uint64_t cooldown;        /* for TASKHOST_GIVE_UP_COOLDOWN */
  int32_t on_give_up;       /* TASKHOST_GIVE_UP_* */
  int32_t strategy;         /* the group's: TASKHOST_ONE_FOR_ONE, …; 0: the one that the group already has */
  const char *group;        /* the first task that names a group creates it; loading a manifest creates its groups */
  const char *const *after; /* names of tasks that have already been admitted */
  const taskhost_exit_rule *exit_rules; /* the first that matches counts */
  size_t after_count;
  size_t exit_rule_count;
  uint64_t repeat_every;        /* due again so long after its first start, and each multiple of it */
  const char *repeat_schedule;  /* instead of repeat_every, times in cron's notation: "0 3 * * mon-fri" */
  const char *repeat_time_zone; /* of repeat_schedule: "Europe/Berlin"; NULL: the system's */
} taskhost_task_options;

/* One event; host/README.md lists them. Valid during the callback. */
typedef struct taskhost_event {
  uint32_t struct_size;
  uint32_t more;     /* non-zero: the next event follows at once, so a writer may postpone flushing */
  uint64_t sequence; /* from 1, without gaps */
  const char *name;  /* "task_started" */
  const char *task;  /* name of the task that it is about, or NULL */
  const char *json;  /* the whole event as one line of JSON, without the line end */
  size_t json_size;
} taskhost_event;

/* What one task is doing. Texts are never NULL unless it says so. Durations are nanoseconds up to the moment when the
 * task's shard reported this. */
typedef struct taskhost_task_status {
  uint32_t struct_size;
  int32_t state; /* TASKHOST_TASK_*. If UNKNOWN, only name, plugin and factory are known */
  const char *name;
  const char *plugin; /* path of the library; NULL: a task of the program's own */
  const char *factory;
  int32_t type;                 /* TASKHOST_SHUTDOWN_ON_EXIT, … */
  uint32_t facts;               /* TASKHOST_TASK_IS_* */
  uint64_t execution;           /* number of the current execution, or of the last one; 0: none has begun */
  uint64_t state_age;           /* since its state began; 0: unknown */
  uint64_t uptime;              /* of the current execution; 0: there is none */
  uint64_t start_in;            /* DELAYED: until it is started; else 0 */
  uint32_t restarts;            /* its budget; TASKHOST_UNLIMITED */
  uint32_t remaining;           /* restarts left in it; TASKHOST_UNLIMITED */
  uint32_t last_end;            /* TASKHOST_ON_*: how the last execution ended; 0: none has, or it was asked to */
  uint32_t stalls;              /* how often a call into it stalled */
  const char *last_message;     /* why; "" if it gave no reason */
  const char *doing;            /* what the current execution says that it is doing; "" if nothing */
  const char *group;            /* NULL: none */
  const char *const *waits_for; /* names of the tasks for which it waits, to start or to be asked to end */
  size_t waits_for_count;
  int64_t process; /* id of an isolated task's process; 0: it has none now */
} taskhost_task_status;

/* What a host is doing. */
typedef struct taskhost_host_status {
  uint32_t struct_size;
  int32_t state;    /* TASKHOST_STATE_* */
  uint64_t tasks;   /* the sum of the next eight */
  uint64_t unknown; /* in no known state: their shards did not answer within a second */
  uint64_t waiting;
  uint64_t delayed;
  uint64_t starting;
  uint64_t running;
  uint64_t stopping;
  uint64_t stopped;
  uint64_t ended;
  uint64_t not_ready; /* of the tasks that the host needs (all but detachable): neither ready, nor REPEATED, nor ENDED
                       * and not LOST */
  uint64_t starts;    /* of executions */
  uint64_t restarts;  /* after exits; operators' and those for the sake of a group are none */
  uint64_t events_lost;
  uint64_t log_lines_lost;
} taskhost_host_status;

/* What to verify, and how. All fields may be zero but either `plugin` or `manifest`. */
typedef struct taskhost_verify_options {
  uint32_t struct_size;
  uint32_t test_count;      /* entries of tests */
  const char *plugin;       /* path of the library; NULL with a manifest */
  const char *task;         /* name of a factory, or of a manifest's task; NULL: all */
  const char *config;       /* JSON text for the executions; NULL: "{}", or with a manifest what that has */
  const char *const *tests; /* run only these, by name: "drop at every pending poll", with blanks or hyphens */
  uint64_t seed;            /* random seed for the tests; 0 counts as 1 */
  uint64_t time_limit;      /* nanoseconds for each test, at least 100 milliseconds; 0: 10 seconds */
  const char *manifest;     /* path of a manifest: verify its tasks' plugins, with the config, name and directory that
                               each task has there; tasks that differ only in their names once */
} taskhost_verify_options;

/* One verdict of taskhost_verify. Valid during the callback. */
typedef struct taskhost_verdict {
  uint32_t struct_size;
  int32_t judgement;   /* TASKHOST_VERDICT_* */
  const char *factory; /* the factory, or the manifest's task, that was tested; NULL: the plugin as a whole */
  const char *test;    /* "drop at every pending poll" */
  const char *rules;   /* the rules that were tested: "3.5, 5.3"; if the verdict is BROKEN, those that are broken */
  const char *text;    /* what was observed, on one line */
  const char *json;    /* the whole verdict as one line of JSON, without the line end */
} taskhost_verdict;

/* [any-thread] "1.2.3". Valid for ever. */
TASKHOST_API const char *taskhost_version(void);

/* [any-thread] Creates a host in *host; destroy it with taskhost_destroy. `options` may be NULL. On failure *host is
 * NULL; BAD_MANIFEST for a wrong option, SYSTEM, NO_MEMORY; taskhost_error(NULL) has the text. create and start open
 * /dev/null for any of the descriptors 0 to 2 that is closed, so that nothing printed there reaches the host's own
 * descriptors. */
TASKHOST_API int32_t taskhost_create(const taskhost_options *options, taskhost_host **host);

/* [owner] What the last failed call on this host found wrong, one fault per line; "" if no call has failed. Never NULL.
 * With host NULL: what the calling thread's last taskhost_create found wrong, valid until its next one. */
TASKHOST_API const char *taskhost_error(const taskhost_host *host);

/* [owner] Reads a manifest, loads and checks its plugins, and admits its tasks. Starts nothing. One call reports all
 * faults. A host takes at most one manifest or directory; a failed call leaves the host as it was.
 * load_file: "-" is stdin; relative paths in stdin, and in a file under /dev or /proc such as a shell's pipe, count
 * from the working directory. SYSTEM: a file could not be opened for lack of descriptors or memory.
 * load_text reads `size` bytes; relative paths in it count from `directory` (NULL: the working directory).
 * Both also read the files that the manifest includes or takes values from, and the environment variables that it names
 * (getenv): no other thread may change the environment meanwhile. All of that is read before the call returns, and
 * nothing later. */
TASKHOST_API int32_t taskhost_load_file(taskhost_host *host, const char *path);
TASKHOST_API int32_t taskhost_load_text(taskhost_host *host, const char *text, size_t size, const char *directory);

/* [owner] The same for a directory of plugins without a manifest: every task is detachable and has 3 restarts. */
TASKHOST_API int32_t taskhost_load_directory(taskhost_host *host, const char *path);

/* [owner] Admits a task from a factory in the calling program. Call before start. */
TASKHOST_API int32_t taskhost_add_task(taskhost_host *host, const taskhost_task_options *task);

/* [owner] The same for `count` tasks that differ only in their names; much faster than single calls. task->name is
 * NULL; all other fields, including `after` and `group`, apply to each task. Either all are admitted or none. */
TASKHOST_API int32_t taskhost_add_tasks(taskhost_host *host, const taskhost_task_options *task,
                                        const char *const *names, size_t count);

/* [owner] The number of tasks that have been admitted. */
TASKHOST_API size_t taskhost_task_count(const taskhost_host *host);

/* [owner] Subscribes a callback to all events. A thread of the host calls it for each event, in order, one call at a
 * time. Call before start; up to 16 subscribers. Up to 65,536 events are queued. If the queue is full, a subscriber
 * that takes about 1,000 events a second or more slows the host down; a slower one loses some, and an "events_lost"
 * event says how many. The last call comes before run or wait returns. Once everything has stopped, one call may take a
 * second, and all remaining ones five; then the events in the queue are lost and counted, and "host_stopped" comes
 * last. If a call does not return, run and wait return without it, the log reports it, and the program must keep the
 * memory that `user` points to until the process ends. The callback may call [any-thread] functions only. */
TASKHOST_API int32_t taskhost_on_event(taskhost_host *host, void (*callback)(void *user, const taskhost_event *event),
                                       void *user);

/* [owner] start returns at once, and the host's own threads do the work; wait returns when everything has stopped; run
 * does both. wait and run return OK, TASK_FAILED or STOP_TIMEOUT; or WRONG_STATE. start and run return SYSTEM if the
 * system refuses what the tasks need; then nothing was started, and every later call but destroy is WRONG_STATE; and
 * BAD_MANIFEST, having started nothing, if the host's name is taken, or if where it should listen, or its token file,
 * is wrong. */
TASKHOST_API int32_t taskhost_start(taskhost_host *host);
TASKHOST_API int32_t taskhost_wait(taskhost_host *host);
TASKHOST_API int32_t taskhost_run(taskhost_host *host);

/* [any-thread, async-signal-safe] Asks the host to stop; it ends with success unless a task has stopped it before. A
 * request before start stops it as soon as it has started. Further requests have no effect. */
TASKHOST_API void taskhost_request_stop(taskhost_host *host);

/* [any-thread] An operator's requests for one task, by its name: stop it, start it again, replace its execution with a
 * fresh one. They use up no restarts; events report the results. A stopped task keeps the host running. The first such
 * call on a host builds an index of its tasks. UNKNOWN_TASK; WRONG_STATE before start and once the host is stopping;
 * NO_MEMORY. taskhost_error has no text for these. */
TASKHOST_API int32_t taskhost_stop_task(taskhost_host *host, const char *name);
TASKHOST_API int32_t taskhost_start_task(taskhost_host *host, const char *name);
TASKHOST_API int32_t taskhost_restart_task(taskhost_host *host, const char *name);

/* [any-thread] Describes one task by its name, or with NULL all tasks in the order in which they were admitted: calls
 * back once for each, on the calling thread. `status` and its texts are valid during the callback, which may call
 * any-thread functions. No task is held up: each shard answers between its calls, so tasks are described as of slightly
 * different moments, each truly in itself. It takes a second at most; a shard that has let somebody wait that long is
 * not waited for again until it has looked. Works from the start until destroy. Must not be called by tasks, whose
 * shard could not answer meanwhile. UNKNOWN_TASK; BAD_MANIFEST: no callback; WRONG_STATE before start; NO_MEMORY: then
 * some may have been described. taskhost_error has no text for these. */
TASKHOST_API int32_t taskhost_describe_tasks(taskhost_host *host, const char *name,
                                             void (*callback)(void *user, const taskhost_task_status *status),
                                             void *user);

/* [any-thread] Describes the host in *status, up to the struct_size that the caller has set; the same holds as for
 * tasks. Before start, all tasks are WAITING, and not_ready is 0. WRONG_STATE in a forked child; NO_MEMORY. */
TASKHOST_API int32_t taskhost_describe_host(taskhost_host *host, taskhost_host_status *status);

/* [any-thread] TASKHOST_STATE_*. */
TASKHOST_API int32_t taskhost_state(const taskhost_host *host);

/* [any-thread] What run or wait returned, once the host has stopped; WRONG_STATE before that. */
TASKHOST_API int32_t taskhost_status(const taskhost_host *host);

/* [any-thread] Once the host has stopped: non-zero if code of a plugin still runs, because an execution was abandoned
 * or offloaded work was left behind. Then end the process by _exit: exit would destroy the plugins' globals beside it.
 */
TASKHOST_API int32_t taskhost_left_behind(const taskhost_host *host);

/* [owner] Loads a plugin, checks it, and describes what it exports in *text, as TASKHOST_LOG_FORMAT_TEXT or _JSON.
 * BAD_PLUGIN: taskhost_error has the reason. */
TASKHOST_API int32_t taskhost_inspect(taskhost_host *host, const char *path, int32_t format, const char **text);

/* [owner] Explains the combined effect of the admitted tasks' policies in *text, in plain words and exact numbers:
 * delays, when a task gives up, start and stop order. As TASKHOST_LOG_FORMAT_TEXT or _JSON. Call before start. */
TASKHOST_API int32_t taskhost_explain(taskhost_host *host, int32_t format, const char **text);

/* [any-thread] Writes a line to the host's log, for programs without a log of their own. */
TASKHOST_API void taskhost_log_line(taskhost_host *host, int32_t level, const char *text);

/* [any-thread] Checks whether a plugin keeps the contract (abi/CONTRACT.md). Runs its executions in ways that are rare
 * under a host, each test in a child process with a time limit, and calls back with each verdict on the calling thread,
 * between the tests. It forks, so the process must have no other threads at that time. For each test it has one child,
 * which it reaps by its id, so SIGCHLD must not be ignored; that child is the parent of the test, adopts what the test
 * leaves running, and ends it. No other process is touched. Nothing of the plugin is loaded into the calling process.
 * OK: all rules hold. TASK_FAILED: some are broken or unproven, or the plugin was rejected when it was loaded.
 * BAD_MANIFEST: a wrong option. BAD_PLUGIN: no such file, or not a library for this machine. NO_MEMORY, INTERNAL.
 * `error`, if not NULL, is a buffer of the caller's that receives up to error_size bytes of text, including the NUL:
 * what was wrong, or "" for OK and TASK_FAILED. */
TASKHOST_API int32_t taskhost_verify(const taskhost_verify_options *options,
                                     void (*on_verdict)(void *user, const taskhost_verdict *verdict), void *user,
                                     char *error, size_t error_size);

/* [owner] Destroys a host; stops it first if it is running, and waits for that. NULL: no effect. If tasks were
 * abandoned, or a callback has not returned, the host stays in memory, and their threads may still call it. The log's
 * receiver is not called afterwards: a call in progress has five seconds to return; if it does not, the program must
 * keep the memory that log_user points to until the process ends. destroy waits for the destructors of thread-local
 * data that plugins left in the host's threads, however long they take (rule 5.4). */
TASKHOST_API void taskhost_destroy(taskhost_host *host);

#ifdef __cplusplus
}
#endif

#endif
