/* What the benchmark's plugin counts, and how it is configured; taskhost-bench finds these by name. */
#ifndef TASKHOST_BENCH_PLUGIN_H
#define TASKHOST_BENCH_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_ROWS 1024
#define BENCH_LATE_BUCKETS 65536 /* microseconds; the last one holds all later ones */
#define BENCH_LISTENERS 4096

/* One thread's counts, on a cache line of its own. */
typedef struct bench_row {
  uint64_t starts;
  uint64_t polls;
  uint64_t padding[6];
} bench_row;

typedef struct bench_setting {
  uint64_t yields; /* w4: wakes per task */
  uint64_t ticks;  /* w3: a task ends after this many; UINT64_MAX: at the stop */
  uint64_t stamps; /* wake: if not zero, a listener notes the time of each poll */
} bench_setting;

/* wake: what a task that waits to be woken publishes, on a cache line of its own. */
typedef struct bench_listener {
  uint64_t waker;
  uint64_t polled_at; /* CLOCK_MONOTONIC, nanoseconds */
  uint64_t padding[6];
} bench_listener;

#if defined(__GNUC__)
#define BENCH_EXPORT __attribute__((visibility("default")))
#endif
extern BENCH_EXPORT bench_setting bench_settings;
extern BENCH_EXPORT bench_row bench_rows[BENCH_ROWS];
extern BENCH_EXPORT uint32_t bench_threads; /* how many rows are in use */
extern BENCH_EXPORT uint32_t bench_late[BENCH_LATE_BUCKETS];
extern BENCH_EXPORT bench_listener bench_listeners[BENCH_LISTENERS];
extern BENCH_EXPORT uint32_t bench_listening;     /* number of listeners */
extern BENCH_EXPORT void (*bench_wake)(uint64_t); /* the host's service */

#ifdef __cplusplus
}
#endif

#endif
