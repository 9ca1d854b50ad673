// What the fields of a manifest mean. Syntax is in manifest_parser, the checks of one value in manifest_fields.
#include "manifest.hpp"

#include <functional>
#include <optional>
#include <unordered_set>
#include <utility>

#include "manifest_fields.hpp"
#include "manifest_parser.hpp"
#include "manifest_text.hpp"

namespace taskhost {
namespace {

constexpr std::string_view type_hint = "it is \"shutdown_on_exit\", \"mandatory\" or \"detachable\"";

class ManifestReader final : public ManifestSink {
 public:
  ManifestReader(std::string_view text, ManifestFaults& faults) : text_(text), faults_(faults) {}

  // Only after the parse, as `defaults` may stand behind the tasks.
  Manifest take() {
    for (const std::size_t index : default_stop_timeouts_) {
      manifest_.tasks[index].options.stop_timeout = manifest_.default_stop_timeout;
    }
    if (manifest_.autoload && autoload_has_default_stop_timeout_) {
      manifest_.autoload->stop_timeout = manifest_.default_stop_timeout;
    }
    return std::move(manifest_);
  }

  void take_task(ManifestNode& node, std::size_t index) override {
    ManifestTask task;
    task.pointer = "/tasks/" + std::to_string(index);
    task.line = line_of_next_task(node.offset);
    const FieldReader fields(node, task.pointer, task_kind(), faults_);
    if (fields.is_object()) {
      task.name = fields.text("name", longest_name).value_or("");
      task.plugin = fields.text("plugin", longest_path).value_or("");
      task.factory = fields.text("task", longest_name).value_or("");
      if (const ManifestNode* const config = fields.find("config")) {
        task.config = compact_json(*config);
      }
      fields.require("plugin", "it names the library, such as \"plugin\": \"feed\"");
      if (!read_options(fields, task.options)) {
        default_stop_timeouts_.push_back(manifest_.tasks.size());
      }
    }
    manifest_.tasks.push_back(std::move(task));
    check_name(node);
  }

  void take_field(ManifestNode& node) override {
    const std::string pointer = pointer_step(node.key);
    if (node.key == "$schema") {
      expect_kind(node, NodeKind::string, pointer, faults_);
    } else if (node.key == "plugin_dirs") {
      read_plugin_dirs(node, pointer);
    } else if (node.key == "shards") {
      manifest_.shards = read_whole_number(node, pointer, 1, most_shards, faults_);
    } else if (node.key == "shutdown_timeout") {
      manifest_.shutdown_timeout = read_duration(node, pointer, faults_);
    } else if (node.key == "stall_limit") {
      manifest_.stall_limit =
          read_duration(node, pointer, least_stall_limit, most_stall_limit, faults_).value_or(least_stall_limit);
    } else if (node.key == "stall_threads") {
      manifest_.stall_threads = read_whole_number(node, pointer, 0, most_stall_threads, faults_).value_or(0);
    } else if (node.key == "blocking_threads") {
      manifest_.blocking_threads = read_whole_number(node, pointer, 1, most_blocking_threads, faults_).value_or(1);
    } else if (node.key == "blocking_stack_kib") {
      manifest_.blocking_stack_kib =
          read_whole_number(node, pointer, least_stack_kib, most_stack_kib, faults_).value_or(least_stack_kib);
    } else if (node.key == "defaults") {
      const FieldReader fields(node, pointer, defaults_kind(), faults_);
      manifest_.default_stop_timeout = fields.duration("stop_timeout").value_or(manifest_.default_stop_timeout);
    } else if (node.key == "autoload") {
      read_autoload(node, pointer);
    } else if (node.key == "tasks") {
      tasks_offset_ = node.offset;
      tasks_is_no_array_ = !expect_kind(node, NodeKind::array, pointer, faults_);
    } else {
      refuse_unknown_field(node, pointer, root_kind(), faults_);
    }
  }

  void take_end(std::size_t root_offset) override {
    if (!manifest_.tasks.empty() || has_autoload_ || tasks_is_no_array_) {
      return;
    }
    faults_.add(tasks_offset_.value_or(root_offset), tasks_offset_ ? "/tasks" : "",
                "nothing to run; give \"tasks\" at least one entry, or add \"autoload\"");
  }

 private:
  // Finds tasks by their index, as their names move when the list grows.
  struct NameHash {
    const std::vector<ManifestTask>* tasks;
    std::size_t operator()(std::size_t index) const { return std::hash<std::string>{}((*tasks)[index].name); }
  };
  struct SameName {
    const std::vector<ManifestTask>* tasks;
    bool operator()(std::size_t left, std::size_t right) const { return (*tasks)[left].name == (*tasks)[right].name; }
  };

  // Whether they give a stop_timeout.
  bool read_options(const FieldReader& fields, TaskOptions& options) {
    fields.require("type", type_hint);
    const std::optional<TaskType> type = fields.task_type("type");
    const std::optional<std::uint32_t> restarts = fields.whole_number("restarts", 0, most_restarts);
    const std::optional<std::chrono::nanoseconds> stop_timeout = fields.duration("stop_timeout");
    if (const ManifestNode* const given = fields.find("restarts");
        given != nullptr && type == TaskType::shutdown_on_exit) {
      faults_.add(given->key_offset, fields.pointer_to("restarts"),
                  "a \"shutdown_on_exit\" task is never restarted; remove \"restarts\" or choose another type");
    }
    options.type = type.value_or(options.type);
    options.restarts = restarts.value_or(0);
    options.stop_timeout = stop_timeout.value_or(options.stop_timeout);
    return stop_timeout.has_value();
  }

  void read_autoload(const ManifestNode& node, const std::string& pointer) {
    has_autoload_ = true;
    const FieldReader fields(node, pointer, autoload_kind(), faults_);
    if (fields.is_object()) {
      TaskOptions options;
      autoload_has_default_stop_timeout_ = !read_options(fields, options);
      manifest_.autoload = options;
    }
  }

  void read_plugin_dirs(const ManifestNode& node, const std::string& pointer) {
    if (!expect_kind(node, NodeKind::array, pointer, faults_)) {
      return;
    }
    if (node.children.empty()) {
      faults_.add(node.offset, pointer, "expected at least one directory; without this field it is the manifest's own");
    }
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      const std::string element_pointer = pointer + '/' + std::to_string(index);
      if (std::optional<std::string> directory =
              read_text(node.children[index], element_pointer, longest_path, faults_)) {
        manifest_.plugin_dirs.push_back(std::move(*directory));
      }
    }
  }

  // Of the task that was read last.
  void check_name(const ManifestNode& node) {
    const ManifestTask& task = manifest_.tasks.back();
    if (task.name.empty()) {
      return;
    }
    const auto [first, is_new] = names_.insert(manifest_.tasks.size() - 1);
    if (!is_new) {
      const ManifestTask& taken_by = manifest_.tasks[*first];
      faults_.add(node.find("name")->offset, task.pointer + "/name",
                  "the name " + quoted_text(task.name) + " is taken by " + taken_by.pointer + " (line " +
                      std::to_string(taken_by.line) + "); names are unique");
    }
  }

  // Tasks come in the order of the text, so that all of them together cost one pass over it.
  std::size_t line_of_next_task(std::size_t offset) {
    line_ += position_in_text(text_.substr(counted_to_, offset - counted_to_), offset).line - 1;
    counted_to_ = offset;
    return line_;
  }

  std::string_view text_;
  ManifestFaults& faults_;
  Manifest manifest_;
  std::unordered_set<std::size_t, NameHash, SameName> names_{16, NameHash{&manifest_.tasks},
                                                             SameName{&manifest_.tasks}};
  std::vector<std::size_t> default_stop_timeouts_;  // indices of the tasks that give none
  bool autoload_has_default_stop_timeout_ = false;
  bool has_autoload_ = false;
  bool tasks_is_no_array_ = false;  // "tasks" is not an array, which is a fault of its own
  std::optional<std::size_t> tasks_offset_;
  std::size_t line_ = 1;
  std::size_t counted_to_ = 0;
};

}  // namespace

ManifestReading read_manifest(std::string_view text, const std::string& file) {
  ManifestFaults faults(text, file);
  ManifestReader reader(text, faults);
  ManifestReading reading;
  reading.readable = parse_manifest(text, reader, faults);
  reading.manifest = reader.take();
  reading.faults = faults.take();
  return reading;
}

}  // namespace taskhost
