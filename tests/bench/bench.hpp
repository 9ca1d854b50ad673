// What the workloads share: clocks, memory, parameters from the environment, the plugin, and one JSON line a result.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench_plugin.h"
#include "taskhost/plugin.h"

namespace bench {

double now();            // seconds, monotonic
std::uint64_t now_ns();  // the same in nanoseconds
double cpu();            // seconds, user and system
double resident_bytes();
std::uint64_t parameter(const char* name, std::uint64_t otherwise);  // from the environment

// The plugin, loaded from its file.
class Plugin {
 public:
  Plugin();
  const taskhost_factory& factory(std::string_view name) const;
  std::uint64_t starts() const;
  std::uint64_t polls() const;
  std::uint64_t late_percentile(double part) const;  // microseconds
  void reset(std::uint64_t yields) const;

  bench_row* rows;
  std::uint32_t* late;
  bench_setting* setting;

 private:
  const taskhost_factory* first_;
};

// The keys are those that the benchmarks of other supervisors print, so that all fit one table.
void print_w1(const std::string& who, std::uint64_t restarts, double seconds, double cpu);
void print_w2(const std::string& who, std::uint64_t tasks, double start, double bytes_per_task, double stop,
              double cpu);
void print_w3(const std::string& who, std::uint64_t tasks, std::uint64_t ticks, double seconds, double cpu,
              std::uint64_t late_p50, std::uint64_t late_p99);
void print_w4(const std::string& who, std::uint64_t wakes, double seconds, double cpu);
void print_w5(const std::string& who, std::uint64_t tasks, std::uint64_t budget, std::uint64_t starts, double seconds,
              double cpu);

// The workloads: through libtaskhost, and on the floor. False: there is none of that name.
bool run_host(const Plugin& plugin, std::string_view workload, unsigned shards);
bool run_floor(const Plugin& plugin, std::string_view workload);

}  // namespace bench
