// A JSON value that knows its place in the text. Plain values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace taskhost {

enum class NodeKind : std::uint8_t { null, boolean, number, string, array, object };

struct ManifestNode {
  NodeKind kind = NodeKind::null;
  std::size_t offset = 0;      // of a byte on the line where the value begins; increases through the text
  std::string key;             // its name in the object that it is in
  std::size_t key_offset = 0;  // as above
  std::string text;            // a string's characters; a number as written, so that no digit is lost; "true", "null"
  double number = 0;
  std::vector<ManifestNode> children;  // keys are unique

  const ManifestNode* find(std::string_view wanted) const noexcept;
};

// "a string"
std::string_view kind_words(NodeKind kind) noexcept;

// "a number (10)", for messages
std::string found_words(const ManifestNode& node);

// JSON without blanks and comments, with the keys in the order of the text.
std::string compact_json(const ManifestNode& node);

}  // namespace taskhost
