#include "worker/output_lines.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "taskhost/core/limits.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

constexpr std::string_view cut_mark = " (cut)";
constexpr std::size_t max_line = max_message_bytes - cut_mark.size();
constexpr std::size_t max_kept = max_line + 8;  // with its level, a carriage return, and what is too much

LogLevel level_of(char digit) {
  if (digit <= '3') return LogLevel::error;
  if (digit == '4') return LogLevel::warning;
  return digit == '7' ? LogLevel::debug : LogLevel::info;
}

}  // namespace

OutputLines::OutputLines(Take take) : take_(std::move(take)) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_failure(errno, "pipe2");
  source_ = Descriptor(ends[0]);
  sink_ = Descriptor(ends[1]);
  ::fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK);  // of this end alone: the worker's blocks, as plugins expect
}

bool OutputLines::read(std::size_t most) {
  std::array<char, 4096> bytes;
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

void OutputLines::take_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    line_.append(part.substr(0, max_kept - line_.size()));
    if (end == std::string_view::npos) return;
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void OutputLines::end_line() {
  std::string line = std::exchange(line_, {});
  LogLevel level = LogLevel::info;
  std::replace(line.begin(), line.end(), '\t', ' ');  // the log would show its code
  if (line.ends_with('\r')) line.pop_back();
  if (line.size() >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
    level = level_of(line[1]);
    line.erase(0, 3);
  }
  if (line.size() > max_line) {
    std::size_t size = max_line;
    while (size > 0 && max_line - size < 3 && (static_cast<unsigned char>(line[size]) & 0xC0U) == 0x80U) --size;
    line.resize(size);
    line += cut_mark;
  }
  take_(level, line);
}

void OutputLines::finish() {
  if (!line_.empty()) end_line();
}

}  // namespace taskhost
