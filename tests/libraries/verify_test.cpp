// What `taskhost verify` finds in these plugins, with their servers.
#include <list>

#include "servers.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// On a busy machine it takes long until a server has accepted the hundred connections of "many executions".
constexpr const char* client_time_limit = "60s";

// Several at a time, since they mostly wait.
class Verifications {
 public:
  // The limit is for each test, and may be long: most end when they have had enough executions.
  explicit Verifications(std::string time_limit = "10s") : time_limit_(std::move(time_limit)) {}

  void begin(std::string_view plugin, const Json& config = Json::object()) {
    if (!has_plugin(plugin)) return;
    Command command;
    command.program = program_path();
    command.arguments = {"verify", "--time-limit", time_limit_, "--config", config.dump(), library_plugin(plugin)};
    processes_.emplace_back(command);
  }
  void expect_to_pass() {
    for (Process& process : processes_) {
      const ProcessEnd end = process.wait(std::chrono::minutes(5));
      INFO(end.summary());
      CHECK(end.status == 0);
    }
  }

 private:
  std::string time_limit_;
  std::list<Process> processes_;
};

}  // namespace

TEST_CASE("plugins that need no server keep the contract") {
  Verifications verifications;
  for (const char* plugin : {"patience", "pong", "libuv"}) verifications.begin(plugin);
  verifications.begin("glib");
  verifications.begin("kafka");
  verifications.begin("http_server", {{"port", free_port()}});
  verifications.expect_to_pass();
}

TEST_CASE("clients keep the contract") {
  Verifications verifications(client_time_limit);
  const auto redis = start_redis();
  if (redis) {
    verifications.begin("redis", {{"path", redis->socket}, {"every", "10ms"}});
    verifications.begin("rust", {{"port", redis->port}, {"every", "10ms"}});
  }
  const auto mosquitto = start_mosquitto();
  if (mosquitto) verifications.begin("mqtt", {{"port", mosquitto->port}, {"every", "10ms"}});
  const auto postgres = start_postgres();
  if (postgres) verifications.begin("postgres", {{"address", postgres->address}, {"every", "10ms"}});
  const auto http = start_http_server("1ms");
  verifications.begin("curl", {{"url", http->url("127.0.0.1")}, {"count", 20}, {"every", "10ms"}});
  verifications.expect_to_pass();
}

// With a server of its own: one that "many executions" of another client has left thousands of connections to answer
// lets a new one wait for seconds, and with it the thread that connects.
TEST_CASE("a client that connects on another thread keeps the contract") {
  if (!has_plugin("postgres_coroutine")) return;
  const auto postgres = start_postgres();
  if (!postgres) return;
  Verifications verifications(client_time_limit);
  verifications.begin("postgres_coroutine", {{"address", postgres->address}, {"every", "10ms"}});
  verifications.expect_to_pass();
}

TEST_CASE("a client that waits for a server that never answers is not polled all the time") {
  const SilentServer server;
  const auto expect_few_polls = [&](const char* plugin, const Json& config) {
    if (!has_plugin(plugin)) return;
    const ProcessEnd end = run_program(
        {"verify", "--json", "--test", "run-to-its-end", "--config", config.dump(), library_plugin(plugin)});
    INFO(end.summary());
    CHECK(end.status == 0);
    const std::size_t at = end.out.find("\"polls\":");
    REQUIRE(at != std::string::npos);
    CHECK(std::stoul(end.out.substr(at + 8)) < 100);
  };
  expect_few_polls("postgres", {{"address", "host=" + server.directory.path().string() + " user=tester"}});
  expect_few_polls("rust", {{"port", server.port}});
}

TEST_CASE("a library that closes what is watched is found, even if the number is used again at once") {
  const ProcessEnd end = run_program({"verify", "--test", "run-to-its-end", library_plugin("stale")});
  CHECK(end.status == 1);
  CHECK(has_line(end.out, {"BROKEN", "rule 4.5", "closed while it was watched"}));
}
