// The cost of a language: the same two tasks in each, through the host. How often a task can yield and be woken again,
// and how much memory a waiting execution takes.
#include <dlfcn.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench.hpp"
#include "taskhost/taskhost.h"

namespace bench {

namespace {

const taskhost_factory& find_factory(void* library, std::string_view name) {
  void* const entry = ::dlsym(library, TASKHOST_ENTRY_NAME);
  if (entry == nullptr) throw std::runtime_error("the language's plugin has no entry");
  const taskhost_factory* (*function)() = nullptr;
  std::memcpy(&function, &entry, sizeof entry);
  for (const taskhost_factory* factory = function(); factory != nullptr; factory = factory->next) {
    if (name == factory->name) return *factory;
  }
  throw std::runtime_error("the language's plugin has no factory " + std::string(name));
}

class LanguageHost {
 public:
  LanguageHost() {
    taskhost_options options{};
    options.struct_size = sizeof options;
    options.shards = 1;
    options.log_level_plus_one = TASKHOST_LOG_WARNING + 1;
    require(taskhost_create(&options, &host_));
  }
  ~LanguageHost() { taskhost_destroy(host_); }
  LanguageHost(const LanguageHost&) = delete;
  LanguageHost& operator=(const LanguageHost&) = delete;

  void add(const taskhost_factory& factory, std::uint64_t count, const std::string& config) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string name = "t" + std::to_string(i);
      taskhost_task_options task{};
      task.struct_size = sizeof task;
      // A sleeper that ends stops the host with failure; the log shows a yielder that fails.
      task.type = config.empty() ? TASKHOST_MANDATORY : TASKHOST_DETACHABLE;
      task.name = name.c_str();
      task.factory = &factory;
      task.config = config.empty() ? nullptr : config.c_str();
      require(taskhost_add_task(host_, &task));
    }
  }
  void start() { require(taskhost_start(host_)); }
  void stop() { taskhost_request_stop(host_); }
  void wait() { require(taskhost_wait(host_)); }

 private:
  void require(int32_t result) {
    if (result != TASKHOST_RESULT_OK) {
      throw std::runtime_error("result " + std::to_string(result) + " " + taskhost_error(host_));
    }
  }
  taskhost_host* host_ = nullptr;
};

// Waits until the process is idle: then every execution waits.
void settle() {
  for (double before = cpu();;) {
    ::usleep(300'000);
    const double after = cpu();
    if (after - before < .003) return;
    before = after;
  }
}

std::size_t thread_count() {
  const auto threads = std::filesystem::directory_iterator("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

}  // namespace

void run_language(const std::string& language) {
  const std::string path = TASKHOST_BENCH_LANGUAGE_DIRECTORY "/bench_" + language + ".so";
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  const std::uint64_t tasks = parameter("LANGUAGE_N", 1'000);
  const std::uint64_t turns = parameter("LANGUAGE_TURNS", 1'000);
  const std::uint64_t sleepers = parameter("LANGUAGE_SLEEPERS", 100'000);
  nlohmann::ordered_json line;
  line["peer"] = language;
  line["workload"] = "language";
  {
    LanguageHost host;
    host.add(find_factory(library, "yielder"), tasks, "{\"turns\":" + std::to_string(turns) + "}");
    const double begin = now();
    const double cpu_begin = cpu();
    host.start();
    host.wait();
    const double seconds = now() - begin;
    line["wakes"] = tasks * turns;
    line["secs"] = seconds;
    line["cpu_s"] = cpu() - cpu_begin;
    line["wakes_per_s"] = std::round(static_cast<double>(tasks * turns) / seconds);
  }
  {
    LanguageHost host;
    host.add(find_factory(library, "sleeper"), sleepers, {});
    const std::size_t threads = thread_count();
    const double resident = resident_bytes();
    host.start();
    settle();
    line["bytes"] = std::round((resident_bytes() - resident) / static_cast<double>(sleepers));
    line["threads"] = thread_count() - threads;
    const double begin = now();
    host.stop();
    host.wait();
    line["stop_s"] = now() - begin;
  }
  line["library_kib"] = std::filesystem::file_size(path) / 1024;
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace bench
