// The tests of a plugin as a whole, before any execution: its file, its entry and its descriptors. They run in a test's
// process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugin/library.hpp"
#include "verify/progress.hpp"
#include "verify/test.hpp"
#include "verify/verdict.hpp"

namespace taskhost::verify {

// A plugin loaded in this process, and what its entry returned then.
struct LoadedPlugin {
  std::shared_ptr<PluginLibrary> library;  // null if there is a problem
  std::string problem;
  bool brings_runtime = false;       // marked NODELETE: it must not be unloaded
  std::vector<std::string> content;  // of each factory: its fields and texts, byte for byte
};
LoadedPlugin load_plugin(const std::string& path, Progress& progress);

// Turns "… (rule 2.7)" into a verdict.
Verdict refused(const std::string& problem);

// Rules 1.5 and 5.1: loads the plugin. The parent judges its output.
Verdict loading(const std::string& path, Progress& progress);

// No rule: what the plugin shares with others in its process.
Verdict neighbours(const LoadedPlugin& plugin);

// Rule 1.4. Calls the entry again, on this thread and on others.
Verdict entry_called_again(const LoadedPlugin& plugin);

// Describes a descriptor that has changed since the plugin was loaded; empty if none has.
std::string changed_descriptor(const LoadedPlugin& plugin);

}  // namespace taskhost::verify
