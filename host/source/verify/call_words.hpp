// Wording for the messages of `taskhost verify`. Pure; any thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdio>
#include <string>

#include "text/counted.hpp"
#include "verify/progress.hpp"

namespace taskhost::verify {

inline const char* function_name(Phase phase) {
  switch (phase) {
    case Phase::none:
      return "nothing";
    case Phase::load:
      return "a constructor";
    case Phase::entry:
      return "the entry";
    case Phase::start:
      return "start";
    case Phase::poll:
      return "poll";
    case Phase::run:
      return "run";
    case Phase::finish:
      return "finish";
    case Phase::drop:
      return "drop";
    case Phase::check:
      return "check";
    case Phase::work:
      return "offloaded work";
    case Phase::unload:
      return "a destructor or an exit handler";
  }
  return "";
}

// "3600 s", "1.2 s", "350 ms", "12 us"
inline std::string duration_words(std::chrono::nanoseconds duration) {
  std::array<char, 48> text{};
  const double seconds = std::chrono::duration<double>(duration).count();
  if (seconds >= 1000) {
    std::snprintf(text.data(), text.size(), "%.0f s", seconds);
  } else if (seconds >= 1) {
    std::snprintf(text.data(), text.size(), "%.3g s", seconds);
  } else if (seconds >= 1e-3) {
    std::snprintf(text.data(), text.size(), "%.3g ms", seconds * 1e3);
  } else {
    std::snprintf(text.data(), text.size(), "%.3g us", seconds * 1e6);
  }
  return text.data();
}

}  // namespace taskhost::verify
