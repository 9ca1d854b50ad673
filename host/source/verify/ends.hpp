// The verdict for a test process that ended without one: the plugin crashed, hung or ended the process. Pure.
#pragma once

#include "verify/child_process.hpp"
#include "verify/progress.hpp"
#include "verify/verdict.hpp"

namespace taskhost::verify {

Verdict death(const ChildEnd& end, const Progress& progress);

}  // namespace taskhost::verify
