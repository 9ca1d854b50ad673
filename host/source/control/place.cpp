#include "control/place.hpp"

#include <unistd.h>

#include <cstdlib>

namespace taskhost {

std::string control_directory() {
  if (::geteuid() == 0) return "/run/taskhost";
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  if (runtime != nullptr && *runtime == '/') return std::string(runtime) + "/taskhost";
  return "/tmp/taskhost-" + std::to_string(::geteuid());
}

}  // namespace taskhost
