#include "system/crash_handler.hpp"

#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <string_view>

#include "system/last_words.hpp"
#include "system/plugin_code.hpp"
#include "taskhost/core/execution.hpp"
#include "taskhost/core/host_thread.hpp"
#include "taskhost/core/offloaded_work.hpp"

namespace taskhost {

namespace {

struct Crash {
  int number;
  std::string_view name;
  bool comes_again = false;  // the instruction is executed again, and crashes again, when the handler has returned
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
std::atomic<std::uint64_t> told_execution{0};
std::atomic<const Execution*> told_task{nullptr};
std::atomic<void (*)() noexcept> flush_first{nullptr};
std::mutex mutex;  // protects users
unsigned users = 0;

// A line that is built without allocating memory.
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
  if (const PluginCodeMark* mark = PluginCodeMark::current(); mark != nullptr) {
    if (mark->code() == PluginCode::loading) {
      line << " while loading " << mark->name();
    } else {
      line << " in the check of task '" << mark->name() << "'";
    }
  } else if (const Execution* execution = Execution::current()) {
    line << " in the " << Execution::current_function() << " of task '" << execution->task_name() << "', execution "
         << execution->number();
  } else if (const char* task = task_of_offloaded_work()) {
    line << " in the offloaded work of task '" << task << "'";
  } else if (is_host_thread || ::gettid() == ::getpid()) {
    std::array<char, 16> name{};
    ::prctl(PR_GET_NAME, name.data());
    line << " in the thread '" << name.data() << "', outside of any task's functions";
  } else {
    line << " in a thread that a plugin or a library created";
  }
}

// Neither the system's, for an instruction, nor the process's own, by abort() or raise().
bool comes_from_outside(const siginfo_t& info) noexcept {
  const bool has_sender = info.si_code == SI_USER || info.si_code == SI_QUEUE || info.si_code == SI_TKILL;
  return has_sender && info.si_pid != ::getpid();
}

// Not the place: which thread takes it says nothing about the reason.
void name_the_sender(Line& line, const siginfo_t& info) noexcept {
  line << " came from ";
  if (info.si_pid != 0) {
    line << "process " << static_cast<std::uint64_t>(info.si_pid);
  } else {
    line << "outside";  // of the pid namespace
  }
  line << (info.si_signo == SIGABRT ? ", as systemd sends it when WatchdogSec= is over" : ", and is no crash");
}

// The address is that of the access, or of the instruction that failed.
void name_the_address(Line& line, int number, const siginfo_t& info) noexcept {
  const bool has_address = number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL;
  if (!has_address || info.si_code <= 0) return;  // sent by a process
  std::array<char, 16> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), reinterpret_cast<std::uintptr_t>(info.si_addr), 16)
          .ptr;
  line << ", address 0x" << std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

// A program with a runtime (Go, the JVM) may recover from its own crashes in the handler that was there before. These
// are none of the host's business.
bool is_of_the_host() noexcept {
  return PluginCodeMark::current() != nullptr || Execution::current() != nullptr || is_host_thread;
}

// Neither a crash in here is reported nor one in a former handler, such as its abort(). A crash of another thread
// waits, since it would end the process before the first one has been reported. But if a former handler has jumped out
// of the first crash and gone on, a crash of another execution is a new one.
bool is_to_be_told(bool is_default) noexcept {
  const Execution* execution = Execution::current();
  const std::uint64_t number = execution != nullptr ? execution->number() : 0;
  pid_t first = 0;
  if (!teller.compare_exchange_strong(first, ::gettid())) {
    if (is_default && first != ::gettid()) ::nanosleep(&patience, nullptr);
    if (is_default || execution == nullptr || (execution == told_task && number == told_execution)) return false;
    teller = ::gettid();
  }
  told_task = execution;
  told_execution = number;
  return true;
}

void on_crash(int number, siginfo_t* info, void* context) {
  const auto crash =
      std::find_if(crashes.begin(), crashes.end(), [number](const Crash& one) { return one.number == number; });
  const struct sigaction& before = former[static_cast<std::size_t>(crash - crashes.begin())];
  const bool is_ignored = (before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_IGN;
  // Signals that the system raises for an instruction can't be ignored, and neither can abort()'s.
  const bool is_sent = info->si_code <= 0 && !(number == SIGABRT && info->si_pid == ::getpid());
  if (is_ignored && (is_sent || number == SIGXCPU)) return;
  const int kept_error = errno;
  const bool is_default = is_ignored || ((before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_DFL);
  // A crash of a plugin's forked child is not the host's.
  if (owner.load() == ::getpid() && (is_default || is_of_the_host()) && is_to_be_told(is_default)) {
    if (void (*const flush)() noexcept = flush_first.load(); flush != nullptr) flush();
    Line line;
    line << crash->name;
    const bool is_from_outside = comes_from_outside(*info);
    if (is_from_outside) {
      name_the_sender(line, *info);
    } else {
      name_the_place(line);
      name_the_address(line, number, *info);
    }
    const bool has_place = !is_from_outside || number == SIGABRT;  // where it hangs
    if (has_place) line << ": a core dump (ulimit -c unlimited) or a debugger shows where";
    last_words(line.text());
  }
  errno = kept_error;
  if (!is_default) {
    if ((before.sa_flags & SA_SIGINFO) != 0) {
      before.sa_sigaction(number, info, context);
    } else {
      before.sa_handler(number);
    }
    pid_t self = ::gettid();
    teller.compare_exchange_strong(self, 0);  // it went on
    return;
  }
  struct sigaction end = before;
  end.sa_handler = SIG_DFL;
  ::sigaction(number, &end, nullptr);
  if (!crash->comes_again || info->si_code <= 0) ::raise(number);
}

// A stack for handlers, for threads that have none. Not owned by the handler object, which another thread may destroy.
class ThreadsStack {
 public:
  ThreadsStack() noexcept {
    stack_t stack{};
    stack.ss_sp = memory_.data();
    stack.ss_size = memory_.size();
    (void)::sigaltstack(&stack, nullptr);
  }
  ~ThreadsStack() {
    stack_t now{};
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    if (::sigaltstack(nullptr, &now) == 0 && now.ss_sp == memory_.data()) (void)::sigaltstack(&none, nullptr);
  }
  ThreadsStack(const ThreadsStack&) = delete;
  ThreadsStack& operator=(const ThreadsStack&) = delete;

 private:
  alignas(16) std::array<std::byte, std::size_t{32} << 10> memory_;  // not touched until it is needed
};

// Uses a key: for a thread_local's destructor the C library needs memory, and aborts if there is none.
class ThreadsStackKey {
 public:
  void renew() const {
    if (error_ != 0) return;
    delete static_cast<ThreadsStack*>(::pthread_getspecific(number_));
    ::pthread_setspecific(number_, nullptr);
    auto stack = std::make_unique<ThreadsStack>();
    if (::pthread_setspecific(number_, stack.get()) == 0) (void)stack.release();
  }

 private:
  pthread_key_t number_ = 0;
  int error_ = ::pthread_key_create(&number_, [](void* stack) { delete static_cast<ThreadsStack*>(stack); });
};

}  // namespace

CrashHandler::CrashHandler(void (*flush)() noexcept) {
  flush_first = flush;
  stack_t stack{};
  if (::sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) != 0) {
    static const ThreadsStackKey key;
    key.renew();
  }
  sigset_t all;  // if blocked, they would end the process without the handler
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
    if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_crash) continue;  // from the parent process
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
}

}  // namespace taskhost
