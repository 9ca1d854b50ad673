#include "system_failure.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <string>

namespace taskhost {

namespace {

template <class Resource>
std::string limit_of(Resource resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "now unlimited";
  return "now " + std::to_string(limit.rlim_cur);
}

std::string advice(int error, const char* what) {
  switch (error) {
    case EAGAIN:  // of threads; glibc says so for a stack without memory, too
      return "the system gives no further thread; raise RLIMIT_NPROC (ulimit -u, " + limit_of(RLIMIT_NPROC) +
             "), the cgroup's pids.max, or the memory that there is for stacks";
    case EMFILE:
      return "the process has no descriptor left; raise RLIMIT_NOFILE (ulimit -n, " + limit_of(RLIMIT_NOFILE) + ")";
    case ENFILE:
      return "the system has no descriptor left; raise fs.file-max";
    case ENOMEM:
      return std::string(what) + ": the system has no memory left; raise RLIMIT_AS (ulimit -v, " + limit_of(RLIMIT_AS) +
             ") or the cgroup's memory.max, or give it more";
    default:
      return what;
  }
}

}  // namespace

std::system_error system_failure(int error, const char* what) {
  return {error, std::generic_category(), advice(error, what)};
}

}  // namespace taskhost
