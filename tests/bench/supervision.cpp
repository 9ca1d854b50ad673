// What dependencies and groups cost at scale: the stop of a fleet whose tasks all come after one, for two sizes, and
// the restart of a large group as one.
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "host.hpp"

namespace bench {

namespace {

constexpr std::uint64_t small_fleet = 10'000;
constexpr std::uint64_t large_fleet = 100'000;

taskhost_task_options idle_task(const Plugin& plugin, const std::string& name) {
  taskhost_task_options task{};
  task.struct_size = sizeof task;
  task.type = TASKHOST_DETACHABLE;
  task.name = name.c_str();
  task.factory = &plugin.factory("idle");
  return task;
}

// Seconds that the stop takes.
double stop_fleet(const Plugin& plugin, unsigned shards, std::uint64_t tasks) {
  Host host(plugin, shards);
  host.add(idle_task(plugin, "base"));
  const char* const base = "base";
  for (std::uint64_t i = 0; i < tasks; ++i) {
    const std::string name = "t" + std::to_string(i);
    taskhost_task_options task = idle_task(plugin, name);
    task.after = &base;
    task.after_count = 1;
    host.add(task);
  }
  host.start();
  while (plugin.polls() < tasks + 1) ::usleep(200);
  const double begin = now();
  host.stop();
  host.wait();
  return now() - begin;
}

// Seconds from a failure of one member until all run again.
double restart_group(const Plugin& plugin, unsigned shards, std::uint64_t tasks) {
  Host host(plugin, shards);
  for (std::uint64_t i = 0; i < tasks; ++i) {
    const std::string name = "t" + std::to_string(i);
    taskhost_task_options task = idle_task(plugin, name);
    task.group = "all";
    task.strategy = TASKHOST_ONE_FOR_ALL;
    // The last one fails a millisecond after its start, and after its second start no more than that counts.
    if (i + 1 == tasks) task.factory = &plugin.factory("later");
    task.restarts = i + 1 == tasks ? 1 : 0;
    host.add(task);
  }
  host.start();
  while (plugin.starts() < tasks) ::usleep(20);
  const double begin = now() + .001;
  while (plugin.starts() < 2 * tasks) ::usleep(20);
  const double seconds = now() - begin;
  host.stop();
  host.wait();
  return seconds;
}

}  // namespace

void run_supervision(const Plugin& plugin, unsigned shards) {
  const double small = stop_fleet(plugin, shards, small_fleet);
  const double large = stop_fleet(plugin, shards, large_fleet);
  nlohmann::ordered_json line;
  line["peer"] = host_name(shards);
  line["workload"] = "supervision";
  line["stop_10k_s"] = small;
  line["stop_100k_s"] = large;
  line["stop_ratio"] = std::round(large / small * 10) / 10;
  line["group_1k_s"] = restart_group(plugin, shards, 1'000);
  line["group_10k_s"] = restart_group(plugin, shards, 10'000);
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace bench
