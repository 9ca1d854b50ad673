// W1's storm by the program itself, with all events written to a file, which is then read: is it complete? And the same
// without events, for comparison.
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace bench {

namespace {

using namespace taskhost::test;

// The value after a key in a line of JSON, up to the next comma, quote or brace.
std::string_view value_of(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = line.substr(at + key.size());
  return rest.substr(0, rest.find_first_of(",\"}"));
}

struct Stream {
  std::uint64_t events = 0;
  std::uint64_t started = 0;
  std::uint64_t lost_records = 0;
  std::uint64_t gaps = 0;
  std::uint64_t bytes = 0;
  std::string last;
};

Stream read_stream(const std::string& path) {
  Stream stream;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    stream.bytes += line.size() + 1;
    const std::string_view digits = value_of(line, "\"seq\":");
    std::uint64_t sequence = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), sequence);
    if (sequence != ++stream.events) ++stream.gaps;
    stream.last = value_of(line, "\"event\":\"");
    if (stream.last == "task_started") ++stream.started;
    if (stream.last == "events_lost") ++stream.lost_records;
  }
  return stream;
}

ProcessEnd run_program(const std::vector<std::string>& words, unsigned shards) {
  Command command;
  command.program = TASKHOST_BENCH_PROGRAM;
  command.arguments = {"run"};
  command.arguments.insert(command.arguments.end(), words.begin(), words.end());
  if (shards != 0) command.arguments.insert(command.arguments.end(), {"--shards", std::to_string(shards)});
  ProcessEnd end = Process(command).wait(std::chrono::seconds(parameter("EVENTS_PATIENCE_S", 300)));
  end.require(1);  // in the end the storm's budget is used up, and no other task ended well
  return end;
}

}  // namespace

void run_events(unsigned shards) {
  const std::uint64_t restarts = parameter("EVENTS_R", 1'000'000);
  const TemporaryDirectory folder;
  const std::string events = folder / "events.jsonl";
  const nlohmann::json task = {{"name", "storm"},
                               {"plugin", TASKHOST_BENCH_PLUGIN_PATH},
                               {"task", "fail"},
                               {"type", "detachable"},
                               {"restarts", restarts}};
  const std::string manifest = folder.write("manifest.json", nlohmann::json{{"tasks", {task}}}.dump());

  const ProcessEnd silent = run_program({manifest}, shards);
  const ProcessEnd written = run_program({manifest, "--events", events}, shards);
  const Stream stream = read_stream(events);

  const auto count = static_cast<double>(restarts);
  const double written_s = seconds(written.lifetime);
  const double silent_s = seconds(silent.lifetime);
  nlohmann::ordered_json line;
  line["peer"] = host_name(shards);
  line["workload"] = "events";
  line["restarts"] = restarts;
  line["secs"] = written_s;
  line["per_s"] = count / written_s;
  line["cpu_s"] = seconds(written.cpu);
  line["silent_secs"] = silent_s;
  line["extra_ns_per_restart"] = (written_s - silent_s) / count * 1e9;
  line["events"] = stream.events;
  line["bytes"] = stream.bytes;
  line["started"] = stream.started;
  line["gaps"] = stream.gaps;
  line["events_lost"] = stream.lost_records;
  line["complete"] =
      stream.started == restarts + 1 && stream.gaps == 0 && stream.lost_records == 0 && stream.last == "host_stopped";
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace bench
