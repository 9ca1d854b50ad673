// What the fields of a manifest mean. Syntax is in parser.cpp, the checks of single values in fields.cpp.
#include "manifest/manifest.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "manifest/fields.hpp"
#include "manifest/parser.hpp"
#include "manifest/policy_fields.hpp"
#include "text/host_name.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {
namespace {

class ManifestReader final : public ManifestSink {
 public:
  ManifestReader(std::string_view text, ManifestFaults& faults) : text_(text), faults_(faults), policies_(faults) {}

  // Only after the parse, since `defaults` and `groups` may come after the tasks. `readable`: the whole text was read.
  Manifest take(bool readable) {
    manifest_.default_stop_timeout = policies_.default_stop_timeout();
    for (const std::size_t index : default_stop_timeouts_) {
      manifest_.tasks[index].options.stop_timeout = manifest_.default_stop_timeout;
    }
    if (readable) complete_policies();
    if (autoload_) {
      TaskOptions& options = manifest_.autoload.emplace(autoload_->policy.options);
      if (!autoload_->policy.has_stop_timeout) options.stop_timeout = manifest_.default_stop_timeout;
      if (readable) options.optional = policies_.complete(autoload_->policy, "/autoload", autoload_->offset);
    }
    if (readable && !groups_are_wrong_) find_groups();
    return std::move(manifest_);
  }

  void take_task(ManifestNode& node, std::size_t index) override {
    ManifestTask task;
    task.pointer = "/tasks/" + std::to_string(index);
    task.line = line_of_next_task(node.offset);
    const FieldReader fields(node, task.pointer, ManifestObject::task, faults_);
    if (fields.is_object()) {
      task.name = fields.text("name", max_name_bytes).value_or("");
      task.plugin = fields.text("plugin", max_path_bytes).value_or("");
      task.factory = fields.text("task", max_name_bytes).value_or("");
      if (const ManifestNode* const config = fields.find("config")) {
        task.config = compact_json(*config);
      }
      fields.require("plugin", "it names the library, such as \"plugin\": \"feed\"");
      GivenPolicy policy = policies_.read(fields);
      task.options = policy.options;
      if (!policy.has_stop_timeout) default_stop_timeouts_.push_back(short_number(manifest_.tasks.size()));
      if (policy.has_optional) special_policies_.push_back({manifest_.tasks.size(), std::move(policy)});
      if (fields.has_optional()) read_relation(fields);
    }
    offsets_.push_back(short_number(node.offset));
    manifest_.tasks.push_back(std::move(task));
    check_name(node);
  }

  void take_field(ManifestNode& node) override {
    // `read` handles the field of this name.
    struct Row {
      std::string_view key;
      void (*read)(ManifestReader& self, const ManifestNode& node, const std::string& pointer);
    };
    using Self = ManifestReader;
    using Node = ManifestNode;
    using Pointer = std::string;
    static constexpr auto rows = std::to_array<Row>({
        {"$schema", [](Self& self, const Node& node,
                       const Pointer& pointer) { expect_kind(node, NodeKind::string, pointer, self.faults_); }},
        {"plugin_dirs",
         [](Self& self, const Node& node, const Pointer& pointer) { self.read_plugin_dirs(node, pointer); }},
        {"name", [](Self& self, const Node& node, const Pointer& pointer) {
           const auto name = read_text(node, pointer, max_name_bytes, self.faults_);
           if (!name) return;
           const std::string problem = host_name_problem(*name);
           if (!problem.empty()) self.faults_.add(node.offset, pointer, problem);
           self.manifest_.name = *name;
         }},
        {"metrics_tasks", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.metrics_tasks =
               read_whole_number(node, pointer, 0, max_metrics_tasks, self.faults_).value_or(0);
         }},
        {"shards", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.shards = read_whole_number(node, pointer, 1, max_shards, self.faults_);
         }},
        {"shutdown_timeout", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.shutdown_timeout = read_duration(node, pointer, self.faults_);
         }},
        {"stall_limit", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.stall_limit =
               read_duration(node, pointer, min_stall_limit, max_stall_limit, self.faults_).value_or(min_stall_limit);
         }},
        {"stall_threads", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.stall_threads =
               read_whole_number(node, pointer, 0, max_stall_threads, self.faults_).value_or(0);
         }},
        {"blocking_threads", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.blocking_threads =
               read_whole_number(node, pointer, 1, max_blocking_threads, self.faults_).value_or(1);
         }},
        {"blocking_stack_kib", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.blocking_stack_kib = self.read_stack(node, pointer);
         }},
        {"poll_stack_kib", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.poll_stack_kib = self.read_stack(node, pointer);
         }},
        {"seed", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.seed = read_whole_number(node, pointer, 1, max_seed, self.faults_).value_or(1);
         }},
        {"defaults", [](Self& self, const Node& node, const Pointer& pointer) {
           self.policies_.read_defaults(FieldReader(node, pointer, ManifestObject::defaults, self.faults_));
         }},
        {"groups", [](Self& self, const Node& node, const Pointer& pointer) { self.read_groups(node, pointer); }},
        {"autoload", [](Self& self, const Node& node, const Pointer& pointer) { self.read_autoload(node, pointer); }},
        {"tasks", [](Self& self, const Node& node, const Pointer& pointer) {
           self.tasks_offset_ = node.offset;
           self.tasks_is_no_array_ = !expect_kind(node, NodeKind::array, pointer, self.faults_);
         }},
    });
    static_assert(std::all_of(manifest_fields.begin(), manifest_fields.end(), [](const ManifestField& field) {
      return std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.key == field.key; }) ==
             field.is_in(ManifestObject::root);
    }));
    const std::string pointer = pointer_step(node.key);
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& known) { return known.key == node.key; });
    if (row != rows.end()) {
      row->read(*this, node, pointer);
    } else {
      refuse_unknown_field(node, pointer, ManifestObject::root, faults_);
    }
  }

  void take_end(std::size_t root_offset) override {
    if (!manifest_.tasks.empty() || autoload_ || autoload_is_wrong_ || tasks_is_no_array_) {
      return;
    }
    faults_.add(tasks_offset_.value_or(root_offset), tasks_offset_ ? "/tasks" : "",
                "nothing to run; give \"tasks\" at least one entry, or add \"autoload\"");
  }

 private:
  // Finds tasks by index, because their names move when the list grows.
  struct NameHash {
    const std::vector<ManifestTask>* tasks;
    std::size_t operator()(std::size_t index) const { return std::hash<std::string>{}((*tasks)[index].name); }
  };
  struct SameName {
    const std::vector<ManifestTask>* tasks;
    bool operator()(std::size_t left, std::size_t right) const { return (*tasks)[left].name == (*tasks)[right].name; }
  };

  // With a million tasks, each byte counts. Beyond 4 GiB of text, the lines of a few faults are wrong.
  static std::uint32_t short_number(std::size_t number) {
    return static_cast<std::uint32_t>(std::min<std::size_t>(number, std::numeric_limits<std::uint32_t>::max()));
  }

  struct SpecialPolicy {
    std::size_t task;
    GivenPolicy policy;
  };
  struct Autoload {
    GivenPolicy policy;
    std::size_t offset;
  };
  struct GroupUse {
    std::size_t relation;
    std::size_t offset;
    std::string name;
  };
  struct GroupOffset {
    std::size_t offset;
    bool used = false;
  };

  // Completes the tasks with optional fields, or all if `defaults` has some.
  void complete_policies() {
    auto special = special_policies_.begin();
    const auto complete = [this](std::size_t index, const GivenPolicy& policy) {
      ManifestTask& task = manifest_.tasks[index];
      task.options.optional = policies_.complete(policy, task.pointer, offsets_[index]);
    };
    if (!policies_.has_defaults()) {
      for (; special != special_policies_.end(); ++special) complete(special->task, special->policy);
      return;
    }
    for (std::size_t index = 0; index < manifest_.tasks.size(); ++index) {
      if (special != special_policies_.end() && special->task == index) {
        complete(index, special->policy);
        ++special;
      } else {
        GivenPolicy plain;
        plain.options = manifest_.tasks[index].options;
        complete(index, plain);
      }
    }
  }

  std::uint32_t read_stack(const ManifestNode& node, const std::string& pointer) {
    return read_whole_number(node, pointer, min_stack_kib, max_stack_kib, faults_).value_or(min_stack_kib);
  }

  void read_autoload(const ManifestNode& node, const std::string& pointer) {
    const FieldReader fields(node, pointer, ManifestObject::autoload, faults_);
    autoload_is_wrong_ = !fields.is_object();
    if (fields.is_object()) autoload_ = {policies_.read(fields), node.offset};
  }

  // For the task being read.
  void read_relation(const FieldReader& fields) {
    ManifestRelation relation{.task = manifest_.tasks.size(), .after = {}};
    if (const ManifestNode* const after = fields.find("after")) {
      read_after(*after, fields.pointer_to("after"), relation.after);
    }
    const ManifestNode* const group = fields.find("group");
    if (std::optional<std::string> name = fields.text("group", max_name_bytes)) {
      group_uses_.push_back({manifest_.relations.size(), group->offset, std::move(*name)});
    } else if (relation.after.empty()) {
      return;
    }
    manifest_.relations.push_back(std::move(relation));
  }

  void read_after(const ManifestNode& node, const std::string& pointer, std::vector<std::string>& names) {
    if (!expect_text_list(node, pointer, faults_)) return;
    std::unordered_set<std::string> seen;
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      const std::string element_pointer = pointer + '/' + std::to_string(index);
      std::optional<std::string> name = read_text(node.children[index], element_pointer, max_name_bytes, faults_);
      if (!name) continue;
      if (!seen.insert(*name).second) {
        faults_.add(node.children[index].offset, element_pointer,
                    quoted_text(*name) + " is listed twice; remove one of the two");
        continue;
      }
      names.push_back(std::move(*name));
    }
  }

  void read_groups(const ManifestNode& node, const std::string& pointer) {
    groups_are_wrong_ = !expect_kind(node, NodeKind::object, pointer, faults_);
    if (groups_are_wrong_) return;
    for (const ManifestNode& child : node.children) {
      const std::string child_pointer = pointer + pointer_step(child.key);
      ManifestNode name;
      name.kind = NodeKind::string;
      name.offset = child.key_offset;
      name.text = child.key;
      const bool named = read_text(name, child_pointer, max_name_bytes, faults_).has_value();
      const FieldReader fields(child, child_pointer, ManifestObject::group, faults_);
      if (!fields.is_object()) continue;
      fields.require("strategy", "use " + quoted_list(plain_words<Strategy>(), "or"));
      const std::optional<Strategy> strategy = fields.word<Strategy>("strategy", "strategy");
      if (!named) continue;
      manifest_.groups.push_back({child.key, strategy.value_or(Strategy::one_for_one)});
      group_offsets_.push_back({child.key_offset});
    }
  }

  void find_groups() {
    std::unordered_map<std::string_view, std::size_t> places;
    std::vector<std::string_view> names;
    for (const ManifestGroup& group : manifest_.groups) {
      places.emplace(group.name, names.size());
      names.push_back(group.name);
    }
    for (const GroupUse& use : group_uses_) {
      ManifestRelation& relation = manifest_.relations[use.relation];
      const auto found = places.find(use.name);
      if (found != places.end()) {
        relation.group = found->second;
        group_offsets_[found->second].used = true;
        continue;
      }
      faults_.add_if_told(use.offset, [&] {
        const std::string_view nearest = nearest_word(use.name, names);
        std::string message = "there is no group " + quoted_text(use.name);
        message += !nearest.empty() ? "; did you mean " + quoted_text(nearest) + "?"
                   : names.empty()  ? "; define it at the top level, such as \"groups\": {" + quoted_text(use.name) +
                                         ": {\"strategy\": \"one_for_all\"}}"
                                   : "; \"groups\" has " + quoted_list(names, "and");
        return ManifestFaults::Texts{manifest_.tasks[relation.task].pointer + "/group", std::move(message)};
      });
    }
    for (std::size_t place = 0; place < group_offsets_.size(); ++place) {
      const std::string& name = manifest_.groups[place].name;
      if (group_offsets_[place].used) continue;
      faults_.add(group_offsets_[place].offset, "/groups" + pointer_step(name),
                  "no task is in this group; remove the group, or give a task \"group\": " + quoted_text(name));
    }
  }

  void read_plugin_dirs(const ManifestNode& node, const std::string& pointer) {
    if (!expect_text_list(node, pointer, faults_)) {
      return;
    }
    if (node.children.empty()) {
      faults_.add(node.offset, pointer,
                  "expected at least one directory; remove this field to search the manifest's own");
    }
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      const std::string element_pointer = pointer + '/' + std::to_string(index);
      if (std::optional<std::string> directory =
              read_text(node.children[index], element_pointer, max_path_bytes, faults_)) {
        manifest_.plugin_dirs.push_back(std::move(*directory));
      }
    }
  }

  // For the task read last.
  void check_name(const ManifestNode& node) {
    ManifestTask& task = manifest_.tasks.back();
    if (task.name.empty()) {
      return;
    }
    const auto [first, is_new] = names_.insert(manifest_.tasks.size() - 1);
    if (!is_new) {
      task.has_taken_name = true;
      const ManifestTask& taken_by = manifest_.tasks[*first];
      faults_.add(node.find("name")->offset, task.pointer + "/name",
                  "the name " + quoted_text(task.name) + " is taken by " + taken_by.pointer + " (line " +
                      std::to_string(taken_by.line) + "); give each task a name of its own");
    }
  }

  // Tasks come in the order of the text, so all of them together cost one pass over it.
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
  PolicyReader policies_;
  std::vector<std::uint32_t> offsets_;                // of the tasks
  std::vector<std::uint32_t> default_stop_timeouts_;  // indices of the tasks that set none
  std::vector<SpecialPolicy> special_policies_;       // in the order of the tasks
  std::optional<Autoload> autoload_;
  bool autoload_is_wrong_ = false;  // has a fault of its own
  bool groups_are_wrong_ = false;   // has a fault of its own
  std::vector<GroupUse> group_uses_;
  std::vector<GroupOffset> group_offsets_;  // one for each group
  bool tasks_is_no_array_ = false;          // "tasks" is not an array, which has a fault of its own
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
  reading.manifest = reader.take(reading.readable);
  reading.faults = faults.take();
  return reading;
}

}  // namespace taskhost
