#include "system/failed_writes.hpp"

#include <unistd.h>

#include <array>
#include <csignal>

namespace taskhost {

namespace {

constexpr std::array<int, 2> signals_of_writes{SIGPIPE, SIGXFSZ};
std::array<bool, 2> is_taken_over{};
pid_t handling_process = 0;

void on_failed_write(int number) {
  if (::getpid() == handling_process) return;
  std::signal(number, SIG_DFL);
  ::raise(number);  // delivered when this handler returns
}

}  // namespace

void ignore_failed_writes() noexcept {
  for (std::size_t i = 0; i < signals_of_writes.size(); ++i) {
    is_taken_over[i] = std::signal(signals_of_writes[i], SIG_IGN) != SIG_IGN;
  }
}

void handle_failed_writes() noexcept {
  handling_process = ::getpid();
  struct sigaction action {};
  action.sa_handler = on_failed_write;
  action.sa_flags = SA_ONSTACK | SA_RESTART;  // threads that run goroutines have stacks too small for handlers
  ::sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < signals_of_writes.size(); ++i) {
    if (is_taken_over[i]) ::sigaction(signals_of_writes[i], &action, nullptr);
  }
}

}  // namespace taskhost
