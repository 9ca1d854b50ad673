// A process for one test: forked from a parent with a single thread, watched, and killed when it is late. Whatever the
// plugin does in it, the parent goes on.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "verify/progress.hpp"

namespace taskhost::verify {

// The child's side of the pipe: each message goes out at once, so that a crash loses none.
class Reporter {
 public:
  explicit Reporter(int descriptor) : descriptor_(descriptor) {}
  void send(const nlohmann::json& message) const;

 private:
  int descriptor_;
};

struct ChildEnd {
  std::vector<nlohmann::json> messages;
  bool has_finished = false;  // the body returned
  bool was_late = false;      // and was killed
  std::optional<int> status;  // exit status, or
  std::optional<int> signal;  // what killed it
  std::string output;         // the last of what it wrote to stdout and stderr
  std::chrono::nanoseconds lifetime{};
};

// Runs `body` in a child, which ends with _exit when it returns. `progress` is reset, and shared with the child.
// Throws std::system_error if there can be no child.
ChildEnd run_in_child(Progress& progress, std::chrono::nanoseconds limit,
                      const std::function<void(const Reporter& reporter)>& body);

// In memory that children share. Lives as long as the process.
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
