/* Publishes to a topic that it has subscribed to, through libmosquitto's functions for a loop of one's own. */
#include <mosquitto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

/* What the connecting needs, which may outlive the execution. */
typedef struct dial {
  struct mosquitto* client;
  int port, result;
  char host[256];
} dial;

typedef struct client {
  const taskhost_exec* exec;
  struct mosquitto* mosquitto; /* once it is connected */
  uint64_t every, next;
  int is_leaving;
} client;

static void initialise(void) { mosquitto_lib_init(); } /* for good: other tasks use it, too */

static void release(void* argument) {
  mosquitto_destroy(((dial*)argument)->client);
  free(argument);
}

static void connect_to(void* argument) {
  dial* self = argument;
  self->result = mosquitto_connect(self->client, self->host, self->port, 60);
}

static void on_connect(struct mosquitto* mosquitto, void* user, int result) {
  (void)user;
  if (result == 0) mosquitto_subscribe(mosquitto, NULL, "taskhost", 0);
}

static void on_subscribe(struct mosquitto* mosquitto, void* user, int message, int count, const int* granted) {
  client* self = user;
  (void)mosquitto, (void)message, (void)count, (void)granted;
  self->next = 0;
}

static void on_message(struct mosquitto* mosquitto, void* user, const struct mosquitto_message* message) {
  const client* self = user;
  (void)mosquitto;
  self->exec->services->log(self->exec, TASKHOST_LOG_DEBUG, message->payload, (size_t)message->payloadlen);
  self->exec->services->ready(self->exec);
  self->exec->services->heartbeat(self->exec);
}

static int32_t start(void* state, const taskhost_exec* exec) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  client* self = state;
  const taskhost_config_reader* config =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  const char* host = "localhost";
  int64_t port = 1883;
  self->exec = exec;
  self->every = TASKHOST_SECOND;
  self->next = TASKHOST_NEVER;
  if (!config) return taskhost_fail(exec, "the host reads no configs");
  if (config->keys(exec, "host port every") || config->text(exec, "/host", &host, NULL) ||
      config->integer(exec, "/port", 1, 65535, &port) || config->duration(exec, "/every", &self->every)) {
    return TASKHOST_ERROR;
  }
  pthread_once(&once, initialise);
  dial* dialled = calloc(1, sizeof *dialled);
  if (!dialled) return taskhost_fail(exec, "no memory");
  strncpy(dialled->host, host, sizeof dialled->host - 1);
  dialled->port = (int)port;
  dialled->client = mosquitto_new(NULL, 1, self);
  mosquitto_connect_callback_set(dialled->client, on_connect);
  mosquitto_subscribe_callback_set(dialled->client, on_subscribe);
  mosquitto_message_callback_set(dialled->client, on_message);
  const taskhost_work work = {.struct_size = sizeof work,
                              .tag = (uint64_t)(uintptr_t)dialled,
                              .argument = dialled,
                              .run = connect_to,
                              .discard = release};
  if (exec->services->offload(exec, &work) == TASKHOST_OK) return TASKHOST_OK;
  release(dialled);
  return taskhost_fail(exec, "no thread to connect on");
}

/* After calls that may have had to write. */
static int32_t go_on(const client* self, int result) {
  const taskhost_services* services = self->exec->services;
  const uint32_t interests = TASKHOST_READABLE | (mosquitto_want_write(self->mosquitto) ? TASKHOST_WRITABLE : 0);
  if (result != MOSQ_ERR_SUCCESS) return taskhost_fail(self->exec, mosquitto_strerror(result));
  if (services->watch(self->exec, mosquitto_socket(self->mosquitto), interests, 0) == TASKHOST_OK) {
    return TASKHOST_PENDING;
  }
  return taskhost_fail(self->exec, "the connection can't be watched");
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  client* self = state;
  taskhost_ready ready = {0};
  int result = MOSQ_ERR_SUCCESS;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  exec->services->take_ready(exec, &ready, 1);
  if (ready.what & TASKHOST_DONE) {
    dial* dialled = (dial*)(uintptr_t)ready.tag;
    self->mosquitto = dialled->client;
    result = dialled->result;
    free(dialled);
  }
  if (!self->mosquitto) return TASKHOST_PENDING;
  if (!result && ready.what & TASKHOST_READABLE) result = mosquitto_loop_read(self->mosquitto, 1);
  if (!result && ready.what & TASKHOST_WRITABLE) result = mosquitto_loop_write(self->mosquitto, 1);
  if (!result) result = mosquitto_loop_misc(self->mosquitto);
  const uint64_t now = taskhost_now(exec);
  if (!result && now >= self->next) {
    self->next = now + self->every;
    result = mosquitto_publish(self->mosquitto, NULL, "taskhost", 5, "hello", 0, 0);
  }
  exec->services->wake_at(exec, self->next);
  return go_on(self, result);
}

/* Says goodbye: without it, the server would publish the client's last will. */
static int32_t finish(void* state, const taskhost_exec* exec) {
  client* self = state;
  (void)exec;
  if (!self->mosquitto) return TASKHOST_OK;
  if (!self->is_leaving) mosquitto_disconnect(self->mosquitto);
  self->is_leaving = 1;
  mosquitto_loop_write(self->mosquitto, 1);
  return mosquitto_socket(self->mosquitto) >= 0 && mosquitto_want_write(self->mosquitto) ? go_on(self, 0) : TASKHOST_OK;
}

static void drop(void* state, const taskhost_exec* exec) {
  client* self = state;
  (void)exec;
  if (self->mosquitto) mosquitto_destroy(self->mosquitto);
}

static const taskhost_factory mqtt = {.struct_size = sizeof mqtt,
                                      .name = "mqtt",
                                      .state_size = sizeof(client),
                                      .start = start,
                                      .poll = poll,
                                      .finish = finish,
                                      .drop = drop};
TASKHOST_PLUGIN(mqtt)
