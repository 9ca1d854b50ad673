// `taskhost verify`: options to a call of taskhost_verify, and its verdicts to lines. Uses nothing of ours but
// taskhost.h.
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
  std::string plugin;
  std::optional<std::string> task;
  std::string config = "{}";  // JSON, or @ and a file
  std::optional<std::uint64_t> seed;
  std::string time_limit = "10s";
  std::vector<std::string> tests;
  bool json = false;
};

void add_verify_options(CLI::App& command, VerifyArguments& arguments);

// Returns the exit status. Before any thread has been started.
int verify(const VerifyArguments& arguments);

}  // namespace taskhost
