// What the fields of a manifest mean. Syntax is in parser.cpp, the checks of single values in fields.cpp.
#include "manifest/manifest.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "manifest/expansion.hpp"
#include "manifest/fields.hpp"
#include "manifest/includes.hpp"
#include "manifest/parser.hpp"
#include "manifest/policy_fields.hpp"
#include "manifest/worker_fields.hpp"
#include "text/host_name.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {
namespace {

class ManifestReader final : public ManifestSink {
 public:
  ManifestReader(const ManifestFile& main, const ManifestSurroundings& surroundings)
      : main_(main), surroundings_(surroundings), includes_(main, surroundings, expansion_, faults_) {
    manifest_.parts.clear();
  }

  ManifestReading read() {
    ManifestReading reading;
    expansion_.spend(main_.text.size());
    reading.readable = read_part(main_, 0, PolicyReader(faults_));
    if (reading.readable) {
      faults_.turn_to(0);
      expect_tasks();
      if (!groups_are_wrong_) find_groups();
    }
    manifest_.value_files = expansion_.take_files();
    reading.manifest = std::move(manifest_);
    reading.faults = faults_.take();
    reading.warnings = faults_.take_warnings();
    return reading;
  }

  void take_task(ManifestNode& node, std::size_t index) override {
    ManifestTask task;
    task.pointer = "/tasks/" + std::to_string(index);
    task.part = static_cast<std::uint32_t>(part_->index);
    task.line = part_->line_of_next_task(node.offset);
    const ManifestExpansion::Done expanded = expansion_.expand_task(node, task.pointer);
    task.has_wrong_config = expanded.is_wrong;
    task.has_secrets = expanded.has_secrets;
    const FieldReader fields(node, task.pointer, ManifestObject::task, faults_);
    if (fields.is_object()) {
      task.name = fields.text("name", max_name_bytes).value_or("");
      task.plugin = fields.text("plugin", max_path_bytes).value_or("");
      task.factory = fields.text("task", max_name_bytes).value_or("");
      if (const ManifestNode* const config = fields.find("config")) {
        task.config = compact_json(*config);
      }
      fields.require("plugin", "it names the library, such as \"plugin\": \"feed\"");
      GivenPolicy policy = part_->policies.read(fields);
      task.options = policy.options;
      if (!policy.has_stop_timeout) part_->default_stop_timeouts.push_back(short_number(manifest_.tasks.size()));
      if (policy.has_optional) part_->special_policies.push_back({manifest_.tasks.size(), std::move(policy)});
      if (fields.has_optional()) {
        read_relation(fields);
        if (auto given = read_limits(fields, faults_)) {
          part_->given_limits.push_back({manifest_.tasks.size(), std::move(*given)});
        }
      }
    }
    part_->offsets.push_back(short_number(node.offset));
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
        {"include", [](Self& self, const Node& node, const Pointer& pointer) { self.read_include(node, pointer); }},
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
        {"keep_events", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.keep_events =
               read_whole_number(node, pointer, min_kept, max_kept, self.faults_).value_or(min_kept);
         }},
        {"keep_log_lines", [](Self& self, const Node& node, const Pointer& pointer) {
           self.manifest_.keep_log_lines =
               read_whole_number(node, pointer, min_kept, max_kept, self.faults_).value_or(min_kept);
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
           self.part_->policies.read_defaults(FieldReader(node, pointer, ManifestObject::defaults, self.faults_));
         }},
        {"groups", [](Self& self, const Node& node, const Pointer& pointer) { self.read_groups(node, pointer); }},
        {"autoload", [](Self& self, const Node& node, const Pointer& pointer) { self.read_autoload(node, pointer); }},
        {"tasks", [](Self& self, const Node& node, const Pointer& pointer) {
           if (!self.is_included()) self.tasks_offset_ = node.offset;
           if (!expect_kind(node, NodeKind::array, pointer, self.faults_)) self.tasks_is_no_array_ = true;
         }},
    });
    static_assert(std::all_of(manifest_fields.begin(), manifest_fields.end(), [](const ManifestField& field) {
      return std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.key == field.key; }) ==
             field.is_in(ManifestObject::root);
    }));
    const std::string pointer = pointer_step(node.key);
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& known) { return known.key == node.key; });
    const ManifestObject object = is_included() ? ManifestObject::included : ManifestObject::root;
    if (row == rows.end()) {
      refuse_unknown_field(node, pointer, object, faults_);
    } else if (!is_field_of(object, node.key)) {
      faults_.add(node.key_offset, pointer,
                  quoted_text(node.key) + " is for the whole host; move it to " +
                      (main_.name == "stdin" ? "the main manifest" : quoted_path(main_.name)));
    } else {
      expansion_.expand_field(node, pointer);
      row->read(*this, node, pointer);
    }
  }

  void take_end(std::size_t root_offset) override {
    if (!is_included()) root_offset_ = root_offset;
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

  static bool is_field_of(ManifestObject object, std::string_view key) {
    return std::any_of(manifest_fields.begin(), manifest_fields.end(),
                       [&](const ManifestField& field) { return field.key == key && field.is_in(object); });
  }

  struct SpecialPolicy {
    std::size_t task;
    GivenPolicy policy;
  };
  struct Autoload {
    GivenPolicy policy;
    std::size_t offset;
  };
  struct LimitsOfTask {
    std::size_t task;
    GivenLimits limits;
  };
  struct GroupUse {
    std::size_t relation;
    std::size_t offset;
    std::string name;
  };
  struct GroupPlace {
    std::size_t offset;
    bool used = false;
  };

  // The file that is being read.
  struct Part {
    Part(std::size_t number, std::string_view its_text, const PolicyReader& inherited, std::size_t tasks_before)
        : index(number), text(its_text), policies(inherited), first_task(tasks_before) {}

    // Tasks come in the order of the text, so all of them together cost one pass over it.
    std::size_t line_of_next_task(std::size_t offset) {
      line += position_in_text(text.substr(counted_to, offset - counted_to), offset).line - 1;
      counted_to = offset;
      return line;
    }

    const std::size_t index;
    const std::string_view text;
    PolicyReader policies;
    const std::size_t first_task;
    std::vector<std::uint32_t> offsets;                // of its tasks
    std::vector<std::uint32_t> default_stop_timeouts;  // indices of the tasks that set none
    std::vector<SpecialPolicy> special_policies;       // in the order of the tasks
    std::vector<LimitsOfTask> given_limits;            // the same
    std::vector<ManifestInclude> includes;
    bool has_wrong_include = false;  // has a fault of its own
    std::size_t line = 1;
    std::size_t counted_to = 0;
  };

  bool is_included() const noexcept { return part_->index != 0; }

  // With what it includes, in its turn. Returns whether all could be read. The file stays until the end.
  bool read_part(const ManifestFile& file, std::size_t included_by, const PolicyReader& inherited) {
    Part part(faults_.begin_file(file.text, file.name), file.text, inherited, manifest_.tasks.size());
    manifest_.parts.push_back(
        {.name = file.name, .directory = file.directory, .plugin_dirs = {}, .included_by = included_by});
    part_ = &part;
    expansion_.turn_to(file.text, file.directory);
    const bool is_sound = parse_manifest(file.text, *this, faults_);
    settle_policies(is_sound);
    if (!is_sound) return false;
    bool all = !part.has_wrong_include;
    const bool found = includes_.follow(part.includes, file.directory, [&](ManifestFile&& included) {
      const ManifestFile& kept = included_.emplace_back(std::move(included));
      all = read_part(kept, part.index, part.policies) && all;
      faults_.turn_to(part.index);
      part_ = &part;
    });
    return found && all;
  }

  // Only after the parse, since `defaults` may come after the tasks.
  void settle_policies(bool is_sound) {
    const std::chrono::nanoseconds stop_timeout = part_->policies.default_stop_timeout();
    if (!is_included()) manifest_.default_stop_timeout = stop_timeout;
    for (const std::size_t index : part_->default_stop_timeouts) {
      manifest_.tasks[index].options.stop_timeout = stop_timeout;
    }
    if (is_sound) complete_policies();
    if (is_sound) settle_limits();
    if (!autoload_ || is_included()) return;
    TaskOptions& options = manifest_.autoload.emplace(autoload_->policy.options);
    if (!autoload_->policy.has_stop_timeout) options.stop_timeout = stop_timeout;
    if (!is_sound) return;
    options.optional = part_->policies.complete(autoload_->policy, "/autoload", autoload_->offset);
    manifest_.autoload_limits = limits_of(options, autoload_limits_ ? &*autoload_limits_ : nullptr, "/autoload");
  }

  void expect_tasks() {
    if (!manifest_.tasks.empty() || autoload_ || autoload_is_wrong_ || tasks_is_no_array_) return;
    faults_.add(tasks_offset_.value_or(root_offset_), tasks_offset_ ? "/tasks" : "",
                has_include_ ? R"(nothing to run; no file that "include" names has tasks)"
                             : R"(nothing to run; give "tasks" at least one entry, or add "autoload")");
  }

  void read_include(const ManifestNode& node, const std::string& pointer) {
    has_include_ = true;
    part_->has_wrong_include = !expect_text_list(node, pointer, faults_);
    if (part_->has_wrong_include) return;
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      std::string element_pointer = pointer + '/' + std::to_string(index);
      if (std::optional<std::string> text = read_text(node.children[index], element_pointer, max_path_bytes, faults_)) {
        part_->includes.push_back({std::move(*text), std::move(element_pointer), node.children[index].offset});
      } else {
        part_->has_wrong_include = true;
      }
    }
  }

  // Completes the part's tasks with optional fields, or all of them if `defaults` has some.
  void complete_policies() {
    auto special = part_->special_policies.begin();
    const auto last = part_->special_policies.end();
    const auto complete = [this](std::size_t index, const GivenPolicy& policy) {
      ManifestTask& task = manifest_.tasks[index];
      const std::size_t offset = part_->offsets[index - part_->first_task];
      task.options.optional = part_->policies.complete(policy, task.pointer, offset);
    };
    if (!part_->policies.has_defaults()) {
      for (; special != last; ++special) complete(special->task, special->policy);
      return;
    }
    for (std::size_t index = part_->first_task; index < manifest_.tasks.size(); ++index) {
      if (special != last && special->task == index) {
        complete(index, special->policy);
        ++special;
      } else {
        GivenPolicy plain;
        plain.options = manifest_.tasks[index].options;
        complete(index, plain);
      }
    }
  }

  // Once it is known who is isolated.
  void settle_limits() {
    auto given = part_->given_limits.begin();
    for (std::size_t task = part_->first_task; task < manifest_.tasks.size(); ++task) {
      ManifestTask& entry = manifest_.tasks[task];
      const bool has_own = given != part_->given_limits.end() && given->task == task;
      entry.limits = limits_of(entry.options, has_own ? &given->limits : nullptr, entry.pointer);
      if (has_own) ++given;
    }
  }

  std::shared_ptr<const WorkerLimits> limits_of(const TaskOptions& options, const GivenLimits* own,
                                                const std::string& pointer) {
    if (options.supervision().isolated) {
      return share(
          with_default_limits(own != nullptr ? own->limits : WorkerLimits{}, part_->policies.default_limits()));
    }
    if (own != nullptr) {
      faults_.add(own->offset, pointer + '/' + own->field,
                  "it is for a task in a process of its own; add \"isolation\": \"process\"");
    }
    return nullptr;
  }

  std::shared_ptr<const WorkerLimits> share(WorkerLimits limits) {
    if (limits == WorkerLimits{}) return nullptr;
    if (!last_limits_ || *last_limits_ != limits) {
      last_limits_ = std::make_shared<const WorkerLimits>(std::move(limits));
    }
    return last_limits_;
  }

  std::uint32_t read_stack(const ManifestNode& node, const std::string& pointer) {
    return read_whole_number(node, pointer, min_stack_kib, max_stack_kib, faults_).value_or(min_stack_kib);
  }

  void read_autoload(const ManifestNode& node, const std::string& pointer) {
    const FieldReader fields(node, pointer, ManifestObject::autoload, faults_);
    autoload_is_wrong_ = !fields.is_object();
    if (!fields.is_object()) return;
    autoload_ = {part_->policies.read(fields), node.offset};
    autoload_limits_ = read_limits(fields, faults_);
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
    if (!expect_kind(node, NodeKind::object, pointer, faults_)) {
      groups_are_wrong_ = true;
      return;
    }
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
      const auto [known, is_new] = groups_.try_emplace(child.key, manifest_.groups.size());
      if (!is_new) {
        const std::size_t part = manifest_.groups[known->second].part;
        const std::size_t offset = group_places_[known->second].offset;
        faults_.add(child.key_offset, child_pointer,
                    "the group " + quoted_text(child.key) + " is already defined by " + child_pointer +
                        faults_.place_words(part, faults_.line_of(part, offset)) + "; remove one of the two");
        continue;
      }
      manifest_.groups.push_back({child.key, strategy.value_or(Strategy::one_for_one), part_->index});
      group_places_.push_back({child.key_offset});
    }
  }

  void find_groups() {
    std::vector<std::string_view> names;
    for (const ManifestGroup& group : manifest_.groups) names.push_back(group.name);
    for (const GroupUse& use : group_uses_) {
      ManifestRelation& relation = manifest_.relations[use.relation];
      const auto found = groups_.find(use.name);
      if (found != groups_.end()) {
        relation.group = found->second;
        group_places_[found->second].used = true;
        continue;
      }
      faults_.turn_to(manifest_.tasks[relation.task].part);
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
    for (std::size_t place = 0; place < group_places_.size(); ++place) {
      const std::string& name = manifest_.groups[place].name;
      if (group_places_[place].used) continue;
      faults_.turn_to(manifest_.groups[place].part);
      faults_.add(group_places_[place].offset, "/groups" + pointer_step(name),
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
        manifest_.parts.back().plugin_dirs.push_back(std::move(*directory));
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
                  "the name " + quoted_text(task.name) + " is taken by " + taken_by.pointer +
                      faults_.place_words(taken_by.part, taken_by.line) + "; give each task a name of its own");
    }
  }

  const ManifestFile& main_;
  const ManifestSurroundings& surroundings_;
  ManifestFaults faults_;
  ManifestExpansion expansion_{surroundings_, faults_};
  ManifestIncludes includes_;
  std::deque<ManifestFile> included_;  // whose texts faults_ still needs
  Part* part_ = nullptr;
  Manifest manifest_;
  std::unordered_set<std::size_t, NameHash, SameName> names_{16, NameHash{&manifest_.tasks},
                                                             SameName{&manifest_.tasks}};
  std::shared_ptr<const WorkerLimits> last_limits_;  // shared by consecutive tasks that are alike
  std::optional<GivenLimits> autoload_limits_;
  std::optional<Autoload> autoload_;
  bool autoload_is_wrong_ = false;                       // has a fault of its own
  bool groups_are_wrong_ = false;                        // has a fault of its own
  std::unordered_map<std::string, std::size_t> groups_;  // places in the list
  std::vector<GroupUse> group_uses_;
  std::vector<GroupPlace> group_places_;  // one for each group
  bool tasks_is_no_array_ = false;        // "tasks" is not an array, which has a fault of its own
  bool has_include_ = false;
  std::optional<std::size_t> tasks_offset_;  // of the main file
  std::size_t root_offset_ = 0;
};

}  // namespace

ManifestReading read_manifest(const ManifestFile& main, const ManifestSurroundings& surroundings) {
  return ManifestReader(main, surroundings).read();
}

ManifestReading read_manifest(std::string_view text, const std::string& file) {
  ManifestFile main;
  main.name = file;
  main.text = text;
  return read_manifest(main, NoSurroundings());
}

}  // namespace taskhost
