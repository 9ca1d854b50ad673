// The host as its control sees it. Its functions are for any thread but the host's own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/status.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

class ControlledHost {
 public:
  virtual HostStatus describe() = 0;
  // A TASKHOST_RESULT_* code; no name: all tasks. Takes a second at most.
  virtual int describe(std::optional<std::string_view> name, std::vector<TaskStatus>& tasks) = 0;
  // A TASKHOST_RESULT_* code.
  virtual int operate(std::string_view name, Operation operation) = 0;
  // `who`: "user 1000, process 4711"; for the log and the event.
  virtual void stop(const std::string& who) = 0;
  virtual void tell(std::string_view line) noexcept = 0;  // in the log, at level info

 protected:
  ~ControlledHost() = default;
};

}  // namespace taskhost
