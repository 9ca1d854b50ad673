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
#include <exception>
#include <filesystem>
#include <new>
#include <random>
#include <system_error>
#include <utility>

#include "taskhost/core/system_failure.hpp"
#include "verify/descriptor.hpp"
#include "verify/keeper.hpp"
#include "verify/kit_thread.hpp"
#include "verify/process_state.hpp"

namespace taskhost::verify {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kept_output = 2000;
constexpr std::size_t message_size_limit = std::size_t{1} << 20;  // for all messages of a child
constexpr std::string_view finished_word = "finished";
constexpr std::string_view refused_word = "refused";

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

// What the process holds that a limit bounds.
struct Holdings {
  std::size_t descriptors = 0;
  std::size_t threads = 0;
  std::size_t mapped = 0;

  static Holdings take() { return {count_descriptors(), count_threads(), memory_in_use().mapped}; }
};
Holdings holdings_before_plugin;
std::terminate_handler former_terminate = nullptr;

// A refusal is the plugin's doing only if it holds much of what is missing.
void note_refusal(int error) noexcept {
  Progress& progress = *progress_of_child;
  progress.refusal = error;
  ::close(STDIN_FILENO);  // room for a descriptor, to be able to count them
  const Holdings now = Holdings::take();
  constexpr std::size_t many = 32;
  constexpr std::size_t much = std::size_t{256} << 20;
  progress.has_used_it_up = (error == EMFILE && now.descriptors > holdings_before_plugin.descriptors + many) ||
                            (error == EAGAIN && now.threads > holdings_before_plugin.threads + many) ||
                            ((error == ENOMEM || error == EAGAIN) && now.mapped > holdings_before_plugin.mapped + much);
  progress.is_refused = true;
}

// The number of what is being handled, if it is a shortage of the system's.
std::optional<int> shortage_in_flight() noexcept {
  if (!std::current_exception()) return std::nullopt;
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  } catch (const std::system_error& error) {
    if (is_shortage(error.code().value())) return error.code().value();
  } catch (...) {
    // Any other exception says nothing about the system.
  }
  return std::nullopt;
}

// A thread of the kit's, or a function of its that may not throw, had no memory.
[[noreturn]] void on_terminate() noexcept {
  const std::optional<int> error = shortage_in_flight();
  if (!error || ::getpid() != id_of_child) {
    former_terminate();
    ::abort();
  }
  if (*error != ENOMEM || memory_is_short()) {
    note_refusal(*error);
    ::_exit(1);
  }
  constexpr std::string_view words = "terminate called after throwing an instance of 'std::bad_alloc'\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, words.data(), words.size());
  ::abort();
}

[[noreturn]] void end_refused(const Reporter& reporter, int error, const char* words) {
  note_refusal(error);
  try {
    reporter.send({{"type", refused_word}, {"text", words}});
  } catch (const std::exception&) {
    // The number says it.
  }
  ::_exit(1);
}

[[noreturn]] void be_child(const HeldSignals& held, Progress& progress, Pipe& messages, Pipe& output, pid_t parent,
                           const std::string& secret, const std::function<void(const Reporter&)>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  messages.read.close();  // what it writes is not for itself to read
  output.read.close();
  ::setpgid(0, 0);  // so that the processes that the plugin starts can be killed with it
  held.release();
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::signal(SIGPIPE, SIG_IGN);  // as in the program, and so are these: runtimes leave a signal alone that is handled
  struct sigaction handled {};
  handled.sa_handler = [](int) {};
  handled.sa_flags = SA_ONSTACK | SA_RESTART;  // the first is what Go would add
  for (const int number : {SIGHUP, SIGINT, SIGTERM}) ::sigaction(number, &handled, nullptr);
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
  const KitThread mark;
  ::on_exit(on_process_exit, nullptr);
  measure_before_plugin();
  former_terminate = std::set_terminate(on_terminate);
  const Reporter reporter(messages.write.get(), secret);
  try {
    body(reporter);
    std::fflush(stdout);
    reporter.send({{"type", finished_word}});
  } catch (const std::bad_alloc& error) {
    end_refused(reporter, ENOMEM, error.what());
  } catch (const std::system_error& error) {
    end_refused(reporter, error.code().value(), error.what());
  } catch (const std::exception& error) {
    end_refused(reporter, 0, error.what());
  }
  ::_exit(0);
}

// A test that is only slow, on a busy machine, has some more time than one that is stuck in a call.
constexpr int patience = 3;
constexpr std::chrono::nanoseconds least_patience = std::chrono::seconds(2);
// A look at the child that comes so late is no accident of scheduling, but a pause.
constexpr std::chrono::milliseconds much_too_late(100);

// Returns whether the child has said that it has finished.
bool read_messages(const std::string& text, const std::string& secret, ChildEnd& end) {
  bool has_finished = false;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t line_end = std::min(text.find('\n', begin), text.size());
    if (line_end == begin) {
      ++begin;
      continue;
    }
    nlohmann::json message =
        nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                              text.begin() + static_cast<std::ptrdiff_t>(line_end), nullptr, false);
    const bool is_whole = line_end < text.size();
    begin = line_end + 1;
    if (text_in(message, "secret") != secret) {
      end.has_foreign_messages = end.has_foreign_messages || is_whole;
    } else if (text_in(message, "type") == finished_word) {
      has_finished = true;
    } else if (text_in(message, "type") == refused_word) {
      end.refusal = text_in(message, "text");
    } else {
      end.messages.push_back(std::move(message));
    }
  }
  return has_finished;
}

std::string new_secret() {
  std::random_device random;
  return std::to_string(random()) + "-" + std::to_string(random());
}

}  // namespace

void measure_before_plugin() {
  holdings_before_plugin = Holdings::take();
  // Without a descriptor there is no count; and the plugin has not used them up, since it is not there yet.
  if (holdings_before_plugin.descriptors == 0) holdings_before_plugin.descriptors = std::size_t{1} << 32;
}

std::string text_in(const nlohmann::json& message, const char* field) {
  if (!message.is_object()) return {};
  const auto found = message.find(field);
  return found != message.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void Reporter::send(nlohmann::json message) const {
  message["secret"] = secret_;
  // On a line of its own, whatever the plugin has written there.
  const std::string line = "\n" + message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
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
  const std::string secret = new_secret();
  const auto started = Clock::now();
  Keeper keeper([&](pid_t parent) { be_child(held, progress, messages, output, parent, secret, body); });
  messages.write.close();
  output.write.close();
  for (const Descriptor* end : {&messages.read, &output.read}) ::fcntl(end->get(), F_SETFL, O_NONBLOCK);

  ChildEnd end;
  std::string text;
  std::size_t written = 0;
  constexpr std::chrono::milliseconds look_each(5);
  auto looked = started;
  while (true) {
    // The child's own children may keep the pipes open, which must not hold us up.
    std::array<pollfd, 3> polled{
        {{messages.read.get(), POLLIN, 0}, {output.read.get(), POLLIN, 0}, {keeper.descriptor(), POLLIN, 0}}};
    ::poll(polled.data(), polled.size(), static_cast<int>(look_each.count()));
    const auto now = Clock::now();
    if (now - looked > look_each + much_too_late) end.stood_still += now - looked;
    looked = now;
    const bool has_ended = polled[2].revents != 0;
    const bool messages_go_on = take(messages.read, text) && text.size() < message_size_limit;
    if (!messages_go_on) messages.read.close();
    const std::size_t kept = end.output.size();
    if (!take(output.read, end.output)) output.read.close();
    written += end.output.size() - kept;
    keep_the_end(end.output);
    if (has_ended) break;
    end.wrote_too_much = written > max_output;
    end.time_in_call = time_in_call(progress);
    end.was_stuck = is_stuck(progress, limit);
    end.was_late = now - started >= (end.was_stuck ? limit : limit * patience + least_patience);
    if (end.was_late || end.wrote_too_much || held.one_has_come()) break;
  }
  end.lifetime = Clock::now() - started;
  Kept kept = keeper.end();
  end.had_too_many_processes = kept.had_too_many_processes;
  end.left_running = std::move(kept.left_running);
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
  if (const std::optional<int> status = kept.wait_status) {
    if (WIFEXITED(*status)) end.status = WEXITSTATUS(*status);
    if (WIFSIGNALED(*status)) end.signal = WTERMSIG(*status);
  }
  end.has_finished = read_messages(text, secret, end) && end.status == 0;
  return end;
}

SharedProgress::SharedProgress()
    : progress_(static_cast<Progress*>(
          ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
  if (progress_ == MAP_FAILED) throw std::bad_alloc();
}

SharedProgress::~SharedProgress() { ::munmap(progress_, sizeof(Progress)); }

}  // namespace taskhost::verify
