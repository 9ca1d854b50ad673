#include "verify/process_state.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cfenv>
#include <chrono>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <locale>
#include <new>
#include <sstream>
#include <string_view>
#include <thread>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace taskhost::verify {

namespace {

// Counts the entries of a folder, and of those in it, as deep as `levels` says.
std::size_t entries_of(int parent, const char* name, int levels, int& folders_left) {
  const int descriptor =
      ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (parent == AT_FDCWD ? 0 : O_NOFOLLOW));
  DIR* const directory = descriptor >= 0 ? ::fdopendir(descriptor) : nullptr;
  if (directory == nullptr) return 0;
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(directory)) {  // NOLINT(concurrency-mt-unsafe): a stream of its own
    const std::string_view entry_name = entry->d_name;
    if (entry_name == "." || entry_name == "..") continue;
    ++count;
    if (levels == 0 || entry->d_type != DT_DIR || folders_left-- <= 0) continue;
    count += entries_of(descriptor, entry->d_name, levels - 1, folders_left);
  }
  ::closedir(directory);
  return count;
}

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

// The fields of /proc/self/status, as its first thread has them, without blanks before the values.
std::map<std::string, std::string> status_of_process() {
  std::map<std::string, std::string> fields;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    const std::size_t colon = line.find(':');
    const std::size_t value = line.find_first_not_of(" \t", std::min(colon, line.size() - 1) + 1);
    if (colon != std::string::npos && value != std::string::npos) fields[line.substr(0, colon)] = line.substr(value);
  }
  return fields;
}

// Whether memory that is mapped from now on is locked (MCL_FUTURE), which only a mapping shows.
bool locks_new_memory(const std::string& locked_before) {
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const page = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  const std::string with_page = status_of_process()["VmLck"];
  ::munmap(page, size);
  return with_page != locked_before;
}

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

std::uint32_t floating_point_modes() {
  auto modes = static_cast<std::uint32_t>(std::fegetround()) << 16;
#ifdef __SSE__
  modes |= _mm_getcsr() & 0x9FC0u;  // the masks of exceptions; flush to zero, denormals are zero: loading code built
                                    // with -ffast-math sets them
#endif
  return modes;
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

// Those that were open when the first state was taken: what a plugin opens later, it may close.
const std::map<int, std::string>& descriptors_of_the_host(const std::map<int, std::string>& now) {
  static const std::map<int, std::string> first = now;
  return first;
}

// Also those that have ended, and nobody has waited for.
std::size_t count_children() {
  std::size_t count = 0;
  for_each_number("/proc/self/task", [&](int id) {
    std::ifstream file("/proc/self/task/" + std::to_string(id) + "/children");
    for (int child = 0; file >> child;) ++count;
  });
  if (count == 0 && has_children()) return 1;  // not all systems list them
  return count;
}

}  // namespace

Acquired acquired_by_process() {
  Acquired counts;
  std::ifstream timers("/proc/self/timers");
  for (std::string line; std::getline(timers, line);) counts["timer"] += line.starts_with("ID:") ? 1 : 0;
  // Segments of other processes are in the same list: the fifth column is the process that made it.
  std::ifstream segments("/proc/sysvipc/shm");
  for (std::string line; std::getline(segments, line);) {
    std::istringstream columns(line);
    std::string key, id, mode, size, creator;
    columns >> key >> id >> mode >> size >> creator;
    counts["segment of System V shared memory"] += creator == std::to_string(::getpid()) ? 1 : 0;
  }
  counts["child process"] = count_children();
  return counts;
}

namespace {

constexpr const char* terminate_handler = "the terminate handler";
constexpr const char* new_handler = "the new handler";
constexpr const char* open_files = "the limit of open files";

std::string limit_words(rlim_t value) { return value == RLIM_INFINITY ? "unlimited" : std::to_string(value); }

std::string address_words(const void* address) { return std::to_string(reinterpret_cast<std::uintptr_t>(address)); }

// Where the standard streams go, and how C++ formats what is written there and elsewhere.
void add_streams(std::map<std::string, std::string>& settings) {
  constexpr auto names = std::to_array<const char*>(
      {"where standard input comes from", "where standard output goes", "where standard error goes"});
  for (int descriptor = 0; descriptor < static_cast<int>(names.size()); ++descriptor) {
    struct stat file {};
    std::string words = "closed";
    if (::fstat(descriptor, &file) == 0) {
      words = std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino) + ":" + std::to_string(file.st_rdev) +
              ":" + std::to_string(::fcntl(descriptor, F_GETFL));
    }
    settings[std::string(names.at(static_cast<std::size_t>(descriptor))) + ", or the flags of that"] = words;
  }
  settings["the buffer of std::cin"] = address_words(std::cin.rdbuf());
  settings["the buffer of std::cout"] = address_words(std::cout.rdbuf());
  settings["the buffer of std::cerr"] = address_words(std::cerr.rdbuf());
  // One that is made of facets has no name: then it is known by where it is kept.
  const std::locale locale;
  const void* kept = nullptr;
  static_assert(sizeof locale == sizeof kept);
  std::memcpy(&kept, &locale, sizeof kept);  // NOLINT(bugprone-undefined-memory-manipulation): only read
  settings["the C++ locale"] = locale.name() + ":" + address_words(kept);
}

// Settings of the process that a plugin has no business with.
std::map<std::string, std::string> settings_of_process(std::map<std::string, std::string>& status) {
  std::map<std::string, std::string> settings;
  constexpr std::array<std::pair<__itimer_which, const char*>, 3> timers = {
      {{ITIMER_REAL, "the interval timer of real time"},
       {ITIMER_VIRTUAL, "the virtual interval timer"},
       {ITIMER_PROF, "the profiling timer"}}};
  for (const auto& [which, name] : timers) {
    itimerval timer{};
    ::getitimer(which, &timer);
    const bool is_set = timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0 || timer.it_interval.tv_sec != 0;
    settings[name] = is_set ? "running" : "off";
  }
  constexpr auto limits = std::to_array<std::pair<__rlimit_resource, const char*>>({
      {RLIMIT_NOFILE, open_files},
      {RLIMIT_AS, "the limit of address space"},
      {RLIMIT_CORE, "the limit of core files"},
      {RLIMIT_CPU, "the limit of processor time"},
      {RLIMIT_DATA, "the limit of data"},
      {RLIMIT_FSIZE, "the limit of file sizes"},
      {RLIMIT_LOCKS, "the limit of file locks"},
      {RLIMIT_MEMLOCK, "the limit of locked memory"},
      {RLIMIT_MSGQUEUE, "the limit of message queues"},
      {RLIMIT_NICE, "the limit of the priority"},
      {RLIMIT_NPROC, "the limit of processes"},
      {RLIMIT_RSS, "the limit of resident memory"},
      {RLIMIT_RTPRIO, "the limit of the real-time priority"},
      {RLIMIT_RTTIME, "the limit of real-time computing"},
      {RLIMIT_SIGPENDING, "the limit of pending signals"},
      {RLIMIT_STACK, "the limit of stacks"},
  });
  for (const auto& [which, name] : limits) {
    rlimit limit{};
    ::getrlimit(which, &limit);
    settings[name] = limit_words(limit.rlim_cur) + "/" + limit_words(limit.rlim_max);
  }
  constexpr auto fields = std::to_array<std::pair<const char*, const char*>>({
      {"Uid", "the user ids"},
      {"Gid", "the group ids"},
      {"Groups", "the supplementary groups"},
      {"CapInh", "the capabilities"},
      {"CapPrm", "the capabilities"},
      {"CapEff", "the capabilities"},
      {"CapBnd", "the capabilities"},
      {"CapAmb", "the capabilities"},
      {"NoNewPrivs", "whether it can gain privileges"},
      {"Seccomp", "the system calls that it may make"},
      {"Seccomp_filters", "the system calls that it may make"},
  });
  for (const auto& [field, name] : fields) settings[name] += status[field] + " ";
  const auto address = [](auto handler) { return std::to_string(reinterpret_cast<std::uintptr_t>(handler)); };
  settings[terminate_handler] = address(std::get_terminate());
  settings[new_handler] = address(std::get_new_handler());
  settings["whether it can be dumped"] = std::to_string(::prctl(PR_GET_DUMPABLE));
  settings["the process group"] = std::to_string(::getpgrp());
  settings["the priority"] = std::to_string(::getpriority(PRIO_PROCESS, 0));
  settings["the session"] = std::to_string(::getsid(0));
  settings["how soon it is killed when memory is short"] = line_of("/proc/self/oom_score_adj");
  int adopts = 0;
  ::prctl(PR_GET_CHILD_SUBREAPER, &adopts);
  settings["whether it adopts orphans"] = std::to_string(adopts);
  settings["whether new memory is locked"] = locks_new_memory(status["VmLck"]) ? "yes" : "no";
  int signal_of_parent = 0;
  ::prctl(PR_GET_PDEATHSIG, &signal_of_parent);
  settings["the signal that it gets when its parent ends"] = std::to_string(signal_of_parent);
  add_streams(settings);
  std::error_code error;
  settings["the root directory"] = std::filesystem::read_symlink("/proc/self/root", error).string();
  return settings;
}

// Go and .NET raise the limit of descriptors up to the highest; the C++ library's handlers are a runtime's, too.
bool may_be_of_runtime(const std::string& setting, const std::string& before, const std::string& after) {
  if (setting == terminate_handler || setting == new_handler) return true;
  const auto highest = [](const std::string& limits) { return limits.substr(limits.find('/') + 1); };
  return setting == open_files && highest(before) == highest(after) && after.starts_with(highest(after) + "/");
}

}  // namespace

std::string signal_words(int signal) {
  const char* const name = ::sigabbrev_np(signal);
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal);
}

bool is_of_runtime(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL || signal == SIGTRAP ||
         signal == SIGSYS || signal == SIGSTKFLT || signal == SIGABRT || signal == SIGPIPE || signal == SIGURG ||
         signal == SIGPROF || signal >= 32;
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
      Handler& handler = state.handlers[static_cast<std::size_t>(signal)];
      handler.function = action.sa_handler;
      const bool is_handled = handler.function != SIG_DFL && handler.function != SIG_IGN;
      constexpr int for_children = SA_NOCLDWAIT | SA_NOCLDSTOP;
      constexpr int of_library = 0x04000000;  // SA_RESTORER
      handler.flags = action.sa_flags & (is_handled ? ~of_library : signal == SIGCHLD ? for_children : 0);
      for (int other = 1; is_handled && other <= SIGRTMAX; ++other) {
        if (::sigismember(&action.sa_mask, other) == 1) handler.masked.push_back(other);
      }
    }
    state.masked[static_cast<std::size_t>(signal)] = ::sigismember(&mask, signal) == 1;
  }
  const char* const locale = std::setlocale(LC_ALL, nullptr);  // NOLINT(concurrency-mt-unsafe): only asks
  if (locale != nullptr) state.locale = locale;
  std::map<std::string, std::string> status = status_of_process();
  state.umask = status["Umask"];
  std::error_code error;
  state.working_directory = std::filesystem::current_path(error).string();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) state.environment.emplace_back(*entry);
  std::sort(state.environment.begin(), state.environment.end());
  state.floating_point = floating_point_modes();
  state.settings = settings_of_process(status);
  state.acquired = acquired_by_process();
  descriptors_of_the_host(state.descriptors);
  return state;
}

std::vector<Change> changes(const ProcessState& before, const ProcessState& after) {
  std::vector<Change> found;
  for (const auto& [id, name] : after.threads) {
    if (!before.threads.contains(id)) found.push_back({Change::Kind::thread, "thread '" + name + "'"});
  }
  std::map<std::string, std::size_t> kinds;
  for (const auto& [number, target] : before.descriptors) ++kinds[kind_of(target)];
  for (const auto& [number, target] : after.descriptors) {
    std::size_t& known = kinds[kind_of(target)];
    if (known == 0) {
      found.push_back({Change::Kind::descriptor, "descriptor (" + kind_of(target) + ")"});
    } else {
      --known;
    }
  }
  for (const auto& [number, target] : descriptors_of_the_host(before.descriptors)) {
    if (before.descriptors.contains(number) && !after.descriptors.contains(number)) {
      found.push_back(
          {Change::Kind::other, "descriptor " + std::to_string(number) + " (" + target + "), which is closed"});
    }
  }
  for (const auto& [what, count] : after.acquired) {
    const auto old = before.acquired.find(what);
    for (std::size_t known = old != before.acquired.end() ? old->second : 0; known < count; ++known) {
      found.push_back({Change::Kind::acquired, what});
    }
  }
  for (std::size_t number = 1; number < before.handlers.size(); ++number) {
    const int signal = static_cast<int>(number);
    const auto kind = is_of_runtime(signal) ? Change::Kind::of_runtime : Change::Kind::signal;
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
  for (const auto& [name, value] : after.settings) {
    const auto old = before.settings.find(name);
    if (old == before.settings.end() || old->second == value) continue;
    found.push_back(
        {may_be_of_runtime(name, old->second, value) ? Change::Kind::of_runtime : Change::Kind::other, name});
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
                      now.descriptors.size() <= before.descriptors.size() && now.acquired == before.acquired;
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

FileCounts count_files() {
  const char* const temporary = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): only reads
  constexpr int levels_below_working_directory = 2;
  int folders_left = 1000;
  return {entries_of(AT_FDCWD, ".", levels_below_working_directory, folders_left),
          entries_of(AT_FDCWD, temporary != nullptr ? temporary : "/tmp", 0, folders_left),
          entries_of(AT_FDCWD, "/dev/shm", 0, folders_left)};
}

std::size_t count_shared() {
  int folders_left = 1;
  std::size_t count = entries_of(AT_FDCWD, "/dev/mqueue", 0, folders_left);
  for (const char* list : {"/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg"}) {
    std::ifstream file(list);
    for (std::string line; std::getline(file, line);) ++count;
  }
  return count;
}

ThreadState ThreadState::take() {
  ThreadState state;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &state.mask);
  state.locale = ::uselocale(nullptr);
  state.floating_point = floating_point_modes();
  const auto self = static_cast<id_t>(::gettid());
  state.priority = ::getpriority(PRIO_PROCESS, self);
  state.policy = ::sched_getscheduler(0);
  (void)::syscall(SYS_sched_getaffinity, 0, sizeof state.affinity, state.affinity.data());
  ::prctl(PR_GET_NAME, state.name.data());
  ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state.cancel_state);
  ::pthread_setcancelstate(state.cancel_state, nullptr);
  ::pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &state.cancel_type);
  ::pthread_setcanceltype(state.cancel_type, nullptr);
  stack_t stack{};
  ::sigaltstack(nullptr, &stack);
  state.signal_stack = stack.ss_sp;
  state.timer_slack = ::prctl(PR_GET_TIMERSLACK);
  return state;
}

std::string differences(const ThreadState& before, const ThreadState& after) {
  std::string words;
  const auto add = [&words](bool differs, const char* what) {
    if (differs) words += (words.empty() ? "" : " and ") + std::string(what);
  };
  add(std::memcmp(&before.mask, &after.mask, sizeof before.mask) != 0, "the signal mask");
  add(before.locale != after.locale, "the thread's locale");
  add(before.floating_point != after.floating_point,
      "the floating-point modes (rounding, flushing to zero, exceptions)");
  add(before.priority != after.priority, "the priority");
  add(before.policy != after.policy, "the scheduling policy");
  add(before.cancel_state != after.cancel_state || before.cancel_type != after.cancel_type,
      "whether it can be cancelled");
  add(before.signal_stack != after.signal_stack, "the stack of signal handlers");
  add(before.timer_slack != after.timer_slack, "how late its timers may come");
  add(before.affinity != after.affinity, "the processors that it may use");
  return words;
}

Memory memory_in_use() {
  Memory memory;
  const struct mallinfo2 info = ::mallinfo2();
  memory.allocated = info.uordblks + info.hblkhd;
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  if (file >> total >> resident) {
    const auto page_size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    memory.resident = resident * page_size;
    memory.mapped = total * page_size;
  }
  return memory;
}

bool memory_is_short() noexcept {
  constexpr std::size_t some = std::size_t{16} << 20;
  void* const probe = ::mmap(nullptr, some, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (probe == MAP_FAILED) return true;
  ::munmap(probe, some);
  return false;
}

}  // namespace taskhost::verify
