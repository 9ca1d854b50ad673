// The recipe of a task whose executions live in a worker, each in one of its own, or with those of other tasks. To the
// supervisor it is a recipe like any other: polled, and ended by an end of the process, too.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "signals/delivery.hpp"
#include "taskhost/core/task_fn.hpp"
#include "worker/isolated_process.hpp"
#include "worker/keeper.hpp"
#include "worker/limits.hpp"

namespace taskhost {

// What the workers of one host have in common. Lives as long as the recipes.
struct WorkerEnvironment {
  WorkerKeeper& keeper;
  Signals* const* signals;         // where the host's are, or null
  std::size_t poll_stack = 0;      // bytes
  std::size_t blocking_stack = 0;  // bytes
};

// One task.
struct IsolatedTask {
  std::string library;  // the path
  std::string factory;
  std::string config;  // JSON text; empty: none
  bool has_secrets = false;
  std::string directory;  // of its part of the manifest, absolute
  WorkerLimits limits;
  std::chrono::nanoseconds stop_timeout{};
  bool is_watched = false;                             // by a watchdog
  std::shared_ptr<SharedProcess> shared;               // with others; null: it has one of its own
  std::shared_ptr<std::atomic<std::int64_t>> process;  // for its process id
};

TaskFn make_isolated(const WorkerEnvironment& environment, IsolatedTask task);

// The document of the order `load`. `tells`: it is to say what factories there are.
nlohmann::json load_order(const WorkerEnvironment& environment, const std::string& library, const WorkerLimits& limits,
                          bool tells);

}  // namespace taskhost
