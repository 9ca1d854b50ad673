// Serves the API over HTTP/1.1, on the control socket and, if wanted, on TCP. Its thread is its own, and no shard ever
// waits for it. Whatever a client does costs a limited amount: connections, sizes and times are bounded.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "control/controlled_host.hpp"
#include "control/tcp_address.hpp"

namespace taskhost {

struct ControlServerOptions {
  std::string name;             // the host's
  int control_descriptor = -1;  // the listening control socket; -1: none
  std::optional<TcpAddress> listen{};
  std::string token{};  // for changes over TCP; empty: it is read-only
  std::size_t metrics_tasks = 1000;
};

// [owner]
class ControlServer {
 public:
  // Listens, but answers nobody before start. Takes the control socket, unless it throws: boost::system::system_error.
  ControlServer(ControlledHost& host, ControlServerOptions options);
  // Closes all connections. Answers under way have a moment, and a snapshot that waits for a stuck shard a second.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Throws std::system_error if there is no thread.
  void start();
  // Where it listens on TCP, with the port that the system chose; empty: nowhere.
  const std::string& tcp_address() const noexcept;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace taskhost
