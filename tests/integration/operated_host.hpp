// A running host, and the commands that operate it.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

namespace taskhost::test {

// A command that sees the hosts of this directory, if it is not root's: those have one place.
inline Command operating(const std::vector<std::string>& arguments, const std::filesystem::path& runtime) {
  Command command;
  command.program = program_path();
  command.arguments = arguments;
  command.environment = {"XDG_RUNTIME_DIR=" + runtime.string()};
  return command;
}

// Has a socket of its own, so that hosts of other tests are not seen.
class OperatedHost {
 public:
  explicit OperatedHost(const Json& tasks) : running_(started(tasks)) {
    running_.expect_operators();
    running_.wait_for("host_started");
  }

  std::filesystem::path socket() const { return scene_.directory() / "demo.sock"; }
  const std::filesystem::path& directory() const { return scene_.directory().path(); }
  Running& running() { return running_; }

  Command command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin() + 1, {"--host", socket().string()});
    return operating(arguments, directory());
  }
  ProcessEnd operate(const std::vector<std::string>& arguments) const { return Process(command(arguments)).wait(); }
  Json json_of(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin() + 1, "--json");
    const ProcessEnd end = operate(arguments);
    INFO(end.summary());
    const Json json = Json::parse(end.out, nullptr, false);
    CHECK_FALSE(json.is_discarded());
    return json;
  }
  Run stop() {
    running_.send(SIGTERM);
    return running_.finish();
  }

 private:
  Running started(const Json& tasks) {
    for (const Json& entry : tasks) scene_.add(entry);
    return scene_.start({"--control", socket().string()});
  }

  Scene scene_;
  Running running_;
};

}  // namespace taskhost::test
