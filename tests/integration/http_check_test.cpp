// The plugin http_check in the program, with servers that are good and bad in all ways.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "http_server.hpp"
#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

// Checks often, and has time. What the test gives takes precedence.
Json config(const std::string& url, const Json& more = Json::object()) {
  Json config{{"url", url}, {"every", "10ms"}, {"timeout", "1h"}, {"failures", 1}};
  config.update(more);
  return config;
}

Json web(const std::string& url, const Json& more = Json::object()) {
  return task("web", "http_check", "shutdown_on_exit", config(url, more));
}

// Without the proxies of the machine that runs the tests.
Running start(Scene& scene, const std::vector<std::string>& environment = {"no_proxy=*"}) {
  scene.manifest["defaults"]["stop_timeout"] = no_timeout;
  Command command = scene.command();
  command.environment.insert(command.environment.end(), environment.begin(), environment.end());
  return scene.start(command);
}

// Runs it until it ends by itself, and returns the message of its failure.
std::string failure(const std::string& url, const Json& more = Json::object()) {
  Scene scene;
  scene.add(web(url, more));
  const Run run = start(scene).finish();
  CHECK(run.status() == 1);
  CHECK(run.first("task_exited").outcome == "error");
  return run.first("task_exited").message;
}

std::string has_all(const std::string& text, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (text.find(word) == std::string::npos) return "\"" + word + "\" is missing in: " + text;
  }
  return "";
}

// Until it is ready; then it is stopped.
Run run_until_ready(Scene& scene, const std::vector<std::string>& environment = {"no_proxy=*"}) {
  Running running = start(scene, environment);
  running.wait_for("task_ready", "web");
  running.send(SIGTERM);
  Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(lines_with(run.log(), {" warning "}).empty());
  return run;
}

std::size_t entries(const std::filesystem::path& directory) {
  std::error_code error;
  const auto all = std::filesystem::directory_iterator(directory, error);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

TEST_CASE("a wrong config of http_check is told by `taskhost check`, with what to do, and never with a password") {
  struct Row {
    Json config;
    const char* place;
    const char* words;
  };
  const std::string url = "http://localhost/";
  const std::vector<Row> rows = {
      {Json::object(), "/url", "is missing"},
      {{{"url", 7}}, "/url", "must be"},
      {{{"url", ""}}, "/url", "must be an address such as \"http://localhost:8080/health\""},
      {{{"url", "localhost:8080"}}, "/url", "must be"},
      {{{"url", "http://me:secret@local host/"}},
       "/url",
       "must be an address such as \"http://localhost:8080/health\""},
      {{{"url", "http://me:secret@localhost:99999/"}},
       "/url",
       "must be an address such as \"http://localhost:8080/health\""},
      {{{"url", "file:///etc/passwd"}}, "/url", "must begin with http:// or https://"},
      {{{"url", "ftp://me:secret@localhost/"}}, "/url", "must begin with http:// or https://"},
      {{{"url", url}, {"evry", "1s"}}, "", "unknown key \"evry\"; did you mean \"every\"?"},
      {{{"url", url}, {"every", 5}}, "/every", "must be a duration"},
      {{{"url", url}, {"every", "9ms"}}, "/every", "must be at least 10ms"},
      {{{"url", url}, {"timeout", true}}, "/timeout", "must be a duration"},
      {{{"url", url}, {"timeout", "0s"}}, "/timeout", "must be 1ms to 1h"},
      {{{"url", url}, {"timeout", "2h"}}, "/timeout", "must be 1ms to 1h"},
      {{{"url", url}, {"failures", 0}}, "/failures", "must be"},
      {{{"url", url}, {"failures", "3"}}, "/failures", "must be"},
      {{{"url", url}, {"expect", "200"}}, "/expect", "must be a status from 100 to 599, or a list such as [200, 204]"},
      {{{"url", url}, {"expect", 99}}, "/expect", "must be a status from 100 to 599, or a list such as [200, 204]"},
      {{{"url", url}, {"expect", {200, 600}}}, "/expect/1", "must be"},
      {{{"url", url}, {"expect", Json(17, 200)}}, "/expect", "has 17 numbers; at most 16"},
      {{{"url", url}, {"contains", 1}}, "/contains", "must be"},
      {{{"url", url}, {"contains", ""}}, "/contains", "must have 1 to 256 bytes"},
      {{{"url", url}, {"contains", std::string(257, 'x')}}, "/contains", "must have 1 to 256 bytes"},
      {{{"url", url}, {"contains", "ok"}, {"method", "HEAD"}}, "/contains", "an answer to HEAD has no body"},
      {{{"url", url}, {"method", "POST"}}, "/method", "must be \"GET\" or \"HEAD\""},
      {{{"url", url}, {"method", Json::array()}}, "/method", "must be"},
      {{{"url", url}, {"redirects", -1}}, "/redirects", "must be"},
      {{{"url", url}, {"redirects", true}}, "/redirects", "must be"},
      {{{"url", url}, {"unix_socket", ""}}, "/unix_socket", "must be the path of a socket, of 1 to 107 bytes"},
      {{{"url", url}, {"unix_socket", std::string(108, 'x')}}, "/unix_socket", "must be the path of a socket"},
      {{{"url", url}, {"unix_socket", 1}}, "/unix_socket", "must be"},
  };
  // All in one manifest: each fault has a line of its own.
  Scene scene;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    scene.add(task("web-" + std::to_string(i), "http_check", "detachable", rows[i].config));
  }
  scene.command();  // writes the manifest
  const ProcessEnd end = run_program({"check", scene.manifest_path().string()});
  CHECK(end.status == 2);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(rows[i].config.dump(), end.err);
    CHECK(has_line(end.err, {"/tasks/" + std::to_string(i) + "/config" + rows[i].place + " (line ", rows[i].words}));
  }
  CHECK(end.err.find("secret") == std::string::npos);
}

TEST_CASE("`taskhost check` accepts what http_check can work with, and starts nothing") {
  HttpServer server(answer("200"));
  Scene scene;
  scene.add(web(server.url("/", "me:secret")));
  scene.add(task("all", "http_check", "detachable",
                 {{"url", "https://example.org:8443/health?deep=1"},
                  {"every", "1.5s"},
                  {"timeout", "1h"},
                  {"failures", 1000},
                  {"expect", {200, 204, 301}},
                  {"contains", std::string(256, 'x')},
                  {"method", "GET"},
                  {"redirects", 20},
                  {"unix_socket", std::string(107, 'x')}}));
  scene.add(task("one", "http_check", "detachable", {{"url", "http://[::1]/"}, {"expect", 404}, {"method", "HEAD"}}));
  scene.command();
  CHECK(run_program({"check", scene.manifest_path().string()}).status == 0);
  CHECK(server.requests().empty());
}

TEST_CASE("http_check is ready once the server has answered as expected") {
  struct Row {
    Answer answer;
    Json config;
    const char* request = "GET / HTTP/1.1\r\n";
  };
  const std::string head = "HTTP/1.1 200 OK\r\n";
  const Row row = GENERATE_COPY(
      Row{answer("200"), Json::object()}, Row{answer("204", ""), Json::object()}, Row{answer("404"), {{"expect", 404}}},
      Row{answer("301"), {{"expect", {200, 301}}}},
      Row{{{head + "Content-Length: 1000\r\n\r\n"}, Answer::hold}, {{"method", "HEAD"}}, "HEAD / HTTP/1.1\r\n"},
      // The body's text is found wherever the pieces end, and although it begins several times.
      Row{{{head + "\r\n", "aabaab", "aaab"}}, {{"contains", "aabaaab"}}},
      Row{{{head + "Transfer-Encoding: chunked\r\n\r\n2\r\nwe\r\n", "2\r\nll\r\n0\r\n\r\n"}}, {{"contains", "well"}}},
      // Of an endless body the beginning is enough.
      Row{{{head + "\r\n", "well"}, Answer::flood}, {{"contains", "well"}}},
      Row{{{"HTTP/1.1 100 Continue\r\n\r\n", head + "\r\n"}}, Json::object()});
  CAPTURE(row.answer.parts, row.config.dump());
  HttpServer server(row.answer);
  Scene scene;
  scene.add(web(server.url(), row.config));
  const Run run = run_until_ready(scene);
  CHECK(has_all(server.first_request(), {row.request, "User-Agent: taskhost-http_check/1.0\r\n"}) == "");
}

TEST_CASE("http_check fails with the reason, and what to do, if the answer is not the expected one") {
  struct Row {
    Answer answer;
    Json config;
    std::vector<std::string> words;
  };
  const std::string head = "HTTP/1.1 200 OK\r\n";
  const Json soon = {{"timeout", "100ms"}};
  const std::vector<std::string> too_late = {"no complete answer within 100 ms", "does the server hang"};
  const Row row = GENERATE_COPY(
      Row{answer("503"), Json::object(), {"the status is 503", "see the server's log"}},
      Row{answer("200"), {{"expect", {204}}}, {"the status is 200", "add it to \"expect\""}},
      Row{answer("301", "", "Location: /other\r\n"),
          Json::object(),
          {"the status is 301, a redirect", "\"redirects\""}},
      Row{answer("302", "", "Location: /\r\n"), {{"redirects", 3}}, {"Maximum (3) redirects followed"}},
      Row{answer("302", "", "Location: file:///etc/passwd\r\n"), {{"redirects", 3}}, {"rotocol \"file\" "}},
      Row{answer("200", "ill"), {{"contains", "well"}}, {"the answer of 3 bytes does not contain \"well\""}},
      Row{{{head + "\r\n"}, Answer::flood},
          {{"contains", "well"}},
          {"the answer of more than 1", " bytes does not contain \"well\""}},
      // Servers that accept and never answer; answer without an end; stop in the middle; end too early.
      Row{{{}, Answer::hold}, soon, too_late}, Row{{{head + "X: "}, Answer::drip}, soon, too_late},
      Row{{{head + "\r\n"}, Answer::drip}, soon, too_late},
      Row{{{head + "Content-Length: 3\r\n\r\nok"}, Answer::hold}, soon, too_late},
      Row{{{}, Answer::close}, Json::object(), {"Empty reply from server", "see the server's log"}},
      Row{{{head + "Content-Length: 3\r\n\r\nok"}}, Json::object(), {"1 bytes remaining", "see the server's log"}},
      Row{{{head + "Transfer-Encoding: chunked\r\n\r\n5\r\nok"}}, Json::object(), {"see the server's log"}},
      Row{{{"SSH-2.0-OpenSSH_9.2\r\n\r\n"}}, Json::object(), {"HTTP/0.9", "see the server's log"}});
  CAPTURE(row.answer.parts, row.config.dump());
  HttpServer server(row.answer);
  const std::string message = failure(server.url("/health?deep=1", "me:secret"), row.config);
  CHECK(has_all(message, {server.url("/health?deep=1") + ": "}) == "");
  CHECK(has_all(message, row.words) == "");
  CHECK(message.find("secret") == std::string::npos);
  // The name and the password are used, though.
  CHECK(has_all(server.first_request(), {"GET /health?deep=1 ", "Authorization: Basic bWU6c2VjcmV0\r\n"}) == "");
}

TEST_CASE("http_check fails if nobody listens") {
  const ClosedPort port;
  CHECK(failure(port.url()) == port.url() + ": can't connect: Connection refused; does the server run?");
  Scene scene;
  const std::string path = (scene.directory() / "nobody").string();
  CHECK(has_all(failure("http://localhost/", {{"unix_socket", path}}), {"can't connect", "does the server run?"}) ==
        "");
}

TEST_CASE("http_check logs once when the answers turn bad, and once when they turn good again") {
  std::atomic<int> bad{0};
  HttpServer server([&bad](const std::string&) { return bad-- > 0 ? answer("503") : answer("200"); });
  Scene scene;
  scene.add(web(server.url(), {{"failures", 4}}));
  Running running = start(scene);
  running.wait_for("task_ready", "web");
  for (std::size_t turn = 1; turn <= 2; ++turn) {
    bad = 3;
    CHECK(eventually([&] { return lines_with(running.process().err(), {"is well again"}).size() == turn; }));
    CHECK(lines_with(running.process().err(), {" warning ", "the status is 503"}).size() == turn);
  }
  bad = 4;
  const Run run = running.finish();
  CHECK(run.status() == 1);
  CHECK(run.first("task_exited").message ==
        server.url() +
            ": failed 4 times in a row: the status is 503; see the server's log, or add it to \"expect\" if " +
            "it is right");
}

TEST_CASE("a failed check uses up the task's restarts, and its budget decides what that means") {
  HttpServer server(answer("500"));
  const ClosedPort port;
  Scene scene;
  Json good = task("web", "http_check", "mandatory", config(server.url(), {{"expect", 500}}));
  good["ready"] = "notify";
  scene.add(good);
  Json next = task("next", "http_check", "detachable", config(port.url(), {{"failures", 2}}), 2);
  next["after"] = {"web"};
  scene.add(next);
  Running running = start(scene);
  running.wait_for("task_discarded", "next");
  CHECK(running.process().running());
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_started", "next") == 3);
  CHECK(seq_of(run, "task_ready", "web") < seq_of(run, "task_started", "next"));
}

TEST_CASE("http_check follows redirects if it may, and sends no password to another server") {
  HttpServer other(answer("200", "well"));
  HttpServer server(answer("307", "ill", "Location: " + other.url("/there") + "\r\n"));
  Scene scene;
  scene.add(web(server.url("/", "me:secret"), {{"redirects", 1}, {"contains", "well"}}));
  run_until_ready(scene);
  CHECK(has_all(server.first_request(), {"Authorization: Basic "}) == "");
  CHECK(has_all(other.first_request(), {"GET /there HTTP/1.1\r\n"}) == "");
  CHECK(other.first_request().find("Authorization") == std::string::npos);
}

TEST_CASE("http_check asks through a UNIX socket, past all proxies, or through the environment's proxy") {
  Scene scene;
  const std::string path = (scene.directory() / "web.socket").string();
  HttpServer local([](const std::string&) { return answer("200"); }, path);
  HttpServer proxy(answer("200"));
  SECTION("a socket") {
    scene.add(web("http://some.where.invalid/health", {{"unix_socket", path}}));
    run_until_ready(scene, {"no_proxy=", "http_proxy=" + proxy.url()});
    CHECK(has_all(local.first_request(), {"GET /health HTTP/1.1\r\n", "Host: some.where.invalid\r\n"}) == "");
    CHECK(proxy.requests().empty());
  }
  SECTION("a proxy") {
    scene.add(web("http://some.where.invalid/health"));
    run_until_ready(scene, {"no_proxy=", "http_proxy=" + proxy.url()});
    CHECK(has_all(proxy.first_request(), {"GET http://some.where.invalid/health HTTP/1.1\r\n"}) == "");
  }
}

TEST_CASE("http_check is stopped in time in any phase") {
  const Answer row = GENERATE(Answer{{}, Answer::hold}, Answer{{"HTTP/1.1 200 OK\r\n"}, Answer::hold},
                              Answer{{"HTTP/1.1 200 OK\r\n\r\n"}, Answer::drip}, answer("200"));
  CAPTURE(row.parts);
  HttpServer server(row);
  Scene scene;
  scene.add(web(server.url(), {{"every", "1h"}}));
  Running running = start(scene);
  REQUIRE(eventually([&] { return !server.requests().empty(); }));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(lines_with(run.log(), {" warning "}).empty());
  CHECK(eventually([&] { return server.open_connections() == 0; }));
}

TEST_CASE("many tasks ask at once, and the silence of some does not concern the others") {
  HttpServer silent(Answer{{}, Answer::hold});
  HttpServer server(answer("200"));
  Scene scene;
  scene.manifest["shards"] = 2;
  for (int i = 0; i < 40; ++i) {
    scene.add(task("web-" + std::to_string(i), "http_check", "mandatory",
                   config((i % 2 == 0 ? server : silent).url("/" + std::to_string(i)))));
  }
  Running running = start(scene);
  CHECK(eventually([&] { return silent.requests().size() == 20 && server.requests().size() > 200; }));
  running.wait_for("task_ready", "", 20);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stopped") == 40);
}

TEST_CASE("restarts of http_check leave no descriptors and no threads behind") {
  HttpServer server(answer("500"));
  Scene scene;
  const unsigned restarts = 300;
  scene.add(task("web", "http_check", "detachable", config(server.url()), restarts));
  scene.add(task("pulse", "heartbeat", "mandatory", {{"interval", "1h"}}));
  Running running = start(scene);
  const std::filesystem::path facts = "/proc/" + std::to_string(running.process().id());
  running.wait_for("task_started", "web", 20);
  const std::size_t descriptors = entries(facts / "fd");
  running.wait_for("task_discarded", "web");
  // Threads for blocking work stay for a while, but not one for each execution.
  CHECK(entries(facts / "fd") <= descriptors + 4);
  CHECK(entries(facts / "task") <= 20);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
  CHECK(server.requests().size() == restarts + 1);
}

TEST_CASE("http_check says so if the process has no descriptors left") {
  if (address_sanitizer) return;  // with that for undefined behaviour, which needs descriptors itself
  HttpServer silent(Answer{{}, Answer::hold});
  Scene scene;
  scene.manifest["shards"] = 1;
  for (int i = 0; i < 60; ++i) {
    scene.add(task("web-" + std::to_string(i), "http_check", "detachable", config(silent.url(), {{"failures", 1000}})));
  }
  scene.manifest["defaults"]["stop_timeout"] = no_timeout;
  Command command = scene.command();
  command.environment.emplace_back("no_proxy=*");
  command.limits.emplace_back(RLIMIT_NOFILE, 100);
  Running running = scene.start(command);
  CHECK(running.process().wait_for_err("no descriptor is left for a connection; raise the limit (ulimit -n)"));
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

#ifdef TASKHOST_TEST_SLOW_NAMES
TEST_CASE("http_check goes on though all threads for what blocks are taken") {
  std::atomic<int> requests{0};
  std::promise<void> many;
  HttpServer server([&](const std::string&) {
    if (++requests == 10) many.set_value();
    return answer("200");
  });
  Scene scene;
  scene.manifest["blocking_threads"] = 1;
  scene.add(task("taken", "probe_blocking", "mandatory"));
  scene.add(web(server.url(), {{"every", "20ms"}, {"timeout", "100ms"}}));
  Running running = start(scene);
  running.wait_for("task_ready", "web");
  many.get_future().wait();
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.log().find("still busy with an earlier check") == std::string::npos);
}

TEST_CASE("a resolver of names that hangs makes checks fail, and blocks neither other tasks nor the stop") {
  Scene scene;
  const std::string file = (scene.directory() / "answer").string();
  const std::vector<std::string> environment = {"no_proxy=*", "LD_PRELOAD=" TASKHOST_TEST_SLOW_NAMES,
                                                "TASKHOST_TEST_NAMES=" + file};
  scene.manifest["shards"] = 1;
  scene.manifest["stall_limit"] = "5s";
  scene.add(task("pulse", "heartbeat", "mandatory", {{"interval", "5ms"}, {"message", "beat"}}));
  SECTION("it hangs during the check, and answers later") {
    scene.add(task("web", "http_check", "mandatory",
                   config("http://some.where.invalid/", {{"timeout", "50ms"}, {"failures", 1000}})));
    Running running = start(scene, environment);
    CHECK(running.process().wait_for_err("no complete answer within 50 ms"));
    const std::size_t beats = lines_with(running.process().err(), {"beat"}).size();
    CHECK(eventually([&] { return lines_with(running.process().err(), {"beat"}).size() > beats + 20; }));
    std::ofstream(file).close();
    CHECK(running.process().wait_for_err("the resolver has answered"));
    running.send(SIGTERM);
    const Run run = running.finish();
    CHECK(run.status() == 0);
    CHECK(run.events.count("task_stalled") == 0);
  }
  SECTION("an earlier check is still busy") {
    scene.add(web("http://some.where.invalid/", {{"timeout", "50ms"}, {"failures", 3}}));
    Running running = start(scene, environment);
    const Run run = running.finish();
    CHECK(run.status() == 1);
    CHECK(has_all(run.first("task_exited").message,
                  {"http://some.where.invalid/: failed 3 times in a row: ", "does the resolver of names hang?"}) == "");
    CHECK(run.events.count("task_stalled") == 0);
  }
  SECTION("the stop comes meanwhile") {
    scene.add(web("http://some.where.invalid/"));
    Running running = start(scene, environment);
    CHECK(running.process().wait_for_err("beat"));
    running.send(SIGTERM);
    const Run run = running.finish();
    CHECK(run.status() == 0);
    CHECK(run.events.count("task_stalled") == 0);
  }
  SECTION("it answers that there is no such name") {
    std::ofstream(file).close();
    scene.add(web("http://me:secret@some.where.invalid/"));
    const Run run = start(scene, environment).finish();
    CHECK(run.status() == 1);
    CHECK(run.first("task_exited").message ==
          "http://some.where.invalid/: Could not resolve host: some.where.invalid; is the name right, and does the "
          "network work?");
  }
}
#endif

// With a good server it may fail as often as it likes: verify's clock jumps as soon as it finds nothing to do, over
// time limits, too, although the server would have answered.
TEST_CASE("http_check passes `taskhost verify`") {
  HttpServer server(answer("200"));
  const ClosedPort port;
  const bool is_good = GENERATE(true, false);
  Command command;
  command.program = program_path();
  command.environment = {"no_proxy=*"};
  const Json config{{"url", is_good ? server.url() : port.url()}, {"every", "10ms"}, {"failures", is_good ? 1000 : 1}};
  command.arguments = {"verify", plugin_path("http_check").string(), "--config", config.dump()};
  const ProcessEnd end = Process(command).wait();
  INFO(end.out << end.err);
  CHECK(end.status == 0);
  CHECK(has_line(end.out, {"run to its end", "got ready"}) == is_good);
}
