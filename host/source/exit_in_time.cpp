#include "exit_in_time.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "last_words.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

constexpr std::time_t patience_s = 5;
constexpr std::time_t flush_patience_s = 1;
constexpr std::int64_t late_ms = 100;  // then the process itself stood still
int final_status = 0;
std::time_t duration_s = 0;
std::int64_t due_ms = 0;
timer_t timer{};
bool armed_anew = false;

std::int64_t now_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

void arm() noexcept {
  due_ms = now_ms() + duration_s * 1000;
  const itimerspec times{.it_interval = {}, .it_value = {.tv_sec = duration_s, .tv_nsec = 0}};
  ::timer_settime(timer, 0, &times, nullptr);
}

// A plugin's own timers may come with the same signal.
void on_alarm(int /*number*/, siginfo_t* info, void* /*context*/) {
  if (info->si_code != SI_TIMER || info->si_value.sival_ptr != &timer) return;
  if (now_ms() - due_ms > late_ms && !std::exchange(armed_anew, true)) return arm();
  last_words(
      "ended without waiting for more: nobody reads stdout, a task holds it, or exit handlers or destructors of a "
      "plugin's globals take too long (rule 5.4)");
  ::_exit(final_status);
}

// One timer of the process's own: alarm() has only one, and that may be a plugin's.
void end_after(std::time_t duration) {
  duration_s = duration;
  struct sigaction action {};
  action.sa_sigaction = on_alarm;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGALRM, &action, nullptr);
  sigset_t alarm;
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  event.sigev_value.sival_ptr = &timer;
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) arm();
}

}  // namespace

void exit_in_time(int status) {
  final_status = status;
  if (status == TASKHOST_RESULT_STOP_TIMEOUT) {
    end_after(flush_patience_s);
    std::fflush(nullptr);
    ::_exit(status);
  }
  end_after(patience_s);
  std::exit(status);  // NOLINT(concurrency-mt-unsafe): all threads of tasks have ended
}

}  // namespace taskhost
