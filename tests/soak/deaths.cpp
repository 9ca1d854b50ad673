// Has an isolated task die again and again, in each way, while a hundred others tick; fails if any of those is lost, a
// death is not told as what it is, or a descriptor or a process is left behind.
//
//   taskhost-soak-deaths [--times N] [--all | WAY…]
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace {

using namespace taskhost::test;
using namespace std::chrono_literals;

constexpr unsigned ticking = 100;

struct Way {
  const char* how;
  const char* where;
  const char* end;      // what it returns if it survives; "" if it then waits for the stop
  const char* message;  // a part of what is told
  bool is_quick = true;
  bool is_deaf = false;  // it is killed each time by its watchdog
};
constexpr Way ways[] = {
    {"segv", "poll", "", "killed by SIGSEGV"},
    {"segv", "start", "", "killed by SIGSEGV"},
    {"segv", "drop", "ok", "killed by SIGSEGV"},
    {"bus", "poll", "", "killed by SIGBUS"},
    {"ill", "poll", "", "killed by SIGILL"},
    {"abort", "poll", "", "killed by SIGABRT"},
    {"exit 0", "poll", "", "ended the process with status 0"},
    {"_exit 3", "poll", "", "ended the process with status 3"},
    {"quick_exit 3", "poll", "", "ended the process with status 3"},
    {"throw in a thread", "poll", "", "killed by SIGABRT"},
    {"stack", "poll", "", "killed by SIGSEGV"},
    {"descriptors", "poll", "error", "it survived"},
    {"close others", "poll", "error", "rule 5.1"},
    {"close all", "poll", "error", "ended the process with status 1"},
    {"garbage", "poll", "error", "rule 5.1"},
    {"kill group", "poll", "", "killed by SIGKILL"},
    {"child", "poll", "", "ended the process with status 3"},
    {"threads", "poll", "error", "it survived"},
    {"child in a session that writes", "poll", "", "ended the process with status 3", false},
    {"memory", "poll", "", "bad_alloc", false},
    {"spin", "poll", "", "", false, true},
    {"spin", "start", "", "", false, true},
    {"lock", "poll", "", "", false, true},
    {"sigstop", "poll", "", "", false, true},
};

std::string manifest_of(const Way& way, unsigned times) {
  const auto quoted = [](const std::string& text) { return '"' + text + '"'; };
  std::string text =
      "{\"plugin_dirs\": [" + quoted(TASKHOST_TEST_PLUGIN_DIRECTORY) + ", " +
      quoted(TASKHOST_TEST_BAD_PLUGIN_DIRECTORY) + "],\n \"tasks\": [\n  {\"name\": \"victim\", " +
      "\"plugin\": \"dies\", \"task\": \"dies\", \"type\": \"detachable\", \"isolation\": \"process\", " +
      "\"restarts\": " + std::to_string(times - 1) + ", ";
  if (way.is_deaf && std::string_view(way.where) == "start") {
    text += "\"ready\": \"notify\", \"start_timeout\": \"20ms\", \"stop_timeout\": \"10ms\", ";
  } else if (way.is_deaf) {
    text += "\"watchdog\": {\"interval\": \"20ms\", \"action\": \"restart\"}, \"stop_timeout\": \"10ms\", ";
  }
  text += "\"config\": {\"how\": " + quoted(way.how) + ", \"where\": " + quoted(way.where) +
          ", \"end\": " + quoted(way.end) + "}}";
  for (unsigned number = 0; number < ticking; ++number) {
    text +=
        ",\n  {\"name\": \"tick " + std::to_string(number) +
        "\", \"plugin\": \"probe\", \"type\": \"mandatory\", \"config\": {\"heartbeat\": \"10ms\"}, \"watchdog\": " +
        "{\"interval\": \"2s\", \"action\": \"restart\"}}";
  }
  return text + "]}\n";
}

std::size_t count_descriptors(pid_t process) {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator i("/proc/" + std::to_string(process) + "/fd", error), end;
       !error && i != end; i.increment(error)) {
    ++count;
  }
  return count;
}

std::size_t count_children(pid_t process) {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task", error)) {
    std::ifstream children(thread.path() / "children");
    for (std::string child; children >> child;) ++count;
  }
  return count;
}

// Lines of the events that have all these words.
struct Counted {
  std::size_t deaths = 0;
  std::size_t told = 0;
  std::size_t others = 0;  // exits, restarts and stalls of those that tick
  bool is_over = false;
};
void take(const std::string& line, const Way& way, Counted& counted) {
  const auto has = [&line](std::string_view words) { return line.find(words) != std::string::npos; };
  const bool is_of_victim = has("\"task\":\"victim\"");
  const bool is_exit = has("\"task_exited\"");
  if (is_of_victim && is_exit) {
    ++counted.deaths;
    if (has(way.message)) ++counted.told;
  }
  if (!is_of_victim && (is_exit || has("\"task_stalled\""))) ++counted.others;
  if (is_of_victim && has("\"task_discarded\"")) counted.is_over = true;
}

bool soak(const Way& way, unsigned times) {
  const TemporaryDirectory directory;
  const std::filesystem::path events = directory / "events.jsonl";
  Command command;
  command.program = TASKHOST_TEST_PROGRAM;
  command.arguments = {"run",      "--log-level",   "error",
                       "--events", events.string(), directory.write("manifest.json", manifest_of(way, times)).string()};
  command.limits = {{RLIMIT_CORE, 0}, {RLIMIT_FSIZE, rlim_t{1} << 30}};
  const auto start = std::chrono::steady_clock::now();
  Process host(command);
  std::ifstream file;
  std::string line;
  Counted counted;
  std::size_t before = 0;
  eventually(
      [&] {
        if (!file.is_open()) file.open(events);
        file.clear();
        for (std::string part; std::getline(file, part);) {
          line += part;
          if (file.eof()) break;  // the rest comes later
          take(std::exchange(line, {}), way, counted);
        }
        if (before == 0 && counted.deaths >= 3) before = count_descriptors(host.id());
        return counted.is_over || !host.running();
      },
      std::chrono::seconds(30 + times));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool is_clean = eventually([&] { return count_children(host.id()) == 0; }, 5s);
  const std::size_t after = count_descriptors(host.id());
  host.send(SIGTERM);
  const ProcessEnd end = host.wait(30s);
  const bool is_good = end.status == 0 && counted.deaths == times && counted.told == times && counted.others == 0 &&
                       is_clean && after <= before;
  std::printf(
      "%s %s in %s: %zu deaths, %zu told rightly, %.2f ms each; of the others %zu exits and stalls; "
      "descriptors %zu, then %zu; %s; status %d\n",
      is_good ? "ok    " : "FAILED", way.how, way.where, counted.deaths, counted.told, seconds * 1000 / times,
      counted.others, before, after, is_clean ? "no process left" : "processes left", end.status.value_or(-1));
  std::fflush(stdout);
  return is_good;
}

}  // namespace

int main(int argument_count, char** arguments) {
  unsigned times = 1000;
  bool is_all = false;
  std::vector<std::string_view> wanted;
  for (int i = 1; i < argument_count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--all") {
      is_all = true;
    } else if (argument == "--times" && i + 1 < argument_count) {
      times = static_cast<unsigned>(std::atoi(arguments[++i]));
    } else {
      wanted.push_back(argument);
    }
  }
  if (times < 4) {
    std::fprintf(stderr, "taskhost-soak-deaths [--times N] [--all | WAY...], N at least 4\n");
    return 2;
  }
  bool is_good = true;
  for (const Way& way : ways) {
    const bool is_named = std::find(wanted.begin(), wanted.end(), way.how) != wanted.end();
    if (is_named || (wanted.empty() && (is_all || way.is_quick))) is_good = soak(way, times) && is_good;
  }
  return is_good ? 0 : 1;
}
