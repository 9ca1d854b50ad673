/* What the benchmark's plugin counts, and how it is set; taskhost-bench finds these by name. */
#ifndef TASKHOST_BENCH_PLUGIN_H
#define TASKHOST_BENCH_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_ROWS 1024
#define BENCH_LATE_BUCKETS 65536 /* microseconds; the last holds what is later */

/* One thread's counts, on a cache line of its own. */
typedef struct bench_row {
  uint64_t starts;
  uint64_t polls;
  uint64_t padding[6];
} bench_row;

typedef struct bench_setting {
  uint64_t yields; /* w4: wakes a task */
} bench_setting;

#if defined(__GNUC__)
#define BENCH_EXPORT __attribute__((visibility("default")))
#endif
extern BENCH_EXPORT bench_setting bench_settings;
extern BENCH_EXPORT bench_row bench_rows[BENCH_ROWS];
extern BENCH_EXPORT uint32_t bench_late[BENCH_LATE_BUCKETS];

#ifdef __cplusplus
}
#endif

#endif
