/*
 * taskhost/plugin.h: what a task plugin implements, and what it may call.
 *
 * A plugin is a shared library that exports one function, taskhost_plugin_v1. It returns a factory: the recipe of one
 * kind of task. The host makes executions from it, one at a time for each task, and a fresh one for each restart.
 *
 * CONTRACT.md, beside this folder, numbers the rules; "rule 3.2" in a comment or in a message of the host means that
 * page. Durations and times are nanoseconds in uint64_t; times count from an arbitrary point on a monotonic clock.
 * Texts are UTF-8. Threads are named like this:
 *   [execution]  only from within this execution's own start, poll or run, on the thread that called it
 *   [any-thread] from any thread, from start until drop returns
 *   [anywhere]   from any thread at any time, for ever
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

/* The symbol carries the major version. A minor version only appends: to the end of structs, and new constants. */
#define TASKHOST_ABI_MAJOR 1
#define TASKHOST_ABI_MINOR 0
#define TASKHOST_ENTRY_NAME "taskhost_plugin_v1"

/* How a call ended. start: OK, ERROR, PANIC. poll: any of the four. run: OK, ERROR, PANIC. Rules 3.1 to 3.3. */
#define TASKHOST_OK 0      /* start: started. poll, run: the execution ended well */
#define TASKHOST_PENDING 1 /* poll only: not done; poll again after a wake */
#define TASKHOST_ERROR 2   /* the execution failed; say why with fail() before */
#define TASKHOST_PANIC 3   /* an exception or panic was caught; for SDKs, say what with fail() before */

#define TASKHOST_LOG_TRACE 0
#define TASKHOST_LOG_DEBUG 1
#define TASKHOST_LOG_INFO 2
#define TASKHOST_LOG_WARNING 3
#define TASKHOST_LOG_ERROR 4

#define TASKHOST_READABLE 1u /* interests of wake_on_fd */
#define TASKHOST_WRITABLE 2u

#define TASKHOST_WAIT_STOP 1u /* bits that wait returns: the host asks for the end */
#define TASKHOST_WAIT_WAKE 2u /* a waker, a timer or a descriptor woke it */
#define TASKHOST_WAIT_TIME 4u /* the time has come */

#define TASKHOST_MICROSECOND ((uint64_t)1000)
#define TASKHOST_MILLISECOND ((uint64_t)1000000)
#define TASKHOST_SECOND ((uint64_t)1000000000)
#define TASKHOST_NEVER ((uint64_t)-1)

typedef struct taskhost_exec taskhost_exec;
typedef struct taskhost_services taskhost_services;
typedef struct taskhost_factory taskhost_factory;

/*
 * A waker wakes one execution. It is a value: copy it, keep it, use it from any thread, even after the execution has
 * ended or the host is gone: then it does nothing. There is nothing to free. 0 is never a waker and may be woken.
 */
typedef uint64_t taskhost_waker;

/* One execution as its task sees it. The host's; valid from the call of start until drop returns (rule 4.1). */
struct taskhost_exec {
  const taskhost_services *services;
  /* What follows is the host's. */
};

/*
 * What the host does for an execution. The table and its functions stay valid as long as the process lives.
 * A function appended by a later minor version is there only if struct_size covers it (rule 4.8).
 */
struct taskhost_services {
  uint32_t struct_size;
  uint32_t abi_minor; /* the host's */

  /* [any-thread] Writes a line to the host's log under the task's name. Copied at once; cut at 4096 bytes. */
  void (*log)(const taskhost_exec *exec, int32_t level, const char *text, size_t size);

  /* [execution] Says why this execution is about to fail. Copied at once; cut at 4096 bytes; the last one counts.
   * Returns TASKHOST_ERROR, so that `return services->fail(...)` reads well. Only a return ends the execution. */
  int32_t (*fail)(const taskhost_exec *exec, const char *text, size_t size);

  /* [any-thread] The task's config from the manifest: JSON text, NUL-terminated, "{}" if there is none. *size, if not
   * NULL, is its length. The host's, valid until drop returns. Never fails. */
  const char *(*config)(const taskhost_exec *exec, size_t *size);

  /* [any-thread] Name of the task in the manifest, NUL-terminated. The host's, valid until drop returns. */
  const char *(*task_name)(const taskhost_exec *exec);

  /* [any-thread] Number of this execution within its task, from 1. */
  uint64_t (*execution_number)(const taskhost_exec *exec);

  /* [any-thread] Non-zero once the host asks this execution to end. The execution is woken when that happens. */
  int32_t (*stop_requested)(const taskhost_exec *exec);

  /* [anywhere] Monotonic time. */
  uint64_t (*now)(void);

  /* [execution] This execution's waker. Never 0. */
  taskhost_waker (*waker)(const taskhost_exec *exec);

  /* [anywhere] Has the waker's execution polled again soon, or ends its wait. Wakes merge; one may be spurious. Never
   * blocks, never calls back. The table outlives its host, so a thread may keep a pointer to it beside a waker. */
  void (*wake)(taskhost_waker waker);

  /* [execution] Wakes this execution at a time, never before. One timer an execution: a new time replaces the old,
   * TASKHOST_NEVER clears it. It ends with the execution. */
  void (*wake_at)(const taskhost_exec *exec, uint64_t time);

  /* [execution] The same, so long from now; cheaper than wake_at(now() + delay), since the host reads the clock once
   * for many. Never early. TASKHOST_NEVER clears the timer. */
  void (*wake_after)(const taskhost_exec *exec, uint64_t delay);

  /* [execution] Wakes this execution once when a file descriptor is ready for one of `interests`. Ask again after each
   * wake. Up to 64 descriptors at once; a further call for the same one adds interests, 0 interests forgets it. The
   * descriptor stays the plugin's: forget it before closing it. The host forgets all of them before drop. Returns
   * TASKHOST_OK, or TASKHOST_ERROR for a descriptor that can't be waited for (a regular file, a closed one, too many).
   */
  int32_t (*wake_on_fd)(const taskhost_exec *exec, int32_t fd, uint32_t interests);

  /* [execution, run only] Sleeps until `time`, a wake, or the stop; returns TASKHOST_WAIT_* bits. Once a stop is
   * requested it returns at once. Called from poll it returns 0 at once (rule 4.7). */
  uint32_t (*wait)(const taskhost_exec *exec, uint64_t time);

  /* [any-thread] This execution is ready for what it is there for. Again: no effect. */
  void (*ready)(const taskhost_exec *exec);

  /* [any-thread] A sign of life, for the task's watchdog. */
  void (*heartbeat)(const taskhost_exec *exec);

  /* [any-thread] A table of further functions by string id (see taskhost/ext/), or NULL if this host has none of that
   * id and revision. Valid as long as the process lives. */
  const void *(*extension)(const taskhost_exec *exec, const char *id, uint32_t revision);
};

/*
 * The recipe of one kind of task. The plugin's; unchanged and valid as long as the library is loaded. Fields left zero
 * mean absent. The three or four functions of one execution are never called concurrently, may be called on different
 * threads, and never from within a service. None of them lets an exception or panic out (rule 3.6).
 */
struct taskhost_factory {
  uint32_t struct_size;    /* sizeof(taskhost_factory) */
  uint32_t required_minor; /* oldest minor version of the host that will do; mostly 0 */
  const char *name;        /* 1 to 128 bytes without control characters (rule 2.3) */
  const char *version;     /* the plugin's own, up to 64 bytes, or NULL */
  const char *description; /* one line, up to 1024 bytes, or NULL */
  size_t state_size;       /* bytes that the host provides for each execution, up to 1 GiB (rule 2.5) */
  size_t state_align;      /* a power of two up to 4096; 0: as malloc (rule 2.6) */
  uint32_t flags;          /* 0 (rule 2.8) */
  uint32_t reserved;       /* 0 (rule 2.8) */

  /* Makes a fresh execution in `state`: state_size bytes, zeroed, that stay in place until drop. TASKHOST_OK, or
   * ERROR or PANIC: then nothing was made and drop is not called. NULL: nothing to do. */
  int32_t (*start)(void *state, const taskhost_exec *exec);

  /* Exactly one of these two (rule 2.7). poll goes as far as it can without blocking; the host calls it first after
   * start and then after each wake. run may block; it has a thread of its own. */
  int32_t (*poll)(void *state, const taskhost_exec *exec);
  int32_t (*run)(void *state, const taskhost_exec *exec);

  /* Gives back what start and the others took; called exactly once for each start that succeeded, after the end and
   * when the host cancels. NULL: nothing to give back. */
  void (*drop)(void *state);

  const taskhost_factory *next; /* the plugin's next factory, or NULL */
};

#if defined(_WIN32)
#define TASKHOST_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define TASKHOST_EXPORT __attribute__((visibility("default")))
#else
#define TASKHOST_EXPORT
#endif

/* The one exported function: taskhost_plugin_v1. Returns the first factory. Called at least once after loading, from
 * any thread; each call returns the same. */
TASKHOST_EXPORT const taskhost_factory *taskhost_plugin_v1(void);

/* Defines it: TASKHOST_PLUGIN(first_factory) */
#define TASKHOST_PLUGIN(first_factory) \
  TASKHOST_EXPORT const taskhost_factory *taskhost_plugin_v1(void) { return &(first_factory); }

/*
 * Shorter names for the services, for NUL-terminated texts. Same rules as the services.
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
