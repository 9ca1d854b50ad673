// `taskhost verify`: runs the tests of a plugin, each in a process of its own, and reports the verdicts as they come.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "verify/verdict.hpp"

namespace taskhost::verify {

struct Options {
  std::string plugin;               // a path
  std::optional<std::string> task;  // a factory
  std::string config = "{}";        // JSON text
  bool has_secrets = false;         // then no verdict quotes a config
  std::uint64_t seed = 1;
  std::chrono::nanoseconds time_limit = std::chrono::seconds(10);
  std::vector<std::string> tests;  // names; empty for all
  std::string name;                // of the executions' task; empty for the factory's
  std::string directory;           // of the manifest; empty for the working directory
};

struct Result {
  std::int32_t code = TASKHOST_RESULT_OK;  // TASK_FAILED if a rule is broken or something is unproven
  std::string error;                       // for codes above that
};

// Call it in a process without other threads, since it forks. `on_verdict` is called between the tests.
Result run(const Options& options, const std::function<void(const Verdict&)>& on_verdict);

}  // namespace taskhost::verify
