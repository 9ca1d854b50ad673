// How a test's process ended without a verdict, as a verdict: a plugin that crashed, hung or ended the process. Pure.
#pragma once

#include <chrono>

#include "child_process.hpp"
#include "progress.hpp"
#include "verdict.hpp"

namespace taskhost::verify {

Verdict death(const ChildEnd& end, const Progress& progress, std::chrono::nanoseconds time_limit);

}  // namespace taskhost::verify
