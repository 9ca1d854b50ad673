// What belongs to a whole process: its threads, descriptors, signal handlers and so on. Taken before and after, to see
// what a plugin left behind or changed. Copyable data; includes the calling thread's mask and floating-point modes.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace taskhost::verify {

// What happens on a signal: all of a sigaction, since flags such as SA_NOCLDWAIT matter as much as the function.
struct Handler {
  void (*function)(int) = nullptr;
  int flags = 0;
  std::vector<int> masked;
  friend bool operator==(const Handler&, const Handler&) = default;
};

// What a process may take and give back, beyond threads and descriptors: how many of each. POSIX timers, segments of
// System V shared memory, and child processes, also those that have ended and nobody has waited for.
using Acquired = std::map<std::string, std::size_t>;
Acquired acquired_by_process();

struct ProcessState {
  std::map<int, std::string> threads;      // names by id
  std::map<int, std::string> descriptors;  // targets by number
  std::array<Handler, 65> handlers{};
  std::array<bool, 65> masked{};
  std::string locale;
  std::string umask;
  std::string working_directory;
  std::vector<std::string> environment;
  std::uint32_t floating_point = 0;             // rounding and flush-to-zero modes
  std::map<std::string, std::string> settings;  // interval timers, limits and the like, each with its value
  Acquired acquired;

  static ProcessState take();
};

struct Change {
  // of_runtime: handlers of faults and the like, which a runtime may change if it stays for good
  enum class Kind { thread, descriptor, acquired, of_runtime, signal, other };
  Kind kind = Kind::other;
  std::string words;  // "descriptor (socket)", "the handler of SIGTERM"
};

// What is new or different since `before`.
std::vector<Change> changes(const ProcessState& before, const ProcessState& after);

// What each call must leave as it was in the thread that it came on. Cheap enough to be looked at before and after.
struct ThreadState {
  sigset_t mask{};
  void* locale = nullptr;
  std::uint32_t floating_point = 0;
  int priority = 0;
  int policy = 0;
  int cancel_state = 0;
  int cancel_type = 0;
  void* signal_stack = nullptr;
  int timer_slack = 0;
  std::array<unsigned long, 16> affinity{};
  std::array<char, 16> name{};

  static ThreadState take();
};
// "the signal mask and the priority"; empty if they are the same. Without the name.
std::string differences(const ThreadState& before, const ThreadState& after);

// "a, 3 times b and c"
std::string change_words(const std::vector<Change>& some);

std::string signal_words(int signal);

// Whether a runtime that stays for good may handle the signal: those of faults and the like.
bool is_of_runtime(int signal);

// Like take(), but while there are more threads or descriptors than in `before`, waits for them to go, for up to
// `patience_ms`.
ProcessState settled(const ProcessState& before, int patience_ms);

std::size_t count_threads();
constexpr std::array<const char*, 3> file_folders = {"the working directory or up to two levels below",
                                                     "the temporary directory", "/dev/shm"};
using FileCounts = std::array<std::size_t, file_folders.size()>;
FileCounts count_files();
std::size_t count_shared();  // POSIX queues; System V segments, semaphores and queues; of all processes
std::size_t count_descriptors();

// Whether what malloc says is the plugin's, and not a sanitizer's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_can_be_judged = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool memory_can_be_judged = false;
#else
constexpr bool memory_can_be_judged = true;
#endif
#else
constexpr bool memory_can_be_judged = true;
#endif

struct Memory {
  std::size_t allocated = 0;  // by malloc and the like, as far as libc knows; 0 in sanitizer builds
  std::size_t resident = 0;
  std::size_t mapped = 0;
};
Memory memory_in_use();

// Whether the system refuses memory: a std::bad_alloc without that is the plugin's own.
bool memory_is_short() noexcept;

}  // namespace taskhost::verify
