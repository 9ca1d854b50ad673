// What the commands that operate hosts say when something is wrong with the host, the way to it, or the output.
#include <fcntl.h>
#include <poll.h>
#include <sys/un.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "operated_host.hpp"

using namespace taskhost::test;

namespace {

// Listens at a control socket, and answers each connection with these bytes, if there are any, and closes it then.
class FalseHost {
 public:
  explicit FalseHost(std::string bytes, bool accepts = true) : bytes_(std::move(bytes)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().string().copy(address.sun_path, sizeof address.sun_path - 1);
    descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(descriptor_, 8) == 0);
    if (accepts) {
      thread_ = std::thread([this] { serve(); });
    }
  }
  ~FalseHost() {
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
    ::close(descriptor_);
  }
  FalseHost(const FalseHost&) = delete;
  FalseHost& operator=(const FalseHost&) = delete;

  std::filesystem::path path() const { return directory_ / "false.sock"; }
  ProcessEnd ask(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin() + 1, {"--host", path().string()});
    return Process(operating(arguments, directory_.path())).wait();
  }

 private:
  void serve() const {
    while (!is_over_) {
      pollfd waited{.fd = descriptor_, .events = POLLIN, .revents = 0};
      if (::poll(&waited, 1, 20) <= 0) continue;
      const int client = ::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC);
      std::string request(4096, '\0');
      while (::recv(client, request.data(), request.size(), 0) > 0) {
        if (bytes_.empty() || ::send(client, bytes_.data(), bytes_.size(), MSG_NOSIGNAL) < 0 || closes_) break;
      }
      ::close(client);
    }
  }

  const TemporaryDirectory directory_;
  const std::string bytes_;
  const bool closes_ = bytes_.find("close") != std::string::npos || bytes_.find("HTTP") == std::string::npos;
  int descriptor_ = -1;
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

std::string http(int status, const std::string& server, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nServer: " + server +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("a host that goes away while it is asked, or is no host, is told in words of its own") {
  struct Case {
    std::string answer;
    std::string words;
    int status;
  };
  const std::vector<Case> cases{
      {"", "host \"false\" went away while it was asked; taskhost ps shows whether it runs", 1},
      {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{",
       "host \"false\" went away while it was asked", 1},
      {"SSH-2.0-OpenSSH_9.2\r\n", "does not answer as a taskhost does", 1},
      {http(200, "nginx", "<html>"), "does not answer as a taskhost does: status 200 without a JSON object\n", 1},
      {http(404, "taskhost/99.0", "{\"message\":\"there is nothing here\"}"),
       "host \"false\": there is nothing here (the host is taskhost/99.0, and this program taskhost/", 1},
      {http(200, "taskhost/99.0", "{}"), "does not list its tasks as expected (the host is taskhost/99.0", 1},
      {http(403, "taskhost/0.1.0", "{\"message\":\"you are \\u001b[31m\"}"),
       "host \"false\" refuses: you are \\u001b[31m", 1},
  };
  for (const Case& its : cases) {
    const FalseHost host(its.answer);
    const ProcessEnd end = host.ask({"status"});
    INFO(end.summary());
    CHECK(end.status == its.status);
    CHECK(end.out.empty());
    CHECK(end.err.starts_with("taskhost: "));
    CHECK(end.err.find(its.words) != std::string::npos);
  }
}

TEST_CASE("a host that does not answer costs five seconds") {
  const FalseHost host("", false);
  const ProcessEnd end = host.ask({"status"});
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(end.err.find(" did not answer within 5s") != std::string::npos);
  CHECK(end.lifetime >= std::chrono::seconds(5));
}

TEST_CASE("a host that is killed while a task is waited for is told at once") {
  OperatedHost host(Json::array({task("deaf", "probe", "detachable", deaf_probe(), 0)}));
  host.running().wait_for("task_started", "deaf");
  Process waiting(host.command({"stop", "--timeout", "10h", "deaf"}));
  host.running().wait_for("task_stopping", "deaf");
  host.running().expect_cut_short();
  host.running().send(SIGKILL);
  const ProcessEnd end = waiting.wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(end.err.find("host \"demo\" went away while it was asked") != std::string::npos);
  CHECK(host.running().process().wait().signal == SIGKILL);
  const ProcessEnd late = host.operate({"status"});
  CHECK(late.status == 5);
  CHECK(late.err.find("nobody listens at ") != std::string::npos);
}

TEST_CASE("what is no socket, or not there, is status 5") {
  const TemporaryDirectory directory;
  directory.write("file", "");
  for (const char* name : {"file", "none", "none/none", "."}) {
    const ProcessEnd end =
        Process(operating({"status", "--host", (directory / name).string()}, directory.path())).wait();
    INFO(end.summary());
    CHECK(end.status == 5);
    CHECK(end.err.find("taskhost ps lists ") != std::string::npos);
  }
  const ProcessEnd end = Process(operating({"status", "--host", "/" + std::string(200, 'x')}, directory.path())).wait();
  CHECK(end.status == 2);
}

TEST_CASE("a user who may not ask is told whom to ask, and one without hosts how to start one") {
  OperatedHost host(Json::array({task("feed", "probe", "mandatory", idle_probe(), 1)}));
  Command command = host.command({"status"});
  if (!run_as_stranger(command)) return;
  ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(end.err.find("user 1987654321 may not use ") != std::string::npos);
  command = operating({"stop", "feed"}, host.directory());
  REQUIRE(run_as_stranger(command));
  end = Process(command).wait();
  CHECK(end.status == 5);
  CHECK(end.err.find("no host of user 1987654321 is running") != std::string::npos);
  CHECK(end.err.find("start one: taskhost MANIFEST") != std::string::npos);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("output that can't be written is status 1, and what was wanted is done") {
  OperatedHost host(Json::array({task("feed", "probe", "mandatory", idle_probe(), 1)}));
  host.running().wait_for("task_started", "feed");
  Command command = host.command({"stop", "feed"});
  command.out = GENERATE(Wiring::broken_pipe, Wiring::closed);
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(end.err.find("can't write to stdout") != std::string::npos);
  CHECK(host.json_of({"status"})["tasks"][0]["state"] == "stopped");
  CHECK(host.stop().status() == 0);
}

TEST_CASE("what tasks say can't control the terminal") {
  OperatedHost host(
      Json::array({task("idle", "probe", "mandatory", idle_probe(), 0),
                   task("flaky", "flaky", "detachable", {{"run_for", "1ms"}, {"message", "\033[2Jgone\u202e"}}, 0)}));
  host.running().wait_for("task_discarded", "flaky");
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"status"}, {"status", "--json"}, {"explain", "flaky"}, {"start", "flaky"}}) {
    const ProcessEnd end = host.operate(arguments);
    INFO(end.summary());
    CHECK(end.out.find("gone") != std::string::npos);
    CHECK(end.out.find('\033') == std::string::npos);
    CHECK(end.out.find("\u202e") == std::string::npos);
  }
  CHECK(host.stop().status() == 0);
}
