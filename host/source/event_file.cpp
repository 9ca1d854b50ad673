#include "event_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace taskhost {

namespace {
constexpr std::size_t buffer_limit = 64 * 1024;
}

EventFile::EventFile(const std::string& path) : path_(path == "-" ? "stdout" : path) {
  if (path == "-") {
    descriptor_ = STDOUT_FILENO;
    return;
  }
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  owned_ = descriptor_ >= 0;
  if (!owned_) problem_ = path + ": the events can't be written there: " + std::generic_category().message(errno);
}

EventFile::~EventFile() {
  flush();
  if (owned_) ::close(descriptor_);
}

void EventFile::write(const taskhost_event& event) {
  if (failed_) return;
  buffer_.append(event.json, event.json_size).push_back('\n');
  if (event.more == 0 || buffer_.size() >= buffer_limit) flush();
}

void EventFile::flush() {
  const char* next = buffer_.data();
  std::size_t left = buffer_.size();
  while (left != 0 && !failed_) {
    const ssize_t written = ::write(descriptor_, next, left);
    if (written >= 0) {
      next += written;
      left -= static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      failed_ = true;
      problem_ = path_ + ": the events can't be written any more: " + std::generic_category().message(errno);
    }
  }
  buffer_.clear();
}

}  // namespace taskhost
