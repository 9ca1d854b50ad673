#include "admission.hpp"

#include <unordered_map>

#include "manifest_text.hpp"
#include "nearest_word.hpp"

namespace taskhost {

namespace {

class Admitter {
 public:
  Admitter(const Manifest& manifest, const std::string& file, const PluginSearch& search, const TaskList& own_tasks,
           const PluginEnvironment& environment)
      : manifest_(manifest), file_(file), search_(search), plugin_tasks_(environment) {
    for (std::size_t i = 0; i < own_tasks.size(); ++i) {
      names_.emplace(own_tasks.name(i), "a task of the program itself");
    }
  }

  Admission run() {
    for (const ManifestTask& task : manifest_.tasks) admit_entry(task);
    if (manifest_.autoload) autoload(*manifest_.autoload);
    return std::move(admission_);
  }

 private:
  void admit_entry(const ManifestTask& entry) {
    if (entry.plugin.empty()) return;  // told already
    const std::shared_ptr<PluginLibrary> library = library_of(entry);
    if (library == nullptr) return;
    const taskhost_factory* factory = factory_of(entry, *library);
    if (factory == nullptr) return;
    admit_task(*factory, entry.name.empty() ? factory->name : entry.name, entry.config, entry.options, entry.pointer,
               entry.line);
  }

  // Entries repeat their plugin a thousand times: look for each once, and say once what is wrong with it.
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
    words += nearest.empty() ? ", but " + quoted_list(names, "and") : "; did you mean " + quoted_text(nearest) + "?";
    fault(entry.pointer + "/task", entry.line, words);
    return nullptr;
  }

  void autoload(const TaskOptions& options) {
    std::string problem;
    for (const std::filesystem::path& path : search_.all(problem)) {
      if (by_path_.contains(canonical_path(path))) continue;
      const std::shared_ptr<PluginLibrary> library = load(path);
      if (library == nullptr) continue;
      for (const taskhost_factory& factory : library->factories()) {
        admit_task(factory, factory.name, {}, options, path.string(), 0);
      }
    }
    if (!problem.empty())
      admission_.manifest_faults.push_back({.file = file_, .where = {}, .message = problem, .line = 0});
  }

  // `origin`: a JSON pointer into the manifest, or the path of an autoloaded library.
  void admit_task(const taskhost_factory& factory, const std::string& name, const std::string& config,
                  const TaskOptions& options, const std::string& origin, std::size_t line) {
    const auto [place, fresh] = names_.emplace(name, origin);
    if (!fresh) {
      const std::string words = "two tasks are named " + quoted_text(name) + "; the other is " + place->second;
      if (origin.starts_with("/tasks/")) {
        fault(origin, line, words);
      } else {
        admission_.manifest_faults.push_back({.file = origin, .where = {}, .message = words, .line = 0});
      }
      return;
    }
    admission_.tasks.add(name, plugin_tasks_.make(factory, &factory, config), options);
  }

  void fault(const std::string& pointer, std::size_t line, const std::string& words) {
    admission_.manifest_faults.push_back({.file = file_, .where = pointer, .message = words, .line = line});
  }

  const Manifest& manifest_;
  const std::string& file_;
  const PluginSearch& search_;
  PluginTasks plugin_tasks_;
  Admission admission_;
  std::unordered_map<std::string, std::shared_ptr<PluginLibrary>> by_plugin_;  // null: a fault was reported
  std::map<std::string, std::shared_ptr<PluginLibrary>> by_path_;              // the same, by canonical path
  std::unordered_map<std::string, std::string> names_;                         // task name → where it comes from
};

}  // namespace

Admission admit(const Manifest& manifest, const std::string& file, const PluginSearch& search,
                const TaskList& own_tasks, const PluginEnvironment& environment) {
  return Admitter(manifest, file, search, own_tasks, environment).run();
}

}  // namespace taskhost
