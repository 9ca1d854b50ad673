// A program that does only what `start` can't avoid: it is linked to the same libraries as taskhost, loads the given
// files, and reports when it has. Its time is that of the system's loader.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>

#include "taskhost/taskhost.h"

int main(int argument_count, char** arguments) {
  if (taskhost_version() == nullptr) return 1;  // so that the library is linked
  for (int i = 1; i < argument_count; ++i) {
    if (::dlopen(arguments[i], RTLD_NOW | RTLD_LOCAL) == nullptr) {
      std::fprintf(stderr, "%s\n", ::dlerror());
      return 1;
    }
  }
  return ::write(STDOUT_FILENO, "ready\n", 6) == 6 ? 0 : 1;
}
