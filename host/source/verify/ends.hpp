// The verdict for a test process that ended without one: the plugin crashed, hung or ended the process. Pure, but for
// the limits that messages quote.
#pragma once

#include "verify/child_process.hpp"
#include "verify/progress.hpp"
#include "verify/verdict.hpp"

namespace taskhost::verify {

// For a test whose process could not go on because of the kit itself, or the system. Throws std::system_error, unless
// the plugin may have used up what was missing: a right plugin is not to be blamed.
Verdict refused_by_system(const ChildEnd& end, const Progress& progress);

// How long the host waits for destructors and exit handlers, see rule 5.4.
constexpr std::chrono::nanoseconds longest_end = std::chrono::seconds(5);

Verdict death(const ChildEnd& end, const Progress& progress);

}  // namespace taskhost::verify
