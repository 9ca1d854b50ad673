// A plugin's library as a worker sees it: what factories it has, and whether a config is right. Nothing of it is loaded
// here. Owner's thread; each call waits for the worker, a minute at most.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/config_check.hpp"
#include "worker/isolated_task.hpp"

namespace taskhost {

class IsolatedLibrary {
 public:
  // What a worker says of a factory.
  struct Factory {
    std::string name;
    std::string version;
    std::string description;
    bool checks = false;
  };
  using Log = std::function<void(LogLevel, std::string_view)>;

  // `log` gets what the library prints while it is loaded.
  IsolatedLibrary(const WorkerEnvironment& environment, std::string path, const WorkerLimits& limits, const Log& log);
  ~IsolatedLibrary();
  IsolatedLibrary(const IsolatedLibrary&) = delete;
  IsolatedLibrary& operator=(const IsolatedLibrary&) = delete;

  const std::string& problem() const noexcept { return problem_; }  // why it could not be loaded; empty: it was
  const std::vector<Factory>& factories() const noexcept { return factories_; }

  // What is wrong with a config; as config_problem. `directory`: of the task's part of the manifest.
  std::optional<ConfigProblem> check(const std::string& factory, const std::string& task, const PluginConfig& config,
                                     const std::string& directory, const Log& log);

 private:
  struct Conversation;

  std::string begin(const Log& log);

  const WorkerEnvironment& environment_;
  const std::string path_;
  const WorkerLimits limits_;
  std::unique_ptr<Conversation> worker_;  // null once one has died, or did not return
  std::vector<Factory> factories_;
  const std::string problem_;
};

}  // namespace taskhost
