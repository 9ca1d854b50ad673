// What `taskhost verify` finds in these plugins, with their servers.
#include <list>

#include "servers.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// Several at a time, since they mostly wait.
class Verifications {
 public:
  void begin(std::string_view plugin, const Json& config = Json::object()) {
    if (!has_plugin(plugin)) return;
    Command command;
    command.program = program_path();
    command.arguments = {"verify", "--time-limit", "10s", "--config", config.dump(), library_plugin(plugin)};
    processes_.emplace_back(command);
  }
  void expect_to_pass() {
    for (Process& process : processes_) {
      const ProcessEnd end = process.wait();
      INFO(end.summary());
      CHECK(end.status == 0);
    }
  }

 private:
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
  Verifications verifications;
  const auto redis = start_redis();
  if (redis) {
    verifications.begin("redis", {{"path", redis->socket}, {"every", "10ms"}});
    verifications.begin("rust", {{"port", redis->port}, {"every", "10ms"}});
  }
  const auto mosquitto = start_mosquitto();
  if (mosquitto) verifications.begin("mqtt", {{"port", mosquitto->port}, {"every", "10ms"}});
  const auto postgres = start_postgres();
  if (postgres) {
    // Not postgres_coroutine: on a busy machine its tests do not always end in time, for a reason that is not known
    // yet.
    verifications.begin("postgres", {{"address", postgres->address}, {"every", "10ms"}});
  }
  const auto http = start_http_server("1ms");
  verifications.begin("curl", {{"url", http->url("127.0.0.1")}, {"count", 20}, {"every", "10ms"}});
  verifications.expect_to_pass();
}

TEST_CASE("a library that closes what is watched is found, even if the number is used again at once") {
  const ProcessEnd end = run_program({"verify", "--test", "run-to-its-end", library_plugin("stale")});
  CHECK(end.status == 1);
  CHECK(has_line(end.out, {"BROKEN", "rule 4.5", "closed while it was watched"}));
}
