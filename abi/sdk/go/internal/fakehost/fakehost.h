/* The services that fakehost.go hands out. */
#ifndef TASKHOST_GO_FAKEHOST_H
#define TASKHOST_GO_FAKEHOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <taskhost/ext/config.h>
#include <taskhost/plugin.h>

#define FAKE_TEXT 8192
#define FAKE_ANSWERS 16

typedef struct fake_answer {
  const char* pointer;
  const char* text;
  double number;
} fake_answer;

typedef struct fake_exec {
  taskhost_exec exec; /* must be first: this is what the plugin sees */
  const taskhost_factory* factory;
  const char* config;
  void* state;
  pthread_t thread; /* the thread of the call in progress */
  atomic_int in_call, checking, dropped, stop, wakes, ready, heartbeats;
  int no_extensions;
  char failure[FAKE_TEXT];
  pthread_mutex_t mutex; /* guards the log and the status */
  int logged;
  char line[FAKE_TEXT];
  char status[FAKE_TEXT];
  fake_answer answers[FAKE_ANSWERS];
  size_t answer_count;
  char keys[FAKE_TEXT];
  char asked[FAKE_TEXT]; /* the last call */
} fake_exec;

fake_exec* fake_new(const taskhost_factory* factory, const char* config);
void fake_answer_with(fake_exec* self, const char* pointer, const char* text, double number);
int32_t fake_start(fake_exec* self);
int32_t fake_poll(fake_exec* self);
int32_t fake_check(fake_exec* self);
void fake_stop(fake_exec* self);
void fake_drop(fake_exec* self);
int fake_take_wakes(fake_exec* self);
int fake_logged(fake_exec* self, char* line);
void fake_status(fake_exec* self, char* text);

#endif
