// Checks what a plugin's entry returns against abi/CONTRACT.md, section 2. Any thread; reads the plugin's memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "taskhost/plugin.h"

namespace taskhost {

inline constexpr std::size_t max_state_size = std::size_t{1} << 30;
inline constexpr std::size_t max_state_align = 4096;
// Of a work that a plugin of minor version 0 offers; fields that come later are behind it.
inline constexpr std::size_t max_struct_size = 65'536;  // bounds what a later host may read
inline constexpr std::size_t first_work_size = offsetof(taskhost_work, discard) + sizeof(void*);
inline constexpr std::size_t max_factories = 1024;  // for one plugin

struct FactoryReading {
  // Copies in this host's version of the struct: fields that the plugin's version lacks are zero, and those that this
  // host does not know are dropped. The texts still belong to the plugin.
  std::vector<taskhost_factory> factories;
  std::string problem;  // the first broken rule, with its number; empty if all hold
};

FactoryReading read_factories(const taskhost_factory* first);

// One factory, without its successors.
FactoryReading read_factory(const taskhost_factory& factory);

}  // namespace taskhost
