#include "manifest/node.hpp"

#include <nlohmann/json.hpp>

#include "text/printable.hpp"

namespace taskhost {
namespace {

std::string json_string(const std::string& text) { return nlohmann::json(text).dump(); }

// Recursive: the parser limits the depth.
void append_compact(std::string& json, const ManifestNode& node) {
  switch (node.kind) {
    case NodeKind::null:
    case NodeKind::boolean:
    case NodeKind::number:
      json += node.text;
      return;
    case NodeKind::string:
      json += json_string(node.text);
      return;
    case NodeKind::array:
    case NodeKind::object:
      break;
  }
  const bool is_object = node.kind == NodeKind::object;
  json += is_object ? '{' : '[';
  bool first = true;
  for (const ManifestNode& child : node.children) {
    json += first ? "" : ",";
    first = false;
    if (is_object) {
      json += json_string(child.key) + ':';
    }
    append_compact(json, child);
  }
  json += is_object ? '}' : ']';
}

}  // namespace

const ManifestNode* ManifestNode::find(std::string_view wanted) const noexcept {
  for (const ManifestNode& child : children) {
    if (child.key == wanted) {
      return &child;
    }
  }
  return nullptr;
}

std::string_view kind_words(NodeKind kind) noexcept {
  switch (kind) {
    case NodeKind::null:
      return "null";
    case NodeKind::boolean:
      return "a boolean";
    case NodeKind::number:
      return "a number";
    case NodeKind::string:
      return "a string";
    case NodeKind::array:
      return "an array";
    case NodeKind::object:
      return "an object";
  }
  return "";
}

std::string found_words(const ManifestNode& node) {
  std::string words(kind_words(node.kind));
  switch (node.kind) {
    case NodeKind::boolean:
    case NodeKind::number:
      words += " (" + printable_text(node.text) + ')';
      break;
    case NodeKind::string:
      words += " (" + quoted_text(node.text) + ')';
      break;
    case NodeKind::null:
    case NodeKind::array:
    case NodeKind::object:
      break;
  }
  return words;
}

std::string compact_json(const ManifestNode& node) {
  std::string json;
  append_compact(json, node);
  return json;
}

}  // namespace taskhost
