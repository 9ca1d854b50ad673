// 500 transfers at once by libcurl, from the server that Boost.Beast makes of a task.
#include <csignal>

#include "servers.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

TEST_CASE("libcurl fetches 500 URLs at once, and again after the server was killed under it") {
  if (!has_plugin("curl")) return;
  const auto http = start_http_server("100ms");
  Scene scene;
  prepare(scene);
  const char* host = GENERATE("127.0.0.1", "localhost");  // a name is resolved on libcurl's threads
  scene.add(client_task("curl", {{"url", http->url(host)}, {"count", 500}, {"every", "1ms"}}));
  Running running = scene.start();
  running.wait_for("task_ready", "curl");
  for (int time = 1; time <= 2; ++time) restart_under(running, *http->server, {"curl"});
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"500 of 500 answered"}));
  CHECK(run.events.count("task_stopped", "curl") == 1);
  CHECK(run.events.count("task_stalled") == 0);
  CHECK_FALSE(has_line(run.log(), {"rule"}));
}

TEST_CASE("a server with Boost.Beast in `run` has 500 connections at once") {
  if (!has_plugin("curl")) return;
  Scene scene;
  prepare(scene);
  const std::uint16_t port = free_port();
  const std::string url = "http://127.0.0.1:" + std::to_string(port) + "/";
  scene.add(client_task("http_server", {{"port", port}, {"delay", "1s"}}));
  scene.add(client_task("curl", {{"url", url}, {"count", 500}, {"every", "1ms"}}));
  scene.manifest["tasks"][1]["after"] = {"http_server"};
  Running running = scene.start();
  running.wait_for("task_ready", "curl");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"500 connections at most"}));
}
