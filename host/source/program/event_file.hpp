// Where --events writes: a file, a FIFO, or a standard stream. One line an event, whole lines only; what is there
// already is never destroyed.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "taskhost/taskhost.h"

namespace taskhost {

class EventFile {
 public:
  // Opens, before there is a host, whose descriptors a number in the path would else mean: "-" is stdout. On failure
  // is_open is false and problem says why. A stream of the process's own is taken away from it: what tasks print to
  // stdout goes to stderr from now on.
  explicit EventFile(const std::string& path);
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  bool is_open() const noexcept { return descriptor_ >= 0; }
  const std::string& problem() const noexcept { return problem_; }
  // Whether the system refused it a descriptor or memory.
  bool is_refused() const noexcept { return is_refused_; }

  // Before the host starts. Trouble goes to its log as soon as it comes, and at the end what never got to its place.
  void subscribe(taskhost_host* host);
  // After run: if the host's event thread has been left behind, a FIFO's end is told here.
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

  std::string path_;  // absolute; empty: a stream
  std::string name_;  // for people
  int descriptor_ = -1;
  bool is_regular_ = false;
  bool is_fifo_ = false;  // of ours: a write there never waits
  std::mutex mutex_;      // of is_closed_, and each write to a FIFO
  bool is_closed_ = false;
  taskhost_host* host_ = nullptr;
  std::string problem_;
  bool is_refused_ = false;

  // The host's event thread.
  std::string buffer_;       // whole lines; of what is no file, no more than goes in at once
  std::size_t written_ = 0;  // of the buffer
  std::uint64_t lost_ = 0;   // events
  bool full_ = false;        // there was no room, and that was told
  bool is_astray_ = false;   // its name leads nowhere, and that was told
  bool over_ = false;        // nobody will ever read it
};

}  // namespace taskhost
