// The border: C factory → TaskFn. Alone knows both worlds. Everything a plugin calls comes in here, everything the host
// calls in a plugin goes out here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "signals/signals.hpp"
#include "taskhost/core/task_fn.hpp"
#include "taskhost/plugin.h"

namespace taskhost {

// What the executions of one host get beyond the shard's services; lives as long as the recipes.
struct PluginEnvironment {
  Signals* signals = nullptr;  // null: the program around the host keeps its signals to itself
  std::string directory;       // the manifest's; absolute
};

// Makes recipes; tasks in a row from the same factory with the same config share one. Owner's thread.
class PluginTasks {
 public:
  explicit PluginTasks(const PluginEnvironment& environment) : environment_(environment) {}

  // `factory` has been read by factory_rules; what it points to lives as long as the recipe. `origin` tells factories
  // apart. `config`: JSON text, or empty for none. Valid until the next call: a fleet's tasks count no references.
  const TaskFn& make(const taskhost_factory& factory, const void* origin, std::string_view config);

 private:
  const PluginEnvironment& environment_;
  std::optional<TaskFn> last_;
  const void* last_origin_ = nullptr;
  std::string last_config_;
};

}  // namespace taskhost
