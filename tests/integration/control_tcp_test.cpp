// The API on TCP, its token, and what is wrong about the options for operators.
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "control_scene.hpp"

using namespace taskhost::test;

namespace fs = std::filesystem;

namespace {

void write_text(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

}  // namespace

TEST_CASE("on TCP a host can be looked at, but changed only with its token") {
  Scene scene;
  scene.add(task("feed", "probe", "mandatory", idle_probe(), 3));
  const std::string token = "0123456789abcdef0123";
  const fs::path file = scene.directory() / "token";
  write_text(file, token + "\n");
  fs::permissions(file, fs::perms::owner_read);
  Running running = scene.start({"--control", "off", "--listen", "127.0.0.1:0", "--listen-token-file", file.string()});
  REQUIRE(running.process().wait_for_err("the API is at http://127.0.0.1:"));
  const int port = port_of(running.process().err());
  REQUIRE(port != 0);
  CHECK(ask(port, "GET", "/v1/tasks").status == 200);
  CHECK(ask(port, "POST", "/v1/stop").status == 401);
  CHECK(ask(port, "POST", "/v1/stop", "Authorization: Bearer 0123456789abcdef0124\r\n").status == 401);
  CHECK(ask(port, "GET", "/v1/host").json()["orders"] == "token");
  CHECK(ask(port, "GET", "/v1/host", "Authorization: Bearer " + token + "\r\n").json()["orders"] == "accepted");
  CHECK(ask(port, "GET", "/v1/tasks", "Host: evil.example\r\n").status == 403);
  CHECK(ask(port, "GET", "/v1/tasks", "Origin: http://evil.example\r\n").status == 403);
  CHECK(ask(port, "GET", "/v1/tasks", "Sec-Fetch-Site: cross-site\r\n").status == 403);
  CHECK(ask(port, "GET", "/v1/tasks", "Host: 10.0.0.7:9000\r\n").status == 200);
  // A page that has come through a proxy has an origin of its own.
  const std::string proxied = "Origin: https://ops.example.org\r\nSec-Fetch-Site: same-origin\r\n";
  CHECK(ask(port, "POST", "/v1/tasks/feed/restart", proxied).status == 401);
  const std::string known = "Authorization: Bearer " + token + "\r\n";
  CHECK(ask(port, "POST", "/v1/tasks/feed/restart", proxied + known).status / 100 == 2);  // done already, or not yet
  CHECK(ask(port, "GET", "/metrics", "Host: taskhost:9000\r\n" + known).status == 200);
  CHECK(ask(port, "POST", "/v1/stop", known).status == 202);
  running.expect_operators();
  CHECK(running.finish().status() == 0);
}

TEST_CASE("without a token, TCP is for looking only") {
  Scene scene;
  scene.add(task("feed", "probe", "mandatory", idle_probe(), 3));
  Running running = scene.start({"--control", "off", "--listen", "127.0.0.1:0"});
  REQUIRE(running.process().wait_for_err("the API is at http://127.0.0.1:"));
  const int port = port_of(running.process().err());
  CHECK(ask(port, "GET", "/v1/host").json()["orders"] == "refused");
  const HttpAnswer answer = ask(port, "POST", "/v1/tasks/feed/stop");
  CHECK(answer.status == 403);
  CHECK(answer.json()["message"].get<std::string>().find("--listen-token-file") != std::string::npos);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("wrong options for operators end the program with 2, and say what would be right") {
  struct Row {
    std::vector<std::string> options;
    std::string words;
  };
  Scene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  const fs::path open_token = scene.directory() / "open";
  write_text(open_token, "0123456789abcdef\n");
  fs::permissions(open_token, fs::perms::owner_read | fs::perms::others_read);
  const fs::path short_token = scene.directory() / "short";
  write_text(short_token, "secret\n");
  fs::permissions(short_token, fs::perms::owner_read);
  const fs::path spaced_token = scene.directory() / "spaced";
  write_text(spaced_token, "a secret with spaces\n");
  fs::permissions(spaced_token, fs::perms::owner_read);
  for (const Row& row : std::vector<Row>{
           {{"--name", "a/b"}, "letters, digits"},
           {{"--listen", "8080"}, "give an address and a port"},
           {{"--listen", "localhost:80"}, "give an address and a port"},
           {{"--listen", "127.0.0.1:0", "--listen-token-file", "/nowhere"}, "can't read the token file"},
           {{"--listen", "127.0.0.1:0", "--listen-token-file", open_token.string()}, "chmod 600"},
           {{"--listen", "127.0.0.1:0", "--listen-token-file", short_token.string()}, "16 to 256 bytes"},
           {{"--listen", "127.0.0.1:0", "--listen-token-file", spaced_token.string()}, "without spaces"},
           {{"--listen", "192.0.2.1:80"}, "can't listen at 192.0.2.1:80"},
       }) {
    Command command = scene.command();
    command.arguments = {"run"};
    command.arguments.insert(command.arguments.end(), row.options.begin(), row.options.end());
    command.arguments.push_back(scene.manifest_path().string());
    const ProcessEnd end = Process(command).wait();
    INFO(row.words << "\n" << end.summary());
    CHECK(end.status == 2);
    CHECK(has_line(end.err, {row.words}));
  }
}

TEST_CASE("a token file of root's may be readable for its group, as secrets of Kubernetes and systemd are, no other") {
  if (::getuid() != 0) {
    WARN("skipped: only root can own such a file");
    return;
  }
  struct Row {
    uid_t owner;
    mode_t mode;
    int status;
  };
  Scene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  const fs::path token = scene.directory() / "token";
  write_text(token, "0123456789abcdef\n");
  for (const Row& row : std::vector<Row>{{0, 0440, 0}, {0, 0640, 0}, {0, 0460, 2}, {0, 0444, 2}, {65534, 0440, 2}}) {
    REQUIRE(::chown(token.c_str(), row.owner, 65534) == 0);
    REQUIRE(::chmod(token.c_str(), row.mode) == 0);
    Command command = scene.command();
    command.arguments = {"run",         "--control",           "off",          "--listen",
                         "127.0.0.1:0", "--listen-token-file", token.string(), scene.manifest_path().string()};
    const ProcessEnd end = Process(command).wait();
    INFO(row.owner << " " << row.mode << "\n" << end.summary());
    CHECK(end.status == row.status);
    CHECK(has_line(end.err, {"others may read the token file"}) == (row.status != 0));
  }
}
