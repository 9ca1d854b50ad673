// Clients of real servers: they are ready when they have had an answer, fail when their server is killed, and are ready
// again when it is back.
#include <csignal>

#include "servers.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// All clients in one host; the server is killed and started again under them.
void expect_to_outlive(Server& server, const std::vector<Json>& tasks) {
  Scene scene;
  prepare(scene);
  for (const Json& entry : tasks) scene.add(entry);
  std::vector<std::string> names;
  for (const Json& entry : tasks) names.push_back(entry["name"]);
  Running running = scene.start();
  for (const std::string& name : names) running.wait_for("task_ready", name);
  for (int time = 1; time <= 2; ++time) restart_under(running, server, names);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  for (const std::string& name : names) {
    CHECK(run.first("task_exited", name).outcome == "error");
    CHECK(run.events.count("task_stopped", name) == 1);
  }
  CHECK(run.events.count("task_stalled") == 0);
  CHECK_FALSE(has_line(run.log(), {"rule"}));  // nothing was refused
}

}  // namespace

TEST_CASE("clients of Redis, in C and in Rust, outlive its end") {
  if (!has_plugin("redis")) return;
  const auto redis = start_redis();
  if (!redis) return;
  std::vector<Json> tasks = {client_task("redis", {{"path", redis->socket}, {"every", "10ms"}})};
  if (has_plugin("rust")) tasks.push_back(client_task("rust", {{"port", redis->port}, {"every", "10ms"}}));
  expect_to_outlive(*redis->server, tasks);
}

TEST_CASE("a client of an MQTT broker outlives its end") {
  if (!has_plugin("mqtt")) return;
  const auto mosquitto = start_mosquitto();
  if (!mosquitto) return;
  expect_to_outlive(*mosquitto->server,
                    {client_task("mqtt", {{"host", "localhost"}, {"port", mosquitto->port}, {"every", "10ms"}})});
}

TEST_CASE("clients of PostgreSQL, with poll and as a coroutine, outlive its end") {
  if (!has_plugin("postgres")) return;
  const auto postgres = start_postgres();
  if (!postgres) return;
  const Json config = {{"address", postgres->address}, {"every", "10ms"}};
  expect_to_outlive(*postgres->server, {client_task("postgres", config), client_task("postgres_coroutine", config)});
}
