// Real servers for the plugins, each in a folder of its own: started, killed and started again by the test. Stopped
// with the object, by their process ids.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "scene.hpp"

namespace taskhost::test {

// Whether the plugin is built. If not, warns that the test is skipped.
bool has_plugin(std::string_view name);

// "curl" → the path of the library.
std::string library_plugin(std::string_view name);

// An entry of "tasks", restarted without end, for a plugin that says when it is ready.
Json client_task(std::string_view plugin, Json config);

// A scene with short backoffs, and a stall limit that a busy machine keeps.
void prepare(Scene& scene);

// A loopback port that was free a moment ago.
std::uint16_t free_port();

// Whether a server on the port answers an HTTP request with "200 OK".
bool answers_http(std::uint16_t port);

class Server {
 public:
  // How it is started, and whether it answers. Throws if it never does.
  Server(Command command, int kill_signal, std::function<bool()> is_up);
  ~Server() { kill(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void kill();   // it has no time for goodbyes
  void start();  // again

 private:
  Command command_;
  int kill_signal_;
  std::function<bool()> is_up_;
  std::optional<Process> process_;
};

// Kills the server and starts it again: each of the tasks must notice, and be ready again. They may have failed more
// than once meanwhile, so what counts is how often more they did than before.
void restart_under(Running& running, Server& server, const std::vector<std::string>& tasks);

// NULL, with a warning that the test is skipped, if the machine lacks the server.
struct Redis {
  TemporaryDirectory directory;
  std::uint16_t port = free_port();
  std::string socket = (directory / "redis.sock").string();
  std::unique_ptr<Server> server;
};
std::unique_ptr<Redis> start_redis();

struct Mosquitto {
  TemporaryDirectory directory;
  std::uint16_t port = free_port();
  std::unique_ptr<Server> server;
};
std::unique_ptr<Mosquitto> start_mosquitto();

struct Postgres {
  TemporaryDirectory directory;
  std::string address = "host=" + directory.path().string() + " user=tester dbname=postgres";  // for libpq
  std::unique_ptr<Server> server;
};
std::unique_ptr<Postgres> start_postgres();

// The plugin http_server under a second host.
struct HttpServer {
  TemporaryDirectory directory;
  std::uint16_t port = free_port();
  std::unique_ptr<Server> server;
  std::string url(const char* host) const { return std::string("http://") + host + ":" + std::to_string(port) + "/"; }
};
std::unique_ptr<HttpServer> start_http_server(std::string_view delay);

// Lets clients connect, by PostgreSQL's UNIX socket in its folder and by a loopback port, and never says a word.
struct SilentServer {
  SilentServer();
  ~SilentServer();
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;

  TemporaryDirectory directory;
  std::uint16_t port = free_port();
  int by_path;
  int by_port;
};

}  // namespace taskhost::test
