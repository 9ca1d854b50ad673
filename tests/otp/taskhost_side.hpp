// taskhost's side: core's supervisor with its real threads, and tasks that end on command. Its functions are called
// from one thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scenario.hpp"
#include "taskhost/core/supervisor.hpp"

namespace taskhost::test {

class TaskhostSide {
 public:
  // The first `failures` starts of the child `failing` fail.
  explicit TaskhostSide(const Setup& setup, std::size_t failing = 0, unsigned failures = 0);
  ~TaskhostSide();
  TaskhostSide(const TaskhostSide&) = delete;
  TaskhostSide& operator=(const TaskhostSide&) = delete;

  void fail(std::size_t child, unsigned failures);
  void exit(std::size_t child, Reason reason);
  // The first wakes the second in its last step, so that its end follows directly.
  void exit_both(std::size_t first, Reason first_reason, std::size_t second, Reason second_reason);
  void operate(std::size_t child, Operation operation);
  void stop();
  void release(std::size_t child);  // a held one, or a stuck one
  // Waits until this has been recorded since the last settle; false if it does not come.
  bool await(const std::string& event);

  // Waits until `enough`, and then until nothing changes any more. If `enough` never comes, the caller judges the
  // result.
  Settled settle(const std::function<bool(const Settled&)>& enough);
  Settled settle_with(std::size_t events) {
    return settle([=](const Settled& settled) { return settled.events.size() >= events; });
  }

  // Reports since the beginning that are not events of both sides: "task_discarded:b skipped", …
  std::vector<std::string> told();
  bool has_told(const std::string& what);

 private:
  struct Member;
  class Sink;
  class Recipe;
  struct Shared;

  Settled current();  // to be called under the mutex, like the next one
  std::string contradiction(const Settled& settled) const;
  bool move_on();  // true if something happened

  std::shared_ptr<Shared> shared_;
  std::unique_ptr<Supervisor> supervisor_;
  std::size_t settled_ = 0;  // number of events that have been reported
};

}  // namespace taskhost::test
