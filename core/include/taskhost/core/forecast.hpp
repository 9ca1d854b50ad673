// What follows when something happens to one task. What happens to the task and to its group is found by driving the
// coordinator itself in virtual time: an explanation can't have rules of its own that differ from those of the
// supervision. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
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

// Tasks by their places in the list: the first few, and how many there are. So what is told of all tasks grows with
// their number, and not with its square.
struct Affected {
  static constexpr std::size_t max_first = 32;
  static constexpr std::size_t max_counted = 10'000;  // of those that come after a task

  std::vector<std::uint32_t> first;
  std::size_t count = 0;
  bool is_minimum = false;  // there are at least so many

  bool empty() const noexcept { return count == 0; }
  bool operator==(const Affected&) const = default;
};

struct Aftermath {
  bool is_over = false;  // the task itself, for good
  Affected restarted;  // with it, for its group; in the order in which it happens, or of the list if there are too many
  Affected discarded;  // the same
  Affected skipped;    // what they come after is over for good
  Affected skipped_in_turn;  // later, each once one that it comes after is skipped; the nearest first
  struct HostStop {
    StopReason reason = StopReason::all_done;
    std::uint32_t task = 0;  // the one because of which it stops; if some are skipped, the nearest
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
  // What follows of that in the end, if each of the others that is left is then started anew, each before those that
  // come after it: those are skipped that would also be if they were waiting when it happens. If one of them stops the
  // host, the others need not get to that.
  Aftermath in_the_end(std::uint32_t task, Aftermath at_once) const;

  // Null: it does not relate to others.
  const TaskList::Relation* relation_of(std::uint32_t task) const noexcept { return relation_of_[task]; }
  // Those that name it in `after`.
  const std::vector<std::uint32_t>& dependants_of(std::uint32_t task) const noexcept { return dependants_[task]; }

 private:
  struct Needed {
    std::uint32_t distance = ~std::uint32_t{0};  // the largest: there is none
    std::uint32_t task = 0;
    bool operator==(const Needed&) const = default;
    bool operator<(const Needed& other) const {
      return std::tie(distance, task) < std::tie(other.distance, other.task);
    }
  };

  bool is_needed(std::uint32_t task) const { return tasks_.options(task).type != TaskType::detachable; }
  void find_needed();
  std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> others_of_group(std::uint32_t task) const;
  template <class Visit>
  void walk(const std::vector<std::uint32_t>& from, Visit visit) const;
  // Of tasks that are over; the first is the one to which it happened.
  void add_skipped(const std::vector<std::uint32_t>& lost, Aftermath& aftermath) const;
  std::optional<std::uint32_t> needed_after(const std::vector<std::uint32_t>& lost) const;

  const TaskList& tasks_;
  std::vector<const TaskList::Relation*> relation_of_;  // null: none
  std::vector<std::vector<std::uint32_t>> dependants_;
  std::vector<std::vector<std::uint32_t>> members_;  // of each group, in the order of the list
  std::vector<Needed> needed_;  // by task: the nearest that comes after it, and that the host can't do without
  std::size_t roots_ = 0;       // tasks that come after no other
};

}  // namespace taskhost
