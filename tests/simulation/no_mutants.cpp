// For taskhost-simulate, which drives the real code.
#include "mutants.hpp"

namespace taskhost::simulation {

std::span<const Mutant> mutants() { return {}; }
int active_mutant = 0;

}  // namespace taskhost::simulation
