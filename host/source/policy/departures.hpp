// Which tasks can be over for good while the host runs, and which of these well. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "taskhost/core/task_list.hpp"

namespace taskhost {

class Departures {
 public:
  // The list's relations have no cycles.
  explicit Departures(const TaskList& tasks);

  // For one of the reasons that its policy, its group and what it comes after allow, each by itself: that they can come
  // together is not promised.
  bool can_be_over(std::uint32_t task) const { return ways_[task].well || ways_[task].lost; }
  // Discarded, but for its group: since it gives up, or can't be stopped.
  bool can_be_lost_itself(std::uint32_t task) const { return ways_[task].gives_up || ways_[task].unstopped; }
  bool can_end_well(std::uint32_t task) const { return ways_[task].well; }
  bool can_all_be_over() const noexcept { return staying_ == 0; }
  bool can_another_end_well(std::uint32_t task) const { return ending_well_ > (can_end_well(task) ? 1u : 0u); }

 private:
  struct Ways {
    bool well = false;
    bool lost = false;       // discarded, given up, skipped or abandoned
    bool gives_up = false;   // so that it is discarded, if its group lets it
    bool unstopped = false;  // it may be asked to end, and may not do so
    bool needed = false;     // the host can't do without it
    bool stoppable = false;  // whatever it does, its stop ends it
  };

  void lose(std::uint32_t task);
  void follow_losses();
  void look_at_group(const TaskList& tasks, std::uint32_t group);

  std::vector<Ways> ways_;
  std::vector<std::vector<std::uint32_t>> dependants_;
  std::vector<std::vector<std::uint32_t>> members_;  // in the order of the list
  std::vector<std::uint32_t> group_of_;
  std::vector<std::uint32_t> lost_;  // those whose dependants have not been looked at
  std::vector<std::uint32_t> groups_to_look_at_;
  std::vector<bool> is_group_to_look_at_;
  std::size_t staying_ = 0;
  std::size_t ending_well_ = 0;
};

}  // namespace taskhost
