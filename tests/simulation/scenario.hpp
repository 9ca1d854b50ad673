// One run of the simulation before it happens: a manifest, how its tasks behave, what operators do, when the host is to
// stop. All of it follows from a seed; behaviour is chosen task by task, so that a task can be removed and the others
// still behave in the same way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator.hpp"

namespace taskhost::simulation {

// Behaviour without chance, for predictions: times in units.
struct Exactly {
  unsigned start = 0;              // how long the start takes
  bool fails_to_start = false;     // with `outcome`
  bool starts = true;              // false, in a process of its own: its start goes on for ever
  bool ready = true;               // says so as soon as it has started
  bool silent = false;             // gives no heartbeat
  std::optional<unsigned> life{};  // from the start's end; absent: until it is asked to end
  unsigned first = 0;              // so many executions, from the first,
  unsigned first_life = 0;         // live for so long instead
  Outcome outcome = Outcome::ok;
  std::string message{};
  bool deaf = false;
  unsigned end = 0;  // how long it takes once it is asked
};

// How the executions of a task behave: probabilities in percent, times in units.
struct Character {
  std::uint64_t key = 0;  // of its random stream
  bool blocking = false;
  unsigned fails_to_start = 0;
  unsigned never_ready = 0;
  unsigned never_ends = 0;
  unsigned deaf = 0;  // ignores the request to stop
  unsigned ends_well = 0;
  unsigned falls_silent = 0;
  unsigned longest_life = 1;
  unsigned heartbeat = 1;
  // In a process of its own, which begins, dies and is killed alone. Its calls in the host always return.
  bool isolated = false;
  unsigned never_starts = 0;
  unsigned crashes = 0;       // rather than fail
  unsigned dies_in_drop = 0;  // once it has ended well
  // On a real shard: a call does not return for a while or for ever; or it returns late, and the shard waits.
  unsigned gets_stuck = 0;
  unsigned slow = 0;
  std::optional<Exactly> exactly{};  // instead of all chances above
};

// The process does not run: a debugger, a suspended machine.
struct Pause {
  Nanoseconds time = 0;
  Nanoseconds duration = 0;
};

// By a wall clock that is set now and then. Its times are not regular.
class SimulatedSchedule final : public Schedule {
 public:
  struct Jump {
    Nanoseconds time = 0;  // by the supervisor's clock
    std::int64_t by = 0;
  };
  SimulatedSchedule(Nanoseconds unit, std::vector<unsigned> distances, std::vector<Jump> jumps)
      : unit_(unit), distances_(std::move(distances)), jumps_(std::move(jumps)) {}

  Nanoseconds wall_time(Nanoseconds now) const noexcept override;
  Nanoseconds next(Nanoseconds after) const noexcept override;
  std::string text() const override;
  std::string time_text(Nanoseconds wall) const override { return std::to_string(wall); }

 private:
  const Nanoseconds unit_;
  const std::vector<unsigned> distances_;  // between its times, in units, over and over again
  const std::vector<Jump> jumps_;
};

struct Operator {
  Nanoseconds time = 0;
  Place task = 0;
  Operation operation = Operation::stop;
};

struct Scenario {
  std::uint64_t seed = 0;
  Nanoseconds unit = 0;  // most times are small multiples of it, so that much happens at the same moment
  std::vector<CoordinatedTask> tasks;
  std::vector<Strategy> groups;
  std::vector<Character> characters;
  std::vector<Operator> operators;
  bool instant = false;                // orders and facts take no time
  bool late = false;                   // the control thread is busy with other things
  unsigned stop_after = 0;             // steps, unless it stops by itself before
  unsigned patience = 0;               // in units, from the stop to its expiry
  std::optional<Nanoseconds> stuck{};  // from then on nothing that lives ends by itself
  // On a real shard:
  std::vector<Pause> pauses{};
  unsigned no_threads = 0;  // in percent, how often there is none for a blocking task
  bool has_others = false;  // the host has tasks elsewhere, and goes on when this shard has ended
};

constexpr Nanoseconds first_moment = 1'000'000'000'000;

Scenario make_scenario(std::uint64_t seed);
// Without relations, for a real shard. All times are multiples of its timers' tick.
constexpr Nanoseconds shard_tick = 65'536;
constexpr Nanoseconds first_tick = (first_moment / shard_tick + 1) * shard_tick;
Scenario make_shard_scenario(std::uint64_t seed);

// Simpler scenarios, each of which lacks one thing.
std::vector<Scenario> simpler(const Scenario& scenario);

std::string to_text(const Scenario& scenario);

}  // namespace taskhost::simulation
