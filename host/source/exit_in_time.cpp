#include "exit_in_time.hpp"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

constexpr unsigned patience_s = 5;
constexpr unsigned flush_patience_s = 1;
int final_status = 0;

void on_alarm(int /*number*/) {
  constexpr std::string_view words =
      "taskhost: ended without waiting for more: nobody reads stdout, a task holds it, or exit handlers or destructors "
      "of a plugin's globals take too long (rule 5.4)\n";
  pollfd descriptor{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&descriptor, 1, 0) == 1) {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, words.data(), words.size());
  }
  ::_exit(final_status);
}

}  // namespace

void exit_in_time(int status) {
  final_status = status;
  std::signal(SIGALRM, on_alarm);
  sigset_t alarm;
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  if (status == TASKHOST_RESULT_STOP_TIMEOUT) {
    ::alarm(flush_patience_s);
    std::fflush(nullptr);
    ::_exit(status);
  }
  ::alarm(patience_s);
  std::exit(status);  // NOLINT(concurrency-mt-unsafe): all threads of tasks have ended
}

}  // namespace taskhost
