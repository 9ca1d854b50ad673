#include "forked_child.hpp"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>

#include "call_frame.hpp"
#include "task_cell.hpp"
#include "taskhost/core/home_process.hpp"
#include "tenure.hpp"

namespace taskhost {

namespace {

constexpr int exit_status = 127;  // like that of a child that could not exec

// Initial-exec, so that access in a child allocates no memory.
__attribute__((tls_model("initial-exec"))) thread_local Tenure* thread_tenure = nullptr;

}  // namespace

std::atomic<unsigned> HomeProcess::forks{0};

void mark_child() noexcept {
  HomeProcess::forks.store(HomeProcess::forks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (thread_tenure != nullptr) thread_tenure->mark_as_parents();
  forget_call();
}

HomeProcess::HomeProcess() noexcept {
  static const int error = ::pthread_atfork(nullptr, nullptr, mark_child);  // if it fails, children go unnoticed
  (void)error;
  forks_at_start_ = forks.load(std::memory_order_relaxed);
}

ForkMark::ForkMark(Tenure& tenure) noexcept {
  const HomeProcess listens;  // registers mark_child
  thread_tenure = &tenure;
}

ForkMark::~ForkMark() { thread_tenure = nullptr; }

void end_forked_child(const TaskCell* cell) noexcept {
  end_forked_child(cell != nullptr ? "task" : nullptr, cell != nullptr ? cell->name() : nullptr);
}

void end_forked_child(const char* what, const char* name) noexcept {
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTTOU);
  ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);  // or a terminal with `stty tostop` would stop it here for ever
  // Directly to the child's stderr: the log's thread exists only in the parent.
  std::array<char, 512> line;
  const int size = std::snprintf(
      line.data(), line.size(),
      "taskhost: a child process that %s%s%.256s%s forked returned into the host, and ends here (rule 3.14)\n",
      name != nullptr ? what : "a handler", name != nullptr ? " '" : "", name != nullptr ? name : "",
      name != nullptr ? "'" : "");
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(size));
  ::_exit(exit_status);
}

}  // namespace taskhost
