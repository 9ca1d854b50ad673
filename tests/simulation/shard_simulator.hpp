// Drives a real shard, which supervises its own tasks, through a scenario in virtual time, and compares everything that
// it reports with a model for each task.
#pragma once

#include "simulator.hpp"

namespace taskhost::simulation {

Run simulate_shard(const Scenario& scenario, std::string* trace = nullptr);

}  // namespace taskhost::simulation
