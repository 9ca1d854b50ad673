// The fields of one object of the manifest: their names, types and ranges. A view; lives while one object is read.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "manifest/faults.hpp"
#include "manifest/node.hpp"
#include "policy/rules.hpp"
#include "taskhost/core/limits.hpp"
#include "taskhost/core/task_type.hpp"
#include "taskhost/core/words.hpp"

namespace taskhost {

// The objects of a manifest.
enum class ManifestObject : std::uint8_t {
  root,
  included,
  defaults,
  autoload,
  task,
  group,
  backoff,
  watchdog,
  on_give_up,
  exit_rule,
  match,
  repeat,
  limits,
};
template <>
inline constexpr auto words_of<ManifestObject> = std::to_array<Word<ManifestObject>>({
    {ManifestObject::root, "the top object"},
    {ManifestObject::included, "an included file"},
    {ManifestObject::defaults, "\"defaults\""},
    {ManifestObject::autoload, "\"autoload\""},
    {ManifestObject::task, "a task"},
    {ManifestObject::group, "a group"},
    {ManifestObject::backoff, "\"backoff\""},
    {ManifestObject::watchdog, "\"watchdog\""},
    {ManifestObject::on_give_up, "\"on_give_up\""},
    {ManifestObject::exit_rule, "an exit rule"},
    {ManifestObject::match, "\"match\""},
    {ManifestObject::repeat, "\"repeat\""},
    {ManifestObject::limits, "\"limits\""},
});

// A field, and the objects that may have it.
struct ManifestField {
  // Most tasks have none of the optional ones and are read faster.
  enum class Use : std::uint8_t { plain, optional };

  template <class... Objects>
  constexpr ManifestField(std::string_view name, Use use, Objects... objects)
      : key(name), is_optional(use == Use::optional), objects_((bit(objects) | ...)) {}

  constexpr bool is_in(ManifestObject object) const { return (objects_ & bit(object)) != 0; }

  std::string_view key;
  bool is_optional;

 private:
  static constexpr unsigned bit(ManifestObject object) { return 1u << static_cast<unsigned>(object); }
  unsigned objects_;
};

// In the order in which messages list them.
inline constexpr auto manifest_fields = [] {
  using enum ManifestObject;
  using enum ManifestField::Use;
  return std::to_array<ManifestField>({
      {"name", plain, root, task},
      {"plugin", plain, task},
      {"task", plain, task},
      {"type", plain, autoload, task},
      {"restarts", plain, autoload, task},
      {"stop_timeout", plain, defaults, autoload, task},
      {"config", plain, task},
      {"window", optional, defaults, autoload, task},
      {"backoff", optional, defaults, autoload, task},
      {"reset_after", optional, defaults, autoload, task},
      {"ready", optional, defaults, autoload, task},
      {"start_timeout", optional, defaults, autoload, task},
      {"watchdog", optional, defaults, autoload, task},
      {"on_give_up", optional, defaults, autoload, task},
      {"exit_rules", optional, defaults, autoload, task},
      {"repeat", optional, autoload, task},
      {"isolation", optional, defaults, autoload, task},
      {"limits", optional, defaults, autoload, task},
      {"user", optional, defaults, autoload, task},
      {"process", optional, task},
      {"after", optional, task},
      {"group", optional, task},
      {"$schema", plain, root, included},
      {"include", plain, root, included},
      {"plugin_dirs", plain, root, included},
      {"metrics_tasks", plain, root},
      {"keep_events", plain, root},
      {"keep_log_lines", plain, root},
      {"shards", plain, root},
      {"shutdown_timeout", plain, root},
      {"stall_limit", plain, root},
      {"stall_threads", plain, root},
      {"blocking_threads", plain, root},
      {"blocking_stack_kib", plain, root},
      {"poll_stack_kib", plain, root},
      {"seed", plain, root},
      {"defaults", plain, root, included},
      {"autoload", plain, root},
      {"groups", plain, root, included},
      {"tasks", plain, root, included},
      {"strategy", plain, group},
      {"initial", plain, backoff},
      {"factor", plain, backoff},
      {"max", plain, backoff},
      {"jitter", plain, backoff},
      {"interval", plain, watchdog},
      {"cooldown", plain, on_give_up},
      {"match", plain, exit_rule},
      {"action", plain, watchdog, exit_rule},
      {"outcome", plain, match},
      {"message", plain, match},
      {"every", plain, repeat},
      {"schedule", plain, repeat},
      {"time_zone", plain, repeat},
      {"memory", plain, limits},
      {"open_files", plain, limits},
      {"processes", plain, limits},
      {"core_dump", plain, limits},
  });
}();

// Names and texts of plugins and tasks are at most this long, in bytes.
inline constexpr std::size_t max_name_bytes = 128;
inline constexpr std::size_t max_path_bytes = 4096;
inline constexpr std::size_t max_schedule_bytes = 1024;
inline constexpr std::uint32_t max_metrics_tasks = 1'000'000;
inline constexpr std::uint32_t min_kept = 100;  // events and lines; fewer would not do even for those who follow
inline constexpr std::uint32_t max_kept = 1'000'000;
inline constexpr std::uint32_t max_seed = 4'294'967'295;
inline constexpr std::chrono::hours max_stall_limit{1};
inline constexpr std::uint32_t max_stall_threads = 1024;
inline constexpr std::uint32_t max_blocking_threads = 65'536;
inline constexpr std::uint32_t min_stack_kib = 64;
inline constexpr std::uint32_t max_stack_kib = 1'048'576;

// Each reads the value of one node. Without a value, a fault has been added.
std::optional<std::string> read_text(const ManifestNode& node, const std::string& pointer, std::size_t max_bytes,
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
// Whether the node is one of these words. `what` names the kind of word: "task type".
bool expect_word(const ManifestNode& node, const std::string& pointer, std::string_view what,
                 std::span<const std::string_view> words, ManifestFaults& faults);
// A word of the enum, except for those that an operator can't write.
template <class Enum, Enum... omitted>
std::optional<Enum> read_word(const ManifestNode& node, const std::string& pointer, std::string_view what,
                              ManifestFaults& faults) {
  static constexpr auto words = plain_words<Enum, omitted...>();
  return expect_word(node, pointer, what, words, faults) ? from_word<Enum>(node.text) : std::nullopt;
}
// A whole number, or "unlimited".
struct Restarts {
  std::uint32_t count = 0;
  bool unlimited = false;
};
std::optional<Restarts> read_restarts(const ManifestNode& node, const std::string& pointer, ManifestFaults& faults);
bool expect_kind(const ManifestNode& node, NodeKind kind, const std::string& pointer, ManifestFaults& faults);

// Whether the node is an array, which should hold strings; for a single string, the fault shows how to write the array.
bool expect_text_list(const ManifestNode& node, const std::string& pointer, ManifestFaults& faults);

// For a key that the object may not have.
void refuse_unknown_field(const ManifestNode& field, const std::string& pointer, ManifestObject object,
                          ManifestFaults& faults);

class FieldReader {
 public:
  // Rejects anything but an object, and fields that `object` does not have.
  FieldReader(const ManifestNode& node, const std::string& pointer, ManifestObject object, ManifestFaults& faults);

  bool is_object() const noexcept { return node_.kind == NodeKind::object; }
  bool has_optional() const noexcept { return has_optional_; }
  const ManifestNode& node() const noexcept { return node_; }
  const std::string& pointer() const noexcept { return pointer_; }
  const ManifestNode* find(std::string_view field) const noexcept { return node_.find(field); }
  std::string pointer_to(std::string_view field) const;

  std::optional<std::string> text(std::string_view field, std::size_t max_bytes) const;
  std::optional<Restarts> restarts(std::string_view field) const;
  std::optional<double> number(std::string_view field, double least, double most) const;
  std::optional<std::chrono::nanoseconds> duration(std::string_view field) const;
  std::optional<std::chrono::nanoseconds> positive_duration(std::string_view field) const;
  template <class Enum>
  std::optional<Enum> word(std::string_view field, std::string_view what) const {
    const ManifestNode* const node = find(field);
    return node == nullptr ? std::nullopt : read_word<Enum>(*node, pointer_to(field), what, faults_);
  }

  // If the field is missing, `hint` says what to write.
  void require(std::string_view field, std::string_view hint) const;

 private:
  const ManifestNode& node_;
  const std::string& pointer_;
  ManifestFaults& faults_;
  bool has_optional_ = false;
};

}  // namespace taskhost
