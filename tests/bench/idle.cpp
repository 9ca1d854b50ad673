// The cost of a host that has nothing to do: CPU time and context switches of all its threads, with a million idle
// tasks and with one.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host.hpp"

namespace bench {

namespace {

double clock_seconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// For all threads but this one, which only measures.
struct Usage {
  double cpu = 0;
  std::uint64_t voluntary = 0;  // each means that it was woken and went to sleep again
  std::uint64_t involuntary = 0;
};

Usage usage() {
  Usage sum;
  const double own_cpu = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
  sum.cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - own_cpu;
  const std::string own = std::to_string(::syscall(SYS_gettid));
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    if (thread.path().filename() == own) continue;
    std::ifstream status(thread.path() / "status");
    for (std::string line; std::getline(status, line);) {
      const auto value = [&line] { return std::stoull(line.substr(line.find(':') + 1)); };
      if (line.starts_with("voluntary_ctxt_switches:")) sum.voluntary += value();
      if (line.starts_with("nonvoluntary_ctxt_switches:")) sum.involuntary += value();
    }
  }
  return sum;
}

Usage idle(const Plugin& plugin, unsigned shards, std::uint64_t tasks) {
  Host host(plugin, shards);
  host.add(plugin.factory("idle"), tasks, 3);
  host.start();
  while (plugin.polls() < tasks) ::usleep(1000);
  // First the log has to report these starts, which it sums up every two seconds.
  ::usleep(static_cast<unsigned>(parameter("IDLE_SETTLE_MS", 3000) * 1000));
  const Usage begin = usage();
  ::sleep(static_cast<unsigned>(parameter("IDLE_SECS", 3)));
  const Usage end = usage();
  host.stop();
  host.wait();
  return {std::max(0.0, end.cpu - begin.cpu), end.voluntary - begin.voluntary, end.involuntary - begin.involuntary};
}

}  // namespace

void run_idle(const Plugin& plugin, unsigned shards) {
  const std::uint64_t tasks = parameter("W2_N", 1'000'000);
  const Usage fleet = idle(plugin, shards, tasks);
  const Usage one = idle(plugin, shards, 1);
  nlohmann::ordered_json line;
  line["peer"] = host_name(shards);
  line["workload"] = "idle";
  line["n"] = tasks;
  line["secs"] = parameter("IDLE_SECS", 3);
  line["cpu_us"] = std::round(fleet.cpu * 1e6);
  line["switches"] = fleet.voluntary;
  line["involuntary"] = fleet.involuntary;
  line["one_cpu_us"] = std::round(one.cpu * 1e6);
  line["one_switches"] = one.voluntary;
  line["one_involuntary"] = one.involuntary;
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace bench
