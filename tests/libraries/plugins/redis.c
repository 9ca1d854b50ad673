/* Counts in Redis and tells the count to a channel that it has subscribed to: hiredis' asynchronous interface, with the
 * adapter that it asks for. */
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

typedef struct link {
  const taskhost_exec* exec;
  redisAsyncContext* redis; /* NULL once it is disconnected */
  uint32_t interests;
} link;

typedef struct subscriber {
  link commands, messages;
  uint64_t every, next;
  char failure[200];
} subscriber;

static void change(link* self, uint32_t interests) {
  if (interests == self->interests) return;
  self->interests = interests;
  self->exec->services->watch(self->exec, self->redis->c.fd, interests, (uint64_t)(uintptr_t)self);
}
static void add_read(void* data) { change(data, ((link*)data)->interests | TASKHOST_READABLE); }
static void del_read(void* data) { change(data, ((link*)data)->interests & ~TASKHOST_READABLE); }
static void add_write(void* data) { change(data, ((link*)data)->interests | TASKHOST_WRITABLE); }
static void del_write(void* data) { change(data, ((link*)data)->interests & ~TASKHOST_WRITABLE); }
static void clean_up(void* data) {
  link* self = data;
  change(self, 0);
  self->redis = NULL;
}

static void on_disconnect(const redisAsyncContext* redis, int status) {
  subscriber* self = redis->data;
  snprintf(self->failure, sizeof self->failure, "%s", status == REDIS_OK ? "disconnected" : redis->errstr);
}

static int attach(link* link, const taskhost_exec* exec, subscriber* self, const char* path) {
  redisAsyncContext* redis = redisAsyncConnectUnix(path);
  if (!redis || redis->err) {
    snprintf(self->failure, sizeof self->failure, "%s", redis ? redis->errstr : "no memory");
    if (redis) redisAsyncFree(redis);
    return 0;
  }
  link->exec = exec;
  link->redis = redis;
  redis->data = self;
  redis->ev.data = link;
  redis->ev.addRead = add_read;
  redis->ev.delRead = del_read;
  redis->ev.addWrite = add_write;
  redis->ev.delWrite = del_write;
  redis->ev.cleanup = clean_up;
  redisAsyncSetDisconnectCallback(redis, on_disconnect);
  return 1;
}

static void on_message(redisAsyncContext* redis, void* reply, void* user) {
  const subscriber* self = redis->data;
  const redisReply* message = reply;
  (void)user;
  if (!message || message->elements != 3 || !message->element[2]->str) return;
  taskhost_log(self->messages.exec, TASKHOST_LOG_DEBUG, message->element[2]->str);
  self->messages.exec->services->ready(self->messages.exec);
  self->messages.exec->services->heartbeat(self->messages.exec);
}

static void on_count(redisAsyncContext* redis, void* reply, void* user) {
  const redisReply* count = reply;
  (void)user;
  if (count && count->type == REDIS_REPLY_INTEGER) {
    redisAsyncCommand(redis, NULL, NULL, "PUBLISH taskhost %lld", count->integer);
  }
}

static void drop(void* state, const taskhost_exec* exec) {
  subscriber* self = state;
  (void)exec;
  if (self->commands.redis) redisAsyncFree(self->commands.redis);
  if (self->messages.redis) redisAsyncFree(self->messages.redis);
}

static int32_t start(void* state, const taskhost_exec* exec) {
  subscriber* self = state;
  const taskhost_config_reader* config =
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  const char* path = "/run/redis/redis.sock";
  self->every = TASKHOST_SECOND;
  if (!config) return taskhost_fail(exec, "the host reads no configs");
  if (config->keys(exec, "path every") || config->text(exec, "/path", &path, NULL) ||
      config->duration(exec, "/every", &self->every)) {
    return TASKHOST_ERROR;
  }
  if (!attach(&self->commands, exec, self, path) || !attach(&self->messages, exec, self, path)) {
    drop(self, exec);
    return taskhost_fail(exec, self->failure);
  }
  redisAsyncCommand(self->messages.redis, on_message, NULL, "SUBSCRIBE taskhost");
  return TASKHOST_OK;
}

static int32_t poll(void* state, const taskhost_exec* exec) {
  subscriber* self = state;
  taskhost_ready ready[2];
  if (taskhost_stop_requested(exec)) return TASKHOST_OK;
  const size_t count = exec->services->take_ready(exec, ready, 2);
  for (size_t index = 0; index < count; ++index) {
    const link* link = (struct link*)(uintptr_t)ready[index].tag;
    if (link->redis && ready[index].what & TASKHOST_READABLE) redisAsyncHandleRead(link->redis);
    if (link->redis && ready[index].what & TASKHOST_WRITABLE) redisAsyncHandleWrite(link->redis);
  }
  if (self->failure[0]) return taskhost_fail(exec, self->failure);
  const uint64_t now = taskhost_now(exec);
  if (now >= self->next) {
    self->next = now + self->every;
    exec->services->wake_at(exec, self->next);
    redisAsyncCommand(self->commands.redis, on_count, NULL, "INCR taskhost");
  }
  return TASKHOST_PENDING;
}

static const taskhost_factory redis = {.struct_size = sizeof redis,
                                       .name = "redis",
                                       .state_size = sizeof(subscriber),
                                       .start = start,
                                       .poll = poll,
                                       .drop = drop};
TASKHOST_PLUGIN(redis)
