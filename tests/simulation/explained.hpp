// Compares what `check --explain` says with what the simulated supervisor does.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "simulator.hpp"

namespace taskhost::simulation {

// What is tried with a manifest: one of its tasks fails, ends well, is late or falls silent, deaf or not, while the
// others live on; or it fails while the others fail, too, and take time to start and to end; or its first
// executions last longer than the window, and then it fails at once; or it fails while others
// end well for good, before or after; or all start and stop, each in a unit of time; or none of them obeys the stop; or
// it crashes in its process, once it is ready or before its start is over.
enum class Trial : std::uint8_t {
  fails_when_ready,
  fails_to_start,
  ends_well,
  is_late,
  is_silent,
  fails_among_others,
  fails_in_the_end,
  fails_later,
  stops,
  is_deaf,
  crashes,
  crashes_in_start
};

constexpr const char* message_of_failure = "red and blue";  // of one that fails once it is ready

// The same once more, and then an operator restarts each of the others that live.
struct Later {
  Nanoseconds last_order = 0;  // the last operator's
  Run run{};
  std::vector<Observed> observed{};
};

struct Tried {
  Trial trial = Trial::stops;
  Place task = 0;  // the one that fails
  bool deaf = false;
  bool never_starts = false;  // is_late: its process does not come as far
  unsigned life = 1;          // in units
  unsigned first = 0;         // executions that last longer than the window
  Run run{};
  std::vector<Observed> observed{};
  // If the task was lost and the host goes on:
  Later in_order{};  // each task before those that come after it
  Later backward{};  // each after them
};

// A random manifest, whose policies are accepted.
Scenario make_explained(std::uint64_t seed);
// Its explanation, as JSON and as text. The tasks are named "t0", "t1", …
nlohmann::json explanation_of(const Scenario& scenario);
std::string text_of(const Scenario& scenario);
std::vector<Tried> try_all(const Scenario& scenario);
// The first difference; empty: none.
std::string difference(const Scenario& scenario, const std::vector<Tried>& tried, const nlohmann::json& told);
// Where the text does not say the same as the JSON of who is concerned; empty: nowhere.
std::string text_difference(const std::string& text, const nlohmann::json& told);

}  // namespace taskhost::simulation
