// Tasks that wait for descriptors and for others' work: what is noticed, and what a wake costs.
#include <algorithm>
#include <csignal>
#include <regex>

#include "servers.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

Json one_task(std::string_view plugin, Json config = Json::object()) {
  return {{"name", plugin}, {"plugin", library_plugin(plugin)}, {"type", "shutdown_on_exit"}, {"config", config}};
}

Command pong(Scene& scene, const char* by, int idle, int rounds) {
  scene.manifest["shards"] = 1;
  scene.manifest["tasks"] = {one_task("pong", {{"by", by}, {"idle", idle}, {"rounds", rounds}})};
  return scene.command();
}

double number_in(const std::string& text, const std::regex& pattern) {
  std::smatch found;
  INFO(text);
  REQUIRE(std::regex_search(text, found, pattern));
  return std::stod(found[1]);
}

// Processor time of the task's thread for each wake.
double microseconds(const char* by, int idle) {
  Scene scene;
  const Run run = scene.start(pong(scene, by, idle, 20000)).finish();
  CHECK(run.status() == 0);
  return number_in(run.log(), std::regex("([0-9.]+) microseconds"));
}

// All system calls of the process for each wake, as strace counts them; nothing if it may not.
std::optional<double> system_calls(const char* by, int idle) {
  constexpr int rounds = 2000;
  const auto count = [&](int times) -> std::optional<double> {
    Scene scene;
    Command command = pong(scene, by, idle, times);
    const auto file = scene.directory() / "calls";
    command.arguments.insert(command.arguments.begin(), {"-f", "-c", "-o", file.string(), command.program.string()});
    command.program = TASKHOST_TEST_STRACE;
    const ProcessEnd end = Process(command).wait();
    if (end.status != 0) return std::nullopt;
    return number_in(text_of(file), std::regex("([0-9]+) +[0-9]* *total"));
  };
  const auto few = count(1);
  const auto many = few ? count(1 + rounds) : std::nullopt;
  if (!many) return std::nullopt;
  return (*many - *few) / rounds;
}

}  // namespace

TEST_CASE("offloaded work that is done wakes its task, long before the task's patience is over") {
  constexpr std::size_t tasks = 50;
  Scene scene;
  for (std::size_t number = 0; number < tasks; ++number) {
    Json entry = one_task("patience");
    entry["name"] = "patience-" + std::to_string(number);
    entry["type"] = "detachable";
    entry["restarts"] = 0;
    scene.add(entry);
  }
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited") == tasks);
  CHECK_FALSE(has_line(run.log(), {"no answer"}));
}

TEST_CASE("a descriptor that is closed and whose number is used again is a new one") {
  Scene scene;
  scene.add(one_task("stale"));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"the same number, tag 2"}));
}

TEST_CASE("a wake by a descriptor costs two system calls of the host's, with 1,000 idle ones beside it, too") {
  if (std::string_view(TASKHOST_TEST_STRACE).find("NOTFOUND") != std::string_view::npos) {
    WARN("skipped: there is no strace");
    return;
  }
  constexpr double of_the_plugin = 4;  // task and thread: a read and a write each
  for (const int idle : {0, 1000}) {
    // The least of several, since threads that look after the others on a slow machine add to it.
    double least = 1e9;
    for (int time = 0; time < 10 && least > 2.2; ++time) {
      const auto calls = system_calls("descriptor", idle);
      if (!calls) {
        WARN("skipped: strace may not trace here");
        return;
      }
      least = std::min(least, *calls - of_the_plugin);
    }
    INFO(idle << " idle descriptors");
    CHECK(least <= 2.2);
  }
}

TEST_CASE("a wake by a descriptor costs at most 1.3 times the processor time of a wake by a waker") {
  if (sanitized) return;  // they would be measured instead
  for (const int idle : {0, 1000}) {
    // The least of several, since neighbours on the machine only add to it.
    double descriptor = 1e9;
    double waker = 1e9;
    const bool is_cheap = [&] {
      for (int time = 0; time < 20; ++time) {
        descriptor = std::min(descriptor, microseconds("descriptor", idle));
        waker = std::min(waker, microseconds("waker", idle));
        if (descriptor <= 1.3 * waker) return true;
      }
      return false;
    }();
    INFO(idle << " idle descriptors: " << descriptor << " µs, by a waker " << waker << " µs");
    CHECK(is_cheap);
  }
}
