// Uses the process's standard streams as if they were its own: prints to stdout when it is loaded and when it runs,
// replaces stderr by a file of its own, and closes descriptors by their numbers. Ends ok.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "taskhost/plugin.h"

namespace {

[[gnu::constructor]] void print_when_loaded() {
  std::printf("printed when loaded\n");
  std::fflush(stdout);
}

std::int32_t run(void*, const taskhost_exec* exec) {
  std::printf("half a line that was printed");
  std::fflush(stdout);
  const int own = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(own, STDERR_FILENO);
  for (int descriptor = 40; descriptor < 100; ++descriptor) ::close(descriptor);
  taskhost_log(exec, TASKHOST_LOG_WARNING, "logged afterwards");
  return TASKHOST_OK;
}

const taskhost_factory* first_factory() {
  static taskhost_factory made;
  made.struct_size = sizeof(taskhost_factory);
  made.name = PLUGIN_NAME;
  made.run = run;
  return &made;
}

}  // namespace

extern "C" const taskhost_factory* taskhost_plugin_v1(void) { return first_factory(); }
