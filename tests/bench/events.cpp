// W1's storm by the program itself, with all events written to a file, which is then read: is it complete? And the same
// without events, for comparison.
#include <sys/wait.h>

#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "child_process.hpp"
#include "host.hpp"

namespace bench {

namespace {

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

struct Run {
  double seconds;
  double cpu_s;
};

Run run_program(const std::vector<std::string>& words, unsigned shards) {
  std::vector<std::string> command = {TASKHOST_BENCH_PROGRAM, "run"};
  command.insert(command.end(), words.begin(), words.end());
  if (shards != 0) command.insert(command.end(), {"--shards", std::to_string(shards)});
  ChildProcess program(command);
  const Ending ending = program.wait(static_cast<double>(parameter("EVENTS_PATIENCE_S", 300)));
  // In the end the storm's budget is used up, and no other task ended well: the program fails, as it should.
  const bool as_expected = !ending.timed_out && WIFEXITED(ending.status) && WEXITSTATUS(ending.status) == 1;
  if (!as_expected) throw std::runtime_error("the program: " + ending.text() + "\n" + program.errors());
  return {ending.at - program.begun(), ending.cpu_s};
}

}  // namespace

void run_events(unsigned shards) {
  const std::uint64_t restarts = parameter("EVENTS_R", 1'000'000);
  const TemporaryFolder folder;
  const std::string manifest = (folder.path() / "manifest.json").string();
  const std::string events = (folder.path() / "events.jsonl").string();
  const nlohmann::json task = {{"name", "storm"},
                               {"plugin", TASKHOST_BENCH_PLUGIN_PATH},
                               {"task", "fail"},
                               {"type", "detachable"},
                               {"restarts", restarts}};
  std::ofstream(manifest) << nlohmann::json{{"tasks", {task}}}.dump() << '\n';

  const Run silent = run_program({manifest}, shards);
  const Run written = run_program({manifest, "--events", events}, shards);
  const Stream stream = read_stream(events);

  const auto count = static_cast<double>(restarts);
  nlohmann::ordered_json line;
  line["peer"] = host_name(shards);
  line["workload"] = "events";
  line["restarts"] = restarts;
  line["secs"] = written.seconds;
  line["per_s"] = count / written.seconds;
  line["cpu_s"] = written.cpu_s;
  line["silent_secs"] = silent.seconds;
  line["extra_ns_per_restart"] = (written.seconds - silent.seconds) / count * 1e9;
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
