#include "control/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace taskhost {

Connection::Connection(Protocol::socket socket, std::string address)
    : stream(std::move(socket)), who(std::move(address)), is_tcp(!who.empty()) {}

void Connection::enter(Phase next) {
  if (phase != next) since = std::chrono::steady_clock::now();
  phase = next;
}

std::string Connection::peer_problem() {
  if (is_tcp) return {};
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(stream.socket().native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return "can't find out who you are";
  }
  who = "user " + std::to_string(peer.uid) + ", process " + std::to_string(peer.pid);
  if (peer.uid == 0 || peer.uid == ::geteuid()) return {};
  return "this host belongs to user " + std::to_string(::geteuid()) + ", and you are user " + std::to_string(peer.uid) +
         ": ask as that user, or as root";
}

bool Connection::is_gone() {
  if (!stream.socket().is_open()) return true;
  pollfd looked{.fd = stream.socket().native_handle(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&looked, 1, 0) > 0;
}

bool Connection::is_closed() {
  if (!stream.socket().is_open()) return true;
  pollfd looked{.fd = stream.socket().native_handle(), .events = 0, .revents = 0};
  return ::poll(&looked, 1, 0) > 0;
}

void Connection::shut_down() {
  boost::system::error_code ignored;
  stream.socket().shutdown(Protocol::socket::shutdown_send, ignored);
}

void set_keep_alive(boost::asio::ip::tcp::socket& socket) {
  const int idle_seconds = 60;
  boost::system::error_code ignored;
  socket.set_option(boost::asio::socket_base::keep_alive(true), ignored);
  (void)::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
}

std::string peer_address(const boost::asio::ip::tcp::socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  return error ? "somebody" : "somebody at " + endpoint.address().to_string();
}

void Connection::close() {
  boost::system::error_code ignored;
  stream.socket().shutdown(Protocol::socket::shutdown_both, ignored);
  stream.close();
}

void Connection::give_way() {
  enter(Phase::answering);
  taken = nullptr;
  close();
}

bool Connections::make_room() {
  using Phase = Connection::Phase;
  for (const Phase phase : {Phase::asking, Phase::taking, Phase::waiting, Phase::following}) {
    const auto found = std::min_element(list.begin(), list.end(), [&](const Connection& one, const Connection& other) {
      return std::pair(one.phase != phase, one.since) < std::pair(other.phase != phase, other.since);
    });
    if (found == list.end() || found->phase != phase) continue;
    found->give_way();
    return true;
  }
  return false;
}

void bound_taken(std::initializer_list<Connections*> all) {
  // Bodies that several share count once. The least readers may have more.
  constexpr std::size_t max_bytes = 16 << 20;
  constexpr std::size_t few = 4;
  while (true) {
    std::vector<const std::string*> bodies;
    std::size_t bytes = 0;
    Connection* oldest = nullptr;
    for (Connections* const connections : all) {
      for (Connection& connection : connections->list) {
        if (connection.taken == nullptr) continue;
        if (oldest == nullptr || connection.since < oldest->since) oldest = &connection;
        if (std::find(bodies.begin(), bodies.end(), connection.taken) != bodies.end()) continue;
        bodies.push_back(connection.taken);
        bytes += connection.taken->size();
      }
    }
    if (bytes <= max_bytes || bodies.size() <= few) return;
    oldest->give_way();
  }
}

}  // namespace taskhost
