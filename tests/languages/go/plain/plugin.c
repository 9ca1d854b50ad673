#include <taskhost/plugin.h>

extern int32_t writeToNobody(void);

static int32_t run(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  return writeToNobody();
}

static const taskhost_factory factory = {.struct_size = sizeof(taskhost_factory), .name = "plain", .run = run};

TASKHOST_PLUGIN(factory)
