/*
 * taskhost/plugin.h: what a task plugin implements, and what it may call.
 *
 * A plugin is a shared library that exports one function, taskhost_plugin_v1. It returns a factory: the recipe for one
 * kind of task. The host makes executions from it, one at a time for each task, and a fresh one for each restart.
 *
 * "Rule 3.2" in a comment or in a message of the host refers to abi/CONTRACT.md. Durations and times are nanoseconds
 * in uint64_t; times count from an arbitrary point on a monotonic clock. Texts are UTF-8. A tag says where a function
 * may be called:
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

/* The symbol's name contains the major version. A minor version only appends fields to structs, and adds constants. */
#define TASKHOST_ABI_MAJOR 1
#define TASKHOST_ABI_MINOR 0
#define TASKHOST_ENTRY_NAME "taskhost_plugin_v1"

/* How a call ended. start: OK, ERROR, PANIC. poll: any of the four. run: OK, ERROR, PANIC. Rules 3.1 to 3.3. */
#define TASKHOST_OK 0      /* start: started. poll, run: the execution ended well */
#define TASKHOST_PENDING 1 /* poll only: not done; poll again after a wake */
#define TASKHOST_ERROR 2   /* the execution failed; give the reason to fail() first */
#define TASKHOST_PANIC 3   /* for SDKs: an exception or panic was caught; give its text to fail() first */

#define TASKHOST_LOG_TRACE 0
#define TASKHOST_LOG_DEBUG 1
#define TASKHOST_LOG_INFO 2
#define TASKHOST_LOG_WARNING 3
#define TASKHOST_LOG_ERROR 4

#define TASKHOST_READABLE 1u /* interests of wake_on_fd */
#define TASKHOST_WRITABLE 2u

#define TASKHOST_WAIT_STOP 1u /* bits that wait returns: the host asks the execution to end */
#define TASKHOST_WAIT_WAKE 2u /* a waker, the timer or a descriptor woke it */
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

  /* [any-thread] Writes a line to the host's log under the task's name. Copied at once; cut at 4096 bytes. */
  void (*log)(const taskhost_exec *exec, int32_t level, const char *text, size_t size);

  /* [execution] Gives the reason why this execution is about to fail. Copied at once; cut at 4096 bytes; the last call
   * counts. It does not end the execution; it returns TASKHOST_ERROR, so that you can `return services->fail(...)`. */
  int32_t (*fail)(const taskhost_exec *exec, const char *text, size_t size);

  /* [any-thread] The task's config from the manifest: JSON text, NUL-terminated, "{}" if there is none. *size receives
   * its length, unless `size` is NULL. Owned by the host, valid until drop returns. Never fails. */
  const char *(*config)(const taskhost_exec *exec, size_t *size);

  /* [any-thread] Name of the task in the manifest, NUL-terminated. Owned by the host, valid until drop returns. */
  const char *(*task_name)(const taskhost_exec *exec);

  /* [any-thread] Number of this execution within its task, starting at 1. */
  uint64_t (*execution_number)(const taskhost_exec *exec);

  /* [any-thread] Non-zero once the host asks this execution to end. The execution is woken when that happens. */
  int32_t (*stop_requested)(const taskhost_exec *exec);

  /* [anywhere] Monotonic time. */
  uint64_t (*now)(void);

  /* [execution] This execution's waker. Never 0. */
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

  /* [execution] Wakes this execution once when a file descriptor is ready for one of `interests`. Ask again after each
   * wake. Up to 64 descriptors at once; a further call for the same one adds interests, 0 interests cancels the wait.
   * The descriptor remains the plugin's: cancel before closing it. The host cancels all waits before drop. Returns
   * TASKHOST_OK, or TASKHOST_ERROR for a descriptor that cannot be waited for (a regular file, a closed one, too many).
   */
  int32_t (*wake_on_fd)(const taskhost_exec *exec, int32_t fd, uint32_t interests);

  /* [execution, run only] Sleeps until `time`, a wake, or the stop; returns TASKHOST_WAIT_* bits. Returns at once if a
   * stop has been requested. Called from poll it returns 0 at once (rule 4.7). */
  uint32_t (*wait)(const taskhost_exec *exec, uint64_t time);

  /* [any-thread] Reports that this execution is ready to do its job. Further calls have no effect. */
  void (*ready)(const taskhost_exec *exec);

  /* [any-thread] A sign of life, for the task's watchdog. */
  void (*heartbeat)(const taskhost_exec *exec);

  /* [any-thread] The table of further functions with this id and revision (see taskhost/ext/), or NULL if this host has
   * none. Valid as long as the process lives. */
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

  /* Releases what start and the others acquired; called exactly once for each start that succeeded, after the end or
   * when the host cancels the execution. NULL: nothing to release. */
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

/* The plugin's entry, and all that it needs to export. Returns the first factory. Called at least once after loading,
 * from any thread; every call returns the same pointer. */
TASKHOST_EXPORT const taskhost_factory *taskhost_plugin_v1(void);

/* Defines the entry: TASKHOST_PLUGIN(first_factory) */
#define TASKHOST_PLUGIN(first_factory) \
  TASKHOST_EXPORT const taskhost_factory *taskhost_plugin_v1(void) { return &(first_factory); }

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
