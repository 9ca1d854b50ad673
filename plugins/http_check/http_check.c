/*
 * Asks an HTTP server for an answer again and again, and fails when it is not the one that is expected: then the task's
 * type and budget decide what follows. Shows how a library that leaves the waiting to its user is joined to the host:
 * libcurl's multi_socket_action interface.
 */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

enum {
  most_body = 1 << 20, /* bytes of an answer; what comes after them is not read */
  most_contains = 256,
  most_expected = 16,
  most_watched = 16, /* descriptors of one check: two connections that race, and one of the resolver */
  reason_size = 512
};

static const uint64_t pause = 100 * TASKHOST_MILLISECOND; /* before a thread is asked for again */
static const uint64_t patience = TASKHOST_SECOND;         /* at the end, for what libcurl still has to do */

typedef struct settings {
  const char* url; /* texts are the host's */
  const char* unix_socket;
  const char* contains;
  uint64_t every;
  uint64_t timeout;
  int64_t failures;
  int64_t redirects;
  int64_t expected[most_expected];
  size_t expected_count; /* 0: any 2xx */
  int head;
  char shown_url[256]; /* without name and password */
} settings;

/* One check. On the heap and without a pointer to the execution's state, since it may be released on another thread,
 * after the execution. */
typedef struct attempt {
  CURLM* multi;
  CURL* easy;
  const taskhost_exec* exec; /* until it is disarmed */
  uint64_t curl_due;         /* when libcurl wants to be called; TASKHOST_NEVER: not before a descriptor is ready */
  curl_socket_t watched[most_watched];
  size_t watched_count;
  size_t body_size;
  int enough;       /* of the body */
  int socket_error; /* errno of a socket that could not be created */
  int32_t refused;  /* TASKHOST_REFUSED_* */
  char contains[most_contains];
  unsigned short border[most_contains]; /* Knuth, Morris and Pratt: where to go on after a byte that does not fit */
  size_t contains_size;
  size_t matched;
  char error[CURL_ERROR_SIZE];
} attempt;

typedef enum {
  resting,  /* until the next check is due */
  checking, /* until the answer is there, or the time is over */
  judged,   /* the result is known, and `current` is to be given to another thread */
  leaving   /* that thread releases what libcurl had */
} phase;

typedef struct http_check {
  settings set;
  phase phase;
  attempt* current;
  uint64_t began;
  uint64_t due; /* the next check */
  int64_t failed_in_a_row;
  uint64_t end_of_patience; /* 0 before finish */
} http_check;

/* --- texts -------------------------------------------------------------------------------------------------------- */

enum { to_fail = -2, to_status = -1 }; /* or a level of the log */

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static int32_t
tell(const taskhost_exec* exec, int where, const char* format, ...) {
  char text[2048];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (where == to_fail) return taskhost_fail(exec, text);
  if (where == to_status) exec->services->status(exec, text, strlen(text));
  if (where >= 0) taskhost_log(exec, where, text);
  return TASKHOST_OK;
}

static int32_t no_memory(const taskhost_exec* exec) { return taskhost_fail(exec, "no memory for libcurl"); }

/* --- config ------------------------------------------------------------------------------------------------------- */

/* Judges the URL with libcurl's own parser. No message contains the URL as it is written: it may have a password. */
static int32_t read_url(settings* set, const taskhost_exec* exec) {
  char* scheme = NULL;
  char* shown = NULL;
  CURLU* url = curl_url();
  int32_t result = TASKHOST_OK;
  if (url == NULL) return no_memory(exec);
  CURLUcode code = curl_url_set(url, CURLUPART_URL, set->url, 0);
  if (code == CURLUE_OK) code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
  if (code != CURLUE_OK && code != CURLUE_OUT_OF_MEMORY) {
    result = tell(exec, to_fail, "config: /url: must be an address such as \"http://localhost:8080/health\": %s",
                  curl_url_strerror(code));
  } else if (code == CURLUE_OK && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
    result = taskhost_fail(exec, "config: /url: must begin with http:// or https://");
  } else if (code != CURLUE_OK || curl_url_set(url, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
             curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
             curl_url_get(url, CURLUPART_URL, &shown, 0) != CURLUE_OK) {
    result = no_memory(exec);
  } else if (snprintf(set->shown_url, sizeof set->shown_url, "%s", shown) >= (int)sizeof set->shown_url) {
    memcpy(set->shown_url + sizeof set->shown_url - 4, "...", 4);
  }
  curl_free(scheme);
  curl_free(shown);
  curl_url_cleanup(url);
  return result;
}

/* A number or a list of numbers. What the reader says about the one is withdrawn by the other. */
static int32_t read_expected(settings* set, const taskhost_exec* exec, const taskhost_config_reader* config) {
  size_t count = 0;
  if (config->count(exec, "/expect", &count) != TASKHOST_OK) {
    if (config->integer(exec, "/expect", 100, 599, &set->expected[0]) != TASKHOST_OK) {
      return taskhost_fail(exec, "config: /expect: must be a status from 100 to 599, or a list such as [200, 204]");
    }
    set->expected_count = 1;
    return TASKHOST_OK;
  }
  if (count > most_expected) {
    return tell(exec, to_fail, "config: /expect: has %zu numbers; at most %d", count, most_expected);
  }
  for (size_t i = 0; i < count; ++i) {
    char pointer[32];
    snprintf(pointer, sizeof pointer, "/expect/%zu", i);
    if (config->integer(exec, pointer, 100, 599, &set->expected[i]) != TASKHOST_OK) return TASKHOST_ERROR;
  }
  set->expected_count = count;
  return TASKHOST_OK;
}

static int32_t read_config(settings* set, const taskhost_exec* exec) {
  const taskhost_config_reader* config = (const taskhost_config_reader*)exec->services->extension(
      exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  const char* method = "GET";
  if (config == NULL) return taskhost_fail(exec, "this host reads no configs (extension taskhost.config)");
  set->every = 30 * TASKHOST_SECOND;
  set->timeout = 10 * TASKHOST_SECOND;
  set->failures = 3;
  if (config->keys(exec, "url every timeout failures expect contains method redirects unix_socket") != TASKHOST_OK ||
      config->require(exec, "/url") != TASKHOST_OK || config->text(exec, "/url", &set->url, NULL) != TASKHOST_OK ||
      config->duration(exec, "/every", &set->every) != TASKHOST_OK ||
      config->duration(exec, "/timeout", &set->timeout) != TASKHOST_OK ||
      config->integer(exec, "/failures", 1, 1000, &set->failures) != TASKHOST_OK ||
      config->text(exec, "/contains", &set->contains, NULL) != TASKHOST_OK ||
      config->text(exec, "/method", &method, NULL) != TASKHOST_OK ||
      config->integer(exec, "/redirects", 0, 20, &set->redirects) != TASKHOST_OK ||
      config->text(exec, "/unix_socket", &set->unix_socket, NULL) != TASKHOST_OK ||
      read_url(set, exec) != TASKHOST_OK || read_expected(set, exec, config) != TASKHOST_OK) {
    return TASKHOST_ERROR; /* the host has reported what is wrong */
  }
  if (set->every < 10 * TASKHOST_MILLISECOND) return taskhost_fail(exec, "config: /every: must be at least 10ms");
  if (set->timeout < TASKHOST_MILLISECOND || set->timeout > 3600 * TASKHOST_SECOND) {
    return taskhost_fail(exec, "config: /timeout: must be 1ms to 1h");
  }
  set->head = strcmp(method, "HEAD") == 0;
  if (!set->head && strcmp(method, "GET") != 0) {
    return taskhost_fail(exec, "config: /method: must be \"GET\" or \"HEAD\"");
  }
  if (set->contains != NULL) {
    const size_t size = strlen(set->contains);
    if (size == 0 || size > most_contains) {
      return tell(exec, to_fail, "config: /contains: must have 1 to %d bytes", most_contains);
    }
    if (set->head) {
      return taskhost_fail(exec, "config: /contains: an answer to HEAD has no body; remove it, or \"method\"");
    }
  }
  if (set->unix_socket != NULL) {
    const size_t most = sizeof((struct sockaddr_un*)0)->sun_path - 1;
    const size_t size = strlen(set->unix_socket);
    if (size == 0 || size > most) {
      return tell(exec, to_fail, "config: /unix_socket: must be the path of a socket, of 1 to %zu bytes", most);
    }
  }
  return TASKHOST_OK;
}

static int32_t check(const taskhost_exec* exec) {
  settings tried;
  memset(&tried, 0, sizeof tried);
  return read_config(&tried, exec);
}

/* --- what libcurl calls ------------------------------------------------------------------------------------------- */

/* Descriptors are remembered, so that all can be forgotten before another thread closes them. */
static int on_socket(CURL* easy, curl_socket_t fd, int what, void* context, void* of_the_socket) {
  attempt* self = (attempt*)context;
  const taskhost_services* services = self->exec->services;
  const uint32_t interests = what == CURL_POLL_IN      ? TASKHOST_READABLE
                             : what == CURL_POLL_OUT   ? TASKHOST_WRITABLE
                             : what == CURL_POLL_INOUT ? TASKHOST_READABLE | TASKHOST_WRITABLE
                                                       : 0;
  size_t i = 0;
  (void)easy, (void)of_the_socket;
  while (i < self->watched_count && self->watched[i] != fd) ++i;
  if (interests == 0) { /* CURL_POLL_REMOVE, before it is closed */
    if (i < self->watched_count) self->watched[i] = self->watched[--self->watched_count];
    services->watch(self->exec, fd, 0, 0);
    return 0;
  }
  if (i == most_watched) return -1;
  self->refused = services->watch(self->exec, fd, interests, (uint64_t)fd);
  if (self->refused != TASKHOST_OK) return -1;
  self->watched[i] = fd;
  if (i == self->watched_count) ++self->watched_count;
  return 0;
}

static int on_timer(CURLM* multi, long milliseconds, void* context) {
  attempt* self = (attempt*)context;
  (void)multi;
  self->curl_due =
      milliseconds < 0 ? TASKHOST_NEVER : self->exec->services->now() + (uint64_t)milliseconds * TASKHOST_MILLISECOND;
  return 0;
}

/* libcurl's own sockets would be inherited by the programs that other tasks execute. And it keeps quiet about errno. */
static curl_socket_t open_socket(void* context, curlsocktype purpose, struct curl_sockaddr* address) {
  attempt* self = (attempt*)context;
  const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  (void)purpose;
  if (fd < 0) self->socket_error = errno;
  return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* glibc and musl keep this text for each thread, or for ever. */
static const char* words_of(int error) { return strerror(error); /* NOLINT(concurrency-mt-unsafe) */ }

/* Looks for the text as the body comes, without keeping it. */
static size_t on_body(const char* bytes, size_t one, size_t size, void* context) {
  attempt* self = (attempt*)context;
  (void)one;
  for (size_t i = 0; i < size && self->matched < self->contains_size; ++i) {
    while (self->matched > 0 && bytes[i] != self->contains[self->matched]) {
      self->matched = self->border[self->matched - 1];
    }
    if (bytes[i] == self->contains[self->matched]) ++self->matched;
  }
  self->body_size += size;
  self->enough = self->body_size >= most_body;
  return self->enough ? 0 : size; /* 0 ends the transfer with CURLE_WRITE_ERROR */
}

/* --- one check ---------------------------------------------------------------------------------------------------- */

/* May block: it may wait for a thread that resolves a name, or for a connection to close. */
static void clean_up(void* argument) {
  attempt* self = (attempt*)argument;
  if (self->multi != NULL && self->easy != NULL) curl_multi_remove_handle(self->multi, self->easy);
  if (self->easy != NULL) curl_easy_cleanup(self->easy);
  if (self->multi != NULL) curl_multi_cleanup(self->multi);
  self->easy = NULL;
  self->multi = NULL;
}

/* Does not wait for the resolver's thread, if there is one: that owns what it uses. */
static void release(void* argument) {
  attempt* self = (attempt*)argument;
#if LIBCURL_VERSION_NUM >= 0x075700
  if (self->easy != NULL) curl_easy_setopt(self->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  clean_up(self);
  free(self);
}

/* From now on libcurl calls nothing of the execution's, so that other threads may have it. */
static void disarm(attempt* self) {
  if (self->multi != NULL) {
    curl_multi_setopt(self->multi, CURLMOPT_SOCKETFUNCTION, NULL);
    curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, NULL);
  }
  while (self->watched_count > 0) {
    self->exec->services->watch(self->exec, self->watched[--self->watched_count], 0, 0);
  }
}

static void look_for(attempt* self, const char* text) {
  size_t border = 0;
  self->contains_size = strlen(text);
  memcpy(self->contains, text, self->contains_size);
  for (size_t i = 1; i < self->contains_size; ++i) {
    while (border > 0 && text[i] != text[border]) border = self->border[border - 1];
    if (text[i] == text[border]) ++border;
    self->border[i] = (unsigned short)border;
  }
}

/* A handle of its own for each check, with connections of its own: so it sees whether the name is still resolved and
 * connections are still accepted. NULL: it could not be made, and *why says why. */
static attempt* prepare(const settings* set, const taskhost_exec* exec, CURLcode* why) {
  attempt* self = (attempt*)calloc(1, sizeof *self);
  CURLcode code = CURLE_OK;
  *why = CURLE_OUT_OF_MEMORY;
  if (self == NULL) return NULL;
  self->exec = exec;
  self->curl_due = TASKHOST_NEVER;
  if (set->contains != NULL) look_for(self, set->contains);
  self->multi = curl_multi_init();
  self->easy = curl_easy_init();
  if (self->multi == NULL || self->easy == NULL) {
    release(self);
    return NULL;
  }
  curl_multi_setopt(self->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(self->multi, CURLMOPT_SOCKETDATA, self);
  curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(self->multi, CURLMOPT_TIMERDATA, self);
#define SET(option, value) \
  if (code == CURLE_OK) code = curl_easy_setopt(self->easy, option, value)
  SET(CURLOPT_URL, set->url);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, set->redirects > 0 ? 1L : 0L);
  SET(CURLOPT_MAXREDIRS, (long)set->redirects);
  SET(CURLOPT_NOBODY, set->head ? 1L : 0L);
  SET(CURLOPT_USERAGENT, "taskhost-http_check/1.0");
  if (set->unix_socket != NULL) {
    SET(CURLOPT_UNIX_SOCKET_PATH, set->unix_socket);
    SET(CURLOPT_NOPROXY, "*");
  }
  /* Otherwise libcurl changes signal handlers, which belong to the whole process (rule 5.1). */
  SET(CURLOPT_NOSIGNAL, 1L);
  /* The time limit is ours, not libcurl's: when libcurl's has come, it waits for the resolver, and that blocks. */
  SET(CURLOPT_CONNECTTIMEOUT, 24L * 60 * 60);
  SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
  SET(CURLOPT_OPENSOCKETDATA, self);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, self);
  SET(CURLOPT_ERRORBUFFER, self->error);
#undef SET
  if (code == CURLE_OK && curl_multi_add_handle(self->multi, self->easy) == CURLM_OK) return self; /* sets the timer */
  if (code != CURLE_OK) *why = code;
  disarm(self);
  release(self);
  return NULL;
}

static int is_expected(const settings* set, long code) {
  for (size_t i = 0; i < set->expected_count; ++i) {
    if (set->expected[i] == code) return 1;
  }
  return set->expected_count == 0 && code >= 200 && code <= 299;
}

/* What is wrong with the answer, and what to do about it; "" if nothing is. */
static void judge_answer(const settings* set, const attempt* self, long code, char* reason) {
  if (!is_expected(set, code)) {
    snprintf(reason, reason_size, "the status is %ld%s", code,
             code >= 300 && code <= 399 ? ", a redirect; put the new address into \"url\", or set \"redirects\""
                                        : "; see the server's log, or add it to \"expect\" if it is right");
  } else if (self->matched < self->contains_size) {
    snprintf(reason, reason_size,
             "the answer of %s%zu bytes does not contain \"%s\"; see what the server says, or correct "
             "\"contains\"",
             self->enough ? "more than " : "", self->body_size, set->contains);
  }
}

static void describe_error(const attempt* self, CURLcode code, char* reason) {
  const char* text = self->error[0] != '\0' ? self->error : curl_easy_strerror(code);
  long number = 0;
  curl_easy_getinfo(self->easy, CURLINFO_OS_ERRNO, &number);
  if (self->refused == TASKHOST_REFUSED_DESCRIPTORS || self->socket_error == EMFILE || self->socket_error == ENFILE) {
    snprintf(reason, reason_size, "no descriptor is left for a connection; raise the limit (ulimit -n)");
  } else if (self->refused != TASKHOST_OK) {
    snprintf(reason, reason_size, "the host can't watch the connection; its log says why");
  } else if (self->socket_error != 0) {
    snprintf(reason, reason_size, "no socket can be created: %s", words_of(self->socket_error));
  } else if (code == CURLE_COULDNT_CONNECT) { /* libcurl's own text has a time in it, so no two are the same */
    snprintf(reason, reason_size, "can't connect: %s; does the server run?",
             number != 0 ? words_of((int)number) : text);
  } else if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) {
    snprintf(reason, reason_size, "%s; is the name right, and does the network work?", text);
  } else {
    snprintf(reason, reason_size, "%s; see the server's log", text);
  }
}

/* --- the execution ------------------------------------------------------------------------------------------------ */

static CURLcode initialised = CURLE_FAILED_INIT;
/* Never undone: others in the process may use libcurl, and the next execution will. */
static void initialise(void) { initialised = curl_global_init(CURL_GLOBAL_DEFAULT); }

static int32_t start(void* state, const taskhost_exec* exec) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  http_check* self = (http_check*)state;
  if (read_config(&self->set, exec) != TASKHOST_OK) return TASKHOST_ERROR;
  pthread_once(&once, initialise);
  if (initialised != CURLE_OK) {
    return tell(exec, to_fail, "libcurl can't be initialised: %s", curl_easy_strerror(initialised));
  }
  self->due = taskhost_now(exec);
  tell(exec, to_status, "the first check");
  return TASKHOST_OK;
}

static int32_t report_failure(http_check* self, const taskhost_exec* exec, const char* reason) {
  const settings* set = &self->set;
  ++self->failed_in_a_row;
  tell(exec, to_status, "failed %lld of %lld times in a row: %s", (long long)self->failed_in_a_row,
       (long long)set->failures, reason);
  if (self->failed_in_a_row >= set->failures) {
    return set->failures == 1 ? tell(exec, to_fail, "%s: %s", set->shown_url, reason)
                              : tell(exec, to_fail, "%s: failed %lld times in a row: %s", set->shown_url,
                                     (long long)set->failures, reason);
  }
  if (self->failed_in_a_row == 1) tell(exec, TASKHOST_LOG_WARNING, "%s: %s", set->shown_url, reason);
  return TASKHOST_OK;
}

static void report_success(http_check* self, const taskhost_exec* exec, long code) {
  const uint64_t took = taskhost_now(exec) - self->began;
  if (self->failed_in_a_row > 0) tell(exec, TASKHOST_LOG_INFO, "%s: is well again", self->set.shown_url);
  self->failed_in_a_row = 0;
  tell(exec, to_status, "%ld in %llu ms", code, (unsigned long long)(took / TASKHOST_MILLISECOND));
  exec->services->ready(exec);
  exec->services->heartbeat(exec);
}

/* libcurl has done with the check, or its time is over. */
static int32_t judge(http_check* self, const taskhost_exec* exec, CURLcode code, int timed_out) {
  attempt* current = self->current;
  char reason[reason_size] = "";
  long answer = 0;
  if (code == CURLE_OUT_OF_MEMORY) return no_memory(exec);
  if (code == CURLE_WRITE_ERROR && current->enough) code = CURLE_OK;
  curl_easy_getinfo(current->easy, CURLINFO_RESPONSE_CODE, &answer);
  if (timed_out) {
    snprintf(reason, sizeof reason,
             "no complete answer within %llu ms; does the server hang, or is \"timeout\" too short?",
             (unsigned long long)(self->set.timeout / TASKHOST_MILLISECOND));
  } else if (code != CURLE_OK) {
    describe_error(current, code, reason);
  } else {
    judge_answer(&self->set, current, answer, reason);
  }
  if (reason[0] != '\0') return report_failure(self, exec, reason);
  report_success(self, exec, answer);
  return TASKHOST_OK;
}

static void end_check(http_check* self) {
  disarm(self->current);
  self->phase = judged;
}

/* Takes what is ready. Tells libcurl about its descriptors while it is checking; later there are none. Returns what
 * libcurl returned. */
static CURLMcode take(http_check* self, const taskhost_exec* exec) {
  taskhost_ready list[most_watched + 1]; /* more than there can be: so it is never full */
  CURLMcode code = CURLM_OK;
  int running = 0;
  const size_t count = exec->services->take_ready(exec, list, sizeof list / sizeof *list);
  for (size_t i = 0; i < count && code == CURLM_OK; ++i) {
    if (list[i].what == TASKHOST_DONE) {
      free(self->current); /* it is ours again, and cleaned up */
      self->current = NULL;
      self->phase = resting;
    } else if (self->phase == checking) {
      const int events = (list[i].what & TASKHOST_READABLE ? CURL_CSELECT_IN : 0) |
                         (list[i].what & TASKHOST_WRITABLE ? CURL_CSELECT_OUT : 0) |
                         (list[i].what & TASKHOST_BROKEN ? CURL_CSELECT_ERR : 0);
      code = curl_multi_socket_action(self->current->multi, (curl_socket_t)list[i].tag, events, &running);
    }
  }
  return code;
}

/* Takes the check a step further. OK; or ERROR if it was one failure too many. */
static int32_t go_on(http_check* self, const taskhost_exec* exec, CURLMcode code) {
  attempt* current = self->current;
  CURLMsg* message = NULL;
  int running = 0;
  int left = 0;
  if (code == CURLM_OK && current->curl_due <= taskhost_now(exec)) {
    current->curl_due = TASKHOST_NEVER;
    code = curl_multi_socket_action(current->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  int32_t result = TASKHOST_OK;
  if (code != CURLM_OK) {
    result = judge(self, exec, code == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_ABORTED_BY_CALLBACK, 0);
  } else if ((message = curl_multi_info_read(current->multi, &left)) != NULL) {
    result = judge(self, exec, message->data.result, 0);
  } else if (taskhost_now(exec) - self->began >= self->set.timeout) {
    result = judge(self, exec, CURLE_OK, 1);
  } else {
    return TASKHOST_OK;
  }
  end_check(self);
  return result;
}

/* Has another thread release what libcurl had, or does it here if none is free until the next check is due. */
static void hand_over(http_check* self, const taskhost_exec* exec) {
  taskhost_work work = {.struct_size = sizeof work, .argument = self->current, .run = clean_up, .discard = release};
  if (exec->services->offload(exec, &work) == TASKHOST_OK) {
    self->phase = leaving;
  } else if (taskhost_now(exec) >= self->due) {
    release(self->current);
    self->phase = resting;
  }
}

static int32_t begin_check(http_check* self, const taskhost_exec* exec) {
  CURLcode code = CURLE_OK;
  self->began = taskhost_now(exec);
  self->due = self->began + self->set.every;
  self->current = prepare(&self->set, exec, &code);
  if (self->current == NULL) return tell(exec, to_fail, "libcurl can't begin a check: %s", curl_easy_strerror(code));
  self->phase = checking;
  return TASKHOST_OK;
}

static uint64_t earlier(uint64_t one, uint64_t other) { return one < other ? one : other; }

static int32_t poll(void* state, const taskhost_exec* exec) {
  http_check* self = (http_check*)state;
  int32_t result = TASKHOST_OK;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  const CURLMcode code = take(self, exec);
  if (self->phase == checking) result = go_on(self, exec, code);
  if (result == TASKHOST_OK && self->phase == judged) hand_over(self, exec);
  const uint64_t now = taskhost_now(exec);
  if (result == TASKHOST_OK && self->phase == resting && now >= self->due) result = begin_check(self, exec);
  /* The last check's name is still being resolved, so that the next one can't begin: it fails as well. */
  if (result == TASKHOST_OK && self->phase == leaving && now >= self->due + self->set.timeout) {
    self->due = now;
    result =
        report_failure(self, exec, "libcurl is still busy with an earlier check; does the resolver of names hang?");
  }
  if (result != TASKHOST_OK) return result;
  uint64_t wake = self->due; /* resting */
  if (self->phase == checking) wake = earlier(self->current->curl_due, self->began + self->set.timeout);
  if (self->phase == judged) wake = now + pause;
  if (self->phase == leaving) wake = self->due + self->set.timeout;
  exec->services->wake_at(exec, wake);
  return TASKHOST_PENDING;
}

/* Waits for the thread that cleans up, but not for a resolver that hangs: that work owns what it uses, so it may be
 * left alone (rule 4.11). */
static int32_t finish(void* state, const taskhost_exec* exec) {
  http_check* self = (http_check*)state;
  if (self->phase == checking) end_check(self);
  take(self, exec);
  if (self->phase == judged) hand_over(self, exec);
  if (self->phase == resting) return TASKHOST_OK;
  const uint64_t now = taskhost_now(exec);
  if (self->end_of_patience == 0) self->end_of_patience = now + patience;
  if (now >= self->end_of_patience) return TASKHOST_OK;
  exec->services->wake_at(exec,
                          self->phase == judged ? earlier(now + pause, self->end_of_patience) : self->end_of_patience);
  return TASKHOST_PENDING;
}

static void drop(void* state, const taskhost_exec* exec) {
  http_check* self = (http_check*)state;
  (void)exec;
  if (self->phase == checking) end_check(self); /* the host drops it where it stands */
  if (self->phase == judged) release(self->current);
}

static const taskhost_factory factory = {
    .struct_size = sizeof(taskhost_factory),
    .name = "http_check",
    .version = "1.0",
    .description = "fails when an HTTP server does not answer as expected",
    .state_size = sizeof(http_check),
    .start = start,
    .poll = poll,
    .finish = finish,
    .drop = drop,
    .check = check,
};

TASKHOST_PLUGIN(factory)
