#include "plugin/config_check.hpp"

#include <algorithm>
#include <cstring>

#include "plugin/config_extension.hpp"
#include "plugin/config_values.hpp"
#include "system/plugin_code.hpp"
#include "taskhost/core/home_process.hpp"
#include "taskhost/core/limits.hpp"
#include "taskhost/ext/manifest.h"

namespace taskhost {

namespace {

extern const taskhost_services check_services;

// What a check gets for an exec: no execution stands behind it.
struct CheckExec : taskhost_exec {
  CheckExec(const std::string& its_task, const PluginConfig& its_config, const PluginEnvironment& its_environment,
            const std::function<void(LogLevel, std::string_view)>& its_log)
      : taskhost_exec{&check_services},
        task(its_task),
        config(its_config.text.empty() ? "{}" : its_config.text),
        values(config, its_config.has_secrets),
        environment(its_environment),
        log(its_log) {}

  const std::string& task;
  const std::string config;
  const ConfigValues values;
  const PluginEnvironment& environment;
  const std::function<void(LogLevel, std::string_view)>& log;
  std::string failure;
};

CheckExec& check_of(const taskhost_exec* exec) noexcept {
  return *const_cast<CheckExec*>(static_cast<const CheckExec*>(exec));
}
const ConfigValues& checked_values(const taskhost_exec* exec) { return check_of(exec).values; }

std::string_view text_of(const char* text, std::size_t size) noexcept {
  return text != nullptr ? std::string_view(text, std::min(size, max_message_bytes)) : std::string_view();
}

const taskhost_manifest manifest_of_check = {
    sizeof(taskhost_manifest),
    TASKHOST_MANIFEST_REVISION,
    [](const taskhost_exec* exec) -> const char* { return check_of(exec).environment.directory.c_str(); },
};

const taskhost_services check_services = {
    sizeof(taskhost_services),
    TASKHOST_ABI_MINOR,
    // log
    [](const taskhost_exec* exec, int32_t level, const char* text, size_t size) {
      try {
        const int32_t known = std::clamp<int32_t>(level, TASKHOST_LOG_TRACE, TASKHOST_LOG_ERROR);
        check_of(exec).log(static_cast<LogLevel>(known), text_of(text, size));
      } catch (const std::exception&) {
        // A line less.
      }
    },
    // fail
    [](const taskhost_exec* exec, const char* text, size_t size) -> int32_t {
      try {
        check_of(exec).failure = text_of(text, size);
      } catch (const std::exception&) {
        // The result says it.
      }
      return TASKHOST_ERROR;
    },
    // config
    [](const taskhost_exec* exec, size_t* size) -> const char* {
      const std::string& config = check_of(exec).config;
      if (size != nullptr) *size = config.size();
      return config.c_str();
    },
    // task_name
    [](const taskhost_exec* exec) -> const char* { return check_of(exec).task.c_str(); },
    // execution_number
    [](const taskhost_exec*) -> uint64_t { return 0; },
    // stop_requested
    [](const taskhost_exec*) -> int32_t { return 0; },
    // now
    []() -> uint64_t { return SteadyClock::read(); },
    // waker
    [](const taskhost_exec*) -> taskhost_waker { return 0; },
    // wake
    [](taskhost_waker waker) { Execution::wake(waker); },
    // wake_at
    [](const taskhost_exec*, uint64_t) {},
    // wake_after
    [](const taskhost_exec*, uint64_t) {},
    // watch
    [](const taskhost_exec*, taskhost_fd, uint32_t, uint64_t) -> int32_t { return TASKHOST_REFUSED_CALL; },
    // take_ready
    [](const taskhost_exec*, taskhost_ready*, size_t) -> size_t { return 0; },
    // offload
    [](const taskhost_exec*, const taskhost_work*) -> int32_t { return TASKHOST_REFUSED_CALL; },
    // wait
    [](const taskhost_exec*, uint64_t) -> uint32_t { return 0; },
    // wait_fd
    [](const taskhost_exec*) -> taskhost_fd { return -1; },
    // ready
    [](const taskhost_exec*) {},
    // heartbeat
    [](const taskhost_exec*) {},
    // status
    [](const taskhost_exec*, const char*, size_t) {},
    // extension
    [](const taskhost_exec*, const char* id, uint32_t revision) -> const void* {
      if (id == nullptr) return nullptr;
      if (std::strcmp(id, TASKHOST_EXTENSION_CONFIG) == 0 && revision == TASKHOST_CONFIG_REVISION) {
        return &config_extension<checked_values>;
      }
      if (std::strcmp(id, TASKHOST_EXTENSION_MANIFEST) == 0 && revision == TASKHOST_MANIFEST_REVISION) {
        return &manifest_of_check;
      }
      return nullptr;
    },
};

// The config extension says "config: /every: must be …".
ConfigProblem problem_of(std::string text) {
  constexpr std::string_view prefix = "config: ";
  if (!text.starts_with(prefix)) return {.pointer = {}, .text = std::move(text)};
  text.erase(0, prefix.size());
  const std::size_t end = text.find(": ");
  if (!text.starts_with('/') || end == std::string::npos) return {.pointer = {}, .text = std::move(text)};
  return {.pointer = text.substr(0, end), .text = text.substr(end + 2)};
}

}  // namespace

std::optional<ConfigProblem> config_problem(const taskhost_factory& factory, const std::string& task,
                                            const PluginConfig& config, const PluginEnvironment& environment,
                                            const std::function<void(LogLevel, std::string_view)>& log) {
  if (factory.check == nullptr) return std::nullopt;
  CheckExec exec(task, config, environment, log);
  const PluginCodeMark mark(PluginCode::checking, task.c_str());
  try {
    const int32_t result = [&] {
      const ChildGuard guard("the check of task", task.c_str());
      return factory.check(&exec);
    }();
    switch (result) {
      case TASKHOST_OK:
        return std::nullopt;
      case TASKHOST_ERROR:
      case TASKHOST_PANIC:
        return problem_of(exec.failure.empty() ? "the plugin refuses it, and gives no reason" : exec.failure);
      default:
        return ConfigProblem{
            {}, "the check returned " + std::to_string(result) + ", which is not a valid result (rule 3.16)", true};
    }
  } catch (const std::exception& error) {
    return ConfigProblem{{}, std::string("the check threw an exception (rule 3.6): ") + error.what(), true};
  } catch (...) {
    return ConfigProblem{{}, "the check threw an exception that is not a std::exception (rule 3.6)", true};
  }
}

}  // namespace taskhost
