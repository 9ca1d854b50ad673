// Where --events writes: a file, or stdout. One line an event, whole lines only.
#pragma once

#include <string>

#include "taskhost/taskhost.h"

namespace taskhost {

class EventFile {
 public:
  // "-" is stdout. Truncates. On failure is_open is false and problem says why.
  explicit EventFile(const std::string& path);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  bool is_open() const noexcept { return descriptor_ >= 0; }
  const std::string& problem() const noexcept { return problem_; }

  // The host's event thread. Collects lines while more follow at once. After a failed write the rest is dropped.
  void write(const taskhost_event& event);
  bool failed() const noexcept { return failed_; }  // once the host has stopped

 private:
  void flush();

  const std::string path_;
  int descriptor_ = -1;
  bool owned_ = false;
  bool failed_ = false;
  std::string problem_;
  std::string buffer_;
};

}  // namespace taskhost
