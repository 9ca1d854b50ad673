// What `taskhost verify` finds in these plugins, with their servers.
#include "servers.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

void expect_to_pass(std::string_view plugin, const Json& config) {
  if (!has_plugin(plugin)) return;
  const ProcessEnd end =
      run_program({"verify", "--time-limit", "2s", "--config", config.dump(), library_plugin(plugin)});
  INFO(end.out);
  CHECK(end.status == 0);
}

}  // namespace

TEST_CASE("plugins that need no server keep the contract") {
  for (const char* name : {"patience", "pong", "stale", "glib", "libuv", "kafka"}) expect_to_pass(name, Json::object());
  expect_to_pass("http_server", {{"port", free_port()}});
}

TEST_CASE("clients keep the contract") {
  if (const auto redis = start_redis()) {
    expect_to_pass("redis", {{"path", redis->socket}, {"every", "10ms"}});
    expect_to_pass("rust", {{"port", redis->port}, {"every", "10ms"}});
  }
  if (const auto mosquitto = start_mosquitto()) {
    expect_to_pass("mqtt", {{"port", mosquitto->port}, {"every", "10ms"}});
  }
  if (const auto postgres = start_postgres()) {
    const Json config = {{"address", postgres->address}, {"every", "10ms"}};
    expect_to_pass("postgres", config);
    expect_to_pass("postgres_coroutine", config);
  }
  const auto http = start_http_server("1ms");
  expect_to_pass("curl", {{"url", http->url("127.0.0.1")}, {"count", 20}, {"every", "10ms"}});
}
