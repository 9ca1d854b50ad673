// The process between a test and the one that verifies: the parent of the test, and of the orphans of all that the test
// starts (PR_SET_CHILD_SUBREAPER). So these are known by their descent, and nobody else's process is ever touched.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "verify/descriptor.hpp"

namespace taskhost::verify {

constexpr std::size_t max_processes = 100;  // of a test, its own included

// How a test's process ended.
struct Kept {
  std::optional<int> wait_status;         // as from waitpid; none if the keeper itself was killed
  bool had_too_many_processes = false;    // and was killed for it
  std::vector<std::string> left_running;  // names of its descendants that went on, if it ended by itself
};

class Keeper {
 public:
  // Forks. `test` runs in a process of its own, gets its parent's id, and does not return. Throws std::system_error.
  explicit Keeper(const std::function<void(pid_t parent)>& test);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // Readable once the test has ended, and all that it started was killed.
  int descriptor() const noexcept { return report_.get(); }
  // Ends the test if it goes on.
  Kept end();

 private:
  Descriptor report_;
  Descriptor lifeline_;  // closed: the test is to end, since nobody waits for it any more
  pid_t process_ = 0;
};

}  // namespace taskhost::verify
