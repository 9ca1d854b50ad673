#include "verify/process_state.hpp"

#include <dirent.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cfenv>
#include <chrono>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace taskhost::verify {

namespace {

// Visits the numbered entries of a folder of /proc, except for the descriptor that reads it.
template <class Use>
void for_each_number(const char* folder, const Use& use) {
  DIR* const directory = ::opendir(folder);
  if (directory == nullptr) return;
  const bool is_descriptors = std::strcmp(folder, "/proc/self/fd") == 0;
  while (const dirent* entry = ::readdir(directory)) {  // NOLINT(concurrency-mt-unsafe): a stream of its own
    const int number = std::atoi(entry->d_name);
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    if (is_descriptors && number == ::dirfd(directory)) continue;
    use(number);
  }
  ::closedir(directory);
}

std::string line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string umask_of_process() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Umask:")) return line.substr(line.find_first_not_of(" \t", 6));
  }
  return {};
}

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

std::uint32_t floating_point_modes() {
  auto modes = static_cast<std::uint32_t>(std::fegetround()) << 16;
#ifdef __SSE__
  modes |= _mm_getcsr() & 0x8040u;  // flush to zero, denormals are zero: loading code built with -ffast-math sets them
#endif
  return modes;
}

bool is_fault_signal(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL || signal == SIGTRAP ||
         signal == SIGSYS || signal == SIGSTKFLT || signal == SIGABRT || signal == SIGPIPE || signal == SIGURG ||
         signal == SIGPROF || signal >= 32;
}

// "socket:[123]" → "socket"
std::string kind_of(const std::string& target) { return target.substr(0, target.find(":[")); }

std::string environment_words(const std::string& entry) { return "$" + entry.substr(0, entry.find('=')); }

void environment_changes(const ProcessState& before, const ProcessState& after, std::vector<Change>& found) {
  const auto without = [](const std::vector<std::string>& all, const std::string& entry) {
    return !std::binary_search(all.begin(), all.end(), entry);
  };
  for (const std::string& entry : after.environment) {
    if (without(before.environment, entry)) found.push_back({Change::Kind::other, environment_words(entry)});
  }
  for (const std::string& entry : before.environment) {
    const bool is_gone =
        std::none_of(after.environment.begin(), after.environment.end(),
                     [&](const std::string& other) { return environment_words(other) == environment_words(entry); });
    if (is_gone) found.push_back({Change::Kind::other, environment_words(entry)});
  }
}

}  // namespace

std::string signal_words(int signal) {
  const char* const name = ::sigabbrev_np(signal);
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal);
}

ProcessState ProcessState::take() {
  ProcessState state;
  for_each_number("/proc/self/task",
                  [&](int id) { state.threads[id] = line_of("/proc/self/task/" + std::to_string(id) + "/comm"); });
  for_each_number("/proc/self/fd", [&](int number) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(number), error);
    if (!error) state.descriptors[number] = target.string();
  });
  sigset_t mask;
  ::sigemptyset(&mask);
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  for (int signal = 1; signal < static_cast<int>(state.handlers.size()); ++signal) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) == 0) {
      state.handlers[static_cast<std::size_t>(signal)] = action.sa_handler;
    }
    state.masked[static_cast<std::size_t>(signal)] = ::sigismember(&mask, signal) == 1;
  }
  const char* const locale = std::setlocale(LC_ALL, nullptr);  // NOLINT(concurrency-mt-unsafe): only asks
  if (locale != nullptr) state.locale = locale;
  state.umask = umask_of_process();
  std::error_code error;
  state.working_directory = std::filesystem::current_path(error).string();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) state.environment.emplace_back(*entry);
  std::sort(state.environment.begin(), state.environment.end());
  state.floating_point = floating_point_modes();
  state.has_children = verify::has_children();
  return state;
}

std::vector<Change> changes(const ProcessState& before, const ProcessState& after) {
  std::vector<Change> found;
  for (const auto& [id, name] : after.threads) {
    if (!before.threads.contains(id)) found.push_back({Change::Kind::thread, "thread '" + name + "'"});
  }
  for (const auto& [number, target] : after.descriptors) {
    const auto old = before.descriptors.find(number);
    if (old == before.descriptors.end() || old->second != target) {
      found.push_back({Change::Kind::descriptor, "descriptor (" + kind_of(target) + ")"});
    }
  }
  for (const auto& [number, target] : before.descriptors) {
    if (!after.descriptors.contains(number)) {
      found.push_back(
          {Change::Kind::other, "descriptor " + std::to_string(number) + " (" + target + "), which is closed"});
    }
  }
  if (after.has_children && !before.has_children) found.push_back({Change::Kind::child, "a child process"});
  for (std::size_t number = 1; number < before.handlers.size(); ++number) {
    const int signal = static_cast<int>(number);
    const auto kind = is_fault_signal(signal) ? Change::Kind::fault_signal : Change::Kind::signal;
    if (before.handlers[number] != after.handlers[number]) {
      found.push_back({kind, "the handler of " + signal_words(signal)});
    }
    if (before.masked[number] != after.masked[number]) {
      found.push_back({Change::Kind::signal, "the mask for " + signal_words(signal)});
    }
  }
  const auto compare = [&found](const std::string& old, const std::string& now, const char* what) {
    if (old != now) {
      found.push_back({Change::Kind::other, std::string(what) + " (" + old + " before, " + now + " now)"});
    }
  };
  compare(before.locale, after.locale, "the locale");
  compare(before.umask, after.umask, "the umask");
  compare(before.working_directory, after.working_directory, "the working directory");
  if (before.floating_point != after.floating_point) {
    found.push_back({Change::Kind::other, "the floating-point modes (rounding, or flushing to zero)"});
  }
  environment_changes(before, after, found);
  return found;
}

std::string change_words(const std::vector<Change>& some) {
  constexpr std::size_t most = 6;
  std::map<std::string, std::size_t> counts;
  for (const Change& change : some) ++counts[change.words];
  std::string words;
  std::size_t told = 0;
  for (const auto& [what, count] : counts) {
    if (told == most) return words + " and " + std::to_string(counts.size() - most) + " more kinds";
    if (told > 0) words += told + 1 == counts.size() ? " and " : ", ";
    words += (count == 1 ? "" : std::to_string(count) + " times ") + what;
    ++told;
  }
  return words;
}

ProcessState settled(const ProcessState& before, int patience_ms) {
  for (int waited_ms = 0;; waited_ms += 5) {
    ProcessState now = ProcessState::take();
    const bool same = now.threads.size() <= before.threads.size() &&
                      now.descriptors.size() <= before.descriptors.size() && now.has_children == before.has_children;
    if (same || waited_ms >= patience_ms) return now;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::size_t count_threads() {
  std::size_t count = 0;
  for_each_number("/proc/self/task", [&](int) { ++count; });
  return count;
}

std::size_t count_descriptors() {
  std::size_t count = 0;
  for_each_number("/proc/self/fd", [&](int) { ++count; });
  return count;
}

Memory memory_in_use() {
  Memory memory;
  const struct mallinfo2 info = ::mallinfo2();
  memory.allocated = info.uordblks + info.hblkhd;
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  if (file >> total >> resident) memory.resident = resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return memory;
}

}  // namespace taskhost::verify
