// Runs one command that prints a line of JSON, and appends the line to a file of results under a label; a failure gives
// a line as well. Since other work on the machine spoils measurements, it records how much there was, and repeats a
// disturbed run, of which the least disturbed one is kept.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench.hpp"
#include "support/process.hpp"

namespace bench {

namespace {

// Seconds of CPU that all programs together have used, and that other guests of the same machine took.
double busy_seconds() {
  std::ifstream file("/proc/stat");
  std::string word;
  std::array<double, 8> column{};  // user nice system idle iowait irq softirq steal
  file >> word;
  for (double& value : column) file >> value;
  return (column[0] + column[1] + column[2] + column[5] + column[6] + column[7]) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// In a virtual machine, touching a page for the first time since the machine's start costs several times as much. The
// first run would pay for all.
void touch_memory() {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto available = static_cast<std::uint64_t>(::sysconf(_SC_AVPHYS_PAGES)) * page;
  const std::uint64_t size = std::min(parameter("BENCH_TOUCH_MB", 2048) << 20, available / 2);
  if (size < page) return;
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  for (std::uint64_t at = 0; at < size; at += page) static_cast<volatile char*>(memory)[at] = 1;
  ::munmap(memory, size);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Blocked in this thread, so that the signal ends the command and not its record.
void hold_interrupts() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}
bool interrupted() {
  sigset_t set;
  ::sigpending(&set);
  return ::sigismember(&set, SIGINT) == 1;
}

// Waits until nothing else is going on, or this many seconds have passed.
void wait_for_quiet(double patience_s) {
  constexpr double sample_s = .5;
  for (const double end = now() + patience_s; now() < end && !interrupted();) {
    const double busy = busy_seconds();
    ::usleep(static_cast<unsigned>(sample_s * 1e6));
    if (busy_seconds() - busy <= .05 * sample_s) return;
  }
}

// One run, as a line.
nlohmann::ordered_json run(const std::vector<std::string>& words) {
  taskhost::test::Command command;
  command.program = words.at(0);
  command.arguments = {words.begin() + 1, words.end()};
  nlohmann::ordered_json line;
  try {
    const double busy = busy_seconds();
    const taskhost::test::ProcessEnd end = taskhost::test::Process(command).wait(std::chrono::hours(24));
    const std::string last = first_line(end.out.substr(end.out.rfind('\n', end.out.size() - 2) + 1));
    if (end.status == 0) {
      line = nlohmann::ordered_json::parse(last, nullptr, false);
      if (!line.is_object()) line = {{"failed", "no line of JSON: " + last}};
    } else if (end.signal == SIGINT || end.signal == SIGTERM) {
      line["failed"] = "interrupted";
    } else {
      line["failed"] = first_line(end.summary()) + (end.err.empty() ? "" : ": " + first_line(end.err));
    }
    line["length_s"] = seconds(end.lifetime);
    line["other_cpu"] = std::max(0.0, busy_seconds() - busy - seconds(end.cpu)) / seconds(end.lifetime);
  } catch (const std::exception& error) {
    line["failed"] = error.what();
  }
  return line;
}

// Repeats disturbed runs. Short ones can't be judged: the system counts in hundredths of a second.
bool was_disturbed(const nlohmann::ordered_json& line) {
  const double length = line.value("length_s", 0.0);
  return !line.contains("failed") && length > .3 && length < 20 && line.value("other_cpu", 0.0) > .25;
}

}  // namespace

// FILE LABEL WORKLOAD COMMAND...
int record(const std::vector<std::string>& words) {
  const std::string& workload = words.at(2);
  const std::vector<std::string> command{words.begin() + 3, words.end()};
  const auto patience_s = static_cast<double>(parameter("BENCH_WAIT_S", 0));
  hold_interrupts();

  nlohmann::ordered_json best;
  const std::uint64_t tries = std::max<std::uint64_t>(parameter("BENCH_TRIES", 3), 1);
  for (std::uint64_t i = 0; i < tries && !interrupted(); ++i) {
    if (workload == "w2" || workload == "idle") touch_memory();
    wait_for_quiet(patience_s);
    nlohmann::ordered_json line = run(command);
    const bool again = was_disturbed(line);
    if (best.is_null() || line.contains("failed") || line.at("other_cpu") < best.at("other_cpu")) best = line;
    if (!again) break;
  }
  if (interrupted() || best.is_null()) best = {{"failed", "interrupted"}};
  best["peer"] = words.at(1);
  best["workload"] = workload;
  std::ofstream file(words.at(0), std::ios::app);
  file << best.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  if (!file.flush()) throw std::runtime_error(words.at(0) + " can't be written");
  if (best.value("failed", "") == "interrupted") return 130;
  return best.contains("failed") ? 1 : 0;
}

}  // namespace bench
