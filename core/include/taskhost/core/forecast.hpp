// What follows when something happens to one task, found by driving the coordinator itself in virtual time: an
// explanation can't have rules of its own that differ from those of the supervision. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "taskhost/core/event.hpp"
#include "taskhost/core/task_list.hpp"

namespace taskhost {

// What happens to the task.
enum class Incident : std::uint8_t {
  restarts,      // it fails, and restarts are left
  gives_up,      // it fails, and no restarts are left
  is_discarded,  // it fails, and an exit rule discards it
  is_abandoned,  // it was asked to end while the host runs, and can't be stopped
};

// By their places in the list, in the order in which it happens.
struct Aftermath {
  std::vector<std::uint32_t> restarted;  // with it, for its group
  std::vector<std::uint32_t> discarded;  // with it, for its group
  std::vector<std::uint32_t> skipped;    // what they come after is over for good
  struct HostStop {
    StopReason reason = StopReason::all_done;
    std::uint32_t task = 0;  // the one because of which it stops
    bool failure = true;
    bool operator==(const HostStop&) const = default;
  };
  std::optional<HostStop> host_stop;  // the first cause

  bool operator==(const Aftermath&) const = default;
};

class Forecast {
 public:
  // The list's relations have no cycles. It must outlive the forecast.
  explicit Forecast(const TaskList& tasks);

  // What follows at once if all tasks are ready when it happens. The others go on until they are asked to end, and then
  // do so at once.
  Aftermath at_once(Incident incident, std::uint32_t task) const;
  // What follows in the end if each of the others that is left is then started anew: those are skipped that would also
  // be if they were waiting when it happens. If one of them stops the host, the others need not get to that.
  Aftermath in_the_end(Incident incident, std::uint32_t task) const;

  // Null: it does not relate to others.
  const TaskList::Relation* relation_of(std::uint32_t task) const noexcept { return relation_of_[task]; }

 private:
  // The task and those that it may affect, in the order of the list, which decides what happens first.
  std::vector<std::uint32_t> affected_by(std::uint32_t task) const;
  enum class Others : std::uint8_t {
    go_on,
    restart,
    restart_unneeded,  // and the host can do without them
  };
  Aftermath rehearse(Incident incident, std::uint32_t task, Others others) const;

  const TaskList& tasks_;
  std::vector<const TaskList::Relation*> relation_of_;  // null: none
  std::vector<std::vector<std::uint32_t>> dependants_;
  std::vector<std::vector<std::uint32_t>> members_;
};

}  // namespace taskhost
