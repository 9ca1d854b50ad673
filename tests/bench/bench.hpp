// Shared by the workloads: clocks, memory, parameters from the environment, the plugin, and one JSON line per result.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench_plugin.h"
#include "taskhost/plugin.h"

namespace bench {

double now();            // seconds, monotonic
std::uint64_t now_ns();  // the same in nanoseconds
double cpu();            // seconds, user and system
inline double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }
double resident_bytes();
std::uint64_t parameter(const char* name, std::uint64_t otherwise);  // from the environment

std::string compiler();  // this program's

// Statistics of numbers in any order: the median, or the number below which that part of them lies. There must be some.
double median(std::vector<double> values);
double percentile(std::vector<double> values, double part);

constexpr bench_setting without_limits{0, UINT64_MAX, 0};

// The plugin, loaded from its file.
class Plugin {
 public:
  Plugin();
  const taskhost_factory& factory(std::string_view name) const;
  std::uint64_t starts() const;
  std::uint64_t polls() const;
  std::uint64_t late_percentile(double part) const;  // microseconds
  void reset(bench_setting settings = without_limits) const;
  void reset_late() const;  // also while tasks run

  bench_row* rows;
  std::uint32_t* threads;
  std::uint32_t* late;
  bench_setting* setting;
  bench_listener* listeners;
  std::uint32_t* listening;
  void (**wake)(std::uint64_t);

 private:
  std::uint64_t sum(std::uint64_t bench_row::*column) const;

  const taskhost_factory* first_;
};

// The keys are those of other supervisors' benchmarks, so that all fit into one table. `add` is the part of w2's start
// in which the tasks are added; negative if there is no such part.
void print_w1(const std::string& who, std::uint64_t restarts, double seconds, double cpu);
void print_w2(const std::string& who, std::uint64_t tasks, double start, double bytes_per_task, double stop, double cpu,
              double add = -1);
void print_w3(const std::string& who, std::uint64_t tasks, std::uint64_t ticks, double seconds, double cpu,
              std::uint64_t late_p50, std::uint64_t late_p99);
void print_w4(const std::string& who, std::uint64_t wakes, double seconds, double cpu);
void print_w5(const std::string& who, std::uint64_t tasks, std::uint64_t budget, std::uint64_t starts, double seconds,
              double cpu);

// The workloads: through libtaskhost, on the floor, and on bare Asio. False if there is none with that name.
bool run_host(const Plugin& plugin, std::string_view workload, unsigned shards);
bool run_floor(const Plugin& plugin, std::string_view workload);
bool run_asio(const Plugin& plugin, std::string_view workload);

// Workloads that only a host has. With the program: 0 shards means its default.
void run_wake(const Plugin& plugin, unsigned shards);
void run_idle(const Plugin& plugin, unsigned shards);
void run_start(unsigned shards);
void run_events(unsigned shards);
void run_supervision(const Plugin& plugin, unsigned shards);
void run_polled(const Plugin& plugin, unsigned shards);
void run_control();
void run_isolated();
// The cost of a language: "c", "cpp", "rust", "go".
void run_language(const std::string& language);

// Clients of a control socket, until SIGTERM; prints a line about what they got.
int run_pollers(const std::string& socket, const std::string& path, unsigned count);
// One request on a connection of its own, without looking at more than the status.
struct Answer {
  double ms;
  std::uint64_t bytes;
};
Answer ask_once(const std::string& socket, const std::string& path);

// Formats result lines for people.
struct Table {
  std::string text;
  bool failed = false;  // whether some run failed
};
Table make_table(const std::string& results_file);

// Programs around the workloads. Each returns an exit status; keep_table puts the table into a page, between two marks.
int record(const std::vector<std::string>& words);
int keep_table(const std::string& results_file, const std::string& page_file);
int check_instructions(const std::string& recorded_file, bool record);

}  // namespace bench
