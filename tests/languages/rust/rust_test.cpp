// Tasks in Rust, in the program: the table task type × outcome, the stop, restarts, and the bundled examples.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Json rust_task(std::string_view factory, std::string_view type, unsigned restarts = 0, Json config = nullptr) {
  Json entry = task(factory, TASKHOST_TEST_RUST_PROBE, type, std::move(config), restarts);
  entry["task"] = factory;
  return entry;
}

Json end_with(std::string_view end) { return {{"end", end}, {"message", "the pump is dry"}}; }

struct Ending {
  std::string factory;
  std::string end;  // outcome reported by task_exited
};
const std::vector<Ending> endings{{"probe", "ok"},          {"probe", "error"},          {"probe", "panic"},
                                  {"probe_blocking", "ok"}, {"probe_blocking", "error"}, {"probe_blocking", "panic"},
                                  {"start_panics", "panic"}};

Run run_one(const Ending& ending, std::string_view type, unsigned restarts) {
  Scene scene;
  scene.add(rust_task(ending.factory, type, restarts, end_with(ending.end)));
  Command command = scene.command();
  command.environment = {"RUST_BACKTRACE=0"};  // or it asks for the usual report on stderr
  const Run run = scene.start(command).finish();
  for (const Event& event : run.events.events()) {
    if (event.name != "task_exited") continue;
    CHECK(event.outcome == ending.end);
    if (ending.end == "error") CHECK(event.message == "the pump is dry");
    if (ending.end == "panic") {
      CHECK(event.message.find("the pump is dry (") == 0);
      CHECK(event.message.find("lib.rs:") != std::string::npos);
    }
  }
  CHECK(run.log().find("panicked at") == std::string::npos);  // stderr belongs to the host
  return run;
}

std::string story_of_exhaustion(unsigned restarts) {
  std::string story;
  for (unsigned restart = 0; restart < restarts; ++restart) story += "task_started task_exited task_restarting ";
  return story + "task_started task_exited task_gave_up";
}

bool eventually_logged(Running& running, std::string_view text) { return running.process().wait_for_err(text); }

}  // namespace

TEST_CASE("a shutdown_on_exit task in Rust stops the host, with success if it ended well") {
  for (const Ending& ending : endings) {
    INFO(ending.factory << " " << ending.end);
    const Run run = run_one(ending, "shutdown_on_exit", 0);
    CHECK(run.status() == (ending.end == "ok" ? 0 : 1));
    CHECK(run.stopping_reason() == "task_exit");
    CHECK(run.events.story(ending.factory) == "task_started task_exited");
  }
}

TEST_CASE("a mandatory task in Rust is started 1 + budget times, however it ends") {
  for (const Ending& ending : endings) {
    INFO(ending.factory << " " << ending.end);
    const Run run = run_one(ending, "mandatory", 2);
    CHECK(run.status() == 1);
    CHECK(run.stopping_reason() == "budget_exhausted");
    CHECK(run.events.story(ending.factory) == story_of_exhaustion(2));
  }
}

TEST_CASE("a detachable task in Rust is started 1 + budget times unless it ends well") {
  for (const Ending& ending : endings) {
    INFO(ending.factory << " " << ending.end);
    const Run run = run_one(ending, "detachable", 2);
    CHECK(run.status() == (ending.end == "ok" ? 0 : 1));
    CHECK(run.stopping_reason() == "all_done");
    const std::string story = ending.end == "ok" ? "task_started task_exited" : story_of_exhaustion(2);
    CHECK(run.events.story(ending.factory) == story + " task_discarded");
  }
}

TEST_CASE("a restart of a Rust task begins with a fresh future") {
  Scene scene;
  scene.add(rust_task("counts", "detachable", 2));
  const Run run = scene.run();
  for (const char* execution : {"1", "2", "3"}) {
    for (const char* count : {"1", "2", "3"}) {
      CHECK(has_line(run.log(), {std::string("execution ") + execution + " counts " + count}));
    }
  }
  CHECK_FALSE(has_line(run.log(), {"counts 4"}));
}

TEST_CASE("each kind of Rust task stops in time, in its own way") {
  Scene scene;
  for (const char* factory : {"idle", "graceful", "idle_blocking"}) scene.add(rust_task(factory, "mandatory"));
  Running running = scene.start();
  for (const char* factory : {"idle", "graceful", "idle_blocking"}) running.wait_for("task_ready", factory);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_reason() == "signal");
  for (const char* said : {"idle was dropped", "graceful has saved its work", "idle_blocking ends"}) {
    CHECK(has_line(run.log(), {said}));
  }
}

TEST_CASE("a Rust task that minds the stop and does not end is dropped when its stop_timeout is over") {
  Scene scene;
  scene.add(rust_task("deaf", "mandatory"));
  scene.manifest["tasks"][0]["stop_timeout"] = "50ms";
  Running running = scene.start();
  running.wait_for("task_ready", "deaf");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"deaf was dropped"}));
  CHECK(has_line(run.log(), {"warning", "deaf"}));
}

TEST_CASE("threads wake branches of a Rust task by the thousand, and none is lost") {
  Scene scene;
  scene.manifest["shards"] = 2;
  scene.add(rust_task("busy", "detachable"));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.first("task_exited").outcome == "ok");
  CHECK(has_line(run.log(), {"busy is done"}));
}

TEST_CASE("threads wake a blocking Rust task") {
  Scene scene;
  scene.add(rust_task("woken_blocking", "detachable"));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.first("task_exited").outcome == "ok");
}

TEST_CASE("work of a Rust task is done on other threads, and its panic is the task's") {
  Scene scene;
  scene.add(rust_task("unblocks", "detachable"));
  scene.add(rust_task("unblocks", "detachable", 0, {{"panics", true}}));
  scene.manifest["tasks"][1]["name"] = "panics";
  Command command = scene.command();
  command.environment = {"RUST_BACKTRACE=0"};
  const Run run = scene.start(command).finish();
  CHECK(run.first("task_exited", "unblocks").outcome == "ok");
  CHECK(has_line(run.log(), {"the sum is 4498500"}));
  CHECK(run.first("task_exited", "panics").outcome == "panic");
  CHECK(run.first("task_exited", "panics").message.find("the pump is dry (") == 0);
  CHECK(run.log().find("panicked at") == std::string::npos);
}

TEST_CASE("ten thousand executions of one Rust task end and stop as they should") {
  Scene scene;
  scene.manifest["shards"] = 2;
  for (int number = 0; number < 10'000; ++number) {
    Json entry = rust_task(number % 2 == 0 ? "idle" : "graceful", "detachable");
    entry["name"] = "task" + std::to_string(number);
    scene.add(entry);
  }
  Running running = scene.start();
  running.wait_for("task_ready", "", 10'000);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stopped") == 10'000);
}

TEST_CASE("the three functions of a tutorial run as three types of task, and stop with success") {
  Scene scene;
  scene.text = read_file(TASKHOST_TEST_RUST_TUTORIAL);
  Running running = scene.start({"--plugin-dir", plugin_directory().string()});
  for (const char* name : {"heartbeat", "sensor", "cache"}) running.wait_for("task_started", name);
  for (const char* words : {"heartbeat 2", "reading the sensor", "refreshing the cache"}) {
    CHECK(eventually([&] { return running.process().out().find(words) != std::string::npos; }));
  }
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stopped") == 3);
}

TEST_CASE("rust_pipes waits for both pipes, logs what comes through them, and adds up at the end") {
  Scene scene;
  const std::string orders = scene.directory() / "orders";
  const std::string errors = scene.directory() / "errors";
  scene.add(task("pipes", "rust_pipes", "mandatory", {{"orders", orders}, {"errors", errors}, {"every", "10ms"}}));
  Running running = scene.start();
  running.wait_for("task_started", "pipes");
  REQUIRE(::mkfifo(orders.c_str(), 0600) == 0);
  REQUIRE(::mkfifo(errors.c_str(), 0600) == 0);
  running.wait_for("task_ready", "pipes");
  std::ofstream(orders) << "one\ntwo\n" << std::flush;
  std::ofstream(errors) << "three\n" << std::flush;
  CHECK(eventually_logged(running, "order: two"));
  CHECK(eventually_logged(running, "error: three"));
  CHECK(eventually_logged(running, "3 lines so far"));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"order: one"}));
  CHECK(has_line(run.log(), {"3 lines in all"}));
}

TEST_CASE("rust_pipes fails with what is wrong: its config, or a file that is no pipe") {
  Scene scene;
  const std::string file = scene.directory() / "file";
  std::ofstream(file) << "x";
  scene.add(task("none", "rust_pipes", "detachable"));
  scene.add(task("file", "rust_pipes", "detachable", {{"orders", file}, {"errors", file}}));
  scene.add(task("time", "rust_pipes", "detachable", {{"orders", file}, {"errors", file}, {"every", 5}}));
  scene.add(task("key", "rust_pipes", "detachable", {{"orders", file}, {"erors", file}}));
  const Run run = scene.run();
  CHECK(run.first("task_exited", "none").message == "config: /orders: is missing");
  CHECK(run.first("task_exited", "file").message == file + ": not a named pipe");
  CHECK(run.first("task_exited", "time").message.find("config: /every: must be a duration") == 0);
  CHECK(run.first("task_exited", "key").message == "config: unknown key \"erors\"; did you mean \"errors\"?");
}

TEST_CASE("rust_disk adds a directory up, and stops while it waits") {
  Scene scene;
  const std::filesystem::path directory = scene.directory() / "things";
  std::filesystem::create_directories(directory / "inner");
  std::ofstream(directory / "a") << "12345";
  std::ofstream(directory / "inner" / "b") << "123";
  scene.add(task("disk", "rust_disk", "mandatory", {{"path", directory.string()}, {"every", "1h"}}));
  Running running = scene.start();
  CHECK(eventually_logged(running, "2 files, 8 bytes"));
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

namespace {

class Client {
 public:
  explicit Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const timeval patience{10, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(socket_); }

  // The answer, which is as long as the text.
  std::string say(const std::string& text) const {
    std::thread speaker([&] {  // a long text is answered while it is being sent
      if (::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) < 0) ::shutdown(socket_, SHUT_RDWR);
    });
    std::string answer = heard(text.size());
    speaker.join();
    return answer;
  }
  std::string heard(std::size_t size) const {
    std::string answer(size, '\0');
    const ssize_t got = ::recv(socket_, answer.data(), size, MSG_WAITALL);
    answer.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return answer;
  }
  bool answers_within_a_moment(const std::string& text) const {
    ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
    pollfd waiting{socket_, POLLIN, 0};
    return ::poll(&waiting, 1, 50) > 0;
  }

 private:
  int socket_;
};

std::string converse(const std::string& path, const std::string& line) { return Client(path).say(line); }

}  // namespace

TEST_CASE("rust_shout serves several at once, and takes its socket away when it is stopped") {
  Scene scene;
  const std::string path = scene.directory() / "shout";
  scene.add(task("shout", "rust_shout", "mandatory", {{"path", path}}));
  Running running = scene.start();
  running.wait_for("task_ready", "shout");
  const Client silent(path);
  for (int time = 0; time < 10; ++time) CHECK(converse(path, "hello\n") == "HELLO\n");
  std::vector<std::unique_ptr<Client>> clients;
  for (int number = 0; number < 7; ++number) clients.push_back(std::make_unique<Client>(path));
  for (const auto& client : clients) CHECK(client->say("hello\n") == "HELLO\n");
  CHECK(silent.say(std::string(100'000, 'x')) == std::string(100'000, 'X'));  // more than a socket holds
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("who comes to rust_shout as the ninth waits until one has left") {
  Scene scene;
  const std::string path = scene.directory() / "shout";
  scene.add(task("shout", "rust_shout", "mandatory", {{"path", path}}));
  Running running = scene.start();
  running.wait_for("task_ready", "shout");
  std::vector<std::unique_ptr<Client>> clients;
  for (int number = 0; number < 8; ++number) {
    clients.push_back(std::make_unique<Client>(path));
    CHECK(clients.back()->say("hello") == "HELLO");
  }
  const Client ninth(path);
  CHECK_FALSE(ninth.answers_within_a_moment("hello"));
  clients.pop_back();
  CHECK(ninth.heard(5) == "HELLO");
}

#ifdef TASKHOST_TEST_RUST_TOKIO
TEST_CASE("rust_tokio serves with a runtime of its own, and takes its threads along when it stops") {
  Scene scene;
  const std::string path = scene.directory() / "shout";
  scene.add(task("shout", "rust_tokio", "mandatory", {{"path", path}}));
  Running running = scene.start();
  running.wait_for("task_ready", "shout");
  for (int time = 0; time < 10; ++time) CHECK(converse(path, "hello\n") == "HELLO\n");
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("rust_tokio fails if it can't have its socket") {
  Scene scene;
  scene.add(task("shout", "rust_tokio", "detachable", {{"path", scene.directory() / "none" / "shout"}}));
  const Run run = scene.run();
  CHECK(run.first("task_exited").outcome == "error");
  CHECK(run.first("task_exited").message.find("No such file") != std::string::npos);
}
#endif
