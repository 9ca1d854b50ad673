// Tasks in processes of their own: restarts, starts, ends, log lines, and what an idle one has.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "host.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace bench {

namespace {

using namespace taskhost::test;
using Json = nlohmann::ordered_json;

double wall_clock() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Seconds from an event's "2026-01-31T12:00:00.123456Z".
double wall_time_of(const Json& event) {
  const std::string time = event.at("time");
  std::tm parts{};
  const char* rest = ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) throw std::runtime_error("an event's time can't be read: " + time);
  return static_cast<double>(::timegm(&parts)) + std::strtod(rest, nullptr);
}

// `taskhost run` with so many tasks of one factory, whose events are read one by one.
class Program {
 public:
  Program(const std::string& factory, std::uint64_t tasks, bool isolated, const Json& more = Json::object()) {
    Json content{{"tasks", Json::array()}};
    for (std::uint64_t i = 0; i < tasks; ++i) {
      Json task{{"name", "t" + std::to_string(i)}, {"plugin", TASKHOST_BENCH_PLUGIN_PATH}, {"task", factory}};
      task["type"] = "detachable";
      if (isolated) task["isolation"] = "process";
      task.update(more);
      content["tasks"].push_back(std::move(task));
    }
    Command command;
    command.program = TASKHOST_BENCH_PROGRAM;
    socket_ = folder_ / "host.sock";
    command.arguments = {"run", "--events", "-", "--control", socket_, folder_.write("manifest.json", content.dump())};
    command.out = Wiring::piped;
    process_ = std::make_unique<Process>(command);
  }

  // The next event of this kind.
  Json await(const std::string& event) {
    for (std::string line; process_->read_line(line);) {
      Json read = Json::parse(line);
      if (read.value("event", "") == event) return read;
    }
    throw std::runtime_error("there is no " + event + ": " + process_->wait().summary());
  }
  pid_t worker(const std::string& task) const {
    Command command;
    command.program = TASKHOST_BENCH_PROGRAM;
    command.arguments = {"status", "--json", "--host", socket_, task};
    const Json status = Json::parse(Process(command).wait().out);
    return (status.contains("tasks") ? status.at("tasks").at(0) : status).at("pid");
  }
  Process& process() { return *process_; }
  void stop() {
    process_->send(SIGTERM);
    for (std::string line; process_->read_line(line);) continue;
    (void)process_->wait();
  }

 private:
  TemporaryDirectory folder_;
  std::string socket_;
  std::unique_ptr<Process> process_;
};

// Milliseconds for spawning a program that does nothing, and for its end.
double spawn_empty(std::uint64_t times) {
  const double begin = now();
  for (std::uint64_t i = 0; i < times; ++i) {
    pid_t id = -1;
    std::string name = TASKHOST_BENCH_EMPTY_WORKER;
    char* const arguments[] = {name.data(), nullptr};
    if (::posix_spawn(&id, name.c_str(), nullptr, nullptr, arguments, ::environ) != 0) {
      throw std::runtime_error("can't spawn " + name);
    }
    ::waitpid(id, nullptr, 0);
  }
  return 1e3 * (now() - begin) / static_cast<double>(times);
}

double restart_ms(std::uint64_t restarts) {
  Program program("fail", 1, true, {{"restarts", restarts}});
  const double begin = wall_time_of(program.await("task_started"));
  const double end = wall_time_of(program.await("task_gave_up"));
  program.stop();
  return 1e3 * (end - begin) / static_cast<double>(restarts + 1);
}

double start_all_ms(std::uint64_t tasks) {
  Program program("ready", tasks, true);
  const double begin = wall_time_of(program.await("host_started"));
  double end = begin;
  for (std::uint64_t i = 0; i < tasks; ++i) end = wall_time_of(program.await("task_ready"));
  program.stop();
  return 1e3 * (end - begin);
}

double told_ms() {
  Program program("ready", 1, true, {{"restarts", 1}});
  program.await("task_ready");
  const pid_t worker = program.worker("t0");
  const double begin = wall_clock();
  ::kill(worker, SIGKILL);
  const double told = wall_time_of(program.await("task_exited"));
  program.stop();
  return 1e3 * (told - begin);
}

double host_cpu_s(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/schedstat");
  double s = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::ifstream one(thread.path() / "schedstat");
    double ns = 0;
    one >> ns;
    s += 1e-9 * ns;
  }
  return s;
}

double line_us(bool isolated) {
  constexpr double lines = 100'000;
  Program program("log", 1, isolated,
                  {{"restarts", 0},
                   {"type", "mandatory"},
                   {"exit_rules", Json::array({{{"match", {{"outcome", "ok"}}}, {"action", "discard"}}})}});
  program.await("task_started");
  const double before = host_cpu_s(program.process().id());
  program.await("task_exited");
  const double after = host_cpu_s(program.process().id());
  program.stop();
  return 1e6 * (after - before) / lines;
}

struct Idle {
  double own_mib = 0;
  std::uint64_t switches = 0;  // of all its threads, in two seconds
};
std::uint64_t switches_of(pid_t process) {
  std::uint64_t sum = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::ifstream file(thread.path() / "status");
    for (std::string line; std::getline(file, line);) {
      if (line.find("ctxt_switches") != std::string::npos) sum += std::stoull(line.substr(line.find(':') + 1));
    }
  }
  return sum;
}
Idle idle() {
  Program program("ready", 1, true);
  program.await("task_ready");
  const pid_t worker = program.worker("t0");
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  Idle result;
  std::ifstream file("/proc/" + std::to_string(worker) + "/smaps_rollup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("Private_")) result.own_mib += std::stod(line.substr(line.find(':') + 1)) / 1024;
  }
  const std::uint64_t before = switches_of(worker);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  result.switches = switches_of(worker) - before;
  program.stop();
  return result;
}

}  // namespace

void run_isolated() {
  const std::uint64_t restarts = parameter("ISOLATED_R", 300);
  spawn_empty(20);
  std::vector<double> empty, restart, told, with, without;
  for (int i = 0; i < 5; ++i) {
    empty.push_back(spawn_empty(restarts));
    restart.push_back(restart_ms(restarts));
  }
  for (int i = 0; i < 15; ++i) told.push_back(told_ms());
  for (int i = 0; i < 3; ++i) {
    without.push_back(line_us(false));
    with.push_back(line_us(true));
  }
  const Idle one = idle();
  Json line;
  line["peer"] = "taskhost";
  line["workload"] = "isolated";
  line["spawn_ms"] = median(empty);
  line["restart_ms"] = median(restart);
  line["restart_of_spawn"] = median(restart) / median(empty);
  line["told_ms"] = median(told);
  line["told_max_ms"] = percentile(told, 1);
  line["line_us"] = median(with);
  line["line_in_process_us"] = median(without);
  line["idle_own_mib"] = one.own_mib;
  line["idle_switches"] = one.switches;
  line["start_500_ms"] = start_all_ms(parameter("ISOLATED_N", 500));
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace bench
