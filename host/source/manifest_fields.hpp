// The fields of one object of the manifest: their names, types and ranges. A view; lives while one object is read.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "manifest_faults.hpp"
#include "manifest_node.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

// An object of the manifest and the fields it may have.
struct ObjectKind {
  std::string_view words;  // "a task"
  std::span<const std::string_view> fields;
};

const ObjectKind& root_kind() noexcept;
const ObjectKind& defaults_kind() noexcept;
const ObjectKind& autoload_kind() noexcept;
const ObjectKind& task_kind() noexcept;

// Names and texts of plugins and tasks are at most this long, in bytes.
inline constexpr std::size_t longest_name = 128;
inline constexpr std::size_t longest_path = 4096;
inline constexpr std::uint32_t most_restarts = 4'294'967'294;  // one less than fits: "unlimited" needs a value, too
inline constexpr std::uint32_t most_shards = 256;
inline constexpr std::chrono::milliseconds least_stall_limit{10};
inline constexpr std::chrono::hours most_stall_limit{1};
inline constexpr std::uint32_t most_stall_threads = 1024;
inline constexpr std::uint32_t most_blocking_threads = 65'536;
inline constexpr std::uint32_t least_stack_kib = 64;
inline constexpr std::uint32_t most_stack_kib = 1'048'576;

// Values of one node. Each has no value if there is a fault, and then the fault is in the list.
std::optional<std::string> read_text(const ManifestNode& node, const std::string& pointer, std::size_t most_bytes,
                                     ManifestFaults& faults);
std::optional<std::uint32_t> read_whole_number(const ManifestNode& node, const std::string& pointer,
                                               std::uint32_t least, std::uint32_t most, ManifestFaults& faults);
std::optional<std::chrono::nanoseconds> read_duration(const ManifestNode& node, const std::string& pointer,
                                                      ManifestFaults& faults);
std::optional<std::chrono::nanoseconds> read_duration(const ManifestNode& node, const std::string& pointer,
                                                      std::chrono::nanoseconds least, std::chrono::nanoseconds most,
                                                      ManifestFaults& faults);
std::optional<TaskType> read_task_type(const ManifestNode& node, const std::string& pointer, ManifestFaults& faults);
bool expect_kind(const ManifestNode& node, NodeKind kind, const std::string& pointer, ManifestFaults& faults);

// A key that the object may not have.
void refuse_unknown_field(const ManifestNode& field, const std::string& pointer, const ObjectKind& kind,
                          ManifestFaults& faults);

class FieldReader {
 public:
  // Refuses what is not an object, and the fields that `kind` doesn't have.
  FieldReader(const ManifestNode& node, const std::string& pointer, const ObjectKind& kind, ManifestFaults& faults);

  bool is_object() const noexcept { return node_.kind == NodeKind::object; }
  const ManifestNode* find(std::string_view field) const noexcept { return node_.find(field); }
  std::string pointer_to(std::string_view field) const;

  std::optional<std::string> text(std::string_view field, std::size_t most_bytes) const;
  std::optional<std::uint32_t> whole_number(std::string_view field, std::uint32_t least, std::uint32_t most) const;
  std::optional<std::chrono::nanoseconds> duration(std::string_view field) const;
  std::optional<TaskType> task_type(std::string_view field) const;

  // If it is missing, `hint` says what to write.
  void require(std::string_view field, std::string_view hint) const;

 private:
  const ManifestNode& node_;
  const std::string& pointer_;
  ManifestFaults& faults_;
};

}  // namespace taskhost
