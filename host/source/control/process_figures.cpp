#include "control/process_figures.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>

namespace taskhost {

namespace {

struct Close {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

// When the process began, in seconds since 1970: field 22 of its stat, in ticks since the boot, which /proc/stat knows.
double start_time(unsigned long long ticks) {
  timespec now{};
  timespec since_boot{};
  if (::clock_gettime(CLOCK_REALTIME, &now) != 0 || ::clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) return -1;
  const auto seconds = [](const timespec& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  };
  return seconds(now) - seconds(since_boot) + static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessFigures process_figures() {
  ProcessFigures figures;
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    figures.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.max_fds = static_cast<double>(limit.rlim_cur);
  if (const std::unique_ptr<DIR, Close> directory{::opendir("/proc/self/fd")}) {
    double count = 0;
    while (const dirent* const entry =
               ::readdir(directory.get())) {  // NOLINT(concurrency-mt-unsafe): its own directory
      if (entry->d_name[0] != '.') ++count;
    }
    figures.open_fds = count - 1;  // without the one that reads them
  }
  if (const std::unique_ptr<std::FILE, Close> file{std::fopen("/proc/self/stat", "re")}) {
    std::array<char, 2048> text{};
    const std::size_t size = std::fread(text.data(), 1, text.size() - 1, file.get());
    text[size] = '\0';
    const char* const after_name = std::strrchr(text.data(), ')');  // the name may contain anything
    unsigned long long ticks = 0;
    unsigned long long bytes = 0;
    long pages = 0;
    if (after_name != nullptr &&
        std::sscanf(after_name + 1,  // NOLINT(cert-err34-c): the kernel's numbers
                    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu %llu %ld",
                    &ticks, &bytes, &pages) == 3) {
      figures.start_time_seconds = start_time(ticks);
      figures.virtual_bytes = static_cast<double>(bytes);
      figures.resident_bytes = static_cast<double>(pages) * static_cast<double>(::sysconf(_SC_PAGESIZE));
    }
  }
  return figures;
}

}  // namespace taskhost
