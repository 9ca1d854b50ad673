// The bundled plugins' real files, each with a fake host and virtual time.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "fake_host.hpp"
#include "support/catch.hpp"

using taskhost::test::contains_text;

namespace {

// Never unloaded: the factories are used until the end of the program.
const taskhost_factory& plugin(const std::string& name) {
  void* library = ::dlopen((std::string(PLUGIN_DIRECTORY) + "/" + name + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
  INFO(name);
  REQUIRE(library != nullptr);
  void* entry = ::dlsym(library, TASKHOST_ENTRY_NAME);
  REQUIRE(entry != nullptr);
  return *reinterpret_cast<const taskhost_factory* (*)()>(entry)();
}

struct Directory {
  Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Directory() {
    ::unlink((path + "/pipe").c_str());
    ::unlink((path + "/socket").c_str());
    ::unlink((path + "/file").c_str());
    ::rmdir(path.c_str());
  }
  std::string path = "/tmp/taskhost_test_XXXXXX";
};

void write_all(int descriptor, const std::string& text) {
  REQUIRE(::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

}  // namespace

TEST_CASE("every bundled plugin is named like its file and refuses an unknown key") {
  for (const char* name : {"heartbeat", "ticker", "flaky", "watcher", "probe", "probe_blocking"}) {
    CAPTURE(name);
    CHECK(std::string(plugin(name).name) == name);
    FakeHost host;
    host.config = R"({"no such key": 1})";
    CHECK(host.start(plugin(name)) == TASKHOST_ERROR);
    CHECK_THAT(host.message, contains_text("unknown key \"no such key\""));
  }
  CHECK(std::string(plugin("ctrl_c").name) == "ctrl_c");
}

TEST_CASE("ctrl_c sleeps until a signal comes") {
  FakeHost host;
  REQUIRE(host.start(plugin("ctrl_c")) == TASKHOST_OK);
  CHECK(host.subscribed == (TASKHOST_SIGNAL_INTERRUPT | TASKHOST_SIGNAL_TERMINATE));
  CHECK(host.readies == 1);
  CHECK(host.poll() == TASKHOST_PENDING);
  host.signals = TASKHOST_SIGNAL_TERMINATE;
  CHECK(host.poll() == TASKHOST_OK);
}

TEST_CASE("ctrl_c ends when it is stopped") {
  FakeHost host;
  REQUIRE(host.start(plugin("ctrl_c")) == TASKHOST_OK);
  host.stop = true;
  CHECK(host.poll() == TASKHOST_OK);
}

TEST_CASE("ctrl_c does not start where there are no signals") {
  FakeHost host;
  host.has_signals = false;
  CHECK(host.start(plugin("ctrl_c")) == TASKHOST_ERROR);
  CHECK_THAT(host.message, contains_text("taskhost.signals"));
}

TEST_CASE("heartbeat beats each second, whatever wakes it") {
  FakeHost host;
  REQUIRE(host.start(plugin("heartbeat")) == TASKHOST_OK);
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.beats == 1);
  CHECK(host.wake_time == host.time + TASKHOST_SECOND);
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.beats == 1);
  host.time += TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.beats == 2);
  host.stop = true;
  CHECK(host.poll() == TASKHOST_OK);
}

TEST_CASE("heartbeat leaves out what it missed and keeps its pace") {
  FakeHost host;
  host.config = R"({"interval": "100ms", "message": "tock"})";
  REQUIRE(host.start(plugin("heartbeat")) == TASKHOST_OK);
  const std::uint64_t start = host.time;
  host.poll();
  host.time = start + 1030 * TASKHOST_MILLISECOND;
  host.poll();
  CHECK(host.beats == 2);
  CHECK(host.wake_time == start + 1100 * TASKHOST_MILLISECOND);
  CHECK(host.log.back() == "tock");
}

TEST_CASE("heartbeat and ticker refuse an interval that is none") {
  for (const char* name : {"heartbeat", "ticker"}) {
    for (const char* config : {R"({"interval": "0s"})", R"({"interval": "999us"})", R"({"interval": 1})"}) {
      CAPTURE(name, config);
      FakeHost host;
      host.config = config;
      CHECK(host.start(plugin(name)) == TASKHOST_ERROR);
      CHECK_THAT(host.message, contains_text("interval"));
    }
  }
}

TEST_CASE("ticker ticks until it is stopped") {
  FakeHost host;
  host.stop_at = host.time + 10 * TASKHOST_SECOND + TASKHOST_SECOND / 2;
  REQUIRE(host.start(plugin("ticker")) == TASKHOST_OK);
  CHECK(host.run() == TASKHOST_OK);
  CHECK(host.beats == 11);
  CHECK(host.readies == 1);
}

TEST_CASE("flaky fails in its first executions and then stays") {
  FakeHost host;
  host.config = R"({"run_for": "3s", "fail_first": 2, "message": "on purpose"})";
  for (host.number = 1; host.number <= 2; ++host.number) {
    REQUIRE(host.start(plugin("flaky")) == TASKHOST_OK);
    CHECK(host.poll() == TASKHOST_PENDING);
    CHECK(host.wake_time == host.time + 3 * TASKHOST_SECOND);
    host.time += 3 * TASKHOST_SECOND;
    CHECK(host.poll() == TASKHOST_ERROR);
    CHECK(host.message == "on purpose");
    host.drop();
  }
  REQUIRE(host.start(plugin("flaky")) == TASKHOST_OK);
  host.time += 3600 * TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.wake_time == TASKHOST_NEVER);
  host.stop = true;
  CHECK(host.poll() == TASKHOST_OK);
}

TEST_CASE("probe without config runs until it is stopped") {
  FakeHost polled;
  REQUIRE(polled.start(plugin("probe")) == TASKHOST_OK);
  CHECK(polled.poll() == TASKHOST_PENDING);
  CHECK(polled.wake_time == TASKHOST_NEVER);
  polled.stop = true;
  CHECK(polled.poll() == TASKHOST_OK);

  FakeHost blocking;
  blocking.stop_at = blocking.time + 1000 * TASKHOST_SECOND;
  REQUIRE(blocking.start(plugin("probe_blocking")) == TASKHOST_OK);
  CHECK(blocking.run() == TASKHOST_OK);
  CHECK(blocking.time == blocking.stop_at);
}

TEST_CASE("probe ends as its config says, after its time") {
  struct Row {
    const char* config;
    std::int32_t status;
    const char* message;
  };
  for (const Row& row :
       {Row{R"({"run_for": "250ms"})", TASKHOST_OK, ""}, Row{R"({"run_for": "250ms", "end": "ok"})", TASKHOST_OK, ""},
        Row{R"({"run_for": "250ms", "end": "error", "message": "e"})", TASKHOST_ERROR, "e"},
        Row{R"({"run_for": "250ms", "end": "throw", "message": "t"})", TASKHOST_PANIC, "t"},
        Row{R"({"run_for": "250ms", "end": "error"})", TASKHOST_ERROR, "the probe was told to fail"}}) {
    CAPTURE(row.config);
    FakeHost polled;
    polled.config = row.config;
    REQUIRE(polled.start(plugin("probe")) == TASKHOST_OK);
    CHECK(polled.poll() == TASKHOST_PENDING);
    CHECK(polled.wake_time == polled.time + 250 * TASKHOST_MILLISECOND);
    polled.time = polled.wake_time;
    CHECK(polled.poll() == row.status);
    CHECK(polled.message == row.message);

    FakeHost blocking;
    blocking.config = row.config;
    const std::uint64_t end = blocking.time + 250 * TASKHOST_MILLISECOND;
    REQUIRE(blocking.start(plugin("probe_blocking")) == TASKHOST_OK);
    CHECK(blocking.run() == row.status);
    CHECK(blocking.message == row.message);
    CHECK(blocking.time == end);
  }
}

TEST_CASE("probe with an end but no time ends at once") {
  for (const char* config : {R"({"end": "ok"})", R"({"end": "busy"})", R"({"run_for": "0s"})"}) {
    CAPTURE(config);
    FakeHost host;
    host.config = config;
    REQUIRE(host.start(plugin("probe")) == TASKHOST_OK);
    CHECK(host.poll() == TASKHOST_OK);
    FakeHost blocking;
    blocking.config = config;
    REQUIRE(blocking.start(plugin("probe_blocking")) == TASKHOST_OK);
    CHECK(blocking.run() == TASKHOST_OK);
  }
}

TEST_CASE("probe that is not deaf ends early when it is stopped") {
  FakeHost polled;
  polled.config = R"({"run_for": "1h", "end": "error"})";
  REQUIRE(polled.start(plugin("probe")) == TASKHOST_OK);
  polled.stop = true;
  CHECK(polled.poll() == TASKHOST_OK);
}

TEST_CASE("probe that is deaf goes on when it is stopped") {
  FakeHost polled;
  polled.config = R"({"run_for": "1h", "end": "error", "deaf": true})";
  REQUIRE(polled.start(plugin("probe")) == TASKHOST_OK);
  polled.stop = true;
  CHECK(polled.poll() == TASKHOST_PENDING);
  polled.time += 3600 * TASKHOST_SECOND;
  CHECK(polled.poll() == TASKHOST_ERROR);
}

TEST_CASE("probe refuses a wrong config") {
  for (const char* name : {"probe", "probe_blocking"}) {
    for (const char* config : {R"({"end": "explode"})", R"({"run_for": 5})", R"({"deaf": "yes"})", R"({"message": 1})",
                               R"({"end": "an end that is longer than any"})"}) {
      CAPTURE(name, config);
      FakeHost host;
      host.config = config;
      CHECK(host.start(plugin(name)) == TASKHOST_ERROR);
      CHECK_THAT(host.message, Catch::Matchers::StartsWith("config: "));
    }
  }
}

TEST_CASE("watcher logs the lines of a pipe that it makes, also when writers leave") {
  Directory directory;
  const std::string path = directory.path + "/pipe";
  FakeHost host;
  host.config = "{\"path\": \"" + path + "\", \"create\": true}";
  REQUIRE(host.start(plugin("watcher")) == TASKHOST_OK);
  CHECK(host.readies == 1);
  for (int turn = 0; turn < 2; ++turn) {
    host.log.clear();
    CHECK(host.poll() == TASKHOST_PENDING);
    CHECK(host.descriptors.size() == 1);
    const int writer = ::open(path.c_str(), O_WRONLY | O_NONBLOCK);
    REQUIRE(writer >= 0);
    write_all(writer, "one\ntwo\nthr");
    CHECK(host.poll() == TASKHOST_PENDING);
    CHECK(host.log == std::vector<std::string>{"one", "two"});
    write_all(writer, "ee\n\n");
    CHECK(host.poll() == TASKHOST_PENDING);
    CHECK(host.log == std::vector<std::string>{"one", "two", "three", ""});
    ::close(writer);
  }
  host.stop = true;
  CHECK(host.poll() == TASKHOST_OK);
}

TEST_CASE("watcher cuts a line that is too long") {
  Directory directory;
  const std::string path = directory.path + "/pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  FakeHost host;
  host.config = "{\"path\": \"" + path + "\"}";
  REQUIRE(host.start(plugin("watcher")) == TASKHOST_OK);
  const int writer = ::open(path.c_str(), O_WRONLY | O_NONBLOCK);
  REQUIRE(writer >= 0);
  write_all(writer, std::string(2048, 'a') + "\n" + std::string(10000, 'b') + "\nshort\n");
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.log == std::vector<std::string>{std::string(2048, 'a'), std::string(2048, 'b') + " (cut)", "short"});
  ::close(writer);
}

TEST_CASE("watcher ends well when the other side of a socket closes it") {
  Directory directory;
  const std::string path = directory.path + "/socket";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  FakeHost host;
  host.config = "{\"path\": \"" + path + "\"}";
  REQUIRE(host.start(plugin("watcher")) == TASKHOST_OK);
  const int peer = ::accept(listener, nullptr, nullptr);
  REQUIRE(peer >= 0);
  write_all(peer, "one\nlast");
  CHECK(host.poll() == TASKHOST_PENDING);
  ::close(peer);
  CHECK(host.poll() == TASKHOST_OK);
  CHECK(host.log == std::vector<std::string>{"one", "last"});
  ::close(listener);
}

TEST_CASE("watcher does not start without something to watch") {
  Directory directory;
  const int file = ::open((directory.path + "/file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ::close(file);
  for (const std::string& config :
       {std::string("{}"), "{\"path\": \"" + directory.path + "/pipe\"}", "{\"path\": \"" + directory.path + "/file\"}",
        "{\"path\": \"" + directory.path + "/no/pipe\", \"create\": true}"}) {
    CAPTURE(config);
    FakeHost host;
    host.config = config;
    CHECK(host.start(plugin("watcher")) == TASKHOST_ERROR);
    CHECK_FALSE(host.message.empty());
  }
}

TEST_CASE("watcher fails when the host can't wait for its descriptor") {
  Directory directory;
  FakeHost host;
  host.config = "{\"path\": \"" + directory.path + "/pipe\", \"create\": true}";
  host.descriptor_status = TASKHOST_REFUSED_DESCRIPTORS;
  CHECK(host.start(plugin("watcher")) == TASKHOST_ERROR);
}

namespace {

class Client {
 public:
  explicit Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(socket_); }

  void say(const std::string& text) const { write_all(socket_, text); }
  // What has been answered so far; "end" at the end of the connection.
  std::string hear() const {
    char bytes[256];
    const ssize_t size = ::read(socket_, bytes, sizeof bytes);
    return size == 0 ? "end" : std::string(bytes, size > 0 ? static_cast<std::size_t>(size) : 0);
  }

 private:
  int socket_;
};

}  // namespace

TEST_CASE("line_server answers its clients, as many at a time as it may, and ends in order") {
  Directory directory;
  const std::string path = directory.path + "/socket";
  FakeHost host;
  host.config = "{\"path\": \"" + path + "\", \"clients\": 2}";
  REQUIRE(host.start(plugin("line_server")) == TASKHOST_OK);
  CHECK(host.readies == 0);  // no part of a coroutine runs in start
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.known_keys == "path clients idle report");
  CHECK(host.readies == 1);
  CHECK(host.wake_time == host.time + 10 * TASKHOST_SECOND);

  const Client first(path);
  const Client second(path);
  first.say("ping\nwhat?\npi");
  second.say("count\n");
  const Client third(path);
  third.say("ping\n");
  for (int turn = 0; turn < 3; ++turn) CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(first.hear() == "pong\nunknown; there are: ping, count, quit\n");
  CHECK(second.hear() == "3 lines in 2 connections\n");
  CHECK(third.hear().empty());
  first.say("ng\nquit\n");
  for (int turn = 0; turn < 3; ++turn) CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(first.hear() == "pong\n");
  CHECK(first.hear() == "end");
  CHECK(third.hear() == "pong\n");

  host.time += 10 * TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.log == std::vector<std::string>{"5 lines in 3 connections"});
  host.time += 50 * TASKHOST_SECOND;  // together a minute of silence
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(second.hear() == "end");

  host.stop = true;
  CHECK(host.poll() == TASKHOST_OK);
  CHECK(host.log.back() == "stopped after 5 lines in 3 connections");
  CHECK(host.descriptors.size() == 0);
  host.drop();
  CHECK(::access(path.c_str(), F_OK) != 0);
}

TEST_CASE("line_server ends a connection that sends no end of a line, and one that is closed") {
  Directory directory;
  const std::string path = directory.path + "/socket";
  FakeHost host;
  host.config = "{\"path\": \"" + path + "\"}";
  REQUIRE(host.start(plugin("line_server")) == TASKHOST_OK);
  host.poll();
  const Client talker(path);
  talker.say(std::string(1024, 'a'));
  {
    const Client gone(path);
    gone.say("pi");
    host.poll();
  }
  for (int turn = 0; turn < 3; ++turn) CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(talker.hear() == "end");
  CHECK(host.descriptors.size() == 1);
}

TEST_CASE("line_server needs a place to listen at") {
  Directory directory;
  for (const std::string& path :
       {'"' + std::string(200, 'x') + '"', '"' + directory.path + "/no/socket\"", std::string("1")}) {
    CAPTURE(path);
    FakeHost host;
    host.config = "{\"path\": " + path + "}";
    REQUIRE(host.start(plugin("line_server")) == TASKHOST_OK);
    CHECK(host.poll() == TASKHOST_ERROR);
    CHECK_FALSE(host.message.empty());
  }
}
