#include "admission.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "plugin/config_check.hpp"
#include "plugin/elf_file.hpp"
#include "plugin/neighbours.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

class Admitter {
 public:
  Admitter(const Manifest& manifest, const std::string& file, const PluginSearch& search, TaskRegister& tasks,
           const PluginEnvironment& environment)
      : manifest_(manifest),
        file_(file),
        search_(search),
        tasks_(tasks),
        environment_(environment),
        plugin_tasks_(environment) {}

  Admission run() {
    note_missing_directories();
    make_groups();
    auto relation = manifest_.relations.begin();
    for (std::size_t i = 0; i < manifest_.tasks.size(); ++i) {
      const std::size_t before = tasks_.size();
      admit_entry(manifest_.tasks[i]);
      const bool admitted = tasks_.size() != before;
      if (!admitted) note_missing(manifest_.tasks[i]);
      if (relation == manifest_.relations.end() || relation->task != i) continue;
      related_.push_back(
          {&*relation, admitted ? std::string(tasks_.tasks().name(before)) : manifest_.tasks[i].name, before});
      ++relation;
    }
    if (manifest_.autoload) autoload(*manifest_.autoload);
    if (!related_.empty()) relate();
    return std::move(admission_);
  }

 private:
  // The program's own tasks may already have created some of them.
  void make_groups() {
    for (const ManifestGroup& group : manifest_.groups) {
      const std::optional<std::uint32_t> known = tasks_.find_group(group.name);
      groups_.push_back(known ? *known : tasks_.add_group(group.name, group.strategy));
      const Strategy strategy = tasks_.strategy(groups_.back());
      if (strategy == group.strategy) continue;
      fault("/groups" + pointer_step(group.name), 0,
            "the program gave this group another strategy, " + std::string(to_string(strategy)));
    }
  }

  void admit_entry(const ManifestTask& entry) {
    if (entry.plugin.empty()) return;  // already reported
    const std::shared_ptr<PluginLibrary> library = library_of(entry);
    if (library == nullptr) return;
    const taskhost_factory* factory = factory_of(entry, *library);
    if (factory == nullptr || entry.has_taken_name) return;  // already reported
    const std::string name = entry.name.empty() ? factory->name : entry.name;
    if (!admit_task(*library, *factory, name, entry.config, entry.options, entry.pointer, entry.line)) return;
    const auto problem = problem_of_config(*factory, name, entry.config);
    if (!problem) return;
    if (problem->is_of_plugin) {
      fault_of_check(*library, name, *problem);
    } else {
      fault(entry.pointer + "/config" + problem->pointer, entry.line, problem->text);
    }
  }

  // If a name was not found there, its fault says so; for autoload, a missing directory is a fault of its own.
  void note_missing_directories() {
    if (manifest_.autoload) return;
    for (const std::filesystem::path& directory : search_.plugin_directories) {
      std::error_code error;
      if (std::filesystem::exists(directory, error) || error) continue;
      admission_.notes.push_back(
          {LogLevel::warning, "the plugin directory " + quoted_path(directory.native()) + " does not exist"});
    }
  }

  // A plugin may be named by thousands of entries: look for it once, and report once what is wrong with it.
  std::shared_ptr<PluginLibrary> library_of(const ManifestTask& entry) {
    const auto known = by_plugin_.find(entry.plugin);
    if (known != by_plugin_.end()) return known->second;
    std::string problem;
    const std::filesystem::path path = search_.find(entry.plugin, problem);
    std::shared_ptr<PluginLibrary> library;
    if (path.empty()) {
      admission_.plugin_faults.push_back(
          {.file = file_, .where = entry.pointer + "/plugin", .message = problem, .line = entry.line});
    } else {
      library = load(path);
    }
    by_plugin_.emplace(entry.plugin, library);
    return library;
  }

  std::shared_ptr<PluginLibrary> load(const std::filesystem::path& path) {
    const auto [place, fresh] = by_path_.try_emplace(canonical_path(path));
    if (!fresh) return place->second;
    PluginLibrary::Loading loading = PluginLibrary::load(path.string());
    // Also for one that could not be loaded: this may be the reason.
    for (const std::string& finding : neighbours_.add(path.string())) {
      admission_.notes.push_back({LogLevel::warning, printable_path(path.native()) + ": " + finding});
    }
    if (loading.library == nullptr) {
      admission_.plugin_faults.push_back({.file = path.string(), .where = {}, .message = loading.problem, .line = 0});
      return nullptr;
    }
    place->second = loading.library;
    admission_.libraries.push_back(loading.library);
    return loading.library;
  }

  const taskhost_factory* factory_of(const ManifestTask& entry, const PluginLibrary& library) {
    const auto& factories = library.factories();
    if (entry.factory.empty() && factories.size() == 1) return &factories.front();
    if (const taskhost_factory* found = library.find(entry.factory)) return found;

    std::vector<std::string_view> names;
    for (const taskhost_factory& factory : factories) names.emplace_back(factory.name);
    if (entry.factory.empty()) {
      fault(entry.pointer, entry.line,
            "plugin " + quoted_text(entry.plugin) + " has " + std::to_string(names.size()) +
                " factories; say which with \"task\": " + quoted_list(names, "or"));
      return nullptr;
    }
    std::string words = "plugin " + quoted_text(entry.plugin) + " has no factory " + quoted_text(entry.factory);
    const std::string_view nearest = nearest_word(entry.factory, names);
    words += nearest.empty() ? "; it has " + quoted_list(names, "and") : "; did you mean " + quoted_text(nearest) + "?";
    fault(entry.pointer + "/task", entry.line, words);
    return nullptr;
  }

  void autoload(const TaskOptions& options) {
    std::string problem;
    for (const std::filesystem::path& path : search_.all(problem)) {
      if (by_path_.contains(canonical_path(path))) continue;
      if (library_file_problem(path).empty() && !may_be_plugin(library_contents(path))) {
        admission_.notes.push_back(
            {LogLevel::info, printable_path(path.native()) + ": skipped: it is a library, but not a plugin"});
        continue;
      }
      const std::shared_ptr<PluginLibrary> library = load(path);
      if (library == nullptr) {
        names_are_missing_ = true;
        continue;
      }
      for (const taskhost_factory& factory : library->factories()) {
        const auto problem = problem_of_config(factory, factory.name, {});
        if (problem && problem->is_of_plugin) {
          fault_of_check(*library, factory.name, *problem);
          continue;
        }
        if (problem) {
          admission_.notes.push_back({LogLevel::warning, printable_path(path.native()) +
                                                             ": skipped: " + quoted_text(factory.name) +
                                                             " can't run without a config (" + words_of(*problem) +
                                                             "); list it in \"tasks\" with one"});
          continue;
        }
        admit_task(*library, factory, factory.name, {}, options, library->path(), 0);
      }
    }
    if (!problem.empty()) {
      admission_.manifest_faults.push_back({.file = file_, .where = {}, .message = problem, .line = 0});
    }
  }

  // `origin`: a JSON pointer into the manifest, or the path of an autoloaded library. It is not copied.
  bool admit_task(const PluginLibrary& library, const taskhost_factory& factory, const std::string& name,
                  const std::string& config, const TaskOptions& options, const std::string& origin, std::size_t line) {
    if (const auto place = tasks_.add(name, plugin_tasks_.make(factory, &factory, config), options)) {
      tasks_.came_from(*place, {library.path(), factory.name});
      origins_.push_back(&origin);
      return true;
    }
    const std::string words = "two tasks are named " + quoted_text(name) + "; the other is " +
                              origin_of(*tasks_.find(name)) + "; give each a name of its own, or remove one";
    if (origin.starts_with("/tasks/")) {
      fault(origin, line, words);
    } else {
      admission_.manifest_faults.push_back({.file = origin, .where = {}, .message = words, .line = 0});
    }
    return false;
  }

  // Asked once for tasks in a row with the same factory and config.
  std::optional<ConfigProblem> problem_of_config(const taskhost_factory& factory, const std::string& name,
                                                 const std::string& config) {
    if (factory.check == nullptr) return std::nullopt;
    if (checked_ == &factory && checked_config_ == config) return its_problem_;
    const auto log = [&](LogLevel level, std::string_view text) {
      admission_.notes.push_back({level, "check of '" + name + "': " + printable_text(text, max_message_bytes)});
    };
    its_problem_ = config_problem(factory, name, config, environment_, log);
    checked_ = &factory;
    checked_config_ = config;
    return its_problem_;
  }

  void fault_of_check(const PluginLibrary& library, const std::string& task, const ConfigProblem& problem) {
    admission_.plugin_faults.push_back(
        {.file = library.path(), .where = {}, .message = "task " + quoted_text(task) + ": " + problem.text, .line = 0});
  }

  static std::string words_of(const ConfigProblem& problem) {
    return problem.pointer.empty() ? problem.text : problem.pointer + ": " + problem.text;
  }

  std::string origin_of(std::size_t place) const {
    const std::size_t own = tasks_.size() - origins_.size();
    return place < own ? "a task that the program added" : *origins_[place - own];
  }

  // An entry that was not admitted, which has its own fault. Other tasks may still name it in "after".
  void note_missing(const ManifestTask& entry) {
    if (entry.name.empty()) {
      names_are_missing_ = true;
    } else {
      missing_names_.insert(entry.name);
    }
  }

  // Once all tasks have their names.
  void relate() {
    for (const Related& related : related_) {
      const ManifestTask& entry = manifest_.tasks[related.relation->task];
      TaskList::Relation relation{.task = static_cast<std::uint32_t>(related.place), .after = {}, .group = {}};
      if (related.relation->group) relation.group = groups_[*related.relation->group];
      for (std::size_t i = 0; i < related.relation->after.size(); ++i) {
        const std::string& name = related.relation->after[i];
        const std::string pointer = entry.pointer + "/after/" + std::to_string(i);
        const std::optional<std::size_t> found = tasks_.find(name);
        if (name == related.name) {
          fault(pointer, entry.line, "a task can't come after itself");
        } else if (found) {
          relation.after.push_back(static_cast<std::uint32_t>(*found));
        } else if (!missing_names_.contains(name) && !names_are_missing_) {
          fault(pointer, entry.line, "there is no task " + quoted_text(name) + hint_for(name));
        }
      }
      tasks_.relate(relation);
    }
    find_cycles();
  }

  std::string hint_for(const std::string& name) const {
    constexpr std::size_t max_names = 10'000;  // at most this many are searched for a similar one
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < std::min(max_names, tasks_.size()); ++i) names.push_back(tasks_.tasks().name(i));
    std::sort(names.begin(), names.end());
    const std::string_view nearest = nearest_word(name, names);
    return nearest.empty() ? "; list names of tasks in \"after\"" : "; did you mean " + quoted_text(nearest) + "?";
  }

  // Only tasks with an "after" can be part of a cycle, so walking along these relations finds all cycles.
  void find_cycles() {
    std::unordered_map<std::string_view, std::size_t> by_name;  // places in related_
    for (std::size_t i = 0; i < related_.size(); ++i) {
      if (!related_[i].name.empty()) by_name.emplace(related_[i].name, i);
    }
    enum class Mark : std::uint8_t { fresh, open, done };
    std::vector<Mark> marks(related_.size(), Mark::fresh);
    struct Step {
      std::size_t task;
      std::size_t next;  // index in its `after`
    };
    for (std::size_t root = 0; root < related_.size(); ++root) {
      if (marks[root] != Mark::fresh) continue;
      std::vector<Step> path{{root, 0}};
      marks[root] = Mark::open;
      while (!path.empty()) {
        Step& step = path.back();
        const std::vector<std::string>& after = related_[step.task].relation->after;
        if (step.next == after.size()) {
          marks[step.task] = Mark::done;
          path.pop_back();
          continue;
        }
        const std::size_t number = step.next++;
        const auto found = by_name.find(after[number]);
        if (found == by_name.end() || found->second == step.task) continue;
        const std::size_t other = found->second;
        if (marks[other] == Mark::fresh) {
          marks[other] = Mark::open;
          path.push_back({other, 0});
        } else if (marks[other] == Mark::open) {
          const auto first =
              std::find_if(path.begin(), path.end(), [other](const Step& open) { return open.task == other; });
          std::vector<std::string_view> cycle;
          for (auto open = first; open != path.end(); ++open) cycle.emplace_back(related_[open->task].name);
          tell_cycle(cycle, related_[step.task], number);
        }
      }
    }
  }

  struct Related {
    const ManifestRelation* relation;
    std::string name;   // empty if only its plugin, which is missing, could provide it
    std::size_t place;  // among the host's tasks
  };

  void tell_cycle(const std::vector<std::string_view>& cycle, const Related& last, std::size_t number) {
    constexpr std::size_t max_names = 10;
    constexpr std::size_t max_cycles = 100;  // the rest is cut: fixing these usually fixes it
    if (++cycles_ > max_cycles) return;
    std::string words = "these tasks wait for each other: ";
    for (std::size_t i = 0; i < cycle.size(); ++i) {
      if (i == max_names && cycle.size() > max_names + 1) {
        words += "… (" + std::to_string(cycle.size() - max_names) + " more) → ";
        break;
      }
      words += quoted_text(cycle[i]) + " → ";
    }
    const ManifestTask& entry = manifest_.tasks[last.relation->task];
    fault(entry.pointer + "/after/" + std::to_string(number), entry.line,
          words + quoted_text(cycle.front()) + "; remove one of them from an \"after\"");
  }

  void fault(const std::string& pointer, std::size_t line, const std::string& words) {
    admission_.manifest_faults.push_back({.file = file_, .where = pointer, .message = words, .line = line});
  }

  const Manifest& manifest_;
  const std::string& file_;
  const PluginSearch& search_;
  TaskRegister& tasks_;
  const PluginEnvironment& environment_;
  PluginTasks plugin_tasks_;
  const taskhost_factory* checked_ = nullptr;
  std::string checked_config_;
  std::optional<ConfigProblem> its_problem_;
  Admission admission_;
  std::unordered_map<std::string, std::shared_ptr<PluginLibrary>> by_plugin_;  // null if a fault was reported
  std::map<std::string, std::shared_ptr<PluginLibrary>> by_path_;              // the same libraries, by canonical path
  std::vector<const std::string*> origins_;                                    // of the tasks added here
  std::vector<Related> related_;                                               // in the order of the tasks
  std::vector<std::uint32_t> groups_;  // the register's numbers of the manifest's groups
  LibraryNeighbours neighbours_;
  std::size_t cycles_ = 0;
  std::unordered_set<std::string> missing_names_;  // names of entries that were not admitted
  bool names_are_missing_ = false;                 // some names could only come from plugins that are missing
};

}  // namespace

Admission admit(const Manifest& manifest, const std::string& file, const PluginSearch& search, TaskRegister& tasks,
                const PluginEnvironment& environment) {
  return Admitter(manifest, file, search, tasks, environment).run();
}

}  // namespace taskhost
