/* Sends a message each `every`, with librdkafka: its threads wake the task when there is something to poll, and are
 * waited for on another thread. Without `brokers` it has a cluster in its own process. */
#include <librdkafka/rdkafka.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

typedef struct producer {
  const taskhost_exec* exec;
  const taskhost_services* services;
  taskhost_waker waker;
  rd_kafka_t* kafka;
  uint64_t every, next;
} producer;

static void on_event(rd_kafka_t* kafka, void* user) { /* on one of librdkafka's threads */
  const producer* self = user;
  (void)kafka;
  self->services->wake(self->waker);
}

static void on_delivered(rd_kafka_t* kafka, const rd_kafka_message_t* message, void* user) {
  const producer* self = user;
  (void)kafka;
  if (message->err) {
    taskhost_log(self->exec, TASKHOST_LOG_WARNING, rd_kafka_err2str(message->err));
    return;
  }
  self->services->ready(self->exec);
  self->services->heartbeat(self->exec);
}

static int32_t start(void* state, const taskhost_exec* exec) {
  producer* self = state;
  const taskhost_config_reader* config =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  const char* brokers = "";
  char why[256];
  self->exec = exec;
  self->services = exec->services;
  self->waker = exec->services->waker(exec);
  self->every = TASKHOST_SECOND;
  if (!config) return taskhost_fail(exec, "the host reads no configs");
  if (config->keys(exec, "brokers every") || config->text(exec, "/brokers", &brokers, NULL) ||
      config->duration(exec, "/every", &self->every)) {
    return TASKHOST_ERROR;
  }
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set_opaque(conf, self);
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
  if (rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why) == RD_KAFKA_CONF_OK &&
      rd_kafka_conf_set(conf, *brokers ? "bootstrap.servers" : "test.mock.num.brokers", *brokers ? brokers : "1", why,
                        sizeof why) == RD_KAFKA_CONF_OK) {
    self->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  }
  if (!self->kafka) {
    rd_kafka_conf_destroy(conf);
    return taskhost_fail(exec, why);
  }
  rd_kafka_queue_t* queue = rd_kafka_queue_get_main(self->kafka);
  rd_kafka_queue_cb_event_enable(queue, on_event, self);
  rd_kafka_queue_destroy(queue);
  return TASKHOST_OK;
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  producer* self = state;
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  rd_kafka_poll(self->kafka, 0);
  const uint64_t now = taskhost_now(exec);
  if (now >= self->next) {
    self->next = now + self->every;
    exec->services->wake_at(exec, self->next);
    rd_kafka_producev(self->kafka, RD_KAFKA_V_TOPIC("taskhost"), RD_KAFKA_V_VALUE("hello", 5),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
  }
  return TASKHOST_PENDING;
}

/* Waits for librdkafka's threads, and drops what is not sent yet. */
static void destroy(void* kafka) { rd_kafka_destroy(kafka); }

static int32_t finish(void* state, const taskhost_exec* exec) {
  producer* self = state;
  const taskhost_work work = {.struct_size = sizeof work, .argument = self->kafka, .run = destroy};
  taskhost_ready done;
  if (!self->kafka) return exec->services->take_ready(exec, &done, 1) ? TASKHOST_OK : TASKHOST_PENDING;
  rd_kafka_queue_t* queue = rd_kafka_queue_get_main(self->kafka);
  rd_kafka_queue_cb_event_enable(queue, NULL, NULL); /* it would use the state, which may be gone */
  rd_kafka_queue_destroy(queue);
  if (exec->services->offload(exec, &work) != TASKHOST_OK) return TASKHOST_OK; /* drop destroys it */
  self->kafka = NULL;
  return TASKHOST_PENDING;
}

static void drop(void* state, const taskhost_exec* exec) {
  producer* self = state;
  (void)exec;
  if (self->kafka) rd_kafka_destroy(self->kafka);
}

static const taskhost_factory kafka = {.struct_size = sizeof kafka,
                                       .name = "kafka",
                                       .state_size = sizeof(producer),
                                       .start = start,
                                       .poll = poll,
                                       .finish = finish,
                                       .drop = drop};
TASKHOST_PLUGIN(kafka)
