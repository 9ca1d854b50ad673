// Asks a factory whether an execution can live with a config, before anything starts (rule 3.16). Owner's thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "plugin/plugin_task.hpp"
#include "taskhost/core/event.hpp"
#include "taskhost/plugin.h"

namespace taskhost {

struct ConfigProblem {
  std::string pointer;  // into the config; empty: the whole
  std::string text;
  bool is_of_plugin = false;  // its check breaks a rule, and says nothing about the config
};

// Nothing: the factory has no check, or it finds nothing wrong. `log` gets the lines that the check
// logs.
std::optional<ConfigProblem> config_problem(const taskhost_factory& factory, const std::string& task,
                                            const PluginConfig& config, const PluginEnvironment& environment,
                                            const std::function<void(LogLevel, std::string_view)>& log);

}  // namespace taskhost
