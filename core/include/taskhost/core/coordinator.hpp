// Supervises the tasks that have optional fields, dependencies, a group, or an operator's attention: everything in
// SUPERVISION.md as one machine. Pure: no threads, no clock, no timers of its own; time and facts come in, orders and
// news go out through its port, within the call. The supervisor's control thread owns it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taskhost/core/event.hpp"
#include "taskhost/core/place_set.hpp"
#include "taskhost/core/restart_policy.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

// One of its tasks, by its place in the coordinator's list, from 0.
using Place = std::uint32_t;

struct CoordinatedTask {
  TaskOptions options;
  std::vector<Place> after;            // no cycles
  std::optional<std::uint32_t> group;  // into the list of strategies
};

// What people are told of a task.
struct TaskNews {
  EventKind kind = EventKind::task_started;
  Place task = 0;
  std::uint64_t execution = 0;
  Outcome outcome = Outcome::ok;
  StopReason reason = StopReason::task_exit;  // task_discarded
  Nanoseconds delay = 0;                      // task_restarting
  Nanoseconds uptime = 0;                     // task_exited, task_stopped, task_abandoned
  Nanoseconds silence = 0;                    // task_stalled: since the last sign of life
  std::optional<std::uint32_t> remaining{};   // absent: unlimited
  std::optional<Place> because{};             // task_discarded: the task without which it can't be
  bool cooldown = false;                      // task_restarting: it gave up, and begins anew after a while
  std::string message{};
};

// Takes the coordinator's orders. None of them calls back.
class CoordinatorPort {
 public:
  // Make an execution, the next one by number. The answers come later: begun, then started or ended; or ended: refused.
  virtual void start(Place task, std::optional<std::uint32_t> remaining) = 0;
  // Ask the live execution to end; after its stop_timeout drop or abandon it. The answer comes later: ended.
  virtual void ask(Place task) = 0;
  virtual void tell(const TaskNews& news) = 0;
  // A task wants the host to stop; begin_stop may follow, later.
  virtual void stop_host(Place task, StopReason reason, bool failure, std::string_view message) = 0;
  // The time of the last heartbeat of the live execution; 0 if there was none.
  virtual Nanoseconds last_heartbeat(Place task) = 0;

 protected:
  ~CoordinatorPort() = default;
};

class Coordinator {
 public:
  enum class State : std::uint8_t { waiting, delayed, starting, running, stopping, stopped, ended };
  // In the order of SUPERVISION.md: an earlier one replaces a later one.
  enum class Purpose : std::uint8_t { host, operator_stop, discard, again, failure };
  enum class Operation : std::uint8_t { stop, start, restart };

  // How an execution came to its end, as its shard saw it.
  enum class Ending : std::uint8_t {
    returned,   // it ended by itself, asked or not; a start that failed too
    dropped,    // a polled one, after its stop_timeout
    abandoned,  // a blocking one, or one whose call does not return: it is still there
    refused,    // it was not even begun, since the host stops
  };
  struct End {
    Ending ending = Ending::returned;
    Outcome outcome = Outcome::ok;
    std::string message{};
    Nanoseconds uptime = 0;
    Nanoseconds lived = 0;  // from readiness to the end, or to the request
  };

  // Dependencies have been checked. `seed` is for jitter. The port outlives the coordinator.
  Coordinator(std::vector<CoordinatedTask> tasks, std::vector<Strategy> groups, std::uint64_t seed,
              CoordinatorPort& port);

  // Once: starts what may start.
  void begin(Nanoseconds now);

  // Facts of the live execution. It can be asked to end once it has begun.
  void begun(Place task, Nanoseconds now);
  void started(Place task, Nanoseconds now);     // its start function has returned ok
  void said_ready(Place task, Nanoseconds now);  // once an execution
  void ended(Place task, const End& end, Nanoseconds now);

  // Does what is due. next_deadline: when there is something to do again, or never.
  void advance(Nanoseconds now);
  Nanoseconds next_deadline() const noexcept { return deadlines_.empty() ? never : deadlines_.begin()->first; }

  // The host stops: once.
  void begin_stop(Nanoseconds now);
  // The whole stop ran out of time: whoever was not asked yet is; what lives is dropped or abandoned by the shards,
  // which report it.
  void expire_stop(Nanoseconds now);

  void operate(Place task, Operation operation, Nanoseconds now);

  // Takes in a task that a shard has supervised alone so far, as it is: waiting, live or ended. The operator's wish
  // that it is taken in for is its first input.
  Place adopt(const TaskOptions& options, State state, std::uint64_t execution, RestartLedger ledger, Operation wish,
              Nanoseconds now);

  // Nothing is live, waiting, delayed or stopped.
  bool idle() const noexcept { return busy_ == 0; }
  // Nothing is live.
  bool at_rest() const noexcept { return live_ == 0; }

  std::size_t size() const noexcept { return entries_.size(); }
  State state(Place task) const noexcept { return entries_[task].state; }
  bool is_live(Place task) const noexcept { return is_live(entries_[task].state); }
  // Tasks that have not been asked to end, since the live `task` has not ended yet; once the stop has run out of time,
  // those of that moment. At most so many, the nearest first.
  std::vector<Place> held_up_by(Place task, std::size_t most = ~std::size_t{0}) const;
  // It was one of those when the stop ran out of time.
  bool was_held_up(Place task) const noexcept { return entries_[task].was_held_up; }

 private:
  static constexpr std::uint32_t no_group = ~std::uint32_t{0};

  struct Entry {
    TaskOptions options;
    std::vector<Place> after;
    std::vector<Place> dependants;
    std::uint32_t group = no_group;
    State state = State::waiting;
    Purpose purpose = Purpose::host;
    bool to_ask = false;      // it is to stop, and waits for its dependants
    bool leaving = false;     // its execution is to end for the sake of its group
    bool held = false;        // not to start until its group is at rest
    bool begun = false;       // this execution
    bool start_over = false;  // with success
    bool said_ready = false;
    bool warned = false;       // of a missing heartbeat
    bool armed_anew = false;   // its timer, after a standstill
    bool unstoppable = false;  // an abandoned execution is still there
    bool satisfied = false;
    bool lost = false;              // ended, and never to be satisfied
    bool was_held_up = false;       // when the stop ran out of time
    std::uint32_t blockers = 0;     // to_ask: dependants that have to end first
    std::uint32_t unsatisfied = 0;  // of `after`
    std::uint32_t lost_after = 0;   // of `after`
    std::uint64_t execution = 0;
    Nanoseconds sign = 0;  // of life: readiness, or the last heartbeat seen
    Nanoseconds deadline = never;
    RestartLedger ledger;
    std::string failure;      // purpose failure: what the exit will say
    Place discarded_for = 0;  // purpose discard: the member that gave up
  };
  struct Group {
    Strategy strategy = Strategy::one_for_one;
    std::vector<Place> members;
    std::uint32_t holding = 0;  // held members that are live or delayed
    bool restarting = false;
  };

  static bool is_live(State state) noexcept {
    return state == State::starting || state == State::running || state == State::stopping;
  }
  static bool is_held_up(const Entry& entry) noexcept { return entry.to_ask && entry.blockers != 0; }
  static bool is_to_stop(const Entry& entry) noexcept { return entry.state == State::stopping || entry.to_ask; }
  static bool holds(const Entry& entry) noexcept {
    return entry.held && (is_live(entry.state) || entry.state == State::delayed);
  }
  static const SupervisionOptions& optional_of(const Entry& entry) noexcept;

  void change(Place task, State next);
  void set_held(Place task, bool held);
  void set_deadline(Place task, Nanoseconds deadline);
  void set_satisfied(Place task, bool satisfied);
  void set_lost(Place task, bool lost);
  void news(TaskNews news, Nanoseconds now);

  void settle(Nanoseconds now);
  void look_at(Place task, Nanoseconds now);
  void become_ready(Place task, Nanoseconds now);
  void want_stop(Place task, Purpose purpose);
  void count_blockers(Place task);
  void fire(Place task, Nanoseconds deadline, Nanoseconds now);
  void arm_anew(Place task, std::chrono::nanoseconds duration, Nanoseconds now);
  void watch(Place task, bool stood_still, Nanoseconds now);

  void could_not_stop(Place task, const std::string& message, Nanoseconds now);
  void exited(Place task, const End& end, Nanoseconds now);
  void asked_end(Place task, const End& end, Nanoseconds now);
  void restart(Place task, Nanoseconds delay, bool cooldown, Nanoseconds now);
  void give_up(Place task, Outcome outcome, const std::string& message, Nanoseconds now);
  void discard(TaskNews how, Nanoseconds now);
  void finish(Place task, bool well);
  void stop_host(Place task, StopReason reason, bool failure, std::string_view message);
  std::vector<Place> others_concerned(Place task) const;
  void hold_group(Place task);
  void discard_group(Place task, Nanoseconds now);
  void count_blockers_of_group(Place task);
  double random(Place task, std::uint64_t number) const noexcept;

  std::vector<Entry> entries_;
  std::vector<Group> groups_;
  const std::uint64_t seed_;
  CoordinatorPort& port_;
  std::set<std::pair<Nanoseconds, Place>> deadlines_;
  PlaceSet free_to_ask_;  // to be asked by settle, the last first
  PlaceSet to_look_at_;   // to be started or skipped by settle, the first first
  std::vector<std::uint32_t> groups_at_rest_;
  std::size_t busy_ = 0;
  std::size_t live_ = 0;
  bool closing_ = false;   // a task has stopped the host: nothing is started any more
  bool stopping_ = false;  // the host stops
  bool expired_ = false;   // its stop ran out of time
};

std::string_view to_string(Coordinator::State state) noexcept;
std::string_view to_string(Coordinator::Purpose purpose) noexcept;
std::string_view to_string(Coordinator::Operation operation) noexcept;

}  // namespace taskhost
