#include "bench.hpp"

#include <dlfcn.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace bench {

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

double now() { return static_cast<double>(now_ns()) * 1e-9; }

double cpu() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t parameter(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : otherwise;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double percentile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  const auto place = static_cast<std::size_t>(static_cast<double>(values.size()) * part);
  return values[std::min(place, values.size() - 1)];
}

Plugin::Plugin() {
  void* library = ::dlopen(TASKHOST_BENCH_PLUGIN_PATH, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  rows = static_cast<bench_row*>(::dlsym(library, "bench_rows"));
  threads = static_cast<std::uint32_t*>(::dlsym(library, "bench_threads"));
  late = static_cast<std::uint32_t*>(::dlsym(library, "bench_late"));
  setting = static_cast<bench_setting*>(::dlsym(library, "bench_settings"));
  listeners = static_cast<bench_listener*>(::dlsym(library, "bench_listeners"));
  listening = static_cast<std::uint32_t*>(::dlsym(library, "bench_listening"));
  wake = static_cast<void (**)(std::uint64_t)>(::dlsym(library, "bench_wake"));
  void* entry = ::dlsym(library, TASKHOST_ENTRY_NAME);
  if (rows == nullptr || threads == nullptr || late == nullptr || setting == nullptr || listeners == nullptr ||
      listening == nullptr || wake == nullptr || entry == nullptr) {
    throw std::runtime_error("the benchmark's plugin lacks a symbol");
  }
  const taskhost_factory* (*function)() = nullptr;
  std::memcpy(&function, &entry, sizeof entry);
  first_ = function();
}

const taskhost_factory& Plugin::factory(std::string_view name) const {
  for (const taskhost_factory* factory = first_; factory != nullptr; factory = factory->next) {
    if (name == factory->name) return *factory;
  }
  throw std::runtime_error("the benchmark's plugin has no factory " + std::string(name));
}

std::uint64_t Plugin::starts() const { return sum(&bench_row::starts); }
std::uint64_t Plugin::polls() const { return sum(&bench_row::polls); }

std::uint64_t Plugin::sum(std::uint64_t bench_row::*column) const {
  const unsigned used = std::min<unsigned>(__atomic_load_n(threads, __ATOMIC_RELAXED), BENCH_ROWS);
  std::uint64_t all = 0;
  for (unsigned i = 0; i < used; ++i) all += __atomic_load_n(&(rows[i].*column), __ATOMIC_RELAXED);
  return all;
}

std::uint64_t Plugin::late_percentile(double part) const {
  std::uint64_t all = 0;
  for (unsigned i = 0; i < BENCH_LATE_BUCKETS; ++i) all += late[i];
  std::uint64_t seen = 0;
  for (unsigned i = 0; i < BENCH_LATE_BUCKETS; ++i) {
    if ((seen += late[i]) > static_cast<std::uint64_t>(static_cast<double>(all) * part)) return i;
  }
  return 0;
}

void Plugin::reset(bench_setting settings) const {
  std::fill_n(rows, BENCH_ROWS, bench_row{});
  std::fill_n(late, BENCH_LATE_BUCKETS, 0u);
  std::fill_n(listeners, BENCH_LISTENERS, bench_listener{});
  *listening = 0;
  *setting = settings;
}

void Plugin::reset_late() const {
  for (unsigned i = 0; i < BENCH_LATE_BUCKETS; ++i) __atomic_store_n(&late[i], 0, __ATOMIC_RELAXED);
}

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

void print_w1(const std::string& who, std::uint64_t restarts, double seconds, double cpu) {
  std::printf("{\"peer\":\"%s\",\"workload\":\"w1\",\"restarts\":%lu,\"secs\":%.6f,\"per_s\":%.0f,\"cpu_s\":%.3f}\n",
              who.c_str(), restarts, seconds, static_cast<double>(restarts) / seconds, cpu);
}

void print_w2(const std::string& who, std::uint64_t tasks, double start, double bytes_per_task, double stop, double cpu,
              double add) {
  const auto count = static_cast<double>(tasks);
  const std::string extra = add < 0 ? "" : ",\"add_s\":" + std::to_string(add);
  std::printf(
      "{\"peer\":\"%s\",\"workload\":\"w2\",\"n\":%lu,\"start_s\":%.6f,\"start_per_s\":%.0f,\"rss_per_task\":%.1f,"
      "\"stop_s\":%.6f,\"stop_per_s\":%.0f,\"cpu_s\":%.3f%s}\n",
      who.c_str(), tasks, start, count / start, bytes_per_task, stop, count / stop, cpu, extra.c_str());
}

void print_w3(const std::string& who, std::uint64_t tasks, std::uint64_t ticks, double seconds, double cpu,
              std::uint64_t late_p50, std::uint64_t late_p99) {
  const auto count = static_cast<double>(ticks);
  std::printf(
      "{\"peer\":\"%s\",\"workload\":\"w3\",\"tasks\":%lu,\"secs\":%.3f,\"ticks\":%lu,\"per_s\":%.0f,\"cpu_s\":%.3f,"
      "\"cpu_s_per_mtick\":%.4f,\"late_p50_us\":%lu,\"late_p99_us\":%lu}\n",
      who.c_str(), tasks, seconds, ticks, count / seconds, cpu, cpu / (count / 1e6), late_p50, late_p99);
}

void print_w4(const std::string& who, std::uint64_t wakes, double seconds, double cpu) {
  std::printf("{\"peer\":\"%s\",\"workload\":\"w4\",\"wakes\":%lu,\"secs\":%.6f,\"per_s\":%.0f,\"cpu_s\":%.3f}\n",
              who.c_str(), wakes, seconds, static_cast<double>(wakes) / seconds, cpu);
}

void print_w5(const std::string& who, std::uint64_t tasks, std::uint64_t budget, std::uint64_t starts, double seconds,
              double cpu) {
  const std::uint64_t restarts = starts - tasks;
  std::printf(
      "{\"peer\":\"%s\",\"workload\":\"w5\",\"n\":%lu,\"restarts\":%lu,\"starts\":%lu,\"exact\":%s,\"secs\":%.6f,"
      "\"per_s\":%.0f,\"cpu_s\":%.3f}\n",
      who.c_str(), tasks, restarts, starts, restarts == tasks * budget ? "true" : "false", seconds,
      static_cast<double>(restarts) / seconds, cpu);
}

}  // namespace bench
