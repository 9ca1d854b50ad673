// The workloads through libtaskhost: real supervision, the C interface, nobody listening to events.
#include <unistd.h>

#include <array>
#include <charconv>
#include <stdexcept>

#include "bench.hpp"
#include "taskhost/taskhost.h"

namespace bench {

namespace {

class Host {
 public:
  Host(const Plugin& plugin, unsigned shards, std::uint64_t yields = 0) {
    plugin.reset(yields);
    taskhost_options options{};
    options.struct_size = sizeof options;
    options.shards = shards;
    options.log_level_plus_one = TASKHOST_LOG_INFO + 1;
    options.log = [](void*, int32_t, const char*, size_t) {};  // written, and thrown away
    require(taskhost_create(&options, &host_));
  }
  ~Host() { taskhost_destroy(host_); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void add(const taskhost_factory& factory, std::uint64_t count, std::uint32_t restarts) {
    for (std::uint64_t i = 0; i < count; ++i) {
      std::array<char, 24> name{'t'};
      *std::to_chars(name.data() + 1, name.data() + name.size() - 1, i).ptr = '\0';
      taskhost_task_options task{};
      task.struct_size = sizeof task;
      task.type = TASKHOST_DETACHABLE;
      task.name = name.data();
      task.factory = &factory;
      task.restarts = restarts;
      require(taskhost_add_task(host_, &task));
    }
  }
  void start() { require(taskhost_start(host_)); }
  void stop() { taskhost_request_stop(host_); }
  void wait() { require(taskhost_wait(host_)); }

 private:
  void require(int32_t result) {
    if (result != TASKHOST_RESULT_OK) throw std::runtime_error(taskhost_error(host_));
  }
  taskhost_host* host_ = nullptr;
};

std::string name_of(unsigned shards) { return shards == 1 ? "taskhost" : "taskhost-" + std::to_string(shards); }

void w1(const Plugin& plugin, unsigned shards) {
  const std::uint64_t restarts = parameter("W1_R", 1'000'000) * 20;  // too fast to time a million well
  Host host(plugin, shards);
  // A task a shard, each with its part of the storm.
  host.add(plugin.factory("fail"), shards, static_cast<std::uint32_t>(restarts / shards));
  const double begin = now();
  const double cpu_begin = cpu();
  host.start();
  host.wait();
  print_w1(name_of(shards), plugin.starts() - shards, now() - begin, cpu() - cpu_begin);
}

void w2(const Plugin& plugin, unsigned shards) {
  const std::uint64_t tasks = parameter("W2_N", 1'000'000);
  Host host(plugin, shards);
  const double resident = resident_bytes();
  const double cpu_begin = cpu();
  const double begin = now();
  host.add(plugin.factory("idle"), tasks, 3);
  host.start();
  while (plugin.polls() < tasks) ::usleep(200);
  const double started = now();
  const double bytes = (resident_bytes() - resident) / static_cast<double>(tasks);
  const double stop_begin = now();
  host.stop();
  host.wait();
  print_w2(name_of(shards), tasks, started - begin, bytes, now() - stop_begin, cpu() - cpu_begin);
}

void w3(const Plugin& plugin, unsigned shards) {
  const std::uint64_t tasks = parameter("W3_N", 10'000);
  Host host(plugin, shards);
  host.add(plugin.factory("tick"), tasks, 3);
  const double begin = now();
  const double cpu_begin = cpu();
  host.start();
  ::sleep(static_cast<unsigned>(parameter("W3_SECS", 5)));
  const double seconds = now() - begin;
  const double used = cpu() - cpu_begin;
  const std::uint64_t ticks = plugin.polls();
  host.stop();
  host.wait();
  print_w3(name_of(shards), tasks, ticks, seconds, used, plugin.late_percentile(.5), plugin.late_percentile(.99));
}

void w4(const Plugin& plugin, unsigned shards) {
  const std::uint64_t tasks = parameter("W4_N", 1'000);
  const std::uint64_t yields = parameter("W4_Y", 1'000) * parameter("W4_TIMES", 10);
  Host host(plugin, shards, yields);
  host.add(plugin.factory("yield"), tasks, 0);
  const double begin = now();
  const double cpu_begin = cpu();
  host.start();
  host.wait();
  print_w4(name_of(shards), tasks * yields, now() - begin, cpu() - cpu_begin);
}

void w5(const Plugin& plugin, unsigned shards) {
  const std::uint64_t tasks = parameter("W5_N", 10'000);
  const std::uint64_t budget = parameter("W5_B", 10);
  Host host(plugin, shards);
  const double begin = now();
  const double cpu_begin = cpu();
  host.add(plugin.factory("later"), tasks, static_cast<std::uint32_t>(budget));
  host.start();
  host.wait();
  print_w5(name_of(shards), tasks, budget, plugin.starts(), now() - begin, cpu() - cpu_begin);
}

}  // namespace

bool run_host(const Plugin& plugin, std::string_view workload, unsigned shards) {
  if (workload == "w1") return w1(plugin, shards), true;
  if (workload == "w2") return w2(plugin, shards), true;
  if (workload == "w3") return w3(plugin, shards), true;
  if (workload == "w4") return w4(plugin, shards), true;
  if (workload == "w5") return w5(plugin, shards), true;
  return false;
}

}  // namespace bench
