// A process for one test: forked from one with a single thread, by a keeper, watched, and killed if it takes too long,
// writes too much or has too many descendants. Whatever the plugin does in it, the caller goes on, and nothing that it
// started is left.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "verify/progress.hpp"

namespace taskhost::verify {

// The child's end of the pipe. Each message is sent at once, so that a crash loses none. It carries a secret: a plugin
// may write to descriptors that are not its own.
class Reporter {
 public:
  Reporter(int descriptor, std::string secret) : descriptor_(descriptor), secret_(std::move(secret)) {}
  void send(nlohmann::json message) const;

 private:
  int descriptor_;
  std::string secret_;
};

// A field of a message; "" if it is absent or of another type.
std::string text_in(const nlohmann::json& message, const char* field);

constexpr std::size_t max_output = std::size_t{64} << 20;

struct ChildEnd {
  std::vector<nlohmann::json> messages;
  bool has_finished = false;          // the body returned, and the child ended with status 0
  std::string refusal;                // why the body could not go on, if Progress::is_refused
  bool has_foreign_messages = false;  // the plugin wrote to the child's end of the pipe
  bool was_late = false;              // and was killed for it
  bool was_stuck = false;             // in a call that should have returned
  std::chrono::nanoseconds time_in_call{};
  std::optional<int> status;              // exit status, or
  std::optional<int> signal;              // the signal that killed it
  std::string output;                     // the end of what it wrote to stdout and stderr
  bool wrote_too_much = false;            // and was killed for it
  bool had_too_many_processes = false;    // and was killed for it
  std::vector<std::string> left_running;  // names of processes that it left, if it ended by itself; they are killed
  std::chrono::nanoseconds lifetime{};
  // How long the caller was late in looking at the child: both may have stood still, or the child may have waited for
  // the caller, which reads what it writes.
  std::chrono::nanoseconds stood_still{};
};

// Runs `body` in a child, which ends with _exit when it returns or throws: what it throws is a failure of the kit's
// own, told in Progress::is_refused. `progress` is reset and shared with the child. Throws std::system_error if no
// child can be created.
ChildEnd run_in_child(Progress& progress, std::chrono::nanoseconds limit,
                      const std::function<void(const Reporter& reporter)>& body);

// In the child, before the plugin is loaded: what it holds beyond this is the plugin's, if something runs out.
void measure_before_plugin();

// In memory shared with children. Lives as long as the process.
class SharedProgress {
 public:
  SharedProgress();
  ~SharedProgress();
  SharedProgress(const SharedProgress&) = delete;
  SharedProgress& operator=(const SharedProgress&) = delete;
  Progress& operator*() const noexcept { return *progress_; }
  Progress* operator->() const noexcept { return progress_; }

 private:
  Progress* progress_;
};

}  // namespace taskhost::verify
