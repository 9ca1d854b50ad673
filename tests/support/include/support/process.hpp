// One run of a program, seen from outside. Belongs to one thread; a program still running at the end is killed.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace taskhost::test {

// How long a test waits for what must happen. A correct program never needs that long; sanitizer builds on a busy
// machine are slow.
inline constexpr std::chrono::seconds patience{120};

// Calls `holds` repeatedly until it returns true; returns false when the time is over.
bool eventually(const std::function<bool()>& holds, std::chrono::nanoseconds limit = patience);

// Where a standard stream of the program leads.
enum class Wiring {
  captured,     // out, err: kept for the test. in: like null_device
  piped,        // in: for write. out: for read_line. err: like captured
  null_device,  //
  closed,       // the descriptor does not exist
  broken_pipe,  // out, err: a pipe that nobody reads
};

struct Command {
  std::filesystem::path program;            // a name without a slash is looked up in PATH
  std::vector<std::string> arguments;       // without the program's name
  std::vector<std::string> environment;     // "NAME=value", in addition to the test's own
  std::filesystem::path working_directory;  // empty: the test's own
  Wiring in = Wiring::null_device;
  Wiring out = Wiring::captured;
  Wiring err = Wiring::captured;
  int in_descriptor = -1;                      // one of the test's, instead of what `in` says
  int out_descriptor = -1;                     //
  int err_descriptor = -1;                     //
  std::vector<std::pair<int, rlim_t>> limits;  // {RLIMIT_NOFILE, 64}
  bool obeys_file_modes = false;               // even if root runs the tests
};

struct ProcessEnd {
  std::string program;
  std::optional<int> status;  // exit status, or
  std::optional<int> signal;  // the signal that killed it
  bool timed_out = false;     // the test killed it after its patience
  std::chrono::nanoseconds lifetime{};
  std::chrono::nanoseconds cpu{};  // user and system
  std::string out;
  std::string err;

  std::string summary() const;         // for a failing test: how it ended, in a line, and what it wrote
  void require(int wanted = 0) const;  // throws the summary if the status is another one
};

class Process {
 public:
  explicit Process(const Command& command);  // throws if it can't be started
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t id() const noexcept { return id_; }
  bool running();
  void send(int signal);                 // does nothing if it has ended
  std::chrono::nanoseconds age() const;  // since right before it was started

  // For piped streams. write() returns false if the program no longer reads, provided that SIGPIPE is ignored.
  // read_line() returns a line without its end, and false at the end of the output or when the time is over.
  bool write(std::string_view text) const;
  bool read_line(std::string& line, std::chrono::nanoseconds limit = patience);

  // What it has written so far, where that is captured.
  std::string out() const;
  std::string err() const;

  // Waits until it has written `text` to stderr, or has ended; returns whether it has written the text.
  bool wait_for_err(std::string_view text, std::chrono::nanoseconds limit = patience);

  // Waits for its end; kills it when the time is over.
  ProcessEnd wait(std::chrono::nanoseconds limit = patience);

 private:
  void reap(bool block);

  std::string program_;
  pid_t id_ = -1;
  int in_ = -1;   // a pipe, or -1
  int out_ = -1;  // a pipe or an unnamed file, or -1
  int err_ = -1;  // an unnamed file, or -1
  std::string unread_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point ended_;
  std::chrono::nanoseconds cpu_{};
  std::optional<int> wait_status_;
};

}  // namespace taskhost::test
