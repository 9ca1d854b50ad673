// JSON text to nodes, piece by piece: a manifest of a million tasks never stands in memory as a tree. Checks what is
// the same for every JSON text: syntax, duplicate keys, depth. Owned by one reading, on its thread.
#pragma once

#include <cstddef>
#include <string_view>

#include "manifest/faults.hpp"
#include "manifest/node.hpp"

namespace taskhost {

inline constexpr std::size_t max_nesting = 256;

// Who takes the pieces, in the order of the text. Nodes may be moved from.
class ManifestSink {
 public:
  virtual ~ManifestSink() = default;

  // One element of the root's array "tasks".
  virtual void take_task(ManifestNode& node, std::size_t index) = 0;

  // One field of the root. "tasks" comes without those elements, after them.
  virtual void take_field(ManifestNode& node) = 0;

  // The root's end: an object, read to its end without a syntax error.
  virtual void take_end(std::size_t root_offset) = 0;
};

// Nothing comes after the first syntax error, as everything behind it would be a guess. Whether there was none.
bool parse_manifest(std::string_view text, ManifestSink& sink, ManifestFaults& faults);

}  // namespace taskhost
