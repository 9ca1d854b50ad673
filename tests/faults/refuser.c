/* Loaded before a program's libraries: refuses it TASKHOST_REFUSE_COUNT calls of a kind (1 if that is not set), from
 * the TASKHOST_REFUSE_AT-th on. TASKHOST_REFUSE is the kind: "memory", "thread", "descriptor" or "write". Writes what
 * it refuses first to the file TASKHOST_REFUSE_REPORT. Only the program itself is affected, not its children. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* The real function, looked up at its first call. Never for malloc, which dlsym itself may call. */
#define REAL(name)                                \
  static __typeof__(&name) real;                  \
  if (real == NULL) {                             \
    void* const symbol = dlsym(RTLD_NEXT, #name); \
    memcpy(&real, &symbol, sizeof real);          \
  }

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

enum kind { memory, thread, descriptor, output, nothing };

static enum kind wanted = nothing;
static long wanted_call;
static long wanted_count = 1;
static const char* report;
static pid_t program;
static atomic_long calls;

/* Allocations come before any constructor, so the first caller reads the settings. There are no threads yet. */
static void read_wanted(void) {
  static const char* const names[] = {"memory", "thread", "descriptor", "write"};
  const char* name = getenv("TASKHOST_REFUSE");
  program = (pid_t)syscall(SYS_getpid);
  wanted_call = getenv("TASKHOST_REFUSE_AT") != NULL ? atol(getenv("TASKHOST_REFUSE_AT")) : 0;
  wanted_count = getenv("TASKHOST_REFUSE_COUNT") != NULL ? atol(getenv("TASKHOST_REFUSE_COUNT")) : 1;
  report = getenv("TASKHOST_REFUSE_REPORT");
  for (int kind = 0; name != NULL && kind < nothing; ++kind) {
    if (strcmp(name, names[kind]) == 0) wanted = (enum kind)kind;
  }
}

static int refused(enum kind kind, const char* call) {
  if (program == 0) read_wanted();
  if (kind != wanted || program != (pid_t)syscall(SYS_getpid)) return 0;
  const long call_number = atomic_fetch_add(&calls, 1) + 1;
  if (call_number < wanted_call || call_number - wanted_call >= wanted_count) return 0;
  if (call_number > wanted_call) return 1;
  const int file = (int)syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  (void)!syscall(SYS_write, file, call, strlen(call));
  syscall(SYS_close, file);
  return 1;
}

/* Writes that wait for a reader or can fill a disk. Those that wake a thread can't fail. */
static int is_output(int file) {
  struct stat status;
  return fstat(file, &status) == 0 && (status.st_mode & S_IFMT) != 0;
}

static int refused_output(int file) {
  return is_output(file) && refused(output, file == 2 ? "write to stderr" : "write");
}

static int failed(int code) {
  errno = code;
  return -1;
}

EXPORT void* malloc(size_t size) {
  if (!refused(memory, "malloc")) return __libc_malloc(size);
  errno = ENOMEM;
  return NULL;
}

EXPORT void* calloc(size_t count, size_t size) {
  if (!refused(memory, "calloc")) return __libc_calloc(count, size);
  errno = ENOMEM;
  return NULL;
}

EXPORT void* realloc(void* old, size_t size) {
  if (!refused(memory, "realloc")) return __libc_realloc(old, size);
  errno = ENOMEM;
  return NULL;
}

EXPORT void* aligned_alloc(size_t align, size_t size) {
  if (!refused(memory, "aligned_alloc")) return __libc_memalign(align, size);
  errno = ENOMEM;
  return NULL;
}

EXPORT int posix_memalign(void** place, size_t align, size_t size) {
  if (refused(memory, "posix_memalign")) return ENOMEM;
  *place = __libc_memalign(align, size);
  return *place != NULL ? 0 : ENOMEM;
}

EXPORT void* mmap(void* place, size_t size, int access, int flags, int file, off_t offset) {
  if (refused(memory, "mmap")) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return (void*)syscall(SYS_mmap, place, size, access, flags, file, offset);
}

EXPORT int pthread_create(pthread_t* made, const pthread_attr_t* options, void* (*body)(void*), void* argument) {
  REAL(pthread_create)
  return refused(thread, "pthread_create") ? EAGAIN : real(made, options, body, argument);
}

EXPORT int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return refused(descriptor, "open") ? failed(EMFILE) : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return refused(descriptor, "openat") ? failed(EMFILE) : (int)syscall(SYS_openat, directory, path, flags, mode);
}

EXPORT int open64(const char* path, int flags, ...) __attribute__((alias("open")));
EXPORT int openat64(int directory, const char* path, int flags, ...) __attribute__((alias("openat")));

EXPORT int pipe2(int ends[2], int flags) {
  return refused(descriptor, "pipe2") ? failed(EMFILE) : (int)syscall(SYS_pipe2, ends, flags);
}

EXPORT int pipe(int ends[2]) { return pipe2(ends, 0); }

EXPORT int eventfd(unsigned value, int flags) {
  return refused(descriptor, "eventfd") ? failed(EMFILE) : (int)syscall(SYS_eventfd2, value, flags);
}

EXPORT int epoll_create1(int flags) {
  return refused(descriptor, "epoll_create1") ? failed(EMFILE) : (int)syscall(SYS_epoll_create1, flags);
}

EXPORT int timerfd_create(clockid_t clock, int flags) {
  return refused(descriptor, "timerfd_create") ? failed(EMFILE) : (int)syscall(SYS_timerfd_create, clock, flags);
}

EXPORT int dup(int file) { return refused(descriptor, "dup") ? failed(EMFILE) : (int)syscall(SYS_dup, file); }

EXPORT int socket(int domain, int type, int protocol) {
  return refused(descriptor, "socket") ? failed(EMFILE) : (int)syscall(SYS_socket, domain, type, protocol);
}

EXPORT int fcntl(int file, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  const int makes_one = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
  return makes_one && refused(descriptor, "fcntl") ? failed(EMFILE) : (int)syscall(SYS_fcntl, file, command, argument);
}

EXPORT int fcntl64(int file, int command, ...) __attribute__((alias("fcntl")));

EXPORT ssize_t write(int file, const void* data, size_t size) {
  REAL(write)
  return refused_output(file) ? failed(ENOSPC) : real(file, data, size);
}

EXPORT ssize_t writev(int file, const struct iovec* parts, int count) {
  REAL(writev)
  return refused_output(file) ? failed(ENOSPC) : real(file, parts, count);
}
