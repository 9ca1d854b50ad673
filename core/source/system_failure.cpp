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
    case EAGAIN:  // of threads; glibc says so for a stack without memory, too
      return "can't create another thread: " + limit_of("RLIMIT_NPROC", RLIMIT_NPROC) +
             (limit(RLIMIT_AS) ? " and " + limit_of("RLIMIT_AS", RLIMIT_AS) + "; raise them (ulimit -u, ulimit -v) or"
                               : std::string("; raise it (ulimit -u) or")) +
             " the cgroup's pids.max, or provide more memory for stacks";
    case EMFILE:
      return "the process has no descriptor left: " + limit_of("RLIMIT_NOFILE", RLIMIT_NOFILE) +
             "; raise it (ulimit -n)";
    case ENFILE:
      return "the system has no descriptor left; raise fs.file-max";
    case ENOMEM:
      return "the system has no memory left: " + limit_of("RLIMIT_AS", RLIMIT_AS) +
             "; raise it (ulimit -v) or the cgroup's memory.max, or provide more memory";
    case EPERM:
    case ENOSYS:
      return std::string(
                 "a seccomp filter or a container's profile seems to block a call that the host needs; allow it: ") +
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
