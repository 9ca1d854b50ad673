/*
 * taskhost/plugin.h: what a task plugin implements, and what it may call.
 *
 * A plugin is a shared library that exports one function, taskhost_plugin_v1. It returns a factory: the recipe for one
 * kind of task. The host makes executions from it, one at a time for each task, and a fresh one for each restart.
 *
 * "Rule 3.2" in a comment or in a message of the host refers to abi/CONTRACT.md. Durations and times are nanoseconds
 * in uint64_t; times count from an arbitrary point on a monotonic clock. Texts are UTF-8. A tag says where a function
 * may be called:
 *   [execution]  only from within this execution's own start, poll, run or finish, on the thread that called it.
 *                "poll only": in a task with poll, so not in run; "run only": not in start either
 *   [any-thread] from any thread, from the call of start until drop returns; so in finish and drop as well
 *   [anywhere]   from any thread at any time, for ever
 * Two calls have less. drop: what is [any-thread] or [anywhere], and watch with 0 interests. check, which has no
 * execution: log, fail, config, task_name, now and extension, on the thread that called it. Rule 4.2 has a table.
 *
 * Usable as C89 to C17 and C++98 to C++20.
 */
#ifndef TASKHOST_PLUGIN_H
#define TASKHOST_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The symbol's name contains the major version. A minor version only appends fields to structs, and adds constants. */
#define TASKHOST_ABI_MAJOR 1
#define TASKHOST_ABI_MINOR 0
#define TASKHOST_ENTRY_NAME "taskhost_plugin_v1"

/* How a call ended. start, run: OK, ERROR, PANIC. poll: any. finish: OK, PENDING, AGAIN. check: OK, ERROR, PANIC. Rules
 * 3.1 to 3.3, 3.15 and 3.16. */
#define TASKHOST_OK 0      /* start: started. poll, run: the execution ended well */
#define TASKHOST_PENDING 1 /* not done; call again after a wake */
#define TASKHOST_ERROR 2   /* the execution failed; give the reason to fail() first */
#define TASKHOST_PANIC 3   /* for SDKs: an exception or panic was caught; give its text to fail() first */
#define TASKHOST_AGAIN 4   /* not done; call again in its turn, after all others that are due */

/* Why a service does not do what it was asked for; the host has also logged it. Services that can refuse return one of
 * these, or TASKHOST_OK. */
#define TASKHOST_REFUSED_CALL 16     /* not from here: another function, thread or kind of task may call it */
#define TASKHOST_REFUSED_ARGUMENT 17 /* an unknown bit, a NULL, or a wrong struct_size or reserved */
#define TASKHOST_REFUSED_CLOSED 18   /* the descriptor is not open */
#define TASKHOST_REFUSED_ALWAYS 19   /* it is always ready: a regular file, a directory, a device like /dev/null */
#define TASKHOST_REFUSED_LOOP 20     /* it is a set of descriptors that would contain itself, or is nested too deeply */
#define TASKHOST_REFUSED_DESCRIPTORS 21 /* the process has as many descriptors as it may have */
#define TASKHOST_REFUSED_MEMORY 22
#define TASKHOST_REFUSED_THREADS 23  /* there is no further thread for work that blocks: see blocking_threads */
#define TASKHOST_REFUSED_WATCHERS 24 /* as many executions watch this descriptor as the system allows, 500 on Linux */

#define TASKHOST_LOG_TRACE 0
#define TASKHOST_LOG_DEBUG 1
#define TASKHOST_LOG_INFO 2
#define TASKHOST_LOG_WARNING 3
#define TASKHOST_LOG_ERROR 4

#define TASKHOST_READABLE 1u /* interests of watch, and what take_ready tells */
#define TASKHOST_WRITABLE 2u
#define TASKHOST_BROKEN 4u /* an error, or both directions are closed; take_ready sets the two above, too */
#define TASKHOST_DONE 8u   /* take_ready: offloaded work has returned */

#define TASKHOST_WAIT_STOP 1u /* bits that wait returns: the host asks the execution to end */
#define TASKHOST_WAIT_WAKE 2u /* a waker, a signal or the timer woke it */
#define TASKHOST_WAIT_TIME 4u /* the time has come */

#define TASKHOST_MICROSECOND ((uint64_t)1000)
#define TASKHOST_MILLISECOND ((uint64_t)1000000)
#define TASKHOST_SECOND ((uint64_t)1000000000)
#define TASKHOST_NEVER ((uint64_t)-1)

typedef struct taskhost_exec taskhost_exec;
typedef struct taskhost_services taskhost_services;
typedef struct taskhost_factory taskhost_factory;

/*
 * A waker wakes one execution. It is a value: copy it, keep it, use it from any thread. Once the execution has ended or
 * the host is gone, it does nothing. There is nothing to free. 0 is never a waker; waking it is allowed.
 */
typedef uint64_t taskhost_waker;

/* A file descriptor; on Windows a SOCKET. */
typedef int64_t taskhost_fd;

/* Something that take_ready tells. */
typedef struct taskhost_ready {
  uint64_t tag;      /* given to watch or offload */
  uint32_t what;     /* TASKHOST_READABLE, WRITABLE, BROKEN; or DONE alone */
  uint32_t reserved; /* 0 */
} taskhost_ready;

/* Work that blocks, for offload. */
typedef struct taskhost_work {
  uint32_t struct_size; /* sizeof(taskhost_work) */
  uint32_t reserved;    /* 0 */
  uint64_t tag;
  void *argument;
  /* Called at most once, on a thread of the host's that may block, without an execution: of the services only those
   * that are [anywhere] are there. Lets no exception out. */
  void (*run)(void *argument);
  /* Called once after run, or instead of it, if the execution ends without having been told that the work is done: then
   * the argument is nobody's. Usually on a thread that may block, but not always, so it is quick. Not called for work
   * that is still running when the process ends (rule 4.11). Lets no exception out. NULL: nothing to release. */
  void (*discard)(void *argument);
} taskhost_work;

/* One execution as its task sees it. Owned by the host; valid from the call of start until drop returns (rule 4.1). */
struct taskhost_exec {
  const taskhost_services *services;
  /* Further fields are private to the host. */
};

/*
 * What the host does for an execution. The table and its functions stay valid as long as the process lives.
 * A function that a later minor version appended exists only if struct_size covers it (rule 4.8).
 */
struct taskhost_services {
  uint32_t struct_size;
  uint32_t abi_minor; /* the host's */

  /* [any-thread, and check] Writes to the host's log under the task's name. Copied at once, cut at 4096 bytes. */
  void (*log)(const taskhost_exec *exec, int32_t level, const char *text, size_t size);

  /* [execution, and check; not in finish] Gives the reason why this execution is about to fail, or the config will not
   * do. Copied at once; cut at 4096 bytes; the last call counts. It does not end the execution; it returns
   * TASKHOST_ERROR, so that you can `return services->fail(...)`. */
  int32_t (*fail)(const taskhost_exec *exec, const char *text, size_t size);

  /* [any-thread, and check] The task's config from the manifest: JSON text, NUL-terminated, "{}" if there is none.
   * *size receives its length, unless `size` is NULL. Owned by the host, valid until drop, or check, returns. Never
   * fails. */
  const char *(*config)(const taskhost_exec *exec, size_t *size);

  /* [any-thread, and check] Name of the task in the manifest, NUL-terminated. Owned by the host, valid until drop, or
   * check, returns. */
  const char *(*task_name)(const taskhost_exec *exec);

  /* [any-thread] Number of this execution within its task, starting at 1. */
  uint64_t (*execution_number)(const taskhost_exec *exec);

  /* [any-thread] Non-zero once the host asks this execution to end. The execution is woken when that happens. */
  int32_t (*stop_requested)(const taskhost_exec *exec);

  /* [anywhere] Monotonic time. */
  uint64_t (*now)(void);

  /* [execution] This execution's waker. 0 where it may not be called, in a forked child, and if there is no memory. */
  taskhost_waker (*waker)(const taskhost_exec *exec);

  /* [anywhere] Has the waker's execution polled again soon, or ends its wait. Wakes merge, and may be spurious. Never
   * blocks, never calls back. The table outlives its host, so a thread may keep a pointer to it together with a waker.
   */
  void (*wake)(taskhost_waker waker);

  /* [execution] Wakes this execution at a time, never earlier. Each execution has one timer: a new time replaces the
   * old one, TASKHOST_NEVER clears it. It ends with the execution. */
  void (*wake_at)(const taskhost_exec *exec, uint64_t time);

  /* [execution] The same after a delay. Cheaper than wake_at(now() + delay), since the host reads the clock once for
   * many calls. Never early. TASKHOST_NEVER clears the timer. */
  void (*wake_after)(const taskhost_exec *exec, uint64_t delay);

  /* [execution, poll only] Watches a descriptor: as long as it is ready for one of `interests`, READABLE, WRITABLE or
   * BROKEN alone, the execution is woken; BROKEN is told in any case. Interests and tag replace those of an earlier
   * call; 0 interests end the watch, which drop may do as well. As many descriptors as there is memory for. The
   * descriptor remains the plugin's, is neither duplicated nor changed, and is forgotten before it is closed
   * (rule 4.5). The host forgets all of them before drop. TASKHOST_OK or TASKHOST_REFUSED_*. A task with `run` waits
   * for descriptors itself: see wait_fd. */
  int32_t (*watch)(const taskhost_exec *exec, taskhost_fd fd, uint32_t interests, uint64_t tag);

  /* [execution, poll only] What is ready now: fills up to `capacity` entries of `list`, and returns how many. A watched
   * descriptor comes again as long as it is ready; work that is done comes once, and before descriptors. Done work for
   * which the list had no room waits for the next call, but wakes nobody again: after a full list, call once more or
   * return TASKHOST_AGAIN. */
  size_t (*take_ready)(const taskhost_exec *exec, taskhost_ready *list, size_t capacity);

  /* [execution, poll only] Has work->run called on another thread, and this execution woken when it has returned: then
   * take_ready tells its tag, once, and the argument is the execution's again. Work that is going on when the execution
   * ends goes on. *work is copied. TASKHOST_OK or TASKHOST_REFUSED_*; then nothing of it is called. */
  int32_t (*offload)(const taskhost_exec *exec, const taskhost_work *work);

  /* [execution, run only] Sleeps until `time`, a wake, or the stop; returns TASKHOST_WAIT_* bits. Returns at once if a
   * stop has been requested. Called from poll it returns 0 at once (rule 4.7). */
  uint32_t (*wait)(const taskhost_exec *exec, uint64_t time);

  /* [execution, run only] For a loop of the task's own: a descriptor that is readable while wait would return for a
   * waker's wake or the stop, but not for the timer: the loop has its own. wait(exec, 0) takes the wake; the stop
   * stays, and so the descriptor stays readable: a loop that goes on after it takes it out of its set. Owned by the
   * host, valid until drop returns; never read or closed by the plugin. -1 if there is none to be had: use wait. */
  taskhost_fd (*wait_fd)(const taskhost_exec *exec);

  /* [any-thread] Reports that this execution is ready to do its job. Further calls have no effect. */
  void (*ready)(const taskhost_exec *exec);

  /* [any-thread] A sign of life, for the task's watchdog. */
  void (*heartbeat)(const taskhost_exec *exec);

  /* [any-thread] What this execution is doing, in one line, for operators. Replaces the last one. Copied at once; cut
   * at 256 bytes. Cheap enough for each step of work, not for each byte. */
  void (*status)(const taskhost_exec *exec, const char *text, size_t size);

  /* [any-thread, and check] The table of further functions with this id and revision (see taskhost/ext/), or NULL if
   * this host has none, or none for check. Valid as long as the process lives. */
  const void *(*extension)(const taskhost_exec *exec, const char *id, uint32_t revision);
};

/*
 * The recipe for one kind of task. Owned by the plugin; unchanged and valid as long as the library is loaded. A field
 * that is zero counts as absent. The functions of one execution are never called concurrently, nor from within a
 * service; they may be called on different threads. None of them lets an exception or panic out (rule 3.6).
 */
struct taskhost_factory {
  uint32_t struct_size;    /* sizeof(taskhost_factory) */
  uint32_t required_minor; /* oldest minor version of the host that is good enough; usually 0 */
  const char *name;        /* 1 to 128 bytes without control characters (rule 2.3) */
  const char *version;     /* the plugin's own, up to 64 bytes, or NULL */
  const char *description; /* one line, up to 1024 bytes, or NULL */
  size_t state_size;       /* bytes that the host provides for each execution, up to 1 GiB (rule 2.5) */
  size_t state_align;      /* a power of two up to 4096; 0: as malloc aligns (rule 2.6) */
  uint32_t flags;          /* 0 (rule 2.8) */
  uint32_t reserved;       /* 0 (rule 2.8) */

  /* Sets up a fresh execution in `state`: state_size bytes, zeroed, that stay in place until drop. Returns TASKHOST_OK;
   * or ERROR or PANIC if it has set up nothing: then drop is not called. NULL: nothing to do. */
  int32_t (*start)(void *state, const taskhost_exec *exec);

  /* Exactly one of these two is set (rule 2.7). poll goes as far as it can without blocking; the host calls it once
   * after start, and then after each wake. run may block; it has a thread of its own. */
  int32_t (*poll)(void *state, const taskhost_exec *exec);
  int32_t (*run)(void *state, const taskhost_exec *exec);

  /* With poll only: an end that takes time, such as closing a connection or waiting for threads. Called after poll has
   * ended the execution, or failed it, like poll: as far as it can without blocking, and again after each wake until it
   * returns OK. The execution's result is poll's. It has stop_timeout; after that the execution is dropped where it
   * stands. NULL: nothing takes time. */
  int32_t (*finish)(void *state, const taskhost_exec *exec);

  /* Releases what start and the others acquired; called exactly once for each start that succeeded, after the end or
   * when the host cancels the execution. Of the services only those that are [any-thread] or [anywhere] are there, and
   * watch to forget. NULL: nothing to release. */
  void (*drop)(void *state, const taskhost_exec *exec);

  /* Is the task's config one that an execution can live with: its values, the files that it names, a script's syntax?
   * Starts nothing. Called by `taskhost check` and before the host starts, on any thread, while none of the plugin's
   * executions need exist. OK; or ERROR, after the reason was given to fail(). Of the services only log, fail, config,
   * task_name, now and extension are there. NULL: every config that the reader takes is right. */
  int32_t (*check)(const taskhost_exec *exec);

  const taskhost_factory *next; /* the plugin's next factory, or NULL */
};

#if defined(_WIN32)
#define TASKHOST_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define TASKHOST_EXPORT __attribute__((visibility("default")))
#else
#define TASKHOST_EXPORT
#endif

/* The plugin's entry, and all that it needs to export. Returns the first factory. Called at least once after loading,
 * from any thread; every call returns the same pointer. */
TASKHOST_EXPORT const taskhost_factory *taskhost_plugin_v1(void);

/* Defines the entry: TASKHOST_PLUGIN(first_factory). In C++ in any namespace. */
#ifdef __cplusplus
#define TASKHOST_EXTERN_C extern "C"
#else
#define TASKHOST_EXTERN_C
#endif
#define TASKHOST_PLUGIN(first_factory) \
  TASKHOST_EXTERN_C TASKHOST_EXPORT const taskhost_factory *taskhost_plugin_v1(void) { return &(first_factory); }

/*
 * Shorter calls of the services, for NUL-terminated texts. The rules of the services apply.
 */
#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L)
#define TASKHOST_INLINE static inline
#elif defined(__GNUC__)
#define TASKHOST_INLINE static __inline__
#else
#define TASKHOST_INLINE static
#endif

TASKHOST_INLINE void taskhost_log(const taskhost_exec *exec, int32_t level, const char *text) {
  exec->services->log(exec, level, text, strlen(text));
}
TASKHOST_INLINE int32_t taskhost_fail(const taskhost_exec *exec, const char *text) {
  return exec->services->fail(exec, text, strlen(text));
}
TASKHOST_INLINE const char *taskhost_config(const taskhost_exec *exec) {
  return exec->services->config(exec, (size_t *)0);
}
TASKHOST_INLINE int32_t taskhost_stop_requested(const taskhost_exec *exec) {
  return exec->services->stop_requested(exec);
}
TASKHOST_INLINE uint64_t taskhost_now(const taskhost_exec *exec) { return exec->services->now(); }
TASKHOST_INLINE void taskhost_wake_after(const taskhost_exec *exec, uint64_t delay) {
  exec->services->wake_after(exec, delay);
}
TASKHOST_INLINE uint32_t taskhost_wait_for(const taskhost_exec *exec, uint64_t delay) {
  uint64_t now = exec->services->now();
  return exec->services->wait(exec, delay < TASKHOST_NEVER - now ? now + delay : TASKHOST_NEVER);
}

#ifdef __cplusplus
}
#endif

#endif
