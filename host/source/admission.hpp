// From a manifest's values to tasks: finds and loads the plugins, picks the factories, and collects all faults. Starts
// nothing. Owner's thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "manifest/manifest.hpp"
#include "plugin/finder.hpp"
#include "plugin/library.hpp"
#include "plugin/plugin_task.hpp"
#include "task_register.hpp"
#include "taskhost/core/event.hpp"
#include "worker/isolated_task.hpp"

namespace taskhost {

// Something to log that is not a fault.
struct Note {
  LogLevel level;
  std::string text;
};

// What was loaded, and what was wrong. If there is any fault, what was admitted must not be used.
struct Admission {
  std::vector<std::shared_ptr<PluginLibrary>> libraries;  // in the order they were loaded
  std::vector<Fault> manifest_faults;                     // of the manifest
  std::vector<Fault> plugin_faults;                       // plugins that could not be loaded
  std::vector<Note> notes;
  std::vector<std::shared_ptr<const void>> kept;  // to live as long as the tasks: to what their origins refer
};

// Where each part of the manifest has its plugins: in its own directories, then in those of the part that includes it.
// Resolves all paths, since what is loaded later may change the working directory. `extra` directories come first.
std::vector<PluginSearch> plugin_searches(const Manifest& manifest, const std::vector<std::string>& extra);

// As tasks get it: without a slash at the end.
std::string absolute_directory(const std::filesystem::path& directory);

// A line for each fault; at most 200, then one that counts the rest.
std::string lines_of(const std::vector<Fault>& faults);

// Adds the manifest's tasks to those that the program added before. `searches` and `environments` are those of its
// parts.
Admission admit(const Manifest& manifest, const std::vector<PluginSearch>& searches, TaskRegister& tasks,
                const std::vector<const PluginEnvironment*>& environments, const WorkerEnvironment& workers);

}  // namespace taskhost
