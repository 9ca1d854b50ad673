// A process for one test: forked from a parent with a single thread, watched, and killed if it takes too long, writes
// too much or has too many descendants. Whatever the plugin does in it, the parent goes on, and nothing that it started
// is left: meanwhile the parent adopts orphans (PR_SET_CHILD_SUBREAPER).
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "verify/progress.hpp"

namespace taskhost::verify {

// The child's end of the pipe. Each message is sent at once, so that a crash loses none.
class Reporter {
 public:
  explicit Reporter(int descriptor) : descriptor_(descriptor) {}
  void send(const nlohmann::json& message) const;

 private:
  int descriptor_;
};

constexpr std::size_t max_output = std::size_t{64} << 20;
constexpr std::size_t max_processes = 100;

struct ChildEnd {
  std::vector<nlohmann::json> messages;
  bool has_finished = false;  // the body returned
  bool was_late = false;      // and was killed for it
  bool was_stuck = false;     // in a call that should have returned
  std::chrono::nanoseconds time_in_call{};
  std::optional<int> status;              // exit status, or
  std::optional<int> signal;              // the signal that killed it
  std::string output;                     // the end of what it wrote to stdout and stderr
  bool wrote_too_much = false;            // and was killed for it
  bool had_too_many_processes = false;    // and was killed for it
  std::vector<std::string> left_running;  // names of processes that it left in sessions of their own; they are killed
  std::chrono::nanoseconds lifetime{};
};

// Runs `body` in a child, which ends with _exit when it returns. `progress` is reset and shared with the child. Throws
// std::system_error if no child can be created.
ChildEnd run_in_child(Progress& progress, std::chrono::nanoseconds limit,
                      const std::function<void(const Reporter& reporter)>& body);

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
