// The fields of one object of the manifest: their names, types and ranges. A view; lives while one object is read.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "manifest/faults.hpp"
#include "manifest/node.hpp"
#include "policy/rules.hpp"
#include "taskhost/core/task_type.hpp"
#include "taskhost/core/words.hpp"

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
const ObjectKind& group_kind() noexcept;
const ObjectKind& backoff_kind() noexcept;
const ObjectKind& watchdog_kind() noexcept;
const ObjectKind& give_up_kind() noexcept;
const ObjectKind& exit_rule_kind() noexcept;
const ObjectKind& match_kind() noexcept;

// Names and texts of plugins and tasks are at most this long, in bytes.
inline constexpr std::size_t longest_name = 128;
inline constexpr std::size_t longest_path = 4096;
inline constexpr std::size_t most_message_bytes = 4096;  // of an exit rule
inline constexpr std::uint32_t most_seed = 4'294'967'295;
// Where the optional fields of a policy begin, in the lists of a task's fields, of autoload's and of those of defaults.
inline constexpr std::size_t optional_task_fields = 7;
inline constexpr std::size_t optional_autoload_fields = 3;
inline constexpr std::size_t optional_defaults_fields = 1;
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
// Longer than 0s.
std::optional<std::chrono::nanoseconds> read_positive_duration(const ManifestNode& node, const std::string& pointer,
                                                               ManifestFaults& faults);
std::optional<double> read_number(const ManifestNode& node, const std::string& pointer, double least, double most,
                                  ManifestFaults& faults);
// Is it one of these words? `what` names it: "task type".
bool expect_word(const ManifestNode& node, const std::string& pointer, std::string_view what,
                 std::span<const std::string_view> words, ManifestFaults& faults);
// A word of the enum, but for those that an operator can't write.
template <class Enum, Enum... omitted>
std::optional<Enum> read_word(const ManifestNode& node, const std::string& pointer, std::string_view what,
                              ManifestFaults& faults) {
  static constexpr auto words = plain_words<Enum, omitted...>();
  return expect_word(node, pointer, what, words, faults) ? from_word<Enum>(node.text) : std::nullopt;
}
// The whole number, or "unlimited".
struct Restarts {
  std::uint32_t count = 0;
  bool unlimited = false;
};
std::optional<Restarts> read_restarts(const ManifestNode& node, const std::string& pointer, ManifestFaults& faults);
bool expect_kind(const ManifestNode& node, NodeKind kind, const std::string& pointer, ManifestFaults& faults);

// An array of strings, by its looks; a string alone is told what is missing.
bool expect_text_list(const ManifestNode& node, const std::string& pointer, ManifestFaults& faults);

// A key that the object may not have.
void refuse_unknown_field(const ManifestNode& field, const std::string& pointer, const ObjectKind& kind,
                          ManifestFaults& faults);

class FieldReader {
 public:
  // Refuses what is not an object, and the fields that `kind` doesn't have.
  FieldReader(const ManifestNode& node, const std::string& pointer, const ObjectKind& kind, ManifestFaults& faults);

  bool is_object() const noexcept { return node_.kind == NodeKind::object; }
  // Whether it has a field of those that stand at this place of the kind's list, or behind it.
  bool has_from(std::size_t place) const noexcept { return last_place_ >= place; }
  const ManifestNode& node() const noexcept { return node_; }
  const std::string& pointer() const noexcept { return pointer_; }
  const ManifestNode* find(std::string_view field) const noexcept { return node_.find(field); }
  std::string pointer_to(std::string_view field) const;

  std::optional<std::string> text(std::string_view field, std::size_t most_bytes) const;
  std::optional<Restarts> restarts(std::string_view field) const;
  std::optional<double> number(std::string_view field, double least, double most) const;
  std::optional<std::chrono::nanoseconds> duration(std::string_view field) const;
  std::optional<std::chrono::nanoseconds> positive_duration(std::string_view field) const;
  template <class Enum>
  std::optional<Enum> word(std::string_view field, std::string_view what) const {
    const ManifestNode* const node = find(field);
    return node == nullptr ? std::nullopt : read_word<Enum>(*node, pointer_to(field), what, faults_);
  }

  // If it is missing, `hint` says what to write.
  void require(std::string_view field, std::string_view hint) const;

 private:
  const ManifestNode& node_;
  const std::string& pointer_;
  ManifestFaults& faults_;
  std::size_t last_place_ = 0;  // in the kind's list, of the fields that it has
};

}  // namespace taskhost
