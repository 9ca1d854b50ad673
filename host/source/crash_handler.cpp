#include "crash_handler.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string_view>

#include "exit_guard.hpp"
#include "last_words.hpp"
#include "plugin_library.hpp"
#include "taskhost/core/execution.hpp"

namespace taskhost {

namespace {

struct Crash {
  int number;
  std::string_view name;
  bool comes_again = false;  // with the instruction, which is executed again when the handler has returned
};
constexpr std::array<Crash, 8> crashes = {{{SIGSEGV, "SIGSEGV", true},
                                           {SIGBUS, "SIGBUS", true},
                                           {SIGFPE, "SIGFPE", true},
                                           {SIGILL, "SIGILL", true},
                                           {SIGTRAP, "SIGTRAP"},
                                           {SIGSYS, "SIGSYS"},
                                           {SIGXCPU, "SIGXCPU"},
                                           {SIGABRT, "SIGABRT"}}};
constexpr timespec patience{.tv_sec = 2, .tv_nsec = 0};

std::array<struct sigaction, crashes.size()> former;
std::atomic<pid_t> owner{0};
std::atomic<pid_t> teller{0};  // the thread that crashed first
std::mutex mutex;              // of users
unsigned users = 0;

// A line put together without memory.
class Line {
 public:
  Line& operator<<(std::string_view text) noexcept {
    text = text.substr(0, text_.size() - size_);
    std::memcpy(text_.data() + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }
  Line& operator<<(std::uint64_t number) noexcept {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    return *this << std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data()));
  }
  std::string_view text() const noexcept { return {text_.data(), size_}; }

 private:
  std::array<char, 1024> text_;
  std::size_t size_ = 0;
};

void name_the_place(Line& line) noexcept {
  if (const char* path = library_being_loaded()) {
    line << " while loading " << path;
  } else if (const Execution* execution = Execution::current()) {
    line << " in the " << Execution::current_function() << " of task '" << execution->task_name() << "', execution "
         << execution->number();
  } else {
    std::array<char, 16> name{};
    ::prctl(PR_GET_NAME, name.data());
    line << " in the thread '" << name.data() << "', outside of any task's functions";
  }
}

void on_crash(int number, siginfo_t* info, void* context) {
  const auto crash =
      std::find_if(crashes.begin(), crashes.end(), [number](const Crash& one) { return one.number == number; });
  const struct sigaction& before = former[static_cast<std::size_t>(crash - crashes.begin())];
  const int kept_error = errno;
  const bool is_default =
      (before.sa_flags & SA_SIGINFO) == 0 && (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN);
  // A child that a plugin forked has its own crash. A crash in here is not told, and another thread's waits, as it
  // would end the process before the first one has been; but not if a handler may go on from it, as a runtime's does.
  if (owner.load() == ::getpid()) {
    pid_t first = 0;
    if (teller.compare_exchange_strong(first, ::gettid())) {
      flush_process_in_handler();
      Line line;
      line << crash->name;
      name_the_place(line);
      last_words(line.text());
    } else if (first != ::gettid() && is_default) {
      ::nanosleep(&patience, nullptr);
    }
  }
  errno = kept_error;
  if ((before.sa_flags & SA_SIGINFO) != 0) return before.sa_sigaction(number, info, context);
  if (!is_default) return before.sa_handler(number);
  ::sigaction(number, &before, nullptr);
  if (!crash->comes_again || info->si_code <= 0) ::raise(number);
}

}  // namespace

CrashHandler::CrashHandler() {
  stack_t stack{};
  if (::sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) != 0) {
    stack.ss_sp = stack_.data();
    stack.ss_size = stack_.size();
    stack.ss_flags = 0;
    (void)::sigaltstack(&stack, nullptr);
  }
  sigset_t all;  // a blocked one would end the process past the handler
  ::sigemptyset(&all);
  for (const Crash& crash : crashes) ::sigaddset(&all, crash.number);
  ::pthread_sigmask(SIG_UNBLOCK, &all, nullptr);
  const std::lock_guard lock(mutex);
  if (owner.exchange(::getpid()) != ::getpid()) users = 0;
  if (users++ != 0) return;
  struct sigaction action {};
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < crashes.size(); ++i) {
    struct sigaction now {};
    ::sigaction(crashes[i].number, nullptr, &now);
    if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_crash) continue;  // of this process's parent
    former[i] = now;
    ::sigaction(crashes[i].number, &action, nullptr);
  }
}

CrashHandler::~CrashHandler() {
  const std::lock_guard lock(mutex);
  if (--users == 0) {
    for (std::size_t i = 0; i < crashes.size(); ++i) {
      struct sigaction now {};
      ::sigaction(crashes[i].number, nullptr, &now);
      const bool ours = (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_crash;
      if (ours) ::sigaction(crashes[i].number, &former[i], nullptr);
    }
  }
  stack_t stack{};
  if (::sigaltstack(nullptr, &stack) == 0 && stack.ss_sp == stack_.data()) {
    stack = {};
    stack.ss_flags = SS_DISABLE;
    (void)::sigaltstack(&stack, nullptr);
  }
}

}  // namespace taskhost
