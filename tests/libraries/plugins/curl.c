/* Fetches many URLs at once, again and again, through libcurl's multi-socket interface. An execution in which none
 * answers fails. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

enum { most_urls = 1000, most_sockets = 2 * most_urls }; /* two while a name has an IPv4 and an IPv6 address */

/* What its end needs is all in here, since that runs on another thread. */
typedef struct downloads {
  CURLM* multi;
  int64_t count;
  CURL* easy[most_urls];
} downloads;

typedef struct fetcher {
  const taskhost_exec* exec;
  downloads* downloads;
  size_t socket_count;
  curl_socket_t sockets[most_sockets]; /* that are watched */
  uint64_t every, next_round;
  int64_t answered, in_flight;
} fetcher;

/* Waits for the threads that still resolve names. */
static void clean_up(void* argument) {
  downloads* self = argument;
  curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, NULL); /* neither this thread nor drop has a timer */
  for (int64_t index = 0; index < self->count; ++index) {
    curl_multi_remove_handle(self->multi, self->easy[index]);
    curl_easy_cleanup(self->easy[index]);
  }
  curl_multi_cleanup(self->multi);
  free(self);
}

static int on_socket(CURL* easy, curl_socket_t socket, int what, void* user, void* socket_data) {
  fetcher* self = user;
  uint32_t interests = 0;
  if (what == CURL_POLL_REMOVE) {
    size_t index = 0;
    while (index < self->socket_count && self->sockets[index] != socket) ++index;
    if (index < self->socket_count) self->sockets[index] = self->sockets[--self->socket_count];
  } else if (!socket_data) {
    if (self->socket_count == most_sockets) return -1;
    self->sockets[self->socket_count++] = socket;
    curl_multi_assign(self->downloads->multi, socket, self);
  }
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) interests |= TASKHOST_READABLE;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) interests |= TASKHOST_WRITABLE;
  (void)easy;
  return self->exec->services->watch(self->exec, socket, interests, (uint64_t)socket) == TASKHOST_OK ? 0 : -1;
}

static int on_timer(CURLM* multi, long milliseconds, void* user) {
  const fetcher* self = user;
  (void)multi;
  taskhost_wake_after(self->exec, milliseconds < 0 ? TASKHOST_NEVER : (uint64_t)milliseconds * TASKHOST_MILLISECOND);
  return 0;
}

static size_t ignore(char* bytes, size_t size, size_t count, void* user) {
  (void)bytes, (void)user;
  return size * count;
}

static int32_t start(void* state, const taskhost_exec* exec) {
  fetcher* self = state;
  const taskhost_config_reader* config =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  const char* url = "http://127.0.0.1:8080/";
  int64_t count = 500;
  self->exec = exec;
  self->every = TASKHOST_SECOND;
  if (!config) return taskhost_fail(exec, "the host reads no configs");
  if (config->keys(exec, "url count every") || config->text(exec, "/url", &url, NULL) ||
      config->integer(exec, "/count", 1, most_urls, &count) || config->duration(exec, "/every", &self->every)) {
    return TASKHOST_ERROR;
  }
  downloads* all = self->downloads = calloc(1, sizeof *all);
  if (!all) return taskhost_fail(exec, "no memory");
  all->multi = curl_multi_init();
  curl_multi_setopt(all->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(all->multi, CURLMOPT_SOCKETDATA, self);
  curl_multi_setopt(all->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(all->multi, CURLMOPT_TIMERDATA, self);
  curl_multi_setopt(all->multi, CURLMOPT_MAXCONNECTS, (long)count);
  for (; all->count < count; ++all->count) {
    CURL* easy = all->easy[all->count] = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L);
  }
  return TASKHOST_OK;
}

static void begin_round(fetcher* self, uint64_t now) {
  self->answered = 0;
  self->next_round = now + self->every;
  self->in_flight = self->downloads->count;
  for (int64_t index = 0; index < self->downloads->count; ++index) {
    curl_multi_add_handle(self->downloads->multi, self->downloads->easy[index]);
  }
}

static int32_t end_round(fetcher* self, const char* last_error) {
  char line[200];
  snprintf(line, sizeof line, "%ld of %ld answered%s%s", (long)self->answered, (long)self->downloads->count,
           last_error ? "; " : "", last_error ? last_error : "");
  if (self->answered == 0) return taskhost_fail(self->exec, line);
  taskhost_log(self->exec, TASKHOST_LOG_INFO, line);
  self->exec->services->ready(self->exec);
  self->exec->services->heartbeat(self->exec);
  self->exec->services->wake_at(self->exec, self->next_round);
  return TASKHOST_PENDING;
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  fetcher* self = state;
  CURLM* multi = self->downloads->multi;
  taskhost_ready ready[64];
  int number;
  const char* last_error = NULL;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  if (self->in_flight == 0) {
    const uint64_t now = taskhost_now(exec);
    if (now >= self->next_round) begin_round(self, now);
    return TASKHOST_PENDING;
  }

  /* What finds no room here comes with the next wake. */
  const size_t count = exec->services->take_ready(exec, ready, 64);
  for (size_t index = 0; index < count; ++index) {
    int bits = 0;
    if (ready[index].what & TASKHOST_READABLE) bits |= CURL_CSELECT_IN;
    if (ready[index].what & TASKHOST_WRITABLE) bits |= CURL_CSELECT_OUT;
    curl_multi_socket_action(multi, (curl_socket_t)ready[index].tag, bits, &number);
  }
  curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &number); /* wakes merge: the timer may be due as well */
  for (CURLMsg* message; (message = curl_multi_info_read(multi, &number));) {
    if (message->data.result == CURLE_OK) {
      ++self->answered;
    } else {
      last_error = curl_easy_strerror(message->data.result);
    }
    curl_multi_remove_handle(multi, message->easy_handle);
    --self->in_flight;
  }
  return self->in_flight == 0 ? end_round(self, last_error) : TASKHOST_PENDING;
}

static int32_t finish(void* state, const taskhost_exec* exec) {
  fetcher* self = state;
  const taskhost_work work = {.struct_size = sizeof work, .argument = self->downloads, .run = clean_up};
  taskhost_ready done;
  if (!self->downloads) return exec->services->take_ready(exec, &done, 1) ? TASKHOST_OK : TASKHOST_PENDING;
  /* The sockets are closed on a thread that cannot forget them. */
  curl_multi_setopt(self->downloads->multi, CURLMOPT_SOCKETFUNCTION, NULL);
  while (self->socket_count > 0) exec->services->watch(exec, self->sockets[--self->socket_count], 0, 0);
  exec->services->wake_at(exec, TASKHOST_NEVER);
  if (exec->services->offload(exec, &work) != TASKHOST_OK) return TASKHOST_OK; /* drop cleans up */
  self->downloads = NULL;
  return TASKHOST_PENDING;
}

static void drop(void* state, const taskhost_exec* exec) {
  fetcher* self = state;
  (void)exec;
  if (self->downloads) clean_up(self->downloads);
}

static const taskhost_factory curl = {.struct_size = sizeof curl,
                                      .name = "curl",
                                      .state_size = sizeof(fetcher),
                                      .start = start,
                                      .poll = poll,
                                      .finish = finish,
                                      .drop = drop};
TASKHOST_PLUGIN(curl)
