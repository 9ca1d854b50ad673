#include "last_words.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "own_descriptor.hpp"

namespace taskhost {

namespace {

constexpr int patience_ms = 100;
// What a pipe that poll calls writable takes at once. (PIPE_BUF)
constexpr std::size_t line_limit = 4096;

std::atomic<int> kept_stderr{STDERR_FILENO};

}  // namespace

void keep_stderr() noexcept {
  if (const int kept = kept_stderr; kept != STDERR_FILENO) {
    (void)::dup3(STDERR_FILENO, kept, O_CLOEXEC);
    return;
  }
  const int copy = duplicate_out_of_reach(STDERR_FILENO);
  if (copy < 0) return;
  int none = STDERR_FILENO;
  if (!kept_stderr.compare_exchange_strong(none, copy)) ::close(copy);
}

int own_stderr() noexcept { return kept_stderr; }

void last_words(std::string_view text) noexcept {
  constexpr std::string_view begin = "taskhost: ";
  std::array<char, line_limit> line;
  text = text.substr(0, line.size() - begin.size() - 1);
  std::memcpy(line.data(), begin.data(), begin.size());
  std::memcpy(line.data() + begin.size(), text.data(), text.size());
  std::size_t left = begin.size() + text.size();
  line[left++] = '\n';

  const int kept_error = errno;
  const char* next = line.data();
  while (left != 0) {
    pollfd descriptor{.fd = own_stderr(), .events = POLLOUT, .revents = 0};
    const int ready = ::poll(&descriptor, 1, patience_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    const ssize_t written = ::write(descriptor.fd, next, left);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    next += written;
    left -= static_cast<std::size_t>(written);
  }
  errno = kept_error;
}

}  // namespace taskhost
