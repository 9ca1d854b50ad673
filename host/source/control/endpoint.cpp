#include "control/endpoint.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <system_error>
#include <utility>

#include "system/socket_address.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

std::string words_of_error(int error) { return std::generic_category().message(error); }

// Empty if the directory is there and nobody else may change what is in it.
std::string directory_problem(const std::string& directory) {
  const bool is_made = ::mkdir(directory.c_str(), 0700) == 0;  // the umask may have taken the owner's rights, too
  if (is_made ? ::chmod(directory.c_str(), 0700) != 0 : errno != EEXIST) {
    return "can't create " + quoted_path(directory) + ": " + words_of_error(errno);
  }
  struct stat status {};
  if (::lstat(directory.c_str(), &status) != 0) {
    return "can't look at " + quoted_path(directory) + ": " + words_of_error(errno);
  }
  if (!S_ISDIR(status.st_mode)) return quoted_path(directory) + " is not a directory: remove it";
  if (status.st_uid != ::geteuid()) {
    return quoted_path(directory) + " belongs to user " + std::to_string(status.st_uid) + ": remove it";
  }
  if ((status.st_mode & 077) != 0) {
    return "others may use " + quoted_path(directory) + ": chmod 700 " + printable_path(directory);
  }
  return {};
}

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// The process that holds the lock; 0: none, or one in another namespace.
pid_t holder_of(int descriptor) {
  struct flock lock = whole_file();
  return ::fcntl(descriptor, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
}

// Who listens there: a process, 0 for one in another namespace; nothing if nobody does, or only a child that a host had
// forked before it died.
std::optional<pid_t> listener_at(const std::string& path) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return std::nullopt;
  std::optional<pid_t> listener;
  if (SocketAddress(path).connect(descriptor) == 0) {
    ucred peer{};
    socklen_t size = sizeof peer;
    listener = ::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
    if (*listener > 0 && ::kill(*listener, 0) != 0 && errno == ESRCH) listener = std::nullopt;
  } else if (errno == EAGAIN) {
    listener = 0;  // more than it can take wait there
  }
  ::close(descriptor);
  return listener;
}

std::string taken(const std::string& path, pid_t holder) {
  const std::string who = holder > 0 ? "process " + std::to_string(holder) : std::string("another process");
  return who + " listens at " + quoted_path(path);
}

}  // namespace

ControlEndpoint::~ControlEndpoint() {
  struct stat status {};
  const bool is_ours =
      !path_.empty() && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
  if (is_ours) ::unlink(path_.c_str());
  if (descriptor_ >= 0) ::close(descriptor_);
  if (lock_ >= 0) {
    ::unlink(lock_path_.c_str());
    ::close(lock_);
  }
}

int ControlEndpoint::release() noexcept { return std::exchange(descriptor_, -1); }

ControlEndpoint::Failure ControlEndpoint::fail(Failure failure, std::string problem) {
  problem_ = std::move(problem);
  if (lock_ >= 0 && failure == Failure::impossible) ::unlink(lock_path_.c_str());  // it is ours
  if (lock_ >= 0) ::close(std::exchange(lock_, -1));
  return failure;
}

ControlEndpoint::Failure ControlEndpoint::open_in(const std::string& directory, const std::string& name) {
  if (std::string problem = directory_problem(directory); !problem.empty()) {
    return fail(Failure::impossible, std::move(problem));
  }
  return open_at(directory + "/" + name + ".sock");
}

// The lock beside the socket claims the name: the kernel frees it with the process, however that ends, a child that a
// task forks does not hold it, and whoever finds it taken wakes nobody. It says nothing within one process, where
// closing it anywhere frees it; so then the socket is asked, too.
ControlEndpoint::Failure ControlEndpoint::open_at(const std::string& path) {
  if (!SocketAddress(path).fits()) {
    return fail(Failure::impossible, "no socket can have a name as long as that of " + quoted_path(path) +
                                         ": choose another one with --control");
  }
  lock_path_ = path + ".lock";
  for (int tries = 0;; ++tries) {
    lock_ = ::open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock_ < 0) {
      return fail(Failure::impossible, "can't create " + quoted_path(lock_path_) + ": " + words_of_error(errno));
    }
    (void)::fchmod(lock_, 0600);  // so that the next host can open it, whatever the umask
    struct flock lock = whole_file();
    if (::fcntl(lock_, F_SETLK, &lock) != 0) {
      if (errno != EACCES && errno != EAGAIN) {
        return fail(Failure::impossible, "can't lock " + quoted_path(lock_path_) + ": " + words_of_error(errno));
      }
      return fail(Failure::taken, taken(path, holder_of(lock_)));
    }
    // Its former holder may have removed it in between: then others lock another file.
    struct stat ours {};
    struct stat there {};
    const bool same = ::fstat(lock_, &ours) == 0 && ::stat(lock_path_.c_str(), &there) == 0 &&
                      ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
    if (same) break;
    ::close(std::exchange(lock_, -1));
    constexpr int enough = 100;
    if (tries == enough) return fail(Failure::impossible, quoted_path(lock_path_) + " changes all the time");
  }
  if (const auto listener = listener_at(path)) return fail(Failure::taken, taken(path, *listener));
  return listen(path);
}

// It has its mode before it has its name, and replaces what a host that is gone has left.
ControlEndpoint::Failure ControlEndpoint::listen(const std::string& path) {
  struct stat before {};
  if (::lstat(path.c_str(), &before) == 0 && !S_ISSOCK(before.st_mode)) {
    return fail(Failure::impossible,
                quoted_path(path) + " is there and is no socket: remove it, or choose another path");
  }
  struct stat lock {};
  if (::fstat(lock_, &lock) != 0) return fail(Failure::impossible, "can't look at " + quoted_path(lock_path_));
  // Nobody else has this number as long as the lock is there.
  const std::string first = path.substr(0, path.rfind('/') + 1) + "." + std::to_string(lock.st_ino);
  const SocketAddress address(first);
  ::unlink(first.c_str());
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  constexpr int backlog = 128;
  struct stat status {};
  const bool is_open = descriptor_ >= 0 && ::fchmod(descriptor_, 0600) == 0 && address.bind(descriptor_) == 0 &&
                       ::chmod(first.c_str(), 0600) == 0 && ::listen(descriptor_, backlog) == 0 &&
                       ::lstat(first.c_str(), &status) == 0 && ::rename(first.c_str(), path.c_str()) == 0;
  if (!is_open) {
    const int error = errno;
    ::unlink(first.c_str());
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    return fail(Failure::impossible, "can't listen at " + quoted_path(path) + ": " + words_of_error(error));
  }
  path_ = path;
  device_ = status.st_dev;
  inode_ = status.st_ino;
  return Failure::none;
}

}  // namespace taskhost
