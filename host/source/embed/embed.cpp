// The C interface, taskhost.h: translates arguments and results; no exception leaves it.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "embed/caught_error.hpp"
#include "embed/taskhost_host.hpp"
#include "plugin/embed_task.hpp"
#include "plugin/inspection.hpp"
#include "plugin_exit.hpp"
#include "taskhost/taskhost.h"
#include "taskhost_version.hpp"

namespace {

using taskhost::HostError;

// The error text of a host that could not be created. No destructor, because a thread-local's needs memory.
constinit thread_local std::array<char, 1024> create_error{};

void keep_create_error(std::string_view text) noexcept {
  create_error[text.copy(create_error.data(), create_error.size() - 1)] = '\0';
}

// A copy of the caller's struct in this library's size: fields that the caller's lacks are zero.
template <class Struct>
Struct complete(const Struct* given) {
  Struct full{};
  if (given != nullptr) {
    std::memcpy(&full, given, std::min<std::size_t>(given->struct_size, sizeof full));
  }
  return full;
}

// Runs the body, keeps its error text, and turns exceptions into a code.
template <class Body>
int32_t guarded(taskhost_host* host, Body&& body) noexcept {
  if (host == nullptr) return TASKHOST_RESULT_WRONG_STATE;
  try {
    if (host->host.is_elsewhere()) {
      host->error =
          "this process was forked after the host had been created, and has none of its threads: create the host after "
          "the fork";
      return TASKHOST_RESULT_WRONG_STATE;
    }
    host->error.clear();
    HostError error = body();
    host->error = std::move(error.text);
    return error.code;
  } catch (...) {
    taskhost::CaughtError caught = taskhost::caught_error();
    host->error = std::move(caught.text);
    return caught.code;
  }
}

HostError bad_argument(const std::string& words) { return {TASKHOST_RESULT_BAD_MANIFEST, words}; }

bool known_level(int32_t level_plus_one) { return level_plus_one >= 0 && level_plus_one <= TASKHOST_LOG_OFF + 1; }

int32_t read_options(const taskhost_options& given, taskhost::HostOptions& options) {
  if ((given.flags & ~(TASKHOST_HANDLE_SIGNALS | TASKHOST_NAME_CRASHES | TASKHOST_NOTIFY)) != 0 ||
      given.shards > taskhost::max_shards || !known_level(given.log_level_plus_one) ||
      (given.plugin_dir_count != 0 && given.plugin_dirs == nullptr) ||
      std::count(given.plugin_dirs, given.plugin_dirs + given.plugin_dir_count, nullptr) != 0 ||
      (given.log_format != TASKHOST_LOG_FORMAT_TEXT && given.log_format != TASKHOST_LOG_FORMAT_JSON)) {
    return TASKHOST_RESULT_BAD_MANIFEST;
  }
  options.handle_signals = (given.flags & TASKHOST_HANDLE_SIGNALS) != 0;
  options.name_crashes = (given.flags & (TASKHOST_HANDLE_SIGNALS | TASKHOST_NAME_CRASHES)) != 0;
  options.notify_service_manager = (given.flags & TASKHOST_NOTIFY) != 0;
  options.shards = given.shards;
  options.seed = given.seed;
  for (uint32_t i = 0; i < given.plugin_dir_count; ++i) options.plugin_directories.emplace_back(given.plugin_dirs[i]);
  if (given.log_level_plus_one != 0) options.log_level = taskhost::LogLevel{given.log_level_plus_one - 1};
  options.log_format =
      given.log_format == TASKHOST_LOG_FORMAT_JSON ? taskhost::LogFormat::json : taskhost::LogFormat::text;
  const auto text = [](const char* given_text) { return std::string(given_text != nullptr ? given_text : ""); };
  options.name = text(given.name);
  if (given.control != nullptr) options.control = given.control;
  options.listen = text(given.listen);
  options.listen_token_file = text(given.listen_token_file);
  if (given.log != nullptr) {
    options.log_receiver = [log = given.log, user = given.log_user](taskhost::LogLevel level, std::string_view line) {
      log(user, static_cast<int32_t>(level), line.data(), line.size());
    };
  }
  return TASKHOST_RESULT_OK;
}

HostError add(taskhost::Host& host, const taskhost_task_options& given, std::span<const char* const> names) {
  taskhost::OwnTask own = taskhost::read_own_task(given);
  if (!own.problem.empty()) return bad_argument(own.problem);
  return host.add(names, *given.factory, given.config != nullptr ? given.config : "", std::move(own.options),
                  given.stop_timeout == 0, own.relation);
}

int32_t operate(taskhost_host* host, const char* name, taskhost::Operation operation) noexcept {
  if (host == nullptr || host->host.is_elsewhere()) return TASKHOST_RESULT_WRONG_STATE;
  if (name == nullptr) return TASKHOST_RESULT_UNKNOWN_TASK;
  try {
    return host->host.operate(name, operation);
  } catch (const std::bad_alloc&) {
    return TASKHOST_RESULT_NO_MEMORY;
  } catch (...) {
    return TASKHOST_RESULT_INTERNAL;
  }
}

}  // namespace

extern "C" {

const char* taskhost_version(void) { return TASKHOST_VERSION; }

int32_t taskhost_create(const taskhost_options* options, taskhost_host** host) {
  if (host == nullptr) return TASKHOST_RESULT_BAD_MANIFEST;
  *host = nullptr;
  try {
    keep_create_error("");
    taskhost::HostOptions read;
    if (const int32_t code = read_options(complete(options), read); code != TASKHOST_RESULT_OK) {
      keep_create_error("an option has an invalid value");
      return code;
    }
    *host = new taskhost_host(std::move(read));
    return TASKHOST_RESULT_OK;
  } catch (...) {
    const taskhost::CaughtError caught = taskhost::caught_error();
    keep_create_error(caught.text);
    return caught.code;
  }
}

const char* taskhost_error(const taskhost_host* host) {
  return host != nullptr ? host->error.c_str() : create_error.data();
}

int32_t taskhost_load_file(taskhost_host* host, const char* path) {
  return guarded(host, [&] { return path != nullptr ? host->host.load_file(path) : bad_argument("path is NULL"); });
}

int32_t taskhost_load_text(taskhost_host* host, const char* text, size_t size, const char* directory) {
  return guarded(host, [&] {
    if (text == nullptr && size != 0) return bad_argument("text is NULL");
    return host->host.load_text(std::string_view(text, size), directory != nullptr ? directory : "");
  });
}

int32_t taskhost_load_directory(taskhost_host* host, const char* path) {
  return guarded(host,
                 [&] { return path != nullptr ? host->host.load_directory(path) : bad_argument("path is NULL"); });
}

int32_t taskhost_add_task(taskhost_host* host, const taskhost_task_options* task) {
  return guarded(host, [&] {
    if (task == nullptr) return bad_argument("no task");
    const taskhost_task_options given = complete(task);
    return add(host->host, given, {&given.name, 1});
  });
}

int32_t taskhost_add_tasks(taskhost_host* host, const taskhost_task_options* task, const char* const* names,
                           size_t count) {
  return guarded(host, [&] {
    if (task == nullptr) return bad_argument("no task");
    const taskhost_task_options given = complete(task);
    if (given.name != nullptr) return bad_argument("the tasks' names are in `names`; leave the task's own name NULL");
    const std::span<const char* const> wanted(names, names != nullptr ? count : 0);
    if (wanted.size() != count) return bad_argument("no names");
    const auto missing = std::find(wanted.begin(), wanted.end(), nullptr);
    if (missing != wanted.end()) {
      return bad_argument("names[" + std::to_string(missing - wanted.begin()) + "] is NULL");
    }
    return add(host->host, given, wanted);
  });
}

size_t taskhost_task_count(const taskhost_host* host) { return host != nullptr ? host->host.task_count() : 0; }

int32_t taskhost_on_event(taskhost_host* host, void (*callback)(void*, const taskhost_event*), void* user) {
  return guarded(host, [&] {
    if (callback == nullptr) return bad_argument("callback is NULL");
    return host->host.subscribe([callback, user](const taskhost::EventLog::Record& record) {
      const taskhost_event event = {
          sizeof(taskhost_event), record.more ? 1u : 0u, record.sequence, record.name.data(), record.task,
          record.json.data(),     record.json.size(),
      };
      callback(user, &event);
    });
  });
}

int32_t taskhost_start(taskhost_host* host) {
  return guarded(host, [&] { return host->host.start(); });
}

int32_t taskhost_wait(taskhost_host* host) {
  return guarded(host, [&]() -> HostError {
    if (!host->host.running()) return {TASKHOST_RESULT_WRONG_STATE, "the host is not running"};
    return {host->host.wait(), {}};
  });
}

int32_t taskhost_run(taskhost_host* host) {
  const taskhost::WaitForHost waits;
  const int32_t code = taskhost_start(host);
  return code == TASKHOST_RESULT_OK ? taskhost_wait(host) : code;
}

void taskhost_request_stop(taskhost_host* host) {
  if (host != nullptr) host->host.request_stop();
}

int32_t taskhost_stop_task(taskhost_host* host, const char* name) {
  return operate(host, name, taskhost::Operation::stop);
}
int32_t taskhost_start_task(taskhost_host* host, const char* name) {
  return operate(host, name, taskhost::Operation::start);
}
int32_t taskhost_restart_task(taskhost_host* host, const char* name) {
  return operate(host, name, taskhost::Operation::restart);
}

int32_t taskhost_state(const taskhost_host* host) {
  return host != nullptr ? host->host.state() : TASKHOST_STATE_CREATED;
}

int32_t taskhost_status(const taskhost_host* host) {
  if (host == nullptr || host->host.state() != TASKHOST_STATE_STOPPED) return TASKHOST_RESULT_WRONG_STATE;
  return host->host.status();
}

int32_t taskhost_left_behind(const taskhost_host* host) {
  return host != nullptr && host->host.state() == TASKHOST_STATE_STOPPED && host->host.left_behind() ? 1 : 0;
}

int32_t taskhost_inspect(taskhost_host* host, const char* path, int32_t format, const char** text) {
  return guarded(host, [&]() -> HostError {
    if (path == nullptr || text == nullptr) return bad_argument("path or text is NULL");
    *text = "";
    const auto loading = host->host.load_library(path);
    if (loading.library == nullptr) {
      return {TASKHOST_RESULT_BAD_PLUGIN,
              taskhost::Fault{.file = path, .where = {}, .message = loading.problem, .line = 0}.text()};
    }
    host->text = format == TASKHOST_LOG_FORMAT_JSON ? taskhost::inspection_json(*loading.library)
                                                    : taskhost::inspection_text(*loading.library);
    *text = host->text.c_str();
    return {};
  });
}

int32_t taskhost_explain(taskhost_host* host, int32_t format, const char** text) {
  return guarded(host, [&]() -> HostError {
    if (text == nullptr) return bad_argument("text is NULL");
    *text = "";
    HostError error = host->host.explain(format == TASKHOST_LOG_FORMAT_JSON, host->text);
    if (error.code == TASKHOST_RESULT_OK) *text = host->text.c_str();
    return error;
  });
}

void taskhost_log_line(taskhost_host* host, int32_t level, const char* text) {
  if (host == nullptr || host->host.is_elsewhere() || text == nullptr) return;
  if (level < TASKHOST_LOG_TRACE || level > TASKHOST_LOG_ERROR) return;
  host->host.log().write(taskhost::LogLevel{level}, nullptr, text);
}

void taskhost_destroy(taskhost_host* host) {
  if (host == nullptr) return;
  try {
    if (!host->host.is_elsewhere()) {
      if (host->host.running()) {
        host->host.request_stop();
        host->host.wait();
      }
      if (!host->host.must_stay()) {
        delete host;
        return;
      }
      host->host.release_signals();
      host->host.log().flush();
      host->host.log().close();
    }
    // Kept whole for those who still use it: a callback that has not returned, or the parent of this child.
    taskhost::Supervisor::leak(std::shared_ptr<void>(host, [](void*) {}));
  } catch (...) {
    // Out of memory or threads at the very end: the rest goes with the process.
  }
}

}  // extern "C"
