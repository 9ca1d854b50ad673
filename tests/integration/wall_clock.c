/* Loaded before the program's libraries: makes the wall clock jump. Each reading is a day later, and every other one a
 * year earlier; or, if TASKHOST_TEST_WALL_CLOCK_START gives a time in seconds since 1970, the clock goes on from there.
 * The monotonic clocks are not changed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

typedef int (*clock_reader)(clockid_t, struct timespec*);

static time_t changed(time_t real) {
  static atomic_long readings;
  static atomic_long first; /* the real time of the first reading */
  const char* const start = getenv("TASKHOST_TEST_WALL_CLOCK_START");
  if (start != NULL) {
    long none = 0;
    atomic_compare_exchange_strong(&first, &none, (long)real);
    return strtol(start, NULL, 10) + real - atomic_load(&first);
  }
  const long reading = atomic_fetch_add(&readings, 1);
  return 1800000000 + reading * 86400 - (reading % 2) * 366 * 86400;
}

static int read_clock(clockid_t clock, struct timespec* now) {
  static _Atomic(clock_reader) real;
  clock_reader read = atomic_load(&real);
  if (read == NULL) {
    void* const symbol = dlsym(RTLD_NEXT, "clock_gettime");
    memcpy(&read, &symbol, sizeof read);
    atomic_store(&real, read);
  }
  return read(clock, now);
}

static time_t changed_now(void) {
  struct timespec now;
  read_clock(CLOCK_REALTIME, &now);
  return changed(now.tv_sec);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec* now) {
  const int result = read_clock(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec = changed(now->tv_sec);
  return result;
}

__attribute__((visibility("default"))) int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  (void)zone;
  now->tv_sec = changed_now();
  now->tv_usec = 0;
  return 0;
}

__attribute__((visibility("default"))) time_t time(time_t* result) {
  const time_t now = changed_now();
  if (result != NULL) *result = now;
  return now;
}
