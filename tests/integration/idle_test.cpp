// A host whose tasks only wait does nothing at all; and many blocking tasks, which cost nothing while they wait.
#include <sys/stat.h>

#include <csignal>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/process_threads.hpp"
#include "support/sanitizers.hpp"

using namespace std::chrono_literals;
using namespace taskhost::test;

namespace {

// How often the host's threads go to sleep in this time, after its last activity has died down for `settled`.
std::uint64_t sleeps_when_idle(Running& running, std::chrono::milliseconds settled, std::chrono::milliseconds time) {
  if (thread_sanitizer) {
    return 0;  // it has a thread of its own that wakes up ten times a second
  }
  const pid_t process = running.process().id();
  CHECK(eventually([&] { return sleeps_during(process, settled) == 0; }, 30s));
  const std::uint64_t sleeps = sleeps_during(process, time);
  CHECK(running.process().running());
  return sleeps;
}

Run stop(Running& running) {
  running.send(SIGTERM);
  return running.finish();
}

}  // namespace

TEST_CASE("a host makes no wake-ups while its tasks wait, whatever they wait for, and after all they have done") {
  Scene scene;
  scene.manifest["shards"] = 2;
  scene.manifest["stall_limit"] = "20ms";
  const std::string pipe = (scene.directory() / "orders.fifo").string();
  for (int number = 0; number < 200; ++number) {
    scene.add(task("timer " + std::to_string(number), "probe", "mandatory", idle_probe()));
    scene.add(task("stop " + std::to_string(number), "never_wakes", "mandatory"));
  }
  scene.add(task("descriptor", "watcher", "mandatory", {{"path", pipe}, {"create", true}}));
  scene.add(task("blocking", "probe_blocking", "mandatory", idle_probe()));
  scene.add(task("busy", "stall_ticker", "detachable", {{"file", pipe + ".ticks"}, {"run_for", "200ms"}}));
  scene.add(task("storm", "probe", "detachable", probe_that_ends("error"), 1'000));
  scene.add(
      task("mule", "staller", "mandatory", {{"poll", "100ms"}, {"stalls", 2}, {"next", "timer"}, {"end", "stay"}}));
  Running running = scene.start();
  running.wait_for("task_discarded", {}, 2);
  CHECK(running.process().wait_for_err("back again"));
  running.wait_for("task_stalled", "mule", 2);
  CHECK(sleeps_when_idle(running, 2500ms, 8s) == 0);  // the log sums a storm up two seconds later
  CHECK(stop(running).status() == 0);
}

TEST_CASE("a thousand blocking tasks run at once, wait for the stop without a wake-up, and are all stopped in time") {
  constexpr std::size_t crowd = sanitized ? 200 : 1'000;
  Scene scene;
  for (std::size_t number = 0; number < crowd; ++number) {
    scene.add(task("task " + std::to_string(number), "probe_blocking", "mandatory", idle_probe()));
  }
  Running running = scene.start();
  running.wait_for("task_started", {}, crowd);
  CHECK(sleeps_of(running.process().id()).size() >= crowd);
  CHECK(sleeps_when_idle(running, 2500ms, 1s) == 0);
  const Run run = stop(running);
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stopped") == crowd);
  CHECK(run.events.count("task_stalled") == 0);
}

TEST_CASE("one blocking execution more than blocking_threads fails to start, with a message that says why") {
  Scene scene;
  scene.manifest["blocking_threads"] = 3;
  for (int number = 0; number < 5; ++number) {
    scene.add(task("task " + std::to_string(number), "probe_blocking", "detachable", idle_probe()));
  }
  scene.add(task("polled", "probe", "mandatory", idle_probe()));
  Running running = scene.start();
  running.wait_for("task_discarded", {}, 2);
  running.wait_for("task_started", {}, 6);
  const Run run = stop(running);
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited") == 2);
  CHECK(run.events.count("task_stopped") == 4);
  CHECK(run.first("task_exited").outcome == "error");
  CHECK(run.first("task_exited").message.find("blocking_threads") != std::string::npos);
}

TEST_CASE("an execution that has ended leaves its place among the blocking_threads to its own restart") {
  Scene scene;
  scene.manifest["blocking_threads"] = 1;
  scene.add(task("storm", "probe_blocking", "detachable", probe_that_ends("error"), 300));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.events.count("task_started") == 301);
  for (const Event& event : run.events.events()) {
    if (event.name == "task_exited" && event.message != "the probe was told to fail") {
      FAIL_CHECK("execution " << event.execution.value_or(0) << ": " << event.message);
      break;
    }
  }
}

TEST_CASE("blocking tasks have stacks as large as blocking_stack_kib says") {
  const std::uint64_t size = GENERATE(1'024, 32'768);
  Scene scene;
  scene.manifest["blocking_stack_kib"] = size;
  scene.add(task("teller", "tells_stack", "detachable"));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  const std::string told = run.first("task_exited", "teller").message;
  REQUIRE(!told.empty());
  CHECK(std::stoull(told) >= size * 9 / 10);
  CHECK(std::stoull(told) <= size + 1'024);
}

TEST_CASE("polled tasks are called on stacks as large as poll_stack_kib says, whatever ulimit -s says") {
  const auto [wanted, limit] =
      GENERATE(std::pair{0, 1'024}, std::pair{0, 16'384}, std::pair{0, 0}, std::pair{32'768, 8'192});
  const std::uint64_t size = wanted == 0 ? 8'192 : static_cast<std::uint64_t>(wanted);
  const std::string plugin = GENERATE("tells_stack", "tells_stack_polled");
  Scene scene;
  if (wanted != 0) scene.manifest["poll_stack_kib"] = scene.manifest["blocking_stack_kib"] = wanted;
  scene.add(task("teller", plugin, "detachable"));
  Command command = scene.command();
  command.limits.emplace_back(RLIMIT_STACK, limit == 0 ? RLIM_INFINITY : static_cast<rlim_t>(limit) * 1'024);
  const Run run = scene.start(command).finish();
  const std::string told = run.first("task_exited", "teller").message;
  REQUIRE(!told.empty());
  CHECK(std::stoull(told) >= size * 9 / 10);
  CHECK(std::stoull(told) <= size + 1'024);
}
