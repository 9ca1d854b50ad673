// Verification of what a manifest runs: each task's plugin, with its config, name and directory.
#pragma once

#include <functional>
#include <string>

#include "verify/verify.hpp"

namespace taskhost {

// Tests the tasks in the manifest's order, those that differ only in their names once. Of `options`, the task is the
// name of one of them; plugin, config, name and directory come from the manifest. The verdicts name the task as their
// factory, if it has a name.
verify::Result verify_manifest(const std::string& path, const verify::Options& options,
                               const std::function<void(const verify::Verdict&)>& on_verdict);

}  // namespace taskhost
