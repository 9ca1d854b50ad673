/* A program from outside the tree, in pure C: runs the plugin given as its argument twice, and counts its events. */
#include <stdio.h>
#include <string.h>
#include <taskhost/taskhost.h>

typedef struct event_counts {
  uint64_t last_sequence;
  int gaps, ready, exited, host_stopped;
} event_counts;

static void count_event(void* user, const taskhost_event* event) {
  event_counts* counts = (event_counts*)user;
  if (event->sequence != counts->last_sequence + 1) ++counts->gaps;
  counts->last_sequence = event->sequence;
  if (strcmp(event->name, "task_ready") == 0) ++counts->ready;
  if (strcmp(event->name, "task_exited") == 0) ++counts->exited;
  if (strcmp(event->name, "host_stopped") == 0) ++counts->host_stopped;
}

static int run_once(const char* plugin) {
  event_counts counts = {0, 0, 0, 0, 0};
  char manifest[4096];
  taskhost_host* host = NULL;
  int32_t result = taskhost_create(NULL, &host);

  snprintf(manifest, sizeof(manifest),
           "{\"tasks\": [{\"plugin\": \"%s\", \"type\": \"shutdown_on_exit\", \"config\": {\"from\": \"outside\"}}]}",
           plugin);
  if (result == TASKHOST_RESULT_OK) result = taskhost_load_text(host, manifest, strlen(manifest), NULL);
  if (result == TASKHOST_RESULT_OK) result = taskhost_on_event(host, count_event, &counts);
  if (result == TASKHOST_RESULT_OK) result = taskhost_run(host);
  if (result != TASKHOST_RESULT_OK) fprintf(stderr, "result %d: %s\n", (int)result, taskhost_error(host));
  taskhost_destroy(host);

  printf("%d ready, %d exited, %d host_stopped, %d gaps\n", counts.ready, counts.exited, counts.host_stopped,
         counts.gaps);
  return result == TASKHOST_RESULT_OK && counts.ready == 1 && counts.exited == 1 && counts.host_stopped == 1 &&
                 counts.gaps == 0
             ? 0
             : 1;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  printf("taskhost %s\n", taskhost_version());
  return run_once(argv[1]) + run_once(argv[1]);
}
