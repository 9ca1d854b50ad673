/* Clients of the control socket of a host that its program destroys. */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "embedder.h"

enum { clients = 8 };

static int connected(const char* path) {
  struct sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(client >= 0);
  REQUIRE(connect(client, (const struct sockaddr*)&address, sizeof address) == 0);
  return client;
}

static void say(int client, const char* words) {
  REQUIRE(send(client, words, strlen(words), MSG_NOSIGNAL) == (ssize_t)strlen(words));
}

static int descriptors(void) {
  int count = 0;
  for (int i = 0; i < 1024; ++i) count += fcntl(i, F_GETFD) >= 0;
  return count;
}

/* Whatever its clients are doing, they see its end, and nothing is left. */
static void destroyed_with_clients(void) {
  char path[64];
  int before = 0;
  snprintf(path, sizeof path, "/tmp/taskhost-embedder-%d.sock", (int)getpid());
  for (int round = 0; round < 20; ++round) {
    taskhost_options options;
    stage self;
    int client[clients];
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.name = "embedded";
    options.control = path;
    stage_open(&self, &options);
    REQUIRE(add(&self, "pump", &idle_factory, TASKHOST_DETACHABLE, 0) == TASKHOST_RESULT_OK);
    REQUIRE(taskhost_start(self.host) == TASKHOST_RESULT_OK);
    stage_wait_for_starts(&self, 1);
    for (int i = 0; i < clients; ++i) client[i] = connected(path);
    say(client[1], "GET /v1/tasks HTTP/1.1\r\n");                /* half a request */
    say(client[2], "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n"); /* which it does not read */
    say(client[3], "GET /v1/events?follow HTTP/1.1\r\nHost: x\r\n\r\n");
    say(client[4], "GET /v1/log?follow HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
    say(client[5], "POST /v1/tasks/pump/stop?wait=1h HTTP/1.1\r\nHost: x\r\n\r\n");
    say(client[6], "POST /v1/tasks/pump/restart?wait=1h HTTP/1.1\r\nHost: x\r\n\r\n");
    say(client[7], "POST /v1/stop HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < round; ++i) pause_briefly();
    if (round % 2 == 0) {
      taskhost_request_stop(self.host);
      REQUIRE(taskhost_wait(self.host) == TASKHOST_RESULT_OK);
      stage_close(&self, TASKHOST_RESULT_OK);
    } else {
      taskhost_destroy(self.host);
      fclose(self.record);
      printf("host %d status 0\n", self.number);
    }
    REQUIRE(access(path, F_OK) != 0);
    for (int i = 0; i < clients; ++i) {
      char bytes[4096];
      struct pollfd ready = {.fd = client[i], .events = POLLIN};
      ssize_t size = 1;
      while (size > 0) {
        REQUIRE(poll(&ready, 1, 10000) == 1);
        size = recv(client[i], bytes, sizeof bytes, 0); /* its end, or that nobody has read what was sent */
      }
      close(client[i]);
    }
    if (round == 1) before = descriptors();
    REQUIRE(round < 2 || descriptors() == before);
  }
}

const scenario control_scenarios[] = {{"destroyed with clients", destroyed_with_clients}, {NULL, NULL}};
