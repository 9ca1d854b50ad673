// Instructions per restart, wake and tick, counted by valgrind, so that noise does not matter. Each workload runs at
// two sizes and the difference is divided, so that start and end cancel out. Compares the counts with the recorded
// ones.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench.hpp"
#include "support/process.hpp"

namespace bench {

namespace {

constexpr double max_growth = .10;

struct Count {
  std::string name;
  std::string workload;
  std::vector<std::string> environment;
  std::string size_name;  // the parameter that varies
  std::uint64_t small;
  std::uint64_t large;
  std::uint64_t tasks;  // each of which does that many of what is counted
};

const std::vector<Count>& counts() {
  static const std::vector<Count> all = {
      {"restart", "w1", {"W1_TIMES=1"}, "W1_R", 20'000, 520'000, 1},
      {"wake", "w4", {"W4_N=100", "W4_TIMES=1"}, "W4_Y", 100, 5'100, 100},
      // So many tasks that under valgrind one round takes longer than their sleep, and none waits for the time.
      {"tick", "w3", {"W3_N=2000"}, "W3_TICKS", 10, 160, 2'000},
  };
  return all;
}

// What valgrind counts while this program runs the workload at one size.
std::uint64_t collect(const std::string& who, const Count& count, std::uint64_t size) {
  taskhost::test::Command command;
  command.program = "valgrind";
  command.arguments = {"--tool=callgrind", "--callgrind-out-file=/dev/null",
                       std::filesystem::read_symlink("/proc/self/exe").string()};
  if (who != "taskhost") command.arguments.push_back(who);
  command.arguments.push_back(count.workload);
  command.environment = count.environment;
  command.environment.push_back(count.size_name + "=" + std::to_string(size));
  const taskhost::test::ProcessEnd end = taskhost::test::Process(command).wait(std::chrono::hours(1));
  end.require();
  const std::string key = "Collected : ";
  const std::size_t at = end.err.find(key);
  if (at == std::string::npos) throw std::runtime_error("valgrind gave no count:\n" + end.err);
  return std::stoull(end.err.substr(at + key.size()));
}

double measure(const std::string& who, const Count& count) {
  const auto small = static_cast<double>(collect(who, count, count.small));
  const auto large = static_cast<double>(collect(who, count, count.large));
  return (large - small) / static_cast<double>((count.large - count.small) * count.tasks);
}

}  // namespace

int check_instructions(const std::string& recorded_file, bool record) {
  nlohmann::ordered_json recorded = {{"compiler", compiler()}, {"counts", nlohmann::ordered_json::object()}};
  if (std::ifstream file(recorded_file); file) {
    recorded = nlohmann::ordered_json::parse(file);
  } else if (!record) {
    throw std::runtime_error(recorded_file + " can't be read; ./dev check instructions --record makes it");
  }
  if (recorded.at("compiler") != compiler()) {
    std::printf("Recorded with %s, counted with %s: differences may be the compiler's.\n",
                recorded.at("compiler").get<std::string>().c_str(), compiler().c_str());
  }

  std::vector<std::string> grown;
  bool fallen = false;
  nlohmann::ordered_json counted = nlohmann::ordered_json::object();
  std::printf("%-20s %12s %12s %10s\n", "instructions per", "recorded", "now", "change");
  for (const Count& count : counts()) {
    for (const char* who : {"taskhost", "floor"}) {
      const std::string name = std::string(who) + " " + count.name;
      const double now_counted = std::round(measure(who, count) * 10) / 10;
      counted[name] = now_counted;
      const double before = recorded.at("counts").value(name, 0.0);
      if (before == 0) {
        std::printf("%-20s %12s %12.1f\n", name.c_str(), "-", now_counted);
        if (!record) grown.push_back(name + ": nothing is recorded for it");
      } else {
        const double change = now_counted / before - 1;
        std::printf("%-20s %12.1f %12.1f %+9.1f%%\n", name.c_str(), before, now_counted, 100 * change);
        if (change < -max_growth) fallen = true;
        if (change > max_growth) {
          char text[120];
          std::snprintf(text, sizeof text, "%s: %.1f instructions instead of %.1f, %+.1f%%", name.c_str(), now_counted,
                        before, 100 * change);
          grown.emplace_back(text);
        }
      }
      std::fflush(stdout);
    }
  }
  if (record) {
    std::ofstream file(recorded_file);
    file << nlohmann::ordered_json{{"compiler", compiler()}, {"counts", counted}}.dump(2) << '\n';
    if (!file.flush()) throw std::runtime_error(recorded_file + " can't be written");
    std::printf("Recorded in %s\n", recorded_file.c_str());
    return 0;
  }
  if (fallen) std::puts("Some have fallen: record them, so that they stay there: ./dev check instructions --record");
  for (const std::string& text : grown) {
    std::printf("Grown by more than %.0f%%: %s\n", 100 * max_growth, text.c_str());
  }
  if (!grown.empty()) std::puts("If that is as it must be, record the new counts: ./dev check instructions --record");
  return grown.empty() ? 0 : 1;
}

}  // namespace bench
