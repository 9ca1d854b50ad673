// A second, deliberately naive definition of core/SUPERVISION.md, written from that page alone: no counters, no work
// lists, no timers; after each event it looks at all tasks again. It shares plain values with core, but no code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator.hpp"
#include "output.hpp"

namespace taskhost::simulation {

// What the model can't know.
class World {
 public:
  virtual Nanoseconds last_heartbeat(Place task) = 0;
  // The random part of a backoff: the delay of this restart, by its number in a row. It must lie within the bounds.
  virtual Nanoseconds drawn_delay(Place task, std::uint64_t restart, Nanoseconds least, Nanoseconds most) = 0;

 protected:
  ~World() = default;
};

class Model {
 public:
  using State = TaskState;
  using Purpose = StopPurpose;
  // Whose tasks these are. A coordinator orders at once, and its shards obey later. A shard that supervises its own
  // tasks gets to them one by one: for it, ordering a start and beginning it are one moment, and so are the host's stop
  // for a task and the request to end.
  enum class Overseer : std::uint8_t { coordinator, shard };

  // What it does is appended to `outputs`.
  Model(const std::vector<CoordinatedTask>& tasks, const std::vector<Strategy>& groups, World& world,
        std::vector<Output>& outputs, Overseer overseer = Overseer::coordinator);

  void begin(Nanoseconds now);
  void begun(Place task, Nanoseconds now);
  void started(Place task, Nanoseconds now);
  void said_ready(Place task, Nanoseconds now);
  void ended(Place task, const End& end, Nanoseconds now);
  void advance(Nanoseconds now);
  void close() { closing_ = true; }  // a task outside the model has stopped the host
  void begin_stop(Nanoseconds now);
  void reached(Place task, Nanoseconds now);  // for a shard: its walk through the tasks to stop has reached this one
  void expire_stop(Nanoseconds now);
  void operate(Place task, Operation operation, Nanoseconds now);

  // The first moment at which time alone has a consequence, or never.
  Nanoseconds next_due() const;
  State state(Place task) const { return tasks_[task].state; }
  bool is_live(Place task) const;
  bool idle() const;
  std::optional<std::uint32_t> budget(Place task, Nanoseconds now) const { return remaining(task, now); }
  bool at_rest() const;
  std::vector<Place> held_up_by(Place task) const;

 private:
  struct Task {
    CoordinatedTask recipe;
    State state = State::waiting;
    std::optional<Purpose> purpose{};  // for which its execution is to end
    bool going = false;                // it is to end for the sake of its group
    bool held = false;                 // must not start before its group is at rest
    bool reached = false;              // for a shard: by the host's stop
    bool begun = false;
    bool start_is_over = false;
    bool has_said_ready = false;
    bool ended_well = false;
    bool unstoppable = false;  // an abandoned execution still exists
    std::uint64_t execution = 0;
    Nanoseconds begun_at = 0;
    Nanoseconds ready_at = 0;
    Nanoseconds delayed_until = 0;
    bool waits_for_time = false;                  // its last delay is the wait for its time
    std::optional<Nanoseconds> first_begun_at{};  // with `repeat`: when its first execution began
    std::optional<Nanoseconds> last_wall_time{};  // with a schedule: the last time that counts as had
    Nanoseconds missed = never;                   // when the extra time ends that a timer got after a standstill
    Nanoseconds more_time = 0;
    std::optional<Nanoseconds> warned_of{};  // the sign of life after which it warned
    std::vector<Nanoseconds> charges{};      // since the budget was reset
    std::uint64_t in_a_row = 0;              // charges since the backoff was reset
    std::string failure{};                   // purpose failure: the message of the exit to come
    Place discarded_for = 0;                 // purpose discard
    std::vector<Place> held_up{};            // by this task, when the stop ran out of time
  };

  const SupervisionOptions& optional_of(Place task) const;
  bool is_satisfied(Place task) const;
  bool is_waiting_for_its_time(Place task) const;
  std::optional<Place> lost(Place task) const;
  bool may_start(Place task) const;
  std::vector<Place> in_the_way_of(Place task) const;
  bool is_to_be_asked(Place task) const;
  bool may_be_asked(Place task) const;
  bool is_at_rest(std::uint32_t group) const;
  bool needs(Place task) const;
  std::vector<Place> others_concerned(Place task) const;
  std::optional<std::uint32_t> remaining(Place task, Nanoseconds now) const;
  Nanoseconds last_sign(Place task) const;
  Nanoseconds due(Place task) const;
  Nanoseconds first_due(Place task) const;

  void follow(Nanoseconds now);
  bool start_or_skip_one(Nanoseconds now);
  void start(Place task, Nanoseconds now);
  void want_end(Place task, Purpose purpose);
  void look_whether_ready(Place task, Nanoseconds now);
  void after_stop(Place task, Purpose purpose, const End& end);
  void exit(Place task, Outcome outcome, const std::string& message, const End& end, Nanoseconds now);
  void restart(Place task, Nanoseconds now);
  Nanoseconds delay_before(Place task, std::uint64_t restart);
  void delay(Place task, Nanoseconds delay, RestartKind restart_kind, Nanoseconds now);
  Nanoseconds until_its_time(Place task, Nanoseconds now);
  void wait_for_time(Place task, Nanoseconds now);
  void give_up(Place task, Outcome outcome, const std::string& message, Nanoseconds now);
  void discard(Place task, StopReason reason, std::optional<Place> because = {});
  void discard_group_of(Place task);
  void finish(Place task, bool well);
  void give_back(Place task);
  void tell(Place task, Output output);
  void stop_host(Place task, StopReason reason, bool failure, const std::string& message = {});

  std::vector<Task> tasks_;
  std::vector<Strategy> groups_;
  World& world_;
  std::vector<Output>& outputs_;
  const bool on_shard_;
  bool has_begun_ = false;
  bool closing_ = false;   // a task has stopped the host
  bool stopping_ = false;  // the host stops
  bool expired_ = false;   // the stop ran out of time
};

}  // namespace taskhost::simulation
