// Drives the real coordinator through a scenario in virtual time, together with the model, and compares the two after
// each step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "output.hpp"
#include "scenario.hpp"

namespace taskhost::simulation {

struct Run {
  std::string fault;    // empty: no difference, and no rule was broken
  std::string symptom;  // the kind of fault
  std::uint64_t steps = 0;
  std::uint64_t executions = 0;
  Nanoseconds time = 0;  // simulated
  Nanoseconds stop_began = never;
  // If it took more steps than the scenario's stop_after, and so was stopped: what had been observed before.
  std::optional<std::size_t> cut_after{};
};

// `trace`, if given, gets a line for each input and for what the real one does.
using Simulate = Run(const Scenario& scenario, std::string* trace);
Run simulate(const Scenario& scenario, std::string* trace = nullptr);

// What the supervisor did, and when.
struct Observed {
  Nanoseconds time = 0;
  Output output;
};
// The same simulation; `observed` gets all that happens.
Run observe(const Scenario& scenario, std::vector<Observed>& observed);

// The simplest scenario found that fails in the same way.
Scenario shrink(Scenario scenario, Simulate* simulate);

}  // namespace taskhost::simulation
