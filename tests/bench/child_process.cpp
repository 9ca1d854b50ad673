#include "child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "bench.hpp"

namespace bench {

bool Ending::well() const { return !timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0; }

bool Ending::interrupted() const {
  return WIFSIGNALED(status) && (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM);
}

std::string Ending::text() const {
  if (timed_out) return "did not end in time";
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

ChildProcess::ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& environment)
    : name_(command.at(0)) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe: " + std::string(std::strerror(errno)));
  output_.reset(::fdopen(ends[0], "r"));
  errors_.reset(std::tmpfile());
  if (!output_ || !errors_) throw std::runtime_error("no file for what a program writes");

  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, ::fileno(errors_.get()), STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t defaults;
  ::sigfillset(&defaults);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  sigset_t nothing;
  ::sigemptyset(&nothing);
  ::posix_spawnattr_setsigmask(&attributes, &nothing);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);

  std::vector<std::string> words = command;
  std::vector<std::string> settings = environment;
  std::vector<char*> arguments;
  std::vector<char*> variables;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  for (std::string& setting : settings) variables.push_back(setting.data());  // of equal names the first counts
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string name(*variable, std::strcspn(*variable, "=") + 1);
    bool given = false;
    for (const std::string& setting : settings) given = given || setting.starts_with(name);
    if (!given) variables.push_back(*variable);
  }
  variables.push_back(nullptr);

  begun_ = now();
  const int fault = ::posix_spawnp(&process_, arguments[0], &files, &attributes, arguments.data(), variables.data());
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  ::close(ends[1]);
  if (fault != 0) {
    process_ = -1;
    throw std::runtime_error(name_ + " could not be started: " + std::strerror(fault));
  }
}

ChildProcess::~ChildProcess() {
  if (process_ > 0) {
    send(SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
}

bool ChildProcess::read_line(std::string& line) {
  char* text = nullptr;
  std::size_t capacity = 0;
  const ssize_t size = ::getline(&text, &capacity, output_.get());
  if (size > 0) line.assign(text, static_cast<std::size_t>(text[size - 1] == '\n' ? size - 1 : size));
  std::free(text);
  return size > 0;
}

void ChildProcess::send(int signal) const {
  if (process_ > 0) ::kill(process_, signal);
}

Ending ChildProcess::wait(double patience_s) {
  Ending ending;
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0));  // readable when it has ended
  if (handle >= 0) {
    const double deadline = now() + patience_s;
    pollfd ended{handle, POLLIN, 0};
    int result = 0;
    do {
      result = ::poll(&ended, 1, static_cast<int>(std::max(0.0, deadline - now()) * 1000) + 1);
    } while (result < 0 && errno == EINTR);
    ending.timed_out = result == 0;
    ::close(handle);
    if (ending.timed_out) send(SIGKILL);
  }
  ending.at = now();
  rusage used{};
  while (::wait4(process_, &ending.status, 0, &used) < 0 && errno == EINTR) {
  }
  process_ = -1;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  ending.cpu_s = seconds(used.ru_utime) + seconds(used.ru_stime);
  return ending;
}

std::string ChildProcess::errors() const {
  std::array<char, 4096> text{};
  const int file = ::fileno(errors_.get());
  const off_t size = ::lseek(file, 0, SEEK_END);
  const off_t begin = size > static_cast<off_t>(text.size()) ? size - static_cast<off_t>(text.size()) : 0;
  const ssize_t got = ::pread(file, text.data(), text.size(), begin);
  return {text.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

void ChildProcess::require(const Ending& ending) const {
  if (!ending.well()) throw std::runtime_error(name_ + ": " + ending.text() + "\n" + errors());
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "taskhost-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder: " + pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace bench
