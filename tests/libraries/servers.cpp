#include "servers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "support/catch.hpp"

namespace taskhost::test {

namespace {

class Socket {
 public:
  explicit Socket(int family) : value_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() { ::close(value_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

sockaddr_un local(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

template <class Address>
bool accepts(const Address& address) {
  const Socket socket(reinterpret_cast<const sockaddr&>(address).sa_family);
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}
bool accepts(std::uint16_t port) { return accepts(loopback(port)); }
bool accepts(const std::string& path) { return accepts(local(path)); }

template <class Address>
int listener(const Address& address) {
  const sockaddr& any = reinterpret_cast<const sockaddr&>(address);
  const int socket = ::socket(any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0 || ::bind(socket, &any, sizeof address) != 0 || ::listen(socket, 100) != 0) {
    throw std::system_error(errno, std::generic_category(), "can't listen");
  }
  return socket;
}

bool is_there(std::string_view program, const char* name) {
  if (!program.empty() && program.find("NOTFOUND") == std::string_view::npos) return true;
  WARN("skipped: there is no " << name);
  return false;
}

Command command_of(const std::filesystem::path& program, std::vector<std::string> arguments) {
  Command command;
  command.program = program;
  command.arguments = std::move(arguments);
  return command;
}

// PostgreSQL refuses to run as root: then it runs as a user who is nobody else's.
Command unprivileged(const std::filesystem::path& program, std::vector<std::string> arguments, uid_t user) {
  if (::getuid() != 0) return command_of(program, std::move(arguments));
  const std::string id = std::to_string(user);
  arguments.insert(arguments.begin(), {"--reuid=" + id, "--regid=" + id, "--clear-groups", program.string()});
  return command_of("setpriv", std::move(arguments));
}

}  // namespace

bool has_plugin(std::string_view name) {
  const std::string built = std::string(",") + TASKHOST_TEST_LIBRARY_PLUGINS_BUILT + ",";
  if (built.find("," + std::string(name) + ",") != std::string::npos) return true;
  WARN("skipped: the plugin " << name << " is not built, since its library is not there");
  return false;
}

std::string library_plugin(std::string_view name) {
  const std::string file = name == "rust" ? "libraries_rust" : std::string(name);
  return std::string(TASKHOST_TEST_LIBRARY_PLUGINS) + "/" + file + ".so";
}

Json client_task(std::string_view plugin, Json config) {
  return {{"name", plugin},    {"plugin", library_plugin(plugin)}, {"type", "mandatory"}, {"restarts", "unlimited"},
          {"ready", "notify"}, {"config", std::move(config)}};
}

void prepare(Scene& scene) {
  scene.manifest["defaults"] = {{"backoff", {{"initial", "20ms"}, {"max", "200ms"}}}, {"stop_timeout", "60s"}};
  scene.manifest["stall_limit"] = "10s";
}

std::uint16_t free_port() {
  const Socket socket(AF_INET);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "no port");
  }
  return ntohs(address.sin_port);
}

bool answers_http(std::uint16_t port) {
  constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const Socket socket(AF_INET);
  const sockaddr_in address = loopback(port);
  const timeval limit{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return false;
  std::array<char, 100> answer{};
  const ssize_t size = ::recv(socket.get(), answer.data(), answer.size(), 0);
  return size > 0 &&
         std::string_view(answer.data(), static_cast<std::size_t>(size)).find("200 OK") != std::string::npos;
}

Server::Server(Command command, int kill_signal, std::function<bool()> is_up)
    : command_(std::move(command)), kill_signal_(kill_signal), is_up_(std::move(is_up)) {
  start();
}

void Server::kill() {
  if (!process_) return;
  process_->send(kill_signal_);
  process_->wait();
  process_.reset();
}

void Server::start() {
  process_.emplace(command_);
  if (eventually([this] { return is_up_() || !process_->running(); }) && process_->running()) return;
  const ProcessEnd end = process_->wait(std::chrono::seconds(0));
  process_.reset();
  throw std::runtime_error("the server does not answer: " + end.summary());
}

void restart_under(Running& running, Server& server, const std::vector<std::string>& tasks) {
  const auto wait_for_one_more = [&](const char* event, const EventStream& before) {
    for (const std::string& task : tasks) running.wait_for(event, task, before.count(event, task) + 1);
  };
  const EventStream before = running.events().read();
  server.kill();
  wait_for_one_more("task_restarting", before);
  server.start();
  wait_for_one_more("task_ready", before);
}

std::unique_ptr<Redis> start_redis() {
  if (!is_there(TASKHOST_TEST_REDIS, "redis-server")) return nullptr;
  auto redis = std::make_unique<Redis>();
  redis->server = std::make_unique<Server>(
      command_of(TASKHOST_TEST_REDIS,
                 {"--port", std::to_string(redis->port), "--bind", "127.0.0.1", "--unixsocket", redis->socket, "--save",
                  "", "--appendonly", "no", "--dir", redis->directory.path().string()}),
      SIGKILL, [socket = redis->socket, port = redis->port] { return accepts(socket) && accepts(port); });
  return redis;
}

std::unique_ptr<Mosquitto> start_mosquitto() {
  if (!is_there(TASKHOST_TEST_MOSQUITTO, "mosquitto")) return nullptr;
  auto mosquitto = std::make_unique<Mosquitto>();
  const auto file = mosquitto->directory.write("mosquitto.conf", "listener " + std::to_string(mosquitto->port) +
                                                                     " 127.0.0.1\nallow_anonymous true\n" +
                                                                     (::getuid() == 0 ? "user root\n" : ""));
  mosquitto->server = std::make_unique<Server>(command_of(TASKHOST_TEST_MOSQUITTO, {"-c", file.string()}), SIGKILL,
                                               [port = mosquitto->port] { return accepts(port); });
  return mosquitto;
}

std::unique_ptr<Postgres> start_postgres() {
  if (!is_there(TASKHOST_TEST_POSTGRES, "postgres")) return nullptr;
  uid_t user = ::getuid();
  if (user == 0) {
    const passwd* entry = ::getpwnam("postgres");
    if (entry == nullptr) {
      WARN("skipped: root can't run PostgreSQL, and there is no user postgres");
      return nullptr;
    }
    user = entry->pw_uid;
  }
  auto postgres = std::make_unique<Postgres>();
  const std::filesystem::path folder = postgres->directory.path();
  const std::filesystem::path program = TASKHOST_TEST_POSTGRES;
  if (::chown(folder.c_str(), user, static_cast<gid_t>(-1)) != 0) throw std::runtime_error("can't give a folder away");
  Process(unprivileged(program.parent_path() / "initdb",
                       {"-D", folder / "data", "-A", "trust", "-U", "tester", "--no-sync", "--no-instructions"}, user))
      .wait()
      .require();
  // Not SIGKILL: the server's children would live on for a moment, and keep the next one from starting.
  postgres->server = std::make_unique<Server>(
      unprivileged(program,
                   {"-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c", "max_connections=500", "-F"},
                   user),
      SIGQUIT, [path = (folder / ".s.PGSQL.5432").string()] { return accepts(path); });
  return postgres;
}

std::unique_ptr<HttpServer> start_http_server(std::string_view delay) {
  auto http = std::make_unique<HttpServer>();
  const Json manifest = {{"tasks",
                          {{{"name", "http_server"},
                            {"plugin", library_plugin("http_server")},
                            {"type", "shutdown_on_exit"},
                            {"config", {{"port", http->port}, {"delay", delay}}}}}}};
  const auto file = http->directory.write("http.json", manifest.dump());
  http->server = std::make_unique<Server>(command_of(program_path(), {"run", file.string()}), SIGKILL,
                                          [port = http->port] { return accepts(port); });
  return http;
}

SilentServer::SilentServer()
    : by_path(listener(local((directory / ".s.PGSQL.5432").string()))), by_port(listener(loopback(port))) {}

SilentServer::~SilentServer() {
  ::close(by_path);
  ::close(by_port);
}

}  // namespace taskhost::test
