#include "plugin/plugin_task.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <mutex>

#include "plugin/config_extension.hpp"
#include "plugin/factory_rules.hpp"
#include "taskhost/ext/manifest.h"
#include "taskhost/ext/signals.h"

namespace taskhost {

// A taskhost_exec is an Execution, which begins with its recipe's services pointer. It is const for plugins, which must
// not change it, but not for us.
Execution& execution_of(const taskhost_exec* exec) noexcept {
  return *reinterpret_cast<Execution*>(const_cast<taskhost_exec*>(exec));
}

namespace {

static_assert(TASKHOST_OK == static_cast<int>(Status::ok));
static_assert(TASKHOST_PENDING == static_cast<int>(Status::pending));
static_assert(TASKHOST_ERROR == static_cast<int>(Status::error));
static_assert(TASKHOST_PANIC == static_cast<int>(Status::panic));
static_assert(TASKHOST_AGAIN == static_cast<int>(Status::again));
static_assert(TASKHOST_READABLE == readable && TASKHOST_WRITABLE == writable);
static_assert(TASKHOST_BROKEN == broken && TASKHOST_DONE == work_done);
static_assert(TASKHOST_REFUSED_CALL == static_cast<int>(Refusal::wrong_call));
static_assert(TASKHOST_REFUSED_ARGUMENT == static_cast<int>(Refusal::bad_argument));
static_assert(TASKHOST_REFUSED_CLOSED == static_cast<int>(Refusal::not_open));
static_assert(TASKHOST_REFUSED_ALWAYS == static_cast<int>(Refusal::always_ready));
static_assert(TASKHOST_REFUSED_LOOP == static_cast<int>(Refusal::loop));
static_assert(TASKHOST_REFUSED_DESCRIPTORS == static_cast<int>(Refusal::no_descriptor));
static_assert(TASKHOST_REFUSED_MEMORY == static_cast<int>(Refusal::no_memory));
static_assert(TASKHOST_REFUSED_THREADS == static_cast<int>(Refusal::no_thread));
static_assert(TASKHOST_REFUSED_WATCHERS == static_cast<int>(Refusal::watched_by_many));
static_assert(sizeof(taskhost_ready) == sizeof(Ready) && offsetof(taskhost_ready, what) == offsetof(Ready, what));
static_assert(TASKHOST_WAIT_STOP == wait_stop && TASKHOST_WAIT_WAKE == wait_wake && TASKHOST_WAIT_TIME == wait_time);
static_assert(TASKHOST_LOG_TRACE == static_cast<int>(LogLevel::trace));
static_assert(TASKHOST_LOG_ERROR == static_cast<int>(LogLevel::error));
static_assert(TASKHOST_NEVER == never);

class PluginRecipe final : public Recipe {
 public:
  PluginRecipe(const taskhost_factory& factory, const PluginConfig& config, const PluginEnvironment& environment)
      : Recipe(factory.state_size, factory.state_align != 0 ? factory.state_align : alignof(std::max_align_t),
               factory.run != nullptr, environment.services != nullptr ? environment.services : &plugin_services,
               {factory.start != nullptr ? factory.start : [](void*, const taskhost_exec*) { return TASKHOST_OK; },
                factory.poll != nullptr ? factory.poll : factory.run,
                factory.drop != nullptr ? factory.drop : [](void*, const taskhost_exec*) {}, factory.finish}),
        config_(config.text.empty() ? "{}" : config.text),
        environment_(environment),
        has_secrets_(config.has_secrets) {}

  const std::string& config() const noexcept { return config_; }
  // Parsed when the first execution asks for it: most tasks never do.
  const ConfigValues& values() const {
    std::call_once(values_once_, [this] { values_.emplace(config_, has_secrets_); });
    return *values_;
  }
  const PluginEnvironment& environment() const noexcept { return environment_; }

  std::string explain(std::string_view function, int32_t result) const override {
    const char* const rule = function == "start" ? "3.1" : function == "finish" ? "3.15" : blocking ? "3.3" : "3.2";
    const std::string name(function != "step" ? function : blocking ? "run" : "poll");
    return name + " returned " + std::to_string(result) + ", which is not a valid result (rule " + rule + ")";
  }

 private:
  const std::string config_;
  const PluginEnvironment& environment_;
  mutable std::once_flag values_once_;
  const bool has_secrets_;  // in what would be padding: there may be a million recipes
  mutable std::optional<ConfigValues> values_;
};

const PluginRecipe& recipe_of(const taskhost_exec* exec) noexcept {
  return static_cast<const PluginRecipe&>(execution_of(exec).recipe());
}

const ConfigValues& values_of(const taskhost_exec* exec) { return recipe_of(exec).values(); }

// The services. None throws: they only call noexcept functions, or catch exceptions.

std::string_view view(const char* text, std::size_t size) noexcept {
  return text != nullptr ? std::string_view(text, std::min(size, max_message_bytes)) : std::string_view();
}

const taskhost_signals signals_extension = {
    sizeof(taskhost_signals),
    TASKHOST_SIGNALS_REVISION,
    [](const taskhost_exec* exec, uint32_t wanted) -> int32_t {
      try {
        Signals* signals = recipe_of(exec).environment().signals;
        const bool done = signals != nullptr && signals->subscribe(execution_of(exec).waker(), wanted);
        return done ? TASKHOST_OK : TASKHOST_ERROR;
      } catch (const std::exception&) {
        return TASKHOST_ERROR;
      }
    },
    [](const taskhost_exec* exec) -> uint32_t {
      Signals* signals = recipe_of(exec).environment().signals;
      return signals != nullptr ? signals->take(execution_of(exec).waker()) : 0;
    },
};

const taskhost_manifest manifest_extension = {
    sizeof(taskhost_manifest),
    TASKHOST_MANIFEST_REVISION,
    [](const taskhost_exec* exec) -> const char* { return recipe_of(exec).environment().directory.c_str(); },
};

}  // namespace

const taskhost_services plugin_services = {
    sizeof(taskhost_services),
    TASKHOST_ABI_MINOR,
    // log
    [](const taskhost_exec* exec, int32_t level, const char* text, size_t size) {
      const int32_t known = std::clamp<int32_t>(level, TASKHOST_LOG_TRACE, TASKHOST_LOG_ERROR);
      execution_of(exec).log(static_cast<LogLevel>(known), view(text, size));
    },
    // fail
    [](const taskhost_exec* exec, const char* text, size_t size) -> int32_t {
      execution_of(exec).fail(view(text, size));
      return TASKHOST_ERROR;
    },
    // config
    [](const taskhost_exec* exec, size_t* size) -> const char* {
      const std::string& config = recipe_of(exec).config();
      if (size != nullptr) *size = config.size();
      return config.c_str();
    },
    // task_name
    [](const taskhost_exec* exec) -> const char* { return execution_of(exec).task_name().data(); },
    // execution_number
    [](const taskhost_exec* exec) -> uint64_t { return execution_of(exec).number(); },
    // stop_requested
    [](const taskhost_exec* exec) -> int32_t { return execution_of(exec).stop_requested() ? 1 : 0; },
    // now
    []() -> uint64_t { return SteadyClock::read(); },
    // waker
    [](const taskhost_exec* exec) -> taskhost_waker { return execution_of(exec).waker(); },
    // wake
    [](taskhost_waker waker) { Execution::wake(waker); },
    // wake_at
    [](const taskhost_exec* exec, uint64_t time) { execution_of(exec).wake_at(time); },
    // wake_after
    [](const taskhost_exec* exec, uint64_t delay) { execution_of(exec).wake_after(delay); },
    // watch
    [](const taskhost_exec* exec, taskhost_fd fd, uint32_t interests, uint64_t tag) -> int32_t {
      return static_cast<int32_t>(execution_of(exec).watch(fd, interests, tag));
    },
    // take_ready
    [](const taskhost_exec* exec, taskhost_ready* list, size_t capacity) -> size_t {
      return execution_of(exec).take_ready(reinterpret_cast<Ready*>(list), capacity);
    },
    // offload
    [](const taskhost_exec* exec, const taskhost_work* work) -> int32_t {
      const bool known = work != nullptr && work->struct_size >= first_work_size &&
                         work->struct_size <= max_struct_size && work->reserved == 0;
      return static_cast<int32_t>(
          execution_of(exec).offload(known ? Work{work->tag, work->argument, work->run, work->discard} : Work{}));
    },
    // wait
    [](const taskhost_exec* exec, uint64_t time) -> uint32_t { return execution_of(exec).wait_until(time); },
    // wait_fd
    [](const taskhost_exec* exec) -> taskhost_fd { return execution_of(exec).wait_descriptor(); },
    // ready
    [](const taskhost_exec* exec) { execution_of(exec).ready(); },
    // heartbeat
    [](const taskhost_exec* exec) { execution_of(exec).heartbeat(); },
    // status
    [](const taskhost_exec* exec, const char* text, size_t size) { execution_of(exec).set_status(view(text, size)); },
    // extension
    [](const taskhost_exec* exec, const char* id, uint32_t revision) -> const void* {
      const auto asks_for = [id, revision](const char* known, uint32_t known_revision) {
        return id != nullptr && std::strcmp(id, known) == 0 && revision == known_revision;
      };
      if (asks_for(TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION)) return &config_extension<values_of>;
      if (asks_for(TASKHOST_EXTENSION_MANIFEST, TASKHOST_MANIFEST_REVISION)) return &manifest_extension;
      if (asks_for(TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION)) {
        return recipe_of(exec).environment().signals != nullptr ? &signals_extension : nullptr;
      }
      return nullptr;
    },
};

const TaskFn& PluginTasks::make(const taskhost_factory& factory, const void* origin, const PluginConfig& config,
                                const PluginEnvironment& environment) {
  const bool is_same = last_ && last_origin_ == origin && last_environment_ == &environment &&
                       last_config_ == config.text && last_has_secrets_ == config.has_secrets;
  if (!is_same) {
    last_.emplace(std::make_shared<const PluginRecipe>(factory, config, environment));
    last_origin_ = origin;
    last_environment_ = &environment;
    last_config_ = config.text;
    last_has_secrets_ = config.has_secrets;
  }
  return *last_;
}

}  // namespace taskhost
