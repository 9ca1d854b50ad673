// The workloads through libtaskhost: real supervision, the C interface, nobody listens to events.
#include "host.hpp"

#include <unistd.h>

namespace bench {

namespace {

void w1(const Plugin& plugin, unsigned shards) {
  const std::uint64_t restarts = parameter("W1_R", 1'000'000) * parameter("W1_TIMES", 20);
  Host host(plugin, shards);
  // One task per shard, each with its part of the storm.
  host.add(plugin.factory("fail"), shards, static_cast<std::uint32_t>(restarts / shards));
  const double begin = now();
  const double cpu_begin = cpu();
  host.start();
  host.wait();
  print_w1(host_name(shards), plugin.starts() - shards, now() - begin, cpu() - cpu_begin);
}

void w2(const Plugin& plugin, unsigned shards) {
  const std::uint64_t tasks = parameter("W2_N", 1'000'000);
  Host host(plugin, shards);
  const Names names(tasks);  // in a program that embeds the host, they exist already
  const double resident = resident_bytes();
  const double cpu_begin = cpu();
  const double begin = now();
  host.add(plugin.factory("idle"), names, 3);
  const double added = now();
  host.start();
  while (plugin.polls() < tasks) ::usleep(200);
  const double started = now();
  const double bytes = (resident_bytes() - resident) / static_cast<double>(tasks);
  const double stop_begin = now();
  host.stop();
  host.wait();
  print_w2(host_name(shards), tasks, started - begin, bytes, now() - stop_begin, cpu() - cpu_begin, added - begin);
}

void w3(const Plugin& plugin, unsigned shards) {
  const std::uint64_t tasks = parameter("W3_N", 10'000);
  const std::uint64_t limit = parameter("W3_TICKS", 0);  // per task; for counts that do not depend on time
  Host host(plugin, shards, {0, limit != 0 ? limit : UINT64_MAX, 0});
  host.add(plugin.factory("tick"), tasks, 3);
  const double begin = now();
  const double cpu_begin = cpu();
  host.start();
  if (limit != 0) {
    host.wait();
  } else {
    ::sleep(static_cast<unsigned>(parameter("W3_SECS", 5)));
  }
  const double seconds = now() - begin;
  const double used = cpu() - cpu_begin;
  const std::uint64_t ticks = plugin.polls();
  if (limit == 0) {
    host.stop();
    host.wait();
  }
  print_w3(host_name(shards), tasks, ticks, seconds, used, plugin.late_percentile(.5), plugin.late_percentile(.99));
}

void w4(const Plugin& plugin, unsigned shards) {
  const std::uint64_t tasks = parameter("W4_N", 1'000);
  const std::uint64_t yields = parameter("W4_Y", 1'000) * parameter("W4_TIMES", 10);
  Host host(plugin, shards, {yields, UINT64_MAX, 0});
  host.add(plugin.factory("yield"), tasks, 0);
  const double begin = now();
  const double cpu_begin = cpu();
  host.start();
  host.wait();
  print_w4(host_name(shards), tasks * yields, now() - begin, cpu() - cpu_begin);
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
  print_w5(host_name(shards), tasks, budget, plugin.starts(), now() - begin, cpu() - cpu_begin);
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
