// The program's start: from before it is started until the last of its tasks is, compared with a program that only
// loads the same libraries.
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "host.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace bench {

namespace {

using namespace taskhost::test;

struct Scene {
  TemporaryDirectory folder;
  std::vector<std::string> plugins;
  std::string manifest;
  std::uint64_t tasks = parameter("START_N", 1000);

  explicit Scene(std::uint64_t plugin_count) {
    nlohmann::json content;
    for (std::uint64_t i = 0; i < plugin_count; ++i) {
      const std::string name = "plugin_" + std::to_string(i);
      plugins.push_back(folder / (name + ".so"));
      std::filesystem::copy_file(TASKHOST_BENCH_PLUGIN_PATH, plugins.back());
    }
    for (std::uint64_t i = 0; i < tasks; ++i) {
      content["tasks"].push_back({{"name", "task_" + std::to_string(i)},
                                  {"plugin", "plugin_" + std::to_string(i % plugin_count)},
                                  {"task", "idle"},
                                  {"type", "detachable"},
                                  {"restarts", 3}});
    }
    manifest = folder.write("manifest.json", content.dump(1));
  }
};

double wall_clock() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Seconds from an event's "2026-01-31T12:00:00.123456Z".
double wall_time_of(const std::string& event) {
  const std::string time = nlohmann::json::parse(event).at("time");
  std::tm parts{};
  const char* rest = ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) throw std::runtime_error("an event's time can't be read: " + time);
  return static_cast<double>(::timegm(&parts)) + std::strtod(rest, nullptr);
}

struct Started {
  double seen_ms;  // until the last task_started was read from the stream of events
  double told_ms;  // until the time in that event
};

Started start_program(const Scene& scene, unsigned shards) {
  Command command;
  command.program = TASKHOST_BENCH_PROGRAM;
  command.arguments = {"run", scene.manifest, "--events", "-"};
  if (shards != 0) command.arguments.insert(command.arguments.end(), {"--shards", std::to_string(shards)});
  command.out = Wiring::piped;
  const double wall_begin = wall_clock();
  Process program(command);
  std::uint64_t left = scene.tasks;
  std::string line;
  while (left != 0 && program.read_line(line)) {
    if (line.find("\"event\":\"task_started\"") != std::string::npos) --left;
  }
  const double seen = seconds(program.age());
  if (left != 0) throw std::runtime_error("not all tasks were started: " + program.wait().summary());
  const double told = wall_time_of(line);
  program.send(SIGTERM);
  while (program.read_line(line)) continue;
  program.wait().require();
  return {1e3 * seen, 1e3 * (told - wall_begin)};
}

double start_empty_program(const Scene& scene) {
  Command command;
  command.program = TASKHOST_BENCH_EMPTY_PROGRAM;
  command.arguments = scene.plugins;
  command.out = Wiring::piped;
  Process program(command);
  std::string line;
  program.read_line(line);
  const double seen = seconds(program.age());
  program.wait().require();
  return 1e3 * seen;
}

}  // namespace

void run_start(unsigned shards) {
  const Scene scene(std::max<std::uint64_t>(parameter("START_PLUGINS", 10), 1));
  std::vector<double> seen;
  std::vector<double> told;
  std::vector<double> empty;
  start_empty_program(scene);  // the first run reads files that the system has not read yet
  start_program(scene, shards);
  for (std::uint64_t i = 0; i < std::max<std::uint64_t>(parameter("START_REPS", 10), 1); ++i) {
    empty.push_back(start_empty_program(scene));
    const Started started = start_program(scene, shards);
    seen.push_back(started.seen_ms);
    told.push_back(started.told_ms);
  }
  nlohmann::ordered_json line;
  line["peer"] = host_name(shards);
  line["workload"] = "start";
  line["plugins"] = scene.plugins.size();
  line["tasks"] = scene.tasks;
  line["start_ms"] = median(seen);
  line["start_told_ms"] = median(told);
  line["empty_ms"] = median(empty);
  line["extra_ms"] = median(seen) - median(empty);
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace bench
