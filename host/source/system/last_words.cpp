#include "system/last_words.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "system/background_write.hpp"
#include "system/own_descriptor.hpp"

namespace taskhost {

namespace {

constexpr int patience_ms = 100;
// What a pipe that poll calls writable takes at once. (PIPE_BUF)
constexpr std::size_t line_limit = 4096;

std::atomic<int> kept_stderr{STDERR_FILENO};
std::atomic<bool> is_within_line{false};

// Whoever shortens the file meanwhile gets no hole, and who else writes to it no line in the midst of another. It is
// set for all that share the descriptor with us, so that what tasks print to it does not overwrite the log either.
void append_to_file(int descriptor) noexcept {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return;
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags != -1) ::fcntl(descriptor, F_SETFL, flags | O_APPEND);
}

}  // namespace

void keep_stderr() noexcept {
  append_to_file(STDERR_FILENO);
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

ssize_t write_to_stderr(std::string_view text) noexcept {
  ssize_t written = write_in_background(own_stderr(), text);
  // A plugin may close what it did not open.
  if (written < 0 && errno == EBADF && kept_stderr.exchange(STDERR_FILENO) != STDERR_FILENO) {
    written = write_in_background(STDERR_FILENO, text);
  }
  if (written > 0) is_within_line = text[static_cast<std::size_t>(written) - 1] != '\n';
  return written;
}

void last_words(std::string_view text) noexcept {
  const std::string_view begin = is_within_line ? "\ntaskhost: " : "taskhost: ";
  std::array<char, line_limit> line;
  text = text.substr(0, line.size() - begin.size() - 1);
  std::memcpy(line.data(), begin.data(), begin.size());
  std::transform(text.begin(), text.end(), line.begin() + begin.size(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;  // of a name: it stays one line
  });
  std::size_t left = begin.size() + text.size();
  line[left++] = '\n';

  const int kept_error = errno;
  const char* next = line.data();
  while (left != 0) {
    errno = 0;
    if (!is_ready(own_stderr(), POLLOUT, patience_ms)) {
      if (errno == EINTR) continue;
      break;
    }
    const ssize_t written = write_to_stderr({next, left});
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    next += written;
    left -= static_cast<std::size_t>(written);
  }
  errno = kept_error;
}

}  // namespace taskhost
