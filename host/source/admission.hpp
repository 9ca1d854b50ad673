// From a manifest's values to tasks: finds and loads the plugins, picks the factories, and collects every fault of all
// of them. Starts nothing. Owner's thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "manifest/manifest.hpp"
#include "plugin/finder.hpp"
#include "plugin/library.hpp"
#include "plugin/plugin_task.hpp"
#include "task_names.hpp"
#include "taskhost/core/event.hpp"
#include "taskhost/core/task_list.hpp"

namespace taskhost {

// Worth a line of the log, and no fault.
struct Note {
  LogLevel level;
  std::string text;
};

// What was admitted, and what was wrong. If there is any fault, the rest must not be used.
struct Admission {
  TaskList tasks;                                         // without relations
  std::vector<TaskList::Relation> relations;              // by places in the program's own tasks followed by these
  std::vector<std::shared_ptr<PluginLibrary>> libraries;  // in the order they were loaded
  std::vector<Fault> manifest_faults;                     // a wrong manifest
  std::vector<Fault> plugin_faults;                       // a plugin that could not be loaded
  std::vector<Note> notes;
};

// `file` names the manifest in faults; `own_tasks` those that the program admitted before. The groups of relations are
// those of the manifest.
Admission admit(const Manifest& manifest, const std::string& file, const PluginSearch& search,
                const TaskList& own_tasks, const PluginEnvironment& environment);

}  // namespace taskhost
