/* Listens to PostgreSQL's notifications, and sends one each `every`: libpq in its non-blocking mode. */
#include <libpq-fe.h>
#include <stdio.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

typedef struct listener {
  PGconn* connection;
  const char* address;
  uint64_t every, next, deadline;
  enum { connecting, asking, idle } phase;
} listener;

static int32_t failed(const listener* self, const taskhost_exec* exec) {
  return taskhost_fail(exec, PQerrorMessage(self->connection));
}

static int32_t too_late(const taskhost_exec* exec) { return taskhost_fail(exec, "no answer in 5 s"); }

/* libpq would print it to stderr. */
static void ignore_notice(void* user, const char* text) { (void)user, (void)text; }

static int32_t wait_for(const listener* self, const taskhost_exec* exec, uint32_t interests) {
  exec->services->wake_at(exec, self->phase == idle ? self->next : self->deadline);
  if (exec->services->watch(exec, PQsocket(self->connection), interests, 0) == TASKHOST_OK) return TASKHOST_PENDING;
  return taskhost_fail(exec, "the connection can't be watched");
}

static int32_t start(void* state, const taskhost_exec* exec) {
  listener* self = state;
  const taskhost_config_reader* config =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  self->every = TASKHOST_SECOND;
  self->address = "";
  if (!config) return taskhost_fail(exec, "the host reads no configs");
  if (config->keys(exec, "address every") || config->text(exec, "/address", &self->address, NULL) ||
      config->duration(exec, "/every", &self->every)) {
    return TASKHOST_ERROR;
  }
  /* A server on another machine is given as hostaddr=…, since libpq would wait for a name to be resolved. */
  self->connection = PQconnectStart(self->address);
  PQsetNoticeProcessor(self->connection, ignore_notice, NULL);
  self->deadline = taskhost_now(exec) + 5 * TASKHOST_SECOND;
  if (PQstatus(self->connection) == CONNECTION_BAD) {
    failed(self, exec);
  } else if (wait_for(self, exec, TASKHOST_WRITABLE) == TASKHOST_PENDING) {
    return TASKHOST_OK;
  }
  PQfinish(self->connection);
  return TASKHOST_ERROR;
}

static int32_t ask(listener* self, const taskhost_exec* exec, const char* query) {
  if (!PQsendQuery(self->connection, query)) return failed(self, exec);
  self->phase = asking;
  self->deadline = taskhost_now(exec) + 5 * TASKHOST_SECOND;
  return wait_for(self, exec, TASKHOST_READABLE | (PQflush(self->connection) == 1 ? TASKHOST_WRITABLE : 0));
}

static int32_t go_on_connecting(listener* self, const taskhost_exec* exec, uint32_t what) {
  const int socket = PQsocket(self->connection);
  /* Woken by something else: what is watched stays. */
  if (what == 0) return taskhost_now(exec) < self->deadline ? TASKHOST_PENDING : too_late(exec);
  exec->services->watch(exec, socket, 0, 0); /* for PQconnectPoll may close it and go on with another */
  switch (PQconnectPoll(self->connection)) {
    case PGRES_POLLING_READING:
      return wait_for(self, exec, TASKHOST_READABLE);
    case PGRES_POLLING_WRITING:
      return wait_for(self, exec, TASKHOST_WRITABLE);
    case PGRES_POLLING_OK:
      PQsetnonblocking(self->connection, 1);
      return ask(self, exec, "LISTEN taskhost");
    default:
      return failed(self, exec);
  }
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  listener* self = state;
  taskhost_ready ready = {0};
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  exec->services->take_ready(exec, &ready, 1);
  if (self->phase == connecting) return go_on_connecting(self, exec, ready.what);

  const int unsent = PQflush(self->connection);
  if (unsent < 0 || !PQconsumeInput(self->connection)) return failed(self, exec);
  for (PGnotify* note; (note = PQnotifies(self->connection)); PQfreemem(note)) {
    taskhost_log(exec, TASKHOST_LOG_DEBUG, note->extra);
    exec->services->ready(exec);
    exec->services->heartbeat(exec);
  }
  while (self->phase == asking && !PQisBusy(self->connection)) {
    PGresult* result = PQgetResult(self->connection);
    const ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    if (!result) {
      self->phase = idle;
    } else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
      return failed(self, exec);
    }
  }
  const uint64_t now = taskhost_now(exec);
  if (self->phase == asking && now >= self->deadline) return too_late(exec);
  if (self->phase == idle && now >= self->next) {
    self->next = now + self->every;
    return ask(self, exec, "NOTIFY taskhost, 'hello'");
  }
  return wait_for(self, exec, TASKHOST_READABLE | (unsent ? TASKHOST_WRITABLE : 0));
}

static void drop(void* state, const taskhost_exec* exec) {
  (void)exec;
  PQfinish(((listener*)state)->connection);
}

static const taskhost_factory postgres = {.struct_size = sizeof postgres,
                                          .name = "postgres",
                                          .state_size = sizeof(listener),
                                          .start = start,
                                          .poll = poll,
                                          .drop = drop};
TASKHOST_PLUGIN(postgres)
