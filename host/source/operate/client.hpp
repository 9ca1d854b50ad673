// A connection to a control socket, as a client of its HTTP API. Nothing waits for ever: a host that is stuck, or a
// program that is no taskhost, costs a few seconds. One thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace taskhost {

class ControlClient {
 public:
  enum class Trouble : std::uint8_t {
    none,
    absent,      // there is no such file
    unanswered,  // nobody listens there
    forbidden,   // this user may not connect
    long_path,   // no socket can have such a name
    slow,        // it did not answer in time
    gone,        // it closed the connection before its answer was complete
    not_http,    // what answers speaks another language
    too_large,   // the answer is
    system,      // see error()
  };
  struct Answer {
    unsigned status = 0;
    std::string body{};
    std::string server{};  // as it calls itself: "taskhost/0.1.0"
  };

  // Connects; trouble() tells whether that went well. All waiting is over, as if it had taken too long, once the
  // descriptor `interrupt` is readable.
  ControlClient(const std::string& path, std::chrono::nanoseconds patience, int interrupt = -1);
  ~ControlClient();
  ControlClient(ControlClient&& other) noexcept;
  ControlClient& operator=(ControlClient&&) = delete;

  // A request without a body, and its answer. `patience` limits each silence of the other side, and ten times as much
  // the whole answer. False, or nothing, after a trouble.
  bool send(std::string_view method, std::string_view target);
  std::optional<Answer> receive(std::chrono::nanoseconds patience);
  // The same for an answer that goes on: each line of its body is handed over as it comes, without its end, if the
  // status is 200. `take` returns false to hear no more. Without a patience, silences may last as long as somebody
  // reads from this program's stdout.
  using TakeLine = std::function<bool(std::string_view line)>;
  std::optional<Answer> receive_lines(std::optional<std::chrono::nanoseconds> patience, const TakeLine& take);

  Trouble trouble() const noexcept { return trouble_; }
  int error() const noexcept { return error_; }           // errno, for words
  pid_t peer_process() const noexcept { return peer_; }   // 0: unknown, such as one in another container
  bool has_asked() const noexcept { return has_asked_; }  // whether a request may have reached it

 private:
  std::optional<Answer> receive(std::optional<std::chrono::nanoseconds> patience, const TakeLine& take);
  std::nullopt_t fail(Trouble trouble, int error = 0);

  int descriptor_ = -1;
  int interrupt_;
  Trouble trouble_ = Trouble::none;
  int error_ = 0;
  pid_t peer_ = 0;
  bool has_asked_ = false;
  std::string unread_;  // came with the answer before
};

// For a request's target: all but letters, digits and "-._~" as %XX.
std::string percent_encoded(std::string_view text);

}  // namespace taskhost
