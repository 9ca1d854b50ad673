// The cost of optional fields, and dependencies and groups at scale: restarts with and without fields, the stop of many
// tasks that all come after one, for two sizes, and the restart of a large group.
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

// The stop's duration in seconds.
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

// Seconds from one member's failure until all run again.
double restart_group(const Plugin& plugin, unsigned shards, std::uint64_t tasks) {
  Host host(plugin, shards);
  for (std::uint64_t i = 0; i < tasks; ++i) {
    const std::string name = "t" + std::to_string(i);
    taskhost_task_options task = idle_task(plugin, name);
    task.group = "all";
    task.strategy = TASKHOST_ONE_FOR_ALL;
    // The last one fails a millisecond after its start; what follows its second start does not count.
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

struct Restarts {
  double a_second = 0;
  double cpu = 0;  // seconds per million
};

// This many tasks fail repeatedly: a millisecond after each start (`later`) without optional fields, or at once
// (`fail`) with a backoff and others.
Restarts restart(const Plugin& plugin, unsigned shards, std::uint64_t backoff, bool listen = false) {
  const std::uint64_t tasks = parameter("FIELDS_N", 2'000);
  const auto budget = static_cast<std::uint32_t>(parameter("FIELDS_R", listen ? 100 : 1'000));
  Host host(plugin, shards);
  if (listen) host.listen();
  taskhost_exit_rule rule{};
  rule.struct_size = sizeof rule;
  rule.outcomes = TASKHOST_ON_PANIC;
  rule.message = "never";
  rule.action = TASKHOST_EXIT_GIVE_UP;
  for (std::uint64_t i = 0; i < tasks; ++i) {
    const std::string name = "t" + std::to_string(i);
    taskhost_task_options task = idle_task(plugin, name);
    task.factory = &plugin.factory(backoff != 0 ? "fail" : "later");
    task.restarts = budget;
    if (backoff != 0) {
      task.backoff_initial = backoff;
      task.backoff_factor = 1000;
      task.window = 3600 * TASKHOST_SECOND;
      task.reset_after = 3600 * TASKHOST_SECOND;
      task.exit_rules = &rule;
      task.exit_rule_count = 1;
    }
    host.add(task);
  }
  const double begin = now();
  const double cpu_begin = cpu();
  host.start();
  host.wait();
  const auto restarts = static_cast<double>(plugin.starts() - tasks);
  return {restarts / (now() - begin), (cpu() - cpu_begin) / restarts * 1e6};
}

}  // namespace

void run_supervision(const Plugin& plugin, unsigned shards) {
  const double small = stop_fleet(plugin, shards, small_fleet);
  const double large = stop_fleet(plugin, shards, large_fleet);
  constexpr std::uint64_t millisecond = TASKHOST_MILLISECOND;
  const Restarts told_plain = restart(plugin, 1, 0, true);
  const Restarts told_fields = restart(plugin, 1, millisecond, true);
  const Restarts plain = restart(plugin, 1, 0);
  const Restarts fields = restart(plugin, 1, millisecond);
  const Restarts one = restart(plugin, 1, TASKHOST_MICROSECOND);
  const Restarts two = restart(plugin, 2, TASKHOST_MICROSECOND);
  nlohmann::ordered_json line;
  line["peer"] = host_name(shards);
  line["workload"] = "supervision";
  line["plain_cpu_s_per_m"] = plain.cpu;
  line["fields_cpu_s_per_m"] = fields.cpu;
  line["fields_told_ratio"] = std::round(told_fields.cpu / told_plain.cpu * 100) / 100;
  line["fields_per_s"] = one.a_second;
  line["fields_two_shards"] = std::round(two.a_second / one.a_second * 100) / 100;
  line["stop_10k_s"] = small;
  line["stop_100k_s"] = large;
  line["stop_ratio"] = std::round(large / small * 10) / 10;
  line["group_1k_s"] = restart_group(plugin, shards, 1'000);
  line["group_10k_s"] = restart_group(plugin, shards, 10'000);
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace bench
