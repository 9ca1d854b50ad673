// One run of the simulation before it happens: a manifest, how its tasks behave, what operators do, when the host is to
// stop. All of it follows from a seed; behaviour is drawn task by task, so that a task can be left out and the others
// still do what they did.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator.hpp"

namespace taskhost::simulation {

// What the executions of a task are like: chances in percent, times in units.
struct Character {
  std::uint64_t key = 0;  // of its chances
  bool blocking = false;
  unsigned fails_to_start = 0;
  unsigned never_ready = 0;
  unsigned never_ends = 0;
  unsigned deaf = 0;  // to the request to stop
  unsigned ends_well = 0;
  unsigned falls_silent = 0;
  unsigned longest_life = 1;
  unsigned heartbeat = 1;
  // On a real shard: a call of it does not return for a while or for ever; or it returns late, and the shard waits.
  unsigned gets_stuck = 0;
  unsigned slow = 0;
};

// The process does not run: a debugger, a suspended machine.
struct Pause {
  Nanoseconds time = 0;
  Nanoseconds duration = 0;
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
  unsigned stop_after = 0;             // steps, if it does not stop by itself before
  unsigned patience = 0;               // units from the stop to its expiry
  std::optional<Nanoseconds> stuck{};  // from then on nothing that lives comes to an end by itself
  // On a real shard:
  std::vector<Pause> pauses{};
  unsigned no_threads = 0;  // for a blocking task; percent
  bool has_others = false;  // the host has tasks elsewhere, and goes on when this shard has ended
};

constexpr Nanoseconds first_moment = 1'000'000'000'000;

Scenario make_scenario(std::uint64_t seed);
// Without relations, for a real shard. All times are multiples of its timers' tick.
constexpr Nanoseconds shard_tick = 65'536;
constexpr Nanoseconds first_tick = (first_moment / shard_tick + 1) * shard_tick;
Scenario make_shard_scenario(std::uint64_t seed);

// Simpler scenarios, each with one thing less.
std::vector<Scenario> simpler(const Scenario& scenario);

std::string to_text(const Scenario& scenario);

}  // namespace taskhost::simulation
