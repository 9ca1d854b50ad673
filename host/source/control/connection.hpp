// A client's connection, and which of them give way to others. For the thread of the control server.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <list>
#include <string>

namespace taskhost {

struct Connection {
  using Protocol = boost::asio::generic::stream_protocol;

  // `address`: of a client on TCP; empty for one on the control socket.
  Connection(Protocol::socket socket, std::string address);

  boost::beast::basic_stream<Protocol> stream;
  std::string who;  // "user 1000, process 4711", or "somebody at" an address
  const bool is_tcp;
  // It may be closed for a newer one, unless it is being answered.
  enum class Phase : std::uint8_t { asking, answering, waiting, taking, following };
  Phase phase = Phase::asking;
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();  // in this phase
  const std::string* taken = nullptr;  // the answer's body, while it is being taken

  void enter(Phase next);

  // Others may not even look: what tasks say may be secret. Empty if this peer may. Finds out who it is.
  std::string peer_problem();
  // Whether the client has hung up, or the connection was closed for a newer one.
  bool is_gone();
  // Whether nobody can read from it any more. A client that has only said that it will send no more still reads.
  bool is_closed();
  void shut_down();
  // So that its client sees it even if a child of a task has inherited it.
  void close();
  void give_way();
};

// A client that has vanished from the network must not keep its place for ever.
void set_keep_alive(boost::asio::ip::tcp::socket& socket);
inline void set_keep_alive(boost::asio::local::stream_protocol::socket& /*socket*/) {}
// "somebody at" an address; empty: it is to be asked, see peer_problem.
std::string peer_address(const boost::asio::ip::tcp::socket& socket);
inline std::string peer_address(const boost::asio::local::stream_protocol::socket& /*socket*/) { return {}; }

struct Connections {
  std::list<Connection> list;
  bool is_accepting = false;

  // Closes the connection that has waited longest for a request, or else for its client to take an answer, or else for
  // a task, or else follows a stream. False if all of them are being answered.
  bool make_room();
};

// Readers that stop reading must not keep each its own snapshot of many tasks: those that have been at it the longest
// are closed.
void bound_taken(std::initializer_list<Connections*> all);

}  // namespace taskhost
