// A host for the workloads: created, filled and run through the C interface. Failures are exceptions with its message.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "bench.hpp"
#include "taskhost/taskhost.h"

namespace bench {

// A stem and a number.
struct Names {
  explicit Names(std::uint64_t count, const std::string& stem = "t") {
    std::vector<std::size_t> places;
    for (std::uint64_t i = 0; i < count; ++i) {
      places.push_back(text.size());
      (text += stem) += std::to_string(i);
      text += '\0';
    }
    for (const std::size_t place : places) pointers.push_back(text.data() + place);
  }
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;

  std::string text;
  std::vector<const char*> pointers;
};

class Host {
 public:
  Host(const Plugin& plugin, unsigned shards, bench_setting settings = without_limits, const char* control = nullptr) {
    plugin.reset(settings);
    taskhost_options options{};
    options.struct_size = sizeof options;
    options.shards = shards;
    options.name = "bench";
    options.control = control;
    options.log_level_plus_one = TASKHOST_LOG_INFO + 1;
    options.log = [](void*, int32_t, const char*, size_t) {};  // written, and discarded
    require(taskhost_create(&options, &host_));
  }
  ~Host() { taskhost_destroy(host_); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Detachable tasks.
  void add(const taskhost_factory& factory, const Names& names, std::uint32_t restarts) {
    taskhost_task_options task{};
    task.struct_size = sizeof task;
    task.type = TASKHOST_DETACHABLE;
    task.factory = &factory;
    task.restarts = restarts;
    require(taskhost_add_tasks(host_, &task, names.pointers.data(), names.pointers.size()));
  }
  void add(const taskhost_factory& factory, std::uint64_t count, std::uint32_t restarts, const char* stem = "t") {
    add(factory, Names(count, stem), restarts);
  }
  // Like a program that stores the event stream.
  void listen() {
    require(taskhost_on_event(
        host_, [](void*, const taskhost_event*) {}, nullptr));
  }
  void add(const taskhost_task_options& task) { require(taskhost_add_task(host_, &task)); }
  void start() { require(taskhost_start(host_)); }
  void stop() { taskhost_request_stop(host_); }
  // If all tasks are made to fail, so does the host.
  void wait() {
    const int32_t result = taskhost_wait(host_);
    if (result != TASKHOST_RESULT_TASK_FAILED) require(result);
  }

 private:
  void require(int32_t result) {
    if (result != TASKHOST_RESULT_OK) throw std::runtime_error(taskhost_error(host_));
  }
  taskhost_host* host_ = nullptr;
};

inline std::string host_name(unsigned shards) {
  return shards <= 1 ? "taskhost" : "taskhost-" + std::to_string(shards);
}

}  // namespace bench
