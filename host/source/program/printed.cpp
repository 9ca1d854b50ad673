#include "program/printed.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <string>
#include <system_error>

#include "system/own_descriptor.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

int first_error = 0;
int output = STDOUT_FILENO;

}  // namespace

void keep_stdout_for_data() noexcept {
  const int own = duplicate_out_of_reach(STDOUT_FILENO);
  if (own < 0) return;
  std::fflush(stdout);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  output = own;
}

// Bypasses stdio, which discards what a non-blocking descriptor does not take at once.
void print_out(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::va_list again;
  va_copy(again, arguments);
  const int size = std::vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  std::string text(size > 0 ? static_cast<std::size_t>(size) : 0, '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);

  std::fflush(stdout);  // what a plugin printed goes first
  for (std::size_t written = 0; written < text.size() && first_error == 0;) {
    const ssize_t some = ::write(output, text.data() + written, text.size() - written);
    if (some >= 0) {
      written += static_cast<std::size_t>(some);
    } else if (errno == EAGAIN) {
      is_ready(output, POLLOUT, -1);
    } else if (errno != EINTR) {
      first_error = errno;
    }
  }
}

int print_out_error() noexcept { return first_error; }

int with_output_written(int status, int status_of_failure) {
  if (print_out_error() == 0) return status;
  std::fprintf(stderr, "taskhost: can't write to stdout: %s\n",
               std::generic_category().message(print_out_error()).c_str());
  return status != TASKHOST_RESULT_OK ? status : status_of_failure;
}

}  // namespace taskhost
