// What many honest clients cost a host, and what silent ones do.
#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <thread>

#include "control_scene.hpp"
#include "support/process_threads.hpp"
#include "support/sanitizers.hpp"

using namespace std::chrono_literals;
using namespace taskhost::test;

namespace fs = std::filesystem;

namespace {

// Of the API's thread, in seconds.
double api_cpu(pid_t process) {
  for (const auto& thread : fs::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    const std::string name = text_of(thread.path() / "comm");
    if (name != "th-api\n") continue;
    std::ifstream file(thread.path() / "schedstat");
    double nanoseconds = 0;
    file >> nanoseconds;
    return nanoseconds / 1e9;
  }
  return -1;
}

}  // namespace

TEST_CASE("clients who ask for all tasks without a pause get a part of a processor, and small requests come through") {
  constexpr int tasks = sanitized ? 300 : 3'000;
  Json many = Json::array();
  for (int i = 0; i < tasks; ++i)
    many.push_back(task("task " + std::to_string(i), "probe", "detachable", idle_probe()));
  ControlScene host({}, many);
  host.running().wait_for("task_started", "task " + std::to_string(tasks - 1));
  std::atomic<bool> ended = false;
  std::atomic<int> answers = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, socket = host.socket()] {
      const HttpConnection connection(socket);
      std::string bytes;
      while (!ended && connection.send("GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n")) {
        for (bytes.clear(); !bytes.ends_with("]}\n") && !ended;) bytes += connection.read_some();
        ++answers;
      }
    });
  }
  const pid_t process = host.running().process().id();
  CHECK(eventually([&] { return api_cpu(process) > .2; }));  // what they may use at once is used up
  const double cpu = api_cpu(process);
  const int before = answers;
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() < begin + 2s) {
    CHECK(host.get("/v1/host").status == 200);
    CHECK(host.task_now("side")["state"] == "running");
    std::this_thread::sleep_for(20ms);
  }
  const double length = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!sanitized)
    CHECK((api_cpu(process) - cpu) / length < .3);  // a sixteenth, the small requests, and some inaccuracy
  CHECK(answers > before);
  ended = true;
  for (std::thread& client : clients) client.join();
  CHECK(host.stop().status() == 0);
}

TEST_CASE("clients who hang up before they are answered delay nobody else's answer") {
  if (sanitized) return;  // takes too many tasks
  constexpr int tasks = 20'000;
  Json many = Json::array();
  for (int i = 0; i < tasks; ++i)
    many.push_back(task("task " + std::to_string(i), "probe", "detachable", idle_probe()));
  ControlScene host({"--log-level", "warning"}, many);
  REQUIRE(eventually([&] { return host.get("/v1/host").json()["tasks"]["ready"] >= tasks; }));
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<HttpConnection>> impatient;
    for (int i = 0; i < 100; ++i) {
      impatient.push_back(std::make_unique<HttpConnection>(host.socket()));
      CHECK(impatient.back()->send("GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  CHECK(host.get("/v1/tasks").status == 200);
  CHECK(std::chrono::steady_clock::now() - begin < 2s);  // each copy that nobody took would add some 25 ms
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a host whose clients keep their connections and ask nothing makes no wake-ups") {
  ControlScene host({"--listen", "127.0.0.1:0"});
  REQUIRE(eventually([&] { return port_of(host.running().process().err()) != 0; }));
  std::vector<std::unique_ptr<HttpConnection>> kept;
  for (int i = 0; i < 20; ++i) {
    kept.push_back(i % 2 == 0 ? std::make_unique<HttpConnection>(host.socket())
                              : std::make_unique<HttpConnection>(port_of(host.running().process().err())));
    CHECK(kept.back()->send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    CHECK(kept.back()->read_some().starts_with("HTTP/1.1 200 OK\r\n"));
  }
  if (!thread_sanitizer) {  // it has a thread of its own that wakes up ten times a second
    const pid_t process = host.running().process().id();
    CHECK(eventually([&] { return sleeps_during(process, 5s) == 0; }, 60s));
  }
  CHECK(kept.front()->send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(kept.front()->read_some().starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(host.stop().status() == 0);
}
