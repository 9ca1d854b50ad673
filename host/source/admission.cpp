#include "admission.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "plugin/config_check.hpp"
#include "plugin/elf_file.hpp"
#include "plugin/neighbours.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"
#include "worker/isolated_library.hpp"

namespace taskhost {

namespace {

// Of a process: so many may ask to join it at once, before it hears the first, and watch the same descriptor.
constexpr std::size_t most_sharers = 200;

// A plugin's library: loaded here, or looked at in a worker.
struct Source {
  struct Factory {
    std::string name;
    const taskhost_factory* here = nullptr;  // null: in workers alone
    bool checks = false;
  };

  std::string path;
  std::vector<Factory> factories;
  IsolatedLibrary* isolated = nullptr;  // valid during the admission; null: it is loaded here

  const Factory* find(const std::string& name) const noexcept {
    const auto found = std::find_if(factories.begin(), factories.end(),
                                    [&name](const Factory& factory) { return factory.name == name; });
    return found != factories.end() ? &*found : nullptr;
  }
};

class Admitter {
 public:
  Admitter(const Manifest& manifest, const std::vector<PluginSearch>& searches, TaskRegister& tasks,
           const std::vector<const PluginEnvironment*>& environments, const WorkerEnvironment& workers)
      : manifest_(manifest), searches_(searches), tasks_(tasks), environments_(environments), workers_(workers) {}

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
    if (const auto problem = problem_of_limits(manifest_.autoload_limits)) {
      fault(0, "/autoload/" + problem->first, 0, problem->second);
    }
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
      fault(group.part, "/groups" + pointer_step(group.name), 0,
            "the program gave this group another strategy, " + std::string(to_string(strategy)));
    }
  }

  void admit_entry(const ManifestTask& entry) {
    if (entry.plugin.empty()) return;  // already reported
    const std::shared_ptr<const Source> source = source_of(entry);
    if (source == nullptr) return;
    const Source::Factory* const factory = factory_of(entry, *source);
    if (factory == nullptr || entry.has_taken_name) return;  // already reported
    const std::string name = entry.name.empty() ? factory->name : entry.name;
    const PluginConfig config{entry.config, entry.has_secrets};
    if (!admit_task(*source, *factory, name, config, {entry.options, entry.limits.get(), &entry})) return;
    if (const auto problem = problem_of_limits(entry.limits)) fault(entry, '/' + problem->first, problem->second);
    look_who_shares(entry, name);
    if (entry.has_wrong_config) return;  // already reported
    const auto problem = problem_of_config(*source, *factory, name, config, entry.part);
    if (!problem) return;
    if (problem->is_of_plugin) {
      fault_of_check(*source, name, *problem);
    } else {
      fault(entry, "/config" + problem->pointer, problem->text);
    }
  }

  // If a name was not found there, its fault says so; for autoload, a missing directory is a fault of its own.
  void note_missing_directories() {
    if (manifest_.autoload) return;
    std::set<std::filesystem::path> seen;
    for (const PluginSearch& search : searches_) {
      for (const std::filesystem::path& directory : search.plugin_directories) {
        std::error_code error;
        if (!seen.insert(directory).second || std::filesystem::exists(directory, error) || error) continue;
        admission_.notes.push_back(
            {LogLevel::warning, "the plugin directory " + quoted_path(directory.native()) + " does not exist"});
      }
    }
  }

  // A plugin may be named by thousands of entries: look for it once, and report once what is wrong with it.
  std::shared_ptr<const Source> source_of(const ManifestTask& entry) {
    if (by_plugin_part_ != entry.part) {
      by_plugin_.clear();
      isolated_by_plugin_.clear();
    }
    by_plugin_part_ = entry.part;
    const bool isolated = entry.options.supervision().isolated;
    auto& by_plugin = isolated ? isolated_by_plugin_ : by_plugin_;
    const std::string user = isolated ? user_of(entry.limits) : std::string();
    const std::string key = user.empty() ? entry.plugin : entry.plugin + '\0' + user;
    const auto known = by_plugin.find(key);
    if (known != by_plugin.end()) return known->second;
    std::string problem;
    const std::filesystem::path path = searches_[entry.part].find(entry.plugin, problem);
    std::shared_ptr<const Source> source;
    if (path.empty()) {
      admission_.plugin_faults.push_back({.file = manifest_.parts[entry.part].name,
                                          .where = entry.pointer + "/plugin",
                                          .message = problem,
                                          .line = entry.line});
    } else {
      named_.insert(canonical_path(path));
      source = isolated ? look_at(path, user) : load(path);
    }
    by_plugin.emplace(key, source);
    return source;
  }

  // Empty: the host's, or none that a worker could have, which is a fault of its own.
  static std::string user_of(const std::shared_ptr<const WorkerLimits>& limits) {
    return limits != nullptr && !limits_problem(*limits) ? limits->user : std::string();
  }

  static WorkerLimits limits_of_user(const std::string& user) {
    WorkerLimits limits;
    limits.user = user;
    return limits;
  }

  // What the library is, as a worker says that has this user's rights; empty: the host's.
  std::shared_ptr<const Source> look_at(const std::filesystem::path& path, const std::string& user) {
    const auto [place, fresh] = isolated_by_path_.try_emplace(canonical_path(path) + '\0' + user);
    if (!fresh) return place->second;
    const auto log = [&](LogLevel level, std::string_view text) {
      admission_.notes.push_back(
          {level, printable_path(path.native()) + ": " + printable_text(text, max_message_bytes)});
    };
    auto library = std::make_unique<IsolatedLibrary>(workers_, path.string(), limits_of_user(user), log);
    if (!library->problem().empty()) {
      admission_.plugin_faults.push_back(
          {.file = path.string(), .where = {}, .message = library->problem(), .line = 0});
      return nullptr;
    }
    Source source{.path = path.string(), .factories = {}, .isolated = library.get()};
    for (const IsolatedLibrary::Factory& factory : library->factories()) {
      source.factories.push_back({factory.name, nullptr, factory.checks});
    }
    isolated_.push_back(std::move(library));
    return keep(place->second, std::move(source));
  }

  std::shared_ptr<const Source> load(const std::filesystem::path& path) {
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
    admission_.libraries.push_back(loading.library);
    Source source{.path = loading.library->path(), .factories = {}, .isolated = nullptr};
    for (const taskhost_factory& factory : loading.library->factories()) {
      source.factories.push_back({factory.name, &factory, factory.check != nullptr});
    }
    return keep(place->second, std::move(source));
  }

  // As long as the tasks, whose origins are texts of it.
  std::shared_ptr<const Source> keep(std::shared_ptr<const Source>& place, Source&& source) {
    place = std::make_shared<const Source>(std::move(source));
    admission_.kept.push_back(place);
    return place;
  }

  const Source::Factory* factory_of(const ManifestTask& entry, const Source& source) {
    const auto& factories = source.factories;
    if (entry.factory.empty() && factories.size() == 1) return &factories.front();
    if (const Source::Factory* found = source.find(entry.factory)) return found;

    std::vector<std::string_view> names;
    for (const Source::Factory& factory : factories) names.emplace_back(factory.name);
    if (entry.factory.empty()) {
      fault(entry, "",
            "plugin " + quoted_text(entry.plugin) + " has " + std::to_string(names.size()) +
                " factories; say which with \"task\": " + quoted_list(names, "or"));
      return nullptr;
    }
    std::string words = "plugin " + quoted_text(entry.plugin) + " has no factory " + quoted_text(entry.factory);
    const std::string_view nearest = nearest_word(entry.factory, names);
    words += nearest.empty() ? "; it has " + quoted_list(names, "and") : "; did you mean " + quoted_text(nearest) + "?";
    fault(entry, "/task", words);
    return nullptr;
  }

  void autoload(const TaskOptions& options) {
    std::string problem;
    for (const std::filesystem::path& path : searches_.front().all(problem)) {
      if (!named_.insert(canonical_path(path)).second) continue;
      if (library_file_problem(path).empty() && !may_be_plugin(library_contents(path))) {
        admission_.notes.push_back(
            {LogLevel::info, printable_path(path.native()) + ": skipped: it is a library, but not a plugin"});
        continue;
      }
      const std::shared_ptr<const Source> source =
          options.supervision().isolated ? look_at(path, user_of(manifest_.autoload_limits)) : load(path);
      if (source == nullptr) {
        names_are_missing_ = true;
        continue;
      }
      for (const Source::Factory& factory : source->factories) {
        const auto problem = problem_of_config(*source, factory, factory.name, {}, 0);
        if (problem && problem->is_of_plugin) {
          fault_of_check(*source, factory.name, *problem);
          continue;
        }
        if (problem) {
          admission_.notes.push_back({LogLevel::warning, printable_path(path.native()) +
                                                             ": skipped: " + quoted_text(factory.name) +
                                                             " can't run without a config (" + words_of(*problem) +
                                                             "); list it in \"tasks\" with one"});
          continue;
        }
        admit_task(*source, factory, factory.name, {}, {options, manifest_.autoload_limits.get(), nullptr});
      }
    }
    if (!problem.empty()) fault(0, {}, 0, problem);
  }

  struct Placing {
    const TaskOptions& options;
    const WorkerLimits* limits;  // or null
    const ManifestTask* entry;   // null: it is autoloaded
    std::uint32_t part() const noexcept { return entry != nullptr ? entry->part : 0; }
  };

  bool admit_task(const Source& source, const Source::Factory& factory, const std::string& name,
                  const PluginConfig& config, const Placing& placing) {
    const ManifestTask* const entry = placing.entry;
    if (const auto place = tasks_.add(name, recipe_of(source, factory, config, placing), placing.options)) {
      tasks_.came_from(*place, {source.path, factory.name, process_});
      if (entry != nullptr) entries_.push_back(entry);
      if (entry == nullptr) autoloaded_.push_back(&source);
      return true;
    }
    const std::string words = "two tasks are named " + quoted_text(name) + "; the other is " +
                              origin_words(*tasks_.find(name), placing.part()) +
                              "; give each a name of its own, or remove one";
    if (entry != nullptr) {
      fault(*entry, "", words);
    } else {
      admission_.manifest_faults.push_back({.file = source.path, .where = {}, .message = words, .line = 0});
    }
    return false;
  }

  // What the system does not let a worker have, told once for tasks in a row with the same.
  std::optional<std::pair<std::string, std::string>> problem_of_limits(
      const std::shared_ptr<const WorkerLimits>& limits) {
    if (limits == nullptr || limits == allowed_limits_) return std::nullopt;
    auto problem = limits_problem(*limits);
    if (!problem) allowed_limits_ = limits;
    return problem;
  }

  // Tasks that share a process have its limits and its user.
  void look_who_shares(const ManifestTask& entry, const std::string& name) {
    if (entry.limits == nullptr || entry.limits->process.empty()) return;
    Sharing& sharing = shared_.at(entry.limits->process);
    if (++sharing.count == most_sharers + 1) {
      fault(entry, "/process",
            std::to_string(most_sharers) + " tasks share this process already, which is the most: name another one");
    }
    if (sharing.limits == nullptr) {
      sharing.limits = entry.limits;
      sharing.task = name;
    } else if (*sharing.limits != *entry.limits) {
      fault(entry, "/process",
            "it has other limits, or another user, than task " + quoted_text(sharing.task) +
                ", which shares the process; give both the same");
    }
  }

  std::shared_ptr<SharedProcess> shared_process(const WorkerLimits* limits) {
    if (limits == nullptr || limits->process.empty()) return nullptr;
    Sharing& sharing = shared_[limits->process];
    if (sharing.process == nullptr) sharing.process = std::make_shared<SharedProcess>();
    return sharing.process;
  }

  TaskFn recipe_of(const Source& source, const Source::Factory& factory, const PluginConfig& config,
                   const Placing& placing) {
    process_ = nullptr;
    const PluginEnvironment& environment = *environments_[placing.part()];
    if (factory.here != nullptr) return plugin_tasks_.make(*factory.here, factory.here, config, environment);
    const auto process = std::make_shared<std::atomic<std::int64_t>>(0);
    admission_.kept.push_back(process);
    process_ = process.get();
    return make_isolated(workers_, {.library = source.path,
                                    .factory = factory.name,
                                    .config = std::string(config.text),
                                    .has_secrets = config.has_secrets,
                                    .directory = environment.directory,
                                    .limits = placing.limits != nullptr ? *placing.limits : WorkerLimits{},
                                    .stop_timeout = placing.options.stop_timeout,
                                    .is_watched = placing.options.supervision().watchdog.has_value(),
                                    .shared = shared_process(placing.limits),
                                    .process = process});
  }

  // Asked once for tasks in a row with the same factory and config.
  std::optional<ConfigProblem> problem_of_config(const Source& source, const Source::Factory& factory,
                                                 const std::string& name, const PluginConfig& config,
                                                 std::uint32_t part) {
    if (!factory.checks) return std::nullopt;
    const PluginEnvironment& environment = *environments_[part];
    const bool is_same = checked_ == &factory && checked_config_ == config.text &&
                         checked_has_secrets_ == config.has_secrets && checked_in_ == &environment;
    if (is_same) return its_problem_;
    const auto log = [&](LogLevel level, std::string_view text) {
      admission_.notes.push_back({level, "check of '" + name + "': " + printable_text(text, max_message_bytes)});
    };
    its_problem_ = factory.here != nullptr
                       ? config_problem(*factory.here, name, config, environment, log)
                       : source.isolated->check(factory.name, name, config, environment.directory, log);
    checked_ = &factory;
    checked_config_ = config.text;
    checked_has_secrets_ = config.has_secrets;
    checked_in_ = &environment;
    return its_problem_;
  }

  void fault_of_check(const Source& source, const std::string& task, const ConfigProblem& problem) {
    admission_.plugin_faults.push_back(
        {.file = source.path, .where = {}, .message = "task " + quoted_text(task) + ": " + problem.text, .line = 0});
  }

  static std::string words_of(const ConfigProblem& problem) {
    return problem.pointer.empty() ? problem.text : problem.pointer + ": " + problem.text;
  }

  // As seen from this part.
  std::string origin_words(std::size_t place, std::size_t part) const {
    const std::size_t own = tasks_.size() - entries_.size() - autoloaded_.size();
    if (place < own) return "a task that the program added";
    if (place - own >= entries_.size()) return autoloaded_[place - own - entries_.size()]->path;
    const ManifestTask& entry = *entries_[place - own];
    return entry.pointer +
           (entry.part != part ? " of " + printable_path(manifest_.parts[entry.part].name) : std::string());
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
        const std::string pointer = "/after/" + std::to_string(i);
        const std::optional<std::size_t> found = tasks_.find(name);
        if (name == related.name) {
          fault(entry, pointer, "a task can't come after itself");
        } else if (found) {
          relation.after.push_back(static_cast<std::uint32_t>(*found));
        } else if (!missing_names_.contains(name) && !names_are_missing_) {
          fault(entry, pointer, "there is no task " + quoted_text(name) + hint_for(name));
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
    fault(entry, "/after/" + std::to_string(number),
          words + quoted_text(cycle.front()) + "; remove one of them from an \"after\"");
  }

  void fault(const ManifestTask& entry, const std::string& step, const std::string& words) {
    fault(entry.part, entry.pointer + step, entry.line, words);
  }

  void fault(std::size_t part, const std::string& pointer, std::size_t line, const std::string& words) {
    const std::string& file = manifest_.parts[part].name;
    admission_.manifest_faults.push_back({.file = file, .where = pointer, .message = words, .line = line});
  }

  const Manifest& manifest_;
  const std::vector<PluginSearch>& searches_;
  TaskRegister& tasks_;
  const std::vector<const PluginEnvironment*>& environments_;
  const WorkerEnvironment& workers_;
  PluginTasks plugin_tasks_;
  std::shared_ptr<const WorkerLimits> allowed_limits_;  // by the system
  struct Sharing {
    std::shared_ptr<SharedProcess> process;
    std::shared_ptr<const WorkerLimits> limits;
    std::string task;  // the first that has them
    std::size_t count = 0;
  };
  std::map<std::string, Sharing> shared_;  // by the process's name
  const Source::Factory* checked_ = nullptr;
  std::string checked_config_;
  bool checked_has_secrets_ = false;
  const PluginEnvironment* checked_in_ = nullptr;
  std::optional<ConfigProblem> its_problem_;
  Admission admission_;
  // For names in one part; null if a fault was reported.
  std::unordered_map<std::string, std::shared_ptr<const Source>> by_plugin_;
  std::unordered_map<std::string, std::shared_ptr<const Source>> isolated_by_plugin_;
  std::uint32_t by_plugin_part_ = 0;
  std::map<std::string, std::shared_ptr<const Source>> by_path_;  // the same, by canonical path
  std::map<std::string, std::shared_ptr<const Source>> isolated_by_path_;
  std::vector<std::unique_ptr<IsolatedLibrary>> isolated_;
  std::set<std::string> named_;                         // paths of libraries that entries name: they are not autoloaded
  const std::atomic<std::int64_t>* process_ = nullptr;  // of the task that is being admitted
  std::vector<const ManifestTask*> entries_;            // of the tasks added here, and after them
  std::vector<const Source*> autoloaded_;               // the libraries of autoloaded ones
  std::vector<Related> related_;                        // in the order of the tasks
  std::vector<std::uint32_t> groups_;                   // the register's numbers of the manifest's groups
  LibraryNeighbours neighbours_;
  std::size_t cycles_ = 0;
  std::unordered_set<std::string> missing_names_;  // names of entries that were not admitted
  bool names_are_missing_ = false;                 // some names could only come from plugins that are missing
};

}  // namespace

std::string absolute_directory(const std::filesystem::path& directory) {
  std::error_code error;
  const std::filesystem::path whole = (std::filesystem::current_path(error) / directory).lexically_normal();
  return whole.has_filename() || !whole.has_parent_path() ? whole.string() : whole.parent_path().string();
}

std::vector<PluginSearch> plugin_searches(const Manifest& manifest, const std::vector<std::string>& extra) {
  std::vector<PluginSearch> searches;
  const std::filesystem::path installed = installed_plugin_directory();
  for (const ManifestPart& part : manifest.parts) {
    PluginSearch search;
    search.manifest_directory = absolute_directory(part.directory);
    search.installed_directory = installed;
    std::vector<std::filesystem::path>& directories = search.plugin_directories;
    for (const std::string& first : extra) directories.emplace_back(absolute_directory(first));
    for (const std::string& own : part.plugin_dirs) {
      directories.emplace_back(absolute_directory(search.manifest_directory / own));
    }
    if (part.plugin_dirs.empty()) directories.push_back(search.manifest_directory);
    if (!searches.empty()) {
      for (const std::filesystem::path& inherited : searches[part.included_by].plugin_directories) {
        if (std::find(directories.begin(), directories.end(), inherited) == directories.end()) {
          directories.push_back(inherited);
        }
      }
    }
    searches.push_back(std::move(search));
  }
  return searches;
}

std::string lines_of(const std::vector<Fault>& faults) {
  constexpr std::size_t limit = 200;  // the rest is cut: fixing these usually fixes it
  std::string lines;
  for (std::size_t i = 0; i < std::min(limit, faults.size()); ++i) {
    lines += (lines.empty() ? "" : "\n") + faults[i].text();
  }
  if (faults.size() > limit) lines += "\nand " + std::to_string(faults.size() - limit) + " more faults";
  return lines;
}

Admission admit(const Manifest& manifest, const std::vector<PluginSearch>& searches, TaskRegister& tasks,
                const std::vector<const PluginEnvironment*>& environments, const WorkerEnvironment& workers) {
  return Admitter(manifest, searches, tasks, environments, workers).run();
}

}  // namespace taskhost
