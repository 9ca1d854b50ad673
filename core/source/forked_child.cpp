#include "forked_child.hpp"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "task_cell.hpp"
#include "tenure.hpp"

namespace taskhost {

namespace {

constexpr int exit_status = 127;  // as of a child that could not exec

// Initial-exec: reaching it in a child takes no memory.
__attribute__((tls_model("initial-exec"))) thread_local Tenure* thread_tenure = nullptr;

void mark() {
  if (thread_tenure != nullptr) thread_tenure->mark_as_parents();
}

}  // namespace

ForkMark::ForkMark(Tenure& tenure) noexcept {
  static const int error = ::pthread_atfork(nullptr, nullptr, mark);  // no memory: such a child goes unnoticed
  (void)error;
  thread_tenure = &tenure;
}

ForkMark::~ForkMark() { thread_tenure = nullptr; }

void end_forked_child(const TaskCell* cell) noexcept {
  // To the child's own stderr, past the log, whose thread is the parent's.
  std::array<char, 512> line;
  const int size = std::snprintf(
      line.data(), line.size(),
      "taskhost: a child process that %s%.256s%s forked returned into the host, and ends here (rule 3.14)\n",
      cell != nullptr ? "task '" : "a handler", cell != nullptr ? cell->name() : "", cell != nullptr ? "'" : "");
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(size));
  ::_exit(exit_status);
}

}  // namespace taskhost
