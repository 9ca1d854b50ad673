// Turns JSON text into nodes piece by piece, so that a manifest of a million tasks is never in memory as a tree. Checks
// what applies to any JSON text: syntax, duplicate keys, depth. Owned by one reading, on its thread.
#pragma once

#include <cstddef>
#include <string_view>

#include "manifest/faults.hpp"
#include "manifest/node.hpp"

namespace taskhost {

inline constexpr std::size_t max_nesting = 256;

// Receives the pieces in the order of the text. May move from the nodes.
class ManifestSink {
 public:
  virtual ~ManifestSink() = default;

  // One element of the root's array "tasks".
  virtual void take_task(ManifestNode& node, std::size_t index) = 0;

  // One field of the root. "tasks" comes after its elements and without them.
  virtual void take_field(ManifestNode& node) = 0;

  // The end of the root, an object that was read to its end without a syntax error.
  virtual void take_end(std::size_t root_offset) = 0;
};

// Stops at the first syntax error, since everything after it would be a guess. Returns whether there was none.
bool parse_manifest(std::string_view text, ManifestSink& sink, ManifestFaults& faults);

}  // namespace taskhost
