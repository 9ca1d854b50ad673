// `taskhost verify`: turns options into a call of taskhost_verify, and verdicts into lines. Of our own headers, uses
// only taskhost.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): not ours
class App;
}

namespace taskhost {

struct VerifyArguments {
  std::string path;  // a plugin; a manifest if it ends in .json
  std::optional<std::string> task;
  std::optional<std::string> config;  // JSON, or @ and a file's name
  std::optional<std::uint64_t> seed;
  std::string time_limit = "10s";
  std::vector<std::string> tests;
  bool json = false;
};

void add_verify_options(CLI::App& command, VerifyArguments& arguments);

// Returns the exit status. Call it before any thread has been started.
int verify(const VerifyArguments& arguments);

}  // namespace taskhost
