#include "support/process_threads.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

namespace taskhost::test {

Sleeps sleeps_of(pid_t process) {
  Sleeps sleeps;
  std::error_code gone;  // a thread may end while it is looked at
  const std::filesystem::path threads = "/proc/" + std::to_string(process) + "/task";
  for (std::filesystem::directory_iterator entry(threads, gone), end; !gone && entry != end; entry.increment(gone)) {
    std::ifstream status(entry->path() / "status");
    const std::string key = "voluntary_ctxt_switches:";
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(key)) {
        sleeps[std::stoi(entry->path().filename().string())] = std::stoull(line.substr(key.size()));
      }
    }
  }
  return sleeps;
}

std::uint64_t sleeps_between(const Sleeps& earlier, const Sleeps& later) {
  std::uint64_t sum = 0;
  for (const auto& [thread, count] : later) {
    const auto before = earlier.find(thread);
    sum += count - (before == earlier.end() ? 0 : before->second);
  }
  return sum;
}

std::uint64_t sleeps_during(pid_t process, std::chrono::milliseconds time) {
  const Sleeps before = sleeps_of(process);
  std::this_thread::sleep_for(time);
  return sleeps_between(before, sleeps_of(process));
}

}  // namespace taskhost::test
