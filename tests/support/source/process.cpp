#include "support/process.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <thread>

extern char** environ;

namespace taskhost::test {

namespace {

constexpr std::chrono::milliseconds polling_pause{1};

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {
    if (fd < 0) {
      throw_errno("a descriptor for a program");
    }
  }
  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

std::pair<Descriptor, Descriptor> open_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw_errno("pipe");
  }
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// The program's end of a stream, empty for a closed one, and the test's, if it has one.
std::pair<Descriptor, Descriptor> open_stream(int stream, Wiring wiring, int own) {
  const auto copy = [](int fd) { return Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); };
  if (own >= 0) return {copy(own), Descriptor()};
  if (wiring == Wiring::closed) return {};
  if (wiring == Wiring::broken_pipe) return {open_pipe().second, Descriptor()};
  if (wiring == Wiring::piped && stream == STDIN_FILENO) return open_pipe();
  if (wiring == Wiring::piped && stream == STDOUT_FILENO) {
    auto [reader, writer] = open_pipe();
    return {std::move(writer), std::move(reader)};
  }
  if (wiring != Wiring::null_device && stream != STDIN_FILENO) {
    Descriptor file(::memfd_create("captured", MFD_CLOEXEC));
    return {copy(file.get()), std::move(file)};
  }
  return {Descriptor(::open("/dev/null", (stream == STDIN_FILENO ? O_RDONLY : O_WRONLY) | O_CLOEXEC)), Descriptor()};
}

// The test's own environment with some entries replaced or added. The result points into both.
std::vector<char*> merge_environment(std::vector<std::string>& additions) {
  std::vector<char*> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('=') + 1);
    if (std::none_of(additions.begin(), additions.end(),
                     [name](const std::string& addition) { return addition.starts_with(name); })) {
      merged.push_back(*entry);
    }
  }
  for (std::string& addition : additions) {
    merged.push_back(addition.data());
  }
  merged.push_back(nullptr);
  return merged;
}

std::string read_whole(int fd) {
  std::string text;
  std::array<char, 65536> buffer{};
  while (fd >= 0) {
    const ssize_t size = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (size <= 0) {
      break;
    }
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

// Waits until `fd` has input or its other end is closed; returns false when the time is over.
bool readable_by(int fd, std::chrono::steady_clock::time_point deadline) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  int result = -1;
  do {
    const auto left = std::max(deadline - std::chrono::steady_clock::now(), std::chrono::nanoseconds(0));
    result = ::poll(&entry, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
  } while (result < 0 && errno == EINTR);
  return result > 0;
}

// What the child needs. Prepared before it starts, since it shares this process's memory until it executes the program.
struct ChildPlan {
  char* const* arguments;
  char* const* environment;
  const char* working_directory;  // NULL: unchanged
  const std::vector<std::pair<int, rlim_t>>* limits;
  std::array<int, 3> streams;
  bool obeys_file_modes;
  int report;  // a successful exec closes it, otherwise it gets errno
};

[[noreturn]] void give_up(const ChildPlan& plan) {
  const int error = errno;
  const ssize_t ignored = ::write(plan.report, &error, sizeof error);
  static_cast<void>(ignored);
  ::_exit(127);
}

[[noreturn]] void become_program(const ChildPlan& plan) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int target = 0; target < 3; ++target) {
    const int stream = plan.streams.at(static_cast<std::size_t>(target));
    if (stream < 0) {
      ::close(target);
    } else if (::dup2(stream, target) < 0) {
      give_up(plan);
    }
  }
  const rlimit no_core{1, 1};  // a byte: a core_pattern that is a pipe does not heed 0
  ::setrlimit(RLIMIT_CORE, &no_core);
  for (const auto& [resource, amount] : *plan.limits) {
    const rlimit limit{amount, amount};
    if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
      give_up(plan);
    }
  }
  if (plan.obeys_file_modes) {
    // Fails for users who do not have that privilege anyway.
    ::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
    ::prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
  }
  // The program must not inherit descriptors that the test has from ctest or a shell.
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  if (plan.working_directory != nullptr && ::chdir(plan.working_directory) != 0) {
    give_up(plan);
  }
  ::execvpe(plan.arguments[0], plan.arguments, plan.environment);
  give_up(plan);
}

// Unlike fork, vfork takes no longer if this process is large.
pid_t start(const ChildPlan& plan) {
  const pid_t id = ::vfork();
  if (id == 0) become_program(plan);
  return id;
}

}  // namespace

bool eventually(const std::function<bool()>& holds, std::chrono::nanoseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return holds();
    }
    std::this_thread::sleep_for(polling_pause);
  }
  return true;
}

std::string ProcessEnd::summary() const {
  std::string text = program + (timed_out ? " killed by the test after " : " ended after ");
  text += std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(lifetime).count()) + " ms, ";
  text += status ? "status " + std::to_string(*status) : "signal " + std::to_string(signal.value_or(0));
  constexpr std::size_t most = 4000;
  text += "\nstdout: " + (out.size() > most ? out.substr(0, most) + " ..." : out);
  text += "\nstderr: " + (err.size() > most ? "... " + err.substr(err.size() - most) : err);
  return text;
}

void ProcessEnd::require(int wanted) const {
  if (status != wanted) throw std::runtime_error(summary());
}

Process::Process(const Command& command) : program_(command.program.filename()) {
  std::vector<std::string> words{command.program.string()};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  std::vector<std::string> additions = command.environment;
  const std::vector<char*> environment = merge_environment(additions);

  auto in = open_stream(STDIN_FILENO, command.in, command.in_descriptor);
  auto out = open_stream(STDOUT_FILENO, command.out, command.out_descriptor);
  auto err = open_stream(STDERR_FILENO, command.err, command.err_descriptor);
  auto [report_read, report_write] = open_pipe();
  const ChildPlan plan{
      .arguments = arguments.data(),
      .environment = environment.data(),
      .working_directory = command.working_directory.empty() ? nullptr : command.working_directory.c_str(),
      .limits = &command.limits,
      .streams = {in.first.get(), out.first.get(), err.first.get()},
      .obeys_file_modes = command.obeys_file_modes,
      .report = report_write.get()};
  started_ = std::chrono::steady_clock::now();
  id_ = start(plan);
  if (id_ < 0) {
    throw_errno("vfork");
  }
  ::close(report_write.release());
  int error = 0;
  if (::read(report_read.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
    reap(true);
    errno = error;
    throw_errno("can't start " + words.front());
  }
  in_ = in.second.release();
  out_ = out.second.release();
  err_ = err.second.release();
}

Process::~Process() {
  if (running()) {
    ::kill(id_, SIGKILL);
    reap(true);
  }
  for (const int fd : {in_, out_, err_}) {
    if (fd >= 0) {
      ::close(fd);
    }
  }
}

void Process::reap(bool block) {
  int status = 0;
  rusage used{};
  pid_t reaped = -1;
  do {
    reaped = ::wait4(id_, &status, block ? 0 : WNOHANG, &used);
  } while (reaped < 0 && errno == EINTR);
  if (reaped == id_) {
    wait_status_ = status;
    ended_ = std::chrono::steady_clock::now();
    for (const timeval& time : {used.ru_utime, used.ru_stime}) {
      cpu_ += std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
    }
  }
}

bool Process::running() {
  if (!wait_status_) {
    reap(false);
  }
  return !wait_status_;
}

void Process::send(int signal) {
  if (running()) {
    ::kill(id_, signal);
  }
}

std::chrono::nanoseconds Process::age() const { return std::chrono::steady_clock::now() - started_; }

bool Process::write(std::string_view text) const {
  return ::write(in_, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool Process::read_line(std::string& line, std::chrono::nanoseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::array<char, 4096> piece;
  std::size_t end = 0;
  while ((end = unread_.find('\n')) == std::string::npos) {
    const ssize_t size = readable_by(out_, deadline) ? ::read(out_, piece.data(), piece.size()) : -1;
    if (size < 0 || (size == 0 && unread_.empty())) {
      return false;
    }
    unread_ += size == 0 ? std::string_view("\n") : std::string_view(piece.data(), static_cast<std::size_t>(size));
  }
  line.assign(unread_, 0, end);
  unread_.erase(0, end + 1);
  return true;
}

std::string Process::out() const { return read_whole(out_); }
std::string Process::err() const { return read_whole(err_); }

bool Process::wait_for_err(std::string_view text, std::chrono::nanoseconds limit) {
  eventually([&] { return !running() || err().find(text) != std::string::npos; }, limit);
  return err().find(text) != std::string::npos;
}

ProcessEnd Process::wait(std::chrono::nanoseconds limit) {
  ProcessEnd end;
  if (running()) {
    const Descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, id_, 0)));  // readable when it has ended
    end.timed_out = !readable_by(handle.get(), std::chrono::steady_clock::now() + limit);
    if (end.timed_out) ::kill(id_, SIGKILL);
    reap(true);
  }
  const int status = wait_status_.value_or(0);
  if (WIFEXITED(status)) {
    end.status = WEXITSTATUS(status);
  } else {
    end.signal = WTERMSIG(status);
  }
  end.program = program_;
  end.lifetime = ended_ - started_;
  end.cpu = cpu_;
  end.out = out();
  end.err = err();
  return end;
}

}  // namespace taskhost::test
