// What the process of an isolated task may have, and whose rights. Plain values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace taskhost {

struct WorkerLimits {
  std::optional<std::uint64_t> memory{};      // bytes of its data: what it may write to, not what it reserves
  std::optional<std::uint64_t> open_files{};  // descriptors
  std::optional<std::uint64_t> processes{};   // of its user, threads included
  std::optional<bool> core_dump{};            // absent: as the host
  std::string user{};                         // a name; empty: the host's
  std::string process{};                      // its name, for tasks that share it; empty: each execution has its own

  bool operator==(const WorkerLimits&) const = default;
};

}  // namespace taskhost
