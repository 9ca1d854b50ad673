// The deliberately wrong supervisors that are compiled into taskhost-simulate-mutants; taskhost-simulate has none.
// mutants.cmake lists them and writes the sources.
#pragma once

#include <span>

namespace taskhost::simulation {

struct Mutant {
  const char* name;
  const char* what;  // what is wrong with it
};
std::span<const Mutant> mutants();

extern int active_mutant;  // its place in the list, from 1; 0: none
inline bool is_mutant(int number) { return active_mutant == number; }

}  // namespace taskhost::simulation
