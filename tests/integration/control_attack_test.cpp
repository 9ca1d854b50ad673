// What clients can do to the control socket and the API on TCP. After each attack the next honest request is answered
// quickly, the tasks have gone on, and memory and descriptors are bounded.
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>

#include "control_scene.hpp"
#include "support/sanitizers.hpp"

using namespace std::chrono_literals;
using namespace taskhost::test;

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto quickly = 5s;  // far less than the 10 seconds that a client may take for its request
constexpr long max_connections = 128;

struct Cost {
  long descriptors = 0;
  long kib = 0;  // of anonymous memory
};

Cost cost_of(pid_t process) {
  Cost cost;
  const std::string directory = "/proc/" + std::to_string(process);
  std::error_code error;  // a descriptor may go while it is looked at
  for (fs::directory_iterator i(directory + "/fd", error), end; !error && i != end; i.increment(error)) {
    ++cost.descriptors;
  }
  std::ifstream status(directory + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) cost.kib = std::atol(line.c_str() + 8);
  }
  return cost;
}

// A host with a task that is restarted for ever, so that one sees whether it goes on.
class Attacked : public ControlScene {
 public:
  explicit Attacked(const std::vector<std::string>& options = {}, Json more_tasks = Json::array(),
                    std::vector<std::pair<int, rlim_t>> limits = {})
      : ControlScene(options, with_beat(std::move(more_tasks)), std::move(limits)), before_(cost_of(id())) {}

  pid_t id() { return running().process().id(); }
  int port() { return port_of(running().process().err()); }

  void check_well() {
    const auto begin = Clock::now();
    const HttpAnswer answer = get("/v1/host");
    CHECK(answer.status == 200);
    CHECK(Clock::now() - begin < quickly);
    const int beats = task_now("beat")["execution"];
    CHECK(eventually([&] { return task_now("beat")["execution"] > beats; }));
    CHECK(task_now("feed")["execution"] == 1);
    CHECK(get("/v1/host").json()["state"] == "running");
  }
  // Of the clients that are connected now.
  void check_bounded(long max_kib, long listeners = 1) {
    const Cost now = cost_of(id());
    CHECK(now.descriptors <= before_.descriptors + listeners * max_connections + 4);
    if (!sanitized) CHECK(now.kib <= before_.kib + max_kib);
  }
  Run stop_well() {
    const Run run = stop();
    CHECK(run.status() == 0);
    CHECK(run.events.count("task_stalled") == 0);
    return run;
  }

 private:
  static Json with_beat(Json tasks) {
    Json beat = task("beat", "probe", "detachable", probe_that_ends("error"));
    beat["restarts"] = "unlimited";
    beat["backoff"] = {{"initial", "10ms"}, {"factor", 1}};
    tasks.push_back(beat);
    return tasks;
  }

  const Cost before_;
};

// As many descriptors as this process may have.
rlim_t raise_own_limit() {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  return limit.rlim_cur;
}

// Sends it without waiting, as far as it goes; then reads all answers.
std::string send_then_read(const HttpConnection& connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection.descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return connection.read_all();
}

// Sends the head and then the filler again and again, until the host does not take it any more, or it is too much.
struct Flood {
  std::size_t sent = 0;
  HttpAnswer answer;
};
Flood flood(const HttpConnection& connection, const std::string& head, const std::string& filler) {
  constexpr std::size_t far_too_much = 256u << 20;
  Flood flood;
  bool taken = connection.send(head);
  while (taken && flood.sent < far_too_much) {
    pollfd ready{.fd = connection.descriptor(), .events = POLLIN | POLLOUT, .revents = 0};
    if (::poll(&ready, 1, 10'000) <= 0 || (ready.revents & (POLLIN | POLLHUP | POLLERR)) != 0) break;
    const ssize_t sent = ::send(connection.descriptor(), filler.data(), filler.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    taken = sent >= 0 || errno == EAGAIN;
    flood.sent += static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
  }
  flood.answer = parse_answer(connection.read_all());
  return flood;
}

std::size_t occurrences(const std::string& text, std::string_view word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

std::string encoded(std::string_view name) {
  std::string result;
  for (const unsigned char byte : name) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    result.append({'%', digits[byte / 16], digits[byte % 16]});
  }
  return result;
}

}  // namespace

TEST_CASE("ten thousand connections, thousands of them at once, cost as much as 128 on each listener") {
  const auto at_once = static_cast<std::size_t>(std::min<rlim_t>(raise_own_limit() - 200, sanitized ? 1'000 : 4'000));
  constexpr std::size_t in_all = sanitized ? 2'000 : 10'000;
  Attacked host({"--listen", "127.0.0.1:0"});
  REQUIRE(eventually([&] { return host.port() != 0; }));
  const int port = host.port();
  std::vector<std::unique_ptr<HttpConnection>> held;
  for (std::size_t i = 0; i < at_once; ++i) {
    held.push_back(i % 2 == 0 ? std::make_unique<HttpConnection>(host.socket())
                              : std::make_unique<HttpConnection>(port));
    (void)held.back()->send("GET /v1/tasks HTTP/1.1\r\n");
  }
  host.check_well();
  CHECK(ask(port, "GET", "/v1/host").status == 200);
  host.check_bounded(16'384, 2);
  held.clear();
  for (std::size_t i = at_once; i < in_all; ++i) {
    const HttpConnection brief(host.socket());
    if (i % 2 == 0) (void)brief.send("GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  host.check_well();
  CHECK(eventually([&] { return cost_of(host.id()).descriptors < 64; }));
  host.stop_well();
}

TEST_CASE("heads and bodies without end are refused after a little, wherever the end is missing") {
  struct Row {
    const char* what;
    std::string head;
    std::string filler;
    int status;
  };
  const std::string k64(65'536, 'x');
  std::string fields;
  for (int i = 0; i < 1'000; ++i) fields += "X-Field-" + std::to_string(i) + ": 1\r\n";
  const std::string post = "POST /v1/stop HTTP/1.1\r\nHost: x\r\n";
  const std::vector<Row> rows = {
      {"a gigabyte announced", post + "Content-Length: 1073741824\r\n\r\n", k64, 413},
      {"more than any number", post + "Content-Length: 99999999999999999999999\r\n\r\n", k64, 400},
      {"chunks without end", post + "Transfer-Encoding: chunked\r\n\r\n", "1000\r\n" + k64.substr(0, 4096) + "\r\n",
       413},
      {"one chunk without end", post + "Transfer-Encoding: chunked\r\n\r\nfffffff0\r\n", k64, 413},
      {"a chunk's extension without end", post + "Transfer-Encoding: chunked\r\n\r\n1;", k64, 431},
      {"trailers without end", post + "Transfer-Encoding: chunked\r\n\r\n0\r\n", fields, 431},
      {"header fields without end", "GET /v1/host HTTP/1.1\r\n", fields, 431},
      {"one header field without end", "GET /v1/host HTTP/1.1\r\nX: ", k64, 431},
      {"a target without end", "GET /", k64, 431},
      {"a method without end", "", k64, 431},
      {"a version without end", "GET / HTTP/1.", k64, 400},
      {"empty lines without end", "", std::string(65'536, '\n'), 400},
      {"spaces without end", "GET ", std::string(65'536, ' '), 400},
      {"zeros without end", "", std::string(65'536, '\0'), 400},
  };
  Attacked host;
  for (const Row& row : rows) {
    const HttpConnection connection(host.socket());
    const Flood result = flood(connection, row.head, row.filler);
    INFO(row.what << ": " << result.sent << " bytes, " << result.answer.status << ' ' << result.answer.body);
    // Where the parts of a stream are cut decides which of the two is noticed first.
    CHECK((result.answer.status == row.status || (row.status == 400 && result.answer.status == 431)));
    CHECK(result.answer.json().contains("message"));
    CHECK(result.sent < (2u << 20));
  }
  host.check_well();
  host.check_bounded(8'192);
  host.stop_well();
}

TEST_CASE("two thousand requests in one breath are all answered in turn") {
  Attacked host;
  std::string all;
  constexpr std::size_t count = 2'000;
  for (std::size_t i = 1; i < count; ++i) all += "GET /v1/tasks/feed HTTP/1.1\r\nHost: x\r\n\r\n";
  all += "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const HttpConnection connection(host.socket());
  const std::string answers = send_then_read(connection, all);
  CHECK(occurrences(answers, "HTTP/1.1 200 OK\r\n") == count);
  CHECK(answers.ends_with("{\"live\":true}\n"));
  host.check_well();
  host.check_bounded(8'192);
  host.stop_well();
}

TEST_CASE("unusual HTTP is answered as the standard says, or refused") {
  struct Row {
    const char* what;
    std::string request;
    int status;
  };
  const std::string end = "\r\nHost: x\r\nConnection: close\r\n\r\n";
  const std::vector<Row> rows = {
      {"an upgrade to WebSocket",
       "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
       200},
      {"an upgrade to HTTP/2",
       "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
       "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
       200},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n", 200},
      {"HTTP/0.9", "GET /livez\r\n\r\n", 400},
      {"HTTP/9.9", "GET /livez HTTP/9.9\r\nHost: x\r\n\r\n", 400},
      {"CONNECT", "CONNECT example.org:443 HTTP/1.1" + end, 400},
      {"TRACE", "TRACE /livez HTTP/1.1" + end, 405},
      {"OPTIONS of the server", "OPTIONS * HTTP/1.1" + end, 400},
      {"an unknown method", "BREW /livez HTTP/1.1" + end, 405},
      {"a method in small letters", "get /livez HTTP/1.1" + end, 405},
      {"a path without its slash", "GET livez HTTP/1.1" + end, 400},
      {"a space in the path", "GET /live z HTTP/1.1" + end, 400},
      {"the whole address as target", "GET http://x/livez HTTP/1.1" + end, 200},
      {"a body with GET", "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", 200},
      {"two lengths", "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", 400},
      {"a negative length", "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
      {"a length and chunks",
       "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"a field on two lines", "GET /livez HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\nConnection: close\r\n\r\n", 200},
      {"a space before the colon", "GET /livez HTTP/1.1\r\nHost : x\r\n\r\n", 400},
      {"no host", "GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", 400},
      {"two hosts", "GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n", 400},
  };
  Attacked host;
  for (const Row& row : rows) {
    const HttpConnection connection(host.socket());
    (void)connection.send(row.request);
    const std::string bytes = connection.read_all(3'000);
    const HttpAnswer answer = parse_answer(bytes);
    INFO(row.what << ": " << bytes);
    CHECK(answer.status == row.status);
    CHECK(answer.json().is_object());
  }
  host.check_well();
  host.stop_well();
}

TEST_CASE("a client that waits for 100 Continue before it sends its body gets that, or its answer") {
  Attacked host;
  const std::string head = "POST /v1/tasks/side/restart HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n";
  {
    const HttpConnection connection(host.socket());
    REQUIRE(connection.send(head + "Content-Length: 2\r\nConnection: close\r\n\r\n"));
    const std::string first = connection.read_all(1'000);
    CHECK(first == "HTTP/1.1 100 Continue\r\n\r\n");
    REQUIRE(connection.send("{}"));
    CHECK(parse_answer(connection.read_all()).status / 100 == 2);
  }
  {
    const HttpConnection connection(host.socket());
    REQUIRE(connection.send(head + "Content-Length: 1073741824\r\n\r\n"));
    CHECK(parse_answer(connection.read_all(3'000)).status == 413);
  }
  host.check_well();
  host.stop_well();
}

TEST_CASE("on TCP neither the names nor the pages of others lead to the host") {
  Scene scene;
  scene.add(task("feed", "probe", "mandatory", idle_probe(), 3));
  Running running = scene.start({"--control", "off", "--listen", "127.0.0.1:0"});
  REQUIRE(running.process().wait_for_err("the API is at http://127.0.0.1:"));
  const int port = port_of(running.process().err());
  const std::string own = "127.0.0.1:" + std::to_string(port);
  struct Row {
    std::string head;
    int status;
  };
  for (const Row& row :
       std::vector<Row>{{"Host: " + own + "\r\n", 200},
                        {"Host: LOCALHOST\r\n", 200},
                        {"Host: [::1]:80\r\n", 200},
                        {"Host: " + own + "\r\nOrigin: http://" + own + "\r\n", 200},
                        {"Host: " + own + "\r\nSec-Fetch-Site: same-origin\r\n", 200},
                        {"Host: \r\n", 403},
                        {"Host: localhost.evil.example\r\n", 403},
                        {"Host: evil.example#localhost\r\n", 403},
                        {"Host: 127.0.0.1.nip.io\r\n", 403},
                        {"Host: 127.0.0.1@evil.example\r\n", 403},
                        {"Host: localhost:99999\r\n", 403},
                        {"Host: localhost\r\nHost: evil.example\r\n", 400},
                        {"Host: " + own + "\r\nOrigin: null\r\n", 403},
                        {"Host: " + own + "\r\nOrigin: https://" + own + "\r\n", 403},
                        {"Host: " + own + "\r\nOrigin: http://localhost:1\r\n", 403},
                        {"Host: " + own + "\r\nOrigin: http://" + own + "\r\nOrigin: http://e\r\n", 403},
                        {"Host: " + own + "\r\nSec-Fetch-Site: same-site\r\n", 403}}) {
    INFO(row.head);
    CHECK(ask(port, "GET", "/v1/tasks", row.head).status == row.status);
  }
  CHECK(ask(port, "GET", "http://evil.example/v1/tasks").status == 400);
  CHECK(ask(port, "POST", "/v1/stop").status == 403);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("tasks with the oddest names that a manifest may give are looked at and operated, and no others") {
  const std::vector<std::string> names = {"../../etc/passwd",
                                          "a/b",
                                          "..",
                                          ".",
                                          "a b?c=d#e&f",
                                          "100%",
                                          "%2F",
                                          "\"quoted\\\"",
                                          "\xe2\x80\xaeRTL",
                                          "\xc3\xa9t\xc3\xa9",
                                          "feed/stop",
                                          "NAME",
                                          "nobody's",
                                          std::string(128, 'n'),
                                          "+"};
  Json odd = Json::array();
  for (const std::string& name : names) odd.push_back(task(name, "probe", "detachable", idle_probe(), 1));
  Attacked host({}, odd);
  for (const std::string& name : names) {
    host.running().wait_for("task_started", name);
    INFO(name);
    const HttpAnswer answer = host.get("/v1/tasks/" + encoded(name));
    CHECK(answer.status == 200);
    CHECK(answer.json()["name"] == name);
    CHECK(host.post("/v1/tasks/" + encoded(name) + "/restart?wait=60s").json()["task"]["execution"] == 2);
  }
  for (const char* target :
       {"/v1/tasks/../host", "/v1/tasks/./feed", "/v1/tasks//feed", "/v1/tasks/a/b", "//v1/host", "/v1/host/",
        "/v1/tasks/feed%00", "/v1/tasks/%0a", "/v1/tasks/feed%0d%0aX:%20y", "/v1/tasks/%c0%af", "/v1/tasks/%ff",
        "/v1/tasks/%2e%2e%2fhost", "/v1\\tasks", "/V1/tasks", "/v1/tasks/feed;x"}) {
    INFO(target);
    const HttpAnswer answer = host.get(target);
    CHECK(answer.status == 404);
    CHECK(answer.json().contains("message"));
    CHECK(answer.head.find("\r\nX:") == std::string::npos);
  }
  CHECK(host.get("/v1/tasks/" + std::string(129, 'n')).status == 404);
  CHECK(host.get("/v1/tasks/" + std::string(5'000, 'n')).status == 414);
  CHECK(host.get("/v1/tasks/%zz").status == 400);
  CHECK(host.get("/v1/tasks/%").status == 400);
  host.check_well();
  // No line of the log is broken or turned round by a name.
  const Run run = host.stop_well();
  CHECK(run.log().find("\xe2\x80\xae") == std::string::npos);
}

TEST_CASE("those who write or read a byte at a time lose their connections, and hold up nobody") {
  Json many = Json::array();
  for (int i = 0; i < 500; ++i) many.push_back(task("task " + std::to_string(i), "probe", "detachable", idle_probe()));
  Attacked host({}, many);
  std::vector<std::unique_ptr<HttpConnection>> slow;
  for (int i = 0; i < 60; ++i) {
    slow.push_back(std::make_unique<HttpConnection>(host.socket()));
    if (i % 2 == 0) (void)slow.back()->send("GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  const std::string endless = "GET /v1/tasks HTTP/1.1\r\nX: " + std::string(10'000, 'x');
  const auto closed = [&] {
    std::size_t count = 0;
    for (std::size_t i = 1; i < slow.size(); i += 2) {
      char byte = 0;
      count += ::recv(slow[i]->descriptor(), &byte, 1, MSG_DONTWAIT) == 0 ? 1 : 0;
    }
    return count;
  };
  std::size_t turn = 0;
  const auto end = Clock::now() + patience;
  for (; closed() < slow.size() / 2 && Clock::now() < end; ++turn) {
    for (std::size_t i = 0; i < slow.size(); ++i) {
      char byte = 0;
      if (i % 2 == 0) (void)!::recv(slow[i]->descriptor(), &byte, 1, MSG_DONTWAIT);
      if (i % 2 == 1) (void)slow[i]->send(endless.substr(turn, 1));
    }
    if (turn % 10 == 0) host.check_well();
    std::this_thread::sleep_for(100ms);
  }
  CHECK(closed() == slow.size() / 2);
  host.check_bounded(32'768);
  host.stop_well();
}

TEST_CASE("readers that never read keep a few snapshots of many tasks in memory, not one each") {
  constexpr int tasks = sanitized ? 500 : 5'000;
  Json many = Json::array();
  for (int i = 0; i < tasks; ++i)
    many.push_back(task("task " + std::to_string(i), "probe", "detachable", idle_probe()));
  Attacked host({}, many);
  host.running().wait_for("task_started", "task " + std::to_string(tasks - 1));
  const std::size_t snapshot = host.get("/v1/tasks").body.size();
  const Cost before = cost_of(host.id());
  std::vector<std::unique_ptr<HttpConnection>> never;
  for (int i = 0; i < 60; ++i) {
    never.push_back(std::make_unique<HttpConnection>(host.socket()));
    CHECK(never.back()->send("GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n"));
    std::this_thread::sleep_for(110ms);  // so that each one asks for another snapshot
  }
  host.check_well();
  INFO("a snapshot has " << snapshot << " bytes");
  if (!sanitized) CHECK(cost_of(host.id()).kib - before.kib < static_cast<long>(12 * snapshot / 1024));
  host.stop_well();
}

TEST_CASE("a host that has no descriptors left serves who comes next at the expense of who waits") {
  // A sanitizer needs descriptors to look whether memory is readable, and without them takes it for bad.
  if (sanitized) return;
  Attacked host({}, Json::array(), {{RLIMIT_NOFILE, 40}});
  std::vector<std::unique_ptr<HttpConnection>> held;
  for (int i = 0; i < 100; ++i) {
    held.push_back(std::make_unique<HttpConnection>(host.socket()));
    (void)held.back()->send("GET /v1/host HTTP/1.1\r\n");
  }
  host.check_well();
  CHECK(host.get("/metrics").status == 200);
  held.clear();
  host.check_well();
  host.stop_well();
}

TEST_CASE("a connection on which somebody asks again and again outlives those that only wait") {
  Attacked host;
  const auto ask_on = [](const HttpConnection& connection) {
    REQUIRE(connection.send("GET /v1/host HTTP/1.1\r\nHost: x\r\n\r\n"));
    REQUIRE(connection.read_some().starts_with("HTTP/1.1 200 "));
  };
  const HttpConnection used(host.socket());
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (long i = 0; i < 3 * max_connections; ++i) {
    if (i % (max_connections / 2) == 0) ask_on(used);
    idle.push_back(std::make_unique<HttpConnection>(host.socket()));
    ask_on(*idle.back());  // so that it was accepted before the next one
  }
  host.check_well();
  host.stop_well();
}

TEST_CASE("a client whose connection a task's child has inherited sees that it was closed") {
  Json parent = task("parent", "right_ones", "detachable");
  parent["task"] = "has_a_child";
  Attacked host({}, Json::array({parent}));
  host.running().wait_for("task_started", "parent");
  const HttpConnection old(host.socket());
  CHECK(old.send("GET /v1/host HTTP/1.1\r\n"));
  CHECK(host.post("/v1/tasks/parent/restart?wait=60s").status == 200);  // its child has the connection now
  std::vector<std::unique_ptr<HttpConnection>> newer;
  for (long i = 0; i < max_connections; ++i) {
    newer.push_back(std::make_unique<HttpConnection>(host.socket()));
    (void)newer.back()->send("GET /v1/host HTTP/1.1\r\n");
  }
  host.check_well();
  char byte = 0;
  pollfd ended{.fd = old.descriptor(), .events = POLLIN, .revents = 0};
  CHECK(::poll(&ended, 1, 5'000) == 1);
  CHECK(::recv(old.descriptor(), &byte, 1, MSG_DONTWAIT) == 0);
  host.stop_well();
}

TEST_CASE("other users can't even reach the socket at its usual place") {
  if (::getuid() != 0) {
    WARN("skipped: only root can be another user");
    return;
  }
  const std::string name = "attacked-" + std::to_string(::getpid());
  Scene scene;
  scene.add(task("feed", "probe", "mandatory", idle_probe(), 3));
  Running running = scene.start({"--name", name});
  running.wait_for("task_started", "feed");
  const std::string path = "/run/taskhost/" + name + ".sock";
  const auto connect = [&]() -> std::string {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int result = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = errno;
    ::close(descriptor);
    return result == 0 ? "connected" : error == EACCES ? "refused" : "error " + std::to_string(error);
  };
  CHECK(connect() == "connected");
  CHECK(as_stranger(connect) == "refused");
  CHECK(as_stranger([&] {
          Command command;
          command.program = program_path();
          command.arguments = {"shutdown", "--host", path};
          const ProcessEnd end = Process(command).wait();
          return end.status == 1 || end.status == 5 ? std::string("no") : end.summary();
        }) == "no");
  CHECK(ask(fs::path(path), "GET", "/v1/host").json()["state"] == "running");
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("whoever asks while a host starts or ends gets a whole answer or none") {
  constexpr int rounds = sanitized ? 3 : 10;
  std::size_t answered = 0;
  for (int round = 0; round < rounds; ++round) {
    Scene scene;
    scene.add(task("slow", "load_takes_long", "detachable"));
    if (round != 0) scene.manifest["tasks"] = Json::array();  // it is slow to load: once is enough
    for (int i = 0; i < 50; ++i) scene.add(task("task " + std::to_string(i), "probe", "detachable", idle_probe(), 1));
    const fs::path socket = scene.directory() / "host.sock";
    Running running = scene.start({"--control", socket.string()});
    running.expect_operators();
    REQUIRE(eventually([&] { return fs::exists(socket); }));
    std::vector<int> odd;
    std::thread operators([&] {
      const std::vector<std::string> requests = {"GET /v1/host",
                                                 "POST /v1/tasks/task%201/restart",
                                                 "GET /v1/tasks",
                                                 "GET /metrics",
                                                 "GET /readyz",
                                                 "POST /v1/tasks/task%202/stop?wait=60s",
                                                 "GET /livez",
                                                 "POST /v1/tasks/task%202/start",
                                                 "GET /v1/tasks/task%203"};
      for (std::size_t i = 0;; ++i) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket.string().copy(address.sun_path, sizeof address.sun_path - 1);
        const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
          ::close(descriptor);
          return;  // it has ended
        }
        const std::string request = requests[i % requests.size()] + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        (void)::send(descriptor, request.data(), request.size(), MSG_NOSIGNAL);
        std::string bytes;
        std::array<char, 65'536> piece;
        for (ssize_t size = 0; (size = ::recv(descriptor, piece.data(), piece.size(), 0)) > 0;) {
          bytes.append(piece.data(), static_cast<std::size_t>(size));
        }
        ::close(descriptor);
        if (bytes.empty()) continue;
        const HttpAnswer answer = parse_answer(bytes);
        const bool whole = answer.body.ends_with("\n");
        const bool known = answer.status == 200 || answer.status == 202 || answer.status == 409 || answer.status == 503;
        if (!whole || !known) odd.push_back(answer.status);
        ++answered;
      }
    });
    running.wait_for("host_started");
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 10));
    running.send(SIGTERM);
    const Run run = running.finish();
    operators.join();
    CHECK(run.status() == 0);
    CHECK(odd == std::vector<int>());
    CHECK_FALSE(fs::exists(socket));
  }
  CHECK(answered != 0);
}
