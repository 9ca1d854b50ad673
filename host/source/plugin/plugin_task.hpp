// The border between C and C++: turns a C factory into a TaskFn. The only code that knows both sides: every call
// between plugin and host passes through here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "signals/delivery.hpp"
#include "taskhost/core/task_fn.hpp"
#include "taskhost/plugin.h"

namespace taskhost {

// What the executions of one host get in addition to the shard's services; lives as long as the recipes.
struct PluginEnvironment {
  Signals* signals = nullptr;  // null if the embedding program handles its signals itself
  std::string directory;       // the manifest's directory, absolute
};

// Makes recipes. Consecutive tasks with the same factory and config share one. Owner's thread.
class PluginTasks {
 public:
  explicit PluginTasks(const PluginEnvironment& environment) : environment_(environment) {}

  // `factory` has been read by factory_rules; what it points to lives as long as the recipe. `origin` tells factories
  // apart. `config` is JSON text, or empty for none. The result is valid until the next call, which saves reference
  // counts when there are many tasks.
  const TaskFn& make(const taskhost_factory& factory, const void* origin, std::string_view config);

 private:
  const PluginEnvironment& environment_;
  std::optional<TaskFn> last_;
  const void* last_origin_ = nullptr;
  std::string last_config_;
};

}  // namespace taskhost
