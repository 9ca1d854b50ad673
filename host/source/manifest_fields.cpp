#include "manifest_fields.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "duration.hpp"
#include "manifest_text.hpp"
#include "nearest_word.hpp"

namespace taskhost {
namespace {

using Words = std::string_view;

constexpr std::array<Words, 11> root_fields = {
    "$schema",          "plugin_dirs",        "shards",   "shutdown_timeout", "stall_limit", "stall_threads",
    "blocking_threads", "blocking_stack_kib", "defaults", "autoload",         "tasks"};
constexpr std::array<Words, 1> defaults_fields = {"stop_timeout"};
constexpr std::array<Words, 3> autoload_fields = {"type", "restarts", "stop_timeout"};
constexpr std::array<Words, 7> task_fields = {"name", "plugin", "task", "type", "restarts", "stop_timeout", "config"};

constexpr std::array<ObjectKind, 4> object_kinds = {{{"the top object", root_fields},
                                                     {"\"defaults\"", defaults_fields},
                                                     {"\"autoload\"", autoload_fields},
                                                     {"a task", task_fields}}};

constexpr std::array<TaskType, 3> task_types = {TaskType::shutdown_on_exit, TaskType::mandatory, TaskType::detachable};

std::array<Words, 3> type_words() {
  std::array<Words, 3> words;
  std::transform(task_types.begin(), task_types.end(), words.begin(), [](TaskType type) { return to_string(type); });
  return words;
}

bool has_field(const ObjectKind& kind, Words field) {
  return std::find(kind.fields.begin(), kind.fields.end(), field) != kind.fields.end();
}

// The objects that do have this field: it may simply stand in the wrong place.
std::string homes_of(Words field) {
  std::vector<std::string> homes;
  for (const ObjectKind& kind : object_kinds) {
    if (has_field(kind, field)) {
      homes.emplace_back(kind.words);
    }
  }
  return word_list(homes, "or");
}

}  // namespace

const ObjectKind& root_kind() noexcept { return object_kinds[0]; }
const ObjectKind& defaults_kind() noexcept { return object_kinds[1]; }
const ObjectKind& autoload_kind() noexcept { return object_kinds[2]; }
const ObjectKind& task_kind() noexcept { return object_kinds[3]; }

bool expect_kind(const ManifestNode& node, NodeKind kind, const std::string& pointer, ManifestFaults& faults) {
  if (node.kind != kind) {
    faults.add(node.offset, pointer, "expected " + std::string(kind_words(kind)) + ", found " + found_words(node));
  }
  return node.kind == kind;
}

void refuse_unknown_field(const ManifestNode& field, const std::string& pointer, const ObjectKind& kind,
                          ManifestFaults& faults) {
  const Words nearest = nearest_word(field.key, kind.fields);
  const std::string homes = homes_of(field.key);
  std::string message = "unknown field " + quoted_text(field.key);
  if (!nearest.empty()) {
    message += "; did you mean \"" + std::string(nearest) + "\"?";
    message += homes.empty() ? "" : " (as it is, it belongs in " + homes + ')';
  } else if (!homes.empty()) {
    message += " in " + std::string(kind.words) + "; it belongs in " + homes;
  } else {
    message += "; " + std::string(kind.words) + " may have " + quoted_list(kind.fields, "and");
  }
  faults.add(field.key_offset, pointer, std::move(message));
}

std::optional<std::string> read_text(const ManifestNode& node, const std::string& pointer, std::size_t most_bytes,
                                     ManifestFaults& faults) {
  if (!expect_kind(node, NodeKind::string, pointer, faults)) {
    return std::nullopt;
  }
  if (node.text.empty()) {
    faults.add(node.offset, pointer, "expected a string with at least one character, found an empty one");
    return std::nullopt;
  }
  if (node.text.size() > most_bytes) {
    faults.add(node.offset, pointer,
               "expected at most " + std::to_string(most_bytes) + " bytes, found " + std::to_string(node.text.size()) +
                   " (" + quoted_text(node.text) + ')');
    return std::nullopt;
  }
  if (has_control_character(node.text)) {
    faults.add(node.offset, pointer, "control characters are not allowed here, found " + quoted_text(node.text));
    return std::nullopt;
  }
  return node.text;
}

std::optional<std::uint32_t> read_whole_number(const ManifestNode& node, const std::string& pointer,
                                               std::uint32_t least, std::uint32_t most, ManifestFaults& faults) {
  // As JSON Schema has it, 3.0 is a whole number.
  const bool is_in_range = node.kind == NodeKind::number && node.number >= least && node.number <= most;
  if (is_in_range && std::floor(node.number) == node.number) {
    return static_cast<std::uint32_t>(node.number);
  }
  faults.add(node.offset, pointer,
             "expected a whole number from " + std::to_string(least) + " to " + std::to_string(most) + ", found " +
                 found_words(node));
  return std::nullopt;
}

std::optional<std::chrono::nanoseconds> read_duration(const ManifestNode& node, const std::string& pointer,
                                                      ManifestFaults& faults) {
  const std::string expected = "expected a duration such as " + std::string(duration_examples) + ", found ";
  if (node.kind != NodeKind::string) {
    const std::string hint = node.kind == NodeKind::number ? "; it is a string with a unit" : "";
    faults.add(node.offset, pointer, expected + found_words(node) + hint);
    return std::nullopt;
  }
  const DurationReading reading = parse_duration(node.text);
  if (!reading.value) {
    faults.add(node.offset, pointer, expected + quoted_text(node.text) + "; " + reading.problem);
  }
  return reading.value;
}

std::optional<std::chrono::nanoseconds> read_duration(const ManifestNode& node, const std::string& pointer,
                                                      std::chrono::nanoseconds least, std::chrono::nanoseconds most,
                                                      ManifestFaults& faults) {
  const std::optional<std::chrono::nanoseconds> value = read_duration(node, pointer, faults);
  if (!value || (*value >= least && *value <= most)) {
    return value;
  }
  faults.add(node.offset, pointer,
             "expected a duration from " + print_duration(least) + " to " + print_duration(most) + ", found " +
                 quoted_text(node.text));
  return std::nullopt;
}

std::optional<TaskType> read_task_type(const ManifestNode& node, const std::string& pointer, ManifestFaults& faults) {
  if (!expect_kind(node, NodeKind::string, pointer, faults)) {
    return std::nullopt;
  }
  for (const TaskType type : task_types) {
    if (node.text == to_string(type)) {
      return type;
    }
  }
  const std::array<Words, 3> words = type_words();
  const Words nearest = nearest_word(node.text, words);
  faults.add(node.offset, pointer,
             "unknown task type " + quoted_text(node.text) +
                 (nearest.empty() ? "; it is " + quoted_list(words, "or")
                                  : "; did you mean \"" + std::string(nearest) + "\"?"));
  return std::nullopt;
}

FieldReader::FieldReader(const ManifestNode& node, const std::string& pointer, const ObjectKind& kind,
                         ManifestFaults& faults)
    : node_(node), pointer_(pointer), faults_(faults) {
  if (!expect_kind(node, NodeKind::object, pointer, faults)) {
    return;
  }
  for (const ManifestNode& field : node.children) {
    if (!has_field(kind, field.key)) {
      refuse_unknown_field(field, pointer_to(field.key), kind, faults);
    }
  }
}

std::string FieldReader::pointer_to(std::string_view field) const { return pointer_ + pointer_step(field); }

std::optional<std::string> FieldReader::text(std::string_view field, std::size_t most_bytes) const {
  const ManifestNode* const node = find(field);
  return node == nullptr ? std::nullopt : read_text(*node, pointer_to(field), most_bytes, faults_);
}

std::optional<std::uint32_t> FieldReader::whole_number(std::string_view field, std::uint32_t least,
                                                       std::uint32_t most) const {
  const ManifestNode* const node = find(field);
  return node == nullptr ? std::nullopt : read_whole_number(*node, pointer_to(field), least, most, faults_);
}

std::optional<std::chrono::nanoseconds> FieldReader::duration(std::string_view field) const {
  const ManifestNode* const node = find(field);
  return node == nullptr ? std::nullopt : read_duration(*node, pointer_to(field), faults_);
}

std::optional<TaskType> FieldReader::task_type(std::string_view field) const {
  const ManifestNode* const node = find(field);
  return node == nullptr ? std::nullopt : read_task_type(*node, pointer_to(field), faults_);
}

void FieldReader::require(std::string_view field, std::string_view hint) const {
  if (find(field) == nullptr) {
    faults_.add(node_.offset, pointer_, '"' + std::string(field) + "\" is missing; " + std::string(hint));
  }
}

}  // namespace taskhost
