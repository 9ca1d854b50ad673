// The target of --events: a file, a FIFO, or a standard stream. Writes one line per event and only whole lines; never
// destroys what is already there.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "taskhost/taskhost.h"

namespace taskhost {

class EventFile {
 public:
  // Opens the target before there is a host, since a descriptor's number in the path could later mean one of the
  // host's. "-" is stdout. On failure is_open is false and problem says why. A standard stream is taken away from the
  // process: what tasks print to stdout goes to stderr from now on.
  explicit EventFile(const std::string& path);
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  bool is_open() const noexcept { return descriptor_ >= 0; }
  const std::string& problem() const noexcept { return problem_; }
  // Whether the system refused a descriptor or memory.
  bool is_refused() const noexcept { return is_refused_; }

  // Before the host starts. Trouble is logged as soon as it occurs, and at the end how many events were not written.
  void subscribe(taskhost_host* host);
  // After run. If the host's event thread has been left behind, the end of a FIFO is handled here.
  void close();

 private:
  bool open_path();
  int follow_name(bool had_trouble);
  void take_stream(int stream);
  void write(const taskhost_event& event);
  void flush();
  int write_some();
  bool wait_for_room(int error);
  void take_back_half_a_line();
  void wait_for_reader(std::size_t size);
  std::size_t end_of_whole_lines() const;
  void finish();
  std::uint64_t take_back_unread(int wait_ms);
  void tell(int32_t level, const std::string& text) const;

  std::string path_;  // absolute; empty for a stream
  std::string name_;  // for messages
  int descriptor_ = -1;
  bool is_regular_ = false;
  bool is_fifo_ = false;  // opened by us: a write to it never waits
  std::mutex mutex_;      // protects is_closed_ and each write to a FIFO
  bool is_closed_ = false;
  taskhost_host* host_ = nullptr;
  std::string problem_;
  bool is_refused_ = false;

  // Used by the host's event thread.
  std::string buffer_;       // whole lines; unless it is a file, no more than goes in at once
  std::size_t written_ = 0;  // bytes of the buffer
  std::uint64_t lost_ = 0;   // number of events
  bool full_ = false;        // there was no room, which has been reported
  bool is_astray_ = false;   // its name leads nowhere, which has been reported
  bool over_ = false;        // nobody will ever read it
};

}  // namespace taskhost
