// The host as its control sees it. Its functions are for any thread but the host's own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/status.hpp"
#include "events/history.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

class ControlledHost {
 public:
  virtual HostStatus describe() = 0;
  // A TASKHOST_RESULT_* code; no name: all tasks. Takes a second at most.
  // `with_shares`: with their shares of their shards' time, for which these are looked at for some seconds.
  virtual int describe(std::optional<std::string_view> name, std::vector<TaskStatus>& tasks, bool with_shares) = 0;
  int describe(std::optional<std::string_view> name, std::vector<TaskStatus>& tasks) {
    return describe(name, tasks, true);
  }
  virtual bool has_task(std::string_view name) = 0;
  // A TASKHOST_RESULT_* code.
  virtual int operate(std::string_view name, Operation operation) = 0;
  // `who`: "user 1000, process 4711"; for the log and the event.
  virtual void stop(const std::string& who) = 0;
  // What was kept of the events and of the log. Valid as long as the host.
  virtual History& kept_events() noexcept = 0;
  virtual History& kept_log() noexcept = 0;
  // Whether somebody follows the events.
  virtual void follow_events(bool follows) noexcept = 0;
  virtual std::string_view instance() const noexcept = 0;                             // HostStatus::instance
  virtual void tell(std::string_view line, const char* task = nullptr) noexcept = 0;  // in the log, at level info
  virtual void warn(std::string_view line) noexcept = 0;

 protected:
  ~ControlledHost() = default;
};

}  // namespace taskhost
