// Drives the real coordinator through a scenario in virtual time, together with the model, and compares the two after
// each step.
#pragma once

#include <cstdint>
#include <string>

#include "scenario.hpp"

namespace taskhost::simulation {

struct Run {
  std::string fault;    // empty: no difference, and no rule was broken
  std::string symptom;  // the kind of fault
  std::uint64_t steps = 0;
  std::uint64_t executions = 0;
  Nanoseconds time = 0;  // simulated
};

// `trace`, if given, gets a line for each input and for what the real one does.
using Simulate = Run(const Scenario& scenario, std::string* trace);
Run simulate(const Scenario& scenario, std::string* trace = nullptr);

// The simplest scenario found that fails in the same way.
Scenario shrink(Scenario scenario, Simulate* simulate);

}  // namespace taskhost::simulation
