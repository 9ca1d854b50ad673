// What belongs to a whole process: its threads, descriptors, signal handlers and so on. Taken before and after, to see
// what a plugin left behind or changed. Copyable data; the calling thread's mask and floating-point modes.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace taskhost::verify {

struct ProcessState {
  std::map<int, std::string> threads;      // by id: their names
  std::map<int, std::string> descriptors;  // by number: what they lead to
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

// What is there now and was not before, or is different.
std::vector<Change> changes(const ProcessState& before, const ProcessState& after);

// "a, 3 times b and c"
std::string change_words(const std::vector<Change>& some);

std::string signal_words(int signal);

// The same as take(), but as long as threads or descriptors come on top of `before` waits a moment for them to go:
// up to `patience_ms`.
ProcessState settled(const ProcessState& before, int patience_ms);

std::size_t count_threads();
std::size_t count_descriptors();

struct Memory {
  std::size_t allocated = 0;  // by malloc and alike, as far as libc knows; 0 in sanitizer builds
  std::size_t resident = 0;
};
Memory memory_in_use();

}  // namespace taskhost::verify
