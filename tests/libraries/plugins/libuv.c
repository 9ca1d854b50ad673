/* A loop of libuv's, in which the host is one handle more; a timer gives work to libuv's threads. */
#include <taskhost/plugin.h>
#include <uv.h>

typedef struct loop {
  const taskhost_exec* exec;
  uv_loop_t uv;
  uv_poll_t host;
  uv_timer_t timer;
  uv_work_t work;
} loop;

static void do_work(uv_work_t* work) {
  (void)work;
  uv_sleep(5);
}

static void on_done(uv_work_t* work, int status) {
  const loop* self = work->data;
  if (status != 0) return;
  self->exec->services->ready(self->exec);
  self->exec->services->heartbeat(self->exec);
}

static void on_time(uv_timer_t* timer) {
  loop* self = timer->data;
  uv_queue_work(&self->uv, &self->work, do_work, on_done);
}

/* With all handles closed, uv_run returns when the work that is going on has ended. */
static void on_host(uv_poll_t* host, int status, int events) {
  loop* self = host->data;
  (void)status, (void)events;
  if (!(self->exec->services->wait(self->exec, 0) & TASKHOST_WAIT_STOP)) return;
  uv_close((uv_handle_t*)&self->host, NULL);
  uv_close((uv_handle_t*)&self->timer, NULL);
}

static int32_t run(void* state, const taskhost_exec* exec) {
  loop* self = state;
  self->exec = exec;
  self->host.data = self->timer.data = self->work.data = self;
  if (uv_loop_init(&self->uv) != 0) return taskhost_fail(exec, "uv_loop_init");
  uv_poll_init(&self->uv, &self->host, (int)exec->services->wait_fd(exec));
  uv_poll_start(&self->host, UV_READABLE, on_host);
  uv_timer_init(&self->uv, &self->timer);
  uv_timer_start(&self->timer, on_time, 0, 50);
  uv_run(&self->uv, UV_RUN_DEFAULT);
  uv_loop_close(&self->uv);
  return TASKHOST_OK;
}

static const taskhost_factory libuv = {
    .struct_size = sizeof libuv, .name = "libuv", .state_size = sizeof(loop), .run = run};
TASKHOST_PLUGIN(libuv)
