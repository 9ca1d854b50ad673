// Supervises the tasks that relate to others. Dependencies, groups and the order of the host's stop are handled here;
// what concerns one task alone is left to that task's machine. Pure: no threads, no clock, no timers of its own; time
// and facts come in, orders and news go out through its port, within the call. The supervisor's control thread owns it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "place_set.hpp"
#include "task_machine.hpp"
#include "taskhost/core/task_report.hpp"

namespace taskhost {

struct CoordinatedTask {
  TaskOptions options;
  std::vector<Place> after;            // without cycles
  std::optional<std::uint32_t> group;  // index into the list of strategies
};

// Receives the coordinator's orders. None of these functions calls back.
class CoordinatorPort {
 public:
  // Makes the execution with the next number. The answers come later: begun, then started or ended; or ended, refused.
  virtual void start(Place task, std::optional<std::uint32_t> remaining) = 0;
  // Asks the live execution to end, and drops or abandons it after its stop_timeout. The answer comes later: ended.
  virtual void ask(Place task) = 0;
  virtual void tell(const TaskNews& news) = 0;
  // A task wants the host to stop; begin_stop may follow, later.
  virtual void stop_host(Place task, StopReason reason, bool failure, std::string_view message) = 0;
  // When the live execution last gave a heartbeat; 0 if it has not.
  virtual Nanoseconds last_heartbeat(Place task) = 0;

 protected:
  ~CoordinatorPort() = default;
};

class Coordinator {
 public:
  // The caller has checked the dependencies. `seed` is for jitter. The port must outlive the coordinator.
  Coordinator(std::vector<CoordinatedTask> tasks, std::vector<Strategy> groups, std::uint64_t seed,
              CoordinatorPort& port);

  // Starts what may start. To be called once.
  void begin(Nanoseconds now);

  // Facts about the live execution. It can be asked to end once it has begun.
  void begun(Place task, Nanoseconds now);
  void started(Place task, Nanoseconds now);     // its start function has returned ok
  void said_ready(Place task, Nanoseconds now);  // once per execution
  void step_ended(Place task);                   // what it still does until `ended` is not watched
  void ended(Place task, const End& end, Nanoseconds now);

  // Does what is due. next_deadline says when there is more to do, or never.
  void advance(Nanoseconds now);
  Nanoseconds next_deadline() const noexcept { return deadlines_.empty() ? never : deadlines_.begin()->first; }

  // The host stops. Only the first call counts.
  void begin_stop(Nanoseconds now);
  // The stop as a whole ran out of time: whatever has not been asked yet is asked now. The shards drop or abandon what
  // still lives, and report it.
  void expire_stop(Nanoseconds now);

  void operate(Place task, Operation operation, Nanoseconds now);

  // Nothing is live, waiting, delayed or stopped.
  bool idle() const noexcept { return busy_ == 0; }
  bool host_stops() const noexcept { return stopping_; }
  // Nothing is live.
  bool at_rest() const noexcept { return live_ == 0; }

  std::size_t size() const noexcept { return entries_.size(); }
  // Adds to an empty report what it knows; numbers of other tasks are their places. Throws std::bad_alloc.
  void report(Place task, Nanoseconds now, TaskReport& report);
  void count(TaskCounts& counts) const noexcept;
  TaskState state(Place task) const noexcept { return entries_[task].life.state; }
  bool is_live(Place task) const noexcept { return taskhost::is_live(entries_[task].life.state); }
  // The tasks that have not been asked to end because the live `task` has not ended; once the stop has run out of time,
  // those that there were at that moment. At most `most`, the nearest first.
  std::vector<Place> held_up_by(Place task, std::size_t most = ~std::size_t{0}) const;
  // Whether it was one of those when the stop ran out of time.
  bool was_held_up(Place task) const noexcept { return entries_[task].was_held_up; }

 private:
  static constexpr std::uint32_t no_group = ~std::uint32_t{0};

  struct Entry {
    TaskOptions options;
    std::vector<Place> after;
    std::vector<Place> dependants;
    std::uint32_t group = no_group;
    TaskLife life;
    Supervision supervision;
    bool leaving = false;  // its execution is to end for the sake of its group
    bool held = false;     // must not start until its group is at rest
    bool satisfied = false;
    bool lost = false;              // ended, and will never be satisfied
    bool was_held_up = false;       // when the stop ran out of time
    std::uint32_t blockers = 0;     // while it is to be asked: dependants that have to end first
    std::uint32_t unsatisfied = 0;  // how many of `after` are not satisfied
    std::uint32_t lost_after = 0;   // how many of `after` are lost
    std::uint64_t execution = 0;
    Nanoseconds armed = never;   // its entry in deadlines_
    Place discarded_for = 0;     // purpose discard: the member that gave up
    Nanoseconds since = 0;       // when its state began
    Nanoseconds begun_at = 0;    // when its execution began
    std::string last_message{};  // of the last execution that has ended, for reports
  };
  struct Group {
    Strategy strategy = Strategy::one_for_one;
    std::vector<Place> members;
    std::uint32_t holding = 0;  // held members that are live or delayed
    bool restarting = false;
  };

  class Voice;

  static bool is_held_up(const Entry& entry) noexcept { return entry.life.to_ask && entry.blockers != 0; }
  static bool waits_for_time(const Entry& entry) noexcept {
    return entry.life.state == TaskState::delayed && entry.supervision.until_due;
  }
  static bool holds(const Entry& entry) noexcept {
    const bool is_delayed = entry.life.state == TaskState::delayed && !entry.supervision.until_due;
    return entry.held && (taskhost::is_live(entry.life.state) || is_delayed);
  }
  static TaskMachine machine_of(Entry& entry) noexcept { return {entry.options, entry.life, &entry.supervision}; }
  HostPhase phase() const noexcept {
    if (stopping_) return HostPhase::stopping;
    return closing_ ? HostPhase::closing : HostPhase::running;
  }

  bool is_blocked_by(const Entry& entry, Place dependant) const noexcept;
  void change(Place task, TaskState next);
  void set_held(Place task, bool held);
  void arm(Place task);
  void set_satisfied(Place task, bool satisfied);
  void set_lost(Place task, bool lost);
  void news(TaskNews news, Nanoseconds now);

  void settle(Nanoseconds now);
  void look_at(Place task, Nanoseconds now);
  void become_ready(Place task, Nanoseconds now);
  void want_stop(Place task, StopPurpose purpose);
  void count_blockers(Place task);
  void follow(Place task, TaskMachine::Step step);
  void follow(Place task, const TaskMachine::Next& next, Nanoseconds now);
  void discard(TaskNews how, Nanoseconds now);
  void finish(Place task, bool well);
  void stop_host(Place task, StopReason reason, bool failure, std::string_view message);
  std::vector<Place>& others_concerned(Place task) noexcept;
  void hold_group(Place task);
  void discard_group(Place task, Nanoseconds now);
  void count_blockers_of_group(Place task);

  std::vector<Entry> entries_;
  std::vector<Group> groups_;
  const std::uint64_t seed_;
  CoordinatorPort& port_;
  std::set<std::pair<Nanoseconds, Place>> deadlines_;
  PlaceSet free_to_ask_;  // settle asks these to end, the last place first
  PlaceSet to_look_at_;   // settle starts or skips these, the first place first
  std::vector<std::uint32_t> groups_at_rest_;
  std::vector<Place> concerned_;  // the last result of others_concerned; with capacity for the largest group
  std::size_t busy_ = 0;
  std::size_t live_ = 0;
  bool closing_ = false;   // a task wants the host to stop: nothing is started any more
  bool stopping_ = false;  // the host stops
  bool expired_ = false;   // the stop ran out of time
  Nanoseconds now_ = 0;    // the time of the last input
  std::uint64_t restarts_ = 0;
  ByOutcome exits_{};
  std::uint64_t gave_up_ = 0;
};

}  // namespace taskhost
