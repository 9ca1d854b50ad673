#include "taskhost/core/system_failure.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <optional>
#include <string>

namespace taskhost {

namespace {

template <class Resource>
std::optional<rlim_t> limit(Resource resource) {
  rlimit its{};
  if (::getrlimit(resource, &its) != 0 || its.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return its.rlim_cur;
}

template <class Resource>
std::string limit_of(const char* name, Resource resource) {
  const std::optional<rlim_t> its = limit(resource);
  return std::string(name) + (its ? " is " + std::to_string(*its) : " is unlimited");
}

std::string advice(int error, const char* what) {
  switch (error) {
    case EAGAIN:  // for threads; glibc also returns it if there is no memory for the stack
      return "the system gives no further thread: " + limit_of("RLIMIT_NPROC", RLIMIT_NPROC) +
             (limit(RLIMIT_AS) ? " and " + limit_of("RLIMIT_AS", RLIMIT_AS) + "; raise them (ulimit -u, ulimit -v)"
                               : std::string("; raise it (ulimit -u)")) +
             ", the cgroup's pids.max, or the memory that there is for stacks";
    case EMFILE:
      return "the process has no descriptor left: " + limit_of("RLIMIT_NOFILE", RLIMIT_NOFILE) +
             "; raise it (ulimit -n)";
    case ENFILE:
      return "the system has no descriptor left: raise fs.file-max";
    case ENOMEM:
      return "the system has no memory left: " + limit_of("RLIMIT_AS", RLIMIT_AS) +
             "; raise it (ulimit -v), the cgroup's memory.max, or give it more";
    case EPERM:
    case ENOSYS:
      return std::string("a seccomp filter or a container's profile seems to be in the way: the system refuses ") +
             what;
    default:
      return what;
  }
}

}  // namespace

bool is_shortage(int error) noexcept {
  return error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOMEM;
}

bool is_refusal(int error) noexcept { return is_shortage(error) || error == EPERM || error == ENOSYS; }

std::system_error system_failure(int error, const char* what) {
  return {error, std::generic_category(), advice(error, what)};
}

}  // namespace taskhost
