// A blocking or polled task that fails with the size of its thread's stack.
#include <pthread.h>

#include <cstdint>
#include <string>

#include "taskhost/plugin.h"

namespace {

std::int32_t run(void*, const taskhost_exec* exec) {
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return taskhost_fail(exec, "no attributes");
  void* lowest = nullptr;
  std::size_t size = 0;
  ::pthread_attr_getstack(&attributes, &lowest, &size);
  ::pthread_attr_destroy(&attributes);
  return taskhost_fail(exec, std::to_string(size / 1024).c_str());
}

const taskhost_factory* first_factory() {
  static taskhost_factory made;
  made.struct_size = sizeof(taskhost_factory);
  made.name = PLUGIN_NAME;
#if defined(POLLED)
  made.poll = run;
#else
  made.run = run;
#endif
  return &made;
}

}  // namespace

extern "C" const taskhost_factory* taskhost_plugin_v1(void) { return first_factory(); }
