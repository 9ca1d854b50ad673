// From a manifest's values to tasks: finds and loads the plugins, picks the factories, and collects all faults. Starts
// nothing. Owner's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "manifest/manifest.hpp"
#include "plugin/finder.hpp"
#include "plugin/library.hpp"
#include "plugin/plugin_task.hpp"
#include "task_register.hpp"
#include "taskhost/core/event.hpp"

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
};

// Adds the manifest's tasks to those that the program added before. `file` names the manifest in faults.
Admission admit(const Manifest& manifest, const std::string& file, const PluginSearch& search, TaskRegister& tasks,
                const PluginEnvironment& environment);

}  // namespace taskhost
