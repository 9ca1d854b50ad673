// taskhost-bench: one workload per call, one JSON line per result. See README.md.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "bench.hpp"

namespace {

constexpr const char* help_text =
    R"(usage: taskhost-bench WORKLOAD [--shards N]      through the host, with 1 shard or N
       taskhost-bench language c|cpp|rust|go      what a language adds
       taskhost-bench floor|asio w1|w2|w3|w4|w5   the least that it could cost; on bare Asio by hand
       taskhost-bench table FILE                  lines of results as a table
       taskhost-bench keep FILE PAGE              puts that table into a page
       taskhost-bench record FILE LABEL WORKLOAD COMMAND...
                                                  appends what the command prints, or that it failed, to FILE
       taskhost-bench pollers SOCKET PATH N       N clients that GET it ten times a second, until SIGTERM
       taskhost-bench instructions FILE [--record]
                                                  counts instructions and compares them with those in FILE

workloads  w1      restart storm: a task that fails at once, restarted again and again
           w2      fleet: idle tasks; time to start them, memory, time to stop them
           w3      ticking fleet: tasks that sleep a millisecond in a loop
           w4      yield: tasks that wake themselves
           w5      crash fan: tasks that fail a millisecond after each start, until their budgets are used up
           wake    wakes from another thread, of a busy shard and of a sleeping one
           idle    CPU time and context switches of a host that has nothing to do, with W2_N tasks and with one
           start   the program's start with a manifest of many tasks
           events  w1 by the program with all events written, and checked
           supervision
                   the stop of 10,000 and of 100,000 tasks that come after one; a group's restart
           polled    w3 while a hundred clients poll its control socket, and while they poll another host
           control   the answers of a host with many tasks, and what the control socket adds to the program's start
           isolated  tasks in processes of their own
           language  tasks that wake themselves, and idle ones, written in that language
           Without --shards, start and events let the program choose.

Parameters come from the environment (README.md says what they mean): W1_R W1_TIMES W2_N W3_N W3_SECS W3_TICKS W4_N
W4_Y W4_TIMES W5_N W5_B WAKE_N WAKE_MS WAKE_ROUNDS WAKE_PAUSE_US IDLE_SECS IDLE_SETTLE_MS START_N START_PLUGINS
START_REPS POLLED_CLIENTS POLLED_ROUNDS POLLED_SECS CONTROL_N CONTROL_REPS ISOLATED_R ISOLATED_N
LANGUAGE_N LANGUAGE_TURNS LANGUAGE_SLEEPERS EVENTS_R EVENTS_PATIENCE_S BENCH_TOUCH_MB BENCH_TRIES BENCH_WAIT_S
)";

int wrong(const std::string& what) {
  std::fprintf(stderr, "taskhost-bench: %s\n%s", what.c_str(), help_text);
  return 2;
}

// Removes "--shards N" from the arguments, wherever it is. False if N is not a number of shards.
bool take_shards(std::vector<std::string>& words, std::optional<unsigned>& shards) {
  const auto found = std::find(words.begin(), words.end(), "--shards");
  if (found == words.end()) return true;
  if (found + 1 == words.end()) return false;
  char* end = nullptr;
  const unsigned long number = std::strtoul((found + 1)->c_str(), &end, 10);
  if (end == (found + 1)->c_str() || *end != '\0' || number < 1 || number > 256) return false;
  shards = static_cast<unsigned>(number);
  words.erase(found, found + 2);
  return true;
}

int run_workload(const std::string& name, std::optional<unsigned> shards) {
  if (name == "start") return bench::run_start(shards.value_or(0)), 0;
  if (name == "isolated") return bench::run_isolated(), 0;
  if (name == "control") return bench::run_control(), 0;
  if (name == "events") return bench::run_events(shards.value_or(0)), 0;
  const bench::Plugin plugin;
  if (name == "wake") return bench::run_wake(plugin, shards.value_or(1)), 0;
  if (name == "supervision") return bench::run_supervision(plugin, shards.value_or(1)), 0;
  if (name == "polled") return bench::run_polled(plugin, shards.value_or(1)), 0;
  if (name == "idle") return bench::run_idle(plugin, shards.value_or(1)), 0;
  return bench::run_host(plugin, name, shards.value_or(1)) ? 0 : wrong("no such workload: " + name);
}

int run(std::vector<std::string> words) {
  if (words.empty()) return wrong("which workload?");
  const std::string verb = words[0];
  if (verb == "--help" || verb == "-h" || verb == "help") return std::fputs(help_text, stdout), 0;
  if (verb == "record") {
    return words.size() >= 5 ? bench::record({words.begin() + 1, words.end()})
                             : wrong("record needs a file, a label, a workload and a command");
  }
  if (verb == "table") {
    if (words.size() != 2) return wrong("table needs one file");
    const bench::Table table = bench::make_table(words[1]);
    std::fputs(table.text.c_str(), stdout);
    return table.failed ? 1 : 0;
  }
  if (verb == "keep") return words.size() == 3 ? bench::keep_table(words[1], words[2]) : wrong("keep needs two files");
  if (verb == "instructions") {
    const bool record = words.size() == 3 && words[2] == "--record";
    if (words.size() != 2 && !record) return wrong("instructions needs one file, and perhaps --record after it");
    return bench::check_instructions(words[1], record);
  }
  if (verb == "pollers") {
    if (words.size() != 4) return wrong("pollers needs a socket, a path and a number of clients");
    return bench::run_pollers(words[1], words[2],
                              static_cast<unsigned>(std::clamp(std::atoi(words[3].c_str()), 1, 10'000)));
  }
  if (verb == "language") {
    if (words.size() != 2) return wrong("language needs one: c, cpp, rust or go");
    return bench::run_language(words[1]), 0;
  }
  if (verb == "floor" || verb == "asio") {
    if (words.size() != 2) return wrong(verb + " needs one workload, w1 to w5, and has no shards");
    const bench::Plugin plugin;
    const bool known = verb == "floor" ? bench::run_floor(plugin, words[1]) : bench::run_asio(plugin, words[1]);
    return known ? 0 : wrong(verb + " has no workload " + words[1]);
  }
  std::optional<unsigned> shards;
  if (!take_shards(words, shards)) return wrong("--shards needs a number from 1 to 256");
  if (words.size() != 1) return wrong("one workload at a time, please");
  return run_workload(words[0], shards);
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    return run({arguments + 1, arguments + argument_count});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "taskhost-bench: %s\n", error.what());
    return 1;
  }
}
