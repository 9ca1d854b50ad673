#include "signals/process_handlers.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <string_view>

#include "system/emergency_thread.hpp"
#include "system/last_words.hpp"
#include "system/own_descriptor.hpp"
#include "system/plugin_code.hpp"
#include "taskhost/core/system_failure.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

constexpr std::array<int, 5> known_numbers = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
constexpr std::uint64_t one_request_ms = 1000;  // from this time apart, two signals are two requests
constexpr timespec end_step = {.tv_sec = 0, .tv_nsec = 100'000'000};
constexpr int end_after_steps = 10;
constexpr std::uint64_t second_bit = std::uint64_t{1} << 32;

constexpr std::uint64_t bit_of(int number) noexcept { return std::uint64_t{1} << number; }
constexpr bool asks_to_end(int number) noexcept { return number == SIGINT || number == SIGTERM; }

struct Former {
  bool taken = false;
  struct sigaction action {};
};

// What the handler uses.
std::atomic<pid_t> owner{0};
std::atomic<bool> closed{false};
std::atomic<int> arrived{-1};          // an eventfd
std::atomic<std::uint64_t> come{0};    // one bit for each number; for the second of two requests, 32 bits higher
std::atomic<std::uint64_t> first{0};   // request to end, as packed by request(); 0 if none
std::atomic<std::uint64_t> latest{0};  // the last one after it
std::atomic<bool> ending{false};
std::atomic<bool> hung_up{false};
std::array<std::atomic<pid_t>, SIGTERM + 1> senders{};  // of the latest one, by number; 0 if unknown
std::array<Former, SIGTERM + 1> former;                 // by number
sem_t end_wanted;

std::mutex mutex;  // protects users and changes of handlers
unsigned users = 0;
bool end_thread_made = false;
std::atomic<bool> had_terminal{false};

// When a request to end came and whether it is from a terminal, in one word, so that handlers on two threads agree on
// the first.
std::uint64_t request(const siginfo_t& info) noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::uint64_t ms =
      static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
  return (ms + 1) << 1 | (info.si_code == SI_KERNEL ? 1 : 0);
}

// Whether two requests count as one, whoever sent them: timeout(1) signals a process and then its group, a preStop hook
// and then the kubelet ask for the same, and a wrapper forwards what it got from the terminal, too. But two from a
// terminal are from a person.
bool is_one_with(std::uint64_t earlier, std::uint64_t later) noexcept {
  return later >> 1 < (earlier >> 1) + one_request_ms && (earlier & later & 1) == 0;
}

void in_another_process(int number, siginfo_t* info, void* context) noexcept {
  const struct sigaction& action = former[static_cast<std::size_t>(number)].action;
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(number, info, context);
  } else if (action.sa_handler == SIG_DFL) {
    ::sigaction(number, &action, nullptr);
    ::raise(number);  // delivered when the handler has returned
  } else if (action.sa_handler != SIG_IGN) {
    action.sa_handler(number);
  }
}

// The bits to report for a request to end: none if it counts as one with the first. The second ends the process.
std::uint64_t bits_of_request(int number, const siginfo_t& info) noexcept {
  const std::uint64_t now = request(info);
  std::uint64_t earlier = 0;
  if (first.compare_exchange_strong(earlier, now)) return bit_of(number);
  if (is_one_with(earlier, now)) return 0;
  latest = now;
  if (!ending.exchange(true)) ::sem_post(&end_wanted);
  return bit_of(number) * second_bit;
}

// 0 if it is unknown, or a terminal.
pid_t sender_of(const siginfo_t& info) noexcept {
  const bool is_sent = info.si_code == SI_USER || info.si_code == SI_QUEUE || info.si_code == SI_TKILL;
  return is_sent ? info.si_pid : 0;
}

void tell(std::uint64_t bits, int number, const siginfo_t& info) noexcept {
  senders[static_cast<std::size_t>(number)] = sender_of(info);
  if (number == SIGHUP && info.si_code == SI_KERNEL) hung_up = true;
  come.fetch_or(bits);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(arrived.load(), &one, sizeof one);
}

void on_signal(int number, siginfo_t* info, void* context) {
  const int kept_error = errno;
  if (owner.load() != ::getpid()) {
    in_another_process(number, info, context);
  } else if (number != SIGPIPE) {
    const std::uint64_t bits = asks_to_end(number) ? bits_of_request(number, *info) : bit_of(number);
    if (bits != 0 && !closed.load()) tell(bits, number, *info);
  }
  errno = kept_error;
}

bool is_ours(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_signal;
}

struct sigaction own_action() noexcept {
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  // A plugin's threads that run goroutines have stacks too small for handlers, and an alternate stack for those that
  // use it.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  return action;
}

void take_over(int number) {
  Former& its = former[static_cast<std::size_t>(number)];
  if (its.taken) return;
  if (::sigaction(number, nullptr, &its.action) != 0) return;
  const struct sigaction action = own_action();
  if (!is_ours(its.action)) its.taken = ::sigaction(number, &action, nullptr) == 0;
}

void take_unless_ignored(int number) {
  if (!SignalHandler::was_ignored(number)) take_over(number);
}

// "At once" must hold even if what is left can't be ended and the system gives no more threads. This thread also
// ensures that some thread gets the signals: the others may have inherited a mask that blocks them.
void* end_process(void* /*unused*/) {
  pthread_setname_np(pthread_self(), "th-end");
  while (true) {
    while (::sem_wait(&end_wanted) != 0) {
    }
    // Waits in small steps, so that time in which the process stood still hardly counts.
    for (int step = 0; step < end_after_steps && ending.load(); ++step) {
      ::clock_nanosleep(CLOCK_MONOTONIC, 0, &end_step, nullptr);
    }
    if (!ending.load()) continue;
    std::array<char, 700> line{};
    std::array<char, 600> code{};
    const std::string_view where = plugin_code_words(code.data(), code.size());
    std::snprintf(line.data(), line.size(), "ended by a second signal %s",
                  where.empty() ? "before everything had stopped and all output was written" : where.data());
    last_words(line.data());
    ::_exit(TASKHOST_RESULT_STOP_TIMEOUT);
  }
}

void make_end_thread() {
  ::sem_init(&end_wanted, 0, 0);
  sigset_t all_but_ours;
  ::sigfillset(&all_but_ours);
  for (const int number : known_numbers) ::sigdelset(&all_but_ours, number);
  if (const int error = make_emergency_thread(end_process, all_but_ours); error != 0) {
    throw system_failure(error, "clone3, for a thread");
  }
  end_thread_made = true;
}

int new_eventfd() {
  const int low = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (low < 0) throw system_failure(errno, "eventfd2");
  const int high = duplicate_out_of_reach(low);
  if (high < 0) return low;
  ::close(low);
  return high;
}

bool is_without_terminal() noexcept {
  const int terminal = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (terminal < 0) return errno == ENXIO || errno == EIO;
  ::close(terminal);
  return false;
}

std::string handler_words(int number, const struct sigaction& action) {
  const std::string name = signal_name(number);
  const bool plain = (action.sa_flags & SA_SIGINFO) == 0;
  std::string words = "a plugin has set " + name;
  if (plain && action.sa_handler == SIG_IGN) {
    words += " to be ignored";
  } else if (plain && action.sa_handler == SIG_DFL) {
    words += " to its default action";
  } else {
    Dl_info library{};
    const auto* const address =
        plain ? reinterpret_cast<const void*>(action.sa_handler) : reinterpret_cast<const void*>(action.sa_sigaction);
    const bool known = ::dladdr(address, &library) != 0 && library.dli_fname != nullptr;
    words = known ? std::string(library.dli_fname) + " has taken over " + name : "a plugin has taken over " + name;
  }
  return words +
         "; the host took it back (rule 5.1: use the extension taskhost.signals, and posix_spawn instead of system(), "
         "which ignores SIGINT while its command runs)";
}

// Between two hosts, or in a child, the program may have set its own handlers, which are then the ones to restore.
void forget_what_others_took() {
  for (std::size_t number = 1; number < former.size(); ++number) {
    struct sigaction now {};
    if (former[number].taken && ::sigaction(static_cast<int>(number), nullptr, &now) == 0 && !is_ours(now)) {
      former[number].taken = false;
    }
  }
}

}  // namespace

SignalHandler::SignalHandler() {
  const std::lock_guard lock(mutex);
  if (owner.load() != ::getpid()) {  // the first one in this process, which may be a child
    users = 0;
    end_thread_made = false;
    arrived = -1;
    latest = 0;
    ending = false;  // the second request was the parent's
  }
  if (arrived.load() < 0) arrived = new_eventfd();
  if (!end_thread_made) make_end_thread();
  if (users == 0) {
    forget_what_others_took();
    had_terminal = !is_without_terminal();
    hung_up = false;
  }
  ++users;
  come = 0;
  first = 0;
  closed = false;
  owner = ::getpid();
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) take_unless_ignored(number);
  struct sigaction pipe {};
  if (::sigaction(SIGPIPE, nullptr, &pipe) == 0 && (pipe.sa_flags & SA_SIGINFO) == 0 && pipe.sa_handler == SIG_DFL) {
    take_over(SIGPIPE);
  }
}

SignalHandler::~SignalHandler() {
  const std::lock_guard lock(mutex);
  if (--users != 0 || owner.load() != ::getpid()) return;
  for (std::size_t number = 1; number < former.size(); ++number) {
    struct sigaction now {};
    if (former[number].taken && number != SIGPIPE && ::sigaction(static_cast<int>(number), nullptr, &now) == 0 &&
        is_ours(now)) {
      ::sigaction(static_cast<int>(number), &former[number].action, nullptr);
      former[number].taken = false;
    }
  }
}

void SignalHandler::watch(int number) {
  const std::lock_guard lock(mutex);
  take_over(number);
}

int SignalHandler::descriptor() const noexcept { return arrived.load(); }

std::vector<SignalHandler::Arrival> SignalHandler::take() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto size = ::read(arrived.load(), &count, sizeof count);
  const std::uint64_t all = come.exchange(0);
  std::vector<Arrival> arrivals;
  for (const std::uint64_t order : {std::uint64_t{1}, second_bit}) {
    for (const int number : known_numbers) {
      if ((all & bit_of(number) * order) != 0) {
        arrivals.push_back({number, order == second_bit, senders[static_cast<std::size_t>(number)]});
        // A shell tells its jobs of a hangup, too.
        if (number == SIGHUP) arrivals.back().hangup = hung_up.exchange(false) || has_lost_terminal();
      }
    }
  }
  return arrivals;
}

bool SignalHandler::has_lost_terminal() noexcept { return had_terminal && is_without_terminal(); }

void SignalHandler::begin_again() noexcept {
  first = latest.load();
  ending = false;
}

void SignalHandler::close() noexcept { closed = true; }

std::vector<std::string> SignalHandler::put_back() {
  std::vector<std::string> texts;
  const std::lock_guard lock(mutex);
  if (users == 0) return texts;
  for (const int number : known_numbers) {
    struct sigaction now {};
    if (!former[static_cast<std::size_t>(number)].taken || ::sigaction(number, nullptr, &now) != 0 || is_ours(now)) {
      continue;
    }
    const struct sigaction action = own_action();
    ::sigaction(number, &action, nullptr);
    texts.push_back(handler_words(number, now));
  }
  return texts;
}

bool SignalHandler::was_ignored(int number) noexcept {
  const Former& its = former[static_cast<std::size_t>(number)];
  struct sigaction action = its.action;
  if (!its.taken && ::sigaction(number, nullptr, &action) != 0) return false;
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}

const char* signal_name(int number) noexcept {
  switch (number) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    case SIGUSR1:
      return "SIGUSR1";
    case SIGUSR2:
      return "SIGUSR2";
    default:
      return "a signal";
  }
}

}  // namespace taskhost
