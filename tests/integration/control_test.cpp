// The control socket and the API on TCP, from outside.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "control_scene.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace fs = std::filesystem;

namespace {

std::vector<pid_t> children_of(pid_t process) {
  std::vector<pid_t> children;
  for (const auto& thread : fs::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::ifstream file(thread.path() / "children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

// The answers must be what host/openapi.json says, no less and no more. Of its words, only those that it uses.
class ApiDescription {
 public:
  ApiDescription() : document_(Json::parse(text_of(TASKHOST_TEST_OPENAPI))) {}

  const Json& paths() const { return document_["paths"]; }
  // Empty if the answer is described.
  std::string difference(const std::string& path, const std::string& method, const HttpAnswer& answer) const {
    const Json& responses = document_["paths"].at(path).at(method).at("responses");
    const std::string status = std::to_string(answer.status);
    if (!responses.contains(status)) return path + " is not described to answer " + status;
    const Json& content = resolved(responses[status])["content"];
    if (content.contains("application/json")) {
      return difference(content["application/json"]["schema"], answer.json(), path);
    }
    if (!content.contains("application/x-ndjson")) return {};
    for (const Json& record : records_of(answer)) {
      const std::string found = difference(content["application/x-ndjson"]["schema"], record, path);
      if (!found.empty()) return found;
    }
    return {};
  }

 private:
  const Json& resolved(const Json& schema) const {
    if (!schema.contains("$ref")) return schema;
    return document_.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1)));
  }
  static std::string type_of(const Json& value) {
    if (value.is_null()) return "null";
    if (value.is_boolean()) return "boolean";
    if (value.is_number_integer()) return "integer";
    if (value.is_number()) return "number";
    return value.is_string() ? "string" : value.is_array() ? "array" : "object";
  }
  std::string difference(const Json& given, const Json& value, const std::string& where) const {
    const Json& schema = resolved(given);
    const Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    if (std::find(types.begin(), types.end(), type_of(value)) == types.end()) return where + " is " + value.dump();
    if (schema.contains("enum")) {
      const Json& words = schema["enum"];
      if (std::find(words.begin(), words.end(), value) == words.end()) return where + " is " + value.dump();
    }
    if (value.is_array()) {
      for (const Json& item : value) {
        if (std::string found = difference(schema["items"], item, where + "[]"); !found.empty()) return found;
      }
    }
    if (!value.is_object()) return {};
    for (const Json& name : schema["required"]) {
      if (!value.contains(name.get<std::string>())) return where + " lacks " + name.get<std::string>();
    }
    for (const auto& [key, field] : value.items()) {
      if (!schema["properties"].contains(key)) return where + " has " + key + ", which is not described";
      if (std::string found = difference(schema["properties"][key], field, where + "." + key); !found.empty()) {
        return found;
      }
    }
    return {};
  }

  const Json document_;
};

}  // namespace

TEST_CASE("each call answers what host/openapi.json says") {
  const Json waiting = {{"name", "late"}, {"plugin", "probe"}, {"type", "detachable"}, {"after", {"failing"}}};
  Json failing = task("failing", "probe", "detachable", probe_that_ends("error"), 3);
  failing["backoff"] = {{"initial", "1h"}};
  ControlScene host({}, Json::array({failing, waiting}));
  host.running().wait_for("task_restarting", "failing");
  const ApiDescription description;
  CHECK(host.post("/v1/tasks/side/stop?wait=60s").status == 200);
  std::size_t calls = 0;
  for (const auto& [path, methods] : description.paths().items()) {
    for (const auto& [method, call] : methods.items()) {
      if (path == "/v1/stop") continue;  // the last one
      for (const char* name : {"feed", "side", "failing", "late", "nobody"}) {
        std::string target = path;
        if (const std::size_t at = target.find("{name}"); at != std::string::npos) target.replace(at, 6, name);
        const HttpAnswer answer = method == "get" ? host.get(target) : host.post(target);
        INFO(target << ' ' << answer.status << ' ' << answer.body);
        CHECK(description.difference(path, method, answer) == "");
        ++calls;
        const std::string too_long = target + '?' + std::string(5'000, 'x');
        CHECK(description.difference(path, method, method == "get" ? host.get(too_long) : host.post(too_long)) == "");
      }
    }
  }
  CHECK(calls == 12 * 5);
  CHECK(description.difference("/v1/stop", "post", host.post("/v1/stop")) == "");
  CHECK(host.running().finish().status() == 0);
}

TEST_CASE("a host answers what it is, and what its tasks are doing") {
  ControlScene host;
  const Json about = host.get("/v1/host").json();
  CHECK(about["name"] == "manifest");
  CHECK(about["pid"] == host.running().process().id());
  CHECK(about["state"] == "running");
  CHECK(about["orders"] == "accepted");
  CHECK(about["tasks"]["total"] == 2);
  CHECK(about["tasks"]["running"] == 2);
  const HttpAnswer all = host.get("/v1/tasks");
  CHECK(all.status == 200);
  CHECK(all.head.find("Content-Type: application/json\r\n") != std::string::npos);
  REQUIRE(all.json()["tasks"].size() == 2);
  const Json feed = all.json()["tasks"][0];
  CHECK(feed["name"] == "feed");
  CHECK(feed["state"] == "running");
  CHECK(feed["type"] == "mandatory");
  CHECK(feed["factory"] == "probe");
  CHECK(std::filesystem::path(feed["plugin"].get<std::string>()).filename() == "probe.so");
  CHECK(feed["pid"].is_null());
  CHECK(feed["remaining"] == 3);
  CHECK(feed["execution"] == 1);
  CHECK(host.task_now("side")["name"] == "side");
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a task that is not there is answered with the nearest one") {
  ControlScene host;
  const HttpAnswer answer = host.get("/v1/tasks/fede");
  CHECK(answer.status == 404);
  CHECK(answer.json()["message"] == "there is no task \"fede\"; did you mean \"feed\"?");
  CHECK(host.post("/v1/tasks/fede/stop").status == 404);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("an operator stops, starts and restarts a task, and hears when it is done") {
  ControlScene host;
  HttpAnswer answer = host.post("/v1/tasks/feed/stop?wait=60s");
  CHECK(answer.status == 200);
  CHECK(answer.json()["done"] == true);
  CHECK(answer.json()["ok"] == true);
  CHECK(answer.json()["task"]["state"] == "stopped");
  CHECK(host.get("/readyz").status == 503);
  CHECK(host.get("/livez").status == 200);
  answer = host.post("/v1/tasks/feed/start?wait=60s");
  CHECK(answer.json()["task"]["state"] == "running");
  CHECK(answer.json()["task"]["execution"] == 2);
  answer = host.post("/v1/tasks/feed/restart?wait=60s");
  CHECK(answer.json()["task"]["execution"] == 3);
  CHECK(answer.json()["task"]["remaining"] == 3);  // it is charged nothing
  const HttpAnswer at_once = host.post("/v1/tasks/feed/restart");
  CHECK((at_once.status == 202 || at_once.status == 200));
  CHECK(host.stop().status() == 0);
}

TEST_CASE("waiting for a task that does not end is over when its time is") {
  ControlScene host({}, Json::array({task("deaf", "probe_blocking", "detachable", deaf_probe(), 1)}));
  host.running().wait_for("task_started", "deaf");
  const HttpAnswer answer = host.post("/v1/tasks/deaf/stop?wait=50ms");
  CHECK(answer.status == 202);
  CHECK(answer.json()["done"] == false);
  CHECK(answer.json()["task"]["state"] == "stopping");
  host.running().send(SIGTERM);
  wait_out_one_request();
  host.running().send(SIGTERM);
  host.running().expect_cut_short();
  CHECK(host.running().finish().status() == 4);
}

TEST_CASE("the host is stopped by its API, which answers, and the stop names who asked") {
  ControlScene host;
  const HttpAnswer answer = host.post("/v1/stop");
  CHECK(answer.status == 202);
  const Run run = host.running().finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "request");
  CHECK(has_line(run.log(), {"user ", "process " + std::to_string(::getpid()), "stops the host"}));
  for (const std::string& line : lines_with(run.log(), {"stopping:"})) CHECK_FALSE(line.ends_with(','));
  CHECK_FALSE(fs::exists(host.socket()));
  CHECK_FALSE(fs::exists(host.socket().string() + ".lock"));
}

TEST_CASE("metrics are in Prometheus's format") {
  ControlScene host;
  const HttpAnswer answer = host.get("/metrics");
  CHECK(answer.status == 200);
  CHECK(answer.head.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n") != std::string::npos);
  CHECK(answer.body.find("taskhost_tasks{state=\"running\"} 2\n") != std::string::npos);
  CHECK(answer.body.ends_with("\n"));
  CHECK(answer.body.find("\ntaskhost_shard_turns_total 0\n") == std::string::npos);
  CHECK(eventually([&] {
    // Each question wakes the shard.
    return host.get("/metrics").body.find("\ntaskhost_shard_sleeps_total 0\n") == std::string::npos;
  }));
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a host is ready once the tasks that it needs are") {
  ControlScene host;
  CHECK(host.get("/readyz").status == 200);
  CHECK(host.get("/readyz").json()["ready"] == true);
  CHECK(host.post("/v1/tasks/side/stop?wait=60s").status == 200);
  CHECK(host.get("/readyz").status == 200);  // it can do without that one
  CHECK(host.post("/v1/tasks/feed/stop?wait=60s").status == 200);
  const HttpAnswer answer = host.get("/readyz");
  CHECK(answer.status == 503);
  CHECK(answer.json()["message"] == "1 of the tasks that the host needs are not ready: \"feed\"");
  CHECK(host.stop().status() == 0);
}

TEST_CASE("what is no request of the API gets an answer that says what to do, and does no harm") {
  ControlScene host;
  CHECK(host.get("/v1/taks").status == 404);
  CHECK(ask(host.socket(), "DELETE", "/v1/tasks").status == 405);
  CHECK(host.get("/v1/tasks/feed/stop").status == 405);  // nothing is changed by GET
  CHECK(host.get("/v1/tasks/..%2f..%2fetc%2fpasswd").status == 404);
  CHECK(host.get("/v1/tasks/%00").status == 404);
  CHECK(host.post("/v1/tasks/feed/stop?wait=soon").status == 400);
  const std::string huge(20'000, 'x');
  for (const std::string& bytes : std::vector<std::string>{
           "nonsense\r\n\r\n", "GET /v1/host HTTP/1.1\r\nX: " + huge + "\r\n\r\n",
           "POST /v1/stop HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", std::string("\0\xff\r\n\r\n", 6)}) {
    const HttpConnection connection(host.socket());
    CHECK(connection.send(bytes));
    const HttpAnswer answer = parse_answer(connection.read_all());
    INFO(answer.head << answer.body);
    CHECK((answer.status == 400 || answer.status == 413 || answer.status == 431));
    CHECK(answer.json().contains("message"));
  }
  CHECK(host.get("/v1/host").status == 200);
  CHECK(host.task_now("feed")["execution"] == 1);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("clients that send half a request, or never read, keep nobody else from being served") {
  Json many = Json::array();  // so that an answer does not fit into a socket's buffer
  for (int i = 0; i < 1000; ++i) many.push_back(task("task " + std::to_string(i), "probe", "detachable", idle_probe()));
  ControlScene host({}, many);
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (int i = 0; i < 200; ++i) {
    idle.push_back(std::make_unique<HttpConnection>(host.socket()));
    (void)idle.back()->send(i % 2 == 0 ? "GET /v1/tasks HTTP/1.1\r\n" : "GET /v1/tasks HTTP/1.1\r\n\r\n");
  }
  CHECK(host.get("/v1/host").status == 200);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a connection is kept for the next request") {
  ControlScene host;
  const HttpConnection connection(host.socket());
  CHECK(connection.send("GET /livez HTTP/1.1\r\nHost:\r\n\r\nHEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(connection.send("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string all = connection.read_all();
  std::size_t answers = 0;
  for (std::size_t at = all.find("HTTP/1.1 200 OK"); at != std::string::npos;
       at = all.find("HTTP/1.1 200 OK", at + 1)) {
    ++answers;
  }
  CHECK(answers == 3);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a client that has sent all that it will send still gets its answer") {
  ControlScene host;
  for (const char* target : {"/v1/tasks", "/metrics", "/v1/host"}) {
    INFO(target);
    const HttpConnection connection(host.socket());
    CHECK(connection.send("GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n"));
    CHECK(::shutdown(connection.descriptor(), SHUT_WR) == 0);
    CHECK(parse_answer(connection.read_all()).status == 200);
  }
  CHECK(host.stop().status() == 0);
}

TEST_CASE("the socket is for its owner alone") {
  ControlScene host;
  struct stat status {};
  REQUIRE(::stat(host.socket().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a path at which a live host listens is refused with its process, and one that a dead host left is taken") {
  ControlScene host;
  {
    Scene other;
    other.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
    Command command = other.command();
    command.arguments = {"run", "--control", host.socket().string(), other.manifest_path().string()};
    const ProcessEnd end = Process(command).wait();
    CHECK(end.status == 2);
    CHECK(has_line(end.err, {"process " + std::to_string(host.running().process().id()) + " listens at"}));
  }
  CHECK(host.get("/v1/host").status == 200);
  host.running().expect_cut_short();
  host.running().send(SIGKILL);
  (void)host.running().process().wait();
  CHECK(fs::exists(host.socket()));
  Scene next;
  next.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  const Run run = next.run({"--control", host.socket().string()});
  CHECK(run.status() == 0);
  CHECK_FALSE(has_line(run.log(), {"control socket"}));
}

TEST_CASE("a control socket that is impossible is told, and the host runs without it") {
  for (const std::string& path :
       {std::string("/nowhere/at/all.sock"), "/tmp/" + std::string(200, 'x'), std::string("/dev/null")}) {
    Scene scene;
    scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
    const Run run = scene.run({"--control", path});
    CHECK(run.status() == 0);
    CHECK(has_line(run.log(), {"warning", "there is no control socket"}));
  }
}

TEST_CASE(
    "a path longer than the address of a socket has room for is as good as any, as long as its last part is not") {
  Scene scene;
  scene.add(task("feed", "probe", "mandatory", idle_probe(), 3));
  const fs::path directory = scene.directory() / ("taskhost-" + std::string(64, 'x'));
  fs::create_directory(directory);
  const fs::path socket = directory / (std::string(64, 'x') + ".sock");
  REQUIRE(socket.string().size() > 107);
  Running running = scene.start({"--control", socket.string()});
  running.wait_for("task_started", "feed");
  const auto status_of = [&] {
    Command command;
    command.program = program_path();
    command.arguments = {"status", "--host", socket.string()};
    return Process(command).wait();
  };
  const ProcessEnd asked = status_of();
  INFO(asked.summary());
  CHECK(asked.status == 0);
  Scene next;
  next.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  const Run refused = next.run({"--control", socket.string()});
  CHECK(has_line(refused.log(), {"process " + std::to_string(running.process().id()) + " listens at"}));
  CHECK(status_of().status == 0);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
  CHECK(fs::is_empty(directory));
}

TEST_CASE("a shard that stands still is told as such, and waited for only once") {
  Scene scene;
  scene.manifest["shards"] = 2;
  scene.manifest["stall_threads"] = 0;
  scene.add(task("mule", "probe", "detachable", {{"end", "busy"}, {"run_for", "6s"}}));
  scene.add(task("feed", "probe", "mandatory", idle_probe(), 3));
  const fs::path socket = scene.directory() / "host.sock";
  Running running = scene.start({"--control", socket.string()});
  running.wait_for("task_started", "mule");
  const auto state_of_mule = [&] { return ask(socket, "GET", "/v1/tasks/mule").json()["state"]; };
  const auto unanswered = [&] { return ask(socket, "GET", "/v1/host").json()["tasks"]["unanswered"]; };
  CHECK(eventually([&] { return state_of_mule() == "unknown"; }));
  // A second for each would be more than it takes to come back.
  for (int i = 0; i < 10; ++i) CHECK(state_of_mule() == "unknown");
  CHECK(unanswered() == 1);
  CHECK(eventually([&] { return unanswered() == 0; }));
  CHECK(state_of_mule() != "unknown");
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("while the host stops it answers, and takes no more orders") {
  ControlScene host({}, Json::array({task("deaf", "probe_blocking", "detachable", deaf_probe(), 1)}));
  host.running().wait_for("task_started", "deaf");
  host.running().send(SIGTERM);
  host.running().wait_for("host_stopping");
  CHECK(host.get("/v1/host").json()["state"] == "stopping");
  CHECK(host.task_now("deaf")["state"] == "stopping");
  CHECK(host.task_now("deaf")["purpose"] == "host");
  CHECK(host.get("/readyz").status == 503);
  CHECK(host.get("/livez").status == 200);
  const HttpAnswer answer = host.post("/v1/tasks/deaf/restart?wait=60s");
  CHECK(answer.status == 409);
  CHECK(answer.json()["message"] == "the host is stopping: nothing can be changed any more");
  CHECK(host.post("/v1/stop").status == 202);  // no effect, and no second request either
  wait_out_one_request();
  host.running().send(SIGTERM);
  host.running().expect_cut_short();
  CHECK(host.running().finish().status() == 4);
}

TEST_CASE("whoever hears what came of an order finds it among all tasks, also if others have just looked at them") {
  Json slow = task("slow", "probe", "detachable", {{"ready_after", "30ms"}}, 1);
  slow["ready"] = "notify";
  ControlScene host({}, Json::array({slow}));
  host.running().wait_for("task_ready", "slow");
  const auto state = [&] {
    const Json all = host.get("/v1/tasks").json();
    for (const Json& one : all["tasks"]) {
      if (one["name"] == "slow") return one["state"].get<std::string>();
    }
    return std::string();
  };
  for (int i = 0; i < 5; ++i) {
    const HttpConnection waits(host.socket());
    CHECK(waits.send("POST /v1/tasks/slow/restart?wait=1m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    (void)state();
    CHECK(parse_answer(waits.read_all()).json()["ok"] == true);
    CHECK(state() == "running");
    CHECK(host.post("/v1/tasks/slow/restart").status == 202);
    (void)state();
    CHECK(eventually([&] { return host.task_now("slow")["state"] == "running"; }));
    CHECK(state() == "running");
  }
  CHECK(host.stop().status() == 0);
}

TEST_CASE("an operator who waits hears that it came to nothing when the host stops meanwhile") {
  Json unready = task("unready", "probe", "detachable", idle_probe(), 1);
  unready["ready"] = "notify";  // which it never says
  ControlScene host({}, Json::array({unready}));
  host.running().wait_for("task_started", "unready");
  const HttpConnection waits(host.socket());
  CHECK(waits.send("POST /v1/tasks/unready/restart?wait=1h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  host.running().wait_for("task_started", "unready", 2);
  host.running().send(SIGTERM);
  const HttpAnswer answer = parse_answer(waits.read_all());
  CHECK(answer.status == 200);
  CHECK(answer.json()["done"] == true);
  CHECK(answer.json()["ok"] == false);
  CHECK(answer.json()["task"]["state"] == "ended");
  CHECK(host.running().finish().status() == 0);
}

TEST_CASE("operators who wait, and those who hung up, keep nobody else from being served") {
  Json unready = task("unready", "probe", "detachable", idle_probe(), 1);
  unready["ready"] = "notify";
  ControlScene host({}, Json::array({unready}));
  host.running().wait_for("task_started", "unready");
  std::vector<std::unique_ptr<HttpConnection>> waiting;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100; ++i) {
      waiting.push_back(std::make_unique<HttpConnection>(host.socket()));
      (void)waiting.back()->send("POST /v1/tasks/unready/start?wait=24h HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    CHECK(host.get("/livez").status == 200);
    waiting.clear();
    CHECK(host.get("/livez").status == 200);
  }
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a socket that only a child of a dead host still holds is replaced") {
  Scene scene;
  scene.manifest["name"] = "chosen";
  const fs::path socket = scene.directory() / "host.sock";
  Json parent = task("parent", "probe", "detachable");
  parent["plugin"] = test_plugin_path("right_ones").string();
  parent["task"] = "has_a_child";
  parent.erase("config");
  scene.add(parent);
  Running running = scene.start({"--control", socket.string()});
  running.wait_for("task_started", "parent");
  CHECK(ask(socket, "GET", "/v1/host").json()["name"] == "chosen");
  const std::vector<pid_t> children = children_of(running.process().id());
  CHECK(children.size() == 1);
  running.expect_cut_short();
  running.send(SIGKILL);
  (void)running.process().wait();
  Scene next;
  next.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  const Run run = next.run({"--control", socket.string()});
  CHECK(run.status() == 0);
  CHECK_FALSE(has_line(run.log(), {"control socket"}));
  for (const pid_t child : children) ::kill(child, SIGKILL);
}

TEST_CASE("a host that was paused answers what it was asked meanwhile") {
  ControlScene host;
  host.running().send(SIGSTOP);
  const HttpConnection connection(host.socket());
  CHECK(connection.send("GET /v1/host HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  host.running().send(SIGCONT);
  CHECK(parse_answer(connection.read_all()).status == 200);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a directory for sockets that others may write to is not used") {
  const TemporaryDirectory runtime;
  const fs::path directory = runtime.path() / "taskhost";
  fs::create_directory(directory);
  fs::permissions(directory, fs::perms::all);
  Scene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  Command command = scene.command();
  command.environment = {"XDG_RUNTIME_DIR=" + runtime.path().string()};
  if (!run_as_stranger(command)) return;
  for (const fs::path& path : {runtime.path(), scene.directory().path()}) fs::permissions(path, fs::perms::all);
  const ProcessEnd end = Process(command).wait();
  CHECK(has_line(end.err, {"there is no control socket", "belongs to user 0"}));
}

TEST_CASE("a umask that takes the owner's rights leaves the directory for sockets usable") {
  const TemporaryDirectory runtime;
  Scene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  Command command = scene.command();
  command.environment = {"XDG_RUNTIME_DIR=" + runtime.path().string()};
  if (!run_as_stranger(command)) return;
  command.arguments.insert(command.arguments.begin(),
                           {"-c", "umask 0277; exec \"$0\" \"$@\"", command.program.string()});
  command.program = "/bin/sh";
  for (const fs::path& path : {runtime.path(), scene.directory().path()}) fs::permissions(path, fs::perms::all);
  const ProcessEnd end = Process(command).wait();
  CHECK(end.status == 0);
  CHECK_FALSE(has_line(end.err, {"there is no control socket"}));
}

TEST_CASE("other users are turned away, even if they can reach the socket") {
  if (::getuid() != 0) {
    WARN("skipped: only root can be another user");
    return;
  }
  ControlScene host;
  fs::permissions(host.socket(), fs::perms::all);
  fs::permissions(host.socket().parent_path(), fs::perms::all);
  const std::string words = as_stranger([&] {
    const HttpAnswer answer = ask(host.socket(), "POST", "/v1/stop");
    return std::to_string(answer.status) + answer.body;
  });
  CHECK(words.starts_with("403"));
  CHECK(words.find("this host belongs to user 0, and you are user 65534") != std::string::npos);
  CHECK(host.get("/v1/host").json()["state"] == "running");
  CHECK(host.stop().status() == 0);
}
