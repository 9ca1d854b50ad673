// Runs one command that prints a line of JSON, and appends the line to a file of results under a label; a failure is a
// line as well. Says how much other work the machine did meanwhile, since that spoils what was measured.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench.hpp"
#include "child_process.hpp"

namespace bench {

namespace {

// Seconds of CPU that all programs together have used, and what other guests of the same machine took.
double busy_seconds() {
  std::ifstream file("/proc/stat");
  std::string word;
  std::array<double, 8> column{};  // user nice system idle iowait irq softirq steal
  file >> word;
  for (double& value : column) file >> value;
  return (column[0] + column[1] + column[2] + column[5] + column[6] + column[7]) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// In a virtual machine a page costs several times as much when it is touched for the first time since the machine was
// started. Whoever runs first would pay for all.
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

// Its first line.
std::string said(const std::string& text) { return text.empty() ? "" : ": " + text.substr(0, text.find('\n')); }

}  // namespace

// FILE LABEL WORKLOAD COMMAND...
int record(const std::vector<std::string>& words) {
  const std::string& label = words.at(1);
  const std::string& workload = words.at(2);
  std::signal(SIGINT, SIG_IGN);  // it reaches the command; here it is told
  if (workload == "w2" || workload == "idle") touch_memory();

  nlohmann::ordered_json line;
  bool interrupted = false;
  try {
    const double busy = busy_seconds();
    ChildProcess process({words.begin() + 3, words.end()});
    std::string last;
    for (std::string text; process.read_line(text);) last = text;
    const Ending ending = process.wait(10);
    const double length = ending.at - process.begun();  // the system counts in hundredths of a second
    interrupted = ending.interrupted();
    if (ending.well()) {
      line = nlohmann::ordered_json::parse(last, nullptr, false);
      if (!line.is_object()) line = {{"failed", "no line of JSON: " + last}};
    } else {
      line["failed"] = interrupted ? "interrupted" : ending.text() + said(process.errors());
    }
    if (length > .3) line["other_cpu"] = std::max(0.0, busy_seconds() - busy - ending.cpu_s) / length;
  } catch (const std::exception& error) {
    line["failed"] = error.what();
  }
  line["peer"] = label;
  line["workload"] = workload;
  std::ofstream file(words.at(0), std::ios::app);
  file << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  if (!file.flush()) throw std::runtime_error(words.at(0) + " can't be written");
  if (interrupted) return 130;
  return line.contains("failed") ? 1 : 0;
}

}  // namespace bench
