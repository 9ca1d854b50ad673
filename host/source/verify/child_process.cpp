#include "verify/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <system_error>

namespace taskhost::verify {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kept_output = 2000;
constexpr std::size_t message_size_limit = std::size_t{1} << 20;  // for all messages of a child
constexpr std::string_view finished_word = "finished";

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return value_; }
  bool is_open() const noexcept { return value_ >= 0; }
  void reset(int value) {
    close();
    value_ = value;
  }
  void close() {
    if (value_ >= 0) ::close(value_);
    value_ = -1;
  }

 private:
  int value_;
};

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code error;
  const std::filesystem::path tasks = "/proc/" + std::to_string(parent) + "/task";
  for (auto entry = std::filesystem::directory_iterator(tasks, error); !error && entry != std::filesystem::end(entry);
       entry.increment(error)) {
    std::ifstream file(entry->path() / "children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

bool has_too_many_descendants(pid_t process) {
  std::vector<pid_t> found = {process};
  for (std::size_t i = 0; i < found.size() && found.size() <= max_processes; ++i) {
    const std::vector<pid_t> children = children_of(found[i]);
    found.insert(found.end(), children.begin(), children.end());
  }
  return found.size() > max_processes;
}

// While it exists, this process becomes the parent of its descendants' orphans, and finally ends those that are new.
class Adoption {
 public:
  Adoption() : before_(children_of(::getpid())) {
    ::prctl(PR_GET_CHILD_SUBREAPER, &former_);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1UL);
  }
  ~Adoption() { ::prctl(PR_SET_CHILD_SUBREAPER, static_cast<unsigned long>(former_)); }
  Adoption(const Adoption&) = delete;
  Adoption& operator=(const Adoption&) = delete;

  // Returns the names of those that were in no group `group`.
  std::vector<std::string> end_orphans(pid_t group) const {
    std::vector<std::string> names;
    for (const auto until = Clock::now() + std::chrono::seconds(5); Clock::now() < until;) {
      std::vector<pid_t> orphans = children_of(::getpid());
      std::erase_if(orphans,
                    [this](pid_t one) { return std::find(before_.begin(), before_.end(), one) != before_.end(); });
      if (orphans.empty()) break;
      for (const pid_t orphan : orphans) {
        const std::string stat = first_line("/proc/" + std::to_string(orphan) + "/stat");
        const std::size_t name_end = stat.rfind(')');
        const bool is_alive = name_end != std::string::npos && stat.compare(name_end, 3, ") Z") != 0;
        if (is_alive && ::getpgid(orphan) != group) {
          names.push_back(stat.substr(stat.find('(') + 1, name_end - stat.find('(') - 1));
        }
        ::kill(-orphan, SIGKILL);  // if it leads a group
        ::kill(orphan, SIGKILL);
      }
      for (const pid_t orphan : orphans) {
        while (::waitpid(orphan, nullptr, 0) < 0 && errno == EINTR) {
        }
      }
    }
    return names;
  }

 private:
  const std::vector<pid_t> before_;
  int former_ = 0;
};

// An unprivileged user's processes are limited as well: a fork bomb may be faster than the parent's looks.
void limit_processes() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NPROC, &limit) != 0) return;
  constexpr rlim_t margin = 2000;
  std::size_t threads = 0;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator("/proc", error); !error && entry != std::filesystem::end(entry);
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code gone;
    for (auto task = std::filesystem::directory_iterator(entry->path() / "task", gone);
         !gone && task != std::filesystem::end(task); task.increment(gone)) {
      ++threads;
    }
  }
  if (limit.rlim_cur <= threads + margin) return;
  limit.rlim_cur = threads + margin;
  ::setrlimit(RLIMIT_NPROC, &limit);
}

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "no pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  Descriptor read;
  Descriptor write;
};

// Appends what is there; returns false at the end of the input.
bool take(const Descriptor& from, std::string& text) {
  std::array<char, 16384> buffer;
  const ssize_t size = ::read(from.get(), buffer.data(), buffer.size());
  if (size > 0) text.append(buffer.data(), static_cast<std::size_t>(size));
  return size > 0 || (size < 0 && (errno == EINTR || errno == EAGAIN));
}

void keep_the_end(std::string& output) {
  if (output.size() > 2 * kept_output) output.erase(0, output.size() - kept_output);
}

// Blocks signals that would end this process until what the plugin has started is ended, because nobody else does that.
class HeldSignals {
 public:
  HeldSignals() noexcept {
    ::pthread_sigmask(SIG_SETMASK, nullptr, &former_);
    ::sigemptyset(&held_);
    for (const int number : numbers) {
      struct sigaction action {};
      const bool ends_us = ::sigaction(number, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
                           action.sa_handler == SIG_DFL;
      if (ends_us && ::sigismember(&former_, number) == 0) ::sigaddset(&held_, number);
    }
    ::pthread_sigmask(SIG_BLOCK, &held_, nullptr);
  }
  ~HeldSignals() { release(); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  void release() const noexcept { ::pthread_sigmask(SIG_SETMASK, &former_, nullptr); }
  bool one_has_come() const noexcept {
    sigset_t pending;
    ::sigpending(&pending);
    return std::any_of(numbers.begin(), numbers.end(), [&](int number) {
      return ::sigismember(&held_, number) == 1 && ::sigismember(&pending, number) == 1;
    });
  }

 private:
  static constexpr std::array<int, 4> numbers = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
  sigset_t former_;
  sigset_t held_;
};

Progress* progress_of_child = nullptr;
pid_t id_of_child = 0;

// Handlers run on the thread that called exit.
void on_process_exit(int status, void* /*unused*/) {
  if (::getpid() == id_of_child) progress_of_child->exit_called = true;  // not in a child of the plugin's
  ::_exit(status);
}

[[noreturn]] void be_child(const HeldSignals& held, Progress& progress, const Pipe& messages, const Pipe& output,
                           pid_t parent, const std::function<void(const Reporter&)>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::setpgid(0, 0);  // so that the processes that the plugin starts can be killed with it
  held.release();
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::signal(SIGPIPE, SIG_IGN);  // as in the program
  const int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  if (null > STDERR_FILENO) ::close(null);
  std::fflush(stdout);  // otherwise the child would write the parent's buffer, too
  ::dup2(output.write.get(), STDOUT_FILENO);
  ::dup2(output.write.get(), STDERR_FILENO);
  limit_processes();
  // With room for many descriptors: a process with threads waits for all processors when its table grows, which would
  // be taken for the plugin's call.
  if (const int highest = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 1000); highest >= 0) ::close(highest);
  progress_of_child = &progress;
  id_of_child = ::getpid();
  ::on_exit(on_process_exit, nullptr);
  try {
    const Reporter reporter(messages.write.get());
    body(reporter);
    std::fflush(stdout);
    reporter.send({{"type", finished_word}});
  } catch (const std::exception& error) {
    [[maybe_unused]] const auto written =
        ::write(STDERR_FILENO, error.what(), std::char_traits<char>::length(error.what()));
  }
  ::_exit(0);
}

// A test that is only slow, on a busy machine, has some more time than one that is stuck in a call.
constexpr int patience = 3;
constexpr std::chrono::nanoseconds least_patience = std::chrono::seconds(2);

void read_messages(const std::string& text, ChildEnd& end) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t line_end = text.find('\n', begin);
    if (line_end == std::string::npos) break;
    nlohmann::json message =
        nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                              text.begin() + static_cast<std::ptrdiff_t>(line_end), nullptr, false);
    begin = line_end + 1;
    if (!message.is_object()) continue;  // a plugin wrote to a descriptor that is not its own
    if (message.value("type", "") == finished_word) {
      end.has_finished = true;
    } else {
      end.messages.push_back(std::move(message));
    }
  }
}

}  // namespace

void Reporter::send(const nlohmann::json& message) const {
  const std::string line = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (std::size_t written = 0; written < line.size();) {
    const ssize_t size = ::write(descriptor_, line.data() + written, line.size() - written);
    if (size < 0 && errno != EINTR) return;
    if (size > 0) written += static_cast<std::size_t>(size);
  }
}

ChildEnd run_in_child(Progress& progress, std::chrono::nanoseconds limit,
                      const std::function<void(const Reporter& reporter)>& body) {
  new (&progress) Progress;
  Pipe messages;
  Pipe output;
  const HeldSignals held;
  const Adoption adoption;
  const auto started = Clock::now();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "no process");
  if (child == 0) be_child(held, progress, messages, output, parent, body);
  messages.write.close();
  output.write.close();
  for (const Descriptor* end : {&messages.read, &output.read}) ::fcntl(end->get(), F_SETFL, O_NONBLOCK);

  ChildEnd end;
  std::string text;
  int wait_status = 0;
  bool has_ended = false;
  std::size_t written = 0;
  constexpr auto look_each = std::chrono::milliseconds(20);
  auto next_look = started + look_each;
  while (true) {
    // The child's own children may keep the pipes open, which must not hold us up, so this also watches the process
    // itself.
    std::array<pollfd, 2> polled{{{messages.read.get(), POLLIN, 0}, {output.read.get(), POLLIN, 0}}};
    ::poll(polled.data(), polled.size(), 5);
    siginfo_t info{};
    has_ended =
        ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
    const bool messages_go_on = take(messages.read, text) && text.size() < message_size_limit;
    if (!messages_go_on) messages.read.close();
    const std::size_t kept = end.output.size();
    if (!take(output.read, end.output)) output.read.close();
    written += end.output.size() - kept;
    keep_the_end(end.output);
    if (has_ended) break;
    const auto now = Clock::now();
    if (now >= next_look) {
      end.had_too_many_processes = has_too_many_descendants(child);
      next_look = now + look_each;
    }
    end.wrote_too_much = written > max_output;
    end.time_in_call = time_in_call(progress);
    end.was_stuck = is_stuck(progress, limit);
    end.was_late = now - started >= (end.was_stuck ? limit : limit * patience + least_patience);
    if (end.was_late || end.wrote_too_much || end.had_too_many_processes || held.one_has_come()) {
      ::kill(child, SIGKILL);
      break;
    }
  }
  end.lifetime = Clock::now() - started;
  // Before it is reaped, while its id is still its own: everything that it started is killed, too.
  ::kill(-child, SIGKILL);
  while (::waitpid(child, &wait_status, 0) < 0 && errno == EINTR) {
  }
  end.left_running = adoption.end_orphans(child);
  // Reads the rest, which is already there.
  for (std::size_t before = text.size() + 1; messages.read.is_open() && text.size() != before;) {
    before = text.size();
    take(messages.read, text);
  }
  while (output.read.is_open()) {
    const std::size_t before = end.output.size();
    if (!take(output.read, end.output) || end.output.size() == before) break;
    keep_the_end(end.output);
  }
  if (end.output.size() > kept_output) end.output.erase(0, end.output.size() - kept_output);
  if (WIFEXITED(wait_status)) end.status = WEXITSTATUS(wait_status);
  if (WIFSIGNALED(wait_status)) end.signal = WTERMSIG(wait_status);
  read_messages(text, end);
  return end;
}

SharedProgress::SharedProgress()
    : progress_(static_cast<Progress*>(
          ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
  if (progress_ == MAP_FAILED) throw std::bad_alloc();
}

SharedProgress::~SharedProgress() { ::munmap(progress_, sizeof(Progress)); }

}  // namespace taskhost::verify
