/* Loaded before the program's libraries: makes the wall clock jump. Each reading is a day later, and every other one a
 * year earlier. The monotonic clocks are not changed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

typedef int (*clock_reader)(clockid_t, struct timespec*);

static time_t wild(void) {
  static atomic_long readings;
  const long reading = atomic_fetch_add(&readings, 1);
  return 1800000000 + reading * 86400 - (reading % 2) * 366 * 86400;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec* now) {
  static _Atomic(clock_reader) real;
  clock_reader read = atomic_load(&real);
  if (read == NULL) {
    void* const symbol = dlsym(RTLD_NEXT, "clock_gettime");
    memcpy(&read, &symbol, sizeof read);
    atomic_store(&real, read);
  }
  const int result = read(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec = wild();
  return result;
}

__attribute__((visibility("default"))) int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  (void)zone;
  now->tv_sec = wild();
  now->tv_usec = 0;
  return 0;
}

__attribute__((visibility("default"))) time_t time(time_t* result) {
  const time_t now = wild();
  if (result != NULL) *result = now;
  return now;
}
