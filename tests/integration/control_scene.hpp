// A running host with a control socket, and what it costs.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http_client.hpp"
#include "scene.hpp"
#include "support/catch.hpp"

namespace taskhost::test {

// With a mandatory task "feed" and a detachable one, "side".
class ControlScene {
 public:
  explicit ControlScene(const std::vector<std::string>& options = {}, const Json& more_tasks = Json::array(),
                        std::vector<std::pair<int, rlim_t>> limits = {})
      : limits_(std::move(limits)), running_(started(options, more_tasks)) {
    running_.expect_operators();
    running_.wait_for("task_started", "side");
  }

  std::filesystem::path socket() const { return scene_.directory() / "host.sock"; }
  Scene& scene() { return scene_; }
  Running& running() { return running_; }
  // The API's thread starts when the tasks do; until then requests wait.
  HttpAnswer get(std::string_view target) { return ask(socket(), "GET", target); }
  HttpAnswer post(std::string_view target) { return ask(socket(), "POST", target); }
  Json task_now(std::string_view name) { return get("/v1/tasks/" + std::string(name)).json(); }
  Run stop() {
    running_.send(SIGTERM);
    return running_.finish();
  }

 private:
  Running started(std::vector<std::string> options, const Json& more_tasks) {
    scene_.add(task("feed", "probe", "mandatory", idle_probe(), 3));
    scene_.add(task("side", "probe", "detachable", idle_probe(), 3));
    for (const Json& entry : more_tasks) scene_.add(entry);
    options.insert(options.end(), {"--control", socket().string()});
    Command command = scene_.command(options);
    command.limits.insert(command.limits.end(), limits_.begin(), limits_.end());
    return scene_.start(command);
  }

  std::vector<std::pair<int, rlim_t>> limits_;
  Scene scene_;
  Running running_;
};

// In a child that is another user. What it returns is what the child has written.
inline std::string as_stranger(const std::function<std::string()>& act) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string words = ::setresuid(65'534, 65'534, 65'534) == 0 ? act() : "no other user";
    (void)!::write(ends[1], words.data(), words.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string words(4096, '\0');
  const ssize_t size = ::read(ends[0], words.data(), words.size());
  ::close(ends[0]);
  (void)::waitpid(child, nullptr, 0);
  words.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return words;
}

}  // namespace taskhost::test
