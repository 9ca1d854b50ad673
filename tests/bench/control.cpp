// What the control socket costs: the lateness of ticking tasks while a hundred clients poll it, the answers of a host
// with many tasks, and the program's start.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "host.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace bench {

namespace {

using namespace taskhost::test;
using Json = nlohmann::ordered_json;

// `taskhost run` with tasks that wait, until the object is destroyed.
class Program {
 public:
  Program(const TemporaryDirectory& folder, std::uint64_t tasks, const std::vector<std::string>& options = {})
      : process_(command(folder, tasks, options)) {
    std::string line;
    while (tasks != 0 && process_.read_line(line)) {
      if (line.find("\"event\":\"task_started\"") != std::string::npos) --tasks;
    }
    started_ms = 1e3 * seconds(process_.age());
    if (tasks != 0) throw std::runtime_error("not all tasks were started: " + process_.wait().summary());
  }
  ~Program() {
    process_.send(SIGTERM);
    for (std::string line; process_.read_line(line);) continue;
    (void)process_.wait();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  double started_ms = 0;  // until its last task was

 private:
  static Command command(const TemporaryDirectory& folder, std::uint64_t tasks,
                         const std::vector<std::string>& options) {
    nlohmann::json content{{"metrics_tasks", tasks}, {"tasks", nlohmann::json::array()}};
    for (std::uint64_t i = 0; i < tasks; ++i) {
      content["tasks"].push_back({{"name", "t" + std::to_string(i)},
                                  {"plugin", TASKHOST_BENCH_PLUGIN_PATH},
                                  {"task", "idle"},
                                  {"type", "detachable"},
                                  {"restarts", 3}});
    }
    Command command;
    command.program = TASKHOST_BENCH_PROGRAM;
    command.arguments = {"run", "--events", "-"};
    command.arguments.insert(command.arguments.end(), options.begin(), options.end());
    command.arguments.push_back(folder.write("manifest.json", content.dump()));
    command.out = Wiring::piped;
    return command;
  }

  Process process_;
};

// w3, and what its clients have got.
struct Ticks {
  double late_p50_us, late_p99_us, per_s;
  Json clients;
};
Ticks tick(const Plugin& plugin, unsigned shards, const std::string& own_socket, const std::string& polled_socket) {
  Host host(plugin, shards, without_limits, own_socket.c_str());
  host.add(plugin.factory("tick"), parameter("W3_N", 10'000), 3);
  host.start();
  std::optional<Process> clients;
  if (!polled_socket.empty()) {
    clients.emplace([&] {
      Command command;
      command.program = std::filesystem::read_symlink("/proc/self/exe");
      command.arguments = {"pollers", polled_socket, "/v1/tasks", std::to_string(parameter("POLLED_CLIENTS", 100))};
      return command;
    }());
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // all have connected
  }
  plugin.reset_late();
  const std::uint64_t polls = plugin.polls();
  const double begin = now();
  std::this_thread::sleep_for(std::chrono::seconds(parameter("POLLED_SECS", 2)));
  const double length = now() - begin;
  const auto per_s = static_cast<double>(plugin.polls() - polls) / length;
  Ticks ticks{static_cast<double>(plugin.late_percentile(.5)), static_cast<double>(plugin.late_percentile(.99)), per_s,
              nullptr};
  if (clients) {
    clients->send(SIGTERM);
    const ProcessEnd end = clients->wait();
    end.require();
    ticks.clients = Json::parse(end.out);
  }
  host.stop();
  host.wait();
  return ticks;
}

ProcessEnd operate(const std::vector<std::string>& arguments) {
  Command command;
  command.program = TASKHOST_BENCH_PROGRAM;
  command.arguments = arguments;
  ProcessEnd end = Process(command).wait();
  end.require();
  return end;
}
double timed_ms(const std::vector<std::string>& arguments) { return 1e3 * seconds(operate(arguments).lifetime); }

// Of a host at the usual place, which ps sees.
std::string socket_of(const std::string& name) {
  const Json all = Json::parse(operate({"ps", "--json"}).out);
  for (const Json& host : all.at("hosts")) {
    if (host.at("name") == name) return host.at("socket");
  }
  throw std::runtime_error("ps does not show " + name);
}

}  // namespace

void run_polled(const Plugin& plugin, unsigned shards) {
  const TemporaryDirectory folder;
  const TemporaryDirectory other_folder;
  const std::string own = folder / "own.sock";
  const std::string other = other_folder / "other.sock";
  const Program other_host(other_folder, parameter("W3_N", 10'000), {"--control", other});
  std::vector<double> alone, polled, elsewhere, ratio, host_ratio, rate, answers;
  for (std::uint64_t i = 0; i < std::max<std::uint64_t>(parameter("POLLED_ROUNDS", 5), 1); ++i) {
    const Ticks without = tick(plugin, shards, own, "");
    const Ticks with = tick(plugin, shards, own, own);
    const Ticks beside = tick(plugin, shards, own, other);
    alone.push_back(without.late_p99_us);
    polled.push_back(with.late_p99_us);
    elsewhere.push_back(beside.late_p99_us);
    ratio.push_back(with.late_p99_us / std::max(without.late_p99_us, 1.0));
    host_ratio.push_back(with.late_p99_us / std::max(beside.late_p99_us, 1.0));
    rate.push_back(with.per_s / without.per_s);
    answers.push_back(with.clients.at("answers_per_s"));
    std::fprintf(stderr, "alone %.0f us, polled %.0f us %s, another polled %.0f us %s\n", without.late_p99_us,
                 with.late_p99_us, with.clients.dump().c_str(), beside.late_p99_us, beside.clients.dump().c_str());
  }
  Json line;
  line["peer"] = host_name(shards);
  line["workload"] = "polled";
  line["clients"] = parameter("POLLED_CLIENTS", 100);
  line["alone_p99_us"] = median(alone);
  line["late_p99_us"] = median(polled);
  line["elsewhere_p99_us"] = median(elsewhere);
  line["late_ratio"] = median(ratio);
  line["late_host_ratio"] = median(host_ratio);
  line["ticks_ratio"] = median(rate);
  line["answers_per_s"] = median(answers);
  std::printf("%s\n", line.dump().c_str());
}

void run_control() {
  const TemporaryDirectory folder;
  const std::string name = "bench-" + std::to_string(::getpid());
  const std::uint64_t tasks = parameter("CONTROL_N", 10'000);
  const std::uint64_t reps = std::max<std::uint64_t>(parameter("CONTROL_REPS", 15), 3);
  std::vector<double> ps, status, json, metrics;
  std::uint64_t metrics_bytes = 0;
  std::uint64_t tasks_bytes = 0;
  {
    const Program program(folder, tasks, {"--name", name});
    const std::string socket = socket_of(name);
    for (std::uint64_t i = 0; i < reps; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(150));  // so that no answer is an earlier one
      ps.push_back(timed_ms({"ps"}));
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
      status.push_back(timed_ms({"status", "--host", socket}));
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
      const Answer all = ask_once(socket, "/v1/tasks");
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
      const Answer text = ask_once(socket, "/metrics");
      json.push_back(all.ms);
      metrics.push_back(text.ms);
      tasks_bytes = all.bytes;
      metrics_bytes = text.bytes;
    }
  }
  std::vector<double> extra;
  const std::uint64_t few = parameter("START_N", 1000);
  for (std::uint64_t i = 0; i <= reps; ++i) {
    double with = 0;
    double without = 0;
    for (const bool is_first : {i % 2 == 0, i % 2 != 0}) {
      const Program program(folder, few, {"--control", is_first ? (folder / "host.sock").string() : "off"});
      (is_first ? with : without) = program.started_ms;
    }
    if (i != 0) extra.push_back(with - without);  // the first run reads files that the system has not read yet
  }
  Json line;
  line["peer"] = "taskhost";
  line["workload"] = "control";
  line["tasks"] = tasks;
  line["ps_ms"] = median(ps);
  line["status_ms"] = median(status);
  line["tasks_ms"] = median(json);
  line["tasks_bytes"] = tasks_bytes;
  line["metrics_ms"] = median(metrics);
  line["metrics_bytes"] = metrics_bytes;
  line["start_extra_ms"] = median(extra);
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace bench
