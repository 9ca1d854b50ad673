// Answers lines on a UNIX stream socket, for several clients at a time: a C++20 coroutine, made of others.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "taskhost/sdk/config.hpp"
#include "taskhost/sdk/coroutine.hpp"

namespace {

namespace sdk = taskhost::sdk;

constexpr std::size_t max_line_bytes = 1024;  // bytes, with the line's end; a longer line ends the connection

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

class Listener {
 public:
  explicit Listener(std::string path)
      : path_(std::move(path)), socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) throw sdk::Failure(path_ + ": too long for the path of a socket");
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    remove();  // an earlier execution may have left it
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket_.get(), 16) != 0) {
      throw failure("can't listen at " + path_, errno);
    }
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { remove(); }

  sdk::Async<FileDescriptor> accept() const {
    for (;;) {
      co_await sdk::readable(socket_.get());
      FileDescriptor client(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (client.get() >= 0) co_return client;
      // Another worker was faster, or the client has already gone.
      if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) throw failure("can't accept", errno);
    }
  }

 private:
  void remove() const noexcept {
    struct stat status {};
    if (::lstat(path_.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path_.c_str());
  }

  std::string path_;
  FileDescriptor socket_;
};

class Connection {
 public:
  explicit Connection(FileDescriptor socket) noexcept : socket_(std::move(socket)) {}

  // Returns the line with its end; empty if no further line comes.
  sdk::Async<std::string> read_line() {
    for (;;) {
      const std::size_t end = received_.find('\n');
      if (end != std::string::npos) {
        std::string line = received_.substr(0, end + 1);
        received_.erase(0, end + 1);
        co_return line;
      }
      if (received_.size() >= max_line_bytes) co_return std::string();
      co_await sdk::readable(socket_.get());
      char bytes[max_line_bytes];
      const ssize_t size = ::read(socket_.get(), bytes, sizeof bytes - received_.size());
      if (size > 0) {
        received_.append(bytes, static_cast<std::size_t>(size));
      } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        co_return std::string();
      }
    }
  }

  // False if the client has gone.
  sdk::Async<bool> write(std::string text) {
    while (!text.empty()) {
      const ssize_t size = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (size >= 0) {
        text.erase(0, static_cast<std::size_t>(size));
      } else if (errno == EAGAIN) {
        co_await sdk::writable(socket_.get());
      } else if (errno != EINTR) {
        co_return false;
      }
    }
    co_return true;
  }

 private:
  FileDescriptor socket_;
  std::string received_;
};

struct Settings {
  std::string path;
  std::int64_t clients = 0;
  sdk::Duration idle;
  sdk::Duration report;
};

struct Counts {
  std::uint64_t lines = 0;
  std::uint64_t connections = 0;

  std::string text() const {
    return std::to_string(lines) + " lines in " + std::to_string(connections) + " connections";
  }
};

// No lock: the workers run in turn, on whatever thread polls the execution.
sdk::Async<> work(const Listener& listener, const Settings& settings, Counts& counts) {
  for (;;) {
    Connection connection(co_await listener.accept());
    ++counts.connections;
    for (;;) {
      const auto line = co_await sdk::with_timeout(settings.idle, connection.read_line());
      if (!line || line->empty() || *line == "quit\n") break;
      ++counts.lines;
      std::string answer = "unknown; there are: ping, count, quit\n";
      if (*line == "ping\n") answer = "pong\n";
      if (*line == "count\n") answer = counts.text() + "\n";
      const bool written = co_await connection.write(std::move(answer));
      if (!written) break;
    }
  }
}

sdk::Async<> report(sdk::Context context, const Settings& settings, const Counts& counts) {
  for (;;) {
    co_await sdk::sleep(settings.report);
    context.info(counts.text());
  }
}

Settings read_settings(sdk::Context context) {
  const sdk::Config config(context);
  config.keys("path clients idle report");
  config.require("/path");
  Settings settings;
  settings.path = config.text("/path");
  settings.clients = config.integer("/clients", 8, sdk::between(1, 10'000));
  settings.idle = config.duration("/idle", std::chrono::minutes(1));
  settings.report = config.duration("/report", std::chrono::seconds(10));
  return settings;
}

void check(sdk::Context context) { read_settings(context); }

sdk::Task serve(sdk::Context context) {
  const Settings settings = read_settings(context);
  const Listener listener(settings.path);
  context.ready();
  Counts counts;
  std::vector<sdk::Async<>> workers;
  for (std::int64_t count = 0; count < settings.clients; ++count) workers.push_back(work(listener, settings, counts));
  // Ends on a stop or an exception, since the workers never end. Then they are destroyed, with their connections.
  co_await sdk::when_any(sdk::stopped(), report(context, settings, counts), sdk::when_all(std::move(workers)));
  context.info("stopped after " + counts.text());
}

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::with_check<check>(sdk::coroutine<serve>("line_server", "1.0",
                                                                 "answers lines on a UNIX socket")));
