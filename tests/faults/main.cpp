// Whole runs in which the system refuses one call: the first of a kind, then the second, and so on until a run
// completes without a refusal. No run may hang or die of a signal, and one that does not end as it should must say what
// it lacked. With --count, that many calls in a row are refused.
//
//   taskhost-faults [RUN...] [--only KIND] [--stride N] [--count N]
#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/process.hpp"
#include "support/temporary_directory.hpp"

using namespace taskhost::test;

namespace {

constexpr std::chrono::seconds limit{10};
constexpr unsigned workers = 2;

struct Kind {
  const char* name;
  std::vector<const char*> words;  // one of them names what was missing
};

const std::array<Kind, 4> kinds = {{
    {"memory", {"memory"}},
    {"thread", {"thread"}},
    {"descriptor", {"descriptor", "open files"}},
    {"write", {"No space left"}},
}};

constexpr const char* manifest = R"({
  "shards": 2, "stall_limit": "20ms", "groups": {"g": {"strategy": "one_for_all"}},
  "tasks": [
    {"name": "end", "plugin": "probe", "type": "shutdown_on_exit", "config": {"run_for": "40ms"}},
    {"name": "fails", "plugin": "flaky", "type": "detachable", "restarts": 2, "config": {"run_for": "5ms"},
     "backoff": {"initial": "1ms"}},
    {"name": "blocks", "plugin": "probe_blocking", "type": "detachable", "restarts": 2, "config": {"heartbeat": "5ms"},
     "watchdog": {"interval": "1s", "action": "restart"}},
    {"name": "first", "plugin": "heartbeat", "type": "detachable", "restarts": 2, "group": "g",
     "config": {"interval": "5ms"}},
    {"name": "second", "plugin": "probe", "type": "detachable", "restarts": 2, "group": "g", "after": ["first"],
     "config": {"run_for": "10ms", "end": "error"}}]
})";

class Faults {
 public:
  explicit Faults(long count) : count_(count) { std::ofstream(manifest_path()) << manifest; }

  std::string manifest_path() const { return (directory_ / "manifest.json").string(); }

  std::vector<std::string> runs() const { return {"version", "inspect", "check", "run", "embedder"}; }

  Command command(const std::string& run, unsigned worker) const {
    Command command;
    command.program = run == "embedder" ? TASKHOST_TEST_FAULTS_EMBEDDER : TASKHOST_TEST_PROGRAM;
    const std::string plugins = TASKHOST_TEST_PLUGIN_DIRECTORY;
    if (run == "version") command.arguments = {"--version"};
    if (run == "inspect") command.arguments = {"inspect", plugins + "/probe.so"};
    if (run == "check") command.arguments = {"check", "--explain", "--plugin-dir", plugins, manifest_path()};
    if (run == "run") {
      const std::string events = (directory_ / ("events" + std::to_string(worker))).string();
      command.arguments = {"run", "--events", events, "--plugin-dir", plugins, manifest_path()};
    }
    if (run == "embedder") command.arguments = {plugins, manifest_path()};
    return command;
  }

  // What was refused; empty if the run was over before.
  std::string refuse(Command& command, const Kind& kind, long at, unsigned worker, ProcessEnd& end) const {
    const std::string report = (directory_ / ("refused" + std::to_string(worker))).string();
    std::remove(report.c_str());
    command.environment = {"LD_PRELOAD=" TASKHOST_TEST_REFUSER, std::string("TASKHOST_REFUSE=") + kind.name,
                           "TASKHOST_REFUSE_AT=" + std::to_string(at),
                           "TASKHOST_REFUSE_COUNT=" + std::to_string(count_), "TASKHOST_REFUSE_REPORT=" + report};
    end = Process(command).wait(limit);
    std::string refused;
    std::getline(std::ifstream(report), refused);
    return refused;
  }

 private:
  long count_;
  TemporaryDirectory directory_;
};

bool names(const std::string& text, const Kind& kind) {
  return std::any_of(kind.words.begin(), kind.words.end(),
                     [&](const char* word) { return text.find(word) != std::string::npos; });
}

// What is wrong with a run's end; empty if nothing is.
std::string verdict(const ProcessEnd& end, const ProcessEnd& undisturbed, const Kind& kind,
                    const std::string& refused) {
  if (end.timed_out) return "hangs";
  if (end.signal) return "dies of signal " + std::to_string(*end.signal);
  if (end.status == undisturbed.status) return {};
  // If it can't write, it can't report either.
  if (refused == "write to stderr" || names(end.err, kind)) return {};
  return "ends with " + std::to_string(end.status.value_or(-1)) + " and does not say what was missing";
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

// The number of failed runs.
int sweep(const Faults& faults, const std::string& run, const Kind& kind, long stride) {
  Command plain = faults.command(run, 0);
  const ProcessEnd undisturbed = Process(plain).wait(limit);
  std::atomic<long> next{1};
  std::atomic<bool> through{false};
  std::atomic<long> tried{0};
  std::mutex mutex;
  std::map<int, long> statuses;
  int wrong = 0;
  const auto work = [&](unsigned worker) {
    Command command = faults.command(run, worker);
    while (!through) {
      const long at = next.fetch_add(stride);
      ProcessEnd end;
      const std::string refused = faults.refuse(command, kind, at, worker, end);
      const std::string problem = verdict(end, undisturbed, kind, refused);
      const std::lock_guard lock(mutex);
      if (refused.empty()) {
        through = true;
      } else {
        ++tried;
        ++statuses[end.status.value_or(-1)];
      }
      if (problem.empty()) continue;
      ++wrong;
      std::printf("%s, %s call %ld (%s): %s: %s\n", run.c_str(), kind.name, at, refused.c_str(), problem.c_str(),
                  last_line(end.err).c_str());
    }
  };
  std::vector<std::thread> threads;
  for (unsigned worker = 0; worker < workers; ++worker) threads.emplace_back(work, worker);
  for (std::thread& thread : threads) thread.join();
  std::printf("%s without %s: %ld runs, %d wrong; ended with", run.c_str(), kind.name, tried.load(), wrong);
  for (const auto& [status, count] : statuses) std::printf(" %d: %ld", status, count);
  std::printf("\n");
  std::fflush(stdout);
  return wrong;
}

}  // namespace

int main(int argument_count, char** arguments) {
  std::vector<std::string> wanted;
  std::string only;
  long stride = 1;
  long count = 1;
  for (int i = 1; i < argument_count; ++i) {
    const std::string word = arguments[i];
    if (word == "--stride" && i + 1 < argument_count) {
      stride = std::max(1L, std::atol(arguments[++i]));
    } else if (word == "--count" && i + 1 < argument_count) {
      count = std::max(1L, std::atol(arguments[++i]));
    } else if (word == "--only" && i + 1 < argument_count) {
      only = arguments[++i];
    } else {
      wanted.push_back(word);
    }
  }
  const Faults faults(count);
  const std::vector<std::string> runs = faults.runs();
  for (const std::string& run : wanted) {
    if (std::find(runs.begin(), runs.end(), run) != runs.end()) continue;
    std::fprintf(stderr, "taskhost-faults: no such run: %s\n", run.c_str());
    return 2;
  }
  int wrong = 0;
  for (const std::string& run : wanted.empty() ? runs : wanted) {
    // There are many allocations, so only each N-th is refused; of the other kinds, all are.
    for (const Kind& kind : kinds) {
      if (only.empty() || only == kind.name) wrong += sweep(faults, run, kind, &kind == &kinds.front() ? stride : 1);
    }
  }
  return wrong == 0 ? 0 : 1;
}
