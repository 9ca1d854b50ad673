// Durations in words. A pure function; any thread.
#pragma once

#include <chrono>
#include <string>

namespace taskhost {

// The shortest exact text with one unit: "90s", "1.5s", "2h".
std::string print_duration(std::chrono::nanoseconds duration);

}  // namespace taskhost
