// The rules of abi/CONTRACT.md, section 2, for what a plugin's entry returns. Any thread; reads the plugin's memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "taskhost/plugin.h"

namespace taskhost {

inline constexpr std::size_t max_state_size = std::size_t{1} << 30;
inline constexpr std::size_t max_state_align = 4096;
inline constexpr std::size_t max_factories = 1024;  // of one plugin

struct FactoryReading {
  // Copies of this host's version of the struct: fields that the plugin's version does not have are zero, those that
  // this host does not know are left out. The texts stay the plugin's.
  std::vector<taskhost_factory> factories;
  std::string problem;  // the first rule that is broken, with its number; empty if all hold
};

FactoryReading read_factories(const taskhost_factory* first);

// One factory, without its successors.
FactoryReading read_factory(const taskhost_factory& factory);

}  // namespace taskhost
