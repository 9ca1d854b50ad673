// Reads what the process of an isolated task may have: the fields "limits", "user" and "process". On the reading's
// thread.
#pragma once

#include <cstddef>
#include <optional>

#include "manifest/faults.hpp"
#include "manifest/fields.hpp"
#include "manifest/worker_limits.hpp"

namespace taskhost {

// A worker takes some memory and descriptors for itself.
inline constexpr std::uint64_t min_worker_memory = std::uint64_t{64} << 20;
inline constexpr std::uint32_t min_worker_files = 32;
inline constexpr std::uint32_t min_worker_processes = 8;

struct GivenLimits {
  WorkerLimits limits;
  std::size_t offset = 0;       // in the text, of the first of the fields
  const char* field = nullptr;  // its name
};

// Nothing: the object has none of the fields.
std::optional<GivenLimits> read_limits(const FieldReader& fields, ManifestFaults& faults);

// What the first does not say is as the second does.
WorkerLimits with_default_limits(WorkerLimits limits, const WorkerLimits& defaults);

}  // namespace taskhost
