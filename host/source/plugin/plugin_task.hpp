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
  Signals* signals = nullptr;                   // null if the embedding program handles its signals itself
  std::string directory;                        // the manifest's directory, absolute
  const taskhost_services* services = nullptr;  // what executions call; null: plugin_services
};

// What executions call in this process, unless their environment says otherwise.
extern const taskhost_services plugin_services;

// The execution behind what a service gets.
Execution& execution_of(const taskhost_exec* exec) noexcept;

// The config of a task: JSON text, or empty for none.
struct PluginConfig {
  std::string_view text;
  bool has_secrets = false;  // then no message of the host quotes any of its values
};

// Makes recipes. Consecutive tasks with the same factory, config and environment share one. Owner's thread.
class PluginTasks {
 public:
  // `factory` has been read by factory_rules; what it points to lives as long as the recipe. `origin` tells factories
  // apart. The result is valid until the next call, which saves reference counts when there are many tasks.
  const TaskFn& make(const taskhost_factory& factory, const void* origin, const PluginConfig& config,
                     const PluginEnvironment& environment);

 private:
  const PluginEnvironment* last_environment_ = nullptr;
  std::optional<TaskFn> last_;
  const void* last_origin_ = nullptr;
  std::string last_config_;
  bool last_has_secrets_ = false;
};

}  // namespace taskhost
