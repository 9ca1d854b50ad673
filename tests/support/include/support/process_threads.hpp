// The threads of a running program, as the kernel reports them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>

namespace taskhost::test {

// By thread: its voluntary context switches. While a thread only waits, its number does not change.
using Sleeps = std::map<pid_t, std::uint64_t>;
Sleeps sleeps_of(pid_t process);

// How often the threads of `later` went to sleep since `earlier`; new threads count from 0.
std::uint64_t sleeps_between(const Sleeps& earlier, const Sleeps& later);

// How often the process's threads go to sleep within this time, for which it waits.
std::uint64_t sleeps_during(pid_t process, std::chrono::milliseconds time);

}  // namespace taskhost::test
