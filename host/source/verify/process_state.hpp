// What belongs to a whole process: its threads, descriptors, signal handlers and so on. Taken before and after, to see
// what a plugin left behind or changed. Copyable data; includes the calling thread's mask and floating-point modes.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace taskhost::verify {

struct ProcessState {
  std::map<int, std::string> threads;      // names by id
  std::map<int, std::string> descriptors;  // targets by number
  std::array<void (*)(int), 65> handlers{};
  std::array<bool, 65> masked{};
  std::string locale;
  std::string umask;
  std::string working_directory;
  std::vector<std::string> environment;
  std::uint32_t floating_point = 0;  // rounding and flush-to-zero modes
  bool has_children = false;

  static ProcessState take();
};

struct Change {
  enum class Kind { thread, descriptor, child, fault_signal, signal, other };
  Kind kind = Kind::other;
  std::string words;  // "descriptor (socket)", "the handler of SIGTERM"
};

// What is new or different since `before`.
std::vector<Change> changes(const ProcessState& before, const ProcessState& after);

// "a, 3 times b and c"
std::string change_words(const std::vector<Change>& some);

std::string signal_words(int signal);

// Like take(), but while there are more threads or descriptors than in `before`, waits for them to go, for up to
// `patience_ms`.
ProcessState settled(const ProcessState& before, int patience_ms);

std::size_t count_threads();
std::size_t count_descriptors();

struct Memory {
  std::size_t allocated = 0;  // by malloc and the like, as far as libc knows; 0 in sanitizer builds
  std::size_t resident = 0;
};
Memory memory_in_use();

}  // namespace taskhost::verify
