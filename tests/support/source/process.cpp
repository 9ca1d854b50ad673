#include "support/process.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
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
      throw_errno("a descriptor for the program to be started");
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

// The program's side of a stream; empty for a closed one.
Descriptor open_stream(Wiring wiring, bool for_input, int own = -1) {
  if (own >= 0) return Descriptor(::fcntl(own, F_DUPFD_CLOEXEC, 3));
  switch (wiring) {
    case Wiring::closed:
      return {};
    case Wiring::broken_pipe:
      return open_pipe().second;
    case Wiring::captured:
      if (!for_input) {
        return Descriptor(::memfd_create("captured", MFD_CLOEXEC));
      }
      break;
    case Wiring::null_device:
      break;
  }
  return Descriptor(::open("/dev/null", (for_input ? O_RDONLY : O_WRONLY) | O_CLOEXEC));
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

// What the child needs. Prepared before the fork, after which only async-signal-safe calls are allowed.
struct ChildPlan {
  const char* program;
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
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  for (int target = 0; target < 3; ++target) {
    const int stream = plan.streams.at(static_cast<std::size_t>(target));
    if (stream < 0) {
      ::close(target);
    } else if (::dup2(stream, target) < 0) {
      give_up(plan);
    }
  }
  const rlimit no_core{0, 0};
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
  ::execve(plan.program, plan.arguments, plan.environment);
  give_up(plan);
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
  std::string text = timed_out ? "killed by the test after " : "ended after ";
  text += std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(lifetime).count()) + " ms, ";
  text += status ? "status " + std::to_string(*status) : "signal " + std::to_string(signal.value_or(0));
  constexpr std::size_t most = 4000;
  text += "\nstdout: " + (out.size() > most ? out.substr(0, most) + " ..." : out);
  text += "\nstderr: " + (err.size() > most ? "... " + err.substr(err.size() - most) : err);
  return text;
}

Process::Process(const Command& command) {
  std::vector<std::string> words{command.program.string()};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  std::vector<std::string> additions = command.environment;
  const std::vector<char*> environment = merge_environment(additions);

  const Descriptor in = open_stream(command.in, true, command.in_descriptor);
  Descriptor out = open_stream(command.out, false, command.out_descriptor);
  Descriptor err = open_stream(command.err, false, command.err_descriptor);
  auto [report_read, report_write] = open_pipe();
  const ChildPlan plan{
      .program = words.front().c_str(),
      .arguments = arguments.data(),
      .environment = environment.data(),
      .working_directory = command.working_directory.empty() ? nullptr : command.working_directory.c_str(),
      .limits = &command.limits,
      .streams = {in.get(), out.get(), err.get()},
      .obeys_file_modes = command.obeys_file_modes,
      .report = report_write.get()};
  started_ = std::chrono::steady_clock::now();
  id_ = ::fork();
  if (id_ < 0) {
    throw_errno("fork");
  }
  if (id_ == 0) {
    become_program(plan);
  }
  ::close(report_write.release());
  int error = 0;
  if (::read(report_read.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
    reap(true);
    errno = error;
    throw_errno("can't start " + words.front());
  }
  if (command.out == Wiring::captured && command.out_descriptor < 0) {
    out_ = out.release();
  }
  if (command.err == Wiring::captured && command.err_descriptor < 0) {
    err_ = err.release();
  }
}

Process::~Process() {
  if (running()) {
    ::kill(id_, SIGKILL);
    reap(true);
  }
  for (const int fd : {out_, err_}) {
    if (fd >= 0) {
      ::close(fd);
    }
  }
}

void Process::reap(bool block) {
  int status = 0;
  pid_t reaped = -1;
  do {
    reaped = ::waitpid(id_, &status, block ? 0 : WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  if (reaped == id_) {
    wait_status_ = status;
    ended_ = std::chrono::steady_clock::now();
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

std::string Process::out() const { return read_whole(out_); }
std::string Process::err() const { return read_whole(err_); }

bool Process::wait_for_err(std::string_view text, std::chrono::nanoseconds limit) {
  eventually([&] { return !running() || err().find(text) != std::string::npos; }, limit);
  return err().find(text) != std::string::npos;
}

ProcessEnd Process::wait(std::chrono::nanoseconds limit) {
  ProcessEnd end;
  if (!eventually([this] { return !running(); }, limit)) {
    end.timed_out = true;
    ::kill(id_, SIGKILL);
    reap(true);
  }
  const int status = wait_status_.value_or(0);
  if (WIFEXITED(status)) {
    end.status = WEXITSTATUS(status);
  } else {
    end.signal = WTERMSIG(status);
  }
  end.lifetime = ended_ - started_;
  end.out = out();
  end.err = err();
  return end;
}

}  // namespace taskhost::test
