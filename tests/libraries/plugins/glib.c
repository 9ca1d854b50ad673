/* A main loop of GLib's, in which the host is one source more; a thread gives it work. */
#include <glib-unix.h>
#include <taskhost/plugin.h>

typedef struct loop {
  const taskhost_exec* exec;
  GMainContext* context;
  GMainLoop* main;
  gint is_ending;
} loop;

static gboolean on_host(gint descriptor, GIOCondition condition, gpointer user) {
  loop* self = user;
  (void)descriptor, (void)condition;
  if (self->exec->services->wait(self->exec, 0) & TASKHOST_WAIT_STOP) g_main_loop_quit(self->main);
  return G_SOURCE_CONTINUE;
}

static gboolean on_work(gpointer user) {
  const loop* self = user;
  self->exec->services->ready(self->exec);
  self->exec->services->heartbeat(self->exec);
  return G_SOURCE_REMOVE;
}

static gpointer give_work(gpointer user) {
  loop* self = user;
  while (!g_atomic_int_get(&self->is_ending)) {
    g_main_context_invoke(self->context, on_work, self);
    g_usleep(20000);
  }
  return NULL;
}

static int32_t run(void* state, const taskhost_exec* exec) {
  loop* self = state;
  self->exec = exec;
  self->context = g_main_context_new();
  self->main = g_main_loop_new(self->context, FALSE);
  GSource* host = g_unix_fd_source_new((gint)exec->services->wait_fd(exec), G_IO_IN);
  g_source_set_callback(host, G_SOURCE_FUNC(on_host), self, NULL);
  g_source_attach(host, self->context);
  GThread* worker = g_thread_new("worker", give_work, self);

  g_main_loop_run(self->main);

  g_atomic_int_set(&self->is_ending, TRUE);
  g_thread_join(worker);
  g_source_destroy(host);
  g_source_unref(host);
  g_main_loop_unref(self->main);
  g_main_context_unref(self->context);
  return TASKHOST_OK;
}

static const taskhost_factory glib = {
    .struct_size = sizeof glib, .name = "glib", .state_size = sizeof(loop), .run = run};
TASKHOST_PLUGIN(glib)
