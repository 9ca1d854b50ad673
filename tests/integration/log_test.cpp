// What the log on stderr tells people.
#include <csignal>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Run run_beside_another(const Json& entry, const std::vector<std::string>& options = {}) {
  Scene scene;
  scene.add(task("bystander", "probe", "mandatory", idle_probe()));
  scene.add(entry);
  return scene.run(options);
}

}  // namespace

TEST_CASE("one line of the log says why the host stopped, and which task caused it") {
  Run run = run_beside_another(task("pump", "probe", "shutdown_on_exit", probe_that_ends("ok", "5ms")));
  CHECK(has_line(run.log(), {"stop", "pump"}));
  CHECK_FALSE(has_line(run.log(), {"stop", "pump", "bystander"}));

  Json dry = probe_that_ends("error", "5ms");
  dry["message"] = "the pump is dry";
  run = run_beside_another(task("pump", "probe", "mandatory", dry, 2));
  CHECK(has_line(run.log(), {"stop", "pump"}));
  CHECK(has_line(run.log(), {"pump", "the pump is dry"}));
}

TEST_CASE("one line of the log names the signal that stopped the host") {
  const bool interrupt = GENERATE(true, false);
  Scene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start();
  running.wait_for("task_started");
  running.send(interrupt ? SIGINT : SIGTERM);
  CHECK(has_line(running.finish().log(), {"stop", interrupt ? "SIGINT" : "SIGTERM"}));
}

TEST_CASE("one line of the log says that all tasks are done") {
  Scene scene;
  scene.add(task("cache", "probe", "detachable", probe_that_ends("ok")));
  CHECK(has_line(scene.run().log(), {"stop", "task"}));
}

TEST_CASE("a task that is discarded is named, with what went wrong") {
  Scene scene;
  Json dry = probe_that_ends("throw");
  dry["message"] = "the pump is dry";
  scene.add(task("pump", "probe", "detachable", dry, 1));
  const Run run = scene.run();
  CHECK(has_line(run.log(), {"pump", "discard"}));
  CHECK(has_line(run.log(), {"pump", "the pump is dry"}));
}

TEST_CASE("what a task logs comes with the task's name") {
  Scene scene;
  scene.add(task("pulse", "heartbeat", "mandatory"));
  Running running = scene.start();
  CHECK(running.process().wait_for_err("pulse"));
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("the log has no colours unless it goes to a terminal, and control characters can't forge lines") {
  Json forged = probe_that_ends("error");
  forged["message"] = "\x1b[31mred\x1b[0m\nforged line\rback";
  const Run run = run_beside_another(task("pump", "probe", "mandatory", forged));
  CHECK(run.log().find('\x1b') == std::string::npos);
  CHECK(run.log().find("\nforged line") == std::string::npos);
  CHECK(run.log().find('\r') == std::string::npos);
  CHECK(run.first("task_exited", "pump").message == forged["message"].get<std::string>());
}

TEST_CASE("a message of several lines is several lines of its task, and the event has it whole") {
  Json traceback = probe_that_ends("error");
  traceback["message"] = "Traceback:\n  File \"pump.py\"\nKeyError: 7";
  const Run run = run_beside_another(task("pump", "probe", "mandatory", traceback));
  CHECK(has_line(run.log(), {"warning [pump] failed", ": Traceback:"}));
  CHECK(has_line(run.log(), {"warning [pump]   |   File \"pump.py\""}));
  CHECK(has_line(run.log(), {"warning [pump]   | KeyError: 7"}));
  CHECK(run.first("task_exited", "pump").message == traceback["message"].get<std::string>());
}

TEST_CASE("lines that the level leaves out take no room from those that it shows") {
  Scene scene;
  scene.manifest["shards"] = 1;
  for (int i = 0; i < 200; ++i) scene.add(task("idle" + std::to_string(i), "probe", "detachable", idle_probe()));
  Json dry = probe_that_ends("error", "100ms");
  dry["message"] = "the pump is dry";
  for (int i = 0; i < 50; ++i) scene.add(task("pump" + std::to_string(i), "probe", "detachable", dry));
  scene.add(task("end", "probe", "shutdown_on_exit", probe_that_ends("ok", "500ms")));
  const Run run = scene.run({"--log-level", "warning"});
  CHECK(lines_with(run.log(), {"failed", "the pump is dry"}).size() == 50);
  CHECK_FALSE(has_line(run.log(), {"not logged one by one"}));
}

TEST_CASE("that a task did not stop is said once") {
  Scene scene;
  Json deaf = task("deaf", "probe_blocking", "detachable", {{"deaf", true}});
  deaf["stop_timeout"] = "50ms";
  scene.add(deaf);
  scene.add(task("end", "probe", "shutdown_on_exit", probe_that_ends("ok", "20ms")));
  const Run run = scene.run();
  CHECK(run.status() == 4);
  CHECK(lines_with(run.log(), {"[deaf]", "did not stop"}).size() == 1);
  CHECK(has_line(run.log(), {"[deaf]", "in its run; it is abandoned"}));
}

TEST_CASE("why many tasks gave up stands once at the end, with a count") {
  Scene scene;
  scene.manifest["blocking_threads"] = 4;
  for (int i = 0; i < 204; ++i) {
    scene.add(task("worker" + std::to_string(i), "probe_blocking", "detachable", idle_probe()));
  }
  scene.add(task("end", "probe", "shutdown_on_exit", probe_that_ends("ok", "500ms")));
  const Run run = scene.run({"--log-level", "warning"});
  CHECK(has_line(run.log(), {"tasks lost during this run: ", "gave up: 200 times \"no thread for a blocking task"}));
  CHECK(lines_with(run.log(), {"error", "gave up", "no thread for a blocking task"}).size() == 200);
}

TEST_CASE("with --log-format json each line of the log is a JSON object") {
  Json dry = probe_that_ends("error", "5ms");
  dry["message"] = "the \"pump\" \\ is\ndry";
  const Run run = run_beside_another(task("pump \"7\"", "probe", "mandatory", dry, 3), {"--log-format", "json"});
  REQUIRE(count_lines(run.log()) > 0);
  std::string_view rest = run.log();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    INFO(line);
    CHECK(Json::parse(line, nullptr, false).is_object());
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
}

TEST_CASE("--log-level sets how much is told: the more severe, the less") {
  Scene scene;  // only one task, so that each run logs the same
  scene.add(task("pump", "probe", "mandatory", probe_that_ends("error"), 2));
  const auto log_at = [&](const char* level) { return scene.run({"--log-level", level}).log(); };
  const std::string at_debug = log_at("debug");
  const std::string at_info = log_at("info");
  const std::string at_warning = log_at("warning");
  CHECK(count_lines(at_debug) > count_lines(at_info));
  CHECK(count_lines(at_info) > count_lines(at_warning));
  CHECK(has_line(at_info, {"pump", "started"}));
  CHECK_FALSE(has_line(at_warning, {"pump", "started"}));
  CHECK(log_at("off").empty());
  CHECK(has_line(scene.run().log(), {"pump", "started"}));  // info is the default
}

TEST_CASE("a message of any length is told, cut at 4096 bytes and still UTF-8") {
  Json endless = probe_that_ends("error");
  std::string message;
  while (message.size() < 8'000) {
    message += "Über";
  }
  endless["message"] = message;
  const Run run = run_beside_another(task("pump", "probe", "mandatory", endless));
  const std::string told = run.first("task_exited", "pump").message;
  CHECK(told.size() <= 4096 + 100);
  CHECK(told.size() >= 4000);
  CHECK(message.starts_with(told.substr(0, 4000)));
}
