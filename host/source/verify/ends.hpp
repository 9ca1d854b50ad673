// How a test's process ended without a verdict, as a verdict: a plugin that crashed, hung or ended the process. Pure.
#pragma once

#include <chrono>

#include "child_process.hpp"
#include "progress.hpp"
#include "verdict.hpp"

namespace taskhost::verify {

// `rule_if_late`: what is broken if it hung outside of the plugin's functions.
Verdict death(const ChildEnd& end, const Progress& progress, std::chrono::nanoseconds time_limit,
              const char* rule_if_late);

}  // namespace taskhost::verify
