#include "system/last_words.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "system/background_write.hpp"
#include "system/own_descriptor.hpp"

namespace taskhost {

namespace {

constexpr int patience_ms = 100;
// What a pipe that poll reports as writable takes at once. (PIPE_BUF)
constexpr std::size_t max_line_bytes = 4096;

std::atomic<int> kept_stderr{STDERR_FILENO};
std::atomic<bool> is_within_line{false};
std::atomic<bool> is_json{false};
std::atomic<bool> is_journal{false};

// A line of limited length; async-signal-safe.
class LastLine {
 public:
  LastLine(std::string_view text, char priority) noexcept {
    if (is_within_line) add("\n");
    if (is_journal) {
      const std::array<char, 3> prefix{'<', priority, '>'};
      add({prefix.data(), prefix.size()});
    }
    if (!is_json) {
      add("taskhost: ");
      add_printable(text);
    } else {
      add("{\"time\":\"");
      add_time();
      add("\",\"level\":\"error\",\"message\":\"");
      add_printable(text);
      add("\"}", end_room);
    }
    add("\n", end_room);
  }
  std::string_view text() const noexcept { return {line_.data(), size_}; }

 private:
  static constexpr std::size_t end_room = 4;

  void add(std::string_view part, std::size_t more_room = 0) noexcept {
    part = part.substr(0, line_.size() - end_room + more_room - size_);
    std::memcpy(line_.data() + size_, part.data(), part.size());
    size_ += part.size();
  }
  void add_printable(std::string_view text) noexcept {
    for (const char c : text) {
      const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;  // from a name: keep it on one line
      if (is_json && (c == '"' || c == '\\')) {
        const std::array<char, 2> escaped{'\\', c};
        add({escaped.data(), size_ + 2 > line_.size() - end_room ? 0 : escaped.size()});
      } else {
        add(is_control ? std::string_view("?") : std::string_view(&c, 1));
      }
    }
  }
  void add_digits(std::uint64_t number, std::size_t width) noexcept {
    std::array<char, 20> digits;
    for (std::size_t i = width; i-- > 0; number /= 10) digits[i] = static_cast<char>('0' + number % 10);
    add({digits.data(), width});
  }
  void add_time() noexcept {
    using std::chrono::microseconds;
    const auto now = std::chrono::floor<microseconds>(std::chrono::system_clock::now());
    const auto day = std::chrono::floor<std::chrono::days>(now);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(now - day);
    add_digits(static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
    add("-"), add_digits(static_cast<unsigned>(date.month()), 2);
    add("-"), add_digits(static_cast<unsigned>(date.day()), 2);
    add("T"), add_digits(static_cast<std::uint64_t>(time.hours().count()), 2);
    add(":"), add_digits(static_cast<std::uint64_t>(time.minutes().count()), 2);
    add(":"), add_digits(static_cast<std::uint64_t>(time.seconds().count()), 2);
    add("."), add_digits(static_cast<std::uint64_t>(time.subseconds().count()), 6);
    add("Z");
  }

  std::array<char, max_line_bytes> line_;
  std::size_t size_ = 0;
};

// With O_APPEND, truncating the file leaves no hole, and others who write to it do not end up in the middle of a line.
// It is set for all that share the descriptor with us, so what tasks print to it does not overwrite the log, either.
void append_to_file(int descriptor) noexcept {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return;
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags != -1) ::fcntl(descriptor, F_SETFL, flags | O_APPEND);
}

// JOURNAL_STREAM is "DEVICE:INODE" of the stream. It is inherited, also by programs whose stderr leads elsewhere.
bool is_journal_stream(int descriptor) noexcept {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(descriptor, &status) != 0) return false;
  const std::string_view text = stream;
  dev_t device = 0;
  ino_t inode = 0;
  const auto [colon, device_error] = std::from_chars(text.data(), text.data() + text.size(), device);
  if (device_error != std::errc() || colon == text.data() + text.size() || *colon != ':') return false;
  const auto [end, inode_error] = std::from_chars(colon + 1, text.data() + text.size(), inode);
  return inode_error == std::errc() && end == text.data() + text.size() && device == status.st_dev &&
         inode == status.st_ino;
}

}  // namespace

void keep_stderr() noexcept {
  is_journal = is_journal_stream(STDERR_FILENO);
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
  // A plugin may close descriptors that it did not open.
  if (written < 0 && errno == EBADF && kept_stderr.exchange(STDERR_FILENO) != STDERR_FILENO) {
    written = write_in_background(STDERR_FILENO, text);
  }
  if (written > 0) is_within_line = text[static_cast<std::size_t>(written) - 1] != '\n';
  return written;
}

void write_last_words_as_json(bool wanted) noexcept { is_json = wanted; }

bool stderr_is_journal() noexcept { return is_journal; }

void last_words(std::string_view text, char priority) noexcept {
  const int kept_error = errno;
  const LastLine line(text, priority);
  std::string_view left = line.text();
  while (!left.empty()) {
    errno = 0;
    if (!is_ready(own_stderr(), POLLOUT, patience_ms)) {
      if (errno == EINTR) continue;
      break;
    }
    const ssize_t written = write_to_stderr(left);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  errno = kept_error;
}

}  // namespace taskhost
