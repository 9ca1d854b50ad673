// What can become of one task, as plain values: an explanation prints them as text or JSON. What follows for others is
// found by the supervision itself (core's Forecast). Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "policy/delays.hpp"
#include "policy/departures.hpp"
#include "policy/rules.hpp"
#include "taskhost/core/forecast.hpp"

namespace taskhost {

// A way in which a task can be over for good.
struct Loss {
  Aftermath at_once;            // if all tasks are ready when it happens
  Aftermath later;              // the same once all others have been started anew, or if they waited for it
  bool may_skip_later = false;  // some that are skipped then may run when it happens, and be started again
  // Some of this need not be so if other tasks were over before:
  bool may_discard_fewer = false;  // with it, for its group
  Affected unless_over;            // the host stops for its group, unless all of these are over; none: it does anyway
  bool may_host_end_well = false;  // if no task is left: another may have ended well
};

struct Prospects {
  const TaskList::Relation* relation = nullptr;  // null: none
  std::vector<const ExitRule*> rules;            // those that can match
  bool type_decides_ok = true;                   // not all ends of this kind are taken by a rule
  bool type_decides_failure = true;
  std::optional<RestartDelays> delays;            // if an exit can lead to a restart
  ChargedExits charged = ChargedExits::failures;  // those that lead to a restart
  std::optional<std::chrono::nanoseconds> longest_counted;
  Affected restarted_with_it;
  Affected restarted_by;           // others of its group: if one is restarted, so is it
  bool ends_early = false;         // and its delay before a restart is over then
  bool ends_any_delay = false;     // the same of any delay: also one before a repeat, or a cooldown
  bool may_be_later = false;       // a restart may have to wait for longer than its delay, for its group or its `after`
  Affected waiting_for_ever;       // those that wait for its readiness, for which there is no limit
  std::optional<Loss> giving_up;   // if it can, and whatever on_give_up says
  std::optional<Loss> discarding;  // if an exit rule may discard it after a failure
  std::optional<Loss> abandonment;  // if it may be asked to end while the host runs, or has a finish
};

class ProspectsReader {
 public:
  // The default is for tasks whose own stop_timeout is negative.
  ProspectsReader(const TaskList& tasks, std::chrono::nanoseconds default_stop_timeout);
  Prospects of(std::uint32_t task) const;
  // Whether one of them may.
  bool may_be_over(const Affected& affected) const;
  const Departures& departures() const noexcept { return departures_; }
  const TaskList::Relation* relation_of(std::uint32_t task) const noexcept { return forecast_.relation_of(task); }
  // It relates to no other, and no other to it.
  bool is_alone(std::uint32_t task) const {
    return relation_of(task) == nullptr && forecast_.dependants_of(task).empty();
  }

 private:
  // Of a group whose members are restarted together: places, in ascending order.
  struct Members {
    std::vector<std::uint32_t> restarting;  // they may be restarted, and the others with them
    std::vector<std::uint32_t> lost;        // they may be discarded, and the others with them
    std::vector<std::uint32_t> needed;      // the host can't do without them, and they are not over before it stops
    std::vector<std::uint32_t> required;    // all that the host can't do without before they are over
  };

  Loss loss(Incident incident, std::uint32_t task) const;
  const Members* members_beside(std::uint32_t task) const;
  bool concerns(std::uint32_t member, std::uint32_t task) const;
  Affected restarted_by(std::uint32_t task) const;
  Affected unless_over(std::uint32_t task) const;
  bool may_be_asked_by_group(std::uint32_t task) const;
  bool may_start_again(std::uint32_t task) const;
  const TaskList& tasks_;
  const std::chrono::nanoseconds default_stop_timeout_;
  Forecast forecast_;
  Departures departures_;
  std::vector<Members> groups_;
};

// Whether the task's executions have threads of their own, and can't be dropped.
bool is_blocking(const TaskList& tasks, std::size_t task);
std::size_t count_blocking(const TaskList& tasks);
// Whether an end of its own takes time, and may get stuck.
bool has_finish(const TaskList& tasks, std::size_t task);

}  // namespace taskhost
