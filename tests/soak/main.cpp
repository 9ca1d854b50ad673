// Runs `soaked` for a while with readers that sometimes stop reading, and checks its memory, descriptors and threads
// each second. Fails if the last quarter has more of them than the second one, by their medians.
//
//   taskhost-soak [--minutes N]
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "support/pipe.hpp"
#include "support/process.hpp"

namespace {

using namespace taskhost::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Measure {
  const char* name;
  long bound;  // by how much the last quarter may exceed the second
  std::vector<long> values{};
};

// Memory: the difference of malloc's heap from one minute to the next. The others: a blocking task, its descriptor.
std::array<Measure, 3> measures = {{{"KiB of anonymous memory", 1024}, {"descriptors", 2}, {"threads", 2}}};

long field_of_status(pid_t process, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::atol(line.c_str() + name.size() + 1);
  }
  return -1;
}

bool sample(pid_t process) {
  const long memory = field_of_status(process, "RssAnon");
  const long threads = field_of_status(process, "Threads");
  std::error_code error;
  long descriptors = 0;
  for (std::filesystem::directory_iterator i("/proc/" + std::to_string(process) + "/fd", error), end;
       !error && i != end; i.increment(error)) {
    ++descriptors;
  }
  if (memory <= 0 || threads <= 0 || error) return false;
  measures[0].values.push_back(memory);
  measures[1].values.push_back(descriptors);
  measures[2].values.push_back(threads);
  return true;
}

long median(std::vector<long> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The medians of the second and of the last quarter.
std::pair<long, long> medians(const std::vector<long>& values) {
  const auto quarter = static_cast<std::ptrdiff_t>(values.size() / 4);
  return {median({values.begin() + quarter, values.begin() + 2 * quarter}),
          median({values.end() - quarter, values.end()})};
}

// Counts the lines that contain one of the words, and pauses for `length` every `every`, so that the pipe becomes full.
class Reader {
 public:
  Reader(Pipe& pipe, std::vector<std::string> words, std::chrono::milliseconds every, std::chrono::milliseconds length)
      : words_(std::move(words)), thread_([this, &pipe, every, length] { read_all(pipe, every, length); }) {}

  void join() { thread_.join(); }
  std::map<std::string, long> counts;
  std::string last_line;

 private:
  void read_all(Pipe& pipe, std::chrono::milliseconds every, std::chrono::milliseconds length) {
    std::string text;
    Clock::time_point next_break = Clock::now() + every;
    while (true) {
      if (Clock::now() >= next_break) {
        std::this_thread::sleep_for(length);
        next_break = Clock::now() + every;
      }
      const std::string piece = pipe.read_some();
      if (piece.empty()) return;
      text += piece;
      std::size_t begin = 0;
      for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
        last_line = text.substr(begin, end - begin);
        for (const std::string& word : words_) counts[word] += last_line.find(word) != std::string::npos ? 1 : 0;
      }
      text.erase(0, begin);
    }
  }

  std::vector<std::string> words_;
  std::thread thread_;
};

bool told(bool holds, const std::string& what) {
  std::printf("%s %s\n", holds ? "ok    " : "FAILED", what.c_str());
  return holds;
}

int soak(std::chrono::seconds duration) {
  Pipe events;
  Pipe log;
  Command command;
  command.program = TASKHOST_TEST_SOAKED;
  command.arguments = {TASKHOST_TEST_PLUGIN_DIRECTORY};
  command.environment = {"MALLOC_ARENA_MAX=1"};  // otherwise a new thread may get its own heap, in steps of half a MiB
  command.out_descriptor = events.write_end();
  command.err_descriptor = log.write_end();
  Process process(command);
  events.close_write_end();
  log.close_write_end();
  const std::vector<std::string> kinds = {"\"task_started\"",    "\"task_ready\"",   "\"task_exited\"",
                                          "\"task_restarting\"", "\"task_gave_up\"", "\"task_stalled\"",
                                          "\"task_stopping\"",   "\"task_stopped\"", "\"host_stopped\""};
  Reader event_reader(events, kinds, 5s, 700ms);
  Reader log_reader(log, {"lines were dropped here", "not logged one by one"}, 7s, 2500ms);

  bool lives = true;
  for (auto next = Clock::now() + 1s, end = Clock::now() + duration; lives && next < end; next += 1s) {
    std::this_thread::sleep_until(next);
    lives = sample(process.id());
    if (lives && measures[0].values.size() % 30 == 0) {
      std::printf("       %4zu s:", measures[0].values.size());
      for (const Measure& measure : measures) std::printf(" %ld %s", measure.values.back(), measure.name);
      std::printf("\n");
      std::fflush(stdout);
    }
  }
  process.send(SIGTERM);
  const ProcessEnd end = process.wait(30s);
  event_reader.join();
  log_reader.join();

  bool good = told(lives, "it lived until it was asked to end");
  good &= told(end.status == 0, "it ended well when it was asked to (" + log_reader.last_line + ")");
  for (const auto& [kind, count] : event_reader.counts) {
    good &= told(count > 0, std::to_string(count) + " times " + kind);
  }
  for (const auto& [words, count] : log_reader.counts) std::printf("       %ld times \"%s\"\n", count, words.c_str());
  for (const Measure& measure : measures) {
    if (measure.values.size() < 8) return told(false, "too few seconds to say anything"), 1;
    const auto [before, after] = medians(measure.values);
    good &= told(after - before <= measure.bound, std::string(measure.name) + ": " + std::to_string(before) +
                                                      " in the second quarter, " + std::to_string(after) +
                                                      " in the last one; up to " + std::to_string(measure.bound) +
                                                      " more are allowed");
  }
  return good ? 0 : 1;
}

}  // namespace

int main(int argument_count, char** arguments) {
  double minutes = 10;
  if (argument_count == 3 && std::strcmp(arguments[1], "--minutes") == 0) {
    minutes = std::atof(arguments[2]);
  } else if (argument_count != 1) {
    minutes = 0;
  }
  if (minutes * 60 < 10) {
    std::fprintf(stderr, "taskhost-soak [--minutes N], at least 0.2\n");
    return 2;
  }
  return soak(std::chrono::seconds(static_cast<long>(minutes * 60)));
}
