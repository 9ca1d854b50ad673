#include "lines.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "taskhost/plugin.h"

namespace exec {

namespace {

constexpr std::size_t max_line_bytes = 4000;                // the host cuts at 4096
constexpr std::size_t max_kept_bytes = max_line_bytes + 8;  // with its level, a carriage return, and what is too much
constexpr std::size_t max_character_bytes = 4;

std::int32_t level_of(char digit) {
  if (digit <= '3') return TASKHOST_LOG_ERROR;
  if (digit == '4') return TASKHOST_LOG_WARNING;
  return digit == '7' ? TASKHOST_LOG_DEBUG : TASKHOST_LOG_INFO;
}

bool is_inside_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

}  // namespace

std::string_view cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && most - end < max_character_bytes && is_inside_character(text[end])) --end;
  return text.substr(0, is_inside_character(text[end]) ? most : end);  // in bytes that are no text, anywhere
}

Lines::Lines(Take take) : take_(std::move(take)) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_failure("can't make a pipe");
  source_ = Descriptor(ends[0]);
  sink_ = Descriptor(ends[1]);
  ::fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK);  // of this end alone: the program's blocks, as it expects
}

bool Lines::read(std::size_t most) {
  std::array<char, 8192> bytes;
  while (most > 0 && !is_at_end_) {
    const ssize_t size = ::read(source_.get(), bytes.data(), std::min(most, bytes.size()));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    is_at_end_ = size == 0;
    take_bytes({bytes.data(), static_cast<std::size_t>(size)});
    most -= static_cast<std::size_t>(size);
  }
  return !is_at_end_;
}

void Lines::take_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    line_.append(part.substr(0, max_kept_bytes - line_.size()));
    if (end == std::string_view::npos) return;
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void Lines::end_line() {
  std::int32_t level = TASKHOST_LOG_INFO;
  std::replace(line_.begin(), line_.end(), '\t', ' ');  // the log would show its code
  std::string_view line = line_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
    level = level_of(line[1]);
    line.remove_prefix(3);
  }
  if (line.size() > max_line_bytes) {
    take_(level, std::string(cut(line, max_line_bytes)) + " (cut)");
  } else {
    take_(level, line);
  }
  line_.clear();
}

void Lines::finish() {
  if (!line_.empty()) end_line();
}

}  // namespace exec
