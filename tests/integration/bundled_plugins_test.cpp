// The bundled plugins in the program: what they log, and the demo.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <regex>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// What holds in the host's process as well as in others.
void isolate_or_not(Scene& scene) { scene.manifest["defaults"]["isolation"] = GENERATE("none", "process"); }

}  // namespace

TEST_CASE("heartbeat and ticker log their messages again and again") {
  Scene scene;
  isolate_or_not(scene);
  scene.add(task("pulse", "heartbeat", "mandatory", {{"interval", "5ms"}, {"message", "still alive"}}));
  scene.add(task("clock", "ticker", "mandatory", {{"interval", "5ms"}, {"message", "tick tock"}}));
  Running running = scene.start();
  const auto logged = [&](std::string_view task, std::string_view message) {
    return eventually([&] { return has_line(running.process().err(), {task, message}); });
  };
  CHECK(logged("pulse", "still alive"));
  CHECK(logged("clock", "tick tock"));
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a wrong config is told before anything starts") {
  const char* plugin = GENERATE("heartbeat", "ticker", "flaky", "watcher", "line_server", "probe");
  Scene scene;
  isolate_or_not(scene);
  scene.add(task("misled", plugin, "shutdown_on_exit", {{"no_such_field", 7}}));
  const Run run = scene.run();
  CHECK(run.status() == 2);
  CHECK(run.events.count("task_started") == 0);
  CHECK(has_line(run.log(), {"/tasks/0/config", "unknown key \"no_such_field\""}));
}

TEST_CASE("watcher logs the lines that come through a named pipe, writer after writer") {
  Scene scene;
  isolate_or_not(scene);
  const std::string pipe = (scene.directory() / "orders.fifo").string();
  const bool make_it = GENERATE(true, false);
  if (make_it) {
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  }
  scene.add(task("orders", "watcher", "mandatory", {{"path", pipe}, {"create", !make_it}}));
  scene.add(task("bystander", "probe", "detachable", probe_that_ends("error", "1ms"), 20));
  Running running = scene.start();
  for (const char* order : {"three apples", "two pears", "one melon"}) {
    REQUIRE(eventually([&] { return std::filesystem::exists(pipe) || !running.process().running(); }));
    std::ofstream(pipe) << order << std::endl;
    CHECK(running.process().wait_for_err(order));
  }
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"orders", "two pears"}));
  CHECK(run.events.count("task_started", "orders") == 1);
}

TEST_CASE("watcher logs the lines of a socket, and ends well when the other side closes it") {
  Scene scene;
  isolate_or_not(scene);
  const std::string path = (scene.directory() / "orders.socket").string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  scene.add(task("orders", "watcher", "shutdown_on_exit", {{"path", path}}));
  Running running = scene.start();
  running.wait_for("task_started");
  const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  CHECK(::write(connection, "three apples\ntwo", 16) == 16);
  CHECK(running.process().wait_for_err("three apples"));
  CHECK(::write(connection, " pears\n", 7) == 7);
  CHECK(running.process().wait_for_err("two pears"));
  ::close(connection);
  ::close(listener);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_task() == "orders");
}

TEST_CASE("line_server answers while it runs, and its socket is gone after the stop") {
  Scene scene;
  isolate_or_not(scene);
  const std::string path = (scene.directory() / "lines.socket").string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  scene.add(task("lines", "line_server", "mandatory", {{"path", path}, {"report", "20ms"}}));
  Running running = scene.start();
  running.wait_for("task_ready");
  const int client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(::write(client, "ping\n", 5) == 5);
  char answer[16] = {};
  CHECK(::read(client, answer, sizeof answer) == 5);
  CHECK(std::string(answer) == "pong\n");
  CHECK(running.process().wait_for_err("1 lines in 1 connections"));
  running.send(SIGTERM);
  CHECK(::read(client, answer, sizeof answer) == 0);
  ::close(client);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"lines", "stopped after 1 lines in 1 connections"}));
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("flaky fails as often as it is told, then stays well") {
  Scene scene;
  isolate_or_not(scene);
  scene.add(task("moody", "flaky", "mandatory", {{"run_for", "5ms"}, {"fail_first", 2}, {"message", "again"}}, 3));
  Running running = scene.start();
  running.wait_for("task_started", "moody", 3);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited") == 2);
  CHECK(run.first("task_exited").message == "again");
}

TEST_CASE("the demo is a right manifest") {
  CHECK(run_program({"check", "--plugin-dir", plugin_directory().string(), demo_path().string()}).status == 0);
}

TEST_CASE(
    "the demo, a hundred times as fast, shows a task discarded, one saved by its budget, and ends well by Ctrl-C") {
  Scene scene;
  scene.text =
      std::regex_replace(read_file(demo_path()), std::regex(R"re(("(run_for|interval)": "\d+)s")re"), "$010ms\"");
  Running running = scene.start({"--plugin-dir", plugin_directory().string()});
  running.wait_for("task_ready", "ctrl_c");
  running.wait_for("task_discarded", "leaky");
  running.wait_for("task_started", "important", 3);
  running.send(SIGINT);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "task_exit");
  CHECK(run.stopping_task() == "ctrl_c");
  CHECK(run.events.count("task_started", "leaky") == 4);
  CHECK(run.events.count("task_started", "pulse") == 1);
}
