// What `taskhost verify` finds in these plugins, with their servers.
#include <atomic>
#include <thread>

#include "servers.hpp"
#include "support/catch.hpp"
#include "verification.hpp"

using namespace taskhost::test;

namespace {

// The limit is for each test, and may be long: most end when they have had enough executions. On a busy machine it
// takes long until a server has accepted the hundred connections of "many executions".
constexpr const char* client_time_limit = "60s";

// What shows that executions did what the plugin is for, and not only failed as they should: a client got an answer and
// said that it is ready, or it ended well by itself.
constexpr const char* answered = "ready";
constexpr const char* ended = "ended_well";

class Verifications {
 public:
  explicit Verifications(std::string time_limit = "10s") : time_limit_(std::move(time_limit)) {}

  void add(std::string_view plugin, const Json& config = Json::object(), const char* shown_by = answered) {
    if (!has_plugin(plugin)) return;
    jobs_.push_back({library_plugin(plugin),
                     {"--time-limit", time_limit_, "--config", config.dump()},
                     {},
                     std::chrono::minutes(5)});
    shown_by_.push_back(shown_by);
  }
  // All at the same time, since they mostly wait.
  void expect_to_pass() const {
    const std::vector<Verification> results = verify_all(jobs_, static_cast<int>(jobs_.size()));
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      INFO(jobs_[i].plugin << "\n" << results[i].end.summary());
      CHECK(results[i].status() == 0);
      CHECK(results[i].done("run to its end", shown_by_[i]) > 0);
    }
  }

 private:
  const std::string time_limit_;
  std::vector<Job> jobs_;
  std::vector<const char*> shown_by_;
};

}  // namespace

TEST_CASE("plugins that need no server keep the contract") {
  Verifications verifications;
  verifications.add("patience", Json::object(), ended);
  verifications.add("pong", {{"rounds", 10}}, ended);
  for (const char* plugin : {"libuv", "glib", "kafka"}) verifications.add(plugin);
  verifications.add("http_server", {{"port", free_port()}});
  verifications.expect_to_pass();
}

TEST_CASE("clients keep the contract, and have got answers") {
  Verifications verifications(client_time_limit);
  const auto redis = start_redis();
  if (redis) {
    verifications.add("redis", {{"path", redis->socket}, {"every", "10ms"}});
    verifications.add("rust", {{"port", redis->port}, {"every", "10ms"}});
  }
  const auto mosquitto = start_mosquitto();
  if (mosquitto) verifications.add("mqtt", {{"port", mosquitto->port}, {"every", "10ms"}});
  const auto postgres = start_postgres();
  if (postgres) verifications.add("postgres", {{"address", postgres->address}, {"every", "10ms"}});
  const auto http = start_http_server("1ms");
  verifications.add("curl", {{"url", http->url("127.0.0.1")}, {"count", 20}, {"every", "10ms"}});
  verifications.expect_to_pass();
}

TEST_CASE("a server keeps the contract while it answers") {
  if (!has_plugin("http_server")) return;
  const std::uint16_t port = free_port();
  std::atomic<bool> is_over = false;
  std::atomic<int> answers = 0;
  std::thread visitor([&] {
    while (!is_over) {
      if (answers_http(port)) ++answers;
    }
  });
  const Verification result =
      verify(library_plugin("http_server"), {"--test", "run-to-its-end", "--config", Json{{"port", port}}.dump()});
  is_over = true;
  visitor.join();
  INFO(result.end.summary());
  CHECK(result.status() == 0);
  CHECK(answers > 0);
}

// With a server of its own: one that "many executions" of another client has left thousands of connections to answer
// lets a new one wait for seconds, and with it the thread that connects.
TEST_CASE("a client that connects on another thread keeps the contract") {
  if (!has_plugin("postgres_coroutine")) return;
  const auto postgres = start_postgres();
  if (!postgres) return;
  Verifications verifications(client_time_limit);
  verifications.add("postgres_coroutine", {{"address", postgres->address}, {"every", "10ms"}});
  verifications.expect_to_pass();
}

TEST_CASE("a client that waits for a server that never answers is not polled all the time") {
  const SilentServer server;
  const auto expect_few_polls = [&](const char* plugin, const Json& config) {
    if (!has_plugin(plugin)) return;
    const Verification result = verify(library_plugin(plugin), {"--test", "run-to-its-end", "--config", config.dump()});
    INFO(result.end.summary());
    CHECK(result.status() == 0);
    CHECK(result.done("run to its end", "executions") > 0);
    CHECK(result.done("run to its end", "polls") < 100);
    CHECK(result.done("run to its end", answered) == 0);
  };
  expect_few_polls("postgres", {{"address", "host=" + server.directory.path().string() + " user=tester"}});
  expect_few_polls("rust", {{"port", server.port}});
}

TEST_CASE("a library that closes what is watched is found, even if the number is used again at once") {
  const ProcessEnd end = run_program({"verify", "--test", "run-to-its-end", library_plugin("stale")});
  CHECK(end.status == 1);
  CHECK(has_line(end.out, {"BROKEN", "rule 4.5", "closed while it was watched"}));
}
