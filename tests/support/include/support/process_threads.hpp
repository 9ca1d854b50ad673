// The threads of a running program, as the kernel counts them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>

namespace taskhost::test {

// By thread: how often it has gone to sleep of its own will. A thread that only waits has a number that stands still.
using Sleeps = std::map<pid_t, std::uint64_t>;
Sleeps sleeps_of(pid_t process);

// How often the threads of `later` went to sleep since `earlier`; new threads count from nought.
std::uint64_t sleeps_between(const Sleeps& earlier, const Sleeps& later);

// Watches for so long.
std::uint64_t sleeps_during(pid_t process, std::chrono::milliseconds time);

}  // namespace taskhost::test
