// Logs the lines that come through a named pipe or a UNIX stream socket: a polled task that sleeps until a file
// descriptor is ready.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "taskhost/sdk/config.hpp"
#include "taskhost/sdk/task.hpp"

namespace {

namespace sdk = taskhost::sdk;

constexpr std::size_t max_line_bytes = 2048;   // bytes of a line; the rest of a longer one is left out
constexpr std::size_t bytes_per_poll = 65536;  // after these, other tasks get their turn

sdk::Failure failure(const std::string& what, int error) {
  return sdk::Failure(what + ": " + std::generic_category().message(error));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int value) noexcept : value_(value) {}
  FileDescriptor(FileDescriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const noexcept { return value_; }

 private:
  int value_;
};

struct Place {
  std::string path;
  bool create = false;
};

Place read_place(sdk::Context context) {
  const sdk::Config config(context);
  config.keys("path create");
  Place place;
  place.path = config.text("/path");
  place.create = config.boolean("/create", false);
  if (place.path.empty() || place.path.find('\0') != std::string::npos) {
    throw sdk::Failure("config: /path: must name a named pipe or a UNIX socket");
  }
  return place;
}

FileDescriptor connect_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw sdk::Failure(path + ": too long for the path of a socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) throw failure("can't make a socket", errno);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw failure("can't connect to " + path, errno);
  }
  return socket;
}

FileDescriptor open_place(const Place& place) {
  if (place.create && ::mkfifo(place.path.c_str(), 0600) != 0 && errno != EEXIST) {
    throw failure("can't create the named pipe " + place.path, errno);
  }
  struct stat status {};
  if (::stat(place.path.c_str(), &status) != 0) throw failure(place.path, errno);
  if (S_ISSOCK(status.st_mode)) return connect_socket(place.path);
  if (!S_ISFIFO(status.st_mode)) throw sdk::Failure(place.path + ": neither a named pipe nor a UNIX socket");
  // Opened for writing, too: with a writer of its own, the pipe does not end when the last other writer leaves.
  FileDescriptor pipe(::open(place.path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (pipe.get() < 0) throw failure("can't open " + place.path, errno);
  return pipe;
}

class Watcher {
 public:
  explicit Watcher(sdk::Context context) : context_(context), source_(open_place(read_place(context))) {
    line_.reserve(max_line_bytes);
    if (context_.watch(source_.get(), TASKHOST_READABLE) != TASKHOST_OK) {
      throw sdk::Failure("the host can't watch this file descriptor");
    }
    context_.ready();
  }

  static void check(sdk::Context context) { read_place(context); }

  sdk::PollResult poll() {
    if (context_.stop_requested()) return sdk::done;
    for (std::size_t taken = 0; taken < bytes_per_poll;) {
      char buffer[4096];
      const ssize_t size = ::read(source_.get(), buffer, sizeof buffer);
      if (size > 0) {
        taken += static_cast<std::size_t>(size);
        take({buffer, static_cast<std::size_t>(size)});
      } else if (size == 0) {
        if (!line_.empty() || cut_) log_line();
        return sdk::done;  // the other side of the socket closed it
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return sdk::pending;
      } else if (errno != EINTR) {
        throw failure("can't read", errno);
      }
    }
    return sdk::again;  // there may be more
  }

 private:
  void take(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const std::string_view part = bytes.substr(0, end);
      const std::size_t room = max_line_bytes - line_.size();
      cut_ = cut_ || part.size() > room;
      line_.append(part.substr(0, room));
      if (end == std::string_view::npos) return;
      log_line();
      bytes.remove_prefix(end + 1);
    }
  }

  void log_line() {
    if (cut_) line_ += " (cut)";
    context_.info(line_);
    line_.clear();
    cut_ = false;
  }

  sdk::Context context_;
  FileDescriptor source_;
  std::string line_;
  bool cut_ = false;
};

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::factory<Watcher>("watcher", "1.0", "logs the lines of a named pipe or a UNIX socket"));
